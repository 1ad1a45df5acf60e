"""The validating pass over the data: mean, variance and range of each column, or an error that names the place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from estep import kernels
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

    found = np.zeros((6, D))
    with np.errstate(over="ignore", invalid="ignore"):
        finite, mass = kernels.active().survey(X, weights, found)
    if not finite:
        _raise_not_finite(X, name)
    low, high, used_low, used_high, mean, second = found
    if (high / 2 - low / 2 > LARGEST / 2).any():
        d = int(np.argmax(high / 2 - low / 2 > LARGEST / 2))
        raise ValueError(f"{name(d)} spans more than {LARGEST:g}: rescale it")
    if mass == 0:
        raise ValueError("the sequences with a positive weight have no rows: nothing is left to read")
    constant = used_low == used_high
    small = ~constant & (used_high - used_low < 1 / LARGEST)
    if small.any():
        raise ValueError(f"{name(int(np.argmax(small)))} spans less than {1 / LARGEST:g}: rescale it")
    mean = np.where(constant, used_low, mean)
    return Summary(len(X), mass, mean, second / mass, low, high, constant, columns, X.dtype == np.float32)


def _raise_not_finite(X: Array, column: Callable[[int], str]) -> None:
    row = next(i for i in range(0, len(X), _CHUNK) if not np.isfinite(X[i : i + _CHUNK]).all())
    row += int(np.argmin(np.isfinite(X[row : row + _CHUNK]).all(axis=1)))
    d = int(np.argmin(np.isfinite(X[row])))
    value = X[row, d]
    what = "NaN" if np.isnan(value) else "inf"
    way_out = "drop or fill the row: missing values are not read yet" if what == "NaN" else "drop or correct the row"
    raise ValueError(f"row {row}, {column(d)} is {what}: {way_out}")
