"""Log-normal emissions: positive numbers whose logarithms are Gaussian."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self

import numpy as np

from estep.data.batch import Batch
from estep.data.summary import Summary
from estep.emissions._shared.conjugate import ConjugateEmission
from estep.emissions._shared.rows import check_cells, check_columns, require_columns
from estep.emissions.gaussian import Gaussian
from estep.interface import Evaluation, Margin, Notes
from estep.kernels.spec import Spec
from estep.parameters.domains import Parameter
from estep.priors import Prior
from estep.statistics import Array, Layout, Statistics


@dataclass(frozen=True, eq=False)
class LogNormal(ConjugateEmission):
    """``logs``, a :class:`Gaussian` of any covariance type, is the family of the logarithms; its parameters are shown.

    ``means`` (K, D) and ``covariances`` are therefore those of log x.
    """

    logs: Gaussian = field(default_factory=lambda: Gaussian("diag"))

    name: ClassVar[str] = "log_normal"
    parameters: ClassVar[tuple[str, ...]] = ("means", "covariances")
    allows_missing: ClassVar[bool] = True
    can_fix_subset: ClassVar[bool] = True
    takes: ClassVar[Mapping[str, tuple[type[Prior], ...]]] = Gaussian.takes

    def __post_init__(self) -> None:
        if not isinstance(self.logs, Gaussian):
            raise ValueError(f"logs is {self.logs!r}: give the family of the logarithms, such as Gaussian('full')")

    def values(self) -> dict[str, Array | None]:
        return self.logs.values()

    def with_values(self, **values: Any) -> Self:
        return type(self)(self.logs.with_values(**values))

    @property
    def n_components(self) -> int:
        return self.logs.n_components

    @property
    def n_columns(self) -> int:
        return self.logs.n_columns

    @property
    def layout(self) -> Layout:
        return self.logs.layout

    def comparable(self, summary: Summary) -> Self:
        return self.evolve(logs=self.logs.comparable(summary))

    def describe(self) -> dict[str, Parameter]:
        return {n: replace(p, one=f"{p.one} of logarithms") for n, p in self.logs.describe().items()}

    @property
    def work(self) -> int:
        return self.logs.work

    @property
    def unregularised(self) -> bool:
        return self.logs.unregularised

    @property
    def maximizes(self) -> bool:
        return self.logs.maximizes

    @property
    def rounding(self) -> float:
        return self.logs.rounding

    @property
    def preparation(self) -> str:
        return self.name

    def prepare(self, X: Array, summary: Summary) -> tuple[Array, Array | None]:
        logs = np.log(X.astype(np.float64, copy=False))
        return logs, -np.nansum(logs, axis=1)

    def start(self, n_components: int, summary: Summary) -> Self:
        return type(self)(self.logs.start(n_components, summary))

    def adapt(self, summary: Summary) -> Self:
        return type(self)(self.logs.adapt(summary))

    def evaluate(self, batch: Batch) -> Evaluation:
        return self.logs.evaluate(batch)

    def kernel(self, summary: Summary) -> Spec | None:
        return self.logs.kernel(summary)

    def maximize(self, s: Statistics) -> tuple[Self, Notes]:
        """That of the logarithms."""
        logs, notes = self.logs.maximize(s)
        return type(self)(logs), notes

    def maximize_holding(self, s: Statistics, held: Mapping[str, Array]) -> tuple[Self, Notes]:
        logs, notes = self.logs.maximize_holding(s, held)
        return type(self)(logs), notes

    def default_prior(self, summary: Summary, variational: bool) -> dict[str, Prior]:
        return self.logs.default_prior(summary, variational)

    def check_prior(self, prior: Mapping[str, Any]) -> dict[str, Prior]:
        return self.logs.check_prior(prior)

    def update(self, prior: Mapping[str, Any], s: Statistics) -> dict[str, Prior]:
        return self.logs.update(prior, s)

    def mode(self, q: Mapping[str, Any]) -> tuple[Self, Notes]:
        logs, notes = self.logs.mode(q)
        return type(self)(logs), notes

    def mean(self, q: Mapping[str, Any]) -> tuple[Self, Notes]:
        logs, notes = self.logs.mean(q)
        return type(self)(logs), notes

    def log_prior(self, prior: Mapping[str, Any]) -> float:
        return self.logs.log_prior(prior)

    def expected(self, q: Mapping[str, Any], summary: Summary) -> Spec | None:
        return self.logs.expected(q, summary)

    def evaluate_expected(self, q: Mapping[str, Any], batch: Batch) -> Evaluation:
        return self.logs.evaluate_expected(q, batch)

    def expected_statistics(self, mass: Array) -> Statistics:
        return self.logs.expected_statistics(mass)

    def margins(self, rows: Array | None = None) -> Sequence[Margin]:
        from scipy import stats

        location, variance, _ = self.logs.given_known(None if rows is None else np.log(rows))
        deviation = np.sqrt(variance)
        return [
            Margin("number", stats.lognorm(s=deviation[..., d], scale=np.exp(location[..., d])))
            for d in range(self.n_columns)
        ]

    def of_columns(self, columns: Sequence[int]) -> Self:
        return type(self)(self.logs.of_columns(columns))

    def fill(self, rows: Array, states: Array, rng: np.random.Generator) -> Array:
        return np.where(np.isnan(rows), np.exp(self.logs.fill(np.log(rows), states, rng)), rows)

    def slopes(self, s: Statistics) -> dict[str, Array]:
        return self.logs.slopes(s)

    def sample(self, states: Array, rng: np.random.Generator) -> Array:
        return np.exp(self.logs.sample(states, rng))

    def check_prepared(self, summary: Summary) -> None:
        if self.logs.means is not None:
            require_columns(len(summary.mean), self.n_columns)

    def validate(self, batch: Batch) -> None:
        if self.logs.means is not None:
            check_columns(batch, self.n_columns)
        check_cells(batch, ~(batch.X <= 0), self.name, "numbers above 0")
