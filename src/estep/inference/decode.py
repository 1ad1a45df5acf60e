"""States of rows: the most probable path, and how probable a path is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from estep.data.batch import Batch
from estep.data.source import Source
from estep.execution.base import Execute
from estep.inference.boundaries import same_path
from estep.inference.e_step import densities
from estep.inference.impossible import impossible_rows
from estep.inference.smooth import predict_proba
from estep.inference.units import as_came, of_units
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
    states = np.empty(len(source), np.int64)
    if algorithm == "posterior":
        p = predict_proba(model, source, source, execute, on_impossible)
        states[:] = p.argmax(axis=1)
        logprob = path_log_probability(model, source, states)
        states[np.isnan(p[:, 0])] = -1
        return as_came(data, source, states), as_came(data, source, logprob)

    def sink(batch: Batch, path: Array) -> None:
        states[batch.place] = path

    logprob = of_units(Viterbi(model), source, execute, sink)
    states[impossible_rows(model, source, logprob, on_impossible)] = -1
    return as_came(data, source, states), as_came(data, source, logprob)


def path_log_probability(model: AnyModel, source: Source, states: Array) -> Array:
    """log p(rows, states) of each row or sequence of a prepared source."""
    steps = np.empty(len(source))
    for batch in source.row_batches(LEAF_ROWS):
        logb = model.evaluate(batch).log_densities
        chosen = np.take_along_axis(logb, states[batch.place, None], axis=1)[:, 0]
        steps[batch.place] = chosen if batch.base is None else chosen + batch.base
    return model.moving.path_log_probability(steps, states, source.ends)
