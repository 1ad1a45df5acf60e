"""Pseudo-residuals: where each cell lies in its distribution given the rows before, as a standard normal number."""

from __future__ import annotations

from typing import Any

import numpy as np

from estep.data.rows import room
from estep.data.source import Source
from estep.execution.base import Execute
from estep.inference.filter import Predict
from estep.inference.predictive import columns_of, own_columns, predictive, rows_of
from estep.inference.prepare import prepared
from estep.inference.reading import as_read, check_draws_like
from estep.inference.smooth import probabilities
from estep.interface import AnyModel
from estep.interface.latent import LEAF_ROWS
from estep.statistics import Array

LEAST = 1e-16
"""Probabilities this near 0 or 1 are taken for it: a residual of 8 deviations."""


def pseudo_residuals(
    model: AnyModel, raw: Source, random_state: Any, execute: Execute | None, on_impossible: str
) -> Array:
    """Residuals (n, D) of rows as they came: normal and independent of each other in time where the model is right
    (Zucchini & MacDonald 2009, section 6.2.3). NaN for missing cells.

    Those of counts and symbols are drawn between the ends of their step (Dunn & Smyth 1996). Of several columns each
    is taken by itself.
    """
    from scipy.special import ndtri

    P, names = model.emission.n_covariates, columns_of(model)[0]
    model = as_read(model, raw)
    check_draws_like(model, raw)
    found = columns_of(model)[0]
    order = [found.index(name) for name in names] if set(found) == set(names) else list(range(len(found)))
    source = prepared(raw, model.emission)
    p = probabilities(Predict(model), source, source.in_double(), execute, on_impossible)
    p = p if source.order is None else source.unsorted(p)
    out, rng = room((len(raw), len(own_columns(model))), float, raw.X), np.random.default_rng(random_state)
    for i in range(0, len(raw), LEAF_ROWS):
        rows = rows_of(raw.X[i : i + LEAF_ROWS])
        own = rows[:, own_columns(model)]
        known = None if not P else np.hstack([rows[:, :P], np.full(own.shape, np.nan)])
        below, upto = predictive(model, p[i : i + LEAF_ROWS], known).cdf(own)
        u = below + rng.random(own.shape) * (upto - below)
        out[i : i + LEAF_ROWS] = ndtri(np.clip(u, LEAST, 1 - LEAST))[:, order]
    return out


def against_normal(residuals: Array) -> tuple[Array, Array]:
    """Residuals (n,) in their order, and the quantiles of a normal distribution that they are compared with; those that
    are NaN are left out."""
    from scipy.special import ndtri

    known = np.sort(residuals[~np.isnan(residuals)])
    return np.asarray(ndtri((np.arange(len(known)) + 0.5) / max(len(known), 1))), known


def autocorrelations(residuals: Array, lags: int, ends: Array | None = None) -> Array:
    """Of lags 0, 1, ... of residuals (n,) of sequences with ``ends``, which NaN take no part in."""
    apart = np.nan_to_num(residuals - np.nanmean(residuals))
    n = len(apart)
    place = np.zeros(n, np.int64) if ends is None else np.searchsorted(ends, np.arange(n), side="right")
    sums = []
    for lag in range(min(lags, n - 1) + 1):
        together = place[: n - lag] == place[lag:]
        sums.append(float((apart[: n - lag] * together) @ apart[lag:]))
    return np.array(sums) / (sums[0] or 1.0)
