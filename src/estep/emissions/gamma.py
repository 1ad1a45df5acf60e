"""Gamma emissions: positive numbers such as durations and amounts, independent between columns given the state."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from estep.emissions.cells import ABOVE_0, Cells
from estep.emissions.special import gamma_shape, log1p_less, stirling
from estep.statistics import Array
from estep.summary import Summary

MOST = 1e10
"""The largest shape: a deviation of 1e-5 of the mean."""


@dataclass(frozen=True, eq=False)
class Gamma(Cells):
    """Shapes ``shapes`` and rates ``rates`` (K, D): the mean is shape / rate, the variance shape / rate^2.

    ``origin`` (2 D,): the point that the statistics x and log x are taken about, set from the data.
    """

    shapes: Array | None = None
    rates: Array | None = None
    origin: Array | None = None

    name: ClassVar[str] = "gamma"
    parameters: ClassVar[tuple[str, ...]] = ("shapes", "rates")
    per_cell: ClassVar[int] = 2
    wants: ClassVar[str] = "numbers above 0"

    def __post_init__(self) -> None:
        self.check(shapes=(ABOVE_0, np.inf), rates=(ABOVE_0, np.inf))
        if self.origin is None and self.shapes is not None:
            object.__setattr__(self, "origin", np.repeat([1.0, 0.0], self.shapes.shape[1]))
        self.freeze("origin", None)

    def _means(self) -> Array:
        assert self.rates is not None
        return self.first() / self.rates

    def _origins(self) -> tuple[Array, Array]:
        assert self.origin is not None
        x, log_x = self.origin.reshape(2, -1)
        return x, log_x

    def centre(self) -> Array | None:
        return self.origin

    def natural(self, summary: Summary) -> tuple[Array, Array]:
        """shape log(rate) + (shape - 1) log x - rate x - log Gamma(shape), about the origin, where terms are small."""
        assert self.rates is not None
        shapes, means, (x0, log_x0) = self.first(), self._means(), self._origins()
        apart = log1p_less(x0 / means - 1) + (log_x0 - np.log(x0))
        constants = shapes * apart + 0.5 * np.log(shapes) - stirling(shapes) - log_x0
        return constants, np.stack([-self.rates, shapes - 1], axis=1)

    def statistics(self, X: Array) -> list[Array]:
        return [X, np.log(X)]

    def estimate(self, means: Array) -> dict[str, Array]:
        """The mean is the mean, and log(shape) - digamma(shape) is log(mean) less the mean logarithm (Minka 2002)."""
        x0, log_x0 = self._origins()
        ratio = np.maximum(means[:, 0] / x0, -1 + 1e-15)
        shapes = gamma_shape(np.log1p(ratio) + (np.log(x0) - log_x0) - means[:, 1], MOST)
        return {"shapes": shapes, "rates": shapes / (x0 * (1 + ratio))}

    def at_limit(self) -> Array:
        return np.asarray((self.first() >= MOST).any(axis=1))

    def adapt(self, summary: Summary) -> Self:
        return self.evolve(origin=summary.mean)

    def possible(self, X: Array) -> Array:
        return np.asarray(X > 0)

    def sample(self, states: Array, rng: np.random.Generator) -> Array:
        return rng.gamma(self.first()[states], 1 / np.asarray(self.rates)[states])
