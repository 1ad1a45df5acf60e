"""The densities or probabilities of a column in each component, as curves."""

from __future__ import annotations

import numpy as np

from estep.inference.predictive import Predictive
from estep.interface import Margin
from estep.statistics import Array

POINTS = 400
TAIL = 1e-3
"""What is left out at either end."""


def curves(margin: Margin, shares: Array, named: bool = False) -> tuple[Array, Array]:
    """Values, and the density or probability of each in each component (n, K), from the distribution functions.

    Values are those that the whole has, by the ``shares`` (K,) of its components. Symbols are all of them where they
    are ``named``, else those that there may be.
    """
    if margin.kind == "symbol":
        assert margin.table is not None
        some = np.arange(margin.table.shape[1]) if named else margin.possible
        return some, margin.table[:, some].T
    if margin.kind == "angle":
        x = np.linspace(-np.pi, np.pi, POINTS)
    else:
        known = shares if np.isfinite(shares).all() else np.full(len(shares), 1 / len(shares))
        whole = Predictive(("",), [margin], known[None], [()])
        low, high = (float(whole.quantile(q)[0, 0]) for q in (TAIL, 1 - TAIL))
        x = np.arange(np.floor(low), np.ceil(high) + 1) if margin.kind == "count" else np.linspace(low, high, POINTS)
    if margin.kind == "count":
        return x, margin.cdf(x) - margin.below(x)
    return x, np.maximum(np.gradient(margin.cdf(x), x, axis=0), 0.0)
