"""Chunks of long sequences: what they tell each other at their boundaries.

A long sequence is cut into chunks that are worked on at the same time, each with some rows of its neighbours (its
halo) from which it guesses what came before and what follows. Most chains forget quickly: the guesses are then what the
neighbours find, to rounding. Where they are not, all is done once more with exact messages, passed on from chunk to
chunk.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

from estep.data.source import Batch
from estep.interface import Boundary
from estep.statistics import Array

T = TypeVar("T")
SAME, SAME_SINGLE = 1e-11, 4e-3
"""Messages that differ by less, relatively, are the same, in double and in single precision."""
SMALL, SMALL_SINGLE = 1e-25, 1e-12
"""Entries below this part of a message do not count where nothing says what follows from them."""
AT_ODDS = 1e-150
"""Where what came before and what follows agree by less than this, linear space has lost what would tell."""


def _counts(chunk: Batch) -> bool:
    """Whether its sequence has a weight."""
    return chunk.weights is None or bool(chunk.weights[0] > 0)


class Boundaries:
    """The boundaries between chunks among some leaves, for any number of passes over them."""

    def __init__(self, leaves: Sequence[Batch], n_states: int) -> None:
        self._messages = np.zeros((len(leaves), 4, n_states))
        self.of = [None if b.halo is None else Boundary(m) for b, m in zip(leaves, self._messages, strict=True)]
        inner = [i for i, b in enumerate(leaves) if b.halo is not None and not b.halo.begins and _counts(b)]
        self._pairs = [(i - 1, i) for i in inner]
        self._rights = np.array([j for _, j in self._pairs], dtype=np.int64)
        self._single = leaves[0].summary.single
        self._forgets, self._logs = True, False

    def run(
        self,
        once: Callable[[], T],
        message_pass: Callable[[int, bool], None],
        agree: Callable[[Array, Array, bool], bool],
        backward: bool = True,
    ) -> T:
        """``once()`` works on all leaves; again with exact messages where the boundaries do not agree.

        ``message_pass(i, backward)`` works on leaf i alone to fill its messages; ``agree`` compares those of all that
        have a neighbour to the right (P, 4, K) with those of these, told whether the data are in single precision.
        Messages that are at odds are found once more, in log space.
        """
        if self._forgets:
            result = once()
            if not self._pairs or agree(*self._at_boundaries, self._single):
                return result
            self._forgets = False
        result = self._exactly(once, message_pass, backward)
        if agree is same_posterior and not self._logs and at_odds(*self._at_boundaries):
            self._logs = True
            result = self._exactly(once, message_pass, backward)
        return result

    @property
    def _at_boundaries(self) -> tuple[Array, Array]:
        """The messages of the chunks to the left of a boundary, and of those to the right."""
        return self._messages[self._rights - 1], self._messages[self._rights]

    def _exactly(self, once: Callable[[], T], message_pass: Callable[[int, bool], None], backward: bool) -> T:
        for boundary in self.of:
            if boundary is not None:
                boundary.left = boundary.right = None
                boundary.logs = self._logs
        for i, j in self._pairs:
            message_pass(i, False)
            self._boundary(j).left = self._boundary(i).messages[2].copy()
        for i, j in reversed(self._pairs if backward else []):
            message_pass(j, True)
            self._boundary(i).right = self._boundary(j).messages[3].copy()
        return once()

    def _boundary(self, i: int) -> Boundary:
        boundary = self.of[i]
        assert boundary is not None
        return boundary


def same_posterior(a: Array, b: Array, single: bool) -> bool:
    """Whether neighbours have one posterior: what the left ones hand on, weighted by what follows, and back."""
    tolerance = SAME_SINGLE if single else SAME
    ended, used, follows = _linear(a[:, 2]), _linear(b[:, 0]), _linear(b[:, 3])
    changed, whole = (np.abs(ended - used) * follows).sum(axis=1), (ended * follows).sum(axis=1)
    same = bool(((changed <= tolerance * whole) & (whole >= AT_ODDS)).all())
    return same and _alike(_linear(a[:, 1]), follows, tolerance, tolerance)


def at_odds(a: Array, b: Array) -> bool:
    """Whether, at some boundary, what came before makes what follows nearly impossible."""
    return bool(((_linear(a[:, 2]) * _linear(b[:, 3])).sum(axis=1) < AT_ODDS).any())


def same_filter(a: Array, b: Array, single: bool) -> bool:
    """Whether the filtered distributions are the same: no more is known going forward."""
    small, tolerance = (SMALL_SINGLE, SAME_SINGLE) if single else (SMALL, SAME)
    return _alike(_linear(a[:, 2]), _linear(b[:, 0]), small, tolerance)


def same_path(a: Array, b: Array, single: bool) -> bool:
    """Whether the scores of all states are the same up to a constant, and the one there; always in double."""
    ends, uses = (x.max(axis=1, keepdims=True) for x in (a[:, 2], b[:, 0]))
    if not (np.isfinite(ends).all() and np.isfinite(uses).all()):
        return False
    ended, used = a[:, 2] - ends, b[:, 0] - uses
    with np.errstate(invalid="ignore"):
        apart = np.where(ended == used, 0.0, np.abs(ended - used))  # equal infinities too
    return bool((apart <= 1e-10 * (1 + np.abs(used))).all()) and np.array_equal(a[:, 1], b[:, 3])


def _linear(logs: Array) -> Array:
    """Probabilities (P, K) from logs up to a constant each; zeros where these say nothing."""
    top = logs.max(axis=1, keepdims=True)
    says = np.isfinite(top)
    p = np.where(says, np.exp(logs - np.where(says, top, 0.0)), 0.0)
    return np.asarray(p / np.where(says, p.sum(axis=1, keepdims=True), 1.0))


def _alike(a: Array, b: Array, small: float, tolerance: float) -> bool:
    """Whether all entries but those below ``small`` differ by ``tolerance`` at most, relatively, and say something."""
    most = np.maximum(a, b)
    near = (np.abs(a - b) <= tolerance * most) | (most <= small)
    return bool(near.all()) and bool(a.any(axis=1).all()) and bool(b.any(axis=1).all())
