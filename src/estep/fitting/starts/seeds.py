"""Centres: greedy k-means++, k-means, and the nearest of them."""

from __future__ import annotations

import numpy as np

from estep.statistics import Array

ROUNDING = 8 * float(np.finfo(np.float64).eps)  # of a squared distance, relative to the squares it is taken from
SWEEPS = 20  # of k-means, at most
CHUNK = 8192


def _chunks(n: int, K: int = 1) -> list[slice]:
    """Rows whose distances to K centres stay in the cache."""
    rows = max(CHUNK * 16 // max(K, 16), 64)
    return [slice(i, i + rows) for i in range(0, n, rows)]


def _less_own(X: Array, centres: Array) -> Array:
    """Squared distances (n, K), less each row's own squared norm."""
    d = X @ (-2 * centres.T)
    d += (centres * centres).sum(axis=1)
    return np.asarray(d)


def squared(X: Array, centres: Array) -> Array:
    """Squared distances (n, K); 0 where they are rounding."""
    own, parts = (centres * centres).sum(axis=1), []
    for i in _chunks(len(X), len(centres)):
        squares = (X[i] * X[i]).sum(axis=1)[:, None]
        d = _less_own(X[i], centres) + squares
        parts.append(np.where(d > ROUNDING * (squares + own), d, 0.0))
    return np.concatenate(parts)


def nearest(X: Array, centres: Array) -> Array:
    """The nearest centre (n,) of each row."""
    return np.concatenate([_less_own(X[i], centres).argmin(axis=1) for i in _chunks(len(X), len(centres))])


def one_hot(labels: Array, K: int, weights: Array | None = None) -> Array:
    """Labels (n,) as responsibilities (n, K), times weights (n,)."""
    r = np.zeros((len(labels), K))
    r[np.arange(len(labels)), labels] = 1.0 if weights is None else weights
    return r


def plus_plus(X: Array, K: int, weights: Array | None, rng: np.random.Generator) -> Array:
    """Greedy k-means++ (Arthur & Vassilvitskii 2007): of 2 + log K candidates the one that helps most, (K, D)."""
    w = np.ones(len(X)) if weights is None else weights
    trials = 2 + int(np.log(K))
    centres = np.empty((K, X.shape[1]))
    centres[0] = X[rng.choice(len(X), p=w / w.sum())]
    distance = squared(X, centres[:1])[:, 0]
    for k in range(1, K):
        cumulative = np.cumsum(w * distance)
        if cumulative[-1] <= 0:
            centres[k:] = X[rng.choice(len(X), K - k, p=w / w.sum())]
            break
        picks = np.searchsorted(cumulative, rng.random(trials) * cumulative[-1], side="right")
        tried = X[np.minimum(picks, len(X) - 1)]
        after = np.minimum(squared(X, tried), distance[:, None])
        best = int(np.argmin(w @ after))
        centres[k], distance = tried[best], after[:, best]
    return centres


def kmeans(X: Array, centres: Array, weights: Array | None) -> Array:
    """Labels (n,) after at most SWEEPS of Lloyd's algorithm."""
    labels = nearest(X, centres)
    for _ in range(SWEEPS):
        mass, sums = np.bincount(labels, weights, len(centres))[:, None], np.zeros(centres.shape)
        for i in _chunks(len(X), len(centres)):
            sums += one_hot(labels[i], len(centres), weights if weights is None else weights[i]).T @ X[i]
        centres = np.where(mass > 0, sums / np.maximum(mass, 1e-300), centres)
        fresh = nearest(X, centres)
        if (fresh == labels).all():
            break
        labels = fresh
    return labels
