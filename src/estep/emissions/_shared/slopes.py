"""How the log-densities of normal rows depend on means and covariances."""

from __future__ import annotations

import numpy as np

from estep.statistics import Array


def slopes_of_normals(moments: tuple[Array, Array], factors: Array, rows: Array) -> tuple[Array, Array]:
    """The slopes by means (K, D) and covariances (K, D, D), from first and second moments about the means, inverse
    Cholesky factors, and how many ``rows`` (K,) there are (Petersen & Pedersen 2012, eq. 57 and 61)."""
    first, second = moments
    P = factors.swapaxes(1, 2) @ factors
    return (P @ first[:, :, None])[:, :, 0], (P @ second @ P - rows[:, None, None] * P) / 2


def of_type(slopes: Array, covariance_type: str) -> Array:
    """Slopes by covariances of a type, from those by matrices (K, D, D)."""
    if covariance_type == "full":
        return slopes
    if covariance_type == "tied":
        return np.asarray(slopes.sum(axis=0))
    variances = np.diagonal(slopes, axis1=1, axis2=2)
    return np.asarray(variances if covariance_type == "diag" else variances.sum(axis=1))
