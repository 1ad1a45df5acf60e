"""A Markov chain: each step's state depends on the state before. Latent x emission is a hidden Markov model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

import numpy as np

from estep import kernels
from estep.data.batch import Batch
from estep.data.summary import Summary
from estep.interface import Boundary, Latent, Path
from estep.interface.latent import LEAF_WORK
from estep.kernels.spec import Spec
from estep.latents.independent import Independent
from estep.latents.topology import ORDERED, allowed_moves, maximize_stationary, stationary
from estep.parameters.domains import Parameter, Probabilities
from estep.priors import Conjugate, Dirichlet, Prior, expected_probabilities
from estep.statistics import Array, Layout, Statistics

CHAIN_ROWS = 8192  # of a leaf, at least
CHAIN_STATES = 2**17  # rows times states of a leaf, about
RARE = 1e-20
"""A transition that matters only where much follows."""
SMALLEST = 1e-100
"""Estimated probabilities below this become zero: they change no likelihood, and all above stay in range."""


@dataclass(frozen=True, eq=False)
class Chain(Latent, Conjugate):
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
    sequential: ClassVar[bool] = True
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

    @property
    def looks_back(self) -> bool:
        """What is unlikely at a boundary may become likely again where some transitions are next to impossible."""
        return bool((self._given()[1] < RARE).any())

    def leaf_rows(self, work: int) -> int:
        """Segments long enough to forget, states of the leaf in the cache."""
        rows = LEAF_WORK // (work + 3 * self.layout.size)
        rows = min(max(rows // 8, CHAIN_ROWS), max(CHAIN_STATES // self.n_components, CHAIN_ROWS), 4 * CHAIN_ROWS)
        return 1 << rows.bit_length() - 1

    def reachable(self, before: Array | None) -> Array:
        startprob, transmat = self._given()
        return np.asarray(startprob > 0 if before is None else before @ (transmat > 0))

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
        ends = _ends(batch)
        loglik = np.empty(len(ends))
        start, trans = (None, None) if s is None else (s["start"], s["transitions"])
        chunk = (
            () if boundary is None else (batch.halo, boundary.left, boundary.right, boundary.messages, boundary.logs)
        )
        kernels.active().chain(
            spec,
            *self._given(),
            ends,
            X,
            batch.weights,
            loglik,
            start,
            trans,
            stats,
            responsibilities,
            *chunk,
            allowed=batch.allowed(self.n_components),
        )
        return loglik

    def decode(self, spec: Spec, X: Array, batch: Batch, boundary: Boundary | None = None) -> tuple[Array, Array]:
        ends = _ends(batch)
        path, logprob = np.empty(len(X), np.int32), np.empty(len(ends))
        chain, allowed = (spec, *self._given(), ends, X, path, logprob), batch.allowed(self.n_components)
        if boundary is None:
            kernels.active().viterbi(*chain, allowed=allowed)
            return path, logprob
        own, following = batch.own, -1 if boundary.right is None else int(boundary.right.argmax())
        scores = np.empty((2, self.n_components))
        kernels.active().viterbi(*chain, batch.halo, boundary.left, following, scores, allowed=allowed)
        before, after, ending, beginning = boundary.messages
        before[:], ending[:] = scores
        after[:] = beginning[:] = -np.inf
        after[path[own.stop] if following < 0 and own.stop < len(X) else following] = 0.0
        beginning[path[own.start]] = 0.0
        return path[own], logprob

    def path_log_probability(self, steps: Array, path: Path) -> Array:
        with np.errstate(divide="ignore"):
            log_start, log_trans = (np.log(p) for p in self._given())
        states, ends, steps = path.states, path.ends_of(len(steps)), steps.copy()
        moves = log_trans[states[:-1], states[1:]]
        firsts = np.concatenate([[0], ends[:-1]]).astype(np.int64)
        full = firsts < ends
        at = firsts[full]
        moves[at[at > 0] - 1] = 0.0
        steps[1:] += moves
        steps[at] += log_start[states[at]] if path.before is None else log_trans[path.before, states[at]]
        out = np.zeros(len(ends))
        out[full] = np.add.reduceat(steps, at)
        return out

    def tempered(self, beta: float) -> Self:
        startprob, transmat = self._given()
        return self.evolve(startprob=startprob**beta, transmat=transmat**beta)

    def count(self, path: Path, weights: Array | None, s: Statistics) -> None:
        states, ends, K = path.states, path.ends_of(len(path.states)), self.n_components
        of_rows = np.ones(len(states)) if weights is None else np.repeat(weights, np.diff(ends, prepend=0))
        firsts = np.unique(np.concatenate([[0], ends[:-1]]))
        firsts = firsts[firsts < len(states)]
        within = np.ones(max(len(states) - 1, 0), bool)
        within[firsts[1:] - 1] = False
        moves = states[:-1] * K + states[1:]
        s["transitions"] += np.bincount(moves[within], of_rows[1:][within], K * K).reshape(K, K)
        if path.before is None:
            s["start"] += np.bincount(states[firsts], of_rows[firsts], K)
        else:
            s["transitions"][path.before, states[0]] += of_rows[0]

    def draw(self, spec: Spec, X: Array, batch: Batch, u: Array, boundary: Boundary | None = None) -> Array:
        path = np.empty(len(X), np.int32)
        allowed = batch.allowed(self.n_components)
        following = -1 if boundary is None or boundary.right is None else int(boundary.right.argmax())
        chunk = () if boundary is None else (batch.halo, boundary.left, following)
        kernels.active().draw(spec, *self._given(), _ends(batch), X, u, path, *chunk, allowed=allowed)
        return path

    def filter(self, spec: Spec, X: Array, batch: Batch, boundary: Boundary | None = None) -> Array:
        out = np.empty((len(X), self.n_components))
        chunk = () if boundary is None else (batch.halo, boundary.left, boundary.messages)
        allowed = batch.allowed(self.n_components)
        kernels.active().filter(spec, *self._given(), _ends(batch), X, out, *chunk, allowed=allowed)
        return out

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

    def ahead(self, filtered: Array, steps: int) -> Array:
        startprob, transmat = self._given()
        out = np.empty((len(filtered), steps, len(startprob)))
        now = np.where(filtered.any(axis=1, keepdims=True), filtered @ transmat, startprob)
        for h in range(steps):
            out[:, h] = now
            now = now @ transmat
        return out

    def sample(self, n: int, rng: np.random.Generator) -> Array:
        startprob, transmat = self._given()
        first, then = np.cumsum(startprob), np.cumsum(transmat, axis=1)
        u, states = rng.random(n), np.empty(n, np.int64)
        for t in range(n):
            cumulative = first if t == 0 else then[states[t - 1]]
            states[t] = np.searchsorted(cumulative, u[t] * cumulative[-1], side="right")
        return states


def _normalise(p: Array) -> Array:
    p = p / p.sum(axis=-1, keepdims=True)
    p = np.where(p < SMALLEST, 0.0, p)
    return np.asarray(p / p.sum(axis=-1, keepdims=True))


def _ends(batch: Batch) -> Array:
    """Ends of the sequences; rows without sequences are one."""
    return np.array([len(batch.X)], dtype=np.int64) if batch.ends is None else batch.ends
