"""Stochastic EM: states are drawn from the posterior, which shakes a fit out of poor optima (Celeux & Diebolt 1985)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from estep.algorithms.phases import Phases
from estep.inference.passes import Sampled
from estep.interface import AnyModel, Data, Notes
from estep.statistics import Statistics
from estep.util.numbers import as_whole

EXPECTED = 0.1
"""The part of expected statistics among those of drawn states."""


@dataclass(frozen=True)
class Stochastic(Phases):
    """``steps`` steps with drawn states, then EM. ``seed`` makes the draws the same each time."""

    steps: int = 30
    seed: int = 0

    name: ClassVar[str] = "stochastic"

    def __post_init__(self) -> None:
        as_whole("steps", self.steps, 1)
        as_whole("seed", self.seed, 0)

    @property
    def n_steps(self) -> int:
        return self.steps

    def advance(self, model: AnyModel, data: Data, k: int, kept: Any) -> tuple[AnyModel, Any, Notes]:
        proposal, notes = model.maximize(shaken(model, data, np.random.default_rng([self.seed, k])))
        return proposal, None, notes


def shaken(model: AnyModel, data: Data, rng: np.random.Generator) -> Statistics:
    """Statistics of drawn states, with a little of the expected ones: what was not drawn stays possible."""
    total = data.expect(model, Sampled(rng))
    total.vector *= 1 - EXPECTED
    total.vector += EXPECTED * data.expect(model).vector
    return total
