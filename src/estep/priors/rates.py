"""The prior of rates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from estep.priors.base import Plain
from estep.statistics import Array


@dataclass(frozen=True, eq=False)
class Gamma(Plain):
    """Of rates: ``shape`` events in ``rate`` units (Bishop 2006, eq. 2.146)."""

    shape: Any = 1.0
    rate: Any = 1.0

    name: ClassVar[str] = "gamma"

    def __post_init__(self) -> None:
        self.positive("shape")
        self.positive("rate")

    def mean(self) -> Array:
        return np.asarray(self.shape / self.rate)

    def mode(self, old: Array) -> Array:
        return np.asarray(np.maximum(self.shape - 1, 0.0) / self.rate)

    def check_mode(self, block: str) -> None:
        if (self.shape < 1).any():
            raise ValueError(f"shape of the prior of {block} is from 1 for estimate='map'; estimate='vb' takes any")

    def expected_log(self) -> Array:
        """Expected logarithms of the rates."""
        from scipy.special import digamma

        return np.asarray(digamma(self.shape) - np.log(self.rate))

    def log_density(self, values: Array) -> float:
        from scipy.special import gammaln, xlogy

        a, b = np.broadcast_to(self.shape, values.shape), np.broadcast_to(self.rate, values.shape)
        return float((a * np.log(b) - gammaln(a) + xlogy(a - 1, values) - b * values).sum())

    def divergence(self, prior: Gamma) -> float:
        from scipy.special import digamma, gammaln

        a, b, a0, b0 = self.shape, self.rate, prior.shape, prior.rate
        apart = (a - a0) * digamma(a) - gammaln(a) + gammaln(a0) + a0 * (np.log(b) - np.log(b0)) + a * (b0 - b) / b
        return float(apart.sum())
