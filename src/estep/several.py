"""Several mixtures at once: their components are the columns of one kernel call, and one M-step serves all.

Restarts read the data once an iteration this way, and share what Python costs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from estep import kernels
from estep.data import Batch
from estep.execute import Execute
from estep.interface import Emission, Notes
from estep.kernels.spec import dense
from estep.latents import Independent
from estep.model import Model, kept_kernel
from estep.statistics import Array, Layout, Statistics
from estep.stretches import Joints

COLUMNS = 128  # components at once, at most: their densities of a tile stay in the cache


def at_once(model: Model) -> int:
    """How many models like this fit together; chains, and components that share parameters, go alone."""
    alone = not isinstance(model.latent, Independent) or model.emission.shared
    return 1 if alone else max(COLUMNS // model.n_components, 1)


@dataclass(frozen=True, eq=False)
class Several:
    """R mixtures of K components each: ``weights`` (R, K), and an emission of all R K components."""

    weights: Array
    emission: Emission
    columns: tuple[str, ...]
    symbols: tuple[str, ...]

    @classmethod
    def of(cls, models: Sequence[Model]) -> Several:
        """The models, which have one family, the same shapes and the same origin."""
        parts: list[dict[str, Any]] = [m.emission.values() for m in models]
        values = {name: np.concatenate([p[name] for p in parts]) for name in parts[0]}
        weights = np.stack([np.asarray(m.latent.values()["weights"]) for m in models])
        return cls(weights, models[0].emission.with_values(**values), models[0].columns, models[0].symbols)

    def model(self, i: int) -> Model:
        """The i-th model."""
        K = self.weights.shape[1]
        values = {name: np.asarray(value)[i * K : (i + 1) * K] for name, value in self.emission.values().items()}
        return Model(Independent(self.weights[i]), self.emission.with_values(**values), self.columns, self.symbols)

    def keep(self, which: Sequence[int]) -> Several:
        """Those models alone."""
        R, K = self.weights.shape
        components = np.arange(R * K).reshape(R, K)[list(which)].ravel()
        values = {name: np.asarray(value)[components] for name, value in self.emission.values().items()}
        return replace(self, weights=self.weights[list(which)], emission=self.emission.with_values(**values))

    @cached_property
    def _layouts(self) -> tuple[Layout, Layout]:
        """Of the whole and of the emission."""
        emission, shape = self.emission.layout, self.weights.shape
        blocks = (("loglik", shape[:1]), ("weight", ()), ("latent", shape), ("emission", (emission.size,)))
        return Layout(blocks, emission.origin), emission

    def expect(self, batch: Batch) -> Statistics:
        """The E-step of one batch for all models; ``loglik`` is (R,)."""
        layout, of_emission = self._layouts
        s = Statistics.zeros(layout)
        with np.errstate(divide="ignore"):
            logweights = np.log(self.weights)
        run, spec = kernels.active().mixture, kept_kernel(self, batch.summary)
        if spec is not None:
            run(spec, logweights, batch.X, batch.weights, s["latent"], s["emission"], s["loglik"], None, None)
        else:
            evaluation = self.emission.evaluate(batch)
            spec, rows = dense(evaluation.log_densities)
            r = np.empty(rows.shape)
            run(spec, logweights, rows, batch.weights, s["latent"], None, s["loglik"], None, r)
            evaluation.accumulate(r, Statistics(of_emission, s["emission"]))
        s["weight"] = batch.weight
        return s

    def expect_all(self, leaves: list[Batch], joints: Joints, execute: Execute) -> Statistics:
        """The E-step of all leaves; independent rows have no joints."""
        return execute.add_up(lambda i: self.expect(leaves[i]), len(leaves))

    def maximize(self, s: Statistics) -> tuple[Several, Notes]:
        """The M-step of all models."""
        emission, notes = self.emission.maximize(Statistics(self._layouts[1], s["emission"]))
        mass = s["latent"].sum(axis=1, keepdims=True)
        new = object.__new__(Several)  # of the same shapes: the layouts are the same
        weights = np.where(mass > 0, s["latent"] / np.where(mass > 0, mass, 1.0), self.weights)
        new.__dict__.update(self.__dict__, weights=weights, emission=emission)
        new.__dict__.pop("_kernel", None)
        return new, notes
