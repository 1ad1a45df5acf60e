"""Draws: rows from a model, and states from their posterior."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from estep.data.batch import Batch
from estep.data.given import beside
from estep.data.rows import room
from estep.data.source import Source
from estep.emissions._shared.tables import as_table
from estep.execution.base import Execute
from estep.execution.serial import Serial
from estep.inference.driver import Driver
from estep.inference.e_step import densities
from estep.inference.filter import Filter
from estep.inference.impossible import raise_impossible
from estep.inference.units import as_came, of_units
from estep.interface import AnyModel, Boundary, Emission, Task
from estep.statistics import Array
from estep.util.memory import require_memory
from estep.util.numbers import as_whole


def sample(model: AnyModel, columns: tuple[str, ...], n: int, random_state: Any, given: Any) -> tuple[Array, Array]:
    """Draws n rows, one sequence for a chain: (rows (n, D), states (n,)); ``given``: their covariates (n, P)."""
    n = as_whole("n", n)
    emission = model.emission
    require_memory(f"n is {n}: so many rows", n * 8 * (emission.n_columns + 2))
    rng = np.random.default_rng(random_state)
    states = model.latent.sample(n, rng)
    if given is not None:
        return emission.sample_given(states, covariates(emission, columns, given, n), rng), states
    rows = emission.sample(states, rng)
    return (rows[:, as_table(emission, columns)] if emission.rows == "table" else rows), states


def wants_covariates(emission: Emission, given: Any, what: str) -> bool:
    """Whether covariates are to be read. Raises ValueError where they are given to a model without, or asked for and
    not there: ``what`` says which and how to give them."""
    if emission.n_covariates and given is None:
        raise ValueError(f"the model has covariates ({emission.n_covariates}): give {what}")
    if not emission.n_covariates and given is not None:
        emission.given_columns(1)
    return emission.n_covariates > 0


def covariates(emission: Emission, columns: tuple[str, ...], given: Any, n: int) -> Array:
    """Covariates (n, P) by themselves."""
    both = beside(Source(np.zeros((n, 1))), given, wanted=columns[: emission.n_covariates])
    emission.given_columns(both.n_given)
    given_rows: Array = both.X[:, : both.n_given]
    return given_rows


@dataclass(frozen=True, eq=False)
class DrawPaths(Task):
    """States (n,) of a leaf drawn from their posterior given whole sequences: of a chunk given the distribution before
    it and the state after it. The random numbers follow from ``key`` and the number of the leaf's first row alone."""

    model: AnyModel
    key: int

    def agree(self, a: Array, b: Array, single: bool) -> bool:
        return True  # each chunk is told what comes before and after

    def ask(self, batch: Batch, boundary: Boundary | None) -> Array:
        u = np.empty(len(batch.X))
        stream = np.random.Generator(np.random.Philox(key=self.key, counter=[0, 0, 0, batch.first_row]))
        u[batch.own] = stream.random(batch.own.stop - batch.own.start)
        path = self.model.moving.draw(*densities(self.model, batch), batch, u, boundary)[batch.own]
        if boundary is not None:
            boundary.messages[3] = np.where(np.arange(self.model.latent.n_states) == path[0], 0.0, -np.inf)
        return path


def draw_paths(model: AnyModel, source: Source, key: int, execute: Execute | None) -> Array:
    """States (n,) drawn from their posterior given the data; the same whatever runs it."""
    states, leaves = room(len(source), np.int64, source.X), source.leaves(model.leaf_rows())

    def sink(i: int, path: Array) -> None:
        cell = leaves.cells[i]
        states[cell.first : cell.stop] = path

    how = Serial() if execute is None else execute
    with how.running():
        Driver(leaves, how).map_back(Filter(model), DrawPaths(model, key), sink)
    return states


def sample_paths(
    model: AnyModel, data: Any, source: Source, n: Any, random_state: Any, execute: Execute | None
) -> Array:
    """States (n, rows) of n paths; ``source`` is what the model reads of ``data``."""
    n = as_whole("n", n)
    require_memory(f"n is {n}: so many paths", 8 * n * len(source))
    source = source.in_double()
    raise_impossible(model, source, of_units(Filter(model), source, execute, None))
    keys = np.random.default_rng(random_state).integers(2**63, size=n)
    out = room((n, len(source)), np.int64, source.X)
    for i, key in enumerate(keys):
        out[i] = as_came(data, source, model.latent.components(draw_paths(model, source, int(key), execute)))
    return out
