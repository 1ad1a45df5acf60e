"""Responsibilities (n, K) that a first M-step starts from, by method."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from estep.data.labels import Evidence
from estep.data.source import Source
from estep.fitting.starts.seeds import kmeans, nearest, one_hot, plus_plus, squared
from estep.fitting.subsample import units, weights_of
from estep.interface import Emission
from estep.statistics import Array

MOST = 2000  # rows that are agglomerated
WINDOW = 12  # rows of a local mean, on either side


def assignments(sample: Source, emission: Emission, K: int, method: str, rng: np.random.Generator) -> Array:
    """Responsibilities (n, K) of independent rows, of the components that the labels allow alone."""
    return obey(_assignments(sample, emission, K, method, rng), sample, K)


def _assignments(sample: Source, emission: Emission, K: int, method: str, rng: np.random.Generator) -> Array:
    if emission.rows == "symbols":
        table = rng.dirichlet(np.ones(K), size=int(sample.X.max()) + 1)
        return np.asarray(table[sample.X[:, 0]])
    if method == "random":
        return rng.dirichlet(np.ones(K), size=len(sample))
    return one_hot(_labels(sample, emission, K, method, rng), K)


def of_parts(sample: Source, emission: Emission, K: int, method: str, rng: np.random.Generator) -> Array:
    """The same for the parts of K components, (n, K M): rows go to components, those of each to its parts."""
    inner, M = emission.of_parts(), emission.n_parts
    if emission.rows == "symbols" or method == "random" or inner.centres() is not None:
        r = _assignments(sample, inner, K * M, method, rng)
        return np.asarray(obey(r, sample, K))
    r = assignments(sample, inner, K, method, rng)
    return shared_out(r, sample, emission, method, rng)


def shared_out(r: Array, sample: Source, emission: Emission, method: str, rng: np.random.Generator) -> Array:
    """Responsibilities of components (n, K) shared out among the parts of each, (n, K M), wherever these are now."""
    inner, M, K = emission.of_parts().blank(), emission.n_parts, r.shape[1]
    weights, parts = weights_of(sample), np.zeros((len(sample), K, M))
    for k in range(K):
        mine = np.flatnonzero((r[:, k] > 0.5) & (weights > 0))
        own = rng.dirichlet(np.ones(M), size=len(sample))
        if len(mine) > M and emission.rows != "symbols":
            rows = replace(sample.some(mine, weights[mine]), evidence=None)
            own[mine] = _assignments(rows, inner, M, method, rng)
        parts[:, k] = r[:, k, None] * own
    return parts.reshape(len(r), K * M)


def obey(r: Array, sample: Source, K: int) -> Array:
    """Responsibilities (n, K) or (n, K M) of the components that the labels allow alone."""
    if sample.evidence is None:
        return r
    by_state = r.reshape(len(r), K, -1) + 1e-12
    by_state = by_state * sample.evidence.allowed(K)[:, :, None]
    return np.asarray((by_state / by_state.sum(axis=(1, 2), keepdims=True)).reshape(r.shape))


def _labels(sample: Source, emission: Emission, K: int, method: str, rng: np.random.Generator) -> Array:
    """Labels (n,) of the nearest centre, in units of the columns' bulk."""
    X, weights = units(sample, emission.clustering_features(sample.X, sample.summary)), sample.weights
    if sample.evidence is not None:
        return _among_labelled(X, weights, sample.evidence.allowed(K), rng)
    means = emission.centres()
    if means is not None and means.shape[1] == X.shape[1]:
        return nearest(X, units(sample, means))
    if method == "projection":
        return sliced(X, K, weights, rng)
    if method in ("ward", "principal"):
        X = X * _deviations(sample, X.shape[1])
        return agglomerated(X if method == "ward" else _principal(X), K, weights, rng)
    if method == "random_from_data":
        p = None if weights is None else weights / weights.sum()
        n_used = len(X) if weights is None else int((weights > 0).sum())
        return nearest(X, X[rng.choice(len(X), min(K, n_used), replace=False, p=p)])
    centres = plus_plus(X, K, weights, rng)
    return nearest(X, centres) if method == "k-means++" else kmeans(X, centres, weights)


def _deviations(sample: Source, D: int) -> Array:
    """What takes columns from units of their quartiles to those of their deviations."""
    bulk = sample.summary.bulk.some(slice(0, D))
    return np.asarray(
        np.where(bulk.quartiles > 0, bulk.quartiles, 1.0) / np.sqrt(np.where(bulk.quartiles > 0, bulk.variance, 1.0))
    )


def _principal(X: Array) -> Array:
    """Principal components in units of the square roots of their deviations: between rows as they are and spheres."""
    _, scale, axes = np.linalg.svd(X - X.mean(axis=0), full_matrices=False)
    return np.asarray((X @ axes.T) / np.sqrt(np.maximum(scale, 1e-12 * scale.max(initial=1e-300))))


def _among_labelled(X: Array, weights: Array | None, allowed: Array, rng: np.random.Generator) -> Array:
    """Labels (n,): of the allowed states the nearest. Centres are means of rows whose state is known, else seeds."""
    known = allowed.sum(axis=1) == 1
    w = np.ones(len(X)) if weights is None else weights
    r = allowed * (known * w)[:, None]
    mass = r.sum(axis=0)
    centres = (r.T @ X) / np.maximum(mass, 1e-300)[:, None]
    unknown = np.flatnonzero(mass == 0)
    if unknown.size:
        free = ~known & (w > 0) if (~known & (w > 0)).any() else w > 0
        centres[unknown] = plus_plus(X[free], len(unknown), w[free], rng)
    distance = np.where(allowed != 0, squared(X, centres), np.inf)
    return np.asarray(distance.argmin(axis=1))


def sliced(X: Array, K: int, weights: Array | None, rng: np.random.Generator) -> Array:
    """Labels (n,) of K slices along a column, or another direction, taken at random; so are the cuts between them."""
    n, D = X.shape
    along = X[:, rng.integers(D)] if rng.random() < 0.5 else X @ rng.normal(size=D)
    order = np.argsort(along, kind="stable")
    share = np.cumsum(np.ones(n) if weights is None else weights[order])
    cuts = np.sort(rng.random(K - 1)) * share[-1]
    labels = np.empty(n, np.int64)
    labels[order] = np.searchsorted(cuts, share - share[0] / 2)
    return labels


def agglomerated(X: Array, K: int, weights: Array | None, rng: np.random.Generator) -> Array:
    """Labels (n,) of the K clusters that Ward's agglomeration ends with, of MOST rows at most; other rows go to the
    nearest mean."""
    from scipy.cluster.hierarchy import fcluster, linkage

    n = len(X)
    p = None if weights is None else weights / weights.sum()
    some = np.arange(n) if n <= MOST else rng.choice(n, MOST, replace=False, p=p)
    labels = fcluster(linkage(X[some], "ward"), K, "maxclust") - 1 if len(some) > 1 else np.zeros(1, np.int64)
    if n <= MOST:
        return np.asarray(labels, dtype=np.int64)
    return nearest(X, np.array([X[some[labels == k]].mean(axis=0) for k in range(labels.max() + 1)]))


# Assignments of whole sequences, as labels of all rows


def split(source: Source, K: int) -> Evidence:
    """Each sequence in K parts of equal length, one a state, in order."""
    position, lengths = _positions(source)
    return Evidence(labels=(position * K // lengths).astype(np.int32))


def cuts(source: Source, K: int, rng: np.random.Generator) -> Evidence:
    """Each sequence in K parts, cut at random places that are the same in all, relative to their lengths."""
    position, lengths = _positions(source)
    places = np.sort(rng.random(K - 1))
    return Evidence(labels=np.searchsorted(places, (position + 0.5) / lengths).astype(np.int32))


def spread(source: Source, emission: Emission, K: int, rng: np.random.Generator) -> Evidence:
    """Clusters of how far rows are from the mean of those around them: states that differ in spread."""
    rows = source.independent()
    X = units(rows, emission.clustering_features(rows.X, rows.summary))
    ends = source.all_ends
    firsts = np.concatenate([[0], ends[:-1]])
    apart = np.empty(X.shape)
    for first, stop in zip(firsts, ends, strict=True):
        own = X[first:stop]
        apart[first:stop] = _local_mean(np.abs(own - _local_mean(own)))
    features = np.log(np.maximum(apart, 1e-6))
    weights = source.row_weights
    centres = plus_plus(features, K, weights, rng)
    return Evidence(labels=kmeans(features, centres, weights).astype(np.int32))


def _local_mean(X: Array) -> Array:
    """The mean of each row and those around it in one sequence (n, D)."""
    n = len(X)
    sums = np.concatenate([np.zeros((1, X.shape[1])), np.cumsum(X, axis=0)])
    low, high = np.maximum(np.arange(n) - WINDOW, 0), np.minimum(np.arange(n) + WINDOW + 1, n)
    return np.asarray((sums[high] - sums[low]) / (high - low)[:, None])


def _positions(source: Source) -> tuple[Array, Array]:
    """Where each row is in its sequence, and the sequence's length, (n,)."""
    ends = source.all_ends
    lengths = np.diff(ends, prepend=0)
    return np.arange(len(source)) - np.repeat(ends - lengths, lengths), np.repeat(lengths, lengths)
