"""Filtered probabilities of states: given the rows up to each row, and none that come later."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from estep.data.batch import Batch
from estep.data.source import Source
from estep.execution.base import Execute
from estep.inference.boundaries import same_filter
from estep.inference.e_step import densities
from estep.inference.smooth import probabilities
from estep.interface import AnyModel, Boundary, Task
from estep.statistics import Array


@dataclass(frozen=True, eq=False)
class Filter(Task):
    """The probabilities (n, K) of a leaf's rows given those up to each, and of each unit -inf where it is impossible,
    else 0."""

    model: AnyModel
    backward: bool = False
    of_states: bool = False
    """Whether probabilities are of the kernels' states."""

    def agree(self, a: Array, b: Array, single: bool) -> bool:
        return same_filter(a, b, single)

    def ask(self, batch: Batch, boundary: Boundary | None) -> tuple[Array, Array]:
        p = self.model.moving.filter(*densities(self.model, batch), batch, boundary)[batch.own]
        impossible = np.isnan(p[:, 0])
        p = p if self.of_states else self.model.moving.by_component(p)
        return impossible_units(impossible, batch), p


@dataclass(frozen=True, eq=False)
class Predict(Filter):
    """As :class:`Filter`, of the rows given those before each."""

    of_states: bool = True

    def ask(self, batch: Batch, boundary: Boundary | None) -> tuple[Array, Array]:
        units, p = super().ask(batch, boundary)
        latent, before = self.model.latent, np.vstack([np.zeros((1, p.shape[1])), p[:-1]])
        if batch.ends is not None:
            firsts = np.concatenate([[0], batch.ends[:-1] - batch.own.start])
            before[firsts[firsts < len(p)]] = 0.0
        if boundary is not None and batch.halo is not None and not batch.halo.begins:
            left = boundary.messages[0]
            before[0] = np.exp(left - left.max())
            before[0] /= before[0].sum()
        return units, latent.by_component(latent.after(before))


def impossible_units(impossible: Array, batch: Batch) -> Array:
    """-inf for each unit of a leaf that has a row that is ``impossible`` (n,), else 0."""
    if batch.ends is None:
        return np.where(impossible, -np.inf, 0.0)
    before = np.concatenate([[0], np.cumsum(impossible)])
    ends = np.minimum(batch.ends - batch.own.start, len(impossible))
    return np.where(np.diff(before[ends], prepend=0) > 0, -np.inf, 0.0)


def filtered(model: AnyModel, data: Any, source: Source, execute: Execute | None, on_impossible: str) -> Array:
    """Probabilities (n, K); ``source`` is what the model reads of ``data``."""
    return probabilities(Filter(model), data, source.in_double(), execute, on_impossible)
