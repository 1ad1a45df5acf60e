"""Independent draws: each row's component is drawn anew with the mixing weights. Latent x emission is a mixture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from estep import kernels
from estep.data.batch import Batch
from estep.data.summary import Summary
from estep.interface import Boundary, Climbed, Emission, Latent, Path
from estep.kernels.spec import Spec
from estep.parameters.domains import Parameter, Probabilities, ratios
from estep.priors import Conjugate, Dirichlet, DirichletProcess, Prior, expected_probabilities
from estep.statistics import Array, Layout, Statistics
from estep.util.cached import cached_property
from estep.util.numbers import pick

SURE = 1e-4
"""Components of at least this weight are taken to have part in some rows."""
HARDLY = 1e-6
"""Of all rows: components with less may lose digits, where what is left out of them is far from their own rows."""


@dataclass(frozen=True, eq=False)
class Independent(Latent, Conjugate):
    """Mixing weights ``weights`` (K,), adding up to 1."""

    weights: Array | None = None

    name: ClassVar[str] = "independent"
    sequential: ClassVar[bool] = False
    kind: ClassVar[str] = "mixture"
    unit: ClassVar[str] = "component"
    batches: ClassVar[bool] = True
    parameters: ClassVar[tuple[str, ...]] = ("weights",)
    takes: ClassVar[Mapping[str, tuple[type[Prior], ...]]] = {"weights": (Dirichlet, DirichletProcess)}

    def __post_init__(self) -> None:
        if self.weights is not None:
            self.freeze_probabilities("weights", (np.size(self.weights),))

    def describe(self) -> dict[str, Parameter]:
        return {"weights": Parameter(Probabilities(across=True))}

    @property
    def _weights(self) -> Array:
        if self.weights is None:
            raise ValueError("the mixing weights are not known yet: fit, or give weights")
        return self.weights

    @property
    def n_components(self) -> int:
        return len(self._weights)

    @property
    def layout(self) -> Layout:
        return Layout.of(counts=(self.n_components,))

    def start(self, n_components: int) -> Self:
        if self.weights is not None:
            return self
        return type(self)(np.full(n_components, 1 / n_components))

    def underflowed(self, total: Array, weight: float) -> bool:
        return bool(((self._weights >= SURE) & (total < HARDLY * weight)).any())

    def shown(self) -> list[tuple[str, Array]]:
        return [("weight", self._weights)]

    def permuted(self, order: Array) -> Self:
        return self.some(order)

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        new = cls().evolve(weights=np.concatenate([part._weights for part in parts]))
        new._keep_support({"weights": np.concatenate([part.supports()["weights"] for part in parts])})
        return new

    def some(self, components: slice | Array) -> Self:
        mask = self.supports()["weights"][components]
        return self.with_values(weights=self._weights[components]).with_supports({"weights": mask})

    def expect_several(
        self,
        spec: Spec,
        X: Array,
        batch: Batch,
        ends: Array,
        s: Statistics,
        responsibilities: Array | None = None,
        prune: bool = False,
    ) -> None:
        stats = s["emission"] if responsibilities is None else None
        outputs = (s["latent"], stats, s["loglik"], None, responsibilities)
        sure = SURE if prune else 0.0
        kernels.active().mixture(spec, self._log_weights, X, batch.weights, *outputs, ends, sure=sure)

    def maximize_several(self, total: Array, ends: Array) -> Self:
        firsts = np.concatenate([[0], ends[:-1]])
        mass = np.repeat(np.add.reduceat(total, firsts), ends - firsts)
        return self.evolve(weights=np.where(mass > 0, total / np.where(mass > 0, mass, 1.0), self._weights))

    def rows_apart(self) -> Self:
        return self

    def statistics_of(self, occupancy: Array, starts: Array, moves: Array) -> Statistics:
        return Statistics(Layout.of(counts=(len(occupancy),)), np.array(occupancy))

    def log_probability(self, s: Statistics) -> float:
        return 0.0 if self.weights is None else float(s["counts"] @ np.log(np.maximum(self.weights, 1e-300)))

    def counts_of(self, s: Statistics) -> dict[str, Array]:
        return {"weights": s["counts"]}

    def slopes(self, s: Statistics) -> dict[str, Array]:
        return {"weights": ratios(s["counts"], self._weights)}

    def begin(self, s: Statistics, rng: np.random.Generator) -> Self:
        """Weights as the assignments have them."""
        counts = s["counts"]
        if self.weights is not None:
            return self
        return type(self)((counts / counts.sum() + 1e-6) / (1 + 1e-6 * len(counts)))

    def loosened(self, share: float) -> Self:
        mask = self.supports()["weights"]
        blended = (1 - share) * self._weights + share * mask / mask.sum()
        return self.with_values(weights=blended).with_supports({"weights": mask})

    @cached_property
    def _log_weights(self) -> Array:
        with np.errstate(divide="ignore"):
            return np.asarray(np.log(self._weights))

    def posterior(
        self,
        spec: Spec,
        X: Array,
        batch: Batch,
        s: Statistics | None = None,
        stats: Array | None = None,
        responsibilities: Array | None = None,
        boundary: Boundary | None = None,
        prune: bool = False,
    ) -> Array:
        loglik = np.empty(len(X))
        self._run(spec, X, batch, s, stats, None, loglik, responsibilities, prune)
        return loglik

    def expect(
        self,
        spec: Spec,
        X: Array,
        batch: Batch,
        s: Statistics,
        stats: Array | None = None,
        responsibilities: Array | None = None,
        boundary: Boundary | None = None,
        prune: bool = False,
    ) -> float:
        total = np.zeros(1)
        self._run(spec, X, batch, s, stats, total, None, responsibilities, prune)
        return float(total[0])

    def _run(
        self,
        spec: Spec,
        X: Array,
        batch: Batch,
        s: Statistics | None,
        stats: Array | None,
        total: Array | None,
        loglik: Array | None,
        responsibilities: Array | None,
        prune: bool,
    ) -> None:
        kernels.active().mixture(
            spec,
            self._log_weights,
            X,
            batch.weights,
            None if s is None else s["counts"],
            stats,
            total,
            loglik,
            responsibilities,
            None,
            allowed=batch.allowed(len(self._weights)),
            sure=SURE if prune else 0.0,
        )

    def climb(self, emission: Emission, batch: Batch, steps: int, prune: bool) -> Climbed | None:
        return emission.climb(batch, self._weights, steps, SURE if prune else 0.0, HARDLY)

    def decode(self, spec: Spec, X: Array, batch: Batch, boundary: Boundary | None = None) -> tuple[Array, Array]:
        total, allowed = kernels.log_densities(spec, X) + self._log_weights, batch.allowed(len(self._weights))
        if allowed is not None:
            total[allowed == 0] = -np.inf
        states = total.argmax(axis=1)
        return states, np.take_along_axis(total, states[:, None], axis=1)[:, 0]

    def path_log_probability(self, steps: Array, path: Path) -> Array:
        return np.asarray(steps + self._log_weights[path.states])

    def tempered(self, beta: float) -> Self:
        return self.evolve(weights=self._weights**beta)

    def count(self, path: Path, weights: Array | None, s: Statistics) -> None:
        s["counts"] += np.bincount(path.states, weights, self.n_components)

    def filter(self, spec: Spec, X: Array, batch: Batch, boundary: Boundary | None = None) -> Array:
        """Rows say nothing of each other: responsibilities."""
        r, loglik = np.empty((len(X), self.n_components)), np.empty(len(X))
        allowed = batch.allowed(self.n_components)
        kernels.active().mixture(spec, self._log_weights, X, None, None, None, None, loglik, r, None, allowed=allowed)
        r[loglik == -np.inf] = np.nan
        return r

    def draw(self, spec: Spec, X: Array, batch: Batch, u: Array, boundary: Boundary | None = None) -> Array:
        r = np.nan_to_num(self.filter(spec, X, batch))
        return pick(r, u)

    def maximize(self, s: Statistics) -> Self:
        """Weights are the mean responsibilities (Bishop 2006, eq. 9.26)."""
        counts = s["counts"]
        total = counts.sum()
        return self.evolve(weights=counts / total) if total > 0 else self

    def default_prior(self, summary: Summary, variational: bool) -> dict[str, Prior]:
        return {"weights": Dirichlet(1 / self.n_components + (0 if variational else 1))}

    def update(self, prior: Mapping[str, Any], s: Statistics) -> dict[str, Prior]:
        return {"weights": prior["weights"].update(s["counts"], self.supports()["weights"])}

    def expected(self, q: Mapping[str, Any]) -> Self:
        return self.evolve(weights=expected_probabilities(q["weights"]))

    def expected_statistics(self, weight: float, n_units: int) -> tuple[Statistics, Array]:
        mass = weight * self._weights
        return Statistics(self.layout, mass), mass

    @property
    def first(self) -> Array:
        return self._weights

    def shares(self) -> Array:
        return self._weights

    def following(self, p: Array) -> Array:
        return np.broadcast_to(self._weights, p.shape)

    def likelihood_ahead(self, logs: Array, ends: Array, lag: int) -> Array:
        return np.ones_like(logs)

    def sample(self, n: int, rng: np.random.Generator) -> Array:
        return rng.choice(self.n_components, size=n, p=self._weights / self._weights.sum())
