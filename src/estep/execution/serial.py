"""One leaf after the other."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from estep.execution.base import Execute
from estep.execution.blas import one_blas_thread
from estep.statistics import Statistics, tree_sum


class Serial(Execute):
    """One leaf after the other, in the calling thread. BLAS is held to one thread: its sums depend on their number."""

    def add_up(self, leaf: Callable[[int], Statistics], n: int) -> Statistics:
        return tree_sum(leaf, n, (n - 1).bit_length())

    def each(self, leaf: Callable[[int], None], n: int) -> None:
        for i in range(n):
            leaf(i)

    def running(self) -> AbstractContextManager[Any]:
        return one_blas_thread.held()
