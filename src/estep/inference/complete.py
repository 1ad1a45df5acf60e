"""Rows whose states are known: their statistics, and how probable these states are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from estep.data.batch import Batch
from estep.data.grid import Cell
from estep.data.source import Leaves, Source
from estep.execution.base import Execute
from estep.inference.driver import items_of
from estep.interface import AnyModel, Path
from estep.statistics import Array, Statistics, weighted


@dataclass(frozen=True, eq=False)
class Complete:
    """The statistics of a leaf whose states are known; ``loglik`` is that of rows and states."""

    model: AnyModel

    def run(self, batch: Batch, path: Path) -> tuple[Statistics, None]:
        """The statistics of one leaf."""
        model = self.model
        layout, of_latent, of_emission = model.layouts
        s = Statistics.zeros(layout)
        r = np.zeros((len(batch.X), model.n_components))
        weights = 1.0 if batch.row_weights is None else batch.row_weights[batch.own]
        r[np.arange(batch.own.start, batch.own.stop), model.latent.components(path.states)] = weights
        spec = model.kernel(batch.summary)
        if spec is None:
            model.evaluate(batch).accumulate(r, Statistics(of_emission, s["emission"]))
        else:
            batch.accumulate(spec, r, s["emission"])
        model.latent.count(path, batch.weights, Statistics(of_latent, s["latent"]))
        s["weight"] = batch.weight
        s["loglik"] = weighted(_log_probability(model, batch, path), batch.weights)
        return s, None


def _log_probability(model: AnyModel, batch: Batch, path: Path) -> Array:
    logb = model.evaluate(batch).log_densities[batch.own]
    steps = np.take_along_axis(logb, model.latent.components(path.states)[:, None], axis=1)[:, 0]
    steps = steps if batch.base is None else steps + batch.base[batch.own]
    return model.moving.path_log_probability(steps, path)


class _Paths(Sequence[Path]):
    """What is known of each leaf's states, of those of all rows (n,)."""

    def __init__(self, states: Array, source: Source, cells: Sequence[Cell]) -> None:
        self._states, self._ends, self._cells = states, source.ends, cells

    def __len__(self) -> int:
        return len(self._cells)

    def __getitem__(self, i: Any) -> Any:
        cell = self._cells[i]
        states = np.asarray(self._states[cell.first : cell.stop])
        if self._ends is None:
            return Path(states)
        ends = np.minimum(self._ends[cell.first_sequence : cell.stop_sequence], cell.stop) - cell.first
        before = None if cell.begins else int(self._states[cell.first - 1])
        return Path(states, ends, before, cell.halo is None or cell.halo.closes)

    def __iter__(self) -> Iterator[Path]:
        return (self[i] for i in range(len(self)))


def complete(model: AnyModel, states: Array, source: Source, leaves: Leaves, execute: Execute) -> Statistics:
    """The statistics of data whose states (n,) are known."""
    return execute.add(Complete(model), items_of(leaves, _Paths(states, source, leaves.cells)))[0]
