"""Priors of probabilities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from estep.priors.base import Plain, Prior
from estep.statistics import Array

LEAST_CONCENTRATION = 1e-90
"""What is left of a component without rows, LEAST of all, must not count beside it."""
LEAST = 1e-100
"""Probabilities whose expected logarithm is below that of this are taken as this: possible is never impossible."""


@dataclass(frozen=True, eq=False)
class Dirichlet(Plain):
    """Of probabilities that add up to 1 along the last axis: concentrations, numbers above 0.

    1 is flat; a - 1 counts for as many observations at the mode, a at the mean (Bishop 2006, eq. 2.38).
    """

    concentration: Any = 1.0

    name: ClassVar[str] = "dirichlet"

    def __post_init__(self) -> None:
        array = self.freeze("concentration", None)
        if array is None:
            raise ValueError("concentration of a dirichlet prior is missing: give a number above 0")
        if (array < 0).any() or not (array.sum(axis=-1) > 0).all():
            raise ValueError(f"concentration of a dirichlet prior is {array.min()}: it is above 0")
        self.in_range("concentration", array, LEAST_CONCENTRATION)

    def _at(self, support: Array) -> Array:
        """Concentrations, 0 where probabilities are zero for ever."""
        return np.where(support, self.concentration, 0.0)

    def update(self, counts: Array, support: Array) -> Dirichlet:
        """The posterior given counts; ``support``: which probabilities may be above 0."""
        return self.evolve(concentration=np.where(support, self.concentration + counts, 0.0))

    def mean(self) -> Array:
        return np.asarray(self.concentration / self.concentration.sum(axis=-1, keepdims=True))

    def mode(self, old: Array) -> Array:
        excess = np.maximum(self.concentration - 1, 0.0)
        total = excess.sum(axis=-1, keepdims=True)
        excess = np.where(excess < LEAST * total, 0.0, excess)
        return np.where(total > 0, excess / np.where(total > 0, total, 1.0), old)

    def check_mode(self, block: str) -> None:
        if (self.concentration < 1).any():
            raise ValueError(
                f"Dirichlet({self.concentration.min():g}) of {block} is largest at zero probabilities: "
                "estimate='map' takes concentrations from 1, estimate='vb' any"
            )

    def expected_log(self) -> Array:
        """Expected logarithms (Bishop 2006, eq. 10.66)."""
        from scipy.special import digamma

        a = self.concentration
        safe = np.where(a > 0, a, 1.0)
        return np.where(a > 0, digamma(safe) - digamma(a.sum(axis=-1, keepdims=True)), -np.inf)

    def log_density(self, values: Array) -> float:
        from scipy.special import xlogy

        a, p = self._at(values > 0), values
        logs = np.where(p > 0, xlogy(a - 1, np.where(p > 0, p, 1.0)), 0.0)
        return float(logs.sum() - _log_beta(a).sum())

    def divergence(self, prior: Dirichlet) -> float:
        a = self.concentration
        b = prior._at(a > 0)
        moved = np.where(a > 0, (a - b) * np.where(a > 0, self.expected_log(), 0.0), 0.0)
        return float((_log_beta(b) - _log_beta(a)).sum() + moved.sum())


def expected_probabilities(q: Dirichlet | Sticks) -> Array:
    """exp of the expected logarithms: what stands for probabilities in a variational E-step; they add up to less."""
    logs = q.expected_log()
    return np.where(logs > -np.inf, np.maximum(np.exp(logs), LEAST), 0.0)


def _log_beta(a: Array) -> Array:
    """The logarithm of a Dirichlet's normaliser, along the last axis; zeros do not count."""
    from scipy.special import gammaln

    logs = np.where(a > 0, gammaln(np.where(a > 0, a, 1.0)), 0.0)
    return np.asarray(logs.sum(axis=-1) - gammaln(a.sum(axis=-1)))


@dataclass(frozen=True, eq=False)
class DirichletProcess(Prior):
    """Of mixing weights without end, of which the first K are used: sticks broken off what is left (Sethuraman 1994).

    Each takes a Beta(1, concentration) part of what is left. For ``estimate="vb"`` (Blei & Jordan 2006).
    """

    concentration: Any = 1.0

    name: ClassVar[str] = "dirichlet_process"
    by_size: ClassVar[bool] = True

    def __post_init__(self) -> None:
        self.positive("concentration")

    def check_shape(self, block: str, shape: tuple[int, ...]) -> None:
        """Raises ValueError unless the concentration is one number, of mixing weights."""
        if np.ndim(self.concentration) or len(shape) != 1:
            raise ValueError(f"a Dirichlet process of {block} {shape} has one concentration, for one vector of weights")

    def check_mode(self, block: str) -> None:
        raise ValueError(f"a Dirichlet process of {block} is for estimate='vb'; estimate='map' takes a Dirichlet")

    def update(self, counts: Array, support: Array) -> Sticks:
        """The posterior given counts of the components, in their order (Blei & Jordan 2006, eq. 18 and 19)."""
        later = np.cumsum(counts[::-1])[::-1] - counts
        return Sticks(1 + counts, self.concentration + np.maximum(later, 0.0))


@dataclass(frozen=True, eq=False)
class Beta(Plain):
    """Of the probability of a one: it counts for ``a`` ones and ``b`` zeros (Bishop 2006, eq. 2.13)."""

    a: Any = 1.0
    b: Any = 1.0

    name: ClassVar[str] = "beta"

    def __post_init__(self) -> None:
        self.positive("a")
        self.positive("b")

    def mean(self) -> Array:
        return np.asarray(self.a / (self.a + self.b))

    def mode(self, old: Array) -> Array:
        ones, zeros = np.maximum(self.a - 1, 0.0), np.maximum(self.b - 1, 0.0)
        total = ones + zeros
        return np.where(total > 0, ones / np.where(total > 0, total, 1.0), old)

    def check_mode(self, block: str) -> None:
        if (self.a < 1).any() or (self.b < 1).any():
            raise ValueError(f"a and b of the prior of {block} are from 1 for estimate='map'; estimate='vb' takes any")

    def expected_logs(self) -> tuple[Array, Array]:
        """Expected logarithms of the probabilities of one and zero."""
        from scipy.special import digamma

        both = digamma(self.a + self.b)
        return digamma(self.a) - both, digamma(self.b) - both

    def log_density(self, values: Array) -> float:
        from scipy.special import betaln, xlog1py, xlogy

        a, b = np.broadcast_to(self.a, values.shape), np.broadcast_to(self.b, values.shape)
        return float((xlogy(a - 1, values) + xlog1py(b - 1, -values) - betaln(a, b)).sum())

    def divergence(self, prior: Beta) -> float:
        from scipy.special import betaln

        one, zero = self.expected_logs()
        apart = betaln(prior.a, prior.b) - betaln(self.a, self.b)
        return float((apart + (self.a - prior.a) * one + (self.b - prior.b) * zero).sum())


@dataclass(frozen=True, eq=False)
class Sticks(Prior):
    """The posterior of a :class:`DirichletProcess`: stick k is a Beta(a, b) part of what is left, (K,) each."""

    a: Any
    b: Any

    name: ClassVar[str] = "sticks"

    def __post_init__(self) -> None:
        self.positive("a")
        self.positive("b")

    def mean(self) -> Array:
        """Expected weights of the K components, which here share all."""
        part = self.a / (self.a + self.b)
        weights = part * np.concatenate([[1.0], np.cumprod(1 - part)[:-1]])
        return np.asarray(weights / weights.sum())

    def expected_log(self) -> Array:
        """Expected logarithms of the weights (Blei & Jordan 2006, section 3)."""
        taken, left = Beta(self.a, self.b).expected_logs()
        return np.asarray(taken + np.concatenate([[0.0], np.cumsum(left)[:-1]]))

    def divergence(self, prior: DirichletProcess) -> float:
        return Beta(self.a, self.b).divergence(Beta(1.0, prior.concentration))
