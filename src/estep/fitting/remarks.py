"""What is to be said of a fit as a whole: its starts, its components, its columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from estep.data.rows import chunks
from estep.data.source import Source
from estep.data.summary import Summary
from estep.execution.base import Execute
from estep.fitting.results import REACHED, Fit
from estep.interface import Emission
from estep.model import Model
from estep.statistics import Array

MANY = 5
"""Starts from which on it is said how many have reached the best optimum."""
SAME = 1e-6
"""Parameters that differ by less, relatively, are the same."""


def remarks(fit: Fit, source: Source) -> tuple[str, ...]:
    """All of them, in plain words."""
    clusters = [f"component {k} is a cluster of {n} rows of one value" for k, n in fit.one_value.items()]
    return (*_of_starts(fit), *_of_columns(source), *clusters, *identical(fit.model))


def of_one_value(fit: Fit, source: Source, execute: Execute) -> dict[int, int]:
    """Components at their floor that have more rows than they need, all alike: how many rows each."""
    if not fit.collapsed:
        return {}
    states = fit.model.decode(source, execute=execute, on_impossible="skip")[0]
    ranges = chunks(source.X, _Ranges(fit.model.emission, source.summary, states, fit.collapsed))
    found = {}
    for at, k in enumerate(fit.collapsed):
        some = [chunk[at] for chunk in ranges if chunk[at] is not None]
        n, width = sum(count for count, _, _ in some), len(some[0][1]) if some else 0
        low, high = (np.array([one[side] for one in some]) for side in (1, 2))
        if n >= 2 * (width + 2) and (low.min(axis=0) == high.max(axis=0)).all():
            found[k] = n
    return found


@dataclass(frozen=True, eq=False)
class _Ranges:
    """Of some rows those of each component: how many, and their range; None where there are none."""

    emission: Emission
    summary: Summary
    states: Array
    components: Sequence[int]

    def __call__(self, X: Array, first: int) -> list[tuple[int, Array, Array] | None]:
        points, states = self.emission.clustering_features(X, self.summary), self.states[first : first + len(X)]
        mine = [points[states == k] for k in self.components]
        return [(len(m), m.min(axis=0), m.max(axis=0)) if len(m) else None for m in mine]


def _of_starts(fit: Fit) -> list[str]:
    n, best = len(fit.restarts), max((r.bound for r in fit.restarts), default=0.0)
    if n < MANY:
        return []
    reached = sum(r.bound >= min(best, fit.bound) - REACHED and r.stop_reason != "dropped" for r in fit.restarts)
    if reached == n:
        return [f"all {n} starts reached one optimum"]
    more = ": more may find a better one" if reached <= 1 else ""
    return [f"{reached} of {n} starts reached the best optimum found{more}"]


def _of_columns(source: Source) -> list[str]:
    summary = source.summary
    if source.preparation or summary.n_rows < 2:
        return []
    names = summary.columns or ("",) * len(summary.constant)
    said = (f"column {d} ({names[d]})" if names[d] else f"column {d}" for d in np.flatnonzero(summary.constant))
    return [f"{column} is constant: its variances are at the floor" for column in said]


def identical(model: Model) -> list[str]:
    """Components that are the same, in words."""
    what = "states" if model.latent.sequential else "components"
    pairs = _identical(model.emission)
    return [f"{what} {j} and {k} are identical" for j, k in pairs]


def _identical(emission: Emission) -> list[tuple[int, int]]:
    """Pairs of components whose parameters are the same, each with the first that it equals."""
    K = emission.n_components
    values = [np.asarray(v).reshape(K, -1) for n, v in emission.values().items() if n not in emission.shared]
    flat = np.hstack(values) if values else np.zeros((K, 0))
    scale = np.abs(flat).max(axis=0, initial=0.0) + 1e-300
    pairs = []
    for k in range(1, K if flat.size else 1):
        same = (np.abs(flat[:k] - flat[k]) <= SAME * scale).all(axis=1)
        if same.any():
            pairs.append((int(np.argmax(same)), k))
    return pairs
