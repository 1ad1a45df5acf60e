"""The k most probable paths of a sequence, by Viterbi's recursion with k scores a state."""

from __future__ import annotations

from typing import Any

import numpy as np

from estep.data.rows import room
from estep.data.source import Source
from estep.execution.base import Execute
from estep.inference.e_step import sound
from estep.inference.impossible import raise_impossible
from estep.interface import AnyModel
from estep.interface.latent import LEAF_ROWS
from estep.statistics import Array
from estep.util.memory import require_memory
from estep.util.numbers import as_whole

Best = tuple[Array, Array]
"""Log-probabilities (k,) of rows and states, the highest first, and paths (k, n)."""


def k_best(model: AnyModel, source: Source, k: Any, execute: Execute | None = None) -> list[Best]:
    """The ``k`` most probable paths of each sequence of a prepared source; fewer where fewer are possible.

    Seshadri & Sundberg 1994, "List Viterbi decoding algorithms with applications". Raises ValueError for a number of
    paths that is none, and naming a sequence that is impossible.
    """
    k = as_whole("k", k)
    M = model.latent.n_states
    require_memory(f"k is {k}: where so many paths came from", 4 * len(source) * M * k)
    lists = _Lists(model, source, k)
    for batch in source.in_double().row_batches(LEAF_ROWS):
        logs = sound(model.evaluate(batch).log_densities, batch, model.n_components)
        allowed = batch.allowed(model.n_components)
        logs = logs if allowed is None else np.where(allowed, logs, -np.inf)
        logs = logs[:, model.latent.components(np.arange(M))]
        for t, row in enumerate(logs if batch.base is None else logs + batch.base[:, None], batch.first_row):
            lists.add(t, row)
    best = np.array([scores[0] for scores, _ in lists.found])
    raise_impossible(model, source, best)
    return lists.found


class _Lists:
    """The k best paths into each state, row by row; ``found``: those of the sequences that have ended."""

    def __init__(self, model: AnyModel, source: Source, k: int) -> None:
        moving, self.k, self.M = model.moving, k, model.latent.n_states
        with np.errstate(divide="ignore"):
            self.start, self.moves = np.log(moving.first), np.log(moving.following(np.eye(self.M)))
            self.end = None if moving.closing is None else np.log(moving.closing)
        self.components = model.latent.components
        self.ends = source.all_ends
        self.came = room((len(source), self.M, k), np.int32, source.X)
        self.scores = np.empty((self.M, k))
        self.found: list[Best] = []
        self._empty_ones(0)

    def _empty_ones(self, at: int) -> None:
        """Sequences without rows, which have one path, of nothing."""
        while len(self.found) < len(self.ends) and self.ends[len(self.found)] == at:
            self.found.append((np.zeros(1), np.empty((1, 0), np.int64)))

    def add(self, t: int, logs: Array) -> None:
        """Row t, whose log-densities are (M,)."""
        first = int(self.ends[len(self.found) - 1]) if self.found else 0
        if t == first:
            self.scores = np.full((self.M, self.k), -np.inf)
            self.scores[:, 0] = self.start + logs
        else:
            ways = (self.scores[:, :, None] + self.moves[:, None, :]).reshape(-1, self.M)
            best = _highest(ways, self.k)
            self.came[t] = best.T
            self.scores = np.take_along_axis(ways, best, axis=0).T + logs[:, None]
        if t + 1 == self.ends[len(self.found)]:
            self.found.append(self._traced(first, t))
            self._empty_ones(t + 1)

    def _traced(self, first: int, last: int) -> Best:
        scores = self.scores if self.end is None else self.scores + self.end[:, None]
        at = _highest(scores.reshape(-1, 1), self.k)[:, 0]
        logprob = scores.ravel()[at]
        at, logprob = at[: max((logprob > -np.inf).sum(), 1)], logprob[: max((logprob > -np.inf).sum(), 1)]
        paths = np.empty((len(at), last + 1 - first), np.int64)
        for t in range(last, first - 1, -1):
            state, rank = np.divmod(at, self.k)
            paths[:, t - first] = state
            if t > first:
                at = self.came[t][state, rank]
        return logprob, self.components(paths)


def _highest(values: Array, k: int) -> Array:
    """Row numbers (k, columns) of the k highest values of each column, the highest first."""
    return np.argsort(-values, axis=0, kind="stable")[:k]
