"""Cross-validation: parts of the data that a fit does not see, and how likely they are under it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from estep.data.rows import in_memory
from estep.data.source import Source
from estep.execution.base import Execute
from estep.inference.prepare import prepared, prepared_to_fit
from estep.inference.score import score_units
from estep.interface import Emission
from estep.model import Model
from estep.statistics import Array, weighted


@dataclass(frozen=True, eq=False)
class Fold:
    """``train``: what a fit sees, prepared; ``whole``: all of it; ``test`` (n,) or (S,): the weights of what it does
    not see, None where that is part of a sequence."""

    train: Source
    whole: Source
    test: Array | None

    def log_likelihood(self, model: Model, execute: Execute) -> float:
        """Of what was not seen: log p(unseen), or log p(unseen | seen) where both are of one sequence."""
        whole = self.whole.in_double()
        if self.test is not None:
            return weighted(score_units(model, whole, whole, execute), self.test)
        seen = self.train.in_double()
        return float((score_units(model, whole, whole, execute) - score_units(model, seen, seen, execute)).sum())


def folds(raw: Source, emission: Emission, n: int, seed: int) -> Iterator[Fold]:
    """``n`` folds of rows, or of sequences; of fewer sequences than folds, of rows one after the other, which are
    missing in what a fit sees (Celeux & Durand 2008, "Selecting hidden Markov model state number with cross-validated
    likelihood", section 3, of half the rows).

    Raises ValueError where rows have to be missing and the family wants every cell, or the data are not in memory.
    """
    whole = prepared_to_fit(raw, emission)
    units = whole.n_sequences
    if whole.ends is None or units >= n:
        if units < n:
            raise ValueError(f"{n} folds of {units} rows: give fewer, or more rows")
        weights = np.ones(units) if whole.weights is None else np.asarray(whole.weights, dtype=float)
        fold = np.random.default_rng(seed).permutation(units) % n
        for i in range(n):
            seen, unseen = np.where(fold == i, 0.0, weights), np.where(fold == i, weights, 0.0)
            yield Fold(replace(whole, weights=seen), whole, unseen)
        return
    if not emission.allows_missing or emission.rows == "table" or not in_memory(raw.X):
        raise ValueError(
            f"{n} folds of {units} sequences: rows of one can be left out where the family takes missing cells and the "
            "data are in memory: give fewer folds"
        )
    if raw.weights is not None and (raw.weights != raw.weights[0]).any():
        raise ValueError(f"{n} folds of {units} sequences of different weights: give fewer folds")
    blocks = np.arange(len(raw)) * n // len(raw)
    for i in range(n):
        X = raw.X.copy()
        X[blocks == i, raw.n_given :] = -1 if X.dtype == np.int32 else np.nan
        left = replace(raw, X=X, missing=True, valued=None)
        yield Fold(prepared_to_fit(left, emission), prepared(replace(raw, missing=True), emission), None)
