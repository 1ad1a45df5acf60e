"""Covariances of the four types: shapes, factors, and the floor that keeps them positive definite."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np

from estep.statistics import Array

TYPES: dict[str, Callable[[int, int], tuple[int, ...]]] = {
    "full": lambda K, D: (K, D, D),
    "tied": lambda K, D: (D, D),
    "diag": lambda K, D: (K, D),
    "spherical": lambda K, D: (K,),
}
"""The shape of the covariances for K components of D columns, by type."""

RELATIVE = 1e-12
"""The floor, as a fraction of each column's variance."""


def n_free(covariance_type: str, K: int, D: int) -> int:
    """Free parameters in the covariances."""
    return {"full": K * D * (D + 1) // 2, "tied": D * (D + 1) // 2, "diag": K * D, "spherical": K}[covariance_type]


@cache
def upper(D: int) -> tuple[Array, Array]:
    """Rows and columns of the entries i <= j, in the order in which they are packed."""
    return np.triu_indices(D)


@cache
def lower(D: int) -> Array:
    """1 on and below the diagonal, else 0."""
    return np.tri(D)


def unpack(packed: Array, D: int) -> Array:
    """(K, D (D + 1) / 2) entries with i <= j as symmetric matrices (K, D, D)."""
    i, j = upper(D)
    out = np.empty((len(packed), D, D))
    out[:, i, j] = packed
    out[:, j, i] = packed
    return out


def full(covariances: Array, covariance_type: str, K: int, D: int) -> Array:
    """Any type as full matrices (K, D, D)."""
    if covariance_type == "full":
        return covariances
    if covariance_type == "tied":
        return np.broadcast_to(covariances, (K, D, D))
    if covariance_type == "diag":
        return covariances[:, :, None] * np.eye(D)
    return covariances[:, None, None] * np.eye(D)


def factorise(covariances: Array, covariance_type: str) -> tuple[Array, Array]:
    """L^-1 with covariance = L L' (full (K, D, D), tied (D, D)) or 1 / deviation, and the log-determinants.

    The factors are of the matrices scaled to a unit diagonal. Spherical log-determinants are of one column. Raises
    ValueError naming a matrix that is not symmetric and positive definite.
    """
    if covariance_type in ("diag", "spherical"):
        if (covariances <= 0).any():
            where = [int(i) for i in np.argwhere(covariances <= 0)[0]]
            raise ValueError(f"covariances{where} is {covariances[tuple(where)]}: variances are positive")
        log = np.log(covariances)
        return 1 / np.sqrt(covariances), log.sum(axis=1) if covariance_type == "diag" else log
    stack = covariances[None] if covariance_type == "tied" else covariances
    names = ["covariances"] if covariance_type == "tied" else [f"covariances[{k}]" for k in range(len(stack))]
    variances = np.diagonal(stack, axis1=1, axis2=2)
    if (variances <= 0).any():
        k = int(np.argmax((variances <= 0).any(axis=1)))
        v = variances[k]
        raise ValueError(f"{names[k]} is not positive definite: variance {int(np.argmin(v))} is {v.min()}")
    deviations = np.sqrt(variances)
    skew = np.abs(stack - stack.swapaxes(1, 2)) > 1e-6 * deviations[:, :, None] * deviations[:, None, :]
    if skew.any():
        raise ValueError(f"{names[int(np.argmax(skew.any(axis=(1, 2))))]} is not symmetric")
    unit = stack / deviations[:, :, None] / deviations[:, None, :]
    try:
        L = np.linalg.cholesky(unit)
    except np.linalg.LinAlgError:
        bad = names[_first_indefinite(unit)]
        raise ValueError(f"{bad} is not positive definite: add to its diagonal, or use fewer columns") from None
    inverse = np.linalg.inv(L) * lower(L.shape[-1]) / deviations[:, None, :]
    diagonal = np.diagonal(L, axis1=1, axis2=2)
    logdet = 2 * (np.log(diagonal) + np.log(deviations)).sum(axis=1)
    return (inverse[0], logdet[0]) if covariance_type == "tied" else (inverse, logdet)


def _first_indefinite(stack: Array) -> int:
    for k, C in enumerate(stack):
        try:
            np.linalg.cholesky(C)
        except np.linalg.LinAlgError:
            return k
    return 0


def clamp(
    covariances: Array, covariance_type: str, floor: Array | None, reg_covar: float | None
) -> tuple[Array, list[int]]:
    """Covariances raised to the floor, and which components (0 for tied) needed it.

    ``reg_covar``, where given, is added to the diagonals first. Full matrices are clamped in their eigenvalues, in
    units of the columns' deviations, so that the result does not depend on the units.
    """
    if reg_covar:
        if covariance_type in ("diag", "spherical"):
            covariances = covariances + reg_covar
        else:
            covariances = covariances + reg_covar * np.eye(covariances.shape[-1])
    if floor is None:
        return covariances, []
    if covariance_type in ("diag", "spherical"):
        least = floor if covariance_type == "diag" else floor.mean()
        low = covariances < least
        return np.maximum(covariances, least), [int(k) for k in np.flatnonzero(low.reshape(len(low), -1).any(axis=1))]
    stack = covariances[None] if covariance_type == "tied" else covariances
    deviations = np.sqrt(floor / RELATIVE)
    unit = stack / deviations[:, None] / deviations
    least = max(RELATIVE, 64 * np.finfo(float).eps * unit.shape[-1])  # what factorising needs in many columns
    if _well_conditioned(unit, least):
        return covariances, []
    suspects = [k for k in range(len(unit)) if not _well_conditioned(unit[k : k + 1], least)]
    out, clamped = stack.copy(), []
    for k in suspects:
        values, vectors = np.linalg.eigh(unit[k])
        if values[0] >= least:
            continue
        clamped.append(k)
        raised = (vectors * np.maximum(values, least)) @ vectors.T
        out[k] = (raised + raised.T) / 2 * deviations[:, None] * deviations
    return (out[0] if covariance_type == "tied" else out), clamped


def _well_conditioned(unit: Array, least: float) -> bool:
    """Whether all smallest eigenvalues are surely above the least: 1 / trace(C^-1) bounds them from below."""
    try:
        L = np.linalg.cholesky(unit)
    except np.linalg.LinAlgError:
        return False
    return bool(((np.linalg.inv(L) ** 2).sum(axis=(1, 2)) * least <= 1).all())
