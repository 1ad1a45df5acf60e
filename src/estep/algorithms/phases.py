"""Algorithms that begin in their own way and end as EM: what they find is a maximum of the likelihood all the same."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import replace
from typing import Any

from estep.algorithms.em import EM
from estep.interface import Algorithm, AnyModel, Data, Notes, Step


class Phases(Algorithm):
    """``n_steps`` steps whose bound is not known (nan), then EM until the stop rule ends it."""

    @property
    @abstractmethod
    def n_steps(self) -> int:
        """Steps before EM."""

    @abstractmethod
    def advance(self, model: AnyModel, data: Data, k: int, kept: Any) -> tuple[AnyModel, Any, Notes]:
        """Step ``k`` of the prelude: the next model, what to keep for the next step, and notes."""

    def init(self, model: AnyModel) -> tuple[int, Any]:
        return 0, None

    def resumable(self, state: tuple[int, Any]) -> bool:
        k, kept = state
        return k <= self.n_steps or EM().resumable(kept)

    def step(self, model: AnyModel, data: Data, state: Any) -> Step:
        k, kept = state
        if k >= self.n_steps:
            step = EM().step(model, data, kept if k > self.n_steps else None)
            return replace(step, state=(self.n_steps + 1, step.state))
        proposal, kept, notes = self.advance(model, data, k, kept)
        return Step(proposal, (k + 1, kept), float("nan"), notes)
