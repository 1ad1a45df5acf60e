"""Free parameters of a latent part or an emission: how many, and as coordinates without bounds.

``free``: by parameter, the components (K,) whose values are free; parameters left out are free in all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TypeVar

import numpy as np

from estep.parameters.domains import Parameter
from estep.parameters.values import Values
from estep.statistics import Array

Free = Mapping[str, Array]
P = TypeVar("P", bound=Values)


def count(part: Values, free: Free | None = None) -> int:
    """Free coordinates. They depend on the structure alone: a probability that is estimated as zero counts."""
    return sum(p.domain.count(value, support) for _, p, value, support in _chosen(part, free or {}))


def pack(part: Values, free: Free | None = None) -> Array:
    """The coordinates of all free parameters, one after the other; infinite for what is at an edge."""
    parts = [p.domain.pack(value, support) for _, p, value, support in _chosen(part, free or {})]
    return np.concatenate([np.zeros(0), *parts])


def size(part: Values, free: Free | None = None) -> int:
    """How many coordinates :func:`pack` gives."""
    return sum(p.domain.size(value, support) for _, p, value, support in _chosen(part, free or {}))


def unpack(part: P, coordinates: Array, free: Free | None = None) -> P:
    """``part`` with its free parameters at other coordinates."""
    values, at = {}, 0
    for name, p, like, support in _chosen(part, free or {}):
        stop = at + p.domain.size(like, support)
        new = p.domain.unpack(coordinates[at:stop], like, support)
        whole = np.array(part.values()[name])
        mask = (free or {}).get(name)
        if p.shared:
            whole = new[0] if len(new) else whole
        elif mask is None:
            whole = new
        else:
            whole[mask] = new
        values[name], at = whole, stop
    return part.with_values(**values).with_supports(part.supports())


def owners(part: Values, free: Free | None = None) -> list[tuple[str, int | None]]:
    """The parameter and component of each coordinate; None for what all components have."""
    out: list[tuple[str, int | None]] = []
    for name, p, value, support in _chosen(part, free or {}):
        mask = (free or {}).get(name)
        rows = np.arange(len(value)) if mask is None else np.flatnonzero(mask)
        if p.shared or getattr(p.domain, "across", False):
            out += [(name, None)] * p.domain.size(value, support)
            continue
        for i, k in enumerate(rows.tolist()):
            own = None if support is None else support[i : i + 1]
            out += [(name, k)] * p.domain.size(value[i : i + 1], own)
    return out


def pull(part: Values, slopes: Mapping[str, Array], like: Values, free: Free | None = None) -> Array:
    """The slopes of a function of the parameters, by name, as those of its coordinates in the chart of ``like``."""
    out, charts = [np.zeros(0)], {name: value for name, _, value, _ in _chosen(like, free or {})}
    for name, p, value, support in _chosen(part, free or {}):
        mask, slope = (free or {}).get(name), np.asarray(slopes[name])
        slope = slope[None][: len(value)] if p.shared else slope if mask is None else slope[mask]
        out.append(p.domain.pull(slope, value, charts[name], support))
    return np.concatenate(out)


def _chosen(part: Values, free: Free) -> Iterator[tuple[str, Parameter, Array, Array | None]]:
    """Each parameter that does not follow from others, its values of the free components, and their support."""
    supports = part.supports()
    for name, p in part.describe().items():
        value, mask, support = part.values()[name], free.get(name), supports.get(name)
        if p.derived:
            continue
        if value is None:
            raise ValueError(f"{name} is not known yet: fit, or give it")
        if p.shared:
            yield name, p, value[None][: int(mask is None or bool(mask.all()))], support
        elif mask is None:
            yield name, p, value, support
        else:
            yield name, p, value[mask], None if support is None else support[mask]
