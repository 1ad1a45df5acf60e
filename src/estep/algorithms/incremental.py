"""Incremental EM: an M-step after each block, whose new statistics replace its old ones (Neal & Hinton 1998)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from estep.algorithms.prelude import Prelude, whole
from estep.interface import Notes
from estep.model import Model
from estep.passes import Passes
from estep.statistics import Statistics


@dataclass(frozen=True)
class Incremental(Prelude):
    """One pass to know each block, ``epochs`` passes with an M-step after each block, then EM.

    There are at most 64 blocks, whose statistics are kept.
    """

    epochs: int = 3

    name: ClassVar[str] = "incremental"

    def __post_init__(self) -> None:
        whole("epochs", self.epochs, 1)

    @property
    def n_steps(self) -> int:
        return 1 + self.epochs

    def advance(self, model: Model, data: Passes, k: int, kept: Any) -> tuple[Model, Any, Notes]:
        blocks: list[Statistics] = [] if kept is None else kept
        notes: Notes = ()
        if not blocks:
            blocks = [data.expect_block(model, i) for i in range(data.n_blocks)]
            model, notes = model.maximize(_sum(blocks))
            return model, blocks, notes
        total = _sum(blocks)  # afresh each epoch: rounding does not pile up
        for i in range(data.n_blocks):
            fresh = data.expect_block(model, i)
            total.vector += fresh.vector - blocks[i].vector
            blocks[i] = fresh
            model, some = model.maximize(total)
            notes += some
        return model, blocks, tuple(dict.fromkeys(notes))


def _sum(blocks: list[Statistics]) -> Statistics:
    total = Statistics.zeros(blocks[0].layout)
    for block in blocks:
        total.add(block)
    return total
