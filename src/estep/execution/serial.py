"""One leaf after the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

from estep.execution.base import Execute, Items, Work
from estep.execution.blas import one_blas_thread
from estep.statistics import Array, Statistics, tree_sum


class Serial(Execute):
    """One leaf after the other, in the calling thread. BLAS is held to one thread: its sums depend on their number."""

    def add(self, task: Work, items: Items) -> tuple[Statistics, Sequence[Array | None]]:
        said: list[Any] = [None] * len(items)
        remaining = iter(items)

        def leaf(i: int) -> Statistics:  # which come in order
            found, said[i] = task.run(*next(remaining))
            assert isinstance(found, Statistics)
            return found

        return tree_sum(leaf, len(items), (len(items) - 1).bit_length()), said

    def map(self, task: Work, items: Items, take: Callable[[int, Any], None]) -> Sequence[Any]:
        said = []
        for i, item in enumerate(items):
            result, beside = task.run(*item)
            take(i, result)
            said.append(beside)
        return said

    def running(self) -> AbstractContextManager[Any]:
        return one_blas_thread.held()
