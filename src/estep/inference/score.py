"""Log-likelihoods of rows and sequences."""

from __future__ import annotations

from typing import Any

from estep.data.source import Batch, Source
from estep.execution.base import Execute
from estep.inference.boundaries import same_filter, same_posterior
from estep.inference.e_step import densities
from estep.inference.units import as_came, of_units
from estep.interface import AnyModel, Boundary
from estep.statistics import Array, Statistics


def score_units(model: AnyModel, data: Any, source: Source, execute: Execute | None) -> Array:
    """Log-likelihood of each row or sequence; ``source`` is what the model reads of ``data``."""
    source = source.in_double()
    both_ways = model.moving.looks_back

    def leaf(batch: Batch, boundary: Boundary | None) -> Array:
        s = Statistics.zeros(model.latent.layout) if both_ways and boundary is not None else None
        loglik = model.moving.posterior(*densities(model, batch), batch, s, boundary=boundary, prune=True)
        return loglik + batch.base_of_units

    agree = same_posterior if both_ways else same_filter
    loglik = of_units(model, source, leaf, execute, agree, backward=both_ways)
    if source.empty is not None:
        loglik[source.empty] = 0.0  # a row without values says nothing, whatever the weights add up to
    return as_came(data, source, loglik)
