"""Questions that have an answer for each row of a mixture, or each sequence of a chain."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from estep.data.batch import Batch
from estep.data.source import Source
from estep.execution.base import Execute
from estep.execution.serial import Serial
from estep.inference.driver import Driver
from estep.interface import Task
from estep.statistics import Array


def ask(task: Task, source: Source, execute: Execute | None, take: Callable[[Batch, Any], None]) -> None:
    """Gives ``take`` what a task finds for each leaf of the source, in any order; for one leaf the last time counts."""
    how = Serial() if execute is None else execute
    with how.running():
        Driver(source.leaves(task.model.leaf_rows()), how).map(task, take)


def of_units(task: Task, source: Source, execute: Execute | None, sink: Callable[[Batch, Any], None] | None) -> Array:
    """The values of all units: the first of what the task finds, those of a sequence in chunks added up; the second
    goes to ``sink``."""
    found: dict[tuple[int, int], tuple[Batch, Array]] = {}

    def take(batch: Batch, result: tuple[Array, Any]) -> None:
        values, rows = result
        found[batch.first_row, batch.first_sequence] = batch, values
        if sink is not None:
            sink(batch, rows)

    ask(task, source, execute, take)
    out = np.zeros(source.n_sequences)
    for _, (batch, values) in sorted(found.items(), key=lambda one: one[0]):
        first = batch.first_row if batch.ends is None else batch.first_sequence
        out[first : first + len(values)] += values
    return out


def as_came(data: Any, source: Source, values: Array) -> Array:
    """Values of the rows of ``source`` in the order of ``data``, from which it was made."""
    sorted_before = isinstance(data, Source) and data.order is source.order
    return values if sorted_before else source.unsorted(values)
