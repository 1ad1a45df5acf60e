"""SQUAREM: EM with long steps, extrapolated from the last two (Varadhan & Roland 2008, the third step length).

What is extrapolated are the statistics, not the parameters: they need no transformation to stay where they belong.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from estep.interface import Algorithm, AnyModel, Data, Notes, Step
from estep.statistics import Array, Statistics


@dataclass(frozen=True)
class _Plain:
    """Where three EM steps led, in case the long step is worse than the model before the third."""

    model: AnyModel
    bound: float


class Squarem(Algorithm):
    """A step is a cycle: two EM steps s1 = G(s0), s2 = G(s1), then s0 - 2 a (s1 - s0) + a^2 (s2 - 2 s1 + s0), a <= -1.

    The long step is halved towards the plain one until its parameters are allowed, and taken back if its bound, known
    from the next E-step, is lower: the bound never falls. A cycle reads the data three times, or four.
    """

    name: ClassVar[str] = "squarem"

    def init(self, model: AnyModel) -> _Plain | None:
        return None

    def step(self, model: AnyModel, data: Data, state: Any) -> Step:
        plain: _Plain | None = state
        s0, entered = self._expect(model, data, plain), None
        if s0 is None or (plain is not None and not s0["loglik"] >= plain.bound):  # the long step was too long
            assert plain is not None
            s0, entered = data.expect(plain.model), plain.model
        first, notes = (entered or model).maximize(s0)
        s1 = data.expect(first)
        second, more = first.maximize(s1)
        s2 = data.expect(second)
        third, most = second.maximize(s2)
        long = self._long(second, s2, s0.vector, s1.vector, s2.vector)
        kept = _Plain(third, float(s2["loglik"]))
        notes = tuple(dict.fromkeys((*notes, *more, *most)))
        return Step(third if long is None else long, kept, float(s0["loglik"]), notes, entered)

    def _expect(self, model: AnyModel, data: Data, plain: _Plain | None) -> Statistics | None:
        """The E-step; None where that of a long step cannot be done."""
        try:
            return data.expect(model)
        except (ValueError, np.linalg.LinAlgError):
            if plain is None:
                raise
            return None

    def _long(self, model: AnyModel, total: Statistics, s0: Array, s1: Array, s2: Array) -> AnyModel | None:
        """The model of the extrapolated statistics; None where none beyond the plain step is allowed."""
        r, v = s1 - s0, (s2 - s1) - (s1 - s0)
        scale = np.maximum(np.abs(s2), 1e-6 * float(total["weight"]))  # none outweighs the others, nor one that dies
        length = float(np.linalg.norm(v / scale))
        a = -float(np.linalg.norm(r / scale)) / length if length > 0 else -np.inf
        if not np.isfinite(a):
            return None
        while a < -1.01:
            s = s0 - 2 * a * r + a * a * v
            model_of_s = _allowed(model, Statistics(total.layout, s))
            if model_of_s is not None:
                return model_of_s
            a = (a - 1) / 2
        return None


def _vanished(was: Array | None, now: Array | None) -> bool:
    return bool(((np.asarray(now) == 0) & (np.asarray(was) != 0)).any())


def _allowed(model: AnyModel, s: Statistics) -> AnyModel | None:
    """The model of these statistics, None where their parameters are not parameters or had to be mended.

    A probability that would become zero is no parameter either: it would stay zero for ever.
    """
    notes: Notes
    if not np.isfinite(s.vector).all():
        return None
    with np.errstate(all="ignore"):
        try:
            proposal, notes = model.maximize(s)
            for old, part in ((model.latent, proposal.latent), (model.emission, proposal.emission)):
                part.with_values(**part.values())  # checks them
                if any(
                    _vanished(was, now) for was, now in zip(old.values().values(), part.values().values(), strict=True)
                ):
                    return None
            for q in (proposal.posterior or {}).values():
                q.require_proper()
        except (ValueError, np.linalg.LinAlgError):
            return None
    return None if notes else proposal
