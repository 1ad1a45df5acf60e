"""Components that together are one cluster, merged one pair after the other where that lowers the entropy most.

Baudry, Raftery, Celeux, Lo & Gottardo 2010, "Combining mixture components for clustering". The density stays as it is:
only what counts as one cluster changes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from estep.interface.latent import LEAF_ROWS
from estep.statistics import Array


@dataclass(frozen=True, eq=False)
class Merging:
    """``groups``: for K, K - 1, ... 1 clusters, the cluster (K,) of each component; ``entropies`` (K,): of the rows'
    clusters then, a total, and ``merged`` (K - 1,): the weight of the rows in what was merged each time."""

    groups: tuple[Array, ...]
    entropies: Array
    merged: Array

    def of(self, n_clusters: int) -> Array:
        """The cluster (K,) of each component, where there are so many."""
        K = len(self.groups)
        if not isinstance(n_clusters, int | np.integer) or isinstance(n_clusters, bool) or not 1 <= n_clusters <= K:
            raise ValueError(f"n_clusters is {n_clusters!r}: it is a whole number from 1 to {K}")
        return self.groups[K - int(n_clusters)]

    def predict_proba(self, responsibilities: Array, n_clusters: int) -> Array:
        """Probabilities (n, n_clusters) of the clusters, from those of the components (n, K)."""
        if np.ndim(responsibilities) != 2 or np.shape(responsibilities)[1] != len(self.groups):
            shape = np.shape(responsibilities)
            raise ValueError(f"responsibilities have shape {shape}, expected (n, {len(self.groups)})")
        return np.asarray(responsibilities @ (self.of(n_clusters)[:, None] == np.arange(n_clusters)))

    @property
    def suggested(self) -> int:
        """The number of clusters at the bend of the entropy, of two lines that fit it best against the rows merged so
        far (section 4 there); K where there are fewer than four numbers to look at."""
        K = len(self.groups)
        if K < 4:
            return K
        x = np.concatenate([[0.0], np.cumsum(self.merged)])
        errors = [
            _error(x[: i + 1], self.entropies[: i + 1]) + _error(x[i:], self.entropies[i:]) for i in range(1, K - 1)
        ]
        return K - 1 - int(np.argmin(errors))


def merge(responsibilities: Array, weights: Array | None = None) -> Merging:
    """How components merge, by their responsibilities (n, K), which may be on disk; ``weights`` (n,) of the rows."""
    K = responsibilities.shape[1]
    groups = [np.arange(K)]
    entropies, merged = list[float](), list[float]()
    while True:
        gains, entropy, mass = _gains(responsibilities, groups[-1], weights)
        entropies.append(entropy)
        if len(gains) == 1:
            return Merging(tuple(groups), np.array(entropies), np.array(merged))
        a, b = np.unravel_index(int(np.argmax(gains)), gains.shape)
        merged.append(mass[a] + mass[b])
        first, second = min(a, b), max(a, b)
        new = np.where(groups[-1] == second, first, groups[-1])
        groups.append(np.where(new > second, new - 1, new))


def _gains(r: Array, group: Array, weights: Array | None) -> tuple[Array, float, Array]:
    """How much each pair (G, G) lowers the entropy, the entropy, and the weight (G,) of the clusters."""
    G = int(group.max()) + 1
    gains, entropy, mass = np.zeros((G, G)), 0.0, np.zeros(G)
    for i in range(0, len(r), LEAF_ROWS):
        p = r[i : i + LEAF_ROWS] @ (group[:, None] == np.arange(G))
        w = np.ones(len(p)) if weights is None else weights[i : i + LEAF_ROWS]
        mass += w @ p
        own = _plogp(p)
        entropy -= float(w @ own.sum(axis=1))
        for g in range(G - 1):
            pairs = _plogp(p[:, g : g + 1] + p[:, g + 1 :]) - own[:, g : g + 1] - own[:, g + 1 :]
            gains[g, g + 1 :] += w @ pairs
    gains[np.tril_indices(G)] = -np.inf
    return gains, max(entropy, 0.0), mass


def _plogp(p: Array) -> Array:
    return np.asarray(p * np.log(np.where(p > 0, p, 1.0)))


def _error(x: Array, y: Array) -> float:
    """Of the line that fits best, the sum of squares."""
    design = np.stack([np.ones(len(x)), x], axis=1)
    found: Any = np.linalg.lstsq(design, y, rcond=None)[0]
    return float(((y - design @ found) ** 2).sum())
