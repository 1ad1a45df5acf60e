"""The validating pass over the data: mean, variance and range of each column, or an error that names the place."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from estep.statistics import Array

LARGEST = 1e140  # squares of larger deviations leave the range of float64
_CHUNK = 65536


@dataclass(frozen=True, eq=False)
class Summary:
    """What one pass over the data found; arrays are (D,)."""

    n_rows: int
    weight: float
    mean: Array
    variance: Array
    low: Array
    high: Array
    constant: Array  # whether all rows of positive weight have one value
    columns: tuple[str, ...]
    single: bool = False  # whether the data are in single precision

    @property
    def floor(self) -> Array:
        """The smallest variance a component may have in each column: 1e-12 of the column's own.

        A constant column has none: 1e-12 of its squared value, or of 1.
        """
        value = np.clip(np.abs(self.mean), 1 / LARGEST, LARGEST)
        squared = np.where(self.mean == 0, 1.0, value**2)
        return np.asarray(1e-12 * np.where(self.constant, squared, self.variance))

    def radius(self, origin: Array) -> Array:
        """The largest distance from ``origin`` in each column, (D,)."""
        return np.asarray(np.maximum(np.abs(self.low - origin), np.abs(self.high - origin)))


def summarize(X: Array, weights: Array | None, columns: tuple[str, ...]) -> Summary:
    """The validating pass over rows ``X`` (n, D) with their weights (n,).

    Raises ValueError naming the first NaN, infinity or value out of range.
    """
    D = X.shape[1]

    def name(d: int) -> str:
        return f"column {d} ({columns[d]})" if columns else f"column {d}"

    low, high, total, mass = np.full(D, np.inf), np.full(D, -np.inf), np.zeros(D), 0.0
    for i in range(0, len(X), _CHUNK):
        chunk = X[i : i + _CHUNK]
        low, high = np.minimum(low, chunk.min(axis=0)), np.maximum(high, chunk.max(axis=0))
        if not (np.isfinite(low).all() and np.isfinite(high).all()):
            _raise_not_finite(chunk, i, name)
    if (high / 2 - low / 2 > LARGEST / 2).any():
        d = int(np.argmax(high / 2 - low / 2 > LARGEST / 2))
        raise ValueError(f"{name(d)} spans more than {LARGEST:g}: rescale it")
    middle = low / 2 + high / 2
    used_low, used_high = np.full(D, np.inf), np.full(D, -np.inf)
    for chunk, w in _used(X, weights):
        used_low, used_high = np.minimum(used_low, chunk.min(axis=0)), np.maximum(used_high, chunk.max(axis=0))
        total, mass = total + w @ (chunk - middle), mass + float(w.sum())
    if mass == 0:
        raise ValueError("the sequences with a positive weight have no rows: nothing is left to read")
    constant = used_low == used_high
    small = ~constant & (used_high - used_low < 1 / LARGEST)
    if small.any():
        raise ValueError(f"{name(int(np.argmax(small)))} spans less than {1 / LARGEST:g}: rescale it")
    mean = np.where(constant, used_low, middle + total / mass)
    second = np.zeros(D)
    for chunk, w in _used(X, weights):
        second += w @ (chunk - mean) ** 2
    low, high = low.astype(np.float64), high.astype(np.float64)
    single = X.dtype == np.float32
    return Summary(len(X), mass, mean.astype(np.float64), second / mass, low, high, constant, columns, single)


def _used(X: Array, weights: Array | None) -> Iterator[tuple[Array, Array]]:
    """Rows of positive weight with their weights, some at a time."""
    for i in range(0, len(X), _CHUNK):
        chunk = X[i : i + _CHUNK]
        if weights is None:
            yield chunk, np.ones(len(chunk))
            continue
        used = weights[i : i + _CHUNK] > 0
        if used.any():
            yield chunk[used], weights[i : i + _CHUNK][used]


def _raise_not_finite(chunk: Array, first: int, column: Callable[[int], str]) -> None:
    bad = ~np.isfinite(chunk)
    row, d = (int(v) for v in np.argwhere(bad)[0])
    value = chunk[row, d]
    what = "NaN" if np.isnan(value) else "inf"
    way_out = "drop or fill the row: missing values are not read yet" if what == "NaN" else "drop or correct the row"
    raise ValueError(f"row {first + row}, {column(d)} is {what}: {way_out}")
