"""The reference kernels for rows with missing cells; see :mod:`estep.kernels` for the arguments."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from estep.statistics import Array


def _runs(starts: Array, seen: Array) -> Iterator[tuple[int, slice, Array, Array]]:
    for r, mask in enumerate(seen.astype(bool)):
        yield r, slice(starts[r], starts[r + 1]), np.flatnonzero(mask), np.flatnonzero(~mask)


def distances(
    X: Array, starts: Array, seen: Array, means: Array, precisions: Array, dist: Array, logdet: Array
) -> None:
    """(x_o - mean_o)' cov_oo^-1 (x_o - mean_o), and log |precision_mm|: Bishop 2006, eq. 2.98."""
    covariances = np.linalg.inv(precisions)
    for r, rows, there, missing in _runs(starts, seen):
        for k, (C, P) in enumerate(zip(covariances, precisions, strict=True)):
            d = X[rows][:, there] - means[k, there]
            solved = np.linalg.solve(C[np.ix_(there, there)], d.T).T if len(there) else d
            dist[rows, k] = (d * solved).sum(axis=1)
            logdet[r, k] = np.linalg.slogdet(P[np.ix_(missing, missing)])[1] if len(missing) else 0.0


def moments(
    X: Array,
    starts: Array,
    seen: Array,
    means: Array,
    precisions: Array,
    weight: Array,
    times: Array,
    mass: Array,
    first: Array,
    second: Array,
) -> None:
    """Moments about the means, missing cells by their conditional distribution (Bishop 2006, eq. 2.81 and 2.82)."""
    covariances = np.linalg.inv(precisions)
    for r, rows, there, missing in _runs(starts, seen):
        for k, C in enumerate(covariances):
            x = np.zeros((rows.stop - rows.start, X.shape[1]))
            x[:, there] = X[rows][:, there] - means[k, there]
            if len(there):
                gain = np.linalg.solve(C[np.ix_(there, there)], C[np.ix_(there, missing)])
                x[:, missing] = x[:, there] @ gain
                left = C[np.ix_(missing, missing)] - C[np.ix_(missing, there)] @ gain
            else:
                left = C
            w = weight[rows, k]
            mass[k] += w.sum()
            first[k] += w @ x
            second[k] += (x * w[:, None]).T @ x
            second[k][np.ix_(missing, missing)] += times[r, k] * left
