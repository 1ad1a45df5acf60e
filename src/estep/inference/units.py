"""Questions that have an answer for each row of a mixture, or each sequence of a chain."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from estep.data.source import Batch, Source
from estep.execution.base import Execute
from estep.execution.serial import Serial
from estep.inference.boundaries import Boundaries
from estep.inference.e_step import message_pass
from estep.interface import AnyModel, Boundary
from estep.statistics import Array


def of_units(
    model: AnyModel,
    source: Source,
    leaf: Callable[[Batch, Boundary | None], Array],
    execute: Execute | None,
    agree: Callable[[Array, Array, bool], bool],
    pass_on: Callable[[Batch, Boundary | None, bool], None] | None = None,
    backward: bool = True,
) -> Array:
    """What ``leaf`` finds for each unit; a sequence in chunks has the sum of theirs. ``pass_on`` fills the messages of
    one chunk, where posteriors are not what is asked for."""
    model.kernel(source.summary)  # or each thread would make its own
    leaves = source.leaves(model.leaf_rows())
    boundaries = Boundaries(leaves, model.n_components)
    found: list[Any] = [None] * len(leaves)
    how = Serial() if execute is None else execute

    def work(i: int) -> None:
        found[i] = leaf(leaves[i], boundaries.of[i])

    def alone(i: int, back: bool) -> None:
        if pass_on is None:
            message_pass(model, leaves[i], boundaries.of[i], back)
        else:
            pass_on(leaves[i], boundaries.of[i], back)

    with how.running():
        boundaries.run(lambda: how.each(work, len(leaves)), alone, agree, backward)
    out = np.zeros(source.n_sequences)
    for batch, values in zip(leaves, found, strict=True):
        first = batch.first_row if batch.ends is None else batch.first_sequence
        out[first : first + len(values)] += values
    return out


def as_came(data: Any, source: Source, values: Array) -> Array:
    """Values of the rows of ``source`` in the order of ``data``, from which it was made."""
    sorted_before = isinstance(data, Source) and data.order is source.order
    return values if sorted_before else source.unsorted(values)
