"""Precisions as scikit-learn shapes them, from covariances and back."""

from __future__ import annotations

from typing import Any

import numpy as np

from estep.emissions import Gaussian
from estep.statistics import Array


def to_covariances(precisions: Any, covariance_type: str) -> Array:
    """Covariances from precisions of the same shape. Raises ValueError where a precision is not positive definite."""
    array = np.asarray(precisions, dtype=np.float64)
    if covariance_type in ("diag", "spherical"):
        if (array <= 0).any():
            raise ValueError("precisions_init: every precision must be positive")
        return 1 / array
    if array.ndim < 2 or array.shape[-1] != array.shape[-2] or not np.isfinite(array).all():
        raise ValueError(f"precisions_init has shape {array.shape}: square matrices of finite numbers are wanted")
    try:
        np.linalg.cholesky(array)
        inverse = np.linalg.inv(array)
    except np.linalg.LinAlgError:
        raise ValueError("precisions_init: a precision matrix is not positive definite") from None
    return np.asarray((inverse + np.swapaxes(inverse, -1, -2)) / 2)


def precision_attributes(emission: Gaussian) -> tuple[Array, Array]:
    """(precisions_, precisions_cholesky_) with scikit-learn's shapes: upper triangular factors P = U U'."""
    inverse, _ = emission.factors
    if emission.covariance_type in ("diag", "spherical"):
        return inverse**2, inverse
    upper = np.swapaxes(inverse, -1, -2)
    return upper @ inverse, upper
