"""Multinomial emissions: how often each of D outcomes came up in a row's trials."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from estep.data.summary import Summary
from estep.emissions._shared.cells import ConjugateCells
from estep.parameters.domains import Parameter, Probabilities, ratios
from estep.priors import Dirichlet, Prior
from estep.statistics import Array, Statistics
from estep.util.numbers import as_whole

UNSEEN = 1e-3
"""What all outcomes together have at least in a start."""


@dataclass(frozen=True, eq=False)
class Multinomial(ConjugateCells):
    """Probabilities ``emissionprob`` (K, D) of the outcomes, rows adding up to 1; zeros stay zero.

    Rows may have different numbers of trials, which are taken as given.
    """

    emissionprob: Array | None = None
    trials: int = 1
    """Trials of a row that is drawn by ``sample``."""

    name: ClassVar[str] = "multinomial"
    parameters: ClassVar[tuple[str, ...]] = ("emissionprob",)
    smoothed: ClassVar[tuple[str, ...]] = ("emissionprob",)
    takes: ClassVar[Mapping[str, tuple[type[Prior], ...]]] = {"emissionprob": (Dirichlet,)}
    whole_numbers: ClassVar[bool] = True
    per_cell: ClassVar[int] = 1
    wants: ClassVar[str] = "counts 0, 1, 2, ..., all of a row or none of it"
    allows_missing_cells: ClassVar[bool] = False

    def __post_init__(self) -> None:
        as_whole("trials", self.trials)
        if self.emissionprob is not None and np.ndim(self.emissionprob) != 2:
            raise ValueError(f"emissionprob has shape {np.shape(self.emissionprob)}, expected (K, D)")
        self.freeze_probabilities("emissionprob", None)

    def describe(self) -> dict[str, Parameter]:
        return {"emissionprob": Parameter(Probabilities(), one="probability")}

    def natural(self, summary: Summary) -> tuple[Array, Array]:
        p = self.first()
        with np.errstate(divide="ignore"):
            return np.zeros(p.shape), np.log(p)[:, None]

    def statistics(self, X: Array) -> list[Array]:
        return [X]

    def base(self, X: Array, summary: Summary) -> Array | None:
        """The multinomial coefficient."""
        from scipy.special import gammaln

        X = np.nan_to_num(X)
        return np.asarray(gammaln(X.sum(axis=1) + 1) - gammaln(X + 1).sum(axis=1))

    def estimate(self, means: Array) -> dict[str, Array]:
        """Expected shares (Bishop 2006, eq. 2.33). Without any trials all outcomes are alike."""
        counts = means[:, 0]
        total = counts.sum(axis=1, keepdims=True)
        return {"emissionprob": np.where(total > 0, counts / np.where(total > 0, total, 1.0), 1 / counts.shape[1])}

    def start(self, n_components: int, summary: Summary) -> Self:
        """Outcomes that never came up are possible all the same: zeros are those that are given."""
        new = super().start(n_components, summary)
        if self.emissionprob is not None:
            return new
        p = np.maximum(new.first(), UNSEEN / new.n_columns)
        return new.evolve(emissionprob=p / p.sum(axis=1, keepdims=True))

    def possible(self, X: Array) -> Array:
        """Counts are missing all together: some alone would leave the number of trials unknown."""
        some = np.isnan(X) & ~np.isnan(X).all(axis=1, keepdims=True)
        return np.asarray((X >= 0) & (np.floor(X) == X) & (X <= 2.0**53) | np.isnan(X) & ~some)

    def default_prior(self, summary: Summary, variational: bool) -> dict[str, Prior]:
        """One trial, shared out."""
        return {"emissionprob": Dirichlet(1 / self.n_columns + (0 if variational else 1))}

    def learn(self, prior: Dirichlet, mass: Array, sums: Array) -> Dirichlet:
        return prior.update(sums[:, 0], self.supports()["emissionprob"])

    def expected_natural(self, q: Dirichlet, summary: Summary) -> tuple[Array, Array]:
        logs = q.expected_log()
        return np.zeros(logs.shape), logs[:, None]

    def mean_statistics(self) -> Array:
        return self.trials * self.first()[:, None]

    def law(self) -> Any:
        from scipy import stats

        return stats.binom(n=np.full(self.first().shape, self.trials), p=self.first())

    def check_draws(self, rows: Array) -> None:
        totals = rows.sum(axis=1)
        odd = ~np.isnan(totals) & (totals != self.trials)
        if odd.any():
            raise ValueError(
                f"rows have {totals[odd][0]:g} trials, the family draws {self.trials}: where all have as many, give "
                f"Multinomial(trials={totals[odd][0]:g}); of different numbers there is no such answer"
            )

    def of_columns(self, columns: Sequence[int]) -> Self:
        raise ValueError("multinomial emissions: some counts alone leave the number of trials unknown")

    def slopes(self, s: Statistics) -> dict[str, Array]:
        return {"emissionprob": ratios(self.sums(s)[1][:, 0], self.first())}

    def sample(self, states: Array, rng: np.random.Generator) -> Array:
        return rng.multinomial(self.trials, self.first()[states]).astype(np.float64)
