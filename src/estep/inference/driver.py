"""The pass over the data: runs a task over all leaves. It alone knows of the boundaries between chunks.

A long sequence is cut into chunks that are worked on at the same time, each with some rows of its neighbours (its
halo) from which it guesses what came before and what follows. Most chains forget quickly: the guesses are then what the
neighbours find, to rounding. Where they are not, all is done once more with exact messages, passed on from chunk to
chunk.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np

from estep.data.batch import Batch
from estep.data.source import Leaves
from estep.execution.base import Execute, Items
from estep.inference.boundaries import at_odds
from estep.interface.task import Known, Task
from estep.statistics import Array, Statistics

T = TypeVar("T")
Messages = Sequence[Array | None]


class Driver:
    """Tasks over some leaves, any number of them. What it learns on the way stays: whether the chain forgets, and
    whether messages are to be found in log space."""

    def __init__(self, leaves: Leaves, execute: Execute) -> None:
        if leaves.remote and not execute.remote:
            raise ValueError("the data are on a cluster: give execute=estep.Dask(client)")
        self.leaves, self.execute = leaves, execute
        inner = [i for i, cell in enumerate(leaves.cells) if not cell.begins and leaves.weight(i) > 0]
        self._pairs = [(i - 1, i) for i in inner]
        self.forgets, self.logs = True, False

    @property
    def learned(self) -> tuple[bool, bool]:
        """What it has learned on the way: whether the chain forgets, whether messages are found in log space."""
        return self.forgets, self.logs

    @learned.setter
    def learned(self, known: tuple[bool, bool]) -> None:
        self.forgets, self.logs = known

    def add(self, task: Task) -> Statistics:
        """The sum of the statistics that the task finds for each leaf, along the fixed tree."""
        return self._run(task, lambda known: self.execute.add(task, self._items(known)))

    def map(self, task: Task, take: Callable[[int, Any], None]) -> None:
        """Gives ``take`` the number of each leaf and what the task finds for it, in any order; for one leaf more than
        once where its boundaries had to be found again: the last result counts."""

        def once(known: Sequence[Known | None]) -> tuple[None, Messages]:
            return None, self.execute.map(task, self._items(known), take)

        self._run(task, once)

    def map_back(self, forward: Task, task: Task, take: Callable[[int, Any], None]) -> None:
        """As :meth:`map`, from the right to the left of each sequence: a chunk is told the message from its left that
        ``forward`` finds, and what the first of the ``messages`` of the chunk after it says to it."""
        _, messages = self._agreed(forward, lambda known: (None, self.execute.map(forward, self._items(known), _drop)))
        left_of = {j: i for i, j in self._pairs}
        last = [i for i in range(len(self.leaves)) if i not in left_of.values()]
        rights: dict[int, Array] = {}
        ready = last if self.leaves.kept else [i for i in last if i not in left_of]
        waiting = [] if self.leaves.kept else [i for i in last if i in left_of]  # from where others are read backwards
        while ready or waiting:
            ready = ready or [waiting.pop()]
            known = [self._told(i, messages[i], rights.get(i)) for i in ready]

            def one(n: int, result: Any, ready: list[int] = ready) -> None:
                take(ready[n], result)

            said = self.execute.map(task, items_of(self.leaves.some(ready), known), one)
            going = [(left_of[i], m[3]) for i, m in zip(ready, said, strict=True) if i in left_of and m is not None]
            rights = dict(going)
            ready = [i for i, _ in going]

    def _told(self, i: int, messages: Array | None, right: Array | None) -> Known | None:
        """What a chunk knows on the way back."""
        cell = self.leaves.cells[i]
        if cell.halo is None or messages is None:
            return None
        return Known(None if cell.begins else messages[0], right)

    def _items(self, known: Sequence[Known | None]) -> Items:
        return items_of(self.leaves, known)

    def _run(self, task: Task, once: Callable[[Sequence[Known | None]], tuple[T, Messages]]) -> T:
        return self._agreed(task, once)[0]

    def _agreed(self, task: Task, once: Callable[[Sequence[Known | None]], tuple[T, Messages]]) -> tuple[T, Messages]:
        """What ``once`` finds with messages that agree at all boundaries, and these."""
        task.make_ready(self.leaves.summary)
        single = self.leaves.summary.single
        if self.forgets:
            result, messages = once([None if cell.halo is None else Known() for cell in self.leaves.cells])
            if not self._pairs or task.agree(*self._at_boundaries(messages), single):
                return result, messages
            self.forgets = False
        result, messages = once(self._exactly(task))
        if task.at_odds and not self.logs and at_odds(*self._at_boundaries(messages)):
            self.logs = True
            result, messages = once(self._exactly(task))
        return result, messages

    def _at_boundaries(self, messages: Messages) -> tuple[Array, Array]:
        """The messages of the chunks to the left of a boundary, and of those to the right, (pairs, 4, K) each."""
        lefts, rights = ([messages[pair[side]] for pair in self._pairs] for side in (0, 1))
        return np.stack(lefts), np.stack(rights)  # type: ignore[arg-type]

    def _exactly(self, task: Task) -> list[Known | None]:
        """What the chunks tell each other, passed on from one to the next."""
        known = [None if cell.halo is None else Known(logs=self.logs) for cell in self.leaves.cells]

        def said(i: int, backward: bool) -> Array:
            mine = known[i]
            assert mine is not None
            if not self.leaves.remote:
                return task.messages(self.leaves[i], mine, backward)
            (found,) = self.execute.map(_Messages(task, backward), [(self.leaves[i], mine)], _drop)
            return np.asarray(found)

        def tell(i: int, **what: Array) -> None:
            mine = known[i]
            assert mine is not None
            known[i] = replace(mine, **what)  # type: ignore[arg-type]

        for i, j in self._pairs:
            tell(j, left=said(i, False)[2])
        for i, j in reversed(self._pairs if task.backward else []):
            tell(i, right=said(j, True)[3])
        return known


@dataclass(frozen=True, eq=False)
class _Messages:
    """The messages of a chunk by themselves, as a task."""

    task: Task
    backward: bool

    def run(self, batch: Batch, known: Known) -> tuple[None, Array]:
        return None, self.task.messages(batch, known, self.backward)


def items_of(leaves: Leaves, known: Sequence[Any]) -> Items:
    """Leaves with what each is told."""
    return list(zip(leaves, known, strict=True)) if leaves.kept else _Scan(leaves, known)


class _Scan(Sequence[tuple[Batch, Any]]):
    """As a list of them; each leaf is read when it is asked for."""

    def __init__(self, leaves: Leaves, known: Sequence[Any]) -> None:
        self._leaves, self._known = leaves, known

    def __len__(self) -> int:
        return len(self._leaves)

    def __getitem__(self, i: Any) -> Any:
        return self._leaves[i], self._known[i]

    def __iter__(self) -> Iterator[tuple[Batch, Any]]:
        return (self[i] for i in range(len(self)))


def _drop(i: int, result: Any) -> None:
    """For a task of which only the messages are wanted."""
