"""Bernoulli emissions: vectors of zeros and ones, independent between columns given the state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from estep.data.summary import Summary
from estep.emissions._shared.cells import ConjugateCells
from estep.parameters.domains import Numbers, Parameter, ratios
from estep.priors import Beta, Prior
from estep.statistics import Array, Statistics


@dataclass(frozen=True, eq=False)
class Bernoulli(ConjugateCells):
    """The probabilities of a one, ``probabilities`` (K, D) (Bishop 2006, section 9.3.3)."""

    probabilities: Array | None = None

    name: ClassVar[str] = "bernoulli"
    parameters: ClassVar[tuple[str, ...]] = ("probabilities",)
    smoothed: ClassVar[tuple[str, ...]] = ("probabilities",)
    takes: ClassVar[Mapping[str, tuple[type[Prior], ...]]] = {"probabilities": (Beta,)}
    whole_numbers: ClassVar[bool] = True
    per_cell: ClassVar[int] = 2
    wants: ClassVar[str] = "0 or 1 in each cell"

    def describe(self) -> dict[str, Parameter]:
        return {"probabilities": Parameter(Numbers(0.0, 1.0), one="probability")}

    def natural(self, summary: Summary) -> tuple[Array, Array]:
        """A statistic for ones and one for zeros: what is impossible then costs no digits of what is not."""
        p = self.first()
        with np.errstate(divide="ignore"):
            return np.zeros(p.shape), np.stack([np.log(p), np.log1p(-p)], axis=1)

    def statistics(self, X: Array) -> list[Array]:
        return [X, 1 - X]

    def estimate(self, means: Array) -> dict[str, Array]:
        """Weighted means (Bishop 2006, eq. 9.59)."""
        ones, zeros = means[:, 0], means[:, 1]
        return {"probabilities": ones / (ones + zeros)}

    def possible(self, X: Array) -> Array:
        return np.asarray((X == 0) | (X == 1))

    def default_prior(self, summary: Summary, variational: bool) -> dict[str, Prior]:
        """Half a one and half a zero."""
        half = 0.5 if variational else 1.5
        return {"probabilities": Beta(half, half)}

    def learn(self, prior: Beta, mass: Array, sums: Array) -> Beta:
        return Beta(prior.a + sums[:, 0], prior.b + sums[:, 1])

    def expected_natural(self, q: Beta, summary: Summary) -> tuple[Array, Array]:
        one, zero = q.expected_logs()
        return np.zeros(one.shape), np.stack([one, zero], axis=1)

    def mean_statistics(self) -> Array:
        p = self.first()
        return np.stack([p, 1 - p], axis=1)

    def law(self) -> Any:
        from scipy import stats

        return stats.bernoulli(p=self.first())

    def slopes(self, s: Statistics) -> dict[str, Array]:
        (ones, zeros), p = self.sums(s)[1].swapaxes(0, 1), self.first()
        return {"probabilities": ratios(ones, p) - ratios(zeros, 1 - p)}

    def sample(self, states: Array, rng: np.random.Generator) -> Array:
        p = self.first()[states]
        return (rng.random(p.shape) < p).astype(np.float64)
