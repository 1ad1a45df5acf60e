"""Work as a value: what is asked of a leaf of the data."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from estep.data.batch import Batch
from estep.data.summary import Summary
from estep.interface.latent import Boundary
from estep.interface.model import AnyModel
from estep.statistics import Array


@dataclass(frozen=True)
class Known:
    """What a chunk of a sequence is told: the message from its left and from its right, (K,) each, None where it is to
    guess from its halo; ``logs``: to work in log space throughout. See :class:`Boundary`."""

    left: Array | None = None
    right: Array | None = None
    logs: bool = False

    def boundary(self, n_states: int) -> Boundary:
        """A boundary of its own to work with."""
        return Boundary(np.zeros((4, n_states)), self.left, self.right, self.logs)


class Task(ABC):
    """A frozen dataclass that pickles. :meth:`run` writes into nothing that came in, so that any worker may do it."""

    model: AnyModel
    backward: bool = True
    """Whether messages from the right matter."""
    tail: ClassVar[int] = 0
    """Rows that it reads after a chunk, at least."""
    at_odds: ClassVar[bool] = False
    """Whether messages from both sides that hardly go together are found once more, in log space."""

    @abstractmethod
    def agree(self, a: Array, b: Array, single: bool) -> bool:
        """Whether the messages of the chunks to the left of boundaries go with those to the right, (pairs, 4, K) each;
        told whether the data are in single precision."""

    @abstractmethod
    def ask(self, batch: Batch, boundary: Boundary | None) -> Any:
        """The result for one leaf; a chunk's messages are left in the ``boundary``."""

    def run(self, batch: Batch, known: Known | None) -> tuple[Any, Array | None]:
        """The result for one leaf, and the messages (4, K) of a chunk."""
        boundary = None if known is None else known.boundary(self.model.latent.n_states)
        return self.ask(batch, boundary), None if boundary is None else boundary.messages

    def messages(self, batch: Batch, known: Known, backward: bool) -> Array:
        """The messages of a chunk by themselves; ``backward``: those to the left too."""
        found = self.run(batch, known)[1]
        assert found is not None
        return found

    def make_ready(self, summary: Summary) -> None:
        """Makes what all leaves share, before threads would make it each for itself."""
        self.model.kernel(summary)
