"""Von Mises emissions: directions, in radians, independent between columns given the state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from estep.emissions._shared.cells import PseudoCells
from estep.emissions._shared.special import MOST_CONCENTRATED, bessel_ratio, concentration, log_bessel
from estep.interface import Margin
from estep.parameters.domains import Angles, Numbers, Parameter
from estep.priors import Prior, PseudoRows
from estep.statistics import Array, Statistics


@dataclass(frozen=True, eq=False)
class VonMises(PseudoCells):
    """Mean directions ``means`` and ``concentrations`` (K, D): log p = kappa cos(x - mean) - log(2 pi I0(kappa)).

    A concentration of 0 is the uniform distribution (Bishop 2006, section 2.3.8).
    """

    means: Array | None = None
    concentrations: Array | None = None

    name: ClassVar[str] = "von_mises"
    parameters: ClassVar[tuple[str, ...]] = ("means", "concentrations")
    takes: ClassVar[Mapping[str, tuple[type[Prior], ...]]] = {"means": (PseudoRows,)}
    per_cell: ClassVar[int] = 2
    wants: ClassVar[str] = "angles in radians"

    def describe(self) -> dict[str, Parameter]:
        concentrations = Parameter(Numbers(0.0, MOST_CONCENTRATED), one="concentration")
        return {"means": Parameter(Angles(), one="mean direction"), "concentrations": concentrations}

    @property
    def rounding(self) -> float:
        """Of concentration times cosine, from which the concentration is taken."""
        return 4 * float(np.finfo(float).eps * np.max(self.concentrations))  # type: ignore[arg-type]

    def terms(self) -> tuple[Array, Array]:
        means, kappa = self.first(), np.asarray(self.concentrations)
        return -log_bessel(kappa), np.stack([kappa * np.cos(means), kappa * np.sin(means)], axis=1)

    def statistics(self, X: Array) -> list[Array]:
        return [np.cos(X), np.sin(X)]

    def estimate(self, means: Array) -> dict[str, Array]:
        """The direction and the length of the mean vector (Bishop 2006, eq. 2.184 and 2.185)."""
        x, y = means[:, 0], means[:, 1]
        return {"means": np.arctan2(y, x), "concentrations": concentration(np.hypot(x, y))}

    def estimate_given(self, held: str, means: Array) -> dict[str, Array]:
        """Directions do not depend on concentrations; these, on the mean cosine about the direction."""
        x, y = means[:, 0], means[:, 1]
        if held == "concentrations":
            return {"means": np.arctan2(y, x)}
        along = x * np.cos(self.first()) + y * np.sin(self.first())
        return {"concentrations": concentration(np.maximum(along, 0.0))}

    def mean_statistics(self) -> Array:
        means, kappa = self.first(), np.asarray(self.concentrations)
        return np.asarray(bessel_ratio(kappa)[:, None] * np.stack([np.cos(means), np.sin(means)], axis=1))

    def check_statistics(self, statistics: Array) -> None:
        if (np.hypot(statistics[:, 0], statistics[:, 1]) > 1 + 1e-9).any():
            raise ValueError("statistics of the prior of means: mean cosines and sines are within the unit circle")

    def at_limit(self) -> Array:
        return np.asarray((np.asarray(self.concentrations) >= MOST_CONCENTRATED).any(axis=1))

    def possible(self, X: Array) -> Array:
        return np.isfinite(X)

    def margins(self, rows: Array | None = None) -> Sequence[Margin]:
        from scipy import stats

        means, kappa = self.first(), np.asarray(self.concentrations)
        resultants = bessel_ratio(kappa) * np.exp(1j * means)
        return [
            Margin("angle", stats.vonmises(kappa=kappa[:, d], loc=means[:, d]), resultant=resultants[:, d])
            for d in range(self.n_columns)
        ]

    def slopes(self, s: Statistics) -> dict[str, Array]:
        mass, sums = self.sums(s)
        (x, y), means, kappa = sums.swapaxes(0, 1), self.first(), np.asarray(self.concentrations)
        along, across = x * np.cos(means) + y * np.sin(means), y * np.cos(means) - x * np.sin(means)
        return {"means": kappa * across, "concentrations": along - mass * bessel_ratio(kappa)}

    def sample(self, states: Array, rng: np.random.Generator) -> Array:
        return rng.vonmises(self.first()[states], np.asarray(self.concentrations)[states])
