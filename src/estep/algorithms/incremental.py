"""Incremental EM: an M-step after each block, whose new statistics replace its old ones (Neal & Hinton 1998)."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar

from estep.algorithms.phases import Phases
from estep.interface import AnyModel, Data, Notes
from estep.statistics import Array, Statistics
from estep.util.numbers import as_whole


@dataclass(frozen=True)
class Incremental(Phases):
    """One pass to know each block, ``epochs`` passes with an M-step after each block, then EM.

    There are at most 64 blocks, whose statistics are kept.
    """

    epochs: int = 3

    name: ClassVar[str] = "incremental"

    def __post_init__(self) -> None:
        as_whole("epochs", self.epochs, 1)

    @property
    def n_steps(self) -> int:
        return 1 + self.epochs

    def advance(self, model: AnyModel, data: Data, k: int, kept: Any) -> tuple[AnyModel, Any, Notes]:
        notes: Notes = ()
        if kept is None:
            sums = _Sums([data.expect_block(model, i) for i in range(data.n_blocks)])
            model, notes = model.maximize(sums.total)
            return model, sums, notes
        sums = kept
        for i in range(data.n_blocks):
            sums.replace(i, data.expect_block(model, i))
            model, some = model.maximize(sums.total)
            notes += some
        return model, sums, tuple(dict.fromkeys(notes))


class _Sums:
    """Statistics of blocks, added along a binary tree: nothing is ever subtracted, so no count falls below zero."""

    def __init__(self, blocks: list[Statistics]) -> None:
        self._layout = blocks[0].layout
        self._levels = [[block.vector for block in blocks]]
        while len(self._levels[-1]) > 1:
            below = self._levels[-1]
            self._levels.append([self._pair(below, i) for i in range((len(below) + 1) // 2)])

    @staticmethod
    def _pair(below: list[Array], i: int) -> Array:
        pair = below[2 * i : 2 * i + 2]
        return pair[0] + pair[1] if len(pair) == 2 else pair[0]

    @property
    def total(self) -> Statistics:
        """The sum of all blocks."""
        return Statistics(self._layout, self._levels[-1][0])

    def replace(self, i: int, block: Statistics) -> None:
        """Block ``i`` anew."""
        self._levels[0][i] = block.vector
        for below, level in pairwise(self._levels):
            i //= 2
            level[i] = self._pair(below, i)
