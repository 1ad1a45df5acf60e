"""Precisions as scikit-learn shapes them, from covariances and back."""

from __future__ import annotations

from typing import Any

import numpy as np

from estep.parameters.covariance import TYPES, factorise
from estep.statistics import Array
from estep.util.numbers import as_numbers


def to_covariances(precisions: Any, covariance_type: str, K: int, name: str = "precisions_init") -> Array:
    """Covariances of K components from precisions of the same shape.

    Raises ValueError for another shape, and where a precision is not positive definite.
    """
    array = as_numbers(precisions, name).astype(np.float64)
    if not np.isfinite(array).all():
        raise ValueError(f"{name} holds {array[~np.isfinite(array)][0]}: precisions are finite")
    D = array.shape[-1] if array.ndim else 1
    if array.shape != TYPES[covariance_type](K, D):
        want = TYPES[covariance_type](K, D)
        raise ValueError(f"{name} has shape {array.shape}, expected {want} for covariance_type={covariance_type!r}")
    if covariance_type in ("diag", "spherical"):
        if (array <= 0).any():
            raise ValueError(f"{name}: every precision must be positive")
        return 1 / array
    scale = np.sqrt(np.abs(np.diagonal(array, axis1=-2, axis2=-1)))
    if (np.abs(array - np.swapaxes(array, -1, -2)) > 1e-6 * scale[..., :, None] * scale[..., None, :]).any():
        raise ValueError(f"{name}: a precision matrix is not symmetric")
    try:
        np.linalg.cholesky(array)
        inverse = np.linalg.inv(array)
    except np.linalg.LinAlgError:
        raise ValueError(f"{name}: a precision matrix is not positive definite") from None
    return np.asarray((inverse + np.swapaxes(inverse, -1, -2)) / 2)


def precisions_of(covariances: Array, covariance_type: str) -> tuple[Array, Array]:
    """(precisions_, precisions_cholesky_) with scikit-learn's shapes: upper triangular factors P = U U'.

    In the precision of the covariances.
    """
    inverse, _ = factorise(covariances.astype(np.float64), covariance_type)
    if covariance_type in ("diag", "spherical"):
        both = inverse**2, inverse
    else:
        upper = np.swapaxes(inverse, -1, -2)
        both = upper @ inverse, upper
    return both[0].astype(covariances.dtype), both[1].astype(covariances.dtype)
