"""Several mixtures at once: their components are the columns of one kernel call, and one M-step serves all.

Restarts, and models of other numbers of components, read the data once an iteration this way, and share what Python
costs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from estep.data.batch import Batch
from estep.data.columns import Roles
from estep.data.summary import Summary
from estep.execution.base import Execute, Items, Work
from estep.execution.serial import Serial
from estep.inference.e_step import kept_kernel, sound
from estep.interface import Boundary, Emission, Latent, Notes
from estep.kernels.spec import Spec, dense
from estep.model import Model
from estep.statistics import Array, Layout, Statistics
from estep.util.cached import cached_property

COLUMNS = 128  # components at once, at most: their densities of a tile stay in the cache


def initialised(beginning: Work, items: Items, execute: Execute) -> Iterator[Model]:
    """The models that a task makes of the items, in order, as many at a time as there are threads."""
    execute = execute if execute.width > 1 else Serial()  # starts are made here
    for first in range(0, len(items), execute.width):
        models: dict[int, Model] = {}
        some = items[first : first + execute.width]
        execute.map(beginning, some, models.__setitem__)
        yield from (models[i] for i in range(len(some)))


def grouped(models: Iterable[Model], together: bool) -> Iterator[list[Model]]:
    """The models, those in one list that fit at once.

    Chains, models with a prior or constraints, and components that share parameters go alone; all do unless
    ``together``.
    """
    group: list[Model] = []
    for model in models:
        alone = (
            not together
            or not model.latent.batches
            or bool(model.emission.shared)
            or model.prior is not None
            or model.constraints is not None
        )
        if group and (alone or sum(m.n_components for m in group) + model.n_components > COLUMNS):
            yield group
            group = []
        group.append(model)
        if alone:
            yield group
            group = []
    if group:
        yield group


@dataclass(frozen=True, eq=False)
class Batched:
    """R mixtures with C components in all: a latent part and an emission of all of them.

    ``ends`` (R,): the components of a model end before there.
    """

    latent: Latent
    ends: Array
    emission: Emission
    columns: tuple[str, ...]
    symbols: tuple[Any, ...]
    roles: Roles

    @classmethod
    def of(cls, models: Sequence[Model]) -> Batched:
        """The models, which have one family and the same origin."""
        parts: list[dict[str, Any]] = [m.emission.values() for m in models]
        values = {name: np.concatenate([p[name] for p in parts]) for name in parts[0]}
        masks, one = [m.emission.supports() for m in models], models[0]
        emission = one.emission.with_values(**values)
        emission = emission.with_supports({name: np.concatenate([m[name] for m in masks]) for name in masks[0]})
        latent = one.latent.joined([m.latent for m in models])
        ends = np.cumsum([m.n_components for m in models])
        return cls(latent, ends, emission, one.columns, one.symbols, one.roles)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_kernel"}

    penalty = 0.0
    """What the bound has beside the log-likelihood."""

    @property
    def moving(self) -> Latent:
        """As :attr:`Model.moving`."""
        return self.latent

    @cached_property
    def _firsts(self) -> Array:
        """The first component of each model."""
        return np.concatenate([[0], self.ends[:-1]])

    def model(self, i: int) -> Model:
        """The i-th model."""
        mine = slice(self._firsts[i], self.ends[i])
        return Model(self.latent.some(mine), self.emission.some(mine), self.columns, self.symbols, self.roles)

    def keep(self, which: Sequence[int]) -> Batched:
        """Those models alone."""
        return Batched.of([self.model(i) for i in which])

    def place(self, component: int) -> tuple[int, int]:
        """Which model a component belongs to, and which of its components it is."""
        i = int(np.searchsorted(self.ends, component, side="right"))
        return i, component - int(self._firsts[i])

    @cached_property
    def _layouts(self) -> tuple[Layout, Layout]:
        """Of the whole and of the emission."""
        emission, models, all_components = self.emission.layout, (len(self.ends),), (int(self.ends[-1]),)
        blocks = (("loglik", models), ("weight", ()), ("latent", all_components), ("emission", (emission.size,)))
        return Layout(blocks, emission.origin), emission

    def expect(self, batch: Batch, boundary: Boundary | None = None, prune: bool = False) -> Statistics:
        """The E-step of one batch for all models; ``loglik`` is (R,). ``prune``: see :meth:`Model.expect`."""
        layout, of_emission = self._layouts
        s, spec = Statistics.zeros(layout), self.kernel(batch.summary)
        if spec is not None:
            self.latent.expect_several(spec, batch.X, batch, self.ends, s, None, prune)
        else:
            evaluation = self.emission.evaluate(batch)
            spec, rows = dense(sound(evaluation.log_densities, batch, int(self.ends[-1])))
            r = np.empty(rows.shape)
            self.latent.expect_several(spec, rows, batch, self.ends, s, r)
            evaluation.accumulate(r, Statistics(of_emission, s["emission"]))
        s["loglik"] += batch.weighted_base
        s["weight"] = batch.weight
        return s

    def kernel(self, summary: Summary) -> Spec | None:
        """As :meth:`Model.kernel`."""
        return kept_kernel(self, summary, self.emission.kernel)

    def climb(self, batch: Batch, steps: int, prune: bool) -> None:
        """As :meth:`Model.climb`: their steps are made one by one."""
        return None

    def release(self) -> None:
        """As :meth:`Model.release`."""
        self.__dict__.pop("_kernel", None)
        self.emission.release()

    def maximize(self, s: Statistics) -> tuple[Batched, Notes]:
        """The M-step of all models."""
        emission, notes = self.emission.maximize(Statistics(self._layouts[1], s["emission"]))
        new = object.__new__(Batched)  # of the same shapes: the layouts are the same
        new.__dict__.update(
            self.__dict__, latent=self.latent.maximize_several(s["latent"], self.ends), emission=emission
        )
        new.__dict__.pop("_kernel", None)
        return new, notes
