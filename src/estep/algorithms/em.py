"""Expectation-maximization: all statistics, then the M-step (Dempster, Laird & Rubin 1977; for chains Baum-Welch)."""

from __future__ import annotations

from typing import Any, ClassVar

from estep.interface import Algorithm, AnyModel, Data, Step


class EM(Algorithm):
    """Batch EM; the log-likelihood never falls."""

    name: ClassVar[str] = "em"
    monotone: ClassVar[bool] = True
    batched: ClassVar[bool] = True

    def init(self, model: AnyModel) -> None:
        return None

    def step(self, model: AnyModel, data: Data, state: Any) -> Step:
        total = data.expect(model)
        proposal, notes = model.maximize(total)
        return Step(proposal, state, total["loglik"], notes)
