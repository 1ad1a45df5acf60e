"""Stretches of long sequences: what they tell each other at their joints.

A long sequence is cut into stretches that are worked on at the same time, each with some rows of its neighbours (its
halo) from which it guesses what came before and what follows. Most chains forget quickly: the guesses are then what the
neighbours find, to rounding. Where they are not, all is done once more with exact messages, passed on from stretch to
stretch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from estep.data.source import Batch
from estep.statistics import Array

T = TypeVar("T")
SAME, SAME_SINGLE = 1e-11, 4e-3
"""Messages that differ by less, relatively, are the same, in double and in single precision."""
SMALL, SMALL_SINGLE = 1e-25, 1e-12
"""Entries below this part of a message do not count where nothing says what follows from them."""
AT_ODDS = 1e-150
"""Where what came before and what follows agree by less than this, linear space has lost what would tell."""


@dataclass
class Joint:
    """What a stretch is told, and what it says; all are logs (K,), up to a constant.

    ``left``: the filtered distribution (most probable path: the scores) at the row before. ``right``: the likelihood
    of all that follows (most probable path: 0 for the state that follows, else -inf). None: guessed from the halo.
    ``messages`` (4, K): both as used, then at the stretch's last row what ``left`` means to the next stretch, and at
    its first what ``right`` means to the one before. ``logs``: the kernel works in log space throughout.
    """

    messages: Array
    left: Array | None = None
    right: Array | None = None
    logs: bool = False


def _counts(stretch: Batch) -> bool:
    """Whether its sequence has a weight."""
    return stretch.weights is None or bool(stretch.weights[0] > 0)


class Joints:
    """The joints between stretches among some leaves, for any number of passes over them."""

    def __init__(self, leaves: Sequence[Batch], n_states: int) -> None:
        self._messages = np.zeros((len(leaves), 4, n_states))
        self.of = [None if b.halo is None else Joint(m) for b, m in zip(leaves, self._messages, strict=True)]
        inner = [i for i, b in enumerate(leaves) if b.halo is not None and not b.halo.begins and _counts(b)]
        self._pairs = [(i - 1, i) for i in inner]
        self._rights = np.array([j for _, j in self._pairs], dtype=np.int64)
        self._single = leaves[0].summary.single
        self._forgets, self._logs = True, False

    def run(
        self,
        once: Callable[[], T],
        sweep: Callable[[int, bool], None],
        agree: Callable[[Array, Array, bool], bool],
        backward: bool = True,
    ) -> T:
        """``once()`` works on all leaves; again with exact messages where the joints do not agree.

        ``sweep(i, backward)`` works on leaf i alone to fill its messages; ``agree`` compares those of all that have a
        neighbour to the right (P, 4, K) with those of these, told whether the data are in single precision. Messages
        that are at odds are found once more, in log space.
        """
        if self._forgets:
            result = once()
            if not self._pairs or agree(*self._at_joints, self._single):
                return result
            self._forgets = False
        result = self._exactly(once, sweep, backward)
        if agree is same_posterior and not self._logs and at_odds(*self._at_joints):
            self._logs = True
            result = self._exactly(once, sweep, backward)
        return result

    @property
    def _at_joints(self) -> tuple[Array, Array]:
        """The messages of the stretches to the left of a joint, and of those to the right."""
        return self._messages[self._rights - 1], self._messages[self._rights]

    def _exactly(self, once: Callable[[], T], sweep: Callable[[int, bool], None], backward: bool) -> T:
        for joint in self.of:
            if joint is not None:
                joint.left = joint.right = None
                joint.logs = self._logs
        for i, j in self._pairs:
            sweep(i, False)
            self._joint(j).left = self._joint(i).messages[2].copy()
        for i, j in reversed(self._pairs if backward else []):
            sweep(j, True)
            self._joint(i).right = self._joint(j).messages[3].copy()
        return once()

    def _joint(self, i: int) -> Joint:
        joint = self.of[i]
        assert joint is not None
        return joint


def same_posterior(a: Array, b: Array, single: bool) -> bool:
    """Whether neighbours have one posterior: what the left ones hand on, weighted by what follows, and back."""
    tolerance = SAME_SINGLE if single else SAME
    ended, used, follows = _linear(a[:, 2]), _linear(b[:, 0]), _linear(b[:, 3])
    changed, whole = (np.abs(ended - used) * follows).sum(axis=1), (ended * follows).sum(axis=1)
    same = bool(((changed <= tolerance * whole) & (whole >= AT_ODDS)).all())
    return same and _alike(_linear(a[:, 1]), follows, tolerance, tolerance)


def at_odds(a: Array, b: Array) -> bool:
    """Whether, at some joint, what came before makes what follows nearly impossible."""
    return bool(((_linear(a[:, 2]) * _linear(b[:, 3])).sum(axis=1) < AT_ODDS).any())


def same_filter(a: Array, b: Array, single: bool) -> bool:
    """Whether the filtered distributions are the same: no more is known going forward."""
    small, tolerance = (SMALL_SINGLE, SAME_SINGLE) if single else (SMALL, SAME)
    return _alike(_linear(a[:, 2]), _linear(b[:, 0]), small, tolerance)


def same_path(a: Array, b: Array, single: bool) -> bool:
    """Whether the scores of all states are the same up to a constant, and the state at the joint; always in double."""
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
