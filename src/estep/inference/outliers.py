"""How unusual rows are: the probability that the model gives a row with a density as low."""

from __future__ import annotations

from typing import Any

import numpy as np

from estep.data.missing import is_missing
from estep.data.rows import room
from estep.data.source import Source
from estep.execution.base import Execute
from estep.inference.conditional import as_source_of
from estep.inference.predictive import own_columns
from estep.inference.prepare import prepared
from estep.inference.reading import as_read, check_draws_like
from estep.inference.score import score_units
from estep.interface import AnyModel
from estep.interface.latent import LEAF_ROWS
from estep.statistics import Array
from estep.util.numbers import as_whole

SAME = 1e-9
"""Log-densities that differ by less, relatively, are the same: counts come again and again."""


def outlier_probabilities(model: Any, raw: Source, n: Any, random_state: Any, execute: Execute | None) -> Array:
    """P(a row of the model has a log-density as low as this one's), (n,), by the ranks of ``n`` rows that are drawn.

    Under the model they are uniform between 0 and 1; the least is 1 / (n + 1), and an estimate p has a standard error
    of sqrt(p (1 - p) / n). A row with missing cells is compared with draws that lack the same ones; one without values
    has 1.
    """
    n = as_whole("n_draws", n)
    model = as_read(model, raw)
    source = prepared(raw, model.emission)
    check_draws_like(model, raw)
    logs = source.unsorted(score_units(model, source, source, execute))
    drawn, own = model.sample(int(n), random_state)[0], own_columns(model)
    rows = np.full((len(drawn), raw.X.shape[1]), np.nan)
    rows[:, own] = drawn
    ranked: dict[bytes, Array] = {}
    out = room(len(raw), float, raw.X)
    for i in range(0, len(raw), LEAF_ROWS):
        missing = is_missing(raw.X[i : i + LEAF_ROWS])[:, own]
        patterns, which = np.unique(missing, axis=0, return_inverse=True)
        for j, pattern in enumerate(patterns):
            key, mine = pattern.tobytes(), np.flatnonzero(which.ravel() == j)
            if key not in ranked:
                ranked[key] = np.sort(_log_densities(model, rows, own[pattern]))
            own_logs = logs[i + mine]
            below = np.searchsorted(ranked[key], own_logs + SAME * (1 + np.abs(own_logs)), side="right")
            out[i + mine] = 1.0 if pattern.all() else (1 + below) / (1 + len(drawn))
    return out


def _log_densities(model: AnyModel, rows: Array, missing: Array) -> Array:
    """Of draws that lack some columns."""
    some = rows.copy()
    some[:, missing] = np.nan
    source = prepared(as_source_of(model, some), model.emission)
    return source.unsorted(score_units(model, source, source, None))
