"""Questions that have an answer for each row of a mixture, or each sequence of a chain."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from estep.data.grid import Cell
from estep.data.rows import room
from estep.data.source import Source
from estep.execution.base import Execute
from estep.execution.serial import Serial
from estep.inference.driver import Driver
from estep.interface import Task
from estep.statistics import Array

Sink = Callable[[slice, Any], None]
"""Takes what is found for the rows of a leaf, and where they are."""


def ask(task: Task, source: Source, execute: Execute | None, take: Callable[[Cell, Any], None]) -> None:
    """Gives ``take`` what a task finds for each leaf of the source, in any order; for one leaf the last time counts."""
    how = Serial() if execute is None else execute
    leaves = source.leaves(task.model.leaf_rows(), task.tail)
    with how.running():
        Driver(leaves, how).map(task, lambda i, result: take(leaves.cells[i], result))


def of_units(task: Task, source: Source, execute: Execute | None, sink: Sink | None) -> Array:
    """The values of all units: the first of what the task finds, those of a sequence in chunks added up; the second
    goes to ``sink``."""
    units = Units(source)

    def take(cell: Cell, result: tuple[Array, Any]) -> None:
        values, rows = result
        units.take(cell, values)
        if sink is not None:
            sink(slice(cell.first, cell.stop), rows)

    ask(task, source, execute, take)
    return units.total()


class Units:
    """Values of units that are found leaf by leaf."""

    def __init__(self, source: Source) -> None:
        self._out = room(source.n_sequences, float, source.X)
        self._out[:] = 0.0
        self._chained = source.ends is not None
        self._chunks: dict[tuple[int, int], float] = {}

    def take(self, cell: Cell, values: Array) -> None:
        """The values of a leaf's units."""
        if cell.halo is not None:
            self._chunks[cell.first_sequence, cell.first] = float(values[0])
        elif self._chained:
            self._out[cell.first_sequence : cell.stop_sequence] = values
        else:
            self._out[cell.first : cell.stop] = values

    def total(self) -> Array:
        """Those of all units, (n,) or (S,)."""
        for (sequence, _), value in sorted(self._chunks.items()):
            self._out[sequence] += value
        return self._out


def as_came(data: Any, source: Source, values: Array) -> Array:
    """Values of the rows of ``source`` in the order of ``data``, from which it was made."""
    return values if as_given(data, source) else source.unsorted(values)


def as_given(data: Any, source: Source) -> bool:
    """Whether the rows of ``source`` are in the order of ``data``."""
    return source.order is None or (isinstance(data, Source) and data.order is source.order)
