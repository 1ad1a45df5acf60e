"""Sufficient statistics of rows under responsibilities, by kind of spec."""

from __future__ import annotations

import numpy as np

from estep.kernels.reference.densities import (
    ROWS,
    columns_of,
    distances,
    features,
    joint_densities,
    pairs,
    student_weights,
)
from estep.kernels.reference.softmax import shares
from estep.kernels.spec import Spec
from estep.statistics import Array


def accumulate(spec: Spec, X: Array, r: Array, stats: Array) -> None:
    """Adds the statistics of the rows under responsibilities ``r`` (n, K), flat."""
    for i in range(0, len(X), ROWS):
        stats += statistics_of(spec, X[i : i + ROWS], r[i : i + ROWS])


def statistics_of(spec: Spec, X: Array, r: Array) -> Array:
    """What :func:`accumulate` adds, of few rows."""
    if spec.kind == "dense":
        return np.zeros(0)
    if spec.members:
        return np.concatenate([statistics_of(part, own, r) for part, own in columns_of(spec, X)])
    if spec.kind == "student" and spec.parts is not None:
        _, _, dofs, _, constant = student_weights(spec)
        u = (dofs + spec.D) / (dofs + distances(spec, X))
        scale = (r * (np.log(u) - u + constant)).sum(axis=0)
        return np.concatenate([r.sum(axis=0), scale, statistics_of(spec.parts, X, r * u)])
    if spec.parts is not None:
        inner = (r[:, :, None] * shares(joint_densities(spec, X))).reshape(len(X), -1)
        return np.concatenate([inner.sum(axis=0), statistics_of(spec.parts, X, inner)])
    if spec.kind == "table":
        weights = np.repeat(r, spec.D, axis=0)
        return np.stack([np.bincount(X.ravel(), weights[:, k], spec.M) for k in range(spec.K)]).ravel()
    if spec.whitened:
        return _whitened_statistics(spec, X, r)
    first = (r.T @ features(spec, X)).ravel()
    if spec.kind != "tied":
        return np.asarray(first)
    assert spec.origin is not None
    return np.concatenate([first, r.sum(axis=1) @ pairs(X - spec.origin)])


def _whitened_statistics(spec: Spec, X: Array, r: Array) -> Array:
    """Moments about each mean, moved to the origin."""
    assert spec.origin is not None and spec.means is not None
    first, second = [], []
    i, j = np.triu_indices(spec.D)
    for k, mu in enumerate(spec.means):
        d = (X - spec.origin) - mu
        s0, s1 = r[:, k].sum(), r[:, k] @ d
        first.append(np.concatenate([[s0], s1 + s0 * mu]))
        if spec.kind in ("full", "tied"):
            second.append(r[:, k] @ pairs(d) + mu[i] * s1[j] + mu[j] * s1[i] + s0 * mu[i] * mu[j])
        else:
            second.append(r[:, k] @ (d * d) + 2 * mu * s1 + s0 * mu * mu)
    if spec.kind == "tied":
        return np.concatenate([*first, np.sum(second, axis=0)])
    if spec.kind == "spherical":
        second = [q.sum(keepdims=True) for q in second]
    return np.concatenate([np.concatenate(both) for both in zip(first, second, strict=True)])
