"""States of rows: the most probable path, or the most probable state of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from estep.data.batch import Batch
from estep.data.rows import room
from estep.data.source import Source
from estep.execution.base import Execute
from estep.inference.boundaries import same_path
from estep.inference.e_step import densities
from estep.inference.impossible import impossible_rows
from estep.inference.score import path_log_probability
from estep.inference.smooth import Smooth, predict_proba
from estep.inference.units import as_came, as_given, of_units
from estep.interface import AnyModel, Boundary, Task
from estep.interface.latent import LEAF_ROWS
from estep.statistics import Array


@dataclass(frozen=True, eq=False)
class Viterbi(Task):
    """The log-probability of the most probable path of each unit of a leaf, and that path (n,)."""

    model: AnyModel

    def agree(self, a: Array, b: Array, single: bool) -> bool:
        return same_path(a, b, single)

    def ask(self, batch: Batch, boundary: Boundary | None) -> tuple[Array, Array]:
        path, logprob = self.model.moving.decode(*densities(self.model, batch), batch, boundary)
        return logprob + batch.base_of_units, path


def decode(
    model: AnyModel, data: Any, source: Source, algorithm: str, execute: Execute | None, on_impossible: str
) -> tuple[Array, Array]:
    """States (n,) and log p(rows, states) of each unit; ``source`` is what the model reads of ``data``."""
    if algorithm == "posterior":
        states = room(len(source), np.int64, source.X)
        p = predict_proba(model, source, source, execute, on_impossible)
        for i in range(0, len(states), LEAF_ROWS):
            states[i : i + LEAF_ROWS] = p[i : i + LEAF_ROWS].argmax(axis=1)
        logprob = path_log_probability(model, source, states, execute)
        for i in range(0, len(states), LEAF_ROWS):
            states[i : i + LEAF_ROWS][np.isnan(p[i : i + LEAF_ROWS, 0])] = -1
        return as_came(data, source, states), as_came(data, source, logprob)

    states, logprob = paths(model, source, execute)
    for i in range(0, len(states), LEAF_ROWS) if model.latent.n_states != model.n_components else ():
        states[i : i + LEAF_ROWS] = model.latent.components(states[i : i + LEAF_ROWS])
    states[impossible_rows(model, source, logprob, on_impossible)] = -1
    return as_came(data, source, states), as_came(data, source, logprob)


def paths(model: AnyModel, source: Source, execute: Execute | None) -> tuple[Array, Array]:
    """The most probable states (n,) of the kernels, and log p(rows, states) of each unit of a prepared source."""
    states = room(len(source), np.int64, source.X)

    def sink(place: slice, path: Array) -> None:
        states[place] = path

    logprob = of_units(Viterbi(model), source, execute, sink)
    return states, logprob


def state_probability(model: AnyModel, states: Array, data: Any, source: Source, execute: Execute | None) -> Array:
    """The probability (n,) of the state of each row given all data; NaN where it is -1."""
    source = source.in_double()
    out = room(len(source), float, source.X)
    own = states if source.order is None or as_given(data, source) else states[source.order]

    def sink(place: slice, rows: Array) -> None:
        some = own[place]
        out[place] = np.where(some < 0, np.nan, rows[np.arange(len(rows)), some])

    of_units(Smooth(model), source, execute, sink)
    return as_came(data, source, out)
