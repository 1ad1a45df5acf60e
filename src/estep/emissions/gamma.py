"""Gamma emissions: positive numbers such as durations and amounts, independent between columns given the state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from estep.data.summary import Summary
from estep.emissions._shared.cells import PseudoCells
from estep.emissions._shared.special import gamma_shape, inverse_digamma, log_less_digamma, stirling
from estep.parameters.domains import ABOVE_0, Numbers, Parameter
from estep.priors import Prior, PseudoRows
from estep.statistics import Array, Statistics

MOST = 1e10
"""The largest shape: a deviation of 1e-5 of the mean."""


@dataclass(frozen=True, eq=False)
class Gamma(PseudoCells):
    """Shapes ``shapes`` and rates ``rates`` (K, D): the mean is shape / rate, the variance shape / rate^2.

    ``origin`` (2 D,): the point that the statistics x and log x are taken about, zero and the data's mean of log x.
    """

    shapes: Array | None = None
    rates: Array | None = None
    origin: Array | None = None

    name: ClassVar[str] = "gamma"
    parameters: ClassVar[tuple[str, ...]] = ("shapes", "rates")
    takes: ClassVar[Mapping[str, tuple[type[Prior], ...]]] = {"shapes": (PseudoRows,)}
    per_cell: ClassVar[int] = 2
    wants: ClassVar[str] = "numbers above 0"

    def describe(self) -> dict[str, Parameter]:
        return {"shapes": Parameter(Numbers(ABOVE_0), one="shape"), "rates": Parameter(Numbers(ABOVE_0), one="rate")}

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.origin is None and self.shapes is not None:
            object.__setattr__(self, "origin", np.zeros(2 * self.shapes.shape[1]))
        self.freeze("origin", None if self.shapes is None else (2 * np.shape(self.shapes)[1],))

    def _means(self) -> Array:
        assert self.rates is not None
        return self.first() / self.rates

    def _middle(self) -> Array:
        """The origin of log x, (D,)."""
        assert self.origin is not None
        return np.asarray(self.origin.reshape(2, -1)[1])

    def centre(self) -> Array | None:
        return self.origin

    def terms(self) -> tuple[Array, Array]:
        """shape log(rate) + (shape - 1) log x - rate x - log Gamma(shape), with log x about the origin."""
        assert self.rates is not None
        shapes, middle = self.first(), self._middle()
        constants = shapes * (middle - np.log(self._means()) + 1) + 0.5 * np.log(shapes) - stirling(shapes) - middle
        return constants, np.stack([-self.rates, shapes - 1], axis=1)

    @property
    def rounding(self) -> float:
        """Of terms as large as the largest shape."""
        return 4 * float(np.finfo(float).eps * self.first().max())

    def statistics(self, X: Array) -> list[Array]:
        return [X, np.log(X)]

    def estimate(self, means: Array) -> dict[str, Array]:
        """The mean is the mean, and log(shape) - digamma(shape) is log(mean) less the mean logarithm (Minka 2002)."""
        shapes = gamma_shape(np.log(means[:, 0]) - self._middle() - means[:, 1], MOST)
        return {"shapes": shapes, "rates": shapes / means[:, 0]}

    def estimate_given(self, held: str, means: Array) -> dict[str, Array]:
        """Rates are shapes over the mean; shapes have digamma(shape) = log(rate) + mean logarithm."""
        if held == "shapes":
            return {"rates": self.first() / means[:, 0]}
        target = np.log(np.asarray(self.rates)) + means[:, 1] + self._middle()
        return {"shapes": np.clip(inverse_digamma(target), ABOVE_0, MOST)}

    def mean_statistics(self) -> Array:
        shapes, means = self.first(), self._means()
        return np.stack([means, np.log(means) - log_less_digamma(shapes) - self._middle()], axis=1)

    def check_statistics(self, statistics: Array) -> None:
        mean, log = statistics[:, 0], statistics[:, 1]
        if (mean <= 0).any() or (np.log(np.where(mean > 0, mean, 1.0)) < log - 1e-9 * (1 + np.abs(log))).any():
            raise ValueError("statistics of the prior of shapes: means are above 0, mean logarithms at most their logs")

    def at_limit(self) -> Array:
        return np.asarray((self.first() >= MOST).any(axis=1))

    def limits(self, summary: Summary) -> dict[str, Array | None]:
        mean = self.present_means(summary)
        half = len(mean) // 2
        return {"origin": np.concatenate([np.zeros(half), mean[half:]])}

    def possible(self, X: Array) -> Array:
        return np.asarray(X > 0)

    def law(self) -> Any:
        from scipy import stats

        return stats.gamma(a=self.first(), scale=1 / np.asarray(self.rates))

    def slopes(self, s: Statistics) -> dict[str, Array]:
        from scipy.special import digamma

        mass, sums = self.sums(s)
        shapes, rates = self.first(), np.asarray(self.rates)
        logs = sums[:, 1] + mass * (self._middle() + np.log(rates) - digamma(shapes))
        return {"shapes": logs, "rates": mass * shapes / rates - sums[:, 0]}

    def sample(self, states: Array, rng: np.random.Generator) -> Array:
        return rng.gamma(self.first()[states], 1 / np.asarray(self.rates)[states])
