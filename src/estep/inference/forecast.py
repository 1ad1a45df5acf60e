"""What comes after the data: filtered at the last row, then moved on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from estep.data.source import Source
from estep.emissions._shared.tables import as_table
from estep.execution.base import Execute
from estep.inference.filter import Filter
from estep.inference.impossible import raise_impossible
from estep.inference.predictive import predictive
from estep.inference.sample import covariates, wants_covariates
from estep.inference.units import of_units
from estep.interface import AnyModel
from estep.statistics import Array
from estep.util.memory import require_memory
from estep.util.numbers import as_whole


def last_states(model: AnyModel, source: Source, execute: Execute | None) -> Array:
    """Probabilities (S, M) of the kernels' states at the last row of each sequence given all its rows; zeros where it
    has none. Raises ValueError naming a sequence that is impossible."""
    source = source.in_double()
    ends = source.all_ends
    last = np.zeros((len(ends), model.latent.n_states))
    of_row = {int(end) - 1: s for s, end in enumerate(ends) if end > (ends[s - 1] if s else 0)}

    def sink(place: slice, rows: Array) -> None:
        for row in of_row.keys() & range(place.start, place.stop):
            last[of_row[row]] = rows[row - place.start]

    raise_impossible(model, source, of_units(Filter(model, of_states=True), source, execute, sink))
    return last


def state_probabilities(model: AnyModel, source: Source, steps: Any, execute: Execute | None) -> Array:
    """Probabilities (S, steps, K) of the states 1 to ``steps`` rows after the end of each sequence, given all its rows
    (Zucchini & MacDonald 2009, section 5.4.2)."""
    steps = as_whole("steps", steps)
    S, K = len(source.all_ends), model.n_components
    require_memory(f"steps is {steps}: so many probabilities of {K} states", 8 * S * steps * K)
    return model.latent.ahead(last_states(model, source, execute), steps)


def forecast_columns(
    model: AnyModel,
    source: Source,
    steps: Any,
    level: Any,
    quantiles: Sequence[float] = (),
    given: Any = None,
    execute: Execute | None = None,
) -> dict[str, Array]:
    """A forecast by column, a line a step: see :meth:`estep.GaussianHMM.forecast`."""
    p = state_probabilities(model, source, steps, execute)
    S, steps, K = p.shape
    ahead, flat = given_ahead(model, given, S * steps), p.reshape(-1, K)
    D = model.emission.n_columns - model.emission.n_covariates
    rows = None if ahead is None else np.hstack([ahead, np.full((len(flat), D), np.nan)])
    columns = {"sequence": np.repeat(np.arange(S), steps)} if S > 1 else {}
    columns["step"] = np.tile(np.arange(1, steps + 1), S)
    columns |= {f"state_{k}": flat[:, k] for k in range(K)}
    return columns | predictive(model, flat, rows).columns(level, quantiles, taken=columns)


def simulate(
    model: AnyModel, source: Source, steps: Any, n: Any, random_state: Any, given: Any, execute: Execute | None
) -> tuple[Array, Array]:
    """``n`` futures of each sequence: rows (S, n, steps, D) and states (S, n, steps). ``given`` (S * steps, P): the
    covariates of the rows to come."""
    steps, n = as_whole("steps", steps), as_whole("n", n)
    emission, S = model.emission, len(source.all_ends)
    D = emission.n_columns - emission.n_covariates
    require_memory(f"{n} futures of {steps} steps", 8 * S * n * steps * (D + 2))
    rng = np.random.default_rng(random_state)
    states = model.latent.draw_ahead(np.repeat(last_states(model, source, execute), n, axis=0), steps, rng)
    ahead = given_ahead(model, given, S * steps)
    if ahead is None:
        rows = emission.sample(states.ravel(), rng)
        rows = rows[:, as_table(emission, model.columns)] if emission.rows == "table" else rows
    else:
        each = np.repeat(ahead.reshape(S, 1, steps, -1), n, axis=1).reshape(S * n * steps, -1)
        rows = emission.sample_given(states.ravel(), each, rng)
    return rows.reshape(S, n, steps, -1), states.reshape(S, n, steps)


def given_ahead(model: AnyModel, given: Any, n: int) -> Array | None:
    """Covariates (n, P) of rows to come; None where the model has none. Raises ValueError where they are not so."""
    if not wants_covariates(model.emission, given, f"those of the {n} rows to come as ahead="):
        return None
    P, shape = model.emission.n_covariates, np.shape(given)
    if len(shape) == 0 or shape[0] != n:
        raise ValueError(f"ahead has shape {shape}: the covariates of the rows to come are {(n, P)}, all known")
    return covariates(model.emission, model.columns, given, n)
