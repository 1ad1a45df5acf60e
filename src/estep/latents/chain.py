"""A Markov chain: each step's state depends on the state before. Latent x emission is a hidden Markov model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

import numpy as np

from estep.data.batch import Batch
from estep.data.summary import Summary
from estep.interface.latent import LEAF_WORK
from estep.latents.independent import Independent
from estep.latents.moving import Dense, Lowered, Moving
from estep.latents.topology import ORDERED, allowed_moves, maximize_stationary, stationary, stationary_slope
from estep.parameters.domains import Parameter, Probabilities, ratios
from estep.priors import Conjugate, Dirichlet, Prior, expected_probabilities
from estep.statistics import Array, Layout, Statistics

CHAIN_ROWS = 8192  # of a leaf, at least
CHAIN_STATES = 2**17  # rows times states of a leaf, about
SMALLEST = 1e-100
"""Estimated probabilities below this become zero: they change no likelihood, and all above stay in range."""


@dataclass(frozen=True, eq=False)
class Chain(Moving, Conjugate):
    """Start probabilities ``startprob`` (K,) and transition matrix ``transmat`` (K, K), rows adding up to 1.

    Zeros in either stay zero in every estimate. ``begins``: "anywhere", or "stationary" where the start is the
    stationary distribution of the transition matrix. ``topology``: the transitions that a start may have, "ergodic",
    "left-right", "bakis", "banded", or a matrix with zeros.
    """

    startprob: Array | None = None
    transmat: Array | None = None
    begins: str = "anywhere"
    topology: Any = field(default=None, kw_only=True, metadata={"transient": True})

    name: ClassVar[str] = "chain"
    kind: ClassVar[str] = "hidden Markov model"
    unit: ClassVar[str] = "state"
    parameters: ClassVar[tuple[str, ...]] = ("startprob", "transmat")
    takes: ClassVar[Mapping[str, tuple[type[Prior], ...]]] = {"startprob": (Dirichlet,), "transmat": (Dirichlet,)}

    def __post_init__(self) -> None:
        K = None
        if self.startprob is not None:
            K = np.size(self.startprob)
            self.freeze_probabilities("startprob", (K,))
        if self.transmat is not None:
            K = len(np.atleast_1d(self.transmat)) if K is None else K
            self.freeze_probabilities("transmat", (K, K))
        if self.begins not in ("anywhere", "stationary"):
            raise ValueError(f"begins is {self.begins!r}: it is 'anywhere' or 'stationary'")
        if self.begins == "stationary" and self.transmat is not None:
            object.__setattr__(self, "startprob", stationary(self.transmat))

    def describe(self) -> dict[str, Parameter]:
        start = Parameter(Probabilities(across=True), derived=self.begins == "stationary")
        return {"startprob": start, "transmat": Parameter(Probabilities())}

    def _given(self) -> tuple[Array, Array]:
        if self.startprob is None or self.transmat is None:
            missing = "startprob" if self.startprob is None else "transmat"
            raise ValueError(f"{missing} is not known yet: fit, or give it")
        return self.startprob, self.transmat

    @property
    def n_components(self) -> int:
        return len(self._given()[0])

    @property
    def layout(self) -> Layout:
        K = self.n_components
        return Layout.of(start=(K,), transitions=(K, K))

    def start(self, n_components: int) -> Self:
        K = n_components
        startprob, transmat = self.startprob, self.transmat
        if startprob is None:
            startprob = np.eye(K)[0] if self.ordered else np.full(K, 1 / K)
        if self.topology is not None and transmat is not None and (transmat[~self.allowed(K)] > 0).any():
            raise ValueError(f"transmat has transitions that the topology {self.topology!r} does not allow")
        if transmat is None:
            allowed = self.allowed(K)
            transmat = allowed / allowed.sum(axis=1, keepdims=True)
        return self.with_values(startprob=startprob, transmat=transmat)

    @property
    def ordered(self) -> bool:
        """Whether the topology begins in the first state and never goes back."""
        return isinstance(self.topology, str) and self.topology in ORDERED

    def leaf_rows(self, work: int) -> int:
        """Segments long enough to forget, states of the leaf in the cache."""
        rows = LEAF_WORK // (work + 3 * self.layout.size)
        rows = min(max(rows // 8, CHAIN_ROWS), max(CHAIN_STATES // self.n_states, CHAIN_ROWS), 4 * CHAIN_ROWS)
        return 1 << rows.bit_length() - 1

    def shown(self) -> list[tuple[str, Array]]:
        startprob, transmat = self._given()
        return [("start", startprob), ("transitions to 0, 1, ...", transmat)]

    def permuted(self, order: Array) -> Self:
        startprob, transmat = self._given()
        both, masks = np.ix_(order, order), self.supports()
        new = self.with_values(startprob=startprob[order], transmat=transmat[both])
        moved = {n: mask[order] if mask.ndim == 1 else mask[both] for n, mask in masks.items()}
        return new.with_supports(moved)

    def rows_apart(self) -> Independent:
        return Independent(np.full(self.n_components, 1 / self.n_components))

    def statistics_of(self, occupancy: Array, starts: Array, moves: Array) -> Statistics:
        K = len(starts)
        s = Statistics.zeros(Layout.of(start=(K,), transitions=(K, K)))
        masks = self.supports()
        s["start"], s["transitions"] = starts * masks.get("startprob", 1.0), moves * masks.get("transmat", 1.0)
        return s

    def log_probability(self, s: Statistics) -> float:
        known = ((s["start"], self.startprob), (s["transitions"], self.transmat))
        return sum(float((n * np.log(np.maximum(p, SMALLEST))).sum()) for n, p in known if p is not None)

    def counts_of(self, s: Statistics) -> dict[str, Array]:
        own = {"transmat": s["transitions"]}
        return own if self.begins == "stationary" else {"startprob": s["start"], **own}

    def slopes(self, s: Statistics) -> dict[str, Array]:
        startprob, transmat = self._given()
        moves = ratios(s["transitions"], transmat)
        if self.begins == "stationary":
            return {"transmat": moves + stationary_slope(ratios(s["start"], startprob), startprob, transmat)}
        return {"startprob": ratios(s["start"], startprob), "transmat": moves}

    def begin(self, s: Statistics, rng: np.random.Generator) -> Self:
        """A uniform start, and transitions drawn around staying, together with the moves of labelled rows."""
        K = len(s["start"])
        if self.transmat is not None:
            return self.start(K)
        concentrations = np.ones((K, K)) + K * np.eye(K)
        transmat = np.array([rng.dirichlet(row) for row in concentrations]) + s["transitions"]
        transmat = np.where(self.allowed(K), transmat / transmat.sum(axis=1, keepdims=True) + 1e-3, 0.0)
        return self.start(K).with_values(transmat=transmat / transmat.sum(axis=1, keepdims=True))

    def loosened(self, share: float) -> Self:
        masks, values = self.supports(), {}
        for name, p in zip(self.parameters, self._given(), strict=True):
            mask = masks.get(name, p > 0)
            values[name] = (1 - share) * p + share * mask / mask.sum(axis=-1, keepdims=True)
        return self.with_values(**values).with_supports(masks)

    def allowed(self, n_components: int) -> Array:
        """Which transitions may be, (K, K)."""
        return allowed_moves("ergodic" if self.topology is None else self.topology, n_components)

    def lower(self, batch: Batch | None) -> Lowered:
        startprob, transmat = self._given()
        return Lowered(startprob, Dense(transmat), counts=("start", "transitions"))

    def collect(self, starts: Array, uses: Array, batch: Batch | None, s: Statistics) -> None:
        s["start"] += starts
        s["transitions"] += uses

    def tempered(self, beta: float) -> Self:
        startprob, transmat = self._given()
        return self.evolve(startprob=startprob**beta, transmat=transmat**beta)

    def maximize(self, s: Statistics) -> Self:
        """Expected frequencies (Rabiner 1989, eq. 40a and 40b); a state that is never left keeps its row."""
        startprob, transmat = self._given()
        start, rows = s["start"], s["transitions"]
        if self.begins == "stationary":
            transmat = maximize_stationary(start, rows, transmat)
            return self.evolve(startprob=stationary(transmat), transmat=transmat)
        total, left = start.sum(), rows.sum(axis=1, keepdims=True)
        if total > 0:
            startprob = _normalise(start)
        kept = np.where(left > SMALLEST * left.sum(), rows, transmat)
        return self.evolve(startprob=startprob, transmat=_normalise(kept))

    def default_prior(self, summary: Summary, variational: bool) -> dict[str, Prior]:
        prior = Dirichlet(1 / self.n_components + (0 if variational else 1))
        return {"startprob": prior, "transmat": prior}

    def update(self, prior: Mapping[str, Any], s: Statistics) -> dict[str, Prior]:
        """Counts of starts and of moves (MacKay 1997, "Ensemble learning for hidden Markov models")."""
        support = self.supports()
        return {
            "startprob": prior["startprob"].update(s["start"], support["startprob"]),
            "transmat": prior["transmat"].update(s["transitions"], support["transmat"]),
        }

    def expected(self, q: Mapping[str, Any]) -> Self:
        return self.evolve(**{name: expected_probabilities(q[name]) for name in self.parameters})

    def expected_statistics(self, weight: float, n_units: int) -> tuple[Statistics, Array]:
        startprob, transmat = self._given()
        s, mass = Statistics.zeros(self.layout), np.full(len(startprob), weight / len(startprob))
        s["start"] = n_units * startprob
        s["transitions"] = mass[:, None] * transmat
        return s, mass


def _normalise(p: Array) -> Array:
    p = p / p.sum(axis=-1, keepdims=True)
    p = np.where(p < SMALLEST, 0.0, p)
    return np.asarray(p / p.sum(axis=-1, keepdims=True))
