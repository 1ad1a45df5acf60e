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
"""Quantiles that are drawn: of rows as such nothing is told."""
LAGS = 20
FAR = 2.5758
"""Of normal residuals 1 in 100 is farther out."""


def checks(model: Model, raw: Source, columns: Sequence[int], execute: Execute | None) -> dict[str, Any]:
    """Quantiles of the residuals of some columns, their mean and deviation, the share that is far out, and of a chain
    the correlation with the rows before; or ``reason``: why there are none."""
    try:
        residuals = model.pseudo_residuals(raw, execute=execute, on_impossible="skip")
    except ValueError as error:
        return {"columns": [], "reason": str(error)}
    names = columns_of(model)[0]
    found = [_of_column(model, raw, names[d], np.asarray(residuals[:, d])) for d in columns]
    return {"columns": [one for one in found if one is not None], "reason": ""}


def _of_column(model: Model, raw: Source, name: str, residuals: Array) -> dict[str, Any] | None:
    from scipy.stats import kstest

    normal, known = against_normal(residuals)
    if len(known) < 2:
        return None
    some = np.unique(np.linspace(0.005, 0.995, POINTS) * (len(known) - 1)).astype(int)
    lags = autocorrelations(residuals, LAGS, raw.ends)[1:] if model.latent.sequential else np.zeros(0)
    return {
        "name": name,
        "n": len(known),
        "normal": normal[some].tolist(),
        "residual": known[some].tolist(),
        "mean": float(known.mean()),
        "deviation": float(known.std()),
        "far": float((np.abs(known) > FAR).mean()),
        "distance": float(kstest(known, "norm").statistic),
        "autocorrelations": lags.tolist(),
    }
