"""What the families with kernels share: evaluation by a kernel, and checks of rows against a shape."""

from __future__ import annotations

from typing import Any

import numpy as np

from estep import kernels
from estep.data.batch import Batch
from estep.data.source import Source
from estep.emissions._shared.tables import place_in
from estep.interface import Emission, Evaluation
from estep.kernels.spec import Spec
from estep.statistics import Array, Statistics
from estep.util.numbers import pick

NOTHING = 1e-100
"""A component with less than this part of all mass has seen nothing and keeps its parameters."""


def kernel_evaluation(spec: Spec, batch: Batch) -> Evaluation:
    """An :class:`Evaluation` of the rows by the kernel ``spec``."""

    def accumulate(r: Array, s: Statistics) -> None:
        batch.accumulate(spec, r, s.vector)

    return Evaluation(kernels.log_densities(spec, batch.X), accumulate)


def draw(probabilities: Array, rows: Array, rng: np.random.Generator) -> Array:
    """One column number for each of ``rows`` (n,), with the probabilities (K, M) of that row."""
    return pick(probabilities[rows], rng.random(len(rows)))


def log_densities_of(emission: Emission, rows: Array) -> Array:
    """Log-densities (n, K) of rows (n, P + D) as :meth:`Emission.sample` gives them, but for a base measure; NaN is
    missing."""
    names: tuple[str, ...] = ()
    if emission.rows == "symbols":
        rows = np.where(np.isnan(rows), -1, rows).astype(np.int32)
    if emission.rows == "table":
        keys = place_in(emission, ())
        if any(isinstance(key, str) for key in keys):
            names = tuple(map(str, keys))
        else:
            placed = np.full((len(rows), max(keys) + 1), np.nan)
            placed[:, keys] = rows
            rows = placed
    found = Source(rows, columns=names, n_given=emission.n_covariates)
    X = emission.prepare(rows, found.summary)[0] if emission.preparation else rows
    prepared = Source(X, n_given=emission.n_covariates, missing=found.summary.missing)
    return np.asarray(emission.evaluate(prepared.whole()).log_densities)


def column_of(law: Any, d: int) -> Any:
    """SciPy's frozen distribution of column d alone, of one whose parameters are (..., D)."""
    parameters = {name: np.asarray(value)[..., d] for name, value in law.kwds.items()}
    return law.dist(**parameters)


def check_columns(batch: Batch, D: int) -> None:
    """Raises ValueError unless the rows have ``D`` columns."""
    require_columns(batch.X.shape[1], D)


def require_columns(found: int, D: int) -> None:
    """Raises ValueError unless ``D`` columns have been found."""
    if found != D:
        raise ValueError(f"the data have {found} columns; the model has {D}")


def check_cells(batch: Batch, possible: Array, family: str, wants: str) -> None:
    """Raises ValueError naming the first cell that is not ``possible`` (n, D), and what the family wants."""
    if not possible.all():
        row, d = (int(i) for i in np.argwhere(~possible)[0])
        where = f"row {batch.row(row)}, column {d} is {batch.X[row, d]}"
        raise ValueError(f"{where}; {family} emissions want {wants}")


def missing(family: str, parameter: str) -> ValueError:
    """The error for a family whose parameters are asked for before they are known."""
    return ValueError(f"the {parameter} of the {family} emission are not known yet: fit, or give {parameter}")
