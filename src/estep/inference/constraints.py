"""Parameters that are held, and emissions that states share, as what they are in the M-step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from estep.interface import Emission, Latent, Notes
from estep.statistics import Array, Statistics


@dataclass(frozen=True, eq=False)
class Constraints:
    """``held``: by block, the components (K,) whose parameters stay; ``groups`` (K,): states of one group share one
    emission."""

    held: Mapping[str, Array] = field(default_factory=dict)
    groups: Array | None = None

    def to_dict(self) -> dict[str, Any]:
        """For a model file: components that are held by block, and the groups."""
        held = {name: np.flatnonzero(mask).tolist() for name, mask in self.held.items()}
        return {"fixed": held, "emission_groups": None if self.groups is None else self.groups.tolist()}

    def emission(self, emission: Emission, s: Statistics) -> tuple[Emission, Notes]:
        """The M-step of the emission."""
        if self.groups is not None:
            s = emission.pooled(s, self.groups)
        held = {name: mask for name, mask in self.held.items() if name in emission.values()}
        return emission.maximize_holding(s, held) if held else emission.maximize(s)

    def latent(self, old: Latent, new: Latent) -> Latent:
        """The new latent part with the probabilities of the old one that are held; the others share what is left."""
        values = {}
        for name in new.values():
            if name not in self.held:
                continue
            mask, was, now = self.held[name], np.asarray(old.values()[name]), np.asarray(new.values()[name])
            if was.ndim > 1:
                values[name] = np.where(mask.reshape(-1, *[1] * (was.ndim - 1)), was, now)
                continue
            free = np.where(mask, 0.0, now)
            left, total = 1 - was[mask].sum(), free.sum()
            values[name] = np.where(mask, was, free * (left / total) if total > 0 else was)
        return new.evolve(**values) if values else new

    def as_given(self, given: tuple[Latent, Emission], new: tuple[Latent, Emission]) -> tuple[Latent, Emission]:
        """New parts with what is held as the given ones had it."""
        values, now, kept = given[1].values(), new[1].values(), {}
        for name, mask in self.held.items():
            if name not in values:
                continue
            was, value = np.asarray(values[name]), np.asarray(now[name])
            own = name not in new[1].shared
            kept[name] = np.where(mask.reshape(-1, *[1] * (value.ndim - 1)), was, value) if own else was
        emission = new[1].with_values(**kept).with_supports(new[1].supports()) if kept else new[1]
        return self.latent(given[0], new[0]), emission

    def grouped(self, emission: Emission) -> Emission:
        """The emission in which all states of a group have that of the first of them."""
        if self.groups is None:
            return emission
        first = np.array([int(np.argmax(self.groups == g)) for g in self.groups])
        own = {n: np.asarray(v)[first] for n, v in emission.values().items() if n not in emission.shared}
        supports = {n: mask[first] for n, mask in emission.supports().items()}
        return emission.with_values(**own).with_supports(supports)

    def free(self, emission: Emission) -> dict[str, Array]:
        """The components (K,) that are free, by block."""
        free = {name: ~mask for name, mask in self.held.items()}
        if self.groups is not None:
            _, first = np.unique(self.groups, return_index=True)
            of_groups = np.isin(np.arange(len(self.groups)), first)
            free |= {name: free.get(name, of_groups) & of_groups for name in emission.values()}
        return free
