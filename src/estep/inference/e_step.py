"""The E-step of a batch of rows, and as a task."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from estep import kernels
from estep.data.batch import Batch
from estep.data.summary import Summary
from estep.inference.boundaries import same_posterior
from estep.interface import AnyModel, Boundary, Known, Task
from estep.kernels.spec import Spec, dense
from estep.statistics import Array, Statistics
from estep.util.numbers import as_numbers


def expect(model: AnyModel, batch: Batch, boundary: Boundary | None = None, prune: bool = False) -> Statistics:
    """Expected sufficient statistics of one batch under a model; see :meth:`estep.Model.expect`."""
    layout, of_latent, of_emission = model.layouts
    s = Statistics.zeros(layout)
    latent = Statistics(of_latent, s["latent"])
    spec, stats, common = model.kernel(batch.summary), s["emission"], 0.0
    if spec is not None and spec.statistics_size != stats.size:
        raise ValueError(f"the data have values that the {model.emission.name} statistics have no room for")
    if spec is not None and spec.shares:
        assert spec.origin is not None and spec.shared is not None
        cross = batch.cross_moments(spec.origin)
        stats[-len(cross) :] = cross
        spec, stats, common = spec.linear, stats[: -len(cross)], float(spec.shared @ cross)
    if spec is not None:
        loglik = model.moving.expect(spec, batch.X, batch, latent, stats, boundary=boundary, prune=prune)
    else:
        evaluation = model.evaluate(batch)
        spec, rows = dense(model.beta * sound(evaluation.log_densities, batch, model.n_components))
        r = np.zeros(rows.shape)
        loglik = model.moving.expect(spec, rows, batch, latent, None, r, boundary)
        evaluation.accumulate(r, Statistics(of_emission, s["emission"]))
    s["loglik"] = loglik + common + batch.weighted_base
    s["weight"] = batch.weight
    return s


class OfPosterior(Task):
    """A task whose messages are of the posterior of states given whole sequences."""

    at_odds: ClassVar[bool] = True

    def agree(self, a: Array, b: Array, single: bool) -> bool:
        return same_posterior(a, b, single)

    def messages(self, batch: Batch, known: Known, backward: bool) -> Array:
        model, boundary = self.model, known.boundary(self.model.latent.n_states)
        unused = Statistics.zeros(model.latent.layout) if backward else None
        model.moving.posterior(*densities(model, batch), batch, unused, boundary=boundary)
        return boundary.messages


@dataclass(frozen=True, eq=False)
class EStep(OfPosterior):
    """The expected sufficient statistics of a leaf; ``prune``: see :meth:`estep.Model.expect`."""

    model: Any
    prune: bool = False

    def ask(self, batch: Batch, boundary: Boundary | None) -> Statistics:
        found: Statistics = self.model.expect(batch, boundary, self.prune)
        return found


def densities(model: AnyModel, batch: Batch) -> tuple[Spec, Array]:
    """A kernel and the rows it reads: the batch's own, or their log-densities."""
    spec = model.kernel(batch.summary)
    if spec is not None:
        return spec, batch.X
    return dense(model.beta * sound(model.evaluate(batch).log_densities, batch, model.n_components))


def sound(log_densities: Array, batch: Batch, K: int) -> Array:
    """Log-densities (n, K) that are numbers or -inf. Raises ValueError naming the first row of others."""
    logs = as_numbers(log_densities, "the emission's log-densities").astype(np.float64, copy=False)
    if logs.shape != (len(batch.X), K):
        raise ValueError(f"the emission's log-densities have shape {logs.shape}, expected {(len(batch.X), K)}")
    if logs.size and not logs.max() < np.inf:
        row, k = (int(i) for i in np.argwhere(~(logs < np.inf))[0])
        raise ValueError(f"the emission's log-density of row {batch.row(row)} and component {k} is {logs[row, k]}")
    return logs


def kept_kernel(holder: Any, summary: Summary, make: Callable[[Summary], Spec | None]) -> Spec | None:
    """The kernel that ``make`` gives, kept in the holder for the data it was last asked about."""
    kept: tuple[Summary, Spec | None] | None = holder.__dict__.get("_kernel")
    if kept is None or kept[0] is not summary:
        spec = make(summary)
        beta = getattr(holder, "beta", 1.0)
        spec = spec if spec is None or beta == 1 else spec.tempered(beta)
        if spec is not None:
            kernels.prepare(spec)
        kept = summary, spec
        holder.__dict__["_kernel"] = kept
    return kept[1]
