"""Poisson emissions: counts, independent between columns given the state."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from estep.data import Batch
from estep.emissions.rows import NOTHING, check_columns, kernel_evaluation, missing
from estep.interface import Emission, Evaluation, Notes
from estep.kernels.spec import NEVER, Spec
from estep.statistics import Array, Layout, Statistics
from estep.summary import Summary

LARGEST = 2.0**53


@dataclass(frozen=True, eq=False)
class Poisson(Emission):
    """Rates ``rates`` (K, D), in counts a row; a rate of zero makes only zeros."""

    rates: Array | None = None

    name: ClassVar[str] = "poisson"
    parameters: ClassVar[tuple[str, ...]] = ("rates",)

    def __post_init__(self) -> None:
        if self.rates is None:
            return
        if np.ndim(self.rates) == 1:
            object.__setattr__(self, "rates", np.reshape(self.rates, (-1, 1)))
        if np.ndim(self.rates) != 2:
            raise ValueError(f"rates has shape {np.shape(self.rates)}, expected (K, D)")
        self.freeze("rates", None)
        if (self.rates < 0).any():
            where = [int(i) for i in np.argwhere(self.rates < 0)[0]]
            raise ValueError(f"rates{where} is {self.rates[tuple(where)]}: rates are not negative")
        if (self.rates > LARGEST).any():
            raise ValueError(f"a rate is {self.rates.max():g}: float64 counts one by one up to {LARGEST:g} only")

    def _rates(self) -> Array:
        if self.rates is None:
            raise missing(self.name, "rates")
        return self.rates

    @property
    def n_components(self) -> int:
        return len(self._rates())

    @property
    def layout(self) -> Layout:
        K, D = self._rates().shape
        return Layout.of(moments=(K, 1 + D))

    def start(self, n_components: int, summary: Summary) -> Self:
        if self.rates is not None:
            return self
        return type(self)(np.tile(summary.mean, (n_components, 1)))

    def evaluate(self, batch: Batch) -> Evaluation:
        return kernel_evaluation(self.kernel(batch.summary), batch)

    def maximize(self, s: Statistics) -> tuple[Self, Notes]:
        """Weighted mean counts (Zucchini & MacDonald 2009, section 4.2.3)."""
        mass, total = s["moments"][:, :1], s["moments"][:, 1:]
        seen = mass > NOTHING * mass.sum()
        return self.evolve(rates=np.where(seen, total / np.where(seen, mass, 1.0), self._rates())), ()

    def sample(self, states: Array, rng: np.random.Generator) -> Array:
        return rng.poisson(self._rates()[states]).astype(np.float64)

    @property
    def n_parameters(self) -> int:
        return self._rates().size

    def kernel(self, summary: Summary) -> Spec:
        """log p(x | rate) as log p(x | middle rate) of each row plus what is linear in x, so that nothing cancels."""
        rates = self._rates()
        middle = np.where(rates.mean(axis=0) > 0, rates.mean(axis=0), 1.0)
        excess = rates - middle
        with np.errstate(divide="ignore"):
            slopes = np.where(rates > 0, np.log1p(excess / middle), NEVER)
        weights = np.hstack([-excess.sum(axis=1, keepdims=True), slopes])
        return Spec("linear", rates.shape[0], rates.shape[1], counts=True, weights=weights, shared=middle)

    def validate(self, batch: Batch) -> None:
        X = batch.X
        if self.rates is not None:
            check_columns(batch, self.rates.shape[1])
        bad = (X < 0) | (np.floor(X) != X) | (X > LARGEST)
        if bad.any():
            row, d = (int(i) for i in np.argwhere(bad)[0])
            kind = "negative" if X[row, d] < 0 else "too large" if X[row, d] > LARGEST else "not whole"
            raise ValueError(
                f"row {batch.first_row + row}, column {d} is {X[row, d]}: which is {kind}; "
                "Poisson emissions want counts 0, 1, 2, ..."
            )
