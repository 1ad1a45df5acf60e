"""Where most of the data are: a centre and a scale that outliers do not move.

The bulk of a column is what lies within its quartiles and FENCE times their range on either side; where half of the
rows are alike, what lies within the 1% and 99% quantiles; where these are, all of it. Quantiles count weight and are
the same from either end, so that shifts, scales, weights and the order of the rows change nothing. Of more than SAMPLE
rows, as many are read, chosen by a hash of the row's number.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from estep.statistics import Array

SAMPLE = 65536
FENCE = 50.0
PARTS = (0.01, 0.25, 0.5)
CELLS = 2**20  # at once


@dataclass(frozen=True, eq=False)
class Bulk:
    """Of each column, (D,): mean and variance of its bulk, its median and the range between its quartiles."""

    mean: Array
    variance: Array
    median: Array
    quartiles: Array

    def some(self, columns: slice | list[int]) -> Bulk:
        """That of some of the columns."""
        return Bulk(self.mean[columns], self.variance[columns], self.median[columns], self.quartiles[columns])


def bulk_of(X: Array, weights: Array | None, mean: Array, variance: Array) -> Bulk:
    """The bulk of rows (n, D) with weights (n,); ``mean`` and ``variance`` (D,): those of all of them."""
    rows = sampled(0, len(X), len(X))
    return bulk_of_sample(X[rows], None if weights is None else weights[rows], mean, variance)


def bulk_of_sample(X: Array, weights: Array | None, mean: Array, variance: Array) -> Bulk:
    """As :func:`bulk_of`, of the rows that are read."""
    found = np.full((X.shape[1], 4), np.nan)
    if weights is None and len(X):
        step = max(1, CELLS // len(X))
        for d in range(0, X.shape[1], step):
            found[d : d + step] = _of_columns(X[:, d : d + step])
    for d in np.flatnonzero(np.isnan(found[:, 1])).tolist():
        found[d] = _of_column(X[:, d], weights, mean[d], variance[d])
    return Bulk(*found.T)


def _of_columns(X: Array) -> Array:
    """What :func:`_of_column` finds of rows without weights, (D, 4), all columns at once; NaN where a cell is missing,
    or no row varies within the fence."""
    x = np.array(X.T, dtype=np.float64, order="C")  # a copy, which is written to
    places = _places(x.shape[1])
    ordered = np.sort(x, axis=1)  # quicker than a partition at six places
    _, lower, before, _, upper, after = (ordered[:, i] for i in places)
    with np.errstate(all="ignore"):
        fence = FENCE * (upper - lower)
        inside = (x >= (lower - fence)[:, None]) & (x <= (upper + fence)[:, None])
        count = inside.sum(axis=1)
        x -= before[:, None]
        x *= inside
        centre = x.sum(axis=1) / count
        x -= centre[:, None]
        x *= inside
        spread = np.einsum("dn,dn->d", x, x) / count
    found = np.stack([before + centre, spread, before / 2 + after / 2, upper - lower], axis=1)
    found[~(fence > 0) | ~(spread > 0)] = np.nan
    return found


def sampled(first: int, stop: int, n: int) -> Any:
    """Which of the rows ``first`` to ``stop`` are read, of n in all: about SAMPLE of these, whose number has a low
    hash."""
    if n <= SAMPLE:
        return slice(0, stop - first)
    return np.flatnonzero(mixed(np.arange(first, stop, dtype=np.uint64)) < np.uint64(int(SAMPLE / n * 2.0**64)))


def mixed(numbers: Array) -> Array:
    """A hash of 64-bit numbers: another for each (splitmix64: Steele, Lea & Flood 2014)."""
    z = numbers * np.uint64(0x9E3779B97F4A7C15)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        z = (z ^ (z >> np.uint64(shift))) * np.uint64(factor)
    return np.asarray(z ^ (z >> np.uint64(31)))


class _Found(NamedTuple):
    mean: float
    variance: float
    median: float
    quartiles: float


def _of_column(values: Array, weights: Array | None, mean: float, variance: float) -> _Found:
    x = np.asarray(values, dtype=np.float64)
    used = ~np.isnan(x) if weights is None else ~np.isnan(x) & (weights > 0)
    if not used.all():
        x, weights = x[used], None if weights is None else weights[used]
    if not len(x):
        return _Found(mean, variance, mean, 0.0)
    low, lower, upper, high, before, after = _quantiles(x, weights)
    fence = FENCE * (upper - lower)
    for least, most in ((lower - fence, upper + fence), (low, high)):
        inside = (x >= least) & (x <= most)
        some = x[inside]
        if some.max() > some.min():
            w = None if weights is None else weights[inside]
            centre = before + float(np.average(some - before, weights=w))
            spread = float(np.average((some - centre) ** 2, weights=w))
            if spread > 0:
                return _Found(centre, spread, before / 2 + after / 2, upper - lower)
    return _Found(mean, variance, before / 2 + after / 2, upper - lower)


def _quantiles(x: Array, weights: Array | None) -> list[float]:
    """The quantiles at 1%, 25%, 75%, 99%, and the medians from below and above."""
    if weights is None:
        places = _places(len(x))
        ordered = np.sort(x)
        q = [float(ordered[i]) for i in places]
    else:
        order = np.argsort(x, kind="stable")
        x, w = x[order], weights[order]
        # from either end, the first value with that part of the weight; sums of halves and doubles are exact enough
        up, down = np.cumsum(w), np.cumsum(w[::-1])
        part = [p * (1 - 1e-12) for p in PARTS]
        q = [float(x[np.searchsorted(up, p * up[-1])]) for p in part]
        q += [float(x[::-1][np.searchsorted(down, p * down[-1])]) for p in part]
    return [q[0], q[1], q[4], q[3], q[2], q[5]]


def _places(n: int) -> list[int]:
    """Where the quantiles of n ordered rows are: of PARTS from below, then from above."""
    below = [max(int(np.ceil(p * n)) - 1, 0) for p in PARTS]
    return [*below, *(n - 1 - i for i in below)]
