"""The densities or probabilities of a column in each component, as curves."""

from __future__ import annotations

import numpy as np

from estep.interface import Margin
from estep.statistics import Array

POINTS = 400
TAIL = 1e-3
"""What is left out at either end, of the component that reaches farthest."""


def curves(margin: Margin) -> tuple[Array, Array]:
    """Values, and the density or probability of each in each component (n, K), from the distribution functions."""
    if margin.kind == "symbol":
        assert margin.table is not None
        return np.arange(margin.table.shape[1]), margin.table.T
    if margin.kind == "angle":
        x = np.linspace(-np.pi, np.pi, POINTS)
    else:
        low, high = float(np.min(margin.around(TAIL)[0])), float(np.max(margin.around(1 - TAIL)[1]))
        x = np.arange(np.floor(low), np.ceil(high) + 1) if margin.kind == "count" else np.linspace(low, high, POINTS)
    if margin.kind == "count":
        return x, margin.cdf(x) - margin.below(x)
    return x, np.maximum(np.gradient(margin.cdf(x), x, axis=0), 0.0)
