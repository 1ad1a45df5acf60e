"""Missing cells filled in: by their conditional means, or by draws."""

from __future__ import annotations

import numpy as np

from estep.data.rows import room
from estep.data.source import Source
from estep.emissions._shared.tables import place_in
from estep.execution.base import Execute
from estep.inference.predictive import Predictive, own_columns, predictive, rows_of
from estep.inference.prepare import prepared
from estep.inference.reading import as_read
from estep.inference.sample import draw_paths
from estep.inference.smooth import predict_proba
from estep.interface import AnyModel
from estep.interface.latent import LEAF_ROWS
from estep.statistics import Array


def impute(model: AnyModel, raw: Source, key: int | None, execute: Execute | None) -> Array:
    """Rows (n, D) as they came, in double, with missing cells filled in given all that is there: by their conditional
    mean, of symbols the likeliest one; with a ``key``, drawn with it (Little & Rubin 2002, sections 5.4 and 11.4)."""
    model = as_read(model, raw)
    source = prepared(raw, model.emission)
    if key is None:
        known = predict_proba(model, source, source, execute, "raise")
    else:
        known = model.latent.components(draw_paths(model, source.in_double(), key, execute))
    known = source.unsorted(known)
    out = room((len(raw), raw.X.shape[1] - raw.n_given), float, raw.X)
    rng = np.random.default_rng(key)
    for i in range(0, len(raw), LEAF_ROWS):
        rows = rows_of(raw.X[i : i + LEAF_ROWS])
        some = np.isnan(rows).any(axis=1)
        if some.any():
            of_rows = known[i : i + LEAF_ROWS][some]
            rows[some] = _means(model, of_rows, rows[some]) if key is None else fill(model, of_rows, rows[some], rng)
        out[i : i + LEAF_ROWS] = rows[:, raw.n_given :]
    return out


def _means(model: AnyModel, p: Array, rows: Array) -> Array:
    """Rows (n, P + D) with conditional means where cells are missing."""
    found, out, own = predictive(model, p, rows), rows.copy(), own_columns(model)
    missing = np.isnan(rows[:, own])
    out[:, own] = np.where(missing, likely_values(found), rows[:, own])
    return out


def likely_values(found: Predictive) -> Array:
    """Means (n, D), of symbols the likeliest."""
    means = found.mean()
    for d, margin in enumerate(found.margins):
        if margin.kind == "symbol":
            means[:, d] = found.likeliest(d)
    return means


def fill(model: AnyModel, states: Array, rows: Array, rng: np.random.Generator) -> Array:
    """Rows (n, P + D) with draws where cells are missing."""
    if model.emission.rows != "table":
        return model.emission.fill(rows, states, rng)
    place, out = place_in(model.emission, model.columns), rows.copy()
    out[:, place] = model.emission.fill(rows[:, place], states, rng)
    return out
