"""hmmlearn's ``stats``: densities of Gaussians."""

from __future__ import annotations

from typing import Any

import numpy as np

from estep.compat.hmmlearn.hmm import GaussianHMM
from estep.statistics import Array


def log_multivariate_normal_density(X: Any, means: Any, covars: Any, covariance_type: str = "diag") -> Array:
    """Log-densities (n, K) of rows X (n, D) under Gaussians of any type of covariances."""
    K, D = np.shape(means)
    model = GaussianHMM(K, covariance_type)
    model.startprob_, model.transmat_ = np.full(K, 1 / K), np.full((K, K), 1 / K)
    model.means_, model._covars_, model.n_features = np.asarray(means, float), np.asarray(covars, float), D
    return model._compute_log_likelihood(np.asarray(X, float))
