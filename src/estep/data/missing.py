"""Which cells of the rows are missing: rows that lack the same ones go together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from estep.statistics import Array


def is_missing(X: Array) -> Array:
    """Which cells are missing, (n, D): NaN, or a symbol below 0."""
    return X < 0 if X.dtype == np.int32 else np.isnan(X)


def pattern_order(X: Array) -> Array:
    """The rows (n,) sorted by what is missing in them, in order where that is the same."""
    packed = np.packbits(is_missing(X), axis=1)
    return np.lexsort(packed.T[::-1])


def unsorted(values: Array, order: Array | None) -> Array:
    """Values of rows (n, ...) that were sorted by ``order``, in the order in which these came."""
    if order is None:
        return values
    out = np.empty_like(values)
    out[order] = values
    return out


@dataclass(frozen=True, eq=False)
class Patterns:
    """Rows (n, D) sorted into runs that have the same columns.

    ``order`` (n,): the rows that were sorted, None where they came so; run r ends before row ``starts[r + 1]`` and has
    the columns where ``observed`` (R, D) is 1.
    """

    X: Array
    order: Array | None
    starts: Array
    observed: Array

    @classmethod
    def of(cls, X: Array) -> Patterns:
        """The patterns of rows, in float64."""
        X = np.ascontiguousarray(X, dtype=np.float64)
        order = None
        missing = np.isnan(X)
        if len(X) == 1:
            return cls(X, None, np.array([0, 1]), (~missing).view(np.uint8))
        if np.count_nonzero((missing[1:] != missing[:-1]).any(axis=1)) > 0:
            wanted = pattern_order(X)
            if (np.diff(wanted) < 0).any():
                order, X, missing = wanted, X[wanted], missing[wanted]
        if not len(X):
            return cls(X, None, np.zeros(1, np.int64), np.zeros((0, X.shape[1]), np.uint8))
        changes = 1 + np.flatnonzero((missing[1:] != missing[:-1]).any(axis=1))
        starts = np.concatenate([[0], changes, [len(X)]]).astype(np.int64)
        return cls(X, order, starts, np.ascontiguousarray(~missing[starts[:-1]], dtype=np.uint8))

    @property
    def lengths(self) -> Array:
        """Rows of each run, (R,)."""
        return np.diff(self.starts)

    def sorted(self, rows: Array) -> Array:
        """Values of the rows as they came, in the order of :attr:`X`."""
        return np.ascontiguousarray(rows if self.order is None else rows[self.order])

    def unsorted(self, rows: Array) -> Array:
        """The reverse of :meth:`sorted`."""
        return unsorted(rows, self.order)
