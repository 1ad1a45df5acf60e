"""How well a model describes the rows: its pseudo-residuals, summed up by column."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from estep.data.source import Source
from estep.execution.base import Execute
from estep.inference.predictive import columns_of
from estep.inference.residuals import against_normal, autocorrelations
from estep.model import Model
from estep.statistics import Array

POINTS = 99
"""Quantiles that are drawn."""
TOGETHER = 10
"""Residuals of which a mean is told, at least, where rows are not to be."""
LAGS = 20
FAR = 2.5758
"""Of normal residuals 1 in 100 is farther out."""


def checks(
    model: Model, raw: Source, columns: Sequence[int], execute: Execute | None, rows: bool = True
) -> dict[str, Any]:
    """Quantiles of the residuals of some columns, their mean and deviation, the share that is far out, and of a chain
    the correlation with the rows before; or ``reason``: why there are none. Without ``rows``, from whose residuals
    values could be told, means of ten or more that are next to each other."""
    if raw.weights is not None:
        return {"columns": [], "reason": "rows have weights, which residuals have not"}
    try:
        residuals = model.pseudo_residuals(raw, execute=execute, on_impossible="skip")
    except ValueError as error:
        return {"columns": [], "reason": str(error)}
    names = columns_of(model)[0]
    found = [_of_column(model, raw, names[d], np.asarray(residuals[:, d]), rows) for d in columns]
    return {"columns": [one for one in found if one is not None], "reason": ""}


def averaged(found: dict[str, Any]) -> dict[str, Any]:
    """What was found, of whose residuals means of several are told."""
    columns = []
    for column in found["columns"]:
        normal, residual = _means(np.array(column["normal"]), np.array(column["residual"]))
        columns.append({**column, "normal": normal.tolist(), "residual": residual.tolist()})
    return {**found, "columns": columns}


def _of_column(model: Model, raw: Source, name: str, residuals: Array, rows: bool) -> dict[str, Any] | None:
    from scipy.stats import kstest

    normal, known = against_normal(residuals)
    if len(known) < 2:
        return None
    pairs = _points(normal, known) if rows else _means(normal, known)
    lags = autocorrelations(residuals, LAGS, raw.ends)[1:] if model.latent.sequential else np.zeros(0)
    return {
        "name": name,
        "n": len(known),
        "normal": pairs[0].tolist(),
        "residual": pairs[1].tolist(),
        "mean": float(known.mean()),
        "deviation": float(known.std()),
        "far": float((np.abs(known) > FAR).mean()),
        "distance": float(kstest(known, "norm").statistic),
        "autocorrelations": lags.tolist(),
    }


def _points(normal: Array, known: Array) -> tuple[Array, Array]:
    some = np.unique((np.linspace(0.005, 0.995, POINTS) * (len(known) - 1)).astype(int))
    return normal[some], known[some]


def _means(normal: Array, known: Array) -> tuple[Array, Array]:
    groups = min(POINTS, len(known) // TOGETHER)
    if not groups:
        return np.zeros(0), np.zeros(0)
    parts = np.array_split(np.arange(len(known)), groups)
    return np.array([normal[i].mean() for i in parts]), np.array([known[i].mean() for i in parts])
