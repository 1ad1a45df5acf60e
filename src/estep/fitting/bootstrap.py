"""How much estimates vary: the same fit to data that are drawn again, by rows, by sequences, or from the model.

Efron & Tibshirani 1993, chapters 6 and 13; for mixtures McLachlan & Peel 2000, section 2.16.
"""

from __future__ import annotations

import warnings
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from estep.data.missing import is_missing
from estep.data.source import Source
from estep.emissions._shared.tables import as_table
from estep.execution.base import Execute
from estep.fitting.alignment import aligned
from estep.fitting.restarts import fit_prepared
from estep.fitting.stopping import Stop
from estep.inference.predictive import own_columns
from estep.inference.prepare import prepared_to_fit
from estep.inference.reading import as_read, check_draws_like
from estep.interface import Algorithm
from estep.model import Model
from estep.statistics import Array
from estep.util.memory import require_memory
from estep.util.numbers import as_share, as_whole
from estep.util.quiet import quiet

KINDS = ("rows", "sequences", "parametric")
ENOUGH = 10
"""Sequences from which on these are drawn again; fewer say little of how much they vary."""


@dataclass(frozen=True, eq=False)
class Bootstrap:
    """``replicates``: of each parameter by name, (n, ...), components in the order of ``model``'s; ``kind``: how data
    were drawn; ``failed``: how many fits there were without a result."""

    model: Model
    kind: str
    replicates: dict[str, Array]
    failed: int = 0

    def standard_errors(self) -> dict[str, Array]:
        """The standard deviation of each parameter over the replicates, in its shape."""
        return {name: values.std(axis=0, ddof=1) for name, values in self.replicates.items()}

    def intervals(self, level: float = 0.95) -> dict[str, tuple[Array, Array]]:
        """Lower and upper limits of each parameter, in its shape: quantiles of the replicates."""
        inside = as_share(level, "level")
        low, high = (1 - inside) / 2, (1 + inside) / 2
        both = {name: np.quantile(values, [low, high], axis=0) for name, values in self.replicates.items()}
        return {name: (lower, upper) for name, (lower, upper) in both.items()}


def bootstrap(
    model: Model,
    raw: Source,
    n: Any,
    kind: str | None,
    random_state: Any,
    algorithm: Algorithm,
    stop: Stop,
    execute: Execute,
) -> Bootstrap:
    """``n`` fits, each from ``model`` on, to data drawn again. An interrupt returns those there are.

    Raises ValueError for an unknown kind, or a number of replicates below 2.
    """
    if model.posterior is not None:
        raise ValueError("a variational fit has posteriors, which say how sure it is: model_.posterior")
    kind = _kind(kind, raw)
    n = as_whole("n_replicates", n, 2)
    values = {**model.latent.values(), **model.emission.values()}
    require_memory(f"n_replicates is {n}: their parameters", 8 * n * sum(np.asarray(v).size for v in values.values()))
    source = prepared_to_fit(raw, model.emission)
    if kind == "parametric":
        drawn(model, raw, np.random.default_rng(0))  # what cannot be drawn is said before
    found: list[Model] = []
    failed, streams = 0, np.random.default_rng(random_state).spawn(n)
    with quiet(), suppress(KeyboardInterrupt):
        for rng in streams:
            try:
                again = drawn(model, raw, rng) if kind == "parametric" else _resampled(source, rng)
                fit = fit_prepared(model, prepared_to_fit(again, model.emission), algorithm, stop, execute)
            except ValueError:
                failed += 1
                continue
            if fit.stop_reason == "interrupted":
                break
            found.append(fit.model if model.constraints is not None else aligned(fit.model, model))
    if len(found) < 2:
        raise ValueError(f"{failed} of {failed + len(found)} fits to data drawn again had no result")
    if failed:
        warnings.warn(f"bootstrap: {failed} of {n} fits had no result and are left out", RuntimeWarning, stacklevel=3)
    both = [{**one.latent.values(), **one.emission.values()} for one in found]
    return Bootstrap(model, kind, {name: np.array([one[name] for one in both]) for name in values}, failed)


def _kind(kind: str | None, source: Source) -> str:
    chain = source.ends is not None
    if kind is None:
        return "parametric" if chain and source.n_sequences < ENOUGH else "sequences" if chain else "rows"
    if kind not in KINDS or ((kind == "rows") == chain and kind != "parametric"):
        allowed = ("sequences", "parametric") if chain else ("rows", "parametric")
        raise ValueError(f"kind is {kind!r}: it is {' or '.join(map(repr, allowed))} here")
    return kind


def _resampled(source: Source, rng: np.random.Generator) -> Source:
    """Rows or sequences drawn again with replacement: as often as their weights say in all."""
    n = source.n_sequences
    weights = np.ones(n) if source.weights is None else np.asarray(source.weights, dtype=float)
    counts = rng.multinomial(max(round(float(weights.sum())), 1), weights / weights.sum())
    return replace(source, weights=counts.astype(float))


def drawn(model: Model, raw: Source, rng: np.random.Generator) -> Source:
    """Data from the model, of the shape of those that came: sequences, covariates and missing cells are theirs."""
    model, n, P = as_read(model, raw), len(raw), raw.n_given
    check_draws_like(model, raw)
    lengths = [n] if raw.ends is None else np.diff(raw.ends, prepend=0).tolist()
    states = np.concatenate([model.latent.sample(int(T), rng) for T in lengths if T])
    given = np.asarray(raw.X[:, :P], dtype=float)
    emission = model.emission
    rows = emission.sample_given(states, given, rng) if P else emission.sample(states, rng)
    X = np.array(raw.X[:n], dtype=float)
    own = own_columns(model)
    rows = rows[:, as_table(emission, model.columns)] if emission.rows == "table" else rows
    X[:, own] = np.where(is_missing(raw.X[:n])[:, own], np.nan, rows)
    if emission.rows == "symbols":
        X = np.where(np.isnan(X), -1, X).astype(np.int32)
    return replace(raw, X=X, evidence=None, missing=False, valued=None)
