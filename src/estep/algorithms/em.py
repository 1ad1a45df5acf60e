"""Expectation-maximization: all statistics, then the M-step (Dempster, Laird & Rubin 1977; for chains Baum-Welch)."""

from __future__ import annotations

from typing import Any, ClassVar

from estep.interface import Algorithm, AnyModel, Data, Step


class EM(Algorithm):
    """Batch EM; the log-likelihood never falls."""

    name: ClassVar[str] = "em"
    batched: ClassVar[bool] = True

    def init(self, model: AnyModel) -> None:
        return None

    def resumable(self, state: Any) -> bool:
        return state is None  # else amid steps made ahead

    def step(self, model: AnyModel, data: Data, state: Any) -> Step:
        """``state``: steps that were made ahead, as long as they are those of ``model``."""
        ahead = state if state is not None and state.model is model else data.climb(model)
        if ahead is not None:
            bound, proposal = ahead.step()
            return Step(proposal, None if ahead.over else ahead, bound)
        total = data.expect(model)
        proposal, notes = model.maximize(total)
        return Step(proposal, None, total["loglik"], notes)
