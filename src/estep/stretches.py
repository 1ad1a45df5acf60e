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

from estep.source import Batch
from estep.statistics import Array

T = TypeVar("T")
SAME, SAME_SINGLE = 1e-11, 4e-3
"""Messages that differ by less, relatively, are the same, in double and in single precision."""
SMALL, SMALL_SINGLE = 1e-25, 1e-12
"""Entries below this part of a message do not count where nothing says what follows from them."""


@dataclass
class Joint:
    """What a stretch is told, and what it says; all are logs (K,), up to a constant.

    ``left``: the filtered distribution (most probable path: the scores) at the row before. ``right``: the likelihood
    of all that follows (most probable path: 0 for the state that follows, else -inf). None: guessed from the halo.
    ``messages`` (4, K): both as used, then at the stretch's last row what ``left`` means to the next stretch, and at
    its first what ``right`` means to the one before.
    """

    messages: Array
    left: Array | None = None
    right: Array | None = None


class Joints:
    """The joints between stretches among some leaves, for any number of passes over them."""

    def __init__(self, leaves: Sequence[Batch], n_states: int) -> None:
        self.of = [None if b.halo is None else Joint(np.zeros((4, n_states))) for b in leaves]
        self._pairs = [(i - 1, i) for i, b in enumerate(leaves) if b.halo is not None and not b.halo.begins]
        self._single = leaves[0].summary.single
        self._forgets = True

    def run(
        self,
        once: Callable[[], T],
        sweep: Callable[[int, bool], None],
        agree: Callable[[Array, Array, bool], bool],
        backward: bool = True,
    ) -> T:
        """``once()`` works on all leaves; again with exact messages where the joints do not agree.

        ``sweep(i, backward)`` works on leaf i alone to fill its messages; ``agree`` compares those of two neighbours,
        told whether the data are in single precision.
        """
        if self._forgets:
            result = once()
            if all(agree(self._joint(i).messages, self._joint(j).messages, self._single) for i, j in self._pairs):
                return result
            self._forgets = False
        for joint in self.of:
            if joint is not None:
                joint.left = joint.right = None
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
    """Whether two neighbours have one posterior: what the left one hands on, weighted by what follows, and back."""
    tolerance = SAME_SINGLE if single else SAME
    ended, used, follows = _linear(a[2]), _linear(b[0]), _linear(b[3])
    harmless = float(np.abs(ended - used) @ follows) <= tolerance * float(ended @ follows)
    return harmless and _gap(_linear(a[1]), follows, tolerance) <= tolerance


def same_filter(a: Array, b: Array, single: bool) -> bool:
    """Whether the filtered distributions are the same: no more is known going forward."""
    small, tolerance = (SMALL_SINGLE, SAME_SINGLE) if single else (SMALL, SAME)
    return _gap(_linear(a[2]), _linear(b[0]), small) <= tolerance


def same_path(a: Array, b: Array, single: bool) -> bool:
    """Whether the scores of all states are the same up to a constant, and the state at the joint; always in double."""
    if not (np.isfinite(a[2].max()) and np.isfinite(b[0].max())):
        return False
    ended, used = a[2] - a[2].max(), b[0] - b[0].max()
    with np.errstate(invalid="ignore"):
        apart = np.where(ended == used, 0.0, np.abs(ended - used))  # equal infinities too
    return bool((apart <= 1e-10 * (1 + np.abs(used))).all()) and np.array_equal(a[1], b[3])


def _linear(logs: Array) -> Array:
    """Probabilities from logs up to a constant; zeros where these say nothing."""
    top = logs.max()
    if not np.isfinite(top):
        return np.zeros(len(logs))
    p = np.exp(logs - top)
    return np.asarray(p / p.sum())


def _gap(a: Array, b: Array, small: float) -> float:
    """The largest relative difference between entries, but for those below ``small``; 1 where one says nothing."""
    most = np.maximum(a, b)
    count = most > small
    if a.sum() == 0 or b.sum() == 0:
        return 1.0
    return float((np.abs(a - b)[count] / most[count]).max())
