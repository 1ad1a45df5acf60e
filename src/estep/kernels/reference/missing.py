"""The reference kernels for rows with missing cells; see :mod:`estep.kernels` for the arguments."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from estep.statistics import Array


def _runs(starts: Array, observed: Array) -> Iterator[tuple[int, slice, Array, Array]]:
    for r, mask in enumerate(observed.astype(bool)):
        yield r, slice(starts[r], starts[r + 1]), np.flatnonzero(mask), np.flatnonzero(~mask)


def _triangles(factors: Array, observed: Array, missing: Array) -> Array:
    """R (K, D, D), upper triangular, of the columns that are missing and then of those there; R'R is the precision."""
    return np.asarray(np.linalg.qr(factors[:, :, np.concatenate([missing, observed])])[1])


def distances(
    X: Array, starts: Array, observed: Array, means: Array, factors: Array, dist: Array, logdet: Array
) -> None:
    """|R_oo (x_o - mean_o)|^2, and log |precision_mm| = 2 log |R_mm|: Bishop 2006, eq. 2.98."""
    for r, rows, there, missing in _runs(starts, observed):
        m = len(missing)
        for k, R in enumerate(_triangles(factors, there, missing)):
            dist[rows, k] = (((X[rows][:, there] - means[k, there]) @ R[m:, m:].T) ** 2).sum(axis=1)
            logdet[r, k] = 2 * np.log(np.abs(R.diagonal()[:m])).sum()


def moments(
    X: Array,
    starts: Array,
    observed: Array,
    means: Array,
    factors: Array,
    weight: Array,
    times: Array,
    mass: Array,
    first: Array,
    second: Array,
) -> None:
    """Moments about the means, missing cells by their conditional distribution (Bishop 2006, eq. 2.96 and 2.97)."""
    for r, rows, there, missing in _runs(starts, observed):
        m = len(missing)
        for k, R in enumerate(_triangles(factors, there, missing)):
            inverse = np.linalg.inv(R[:m, :m])
            x = np.zeros((rows.stop - rows.start, X.shape[1]))
            x[:, there] = X[rows][:, there] - means[k, there]
            x[:, missing] = -x[:, there] @ (inverse @ R[:m, m:]).T
            w = weight[rows, k]
            mass[k] += w.sum()
            first[k] += w @ x
            second[k] += (x * w[:, None]).T @ x
            second[k][np.ix_(missing, missing)] += times[r, k] * inverse @ inverse.T
