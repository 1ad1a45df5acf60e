"""Annealed EM: posteriors flattened at first, so that a poor start decides less (Ueda & Nakano 1998)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from estep.algorithms.phases import Phases
from estep.algorithms.stochastic import shaken
from estep.inference.passes import Tempered
from estep.interface import AnyModel, Data, Notes
from estep.util.numbers import as_whole


@dataclass(frozen=True)
class Annealed(Phases):
    """Posteriors to the power beta, which rises from ``start`` to 1 by equal factors in ``levels`` levels.

    Each level takes ``steps`` steps. One step with drawn states (by ``seed``) follows, since flat posteriors may have
    made components alike, which EM alone would never undo; then EM goes on.
    """

    start: float = 0.5
    levels: int = 5
    steps: int = 5
    seed: int = 0

    name: ClassVar[str] = "annealed"

    def __post_init__(self) -> None:
        if not 0 < self.start <= 1:
            raise ValueError(f"start is {self.start!r}: it is above 0, and 1 at most")
        as_whole("levels", self.levels, 1)
        as_whole("steps", self.steps, 1)
        as_whole("seed", self.seed, 0)

    @property
    def n_steps(self) -> int:
        return self.levels * self.steps + 1

    def advance(self, model: AnyModel, data: Data, k: int, kept: Any) -> tuple[AnyModel, Any, Notes]:
        if k == self.n_steps - 1:
            total = shaken(model, data, np.random.default_rng(self.seed))
        else:
            total = data.expect(model, Tempered(self.start ** (1 - k // self.steps / self.levels)))
        proposal, notes = model.maximize(total)
        return proposal, None, notes
