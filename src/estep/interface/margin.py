"""How one column of the rows is distributed in each component."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal, Self

import numpy as np

from estep.statistics import Array


@dataclass(frozen=True, eq=False)
class Margin:
    """A column's distribution in each of K components, of each row by itself where what is known of rows moves it.

    ``law``: SciPy's frozen distribution of parameters (..., K); of parts (..., K, M) where ``weights`` (..., K, M) mix
    them. ``table`` (K, M): in its place the probabilities of symbols. ``resultant``: of angles, the mean of exp(i x) in
    the shape of the law.
    """

    kind: Literal["number", "count", "angle", "symbol"]
    law: Any = None
    table: Array | None = None
    resultant: Array | None = None
    weights: Array | None = None

    @property
    def possible(self) -> Array:
        """The symbols that some component has."""
        assert self.table is not None
        return np.flatnonzero(self.table.max(axis=0) > 0)

    def mixed(self, weights: Array) -> Self:
        """Of components that are mixtures of so many parts each, with weights (..., K, M)."""
        if self.table is not None:
            parts = self.table.reshape(*weights.shape[-2:], -1)
            return replace(self, table=(weights[..., None] * parts).sum(axis=-2))
        return replace(self, weights=weights)

    def _of_components(self, values: Array) -> Array:
        """Values (..., K) from those of the law."""
        if self.weights is None:
            return np.asarray(values)
        return np.asarray(
            (np.reshape(values, (*np.shape(values)[:-1], *self.weights.shape[-2:])) * self.weights).sum(-1)
        )

    def mean(self) -> Array:
        """(..., K); of angles, the mean of exp(i x)."""
        return self._of_components(self.law.mean() if self.resultant is None else self.resultant)

    def variance(self) -> Array:
        """(..., K)."""
        means, whole = self.law.mean(), self.mean()
        spread = self._of_components(self.law.var() + means**2) if self.weights is not None else self.law.var()
        return np.asarray(spread if self.weights is None else np.maximum(spread - whole**2, 0.0))

    def cdf(self, x: Array) -> Array:
        """P(X <= x), (..., K), for values (...)."""
        return self._of_components(self.law.cdf(np.asarray(x)[..., None]))

    def below(self, x: Array) -> Array:
        """P(X < x), (..., K)."""
        return self.cdf(np.asarray(x) - 1) if self.kind == "count" else self.cdf(x)

    def around(self, q: float) -> tuple[Array, Array]:
        """The least and the largest quantile of any component or part, (...)."""
        x = self.law.ppf(q)
        return np.asarray(x.min(axis=-1)), np.asarray(x.max(axis=-1))
