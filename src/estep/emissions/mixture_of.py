"""Emissions that are mixtures themselves: each state draws one of M parts, and that part the observation.

``MixtureOf(Gaussian("diag"), 8)`` in a chain is the GMM-HMM of speech recognition. The inner family holds the parts
of all states, state by state: part m of state k is its component k M + m.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

import numpy as np

from estep.data.batch import Batch
from estep.data.summary import Summary
from estep.emissions._shared.conjugate import ConjugateEmission
from estep.emissions._shared.rows import NOTHING, draw, kernel_evaluation, log_densities_of, missing
from estep.interface import Emission, Evaluation, Margin, Notes
from estep.kernels.reference import softmax
from estep.kernels.spec import Spec, mixed
from estep.parameters.domains import Parameter, Probabilities, ratios
from estep.parameters.values import Values
from estep.priors import Dirichlet, Prior
from estep.statistics import Array, Layout, Statistics
from estep.util.numbers import as_whole


@dataclass(frozen=True, eq=False)
class MixtureOf(ConjugateEmission):
    """Weights ``mix_weights`` (K, M), rows adding up to 1, over parts of the family ``inner``.

    ``n_mix`` is M, ``inner`` the family without parameters or with those of all K M parts. Its parameters are shown
    and given as (K, M, ...): ``values()["means"]`` is (K, M, D).
    """

    inner: Emission
    n_mix: int = 1
    mix_weights: Array | None = None

    name: ClassVar[str] = "mixture_of"
    parameters: ClassVar[tuple[str, ...]] = ("mix_weights",)
    can_fix_subset: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not isinstance(self.inner, Emission) or isinstance(self.inner, MixtureOf):
            raise ValueError(f"inner is {self.inner!r}: give the parts' family, such as Gaussian()")
        as_whole("n_mix", self.n_mix)
        if self.mix_weights is not None:
            self.freeze_probabilities("mix_weights", (len(np.atleast_1d(self.mix_weights)), self.n_mix))

    def _weights(self) -> Array:
        if self.mix_weights is None:
            raise missing(self.name, "mix_weights")
        return self.mix_weights

    @property
    def n_components(self) -> int:
        K, parts = len(self._weights()), self.inner.n_components
        if parts != K * self.n_mix:
            raise ValueError(f"{K} states of {self.n_mix} parts want {K * self.n_mix}; the inner family has {parts}")
        return K

    @property
    def layout(self) -> Layout:
        """parts (K, M): the mass of each part; then the statistics of the inner family."""
        inner = self.inner.layout
        return Layout((("parts", self._weights().shape), ("inner", (inner.size,))), inner.origin)

    @property
    def work(self) -> int:
        """Twice that of the parts: what each explains is worked out as well."""
        return 2 * self.inner.work

    @property
    def rows(self) -> Literal["real", "symbols", "table"]:
        return self.inner.rows

    @property
    def n_columns(self) -> int:
        return self.inner.n_columns

    @property
    def preparation(self) -> str:
        return self.inner.preparation

    @property
    def allows_missing(self) -> bool:  # type: ignore[override]
        return self.inner.allows_missing

    @property
    def tabulated(self) -> bool:  # type: ignore[override]
        return self.inner.tabulated

    @property
    def counts_missing(self) -> bool:
        return self.inner.counts_missing

    def clustering_features(self, X: Array, summary: Summary) -> Array:
        return self.inner.clustering_features(X, summary)

    def n_prepared(self, columns: int, missing: bool) -> int:
        return self.inner.n_prepared(columns, missing)

    def prepare(self, X: Array, summary: Summary) -> tuple[Array, Array | None]:
        return self.inner.prepare(X, summary)

    @property
    def n_parts(self) -> int:
        return self.n_mix

    def of_parts(self) -> Emission:
        return self.inner

    def simpler(self) -> Emission | None:
        simpler = self.inner.simpler()
        return None if simpler is None else type(self)(simpler, self.n_mix, self.mix_weights)

    def around(self, simpler: Emission) -> Sequence[Self]:
        assert isinstance(simpler, MixtureOf)
        return [type(self)(parts, self.n_mix, simpler.mix_weights) for parts in self.inner.around(simpler.inner)]

    @property
    def keeps_place(self) -> bool:
        return self.inner.keeps_place

    def comparable(self, summary: Summary) -> Self:
        return self.evolve(inner=self.inner.comparable(summary))

    def describe(self) -> dict[str, Parameter]:
        return {"mix_weights": Parameter(Probabilities()), **self.inner.describe()}

    def supports(self) -> dict[str, Array]:
        return {**super().supports(), **{n: self._by_part(n, mask) for n, mask in self.inner.supports().items()}}

    def with_supports(self, masks: Mapping[str, Array]) -> Self:
        inner = {n: masks[n].reshape(-1, *masks[n].shape[2:]) for n in self.inner.supports() if n in masks}
        new = super().with_supports({n: mask for n, mask in masks.items() if n == "mix_weights"})
        return new.evolve(inner=self.inner.with_supports(inner)) if inner else new

    def _by_part(self, name: str, value: Array) -> Array:
        """(K M, ...) as (K, M, ...); what all parts share as it is."""
        return value if name in self.inner.shared else value.reshape(-1, self.n_mix, *value.shape[1:])

    @property
    def families(self) -> Sequence[Emission]:
        return self.inner.families

    @property
    def symbols_read(self) -> int | None:
        return self.inner.symbols_read

    def check_names(self, columns: Sequence[str], symbols: Sequence[Any]) -> None:
        self.inner.check_names(columns, symbols)

    def values(self) -> dict[str, Array | None]:
        return {"mix_weights": self.mix_weights} | {
            name: None if value is None else self._by_part(name, value) for name, value in self.inner.values().items()
        }

    def with_values(self, **values: Any) -> Self:
        weights = values.pop("mix_weights", self.mix_weights)
        new = type(self)(self.inner.with_values(**self._flat(values)), self.n_mix, weights)
        same = np.array_equal(np.asarray(weights), np.asarray(self.mix_weights))
        return new.with_supports(Values.supports(self)) if same else new

    def _flat(self, values: dict[str, Any]) -> dict[str, Any]:
        """(K, M, ...) as (K M, ...)."""
        out = {}
        for name, value in values.items():
            if value is not None and name not in self.shared:
                if np.ndim(value) < 2 or np.shape(value)[1] != self.n_mix:
                    raise ValueError(f"{name} has shape {np.shape(value)}, expected (K, {self.n_mix}, ...)")
                value = np.reshape(value, (-1, *np.shape(value)[2:]))
            out[name] = value
        return out

    def start(self, n_components: int, summary: Summary) -> Self:
        K, M = n_components, self.n_mix
        weights = np.full((K, M), 1 / M) if self.mix_weights is None else self.mix_weights
        return type(self)(self.inner.start(K * M, summary), M, weights).with_supports(Values.supports(self))

    def from_parts(self, parts: Emission, mass: Array) -> Self:
        weights = self.mix_weights
        if weights is None:
            mass = mass + 1e-6 * max(mass.sum(), 1.0) / mass.size
            weights = mass / mass.sum(axis=1, keepdims=True)
        return type(self)(parts, self.n_mix, weights).with_supports(Values.supports(self))

    def adapt(self, summary: Summary) -> Self:
        return self.evolve(inner=self.inner.adapt(summary))

    def evaluate(self, batch: Batch) -> Evaluation:
        spec = self.kernel(batch.summary)
        if spec is not None:
            return kernel_evaluation(spec, batch)
        return self._around(self.inner.evaluate(batch), self._log_weights())

    def _around(self, inner: Evaluation, log_weights: Array) -> Evaluation:
        """The evaluation of mixtures from that of all parts; ``log_weights`` (K, M)."""
        K, M = log_weights.shape
        shape = np.shape(inner.log_densities)
        if len(shape) != 2 or shape[1] != K * M:
            raise ValueError(f"the inner family's log-densities have shape {shape}, expected (n, {K * M})")
        joint = inner.log_densities.reshape(-1, K, M) + log_weights
        total = softmax.logsumexp(joint, axis=2)

        def accumulate(r: Array, s: Statistics) -> None:
            share = softmax.shares(joint) * r[:, :, None]
            s["parts"] += share.sum(axis=0)
            inner.accumulate(share.reshape(-1, K * M), Statistics(self.inner.layout, s["inner"]))

        return Evaluation(total, accumulate)

    def maximize(self, s: Statistics) -> tuple[Self, Notes]:
        """Each part as a component of its own, given how it shares its state (Rabiner 1989, eq. 52 to 54).

        The statistics depend on how the parts shared the rows, so this raises the expected log-likelihood of the
        states without reaching its top.
        """
        mass = s["parts"].sum(axis=1, keepdims=True)
        seen = mass > NOTHING * mass.sum()
        weights = np.where(seen, s["parts"] / np.where(seen, mass, 1.0), self._weights())
        inner, notes = self.inner.maximize(Statistics(self.inner.layout, s["inner"]))
        return self.evolve(inner=inner, mix_weights=weights), self._by_state(notes)

    def maximize_holding(self, s: Statistics, held: Mapping[str, Array]) -> tuple[Self, Notes]:
        """Parts of a state are held together."""
        new, notes = self.maximize(s)
        inner = {name: np.repeat(mask, self.n_mix) for name, mask in held.items() if name != "mix_weights"}
        parts = new.inner
        if inner:
            parts, some = self.inner.maximize_holding(Statistics(self.inner.layout, s["inner"]), inner)
            notes = self._by_state(some)
        weights = new._weights()
        if "mix_weights" in held:
            weights = np.where(held["mix_weights"][:, None], self._weights(), weights)
        return self.evolve(inner=parts, mix_weights=weights), notes

    def check_holding(self, held: Mapping[str, Array], with_prior: bool) -> None:
        inner = {name: mask for name, mask in held.items() if name != "mix_weights"}
        if with_prior:
            super().check_holding(held, with_prior)
        elif inner:
            self.inner.check_holding(inner, with_prior)

    def pooled(self, s: Statistics, groups: Array) -> Statistics:
        out, M = Statistics(s.layout, s.vector.copy()), self.n_mix
        out["parts"] = (groups[:, None] == groups).astype(float) @ s["parts"]
        parts = (groups[:, None] * M + np.arange(M)).ravel()
        out["inner"] = self.inner.pooled(Statistics(self.inner.layout, s["inner"]), parts).vector
        return out

    def _by_state(self, notes: Notes) -> Notes:
        return tuple((k // self.n_mix, f"part {k % self.n_mix}: {text}") for k, text in notes)

    @property
    def blocks(self) -> Mapping[str, tuple[type[Prior], ...]]:
        inner = self.inner.blocks if isinstance(self.inner, ConjugateEmission) else {}
        return {"mix_weights": (Dirichlet,), **inner} if inner else {}

    @property
    def _conjugate(self) -> ConjugateEmission:
        assert isinstance(self.inner, ConjugateEmission)
        return self.inner

    def default_prior(self, summary: Summary, variational: bool) -> dict[str, Prior]:
        weights = Dirichlet(1 / self.n_mix + (0 if variational else 1))
        return {"mix_weights": weights, **self._conjugate.default_prior(summary, variational)}

    def check_prior(self, prior: Mapping[str, Any]) -> dict[str, Prior]:
        prior["mix_weights"].check_shape("mix_weights", self._weights().shape)
        inner = {name: one for name, one in prior.items() if name != "mix_weights"}
        return {"mix_weights": prior["mix_weights"], **self._conjugate.check_prior(inner)}

    def update(self, prior: Mapping[str, Any], s: Statistics) -> dict[str, Prior]:
        weights = prior["mix_weights"].update(s["parts"], self.supports()["mix_weights"])
        inner = Statistics(self.inner.layout, s["inner"])
        return {"mix_weights": weights, **self._conjugate.update(prior, inner)}

    def mode(self, q: Mapping[str, Any]) -> tuple[Self, Notes]:
        inner, notes = self._conjugate.mode(q)
        return self.evolve(inner=inner, mix_weights=q["mix_weights"].mode(self._weights())), self._by_state(notes)

    def mean(self, q: Mapping[str, Any]) -> tuple[Self, Notes]:
        inner, notes = self._conjugate.mean(q)
        return self.evolve(inner=inner, mix_weights=q["mix_weights"].mean()), self._by_state(notes)

    def log_prior(self, prior: Mapping[str, Any]) -> float:
        return float(prior["mix_weights"].log_density(self._weights()) + self._conjugate.log_prior(prior))

    def expected(self, q: Mapping[str, Any], summary: Summary) -> Spec | None:
        parts = self._conjugate.expected(q, summary)
        return None if parts is None else mixed(parts, q["mix_weights"].expected_log())

    def evaluate_expected(self, q: Mapping[str, Any], batch: Batch) -> Evaluation:
        spec = self.expected(q, batch.summary)
        if spec is not None:
            return kernel_evaluation(spec, batch)
        return self._around(self._conjugate.evaluate_expected(q, batch), q["mix_weights"].expected_log())

    def expected_statistics(self, mass: Array) -> Statistics:
        parts = mass[:, None] * self._weights()
        return Statistics(
            self.layout, np.concatenate([parts.ravel(), self._conjugate.expected_statistics(parts.ravel()).vector])
        )

    def slopes(self, s: Statistics) -> dict[str, Array]:
        inner = self.inner.slopes(Statistics(self.inner.layout, s["inner"]))
        by_part = {name: self._by_part(name, slope) for name, slope in inner.items()}
        return {"mix_weights": ratios(s["parts"], self._weights()), **by_part}

    def sample(self, states: Array, rng: np.random.Generator) -> Array:
        return self.inner.sample(states * self.n_mix + draw(self._weights(), states, rng), rng)

    def margins(self, rows: Array | None = None) -> Sequence[Margin] | None:
        inner = self.inner.margins(rows)
        if inner is None:
            return None
        weights = self._weights() if rows is None else self._parts_of(rows)
        return [margin.mixed(weights) for margin in inner]

    def check_draws(self, rows: Array) -> None:
        self.inner.check_draws(rows)

    def of_columns(self, columns: Sequence[int]) -> Self:
        return self.evolve(inner=self.inner.of_columns(columns))

    def fill(self, rows: Array, states: Array, rng: np.random.Generator) -> Array:
        own = self._parts_of(rows)[np.arange(len(rows)), states]
        return self.inner.fill(rows, states * self.n_mix + draw(own, np.arange(len(rows)), rng), rng)

    def _parts_of(self, rows: Array) -> Array:
        """The probabilities (n, K, M) of the parts of each state, given what is known of rows."""
        logs = log_densities_of(self.inner, rows).reshape(len(rows), -1, self.n_mix) + self._log_weights()
        return softmax.shares(logs)

    @property
    def n_covariates(self) -> int:
        return self.inner.n_covariates

    @property
    def unregularised(self) -> bool:
        return self.inner.unregularised

    @property
    def maximizes(self) -> bool:
        return self.inner.maximizes

    def check_prepared(self, summary: Summary) -> None:
        self.inner.check_prepared(summary)

    def given_columns(self, n: int) -> Self:
        return self.evolve(inner=self.inner.given_columns(n))

    def sample_given(self, states: Array, given: Array, rng: np.random.Generator) -> Array:
        return self.inner.sample_given(states * self.n_mix + draw(self._weights(), states, rng), given, rng)

    @property
    def rounding(self) -> float:
        return self.inner.rounding

    def kernel(self, summary: Summary) -> Spec | None:
        parts = self.inner.kernel(summary)
        return None if parts is None else mixed(parts, self._log_weights())

    def validate(self, batch: Batch) -> None:
        self.inner.validate(batch)

    def _log_weights(self) -> Array:
        with np.errstate(divide="ignore"):
            return np.asarray(np.log(self._weights()))
