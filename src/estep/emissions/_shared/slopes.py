"""How the log-densities of normal rows depend on means and covariances."""

from __future__ import annotations

import numpy as np

from estep.parameters.covariance import unpack
from estep.statistics import Array, Statistics


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


def moments_about(means: Array, s: Statistics, covariance_type: str) -> tuple[Array, Array]:
    """First (K, D) and second moments (K, D, D) about means, which are themselves about the origin of the statistics.

    Of a type that has no more, second moments are diagonals alone, or their sum in the first entry; of tied ones all
    are in the first component.
    """
    (K, D), moments = means.shape, s["moments"]
    mass, first, second = moments[:, 0], moments[:, 1 : 1 + D], np.zeros((K, D, D))
    if covariance_type == "tied":
        second[:1] = unpack(s["second"][None], D)
    elif covariance_type == "full":
        second = unpack(moments[:, 1 + D :], D)
    else:
        np.einsum("kdd->kd", second)[:, : D if covariance_type == "diag" else 1] = moments[:, 1 + D :]
    cross = means[:, :, None] * first[:, None, :]
    squares = mass[:, None, None] * means[:, :, None] * means[:, None, :]
    return first - mass[:, None] * means, second - cross - cross.swapaxes(1, 2) + squares
