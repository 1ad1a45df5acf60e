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

from estep.data import Batch
from estep.statistics import Array

T = TypeVar("T")
SAME = 1e-10
"""Log messages that differ by less are the same."""
FAR = 690.0
"""Entries this far (in logs) below the largest do not count."""


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
        self._forgets = True

    def run(self, once: Callable[[], T], sweep: Callable[[int, bool], None], both: bool, tolerance: float = SAME) -> T:
        """``once()`` works on all leaves; again with exact messages where the joints do not agree.

        ``sweep(i, backward)`` works on leaf i alone to fill its messages; ``both``: whether the right ones count.
        """
        if self._forgets:
            result = once()
            if all(self._agree(i, j, both, tolerance) for i, j in self._pairs):
                return result
            self._forgets = False
        for joint in self.of:
            if joint is not None:
                joint.left = joint.right = None
        for i, j in self._pairs:
            sweep(i, False)
            self._joint(j).left = self._joint(i).messages[2].copy()
        for i, j in reversed(self._pairs if both else []):
            sweep(j, True)
            self._joint(i).right = self._joint(j).messages[3].copy()
        return once()

    def _joint(self, i: int) -> Joint:
        joint = self.of[i]
        assert joint is not None
        return joint

    def _agree(self, i: int, j: int, both: bool, tolerance: float) -> bool:
        a, b = self._joint(i).messages, self._joint(j).messages
        return _same(a[2], b[0], tolerance) and (not both or _same(a[1], b[3], tolerance))


def _same(a: Array, b: Array, tolerance: float) -> bool:
    if not (np.isfinite(a.max()) and np.isfinite(b.max())):
        return False
    a, b = np.maximum(a - a.max(), -FAR), np.maximum(b - b.max(), -FAR)
    return bool((np.abs(a - b) <= tolerance).all())
