"""Log-likelihoods of rows and sequences."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from estep.data.batch import Batch
from estep.data.labels import Evidence
from estep.data.source import Source
from estep.execution.base import Execute
from estep.inference.boundaries import same_filter, same_posterior
from estep.inference.e_step import OfPosterior, densities
from estep.inference.units import as_came, of_units
from estep.interface import AnyModel, Boundary
from estep.statistics import Array, Statistics


@dataclass(frozen=True, eq=False)
class LogLikelihood(OfPosterior):
    """The log-likelihood of each unit of a leaf, with nothing beside it; a chunk's is that of its rows given all those
    before. ``backward``: whether what is unlikely at a boundary may become likely later."""

    model: AnyModel
    backward: bool

    def agree(self, a: Array, b: Array, single: bool) -> bool:
        return (same_posterior if self.backward else same_filter)(a, b, single)

    @property
    def at_odds(self) -> bool:  # type: ignore[override]
        return self.backward

    def ask(self, batch: Batch, boundary: Boundary | None) -> tuple[Array, None]:
        s = Statistics.zeros(self.model.latent.layout) if self.backward and boundary is not None else None
        loglik = self.model.moving.posterior(*densities(self.model, batch), batch, s, boundary=boundary, prune=True)
        return loglik + batch.base_of_units, None


def score_units(model: AnyModel, data: Any, source: Source, execute: Execute | None) -> Array:
    """Log-likelihood of each row or sequence; ``source`` is what the model reads of ``data``."""
    source = source.in_double()
    loglik = of_units(LogLikelihood(model, model.moving.looks_back), source, execute, None)
    if source.empty is not None:
        loglik[source.empty] = 0.0  # a row without values says nothing, whatever the weights add up to
    return as_came(data, source, loglik)


def path_log_probability(model: AnyModel, source: Source, states: Array, execute: Execute | None = None) -> Array:
    """log p(rows, states) of each unit of a prepared source, whose rows come from these components (n,): the likelihood
    of rows that are labelled with them."""
    labelled = replace(source.in_double(), evidence=Evidence(labels=states))
    labelled.__dict__["summary"] = replace(source.summary, single=False)
    return of_units(LogLikelihood(model, model.moving.looks_back), labelled, execute, None)
