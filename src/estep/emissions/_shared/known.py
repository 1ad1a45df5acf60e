"""Gaussian columns given those of a row that are known: rows (n, D) in which NaN stands for what is not."""

from __future__ import annotations

import numpy as np

from estep.data.missing import Patterns
from estep.interface import Margin
from estep.statistics import Array


def normal_margins(location: Array, variance: Array) -> list[Margin]:
    """Of columns with these means and variances (..., K, D)."""
    from scipy import stats

    deviation = np.sqrt(variance)
    return [
        Margin("number", stats.norm(loc=location[..., d], scale=deviation[..., d])) for d in range(location.shape[-1])
    ]


def given_known(rows: Array | None, means: Array, covariances: Array) -> tuple[Array, Array, Array]:
    """Conditional means and variances (n, K, D) of all columns (Bishop 2006, eq. 2.81 and 2.82), and the squared
    distances (n, K) of the known ones; a column that is known keeps its mean and variance.

    ``means`` (K, D) or (n, K, D), ``covariances`` (K, D, D). Without rows: what is so of any, (K, D) and zeros (K,).
    """
    if rows is None:
        return means, np.diagonal(covariances, axis1=1, axis2=2), np.zeros(len(means))
    n, (K, D) = len(rows), covariances.shape[:2]
    means = np.broadcast_to(means, (n, K, D))
    location, distances = means.copy(), np.zeros((n, K))
    variance = np.broadcast_to(np.diagonal(covariances, axis1=1, axis2=2), (n, K, D)).copy()
    patterns = Patterns.of(rows)
    order = np.arange(n) if patterns.order is None else patterns.order
    for a, b, there in zip(patterns.starts, patterns.starts[1:], patterns.observed.astype(bool), strict=False):
        if not there.any():
            continue
        own, absent = order[a:b], ~there
        inverse = np.linalg.inv(np.linalg.cholesky(covariances[:, there][:, :, there]))
        apart = np.einsum("nkd,ked->nke", rows[own][:, None, there] - means[own][:, :, there], inverse)
        distances[own] = (apart**2).sum(axis=2)
        cross = inverse @ covariances[:, there][:, :, absent]
        cells = np.ix_(own, np.arange(K), np.flatnonzero(absent))
        location[cells] += np.einsum("nke,kem->nkm", apart, cross)
        variance[cells] -= (cross**2).sum(axis=1)
    return location, np.maximum(variance, 0.0), distances


def fill_known(
    rows: Array, states: Array, means: Array, covariances: Array, rng: np.random.Generator, scale: Array | None = None
) -> Array:
    """Rows whose missing cells are drawn given those that are known and the states (n,) of the rows.

    ``means`` (n, D) are those of the rows' states; ``scale`` (n,): what multiplies each row's conditional covariance.
    """
    out, normal = rows.copy(), rng.standard_normal(rows.shape)
    if scale is not None:
        normal *= np.sqrt(scale)[:, None]
    patterns = Patterns.of(rows)
    order = np.arange(len(rows)) if patterns.order is None else patterns.order
    for a, b, there in zip(patterns.starts, patterns.starts[1:], patterns.observed.astype(bool), strict=False):
        if there.all():
            continue
        absent = np.flatnonzero(~there)
        for k in np.unique(states[order[a:b]]):
            own, C = order[a:b][states[order[a:b]] == k], covariances[k]
            cross = np.linalg.solve(C[np.ix_(there, there)], C[np.ix_(there, absent)])
            left = C[np.ix_(absent, absent)] - C[np.ix_(absent, there)] @ cross
            mean = means[own][:, absent] + (rows[own][:, there] - means[own][:, there]) @ cross
            out[np.ix_(own, absent)] = mean + normal[own][:, absent] @ _root(left).T
    return out


def _root(C: Array) -> Array:
    """R with C = R R', of a matrix that rounding may have made slightly indefinite."""
    values, vectors = np.linalg.eigh((C + C.T) / 2)
    return np.asarray(vectors * np.sqrt(np.maximum(values, 0.0)))
