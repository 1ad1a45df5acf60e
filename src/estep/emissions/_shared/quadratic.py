"""The kernel of Gaussian log-densities: features where their terms do not cancel, else differences from each mean."""

from __future__ import annotations

import numpy as np

from estep import kernels
from estep.data.summary import Summary
from estep.kernels.reference import gaussian as reference
from estep.kernels.spec import Spec
from estep.parameters.covariance import SMALL, halved
from estep.statistics import Array

LOG_2PI = float(np.log(2 * np.pi))
EPS, EPS_SINGLE = float(np.finfo(np.float64).eps), float(np.finfo(np.float32).eps)
CANCELLATION = 1e-8
"""The largest error of a log-density that the feature form may have before differences take over."""
SINGLE = 4e-3
"""The same in single precision, for the terms' rounding alone: errors of rows average out."""
SINGLE_MEAN = 2e-5
"""The same for the terms of a column, of whose errors the mean over rows keeps a part: that of the mean is 1e-5."""
SINGLE_ROW = 1e-4
"""The largest rounding of a row in single precision, in deviations of a component, before double takes over."""
SINGLE_RANGE, SINGLE_WEIGHT = 1e12, 1e15
"""Columns whose deviations are farther from 1, and weights that are, are not for single precision."""
WIDE = 32
"""Columns from which on differences are also faster, for full covariances."""


def largest(D: int) -> float:
    """The largest size of the terms of a log-density of ``D`` columns whose cancelling is not felt."""
    return CANCELLATION / (D * EPS)


def quadratic(kind: str, mu: Array, inverse: Array, const: Array, origin: Array, summary: Summary) -> Spec:
    """The kernel of ``const - |inverse (x - mu)|^2 / 2``, with x and ``mu`` (K, D) about the origin.

    Features where the bound on their cancellation allows, else differences. A log-density is a sum of terms
    P_ij x_i x_j about the origin, at most D sum_i P_ii R_i^2 for rows within R. Rows in single precision are computed
    in it where it resolves every component. ``inverse``: lower triangular (K, D, D), (D, D) for tied, or (K, D).
    """
    K, D = mu.shape
    wide = kind == "full" and D >= WIDE
    pairs = {"full": 0 if wide else D * (D + 1) // 2, "tied": 0}.get(kind, D)
    weights, shared = np.empty((K, 1 + D + pairs)), None
    radius = summary.radius(origin)
    if wide:
        precisions = np.einsum("kij,kij->kj", inverse, inverse)  # their diagonals
        size = float((precisions @ np.maximum(radius, np.abs(mu).max(axis=0)) ** 2).max())
    elif kind == "tied":
        P, white = inverse.T @ inverse, mu @ inverse.T
        weights[:, 0] = const - 0.5 * (white * white).sum(axis=1)
        weights[:, 1:], shared = white @ inverse, halved(P[None])[0]
        size = float(P.diagonal() @ np.maximum(radius, np.abs(mu).max(axis=0)) ** 2)
    else:
        run = kernels.active().quadratic if kind != "full" or D <= SMALL else reference.quadratic
        size = run(np.ascontiguousarray(mu), np.ascontiguousarray(inverse), const, radius, weights)
        weights = weights[:, : 2 + D] if kind == "spherical" else weights
    single = summary.single and EPS_SINGLE * size**0.5 < SINGLE_ROW and _in_single_range(radius, summary.most_weight)
    safe = size <= (SINGLE / EPS_SINGLE if single else largest(D))
    if single:
        safe = safe and EPS_SINGLE * size / (D * D if kind == "full" else D) <= SINGLE_MEAN
    if safe and not wide:
        near = (mu, inverse, const) if kind in ("full", "diag") else (None, None, None)
        return Spec(kind, K, D, 0, False, False, single, weights, shared, origin, *near)
    if kind == "tied":
        inverse, const = np.repeat(inverse[None], K, axis=0), np.repeat(const, K)
    return Spec(kind, K, D, whitened=True, single=single, origin=origin, means=mu, factor=inverse, lognorm=const)


def _in_single_range(radius: Array, most_weight: float) -> bool:
    """Whether squares of deviations up to ``radius`` (D,), and sums of them, are in the range of float32."""
    some = radius[radius > 0]
    near = some.size == 0 or 1 / SINGLE_RANGE < some.min() <= some.max() < SINGLE_RANGE
    return bool(near) and 1 / SINGLE_WEIGHT < most_weight < SINGLE_WEIGHT
