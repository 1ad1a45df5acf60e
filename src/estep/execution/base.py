"""Leaves are added along a fixed binary tree of their numbers: the sum does not depend on who adds which part."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from estep.statistics import Statistics


class Execute(ABC):
    """Runs a function of the leaf number over all leaves, ``width`` at a time."""

    width = 1

    @abstractmethod
    def add_up(self, leaf: Callable[[int], Statistics], n: int) -> Statistics:
        """The sum of ``leaf(0)`` to ``leaf(n - 1)`` along the tree."""

    @abstractmethod
    def each(self, leaf: Callable[[int], None], n: int) -> None:
        """Calls ``leaf(0)`` to ``leaf(n - 1)``, in any order."""

    @abstractmethod
    def running(self) -> AbstractContextManager[Any]:
        """Holds what the calls need (threads) from entry to exit."""
