"""Poisson emissions: counts, independent between columns given the state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from estep import kernels
from estep.data.summary import Summary
from estep.emissions._shared.cells import ConjugateCells
from estep.kernels.spec import Spec
from estep.parameters.domains import Numbers, Parameter, ratios
from estep.priors import Gamma, Prior
from estep.statistics import Array, Statistics

LARGEST = 2.0**53


@dataclass(frozen=True, eq=False)
class Poisson(ConjugateCells):
    """Rates ``rates`` (K, D), in counts a row; a rate of zero makes only zeros."""

    rates: Array | None = None

    name: ClassVar[str] = "poisson"
    parameters: ClassVar[tuple[str, ...]] = ("rates",)
    smoothed: ClassVar[tuple[str, ...]] = ("rates",)
    takes: ClassVar[Mapping[str, tuple[type[Prior], ...]]] = {"rates": (Gamma,)}
    whole_numbers: ClassVar[bool] = True
    per_cell: ClassVar[int] = 1
    wants: ClassVar[str] = "counts 0, 1, 2, ... below 2^53"

    def describe(self) -> dict[str, Parameter]:
        return {"rates": Parameter(Numbers(0.0, LARGEST), one="rate")}

    def base(self, X: Array, summary: Summary) -> Array | None:
        """log p(x | the data's mean): the states differ from it by what is linear in x, and nothing cancels."""
        D, middle, missing = X.shape[1], _middle(summary.mean), np.isnan(X)
        spec = Spec("linear", 1, D, counts=True, weights=np.zeros((1, 1 + D)), shared=middle)
        if not summary.missing:
            return kernels.log_densities(spec, X)[:, 0]
        return np.asarray(kernels.log_densities(spec, np.where(missing, 0.0, X))[:, 0] + missing @ middle)

    def natural(self, summary: Summary) -> tuple[Array, Array]:
        rates, middle = self.first(), _middle(self.present_means(summary))
        excess = rates - middle
        with np.errstate(divide="ignore"):
            slopes = np.where(rates < middle / 2, np.log(rates) - np.log(middle), np.log1p(excess / middle))
        return -excess, slopes[:, None]

    def statistics(self, X: Array) -> list[Array]:
        return [X]

    def estimate(self, means: Array) -> dict[str, Array]:
        """Weighted mean counts (Zucchini & MacDonald 2009, section 4.2.3)."""
        return {"rates": means[:, 0]}

    def possible(self, X: Array) -> Array:
        return np.asarray((X >= 0) & (np.floor(X) == X) & (X <= LARGEST))

    def default_prior(self, summary: Summary, variational: bool) -> dict[str, Prior]:
        """The data's mean, worth a row at most, and a count at most."""
        shape = np.minimum(_middle(self.present_means(summary)), 1.0)
        return {"rates": Gamma(shape + (0 if variational else 1), shape / _middle(self.present_means(summary)))}

    def learn(self, prior: Gamma, mass: Array, sums: Array) -> Gamma:
        return Gamma(prior.shape + sums[:, 0], prior.rate + mass)

    def expected_natural(self, q: Gamma, summary: Summary) -> tuple[Array, Array]:
        middle = _middle(self.present_means(summary))
        return middle - q.mean(), (q.expected_log() - np.log(middle))[:, None]

    def mean_statistics(self) -> Array:
        return self.first()[:, None]

    def law(self) -> Any:
        from scipy import stats

        return stats.poisson(mu=self.first())

    def slopes(self, s: Statistics) -> dict[str, Array]:
        mass, sums = self.sums(s)
        return {"rates": ratios(sums[:, 0], self.first()) - mass}

    def sample(self, states: Array, rng: np.random.Generator) -> Array:
        return rng.poisson(self.first()[states]).astype(np.float64)


def _middle(mean: Array) -> Array:
    return np.where(mean > 0, mean, 1.0)
