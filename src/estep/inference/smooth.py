"""Posterior probabilities of states given whole sequences, or of components given the row."""

from __future__ import annotations

from typing import Any

import numpy as np

from estep.data.source import Batch, Source
from estep.execution.base import Execute
from estep.inference.boundaries import same_posterior
from estep.inference.e_step import densities
from estep.inference.impossible import impossible_rows
from estep.inference.units import as_came, of_units
from estep.interface import AnyModel, Boundary
from estep.statistics import Array


def predict_proba(model: AnyModel, data: Any, source: Source, execute: Execute | None, on_impossible: str) -> Array:
    """Probabilities (n, K); ``source`` is what the model reads of ``data``."""
    source = source.in_double()
    out = np.empty((len(source), model.n_components))

    def leaf(batch: Batch, boundary: Boundary | None) -> Array:
        spec, rows = densities(model, batch)
        r = np.empty((len(batch.X), model.n_components))
        loglik = model.moving.posterior(spec, rows, batch, responsibilities=r, boundary=boundary)
        np.minimum(r[batch.own], 1.0, out=out[batch.place])  # rounding may pass 1
        return loglik

    loglik = of_units(model, source, leaf, execute, same_posterior)
    out[impossible_rows(model, source, loglik, on_impossible)] = np.nan
    return as_came(data, source, out)
