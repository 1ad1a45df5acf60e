"""Posterior probabilities of states given whole sequences, or of components given the row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from estep.data.batch import Batch
from estep.data.rows import room
from estep.data.source import Source
from estep.execution.base import Execute
from estep.inference.e_step import OfPosterior, densities
from estep.inference.impossible import impossible_rows
from estep.inference.units import as_came, of_units
from estep.interface import AnyModel, Boundary, Task
from estep.statistics import Array


@dataclass(frozen=True, eq=False)
class Smooth(OfPosterior):
    """The log-likelihood of each unit of a leaf, and the probabilities (n, K) of its rows given whole sequences."""

    model: AnyModel

    def ask(self, batch: Batch, boundary: Boundary | None) -> tuple[Array, Array]:
        spec, rows = densities(self.model, batch)
        r = np.empty((len(batch.X), self.model.n_components))
        loglik = self.model.moving.posterior(spec, rows, batch, responsibilities=r, boundary=boundary)
        return loglik, np.minimum(r[batch.own], 1.0)  # rounding may pass 1


def predict_proba(model: AnyModel, data: Any, source: Source, execute: Execute | None, on_impossible: str) -> Array:
    """Probabilities (n, K); ``source`` is what the model reads of ``data``."""
    return probabilities(Smooth(model), data, source.in_double(), execute, on_impossible)


def probabilities(task: Task, data: Any, source: Source, execute: Execute | None, on_impossible: str) -> Array:
    """What a task finds for the rows (n, K) beside their units' log-likelihoods; NaN where these are impossible."""
    out = room((len(source), task.model.n_components), float, source.X)

    def sink(place: slice, rows: Array) -> None:
        out[place] = rows

    loglik = of_units(task, source, execute, sink)
    out[impossible_rows(task.model, source, loglik, on_impossible)] = np.nan
    return as_came(data, source, out)
