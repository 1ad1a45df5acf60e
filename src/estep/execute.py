"""How the work on leaves runs: in this thread, or on several. The sum is the same to the bit either way.

Leaves are added along a fixed binary tree of their numbers. A thread takes a whole subtree, so that nothing but the
order in time depends on the number of threads.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from estep.statistics import Statistics, tree_sum

TASKS_PER_THREAD = 8


class Execute(ABC):
    """Runs a function of the leaf number over all leaves."""

    @abstractmethod
    def add_up(self, leaf: Callable[[int], Statistics], n: int) -> Statistics:
        """The sum of ``leaf(0)`` to ``leaf(n - 1)`` along the tree."""

    @abstractmethod
    def each(self, leaf: Callable[[int], None], n: int) -> None:
        """Calls ``leaf(0)`` to ``leaf(n - 1)``, in any order."""

    @abstractmethod
    def running(self) -> AbstractContextManager[Any]:
        """Holds what the calls need (threads) from entry to exit."""


class Serial(Execute):
    """One leaf after the other, in the calling thread."""

    def add_up(self, leaf: Callable[[int], Statistics], n: int) -> Statistics:
        return tree_sum(leaf, n, (n - 1).bit_length())

    def each(self, leaf: Callable[[int], None], n: int) -> None:
        for i in range(n):
            leaf(i)

    def running(self) -> AbstractContextManager[Any]:
        return nullcontext()


class Threads(Execute):
    """``n_threads`` threads; the kernels release the GIL."""

    def __init__(self, n_threads: int) -> None:
        self.n_threads = n_threads
        self._pool: ThreadPoolExecutor | None = None

    def running(self) -> AbstractContextManager[Any]:
        return _Pool(self)

    def _subtree_level(self, n: int) -> int:
        """Subtrees small enough that each thread gets several."""
        return max(0, (n // (TASKS_PER_THREAD * self.n_threads)).bit_length() - 1)

    def add_up(self, leaf: Callable[[int], Statistics], n: int) -> Statistics:
        pool = self._pool
        if pool is None or n == 1:
            return Serial().add_up(leaf, n)
        level = self._subtree_level(n)
        n_tasks = -(-n >> level)
        tasks = [pool.submit(tree_sum, leaf, n, level, i) for i in range(n_tasks)]
        return tree_sum(lambda i: tasks[i].result(), n_tasks, (n_tasks - 1).bit_length())

    def each(self, leaf: Callable[[int], None], n: int) -> None:
        pool = self._pool
        if pool is None or n == 1:
            return Serial().each(leaf, n)
        for done in [pool.submit(leaf, i) for i in range(n)]:
            done.result()
        return None


class _Pool(AbstractContextManager[None]):
    """The threads of one fit: made on entry, so that a fork in between does no harm."""

    def __init__(self, owner: Threads) -> None:
        self.owner = owner
        self.outer = owner._pool

    def __enter__(self) -> None:
        if self.outer is None:
            self.owner._pool = ThreadPoolExecutor(self.owner.n_threads, thread_name_prefix="estep")

    def __exit__(self, *error: object) -> None:
        if self.outer is None and self.owner._pool is not None:
            self.owner._pool.shutdown(cancel_futures=True)
            self.owner._pool = None


def available_threads() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def threads(n_threads: int | None = None) -> Execute:
    """An :class:`Execute` for that many threads; None: all cores the process may use."""
    n = available_threads() if n_threads is None else n_threads
    if not isinstance(n, int) or isinstance(n, bool) or n < 1:
        raise ValueError(f"n_threads is {n_threads!r}: it is None or a whole number from 1")
    return Serial() if n == 1 else Threads(n)
