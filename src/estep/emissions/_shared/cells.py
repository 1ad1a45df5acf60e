"""Families whose columns are independent given the state, each cell with a few sufficient statistics of its own.

log p(x | k) = log h(x) + sum over columns d of (constant[k, d] + sum over f of weight[k, f, d] t_f(x_d)): one product
with a row's statistics t, taken once for a fit. A family says what its statistics are, what its parameters mean as
weights, and which parameters have given mean statistics.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

import numpy as np

from estep.data.batch import Batch
from estep.data.summary import Summary
from estep.emissions._shared.conjugate import ConjugateEmission
from estep.emissions._shared.rows import (
    NOTHING,
    check_cells,
    check_columns,
    column_of,
    kernel_evaluation,
    missing,
    require_columns,
)
from estep.interface import Emission, Evaluation, Margin, Notes
from estep.kernels.spec import NEVER, Spec
from estep.priors import Prior, PseudoRows
from estep.statistics import Array, Layout, Statistics


@dataclass(frozen=True, eq=False)
class Cells(Emission):
    """Parameters are (K, D) each.

    ``has_missing``: the statistics have room for missing cells. What a missing cell has is a statistic of its own: its
    density is one, so it takes back the constants of its column.
    """

    has_missing: bool = field(default=False, kw_only=True, repr=False, metadata={"optional": True})

    allows_missing: ClassVar[bool] = True
    can_fix_subset: ClassVar[bool] = True

    per_cell: ClassVar[int]
    """F, the statistics of a cell."""
    wants: ClassVar[str]
    """What the cells must be, for the error that names one that is not."""
    allows_missing_cells: ClassVar[bool] = True
    """Whether a cell of a row may be missing, and not only a whole row."""

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

    # Hooks that a family may leave as they are; those of two parameters have the first.

    def estimate_given(self, held: str, means: Array) -> dict[str, Array]:
        """As :meth:`estimate`, the other parameter where ``held`` stays as it is."""
        return {}

    def base(self, X: Array, summary: Summary) -> Array | None:
        """The base measure log h(x) of each row, (n,), of the cells that are there; None: 0."""
        return None

    def limits(self, summary: Summary) -> dict[str, Array | None]:
        """Fields that depend on the (prepared) data: see :meth:`adapt`."""
        return {}

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

    def __post_init__(self) -> None:
        """Freezes the parameters (K, D); raises ValueError where one is outside its domain."""
        shape = None
        for name, parameter in self.describe().items():
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
            parameter.domain.check(name, array)

    @property
    def n_components(self) -> int:
        return len(self.first())

    @property
    def layout(self) -> Layout:
        """moments (K, 1 + F D): mass, then the sums of the statistics; with gaps, masses of missing cells (K, D)."""
        K, D = self.first().shape
        return Layout.of(origin=self.centre(), moments=(K, 1 + (self.per_cell + self.has_missing) * D))

    @property
    def n_columns(self) -> int:
        return int(self.first().shape[1])

    @property
    def preparation(self) -> str:
        return self.name

    def prepare(self, X: Array, summary: Summary) -> tuple[Array, Array | None]:
        X = X.astype(np.float64, copy=False)
        if not summary.missing:
            return np.hstack(self.statistics(X)), self.base(X, summary)
        missing = np.isnan(X)
        observed = [np.where(missing, 0.0, t) for t in self.statistics(np.where(missing, 1.0, X))]
        return np.hstack([*observed, missing]), self.base(X, summary)

    @property
    def counts_missing(self) -> bool:
        return True

    def n_prepared(self, columns: int, missing: bool) -> int:
        return columns * (self.per_cell + missing)

    def present_means(self, summary: Summary) -> Array:
        """The mean statistics (F D,) of the cells that are there, from the summary of prepared rows."""
        if not summary.missing:
            return summary.mean
        D = len(summary.mean) // (self.per_cell + 1)
        return np.asarray(summary.mean[:-D] / np.tile(np.maximum(1 - summary.mean[-D:], 1e-300), self.per_cell))

    def clustering_features(self, X: Array, summary: Summary) -> Array:
        if not summary.missing:
            return X
        D = X.shape[1] // (self.per_cell + 1)
        return np.asarray(X[:, :-D] + np.tile(X[:, -D:], self.per_cell) * self.present_means(summary))

    def adapt(self, summary: Summary) -> Self:
        return self.evolve(has_missing=summary.missing, **self.limits(summary))

    def start(self, n_components: int, summary: Summary) -> Self:
        ready = self.adapt(summary)
        centre = ready.centre()
        means = (self.present_means(summary) - (0.0 if centre is None else centre)).reshape(1, self.per_cell, -1)
        fitted = {name: np.tile(value, (n_components, 1)) for name, value in ready.estimate(means).items()}
        given = {name: value for name, value in self.values().items() if value is not None}
        return ready.with_values(**(fitted | given))

    def evaluate(self, batch: Batch) -> Evaluation:
        return kernel_evaluation(self.kernel(batch.summary), batch)

    def kernel(self, summary: Summary) -> Spec:
        return self.linear(*self.natural(summary), summary)

    def linear(self, constants: Array, weights: Array, summary: Summary) -> Spec:
        """The spec of constants (K, D) and weights (K, F, D)."""
        K, D = constants.shape
        weights, origin = np.maximum(weights, NEVER).reshape(K, -1), self.centre()
        columns = [constants.sum(axis=1, keepdims=True), weights]
        if summary.missing:  # less the constants, and what a statistic of zero has about the origin
            if origin is not None:
                constants = constants - (weights * origin).reshape(K, -1, D).sum(axis=1)
                origin = np.concatenate([origin, np.zeros(D)])
            columns.append(-constants)
        flat = np.hstack(columns)
        return Spec("linear", K, flat.shape[1] - 1, weights=flat, origin=origin)

    def sums(self, s: Statistics) -> tuple[Array, Array]:
        """Masses (K, 1), or of the cells that are there (K, D), and the sums of their statistics (K, F, D)."""
        moments, D = s["moments"], self.n_columns
        mass, end, origin = moments[:, :1], 1 + self.per_cell * D, self.centre()
        sums = moments[:, 1:end].reshape(len(moments), self.per_cell, D)
        if moments.shape[1] == end:
            return mass, sums
        missing = moments[:, end:]
        if origin is not None:
            sums = sums + origin.reshape(self.per_cell, D) * missing[:, None]
        observed = mass - missing
        return np.where(observed > 1e-12 * mass, observed, 0.0), sums

    def maximize(self, s: Statistics) -> tuple[Self, Notes]:
        """The parameters whose expected statistics are the weighted means of those of the rows.

        For an exponential family that is the maximum (Bishop 2006, eq. 2.228).
        """
        return self.maximize_holding(s, {})

    def maximize_holding(self, s: Statistics, held: Mapping[str, Array]) -> tuple[Self, Notes]:
        mass, sums = self.sums(s)
        seen = mass > NOTHING * mass.sum()
        means = sums / np.where(seen, mass, 1.0)[:, None]
        means, old = np.where(seen[:, None], means, 1.0), {n: np.asarray(value) for n, value in self.values().items()}
        fresh = self.estimate(means)
        for name, mask in held.items():  # the others given this one, where there are others
            given = self.estimate_given(name, means) if len(old) > 1 else {}
            fresh = {n: np.where(mask[:, None], old[n] if n == name else given[n], fresh[n]) for n in old}
        if len(held) == len(old) > 1:
            both = np.logical_and.reduce(list(held.values()))[:, None]
            fresh = {n: np.where(both, old[n], fresh[n]) for n in old}
        new = self.evolve(**{name: np.where(seen, fresh[name], old[name]) for name in old})
        return new, new.limit_notes()

    def law(self) -> Any:
        """SciPy's frozen distribution of cells, with parameters (K, D)."""
        raise NotImplementedError

    def margins(self, rows: Array | None = None) -> Sequence[Margin]:
        law = self.law()
        return [Margin("count" if self.whole_numbers else "number", column_of(law, d)) for d in range(self.n_columns)]

    def of_columns(self, columns: Sequence[int]) -> Self:
        values: dict[str, Any] = {name: np.asarray(value)[:, columns] for name, value in self.values().items()}
        return type(self)(**values)

    def fill(self, rows: Array, states: Array, rng: np.random.Generator) -> Array:
        return self.fill_apart(rows, states, rng)

    @property
    def keeps_place(self) -> bool:
        return False

    def comparable(self, summary: Summary) -> Self:
        """Components at a limit have the parameters of the whole data."""
        at_limit = self.at_limit()
        if not at_limit.any():
            return self
        whole = self.blank().start(self.n_components, summary)
        return whole.keeping(self, ~at_limit)

    def limit_notes(self) -> Notes:
        """What to say of components that have reached a limit."""
        text = f"{' and '.join(self.parameters)} at their limit"
        return tuple((int(k), text) for k in np.flatnonzero(self.at_limit()))

    def check_prepared(self, summary: Summary) -> None:
        if self.values()[self.parameters[0]] is not None:
            require_columns(len(summary.mean) // (self.per_cell + summary.missing), self.n_columns)

    def validate(self, batch: Batch) -> None:
        if self.values()[self.parameters[0]] is not None:
            check_columns(batch, self.n_columns)
        X = batch.X
        possible = self.possible(X)
        check_cells(batch, possible | np.isnan(X) if self.allows_missing_cells else possible, self.name, self.wants)


class ConjugateCells(Cells, ConjugateEmission):
    """Families of cells with one parameter that has a conjugate prior."""

    @abstractmethod
    def learn(self, prior: Any, mass: Array, sums: Array) -> Prior:
        """The posterior given the masses (K, 1 or D) and the sums of the statistics (K, F, D)."""

    @abstractmethod
    def expected_natural(self, q: Any, summary: Summary) -> tuple[Array, Array]:
        """What :meth:`natural` gives, in expectation under ``q``."""

    @abstractmethod
    def mean_statistics(self) -> Array:
        """The expected statistics of a row, (K, F, D)."""

    def update(self, prior: Mapping[str, Any], s: Statistics) -> dict[str, Prior]:
        block = self.parameters[0]
        return {block: self.learn(prior[block], *self.sums(s))}

    def expected(self, q: Mapping[str, Any], summary: Summary) -> Spec:
        return self.linear(*self.expected_natural(q[self.parameters[0]], summary), summary)

    def evaluate_expected(self, q: Mapping[str, Any], batch: Batch) -> Evaluation:
        return kernel_evaluation(self.expected(q, batch.summary), batch)

    def expected_statistics(self, mass: Array) -> Statistics:
        K, D = self.first().shape
        rows = np.hstack([np.ones((K, 1)), self.mean_statistics().reshape(K, -1), np.zeros((K, D * self.has_missing))])
        return Statistics(self.layout, (rows * mass[:, None]).ravel())


class PseudoCells(ConjugateCells):
    """Families of cells whose parameters have a conjugate prior together, and no posterior in closed form: its mode is
    that of more rows."""

    @abstractmethod
    def terms(self) -> tuple[Array, Array]:
        """What :meth:`natural` gives, whatever the data."""

    @abstractmethod
    def check_statistics(self, statistics: Array) -> None:
        """Raises ValueError where no rows have these mean statistics (K, F, D)."""

    def natural(self, summary: Summary) -> tuple[Array, Array]:
        return self.terms()

    def _about(self, statistics: Array) -> Array:
        """Statistics (K, F, D) about the origin."""
        origin = self.centre()
        return statistics if origin is None else statistics - origin.reshape(self.per_cell, -1)

    def default_prior(self, summary: Summary, variational: bool) -> dict[str, Prior]:
        """One row like the data."""
        if variational:
            raise ValueError(f"{self.name} emissions have no posterior in closed form: estimate is 'ml' or 'map'")
        return {self.parameters[0]: PseudoRows(1.0, self.present_means(summary).reshape(self.per_cell, -1))}

    def check_prior(self, prior: Mapping[str, Any]) -> dict[str, Prior]:
        block = self.parameters[0]
        shaped = prior[block].shaped(block, self.n_components, self.per_cell, self.n_columns)
        self.check_statistics(shaped.statistics)
        return {block: shaped}

    def learn(self, prior: PseudoRows, mass: Array, sums: Array) -> PseudoRows:
        origin = self.centre()
        raw = sums if origin is None else sums + mass[:, None] * origin.reshape(self.per_cell, -1)
        return prior.learn(mass, raw)

    def mode(self, q: Mapping[str, Any]) -> tuple[Self, Notes]:
        new = self.evolve(**self.estimate(self._about(q[self.parameters[0]].statistics)))
        return new, new.limit_notes()

    def log_prior(self, prior: Mapping[str, Any]) -> float:
        one = prior[self.parameters[0]]
        constants, weights = self.terms()
        return float((one.rows * (constants + (weights * self._about(one.statistics)).sum(axis=1))).sum())

    def expected_natural(self, q: Any, summary: Summary) -> tuple[Array, Array]:
        raise NotImplementedError("there is no posterior in closed form")
