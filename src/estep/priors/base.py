"""What priors and the families that take them have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar, Self

import numpy as np

from estep.data.summary import Summary
from estep.interface import Notes
from estep.parameters.values import Values
from estep.statistics import Array, Statistics

SMALLEST, LARGEST = 1e-300, 1e300
"""Of what priors count for: digammas and logarithms of others leave the range."""


class Prior(Values, ABC):
    """A distribution of a block of parameters of all components."""

    parameters: ClassVar[tuple[str, ...]] = ()
    by_size: ClassVar[bool] = False
    """Whether components are taken by falling weight: other orders have lower bounds (Kurihara et al. 2007)."""

    def check_mode(self, block: str) -> None:
        """Raises ValueError where there is no mode that could be estimated."""

    def require_proper(self) -> None:
        """Raises ValueError or LinAlgError where these numbers, found by arithmetic, are no distribution."""
        replace(self)  # type: ignore[type-var]

    def positive(self, name: str) -> None:
        """As ``freeze``, for numbers above 0."""
        array = self.freeze(name, None)
        if array is None or not (array > 0).all():
            value = "missing" if array is None else array.min()
            raise ValueError(f"{name} of a {self.name} prior is {value}: give a number above 0")
        self.in_range(name, array)

    def in_range(self, name: str, array: Array, least: float = SMALLEST) -> None:
        """Raises ValueError for numbers, other than 0, whose gamma function or logarithm leaves the range."""
        odd = (np.abs(array) < least) & (array != 0) | (np.abs(array) > LARGEST)
        if odd.any():
            found = array[odd].flat[0]
            raise ValueError(f"{name} of a {self.name} prior is {found:g}: give a number from {least:g} to {LARGEST:g}")


class Plain(Prior):
    """A distribution of one parameter, whose arrays broadcast against it."""

    @abstractmethod
    def mean(self) -> Array:
        """The expected parameter."""

    @abstractmethod
    def mode(self, old: Array) -> Array:
        """The most probable parameter; ``old`` where all values are alike."""

    @abstractmethod
    def log_density(self, values: Array) -> float:
        """The log-density of the parameter of all components, in all."""

    @abstractmethod
    def divergence(self, prior: Any) -> float:
        """The Kullback-Leibler divergence from ``prior``, of all components in all."""

    def check_shape(self, block: str, shape: tuple[int, ...]) -> None:
        """Raises ValueError unless every array broadcasts to ``shape``, that of the parameter ``block``."""
        for name, value in vars(self).items():
            try:
                fits = np.broadcast_shapes(np.shape(value), shape) == shape
            except ValueError:
                fits = False
            if not fits:
                raise ValueError(
                    f"{name} of the prior of {block} has shape {np.shape(value)}, expected {shape} or less"
                )


class Conjugate(Values, ABC):
    """A latent part or a family that has conjugate priors, for its blocks of parameters by name."""

    takes: ClassVar[Mapping[str, tuple[type[Prior], ...]]] = {}
    """The kinds of priors of each block."""

    @property
    def blocks(self) -> Mapping[str, tuple[type[Prior], ...]]:
        """The kinds of priors of each block, those of inner families too; none: there is no conjugate prior."""
        return self.takes

    @abstractmethod
    def default_prior(self, summary: Summary, variational: bool) -> dict[str, Prior]:
        """Priors that are worth about one observation."""

    @abstractmethod
    def update(self, prior: Mapping[str, Any], s: Statistics) -> dict[str, Prior]:
        """The posteriors given statistics. What is impossible under these parameters stays so."""

    def check_prior(self, prior: Mapping[str, Any]) -> dict[str, Prior]:
        """The priors as :meth:`update` takes them. Raises ValueError where their shapes do not fit."""
        for name, one in prior.items():
            one.check_shape(name, np.asarray(self.values()[name]).shape)
        return dict(prior)

    def mode(self, q: Mapping[str, Any]) -> tuple[Self, Notes]:
        """The most probable parameters."""
        values = self.values()
        return self.evolve(**{name: q[name].mode(np.asarray(values[name])) for name in self.takes}), ()

    def mean(self, q: Mapping[str, Any]) -> tuple[Self, Notes]:
        """The expected parameters."""
        return self.evolve(**{name: q[name].mean() for name in self.takes}), ()

    def log_prior(self, prior: Mapping[str, Any]) -> float:
        """The log-density of these parameters."""
        values = self.values()
        return float(sum(prior[name].log_density(np.asarray(values[name])) for name in self.takes))
