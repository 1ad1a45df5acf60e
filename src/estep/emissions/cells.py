"""Families whose columns are independent given the state, each cell with a few sufficient statistics of its own.

log p(x | k) = log h(x) + sum over columns d of (constant[k, d] + sum over f of weight[k, f, d] t_f(x_d)): one product
with a row's statistics t, taken once for a fit. A family says what its statistics are, what its parameters mean as
weights, and which parameters have given mean statistics.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np

from estep.data import Batch
from estep.emissions.conjugate import ConjugateEmission
from estep.emissions.rows import NOTHING, check_cells, check_columns, kernel_evaluation, missing
from estep.interface import Emission, Evaluation, Notes
from estep.kernels.spec import NEVER, Spec
from estep.priors import Prior
from estep.statistics import Array, Layout, Statistics
from estep.summary import Summary

ABOVE_0 = float(np.nextafter(0.0, 1.0))


class Cells(Emission):
    """Parameters are (K, D) each."""

    per_cell: ClassVar[int]
    """F, the statistics of a cell."""
    wants: ClassVar[str]
    """What the cells must be, for the error that names one that is not."""
    constraints: ClassVar[int] = 0
    """Of the parameters of a component, how many follow from the others."""

    @abstractmethod
    def natural(self, summary: Summary) -> tuple[Array, Array]:
        """constants (K, D) and weights (K, F, D); a weight may be -inf where its statistic is never negative.

        The statistics are about :meth:`centre`, and ``summary`` is of the prepared rows.
        """

    @abstractmethod
    def statistics(self, X: Array) -> list[Array]:
        """The F statistics of each cell, (n, D) each."""

    @abstractmethod
    def estimate(self, means: Array) -> dict[str, Array]:
        """The parameters whose expected statistics are ``means`` (K, F, D)."""

    @abstractmethod
    def possible(self, X: Array) -> Array:
        """Whether the family can have produced each cell, (n, D)."""

    # Hooks that a family may leave as they are.

    def base(self, X: Array, summary: Summary) -> Array | None:
        """The base measure log h(x) of each row, (n,); None: 0."""
        return None

    def centre(self) -> Array | None:
        """The point (F D,) that the statistics are taken about; None: zero."""
        return None

    def at_limit(self) -> Array:
        """Whether each component's parameters have been stopped at a limit, (K,)."""
        return np.zeros(self.n_components, bool)

    # What they share.

    def first(self) -> Array:
        """The first parameter, (K, D). Raises ValueError while it is missing."""
        value = self.values()[self.parameters[0]]
        if value is None:
            raise missing(self.name, self.parameters[0])
        return value

    def check(self, **limits: tuple[float, float]) -> None:
        """Freezes the parameters (K, D); raises ValueError where one is not from its lower to its upper limit."""
        shape = None
        for name, (least, most) in limits.items():
            value = self.values()[name]
            if value is None:
                continue
            if np.ndim(value) == 1:
                object.__setattr__(self, name, np.reshape(value, (-1, 1)))
            if np.ndim(value) not in (1, 2) or (shape is not None and np.shape(getattr(self, name)) != shape):
                raise ValueError(f"{name} has shape {np.shape(value)}, expected {shape or '(K, D)'}")
            array = self.freeze(name, None)
            assert array is not None
            shape = array.shape
            bad = (array < least) | (array > most)
            if bad.any():
                where = [int(i) for i in np.argwhere(bad)[0]]
                lower = "above 0" if least == ABOVE_0 else f"from {least:g}"
                upper = f" to {most:g}" if most < np.inf else ""
                raise ValueError(f"{name}{where} is {array[tuple(where)]}: it is {lower}{upper}")

    @property
    def n_components(self) -> int:
        return len(self.first())

    @property
    def n_parameters(self) -> int:
        K, D = self.first().shape
        return int(K * (D * len(self.parameters) - self.constraints))

    @property
    def layout(self) -> Layout:
        """moments (K, 1 + F D): mass, then the sums of the statistics."""
        K, D = self.first().shape
        return Layout.of(origin=self.centre(), moments=(K, 1 + self.per_cell * D))

    @property
    def n_columns(self) -> int:
        return int(self.first().shape[1])

    @property
    def form(self) -> str:
        return self.name

    def prepare(self, X: Array, summary: Summary) -> tuple[Array, Array | None]:
        X = X.astype(np.float64, copy=False)
        return np.hstack(self.statistics(X)), self.base(X, summary)

    def start(self, n_components: int, summary: Summary) -> Self:
        ready = self.adapt(summary)
        centre = ready.centre()
        means = (summary.mean - (0.0 if centre is None else centre)).reshape(1, self.per_cell, -1)
        fitted = {name: np.tile(value, (n_components, 1)) for name, value in ready.estimate(means).items()}
        given = {name: value for name, value in self.values().items() if value is not None}
        return ready.with_values(**(fitted | given))

    def evaluate(self, batch: Batch) -> Evaluation:
        return kernel_evaluation(self.kernel(batch.summary), batch)

    def kernel(self, summary: Summary) -> Spec:
        return self.linear(*self.natural(summary))

    def linear(self, constants: Array, weights: Array) -> Spec:
        """The spec of constants (K, D) and weights (K, F, D)."""
        K = len(constants)
        flat = np.hstack([constants.sum(axis=1, keepdims=True), np.maximum(weights.reshape(K, -1), NEVER)])
        return Spec("linear", K, flat.shape[1] - 1, weights=flat, origin=self.centre())

    def maximize(self, s: Statistics) -> tuple[Self, Notes]:
        """The parameters whose expected statistics are the weighted means of those of the rows.

        For an exponential family that is the maximum (Bishop 2006, eq. 2.228).
        """
        moments = s["moments"]
        mass = moments[:, :1]
        seen = mass > NOTHING * mass.sum()
        means = moments[:, 1:] / np.where(seen, mass, 1.0)
        fresh = self.estimate(np.where(seen, means, 1.0).reshape(len(mass), self.per_cell, -1))
        old = {name: np.asarray(value) for name, value in self.values().items()}
        new = self.evolve(**{name: np.where(seen, fresh[name], old[name]) for name in old})
        stopped = new.at_limit()
        if not stopped.any():
            return new, ()
        return new, tuple((int(k), f"{' and '.join(self.parameters)} at their limit") for k in np.flatnonzero(stopped))

    def validate(self, batch: Batch) -> None:
        if self.values()[self.parameters[0]] is not None:
            check_columns(batch, self.n_columns)
        check_cells(batch, self.possible(batch.X), self.name, self.wants)


class ConjugateCells(Cells, ConjugateEmission):
    """Families of cells with one parameter that has a conjugate prior."""

    @abstractmethod
    def learn(self, prior: Any, mass: Array, sums: Array) -> Prior:
        """The posterior given the masses (K, 1) and the sums of the statistics (K, F, D)."""

    @abstractmethod
    def expected_natural(self, q: Any, summary: Summary) -> tuple[Array, Array]:
        """What :meth:`natural` gives, in expectation under ``q``."""

    @abstractmethod
    def mean_statistics(self) -> Array:
        """The expected statistics of a row, (K, F, D)."""

    def absorb(self, prior: Mapping[str, Any], s: Statistics) -> dict[str, Prior]:
        moments, block = s["moments"], self.parameters[0]
        sums = moments[:, 1:].reshape(len(moments), self.per_cell, -1)
        return {block: self.learn(prior[block], moments[:, :1], sums)}

    def expected(self, q: Mapping[str, Any], summary: Summary) -> Spec:
        return self.linear(*self.expected_natural(q[self.parameters[0]], summary))

    def typical(self, mass: Array) -> Statistics:
        rows = np.hstack([np.ones((len(mass), 1)), self.mean_statistics().reshape(len(mass), -1)])
        return Statistics(self.layout, (rows * mass[:, None]).ravel())
