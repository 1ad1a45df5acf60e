"""Covariances of the four types: shapes, factors, and the floor that keeps them positive definite."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import cache

import numpy as np

from estep import kernels
from estep.kernels.reference import gaussian as reference
from estep.statistics import Array

TYPES: dict[str, Callable[[int, int], tuple[int, ...]]] = {
    "full": lambda K, D: (K, D, D),
    "tied": lambda K, D: (D, D),
    "diag": lambda K, D: (K, D),
    "spherical": lambda K, D: (K,),
}
"""The shape of the covariances for K components of D columns, by type."""

SMALL = 16
"""Columns up to which the compiled factors, without the cost of several calls, take less time than LAPACK's."""

RELATIVE = 1e-12
"""The floor, as a fraction of each column's variance."""
EPS = float(np.finfo(np.float64).eps)
RESOLVED = 4 * EPS
"""The least variance, as a fraction of the second moment about the origin that it is taken from: less is rounding."""


@cache
def upper(D: int) -> tuple[Array, Array]:
    """Rows and columns of the entries i <= j, in the order in which they are packed."""
    return np.triu_indices(D)


def unpack(packed: Array, D: int) -> Array:
    """(K, D (D + 1) / 2) entries with i <= j as symmetric matrices (K, D, D)."""
    out = np.empty((len(packed), D, D))
    if D > SMALL:  # row by row: the places of all entries take as much room as the entries
        at = 0
        for row in range(D):
            out[:, row, row:] = out[:, row:, row] = packed[:, at : at + D - row]
            at += D - row
        return out
    i, j = upper(D)
    out[:, i, j] = out[:, j, i] = packed
    return out


@cache
def _flat(D: int) -> tuple[Array, Array]:
    """Where the entries i <= j are in a flat matrix, and -1/2 on the diagonal, -1 beside it."""
    i, j = upper(D)
    return i * D + j, np.where(i == j, -0.5, -1.0)


def halved(matrices: Array) -> Array:
    """-x' C x / 2 as weights of the products x_i x_j (i <= j): (K, D, D) to (K, D (D + 1) / 2)."""
    place, factor = _flat(matrices.shape[-1])
    return np.asarray(matrices.reshape(len(matrices), -1)[:, place] * factor)


def full(covariances: Array, covariance_type: str, K: int, D: int) -> Array:
    """Any type as full matrices (K, D, D)."""
    if covariance_type == "full":
        return covariances
    if covariance_type == "tied":
        return np.broadcast_to(covariances, (K, D, D))
    if covariance_type == "diag":
        return covariances[:, :, None] * np.eye(D)
    return covariances[:, None, None] * np.eye(D)


def of_variances(variance: Array, covariance_type: str, K: int) -> Array:
    """Covariances of K components that have the variances (D,), and nothing else."""
    if covariance_type == "spherical":
        return np.full(K, variance.mean())
    one = variance if covariance_type == "diag" else np.diag(variance)
    return one if covariance_type == "tied" else np.tile(one, (K, *[1] * one.ndim))


def check(covariances: Array, covariance_type: str) -> None:
    """Raises ValueError naming what is not symmetric and positive definite."""
    if covariance_type in ("diag", "spherical"):
        if (covariances <= 0).any():
            where = [int(i) for i in np.argwhere(covariances <= 0)[0]]
            raise ValueError(f"covariances{where} is {covariances[tuple(where)]}: variances are positive")
        return
    for k, C in enumerate(covariances[None] if covariance_type == "tied" else covariances):
        name, variances = "covariances" if covariance_type == "tied" else f"covariances[{k}]", np.diagonal(C)
        if (variances <= 0).any():
            d = int(np.argmin(variances))
            raise ValueError(f"{name} is not positive definite: variance {d} is {variances[d]}")
        deviations = np.sqrt(variances)
        if (np.abs(C - C.T) > 1e-6 * np.outer(deviations, deviations)).any():
            raise ValueError(f"{name} is not symmetric")
        try:
            np.linalg.cholesky(C / deviations[:, None] / deviations)
        except np.linalg.LinAlgError:
            text = f"{name} is not positive definite: add to its diagonal, or use fewer columns"
            raise ValueError(text) from None


def factorise(covariances: Array, covariance_type: str) -> tuple[Array, Array]:
    """L^-1 with covariance = L L' (full (K, D, D), tied (D, D)) or 1 / deviation, and the log-determinants.

    The factors are of the matrices scaled to a unit diagonal. Spherical log-determinants are of one column. Raises
    LinAlgError where a matrix is not positive definite.
    """
    if covariance_type in ("diag", "spherical"):
        log = np.log(covariances)
        return 1 / np.sqrt(covariances), log.sum(axis=1) if covariance_type == "diag" else log
    stack = np.ascontiguousarray(covariances if covariances.ndim == 3 else covariances[None])
    inverse, logdet = np.empty(stack.shape), np.empty(len(stack))
    run = kernels.active().factorise if stack.shape[-1] <= SMALL else reference.factorise
    if not run(stack, inverse, logdet):
        raise np.linalg.LinAlgError("a matrix is not positive definite")
    return (inverse, logdet) if covariances.ndim == 3 else (inverse[0], logdet[0])


def regularise(
    covariances: Array, covariance_type: str, floor: Array | None, reg_covar: float | None
) -> tuple[Array, tuple[Array, Array], list[int]]:
    """Covariances with ``reg_covar`` added and raised to the floor, (D,) or (K, D); their factors, and which components
    needed it."""
    covariances = add(covariances, covariance_type, reg_covar)
    if covariance_type in ("full", "tied"):
        with suppress(np.linalg.LinAlgError):
            factors = factorise(covariances, covariance_type)
            if floor is None or bool(_above(covariances, factors[0], floor).all()):
                return covariances, factors, []
    covariances, clamped = clamp(covariances, covariance_type, floor)
    return covariances, factorise(covariances, covariance_type), clamped


def _above(covariances: Array, inverse: Array, floor: Array) -> Array:
    """Whether a matrix's smallest eigenvalue, in units of the columns, is surely above the least: traces bound it."""
    largest = (covariances.diagonal(axis1=-2, axis2=-1) * (RELATIVE / floor)).sum(axis=-1)
    trace = (np.einsum("...ij,...ij->...j", inverse, inverse) * floor).sum(axis=-1) / RELATIVE
    return np.asarray(trace * _least(floor.shape[-1], largest) <= 1)


def _least(D: int, largest: Array) -> Array:
    """The least eigenvalue in units of the columns: the floor, or what factorising needs beside the largest one."""
    return np.maximum(RELATIVE, EPS * D * np.maximum(max(64, 2 * D), largest))


def add(covariances: Array, covariance_type: str, reg_covar: float | None) -> Array:
    """``reg_covar`` added to the diagonals."""
    if not reg_covar:
        return covariances
    if covariance_type in ("diag", "spherical"):
        return covariances + reg_covar
    return np.asarray(covariances + reg_covar * np.eye(covariances.shape[-1]))


def clamp(covariances: Array, covariance_type: str, floor: Array | None) -> tuple[Array, list[int]]:
    """Covariances raised to the floor, (D,) or (K, D), and which components (0 for tied) needed it.

    Full matrices are clamped in their eigenvalues, in units of the columns' deviations, so that the result does not
    depend on the units.
    """
    if floor is None:
        return covariances, []
    if covariance_type in ("diag", "spherical"):
        least = floor if covariance_type == "diag" else floor.mean(axis=-1)
        low = covariances < least
        return np.maximum(covariances, least), [int(k) for k in np.flatnonzero(low.reshape(len(low), -1).any(axis=1))]
    stack = covariances[None] if covariance_type == "tied" else covariances
    with suppress(np.linalg.LinAlgError):
        if stack.shape[-1] <= SMALL and _above(stack, factorise(stack, "full")[0], floor).all():
            return covariances, []
    out, clamped = stack, list[int]()
    for k, (C, least) in enumerate(zip(stack, np.broadcast_to(floor, stack.shape[:2]), strict=True)):
        raised = _clamp_one(C, least)
        if raised is not None:
            out = out if clamped else np.array(stack)
            out[k] = raised
            clamped.append(k)
    return (out[0] if covariance_type == "tied" else out), clamped


def _clamp_one(C: Array, floor: Array) -> Array | None:
    """A matrix raised to the floor; None where it is above."""
    with suppress(np.linalg.LinAlgError):
        if _above(C, factorise(C[None], "full")[0][0], floor):
            return None
    deviations = np.sqrt(floor / RELATIVE)
    values, vectors = np.linalg.eigh(C / deviations[:, None] / deviations)
    least = _least(len(values), values[-1])
    if values[0] >= least * (1 - 1e-9):  # what has been put at the floor is not below it by rounding
        return None
    return _of_eigenvalues(np.maximum(values, least), vectors, deviations)


def _of_eigenvalues(values: Array, vectors: Array, deviations: Array) -> Array:
    """The matrix with these eigenvalues and vectors in units of the columns' deviations."""
    vectors *= np.sqrt(values)
    vectors *= deviations[:, None]
    return np.asarray(vectors @ vectors.T)  # symmetric to the bit


NEAR = 2.0
"""A variance is at its floor up to so many times it."""


def widened(covariances: Array, covariance_type: str, least: Array, floor: Array, share: float) -> Array:
    """Covariances in which variances at the floor ``least`` (K, D), of matrices eigenvalues, are ``share`` of the
    columns' squared scales, of which ``floor`` (D,) is RELATIVE."""
    scales = floor / RELATIVE
    if covariance_type == "spherical":
        return np.where(covariances <= NEAR * least.mean(axis=1), share * scales.mean(), covariances)
    if covariance_type == "diag":
        return np.where(covariances <= NEAR * least, share * scales, covariances)
    stack = covariances[None] if covariance_type == "tied" else covariances
    deviations, out = np.sqrt(scales), []
    for C, low in zip(stack, np.broadcast_to(least, (len(stack), len(floor))), strict=True):
        values, vectors = np.linalg.eigh(C / deviations[:, None] / deviations)
        lowest = _least(len(values), values[-1])
        narrow = values <= NEAR * np.maximum(lowest, (low / scales).max())
        wide = np.where(narrow, np.maximum(share, lowest), values)
        out.append(_of_eigenvalues(wide, vectors, deviations) if narrow.any() else C)
    return out[0] if covariance_type == "tied" else np.stack(out)
