"""What the states will be after the data: filtered at the last row, then moved on."""

from __future__ import annotations

import numpy as np

from estep.data.source import Source
from estep.execution.base import Execute
from estep.inference.filter import Filter
from estep.inference.impossible import raise_impossible
from estep.inference.units import of_units
from estep.interface import AnyModel
from estep.statistics import Array


def state_probabilities(model: AnyModel, source: Source, steps: int, execute: Execute | None) -> Array:
    """Probabilities (S, steps, K) of the states 1 to ``steps`` rows after the end of each sequence, given all its rows
    (Zucchini & MacDonald 2009, section 5.4.2). Raises ValueError naming a sequence that is impossible."""
    source = source.in_double()
    ends = source.all_ends
    last = np.zeros((len(ends), model.latent.n_states))
    of_row = {int(end) - 1: s for s, end in enumerate(ends) if end > (ends[s - 1] if s else 0)}

    def sink(place: slice, rows: Array) -> None:
        for row in of_row.keys() & range(place.start, place.stop):
            last[of_row[row]] = rows[row - place.start]

    raise_impossible(model, source, of_units(Filter(model, of_states=True), source, execute, sink))
    return model.moving.ahead(last, steps)
