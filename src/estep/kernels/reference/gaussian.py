"""The M-step of Gaussians and the weights of their log-densities."""

from __future__ import annotations

import numpy as np

from estep.statistics import Array


def factorise(covariances: Array, inverse: Array, logdet: Array) -> bool:
    """L^-1 (n, D, D), lower triangular, with L L' = ``covariances``, and log-determinants (n,), into the last two.

    The matrices are factorised with a unit diagonal. False where one is not positive definite.
    """
    variances = covariances.diagonal(axis1=-2, axis2=-1)
    if not variances.min() > 0:
        return False
    deviations = np.sqrt(variances)
    scale = 1 / deviations
    try:
        L = np.linalg.cholesky(covariances * (scale[:, :, None] * scale[:, None, :]))
    except np.linalg.LinAlgError:
        return False
    inverse[:] = np.linalg.inv(L) * np.tri(L.shape[-1]) * scale[:, None, :]
    logdet[:] = 2 * np.log(L.diagonal(axis1=1, axis2=2) * deviations).sum(axis=1)
    return True


def normals(*_: object) -> bool:
    """Whether Gaussians were fitted to their moments in one call: not here, NumPy does it step by step."""
    return False


def quadratic(mu: Array, inverse: Array, height: Array, radius: Array, weights: Array) -> float:
    """The weights (K, F) of ``height`` (K,) - |inverse (x - mu)|^2 / 2 as a sum of 1, x and products of x.

    All about one point; ``inverse`` (K, D, D) lower triangular, or (K, D). Returns the largest sum over i of
    P_ii radius_i^2 (P: inverse' inverse), with radii that hold all ``mu`` (K, D).
    """
    dense, D = inverse.ndim == 3, mu.shape[1]
    P = inverse.swapaxes(1, 2) @ inverse if dense else inverse**2
    white = (inverse @ mu[:, :, None])[:, :, 0] if dense else inverse * mu
    weights[:, 0] = height - 0.5 * (white * white).sum(axis=1)
    weights[:, 1 : 1 + D] = (white[:, None, :] @ inverse)[:, 0] if dense else P * mu
    i, j = np.triu_indices(D)
    weights[:, 1 + D :] = P[:, i, j] * np.where(i == j, -0.5, -1.0) if dense else -0.5 * P
    far = np.maximum(radius, np.abs(mu).max(axis=0))
    return float(((P.diagonal(axis1=1, axis2=2) if dense else P) @ far**2).max())
