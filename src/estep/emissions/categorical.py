"""Categorical emissions: each state emits symbols 0 .. M - 1 with its own probabilities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Self

import numpy as np

from estep.data.batch import Batch
from estep.data.summary import Summary
from estep.emissions._shared.conjugate import ConjugateEmission
from estep.emissions._shared.rows import draw, kernel_evaluation, missing
from estep.interface import Evaluation, Margin, Notes
from estep.kernels.spec import Spec
from estep.parameters.domains import Parameter, Probabilities, ratios
from estep.priors import Dirichlet, Prior
from estep.statistics import Array, Layout, Statistics
from estep.util.memory import require_memory
from estep.util.numbers import as_whole


@dataclass(frozen=True, eq=False)
class Categorical(ConjugateEmission):
    """Symbol probabilities ``emissionprob`` (K, M), rows adding up to 1; zeros stay zero.

    ``n_symbols``: M, where it is more than the largest symbol seen plus one. ``unknown``: what texts are that no fit
    has seen, an "error" or "missing" cells. ``first``: where codes begin, symbols below it are impossible.
    """

    emissionprob: Array | None = None
    n_symbols: int | None = None
    unknown: Literal["error", "missing"] = field(default="error", kw_only=True, metadata={"optional": True})
    first: int = field(default=0, kw_only=True, metadata={"optional": True})

    has_missing: bool = field(default=False, kw_only=True, repr=False, metadata={"optional": True})
    """The statistics have room for rows without a symbol: these come as 0 then, the symbols from 1 on."""

    name: ClassVar[str] = "categorical"
    allows_missing: ClassVar[bool] = True
    tabulated: ClassVar[bool] = True
    parameters: ClassVar[tuple[str, ...]] = ("emissionprob",)
    smoothed: ClassVar[tuple[str, ...]] = ("emissionprob",)
    takes: ClassVar[Mapping[str, tuple[type[Prior], ...]]] = {"emissionprob": (Dirichlet,)}

    def __post_init__(self) -> None:
        if self.n_symbols is not None and (not isinstance(self.n_symbols, int) or self.n_symbols < 1):
            raise ValueError(f"n_symbols is {self.n_symbols!r}: it is a whole number from 1")
        if self.unknown not in ("error", "missing"):
            raise ValueError(f"unknown is {self.unknown!r}: it is 'error' or 'missing'")
        as_whole("first", self.first, 0)
        if self.emissionprob is not None:
            shape = np.shape(self.emissionprob)
            if len(shape) != 2:
                raise ValueError(f"emissionprob has shape {shape}, expected (K, M)")
            self.freeze_probabilities("emissionprob", (shape[0], self.n_symbols or shape[1]))
            object.__setattr__(self, "n_symbols", shape[1])

    @property
    def rows(self) -> Literal["real", "symbols"]:
        return "symbols"

    @property
    def takes_unknown(self) -> bool:
        return self.unknown == "missing"

    def _probabilities(self) -> Array:
        if self.emissionprob is None:
            raise missing(self.name, "emissionprob")
        return self.emissionprob

    @property
    def n_components(self) -> int:
        return len(self._probabilities())

    @property
    def layout(self) -> Layout:
        K, M = self._probabilities().shape
        return Layout.of(counts=(K, M + self.has_missing))

    @property
    def preparation(self) -> str:
        return self.name

    @property
    def counts_missing(self) -> bool:
        return True

    def prepare(self, X: Array, summary: Summary) -> tuple[Array, Array | None]:
        return X + np.int32(1) if summary.missing else X, None

    def adapt(self, summary: Summary) -> Self:
        return self.evolve(has_missing=summary.missing)

    def start(self, n_components: int, summary: Summary) -> Self:
        M = self.n_symbols or int(summary.high[0]) + (0 if summary.missing else 1)
        if self.emissionprob is not None:
            return self.adapt(summary)
        require_memory(f"symbols up to {M - 1}: tables of as many for {n_components} components", 32 * M * n_components)
        p = np.broadcast_to(np.arange(M) >= min(self.first, M - 1), (n_components, M)).astype(float)
        return self.evolve(emissionprob=p / p.sum(axis=1, keepdims=True), n_symbols=M).adapt(summary)

    def evaluate(self, batch: Batch) -> Evaluation:
        return kernel_evaluation(self.kernel(batch.summary), batch)

    def maximize(self, s: Statistics) -> tuple[Self, Notes]:
        """Expected symbol frequencies (Rabiner 1989, eq. 40c)."""
        counts = self._counts(s)
        mass = counts.sum(axis=1, keepdims=True)
        kept = np.where(mass > 0, counts, self._probabilities())
        return self.evolve(emissionprob=kept / kept.sum(axis=1, keepdims=True)), ()

    def _counts(self, s: Statistics) -> Array:
        """The counts of the symbols, a view."""
        return s["counts"][:, -self._probabilities().shape[1] :]

    def margins(self, rows: Array | None = None) -> Sequence[Margin]:
        return [Margin("symbol", table=self._probabilities())]

    def slopes(self, s: Statistics) -> dict[str, Array]:
        return {"emissionprob": ratios(self._counts(s), self._probabilities())}

    def sample(self, states: Array, rng: np.random.Generator) -> Array:
        return draw(self._probabilities(), states, rng)[:, None]

    @property
    def symbols_read(self) -> int | None:
        return self.n_symbols

    def describe(self) -> dict[str, Parameter]:
        return {"emissionprob": Parameter(Probabilities(), one="probability")}

    def kernel(self, summary: Summary) -> Spec:
        with np.errstate(divide="ignore"):
            return self._spec(np.log(self._probabilities()), summary)

    def _spec(self, logs: Array, summary: Summary) -> Spec:
        if summary.missing:
            logs = np.hstack([np.zeros((len(logs), 1)), logs])
        return Spec("table", len(logs), 1, M=logs.shape[1], weights=logs)

    def default_prior(self, summary: Summary, variational: bool) -> dict[str, Prior]:
        """One symbol, shared out."""
        M = self._probabilities().shape[1]
        return {"emissionprob": Dirichlet(1 / M + (0 if variational else 1))}

    def update(self, prior: Mapping[str, Any], s: Statistics) -> dict[str, Prior]:
        return {"emissionprob": prior["emissionprob"].update(self._counts(s), self.supports()["emissionprob"])}

    def expected(self, q: Mapping[str, Any], summary: Summary) -> Spec:
        return self._spec(q["emissionprob"].expected_log(), summary)

    def evaluate_expected(self, q: Mapping[str, Any], batch: Batch) -> Evaluation:
        return kernel_evaluation(self.expected(q, batch.summary), batch)

    def expected_statistics(self, mass: Array) -> Statistics:
        s = Statistics.zeros(self.layout)
        self._counts(s)[...] = mass[:, None] * self._probabilities()
        return s

    def check_prepared(self, summary: Summary) -> None:
        most, M = int(summary.high[0]) - summary.missing, self.n_symbols
        if M is not None and most >= M:
            raise ValueError(f"the data have symbol {most}; the model has symbols 0 to {M - 1}")

    def validate(self, batch: Batch) -> None:
        M = self.n_symbols
        if M is not None and (batch.X >= M).any():
            row = int(np.argmax(batch.X[:, 0] >= M))
            raise ValueError(f"row {batch.row(row)} is symbol {batch.X[row, 0]}; the model has symbols 0 to {M - 1}")
