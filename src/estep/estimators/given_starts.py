"""Starts that are given to a Gaussian mixture, checked against its data; errors are in scikit-learn's words."""

from __future__ import annotations

from typing import Any

import numpy as np

from estep.parameters.covariance import TYPES
from estep.statistics import Array
from estep.util.numbers import as_numbers

SUM = 1e-6
"""How far the sum of weights may be from 1."""


def check_starts(K: int, D: int, covariance_type: str, weights: Any, means: Any, precisions: Any) -> None:
    """Raises ValueError for weights, means or precisions that are not those of K components of D columns."""
    if weights is not None:
        _check_weights(as_numbers(weights, "weights_init"), K)
    if means is not None:
        _check_shape("means", as_numbers(means, "means_init"), (K, D))
    if precisions is not None and covariance_type in TYPES:
        name = f"{covariance_type} precision"
        array = as_numbers(precisions, "precisions_init")
        _check_shape(name, array, TYPES[covariance_type](K, D))
        if covariance_type in ("diag", "spherical"):
            if (array <= 0).any():
                raise ValueError(f"The parameter '{name}' should be positive")
        elif not all(map(_is_positive, array.reshape(-1, D, D))):
            raise ValueError(f"The parameter '{name}' should be symmetric, positive-definite")


def _check_shape(name: str, array: Array, shape: tuple[int, ...]) -> None:
    if array.shape != shape:
        raise ValueError(f"The parameter '{name}' should have the shape of {shape}, but got {array.shape}")


def _check_weights(weights: Array, K: int) -> None:
    _check_shape("weights", weights, (K,))
    if not ((weights >= 0) & (weights <= 1)).all():
        raise ValueError(
            "The parameter 'weights' should be in the range [0, 1], but got max value "
            f"{weights.min():.5f}, min value {weights.max():.5f}"
        )
    if abs(weights.sum() - 1) > SUM:
        raise ValueError(f"The parameter 'weights' should be normalized, but got sum(weights) = {weights.sum():.5f}")


def _is_positive(matrix: Array) -> bool:
    if not np.isfinite(matrix).all() or not np.allclose(matrix, matrix.T):
        return False
    return bool(np.linalg.eigvalsh(matrix).min() > 0)
