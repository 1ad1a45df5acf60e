"""Draws: rows from a model, and states from their posterior."""

from __future__ import annotations

from typing import Any

import numpy as np

from estep.data.given import beside
from estep.data.source import Source
from estep.emissions._shared.tables import as_table
from estep.execution.base import Execute
from estep.execution.serial import Serial
from estep.inference.e_step import densities
from estep.interface import AnyModel, Emission
from estep.statistics import Array
from estep.util.memory import require_memory


def sample(model: AnyModel, columns: tuple[str, ...], n: int, random_state: Any, given: Any) -> tuple[Array, Array]:
    """Draws n rows, one sequence for a chain: (rows (n, D), states (n,)); ``given``: their covariates (n, P)."""
    if not isinstance(n, int | np.integer) or isinstance(n, bool) or n < 1:
        raise ValueError(f"n is {n!r}: the number of rows is a whole number from 1")
    emission = model.emission
    require_memory(f"n is {n}: so many rows", int(n) * 8 * (emission.n_columns + 2))
    rng = np.random.default_rng(random_state)
    states = model.latent.sample(int(n), rng)
    if given is not None:
        return emission.sample_given(states, _covariates(emission, columns, given, int(n)), rng), states
    rows = emission.sample(states, rng)
    return (rows[:, as_table(emission, columns)] if emission.rows == "table" else rows), states


def _covariates(emission: Emission, columns: tuple[str, ...], given: Any, n: int) -> Array:
    """Covariates (n, P) by themselves."""
    both = beside(Source(np.zeros((n, 1))), given, wanted=columns[: emission.n_covariates])
    emission.given_columns(both.n_given)
    return both.X[:, : both.n_given]


def sample_states(model: AnyModel, source: Source, rng: np.random.Generator, execute: Execute | None) -> Array:
    """States (n,) drawn from their posterior given the data; each sequence is held in memory as a whole."""
    states, u = np.empty(len(source), np.int64), rng.random(len(source))
    cuts = source.cuts(model.leaf_rows())

    def work(i: int) -> None:
        batch = source.batch(*cuts[i])
        spec, rows = densities(model, batch)
        states[batch.place] = model.moving.draw(spec, rows, batch, u[batch.place])

    (Serial() if execute is None else execute).each(work, len(cuts))
    return states
