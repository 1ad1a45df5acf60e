"""Expectation-maximization: all statistics, then the M-step (Dempster, Laird & Rubin 1977; for chains Baum-Welch)."""

from __future__ import annotations

from typing import Any, ClassVar

from estep.inference.passes import Passes
from estep.interface import Algorithm, Step
from estep.model import Model


class EM(Algorithm):
    """Batch EM; the log-likelihood never falls."""

    name: ClassVar[str] = "em"
    monotone: ClassVar[bool] = True
    batched: ClassVar[bool] = True

    def init(self, model: Model) -> None:
        return None

    def step(self, model: Model, data: Passes, state: Any) -> Step:
        total = data.expect(model)
        proposal, notes = model.maximize(total)
        return Step(proposal, state, total["loglik"], notes)
