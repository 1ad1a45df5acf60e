"""Exponential emissions: waiting times, independent between columns given the state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from estep.data.summary import Summary
from estep.emissions._shared.cells import ConjugateCells
from estep.parameters.domains import ABOVE_0, Numbers, Parameter
from estep.priors import Gamma, Prior
from estep.statistics import Array, Statistics


@dataclass(frozen=True, eq=False)
class Exponential(ConjugateCells):
    """Rates ``rates`` (K, D), one over the mean: log p = log(rate) - rate x.

    ``least`` (D,): the smallest mean a component may have, 1e-12 of the data's, since rows of zeros alone would make
    the likelihood unbounded.
    """

    rates: Array | None = None
    least: Array | None = None

    name: ClassVar[str] = "exponential"
    parameters: ClassVar[tuple[str, ...]] = ("rates",)
    takes: ClassVar[Mapping[str, tuple[type[Prior], ...]]] = {"rates": (Gamma,)}
    per_cell: ClassVar[int] = 1
    wants: ClassVar[str] = "times, from 0"

    def describe(self) -> dict[str, Parameter]:
        return {"rates": Parameter(Numbers(ABOVE_0), one="rate")}

    def __post_init__(self) -> None:
        super().__post_init__()
        self.freeze("least", None if self.rates is None else np.shape(self.rates)[1:])

    def natural(self, summary: Summary) -> tuple[Array, Array]:
        rates = self.first()
        return np.log(rates), -rates[:, None]

    def statistics(self, X: Array) -> list[Array]:
        return [X]

    def estimate(self, means: Array) -> dict[str, Array]:
        """One over the weighted mean."""
        return {"rates": 1 / np.maximum(means[:, 0], self._least())}

    def _least(self) -> Array | float:
        return 1e-300 if self.least is None else self.least

    def at_limit(self) -> Array:
        return np.asarray((1 / self.first() <= self._least()).any(axis=1))

    def limits(self, summary: Summary) -> dict[str, Array | None]:
        least = 1e-12 * self._typical_mean(summary)
        return {"rates": None if self.rates is None else np.minimum(self.rates, 1 / least), "least": least}

    def _typical_mean(self, summary: Summary) -> Array:
        mean = self.present_means(summary)
        return np.where(mean > 0, mean, 1.0)

    def possible(self, X: Array) -> Array:
        return np.asarray(X >= 0)

    def default_prior(self, summary: Summary, variational: bool) -> dict[str, Prior]:
        """One row at the data's mean."""
        return {"rates": Gamma(1 if variational else 2, self._typical_mean(summary))}

    def learn(self, prior: Gamma, mass: Array, sums: Array) -> Gamma:
        return Gamma(prior.shape + mass, prior.rate + sums[:, 0])

    def expected_natural(self, q: Gamma, summary: Summary) -> tuple[Array, Array]:
        return q.expected_log(), -q.mean()[:, None]

    def mean_statistics(self) -> Array:
        return 1 / self.first()[:, None]

    def law(self) -> Any:
        from scipy import stats

        return stats.expon(scale=1 / self.first())

    def slopes(self, s: Statistics) -> dict[str, Array]:
        mass, sums = self.sums(s)
        return {"rates": mass / self.first() - sums[:, 0]}

    def sample(self, states: Array, rng: np.random.Generator) -> Array:
        return rng.exponential(1 / self.first()[states])
