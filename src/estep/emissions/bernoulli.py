"""Bernoulli emissions: vectors of zeros and ones, independent between columns given the state."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from estep.emissions.cells import Cells
from estep.statistics import Array
from estep.summary import Summary


@dataclass(frozen=True, eq=False)
class Bernoulli(Cells):
    """The probabilities of a one, ``probabilities`` (K, D) (Bishop 2006, section 9.3.3)."""

    probabilities: Array | None = None

    name: ClassVar[str] = "bernoulli"
    parameters: ClassVar[tuple[str, ...]] = ("probabilities",)
    blended: ClassVar[tuple[str, ...]] = ("probabilities",)
    per_cell: ClassVar[int] = 2
    wants: ClassVar[str] = "0 or 1 in each cell"

    def __post_init__(self) -> None:
        self.check(probabilities=(0.0, 1.0))

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

    def sample(self, states: Array, rng: np.random.Generator) -> Array:
        p = self.first()[states]
        return (rng.random(p.shape) < p).astype(np.float64)
