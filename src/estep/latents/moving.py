"""Latent parts that move from state to state: what the kernels run through is what they lower themselves to."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from estep import kernels
from estep.data.batch import Batch
from estep.interface import Boundary, Latent, Path
from estep.kernels.spec import Spec, dense
from estep.latents.topology import stationary
from estep.statistics import Array, Statistics
from estep.util.cached import cached_property

RARE = 1e-20
"""A transition that matters only where much follows."""
FAINT = -690.0
"""What is possible keeps so much of the most likely, as a logarithm: it may be all that can be reached."""


@dataclass(frozen=True, eq=False)
class Dense:
    """Moves between all of M states: ``matrix`` (M, M), from row to column."""

    matrix: Array


@dataclass(frozen=True, eq=False)
class Lowered:
    """What the kernels run through: M states, ``start`` (M,) at the first row of a sequence and ``moves`` from row to
    row.

    ``emits`` (M,): the component that each state's rows come from, of which several may share one; None: its own.
    ``end`` (M,): weights of the states at the last row of a sequence; None: all alike. ``counts``: the blocks of the
    latent part's statistics that starts and uses of moves are themselves; None: :meth:`Moving.collect` makes them.
    """

    start: Array
    moves: Dense
    emits: Array | None = None
    end: Array | None = None
    counts: tuple[str, str] | None = None


class Moving(Latent):
    """A latent part that is lowered. States are those of the kernels; components are those of the emission."""

    sequential: ClassVar[bool] = True

    @abstractmethod
    def lower(self, batch: Batch | None) -> Lowered:
        """What the kernels run through for a batch; None: for rows of which nothing is known."""

    @abstractmethod
    def collect(self, starts: Array, uses: Array, batch: Batch | None, s: Statistics) -> None:
        """Adds to ``s`` what the expected ``starts`` (M,) and ``uses`` of the moves (M, M) say of the parameters."""

    @cached_property
    def resting(self) -> Lowered:
        """What it is lowered to for rows of which nothing is known."""
        return self.lower(None)

    @property
    def n_states(self) -> int:
        return len(self.resting.start)

    def components(self, states: Array) -> Array:
        emits = self.resting.emits
        return states if emits is None else np.where(states < 0, states, emits[states])

    def by_component(self, p: Array) -> Array:
        emits = self.resting.emits
        return p if emits is None else np.asarray(p @ (emits[:, None] == np.arange(self.n_components)))

    @property
    def looks_back(self) -> bool:
        """What is unlikely at a boundary may become likely again where some moves are next to impossible."""
        return bool((self.resting.moves.matrix < RARE).any())

    def reachable(self, before: Array | None) -> Array:
        low = self.resting
        return np.asarray(low.start > 0 if before is None else before @ (low.moves.matrix > 0))

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
        low = self.lower(batch)
        plain, ends = _plain(low), _ends(batch)
        loglik, M = np.empty(len(ends)), len(low.start)
        starts = uses = None
        if s is not None:
            starts, uses = (np.zeros(M), np.zeros((M, M))) if low.counts is None else map(s.__getitem__, low.counts)
        r = responsibilities
        if not plain:
            r = None if stats is None and r is None else np.zeros((len(X), M))
        chunk = (
            () if boundary is None else (batch.halo, boundary.left, boundary.right, boundary.messages, boundary.logs)
        )
        of_states, rows = _read(low, spec, X, batch)
        kernels.active().chain(
            of_states,
            low.start,
            low.moves.matrix,
            ends,
            rows,
            batch.weights,
            loglik,
            starts,
            uses,
            stats if plain else None,
            r,
            *chunk,
            allowed=self._allowed(low, batch),
        )
        if starts is not None and uses is not None and s is not None and low.counts is None:
            self.collect(starts, uses, batch, s)
        if r is not None and not plain:
            by_component = self.by_component(r)
            if stats is not None:
                batch.accumulate(spec, by_component, stats)
            if responsibilities is not None:
                responsibilities[:] = by_component
        return loglik

    def _allowed(self, low: Lowered, batch: Batch) -> Array | None:
        """Which states the labels of rows allow, (n, M) bytes."""
        allowed = batch.allowed(self.n_components)
        return allowed if allowed is None or low.emits is None else np.ascontiguousarray(allowed[:, low.emits])

    def decode(self, spec: Spec, X: Array, batch: Batch, boundary: Boundary | None = None) -> tuple[Array, Array]:
        ends, low = _ends(batch), self.lower(batch)
        path, logprob = np.empty(len(X), np.int32), np.empty(len(ends))
        of_states, rows = _read(low, spec, X, batch)
        chain = (of_states, low.start, low.moves.matrix, ends, rows, path, logprob)
        allowed = self._allowed(low, batch)
        if boundary is None:
            kernels.active().viterbi(*chain, allowed=allowed)
            return path, logprob
        own, following = batch.own, -1 if boundary.right is None else int(boundary.right.argmax())
        scores = np.empty((2, len(low.start)))
        kernels.active().viterbi(*chain, batch.halo, boundary.left, following, scores, allowed=allowed)
        before, after, ending, beginning = boundary.messages
        before[:], ending[:] = scores
        after[:] = beginning[:] = -np.inf
        after[path[own.stop] if following < 0 and own.stop < len(X) else following] = 0.0
        beginning[path[own.start]] = 0.0
        return path[own], logprob

    def draw(self, spec: Spec, X: Array, batch: Batch, u: Array, boundary: Boundary | None = None) -> Array:
        path, low = np.empty(len(X), np.int32), self.lower(batch)
        following = -1 if boundary is None or boundary.right is None else int(boundary.right.argmax())
        chunk = () if boundary is None else (batch.halo, boundary.left, following)
        of_states, rows = _read(low, spec, X, batch)
        chain = (of_states, low.start, low.moves.matrix, _ends(batch), rows, u, path)
        kernels.active().draw(*chain, *chunk, allowed=self._allowed(low, batch))
        return path

    def filter(self, spec: Spec, X: Array, batch: Batch, boundary: Boundary | None = None) -> Array:
        low = self.lower(batch)
        out = np.empty((len(X), len(low.start)))
        chunk = () if boundary is None else (batch.halo, boundary.left, boundary.messages)
        of_states, rows = _read(low, spec, X, batch)
        chain = (of_states, low.start, low.moves.matrix, _ends(batch), rows, out)
        kernels.active().filter(*chain, *chunk, allowed=self._allowed(low, batch))
        return out

    def path_log_probability(self, steps: Array, path: Path) -> Array:
        low = self.resting
        with np.errstate(divide="ignore"):
            log_start, log_moves = np.log(low.start), np.log(low.moves.matrix)
            log_end = None if low.end is None else np.log(low.end)
        states, ends, steps = path.states, path.ends_of(len(steps)), steps.copy()
        moves = log_moves[states[:-1], states[1:]]
        firsts = np.concatenate([[0], ends[:-1]]).astype(np.int64)
        full = firsts < ends
        at = firsts[full]
        moves[at[at > 0] - 1] = 0.0
        steps[1:] += moves
        steps[at] += log_start[states[at]] if path.before is None else log_moves[path.before, states[at]]
        if log_end is not None and path.closes:
            steps[ends[full] - 1] += log_end[states[ends[full] - 1]]
        out = np.zeros(len(ends))
        out[full] = np.add.reduceat(steps, at)
        return out

    def count(self, path: Path, weights: Array | None, s: Statistics) -> None:
        states, ends, M = path.states, path.ends_of(len(path.states)), self.n_states
        of_rows = np.ones(len(states)) if weights is None else np.repeat(weights, np.diff(ends, prepend=0))
        firsts = np.unique(np.concatenate([[0], ends[:-1]]))
        firsts = firsts[firsts < len(states)]
        within = np.ones(max(len(states) - 1, 0), bool)
        within[firsts[1:] - 1] = False
        moves, starts = states[:-1] * M + states[1:], np.zeros(M)
        uses = np.bincount(moves[within], of_rows[1:][within], M * M).reshape(M, M)
        if path.before is None:
            starts += np.bincount(states[firsts], of_rows[firsts], M)
        else:
            uses[path.before, states[0]] += of_rows[0]
        self.collect(starts, uses, None, s)

    @property
    def first(self) -> Array:
        return self.resting.start

    @property
    def closing(self) -> Array | None:
        return self.resting.end

    def following(self, p: Array) -> Array:
        return np.asarray(p @ self.resting.moves.matrix)

    def likelihood_ahead(self, logs: Array, ends: Array, lag: int) -> Array:
        """Backward probabilities that begin anew ``lag`` rows after each row, of all rows at once: as many products as
        the lag is long."""
        moves, out = self.resting.moves.matrix.T, np.ones_like(logs)
        last = ends[np.diff(ends, prepend=0) > 0] - 1
        for _ in range(lag):
            with np.errstate(divide="ignore"):
                seen = logs + np.log(out)
            top, possible = seen.max(axis=1, keepdims=True), seen > -np.inf
            seen = np.exp(np.maximum(seen - np.where(np.isfinite(top), top, 0.0), FAINT))
            out[:-1] = np.where(possible, seen, 0.0)[1:] @ moves
            out[last] = 1.0
        return out

    def shares(self) -> Array:
        """The distribution over components that the moves settle into."""
        return np.asarray(self.by_component(stationary(self.resting.moves.matrix)[None])[0])

    def dwell_times(self, n: int) -> Array:
        """P(a stay lasts 1, 2, ... n rows), (K, n), of a stay that begins after a long time; NaN for a component that
        is never entered then."""
        return self._stays(lambda inside, entering: _lasting(inside, entering, n), n)

    def expected_durations(self) -> Array:
        """The mean number of rows of a stay, (K,); infinite where a component is never left."""
        return self._stays(_mean_stay, 1)[:, 0]

    def _stays(self, of_one: Callable[[Array, Array], Any], n: int) -> Array:
        """What ``of_one`` finds of each component, from the moves among its states and how stays begin in them."""
        moves, components = self.resting.moves.matrix, self.components(np.arange(self.n_states))
        out = np.full((self.n_components, n), np.nan)
        for k in range(self.n_components):
            own = components == k
            entering = np.ones(1)
            if own.sum() > 1:
                entering = stationary(moves)[~own] @ moves[~own][:, own]
            if entering.sum() > 0:
                out[k] = of_one(moves[own][:, own], entering / entering.sum())
        return out

    def sample(self, n: int, rng: np.random.Generator) -> Array:
        low = self.resting
        first, then = np.cumsum(low.start), np.cumsum(low.moves.matrix, axis=1)
        u, states = rng.random(n), np.empty(n, np.int64)
        for t in range(n):
            cumulative = first if t == 0 else then[states[t - 1]]
            states[t] = np.searchsorted(cumulative, u[t] * cumulative[-1], side="right")
        return self.components(states)


def _lasting(inside: Array, entering: Array, n: int) -> Array:
    """The probabilities that a stay lasts 1, 2, ... n rows."""
    out, now = np.empty(n), entering
    for d in range(n):
        left = now @ inside
        out[d], now = now.sum() - left.sum(), left
    return out


def _mean_stay(inside: Array, entering: Array) -> float:
    """The expected rows of a stay, of moves (m, m) inside a component and where it begins (m,)."""
    if np.abs(np.linalg.eigvals(inside)).max() >= 1:
        return float("inf")
    return float(np.linalg.solve(np.eye(len(inside)) - inside.T, entering).sum())


def _plain(low: Lowered) -> bool:
    """Whether states are components, and all may be the last."""
    return low.emits is None and low.end is None


def _read(low: Lowered, spec: Spec, X: Array, batch: Batch) -> tuple[Spec, Array]:
    """A kernel whose components are the states, and the rows it reads."""
    if _plain(low):
        return spec, X
    logs = kernels.log_densities(spec, X)
    logs = logs if low.emits is None else logs[:, low.emits]
    if low.end is not None and (batch.halo is None or batch.halo.closes):
        ends = _ends(batch)
        last = ends[np.diff(ends, prepend=0) > 0] - 1
        with np.errstate(divide="ignore"):
            logs[last] += np.log(low.end)
    return dense(logs)


def _ends(batch: Batch) -> Array:
    """Ends of the sequences; rows without sequences are one."""
    return np.array([len(batch.X)], dtype=np.int64) if batch.ends is None else batch.ends
