"""States of rows: the most probable path, and how probable a path is."""

from __future__ import annotations

from typing import Any

import numpy as np

from estep.data.source import Batch, Source
from estep.execution.base import Execute
from estep.inference.boundaries import same_path
from estep.inference.e_step import densities
from estep.inference.impossible import impossible_rows
from estep.inference.smooth import predict_proba
from estep.inference.units import as_came, of_units
from estep.interface import AnyModel, Boundary
from estep.interface.latent import LEAF_ROWS
from estep.statistics import Array


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

    def leaf(batch: Batch, boundary: Boundary | None) -> Array:
        spec, rows = densities(model, batch)
        states[batch.place], logprob = model.moving.decode(spec, rows, batch, boundary)
        return logprob + batch.base_of_units

    def pass_on(batch: Batch, boundary: Boundary | None, backward: bool) -> None:
        model.moving.decode(*densities(model, batch), batch, boundary)

    logprob = of_units(model, source, leaf, execute, same_path, pass_on)
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
