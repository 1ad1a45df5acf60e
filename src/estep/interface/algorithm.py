"""How to estimate: steps from a model to the next, by arithmetic on statistics."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from estep.interface.emission import Notes
from estep.interface.model import AnyModel
from estep.statistics import Statistics


class Data(Protocol):
    """What an algorithm may ask of the data: :class:`estep.inference.passes.Passes` gives it."""

    @property
    def weight(self) -> float:
        """The weight of all rows."""

    @property
    def n_blocks(self) -> int:
        """Blocks that :meth:`expect_block` takes by themselves."""

    def expect(self, model: Any, rule: Any = None) -> Statistics:
        """The statistics of all data under ``model``, and its bound as ``loglik``."""

    def climb(self, model: AnyModel) -> Any:
        """Some EM steps from ``model`` that were made in one call (``step()`` gives one, until ``over``); None: none
        were."""

    def expect_block(self, model: Any, i: int) -> Statistics:
        """The statistics of block ``i`` alone."""


@dataclass(frozen=True)
class Step:
    """What one step of an algorithm returns: the next model, its own state, and the bound of the model that came in.

    ``bound`` is nan where the step did not find it. ``entered``: the model the bound belongs to, where the one that
    came in was taken back.
    """

    model: AnyModel
    state: Any
    bound: Any  # a float; for several models (R,)
    notes: Notes = ()
    entered: AnyModel | None = None


class Algorithm(ABC):
    """A way of estimating: uses only E-steps (:class:`estep.inference.passes.Passes`), ``maximize`` and statistics."""

    name: ClassVar[str]
    batched: ClassVar[bool] = False
    """Whether a step serves several models (:class:`estep.fitting.batched.Batched`) as well: it keeps no state of
    theirs, and what it does with bounds and statistics holds element by element."""

    @abstractmethod
    def init(self, model: AnyModel) -> Any:
        """The state before the first step."""

    def resumable(self, state: Any) -> bool:
        """Whether a fit can go on from this state, so that a checkpoint may keep it."""
        return True

    @abstractmethod
    def step(self, model: AnyModel, data: Data, state: Any) -> Step:
        """One step from ``model``."""
