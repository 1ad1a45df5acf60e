"""Runs tasks over leaves, without knowing what they do.

Leaves are added along a fixed binary tree of their numbers: the sum does not depend on who adds which part.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from estep.statistics import Array, Statistics


class Work(Protocol):
    """What is run: :class:`estep.interface.Task` is one."""

    def run(self, item: Any, known: Any) -> tuple[Any, Any]:
        """A result for one item, and what is to be said beside it."""


Items = Sequence[tuple[Any, Any]]
"""What is run, and what each is told. A list is in memory; any other sequence is read when it is iterated, once and in
order."""


class Execute(ABC):
    """Runs a task for all items, ``width`` at a time."""

    width = 1
    remote = False
    """Whether it is a cluster, whose workers may have the data."""
    workers: int | None = None
    """How many there are, of a cluster, as far as is known."""

    @abstractmethod
    def add(self, task: Work, items: Items) -> tuple[Statistics, Sequence[Array | None]]:
        """The sum of the results along the tree, and what is said beside each."""

    @abstractmethod
    def map(self, task: Work, items: Items, take: Callable[[int, Any], None]) -> Sequence[Any]:
        """Gives ``take`` each item's number and result, in any order and from any thread; what is said beside each."""

    @abstractmethod
    def running(self) -> AbstractContextManager[Any]:
        """Holds what the calls need (threads) from entry to exit."""
