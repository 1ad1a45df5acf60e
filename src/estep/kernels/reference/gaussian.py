"""The M-step of Gaussians and the weights of their log-densities."""

from __future__ import annotations

import numpy as np

from estep.statistics import Array

BLOCK = 64  # columns up to which an inverse is LAPACK's


def factorise(covariances: Array, inverse: Array, logdet: Array) -> bool:
    """L^-1 (n, D, D), lower triangular, with L L' = ``covariances``, and log-determinants (n,), into the last two.

    The matrices are factorised with a unit diagonal. False where one is not positive definite.
    """
    variances = covariances.diagonal(axis1=-2, axis2=-1)
    if not variances.min() > 0:
        return False
    deviations = np.sqrt(variances)
    scale = 1 / deviations
    for k, C in enumerate(covariances):  # one at a time: of many columns, a few matrices are all that fits
        try:
            L = np.linalg.cholesky(C * scale[k, :, None] * scale[k])
        except np.linalg.LinAlgError:
            return False
        _invert(L, inverse[k])
        inverse[k] *= scale[k]
        logdet[k] = 2 * np.log(L.diagonal() * deviations[k]).sum()
    return True


def _invert(L: Array, out: Array) -> None:
    """L^-1 of a lower triangular matrix: halves by themselves, what is below them by products."""
    D, half = len(L), len(L) // 2
    if D <= BLOCK:
        out[:] = np.linalg.inv(L) * np.tri(D)
        return
    _invert(L[:half, :half], out[:half, :half])
    _invert(L[half:, half:], out[half:, half:])
    out[:half, half:] = 0.0
    out[half:, :half] = -(out[half:, half:] @ L[half:, :half]) @ out[:half, :half]


def normals(*_: object) -> bool:
    """Whether Gaussians were fitted to their moments in one call: not here, NumPy does it step by step."""
    return False


def climb(*_: object) -> int:
    """How many EM steps were made in one call: none, they are made one by one."""
    return 0


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
