"""The validating pass over the data: mean, variance and range of each column, or an error that names the place.

NaN is a missing cell.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import Any

import numpy as np

from estep import kernels
from estep.data.bulk import Bulk, bulk_of
from estep.statistics import Array
from estep.util.cached import cached_property

FAR = 1e150  # the largest value: its square is in the range of float64
LARGEST_SUM = 1e300  # of weighted squares; the smallest is one over it
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
    missing: bool = False  # whether cells are missing; all else is of those that are there
    most_weight: float = 1.0  # of a row
    find_bulk: Callable[[], Bulk] | None = None

    def __getstate__(self) -> dict[str, Any]:
        bulk = self.bulk
        state = {f.name: getattr(self, f.name) for f in fields(self)}
        return state | {"find_bulk": partial(_same, bulk)}  # without the rows

    @cached_property
    def bulk(self) -> Bulk:
        """Where most of the data are, found when it is first asked for."""
        if self.find_bulk is None:
            return Bulk(self.mean, self.variance, self.mean, np.sqrt(self.variance))
        return self.find_bulk()

    @cached_property
    def floor(self) -> Array:
        """The smallest variance a component may have in each column: 1e-12 of that of the column's bulk.

        A constant column has none: 1e-12 of its squared value, or of 1.
        """
        value = np.clip(np.abs(self.mean), 1 / LARGEST, LARGEST)
        squared = np.where(self.mean == 0, 1.0, value**2)
        return np.asarray(1e-12 * np.where(self.constant, squared, self.bulk.variance))

    def some(self, columns: slice | list[int]) -> Summary:
        """That of some of the columns, without their names."""
        arrays = {n: getattr(self, n)[columns] for n in ("mean", "variance", "low", "high", "constant")}
        return replace(self, **arrays, columns=(), find_bulk=lambda: self.bulk.some(columns))

    def require_values(self) -> None:
        """Raises ValueError naming a column without any value: nothing can be estimated from it."""
        if not (self.low <= self.high).all():
            d = int(np.argmin(self.low <= self.high))
            name = f" ({self.columns[d]})" if self.columns and self.columns[d] else ""
            raise ValueError(f"column {d}{name} has no values: leave it out")

    def radius(self, origin: Array) -> Array:
        """The largest distance from ``origin`` in each column, (D,); kept for the next call with the same array."""
        kept: tuple[Array, Array] | None = self.__dict__.get("_radius")
        if kept is None or kept[0] is not origin:
            kept = origin, np.asarray(np.maximum(np.abs(self.low - origin), np.abs(self.high - origin)))
            self.__dict__["_radius"] = kept
        return kept[1]


def summarize(X: Array, weights: Array | None, columns: tuple[str, ...], missing: bool = False) -> Summary:
    """The validating pass over rows ``X`` (n, D) with their weights (n,); ``missing``: whether cells are, known before.

    Raises ValueError naming the first infinity or value out of range.
    """
    D = X.shape[1]

    def name(d: int) -> str:
        return f"column {d} ({columns[d]})" if columns and columns[d] else f"column {d}"

    found = np.zeros((6, D))
    with np.errstate(over="ignore", invalid="ignore"):
        finite, mass = kernels.active().survey(X, weights, found)
    if not finite:
        mass = _survey_missing(X, weights, found, name)
    low, high, used_low, used_high, mean, second = found
    if (high / 2 - low / 2 > LARGEST / 2).any():
        d = int(np.argmax(high / 2 - low / 2 > LARGEST / 2))
        raise ValueError(f"{name(d)} spans more than {LARGEST:g}: rescale it")
    large = np.where(low <= high, np.maximum(np.abs(low), np.abs(high)), 0.0) > FAR
    if large.any():
        d = int(np.argmax(large))
        raise ValueError(f"{name(d)} holds {max(low[d], high[d], key=abs):g}, beyond {FAR:g}: rescale it")
    missing = missing or not finite or (X.dtype == np.int32 and bool((found[0] < 0).any()))
    if mass == 0 and not missing:
        raise ValueError("the sequences with a positive weight have no rows: nothing is left to read")
    constant = used_low == used_high
    small = (used_low < used_high) & (used_high - used_low < 1 / LARGEST)
    if small.any():
        raise ValueError(f"{name(int(np.argmax(small)))} spans less than {1 / LARGEST:g}: rescale it")
    spans = np.where(used_low < used_high, used_high - used_low, 1.0)
    with np.errstate(over="ignore", under="ignore"):
        sums = mass * spans**2
    if mass > 0 and not ((sums > 1 / LARGEST_SUM) & (sums < LARGEST_SUM)).all():
        d = int(np.argmax(np.abs(np.log(spans))))
        raise ValueError(
            f"{name(d)} spans {spans[d]:g} and the weights add up to {mass:g}: sums of squares leave the range of "
            "float64; rescale the column or the weights"
        )
    mean = np.where(constant, used_low, mean)
    most = 1.0 if weights is None else float(weights.max(initial=0.0))
    variance = second / max(mass, 1e-300)
    bulk = partial(bulk_of, X, weights, mean, variance)
    single = X.dtype == np.float32
    return Summary(len(X), mass, mean, variance, low, high, constant, columns, single, missing, most, bulk)


def _same(bulk: Bulk) -> Bulk:
    return bulk


def _survey_missing(X: Array, weights: Array | None, found: Array, name: Callable[[int], str]) -> float:
    """What the survey finds (``second`` for the weight of all rows), of the cells that are there; rows without any
    do not count. The weight."""
    D = X.shape[1]
    infinite = next((i for i in range(0, len(X), _CHUNK) if np.isinf(X[i : i + _CHUNK]).any()), None)
    if infinite is not None:
        row = infinite + int(np.argmax(np.isinf(X[infinite : infinite + _CHUNK]).any(axis=1)))
        raise ValueError(f"row {row}, {name(int(np.argmax(np.isinf(X[row]))))} is inf: drop or correct the row")
    w = np.ones(len(X)) if weights is None else weights
    low, high, used_low, used_high, mean, second = found
    low[:], high[:], used_low[:], used_high[:] = np.inf, -np.inf, np.inf, -np.inf
    total, sums, squares, of_rows = np.zeros(D), np.zeros(D), np.zeros(D), 0.0
    for i in range(0, len(X), _CHUNK):
        x, mass = X[i : i + _CHUNK].astype(np.float64), w[i : i + _CHUNK, None]
        observed = ~np.isnan(x)
        np.fmin(low, np.fmin.reduce(x, axis=0), out=low)
        np.fmax(high, np.fmax.reduce(x, axis=0), out=high)
        used = x[mass[:, 0] > 0]
        if len(used):
            np.fmin(used_low, np.fmin.reduce(used, axis=0), out=used_low)
            np.fmax(used_high, np.fmax.reduce(used, axis=0), out=used_high)
        total += (observed * mass).sum(axis=0)
        of_rows += float(mass[observed.any(axis=1)].sum())
    low[total == 0], high[total == 0] = np.inf, -np.inf  # nothing that counts
    some, safe = total > 0, np.where(total > 0, total, 1.0)
    with np.errstate(invalid="ignore"):
        middle = np.where(some, used_low / 2 + used_high / 2, 0.0)
    for i in range(0, len(X), _CHUNK):
        x, mass = X[i : i + _CHUNK].astype(np.float64) - middle, w[i : i + _CHUNK, None]
        sums += np.nansum(x * mass, axis=0)
    mean[:] = middle + sums / safe
    for i in range(0, len(X), _CHUNK):
        x, mass = X[i : i + _CHUNK].astype(np.float64) - mean, w[i : i + _CHUNK, None]
        squares += np.nansum(x * x * mass, axis=0)
    second[:] = squares / safe * of_rows
    return of_rows
