"""hmmlearn's ``utils``: arrays made to add up to one, and covariances written out."""

from __future__ import annotations

import numpy as np

from estep.parameters.covariance import full
from estep.statistics import Array


def normalize(a: Array, axis: int | None = None) -> None:
    """Divides ``a`` in place so that it adds up to one, as a whole or along ``axis``; rows of zeros stay."""
    total = a.sum(axis=axis, keepdims=True)
    a /= np.where(total == 0, 1.0, total) if axis else total


def log_normalize(a: Array, axis: int | None = None) -> None:
    """Shifts logarithms in place so that their exponentials add up to one, as a whole or along ``axis``."""
    from scipy.special import logsumexp

    a -= logsumexp(a, axis=axis, keepdims=True)


def fill_covars(covars: Array, covariance_type: str = "full", n_components: int = 1, n_features: int = 1) -> Array:
    """Covariance matrices (K, D, D) of covariances of any type; spherical ones are one number a state."""
    covars = np.asarray(covars)
    if covariance_type == "full":
        return covars
    if covariance_type == "spherical":
        covars = covars.reshape(n_components, -1)
        covars = covars[:, 0] if covars.shape[1] == 1 else covars
        covariance_type = "diag" if covars.ndim == 2 else covariance_type
    return np.array(full(covars, covariance_type, n_components, n_features))
