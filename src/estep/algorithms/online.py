"""Online EM: the statistics follow the data block by block, with steps that shrink (Cappe & Moulines 2009)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from estep.algorithms.phases import Phases
from estep.interface import AnyModel, Data, Notes
from estep.statistics import Array, Layout, Statistics
from estep.util.numbers import as_whole


@dataclass(frozen=True, eq=False)
class Running:
    """Mean statistics of a unit of weight after some blocks: all that online EM keeps of the data.

    ``weight``: that of all blocks; the statistics count as many units.
    """

    layout: Layout
    mean: Array
    blocks: int
    weight: float

    def statistics(self, weight: float) -> Statistics:
        """The statistics of ``weight`` units."""
        return Statistics(self.layout, self.mean * weight)


@dataclass(frozen=True)
class Online(Phases):
    """Statistics s become (1 - g) s + g e after each block, e being the block's own, with g = (t + delay)^-exponent.

    One pass to begin with, ``epochs`` passes over the data in blocks of random order, the statistics of the last one
    averaged over its second half with ``average`` (Polyak & Juditsky 1992); then EM. ``exponent``: above 1/2, 1 at
    most. ``partial_fit`` of the estimators takes the same steps, one a call.
    """

    exponent: float = 0.7
    delay: float = 1.0
    epochs: int = 2
    average: bool = True
    seed: int = 0

    name: ClassVar[str] = "online"

    def __post_init__(self) -> None:
        if not 0.5 < self.exponent <= 1:
            raise ValueError(f"exponent is {self.exponent!r}: it is above 0.5, and 1 at most")
        if not (np.isfinite(self.delay) and self.delay >= 0):
            raise ValueError(f"delay is {self.delay!r}: it is a number from 0")
        as_whole("epochs", self.epochs, 1)
        as_whole("seed", self.seed, 0)

    @property
    def n_steps(self) -> int:
        return 1 + self.epochs

    def update(self, running: Running | None, block: Statistics) -> Running:
        """The running statistics after a block."""
        weight = float(block["weight"])
        mean = block.vector / weight
        if running is None:
            return Running(block.layout, mean, 1, weight)
        g = (running.blocks + 1 + self.delay) ** -self.exponent
        return Running(block.layout, (1 - g) * running.mean + g * mean, running.blocks + 1, running.weight + weight)

    def advance(self, model: AnyModel, data: Data, k: int, kept: Any) -> tuple[AnyModel, Any, Notes]:
        if k == 0:  # one block may be all alike: the first statistics are those of all
            total = data.expect(model)
            model, notes = model.maximize(total)
            return model, self.update(None, total), notes
        running: Running = kept
        notes, means = (), []
        for i in np.random.default_rng([self.seed, k]).permutation(data.n_blocks):
            running = self.update(running, data.expect_block(model, int(i)))
            means.append(running.mean)
            model, some = model.maximize(running.statistics(data.weight))
            notes += some
        if self.average and k == self.epochs:
            mean = np.mean(means[len(means) // 2 :], axis=0)
            model, some = model.maximize(Statistics(running.layout, mean * data.weight))
            notes += some
        return model, running, tuple(dict.fromkeys(notes))
