"""Fixed-lag smoothing: probabilities of states given the rows up to some steps later."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from estep import kernels
from estep.data.batch import Batch
from estep.data.source import Source
from estep.execution.base import Execute
from estep.inference.e_step import densities
from estep.inference.filter import Filter, impossible_units
from estep.inference.smooth import probabilities
from estep.interface import AnyModel, Boundary
from estep.statistics import Array
from estep.util.numbers import as_whole


@dataclass(frozen=True, eq=False)
class FixedLag(Filter):
    """The probabilities (n, K) of a leaf's rows given those up to ``lag`` later, and of each unit -inf where it is
    impossible, else 0."""

    lag: int = 0

    @property
    def tail(self) -> int:  # type: ignore[override]
        return self.lag

    def ask(self, batch: Batch, boundary: Boundary | None) -> tuple[Array, Array]:
        spec, X = densities(self.model, batch)
        moving, own = self.model.moving, batch.own
        p = moving.filter(spec, X, batch, boundary)[own]
        logs = kernels.log_densities(spec, X)[own.start :]
        allowed = batch.allowed(self.model.n_components)
        if allowed is not None:
            logs[allowed[own.start :] == 0] = -np.inf
        logs = logs[:, moving.components(np.arange(p.shape[1]))]
        logs[: len(p)][p == 0] = -np.inf  # what the past rules out is not what the future speaks of
        ends = np.array([len(logs)]) if batch.ends is None else batch.ends - own.start
        with np.errstate(divide="ignore"):
            joint = np.log(p) + np.log(moving.likelihood_ahead(logs, ends, self.lag)[: len(p)])
        joint -= joint.max(axis=1, keepdims=True)
        found = np.exp(joint)
        found = moving.by_component(found / found.sum(axis=1, keepdims=True))
        return impossible_units(np.isnan(p[:, 0]), batch), found


def fixed_lag(
    model: AnyModel, data: Any, source: Source, lag: Any, execute: Execute | None, on_impossible: str
) -> Array:
    """Probabilities (n, K) given the rows up to ``lag`` later; ``source`` is what the model reads of ``data``."""
    lag = as_whole("lag", lag, 0)
    longest = int(np.diff(source.all_ends, prepend=0).max(initial=0))  # a longer lag is the whole sequence
    return probabilities(FixedLag(model, lag=min(lag, longest)), data, source.in_double(), execute, on_impossible)
