"""SQUAREM: EM with long steps, extrapolated from the last two (Varadhan & Roland 2008, the third step length).

What is extrapolated are the statistics, not the parameters: they need no transformation to stay where they belong.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from estep.interface import Algorithm, Notes, Step
from estep.model import Model
from estep.passes import Passes
from estep.statistics import Array, Statistics


@dataclass(frozen=True)
class _Cycle:
    """What a cycle has seen: statistics of its E-steps, and the plain step in case the long one is worse."""

    seen: tuple[Array, ...] = ()
    plain: Model | None = None
    bound: float = -np.inf


class Squarem(Algorithm):
    """Two EM steps s1 = G(s0), s2 = G(s1), then s0 - 2 a (s1 - s0) + a^2 (s2 - 2 s1 + s0) with a <= -1.

    The long step is halved towards the plain one until its parameters are allowed, and taken back if its bound, known
    from the next E-step, is lower: the bound never falls.
    """

    name: ClassVar[str] = "squarem"
    monotone: ClassVar[bool] = True

    def init(self, model: Model) -> _Cycle:
        return _Cycle()

    def step(self, model: Model, data: Passes, state: Any) -> Step:
        cycle: _Cycle = state
        total, entered = data.expect(model), None
        if cycle.plain is not None and not total["loglik"] >= cycle.bound:  # the long step was too long
            total, entered = data.expect(cycle.plain), cycle.plain
        seen = (*(cycle.seen if cycle.plain is None else ()), total.vector)
        plain, notes = (entered or model).maximize(total)
        bound = float(total["loglik"])
        if len(seen) < 3:
            return Step(plain, _Cycle(seen), bound, notes, entered)
        long = self._long(entered or model, total, *seen)
        if long is None:
            return Step(plain, _Cycle(seen[-1:]), bound, notes, entered)
        return Step(long, _Cycle((), plain, bound), bound, notes, entered)

    def _long(self, model: Model, total: Statistics, s0: Array, s1: Array, s2: Array) -> Model | None:
        """The model of the extrapolated statistics; None where none beyond the plain step is allowed."""
        r, v = s1 - s0, (s2 - s1) - (s1 - s0)
        scale = np.maximum(np.abs(s2), 1e-300)  # so that no block of the statistics outweighs the others
        length = float(np.linalg.norm(v / scale))
        if not length > 0:
            return None
        a = -float(np.linalg.norm(r / scale)) / length
        while a < -1.01:
            s = s0 - 2 * a * r + a * a * v
            model_of_s = _allowed(model, Statistics(total.layout, s))
            if model_of_s is not None:
                return model_of_s
            a = (a - 1) / 2
        return None


def _allowed(model: Model, s: Statistics) -> Model | None:
    """The model of these statistics, None where their parameters are not parameters or had to be mended."""
    notes: Notes
    if not np.isfinite(s.vector).all():
        return None
    with np.errstate(all="ignore"):
        try:
            proposal, notes = model.maximize(s)
            for part in (proposal.latent, proposal.emission):
                part.with_values(**part.values())  # checks them
        except (ValueError, np.linalg.LinAlgError):
            return None
    return None if notes else proposal
