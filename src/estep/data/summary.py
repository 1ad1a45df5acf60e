"""The validating pass over the data: mean, variance and range of each column, or an error that names the place.

NaN is a missing cell.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from functools import partial
from itertools import zip_longest
from typing import Any

import numpy as np

from estep import kernels
from estep.data.bulk import Bulk, bulk_of, bulk_of_sample, sampled
from estep.data.rows import chunks, in_memory
from estep.statistics import Array
from estep.util.cached import cached_property

FAR = 1e150  # the largest value: its square is in the range of float64
LARGEST_SUM = 1e300  # of weighted squares; the smallest is one over it
LARGEST = 1e140  # squares of larger deviations leave the range of float64


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


def summarize(
    X: Any,
    weights: Array | None,
    columns: tuple[str, ...],
    missing: bool = False,
    ends: Array | None = None,
) -> Summary:
    """The validating pass over rows ``X`` (n, D), an array or :class:`estep.data.rows.Rows`.

    ``weights``: of the rows (n,), or where there are ``ends`` of the sequences (S,); ``missing``: whether cells are,
    known before. Parts of the rows are put together in an order of their own: the result is the same wherever they are.
    Raises ValueError naming the first infinity or value out of range.
    """

    def name(d: int) -> str:
        return _name(columns, d)

    survey = Survey(weights, ends, columns, len(X), keeps=not in_memory(X))
    parts = chunks(X, survey)
    while len(parts) > 1:
        parts = [a if b is None else a.joined(b) for a, b in zip_longest(parts[::2], parts[1::2])]
    found = parts[0] if parts else survey(np.empty((0, X.shape[1])), 0)
    low, high, mass, missing = found.low, found.high, found.mass, missing or found.missing
    if found.missing:
        low, high = np.where(found.total == 0, np.inf, low), np.where(found.total == 0, -np.inf, high)
    if (high / 2 - low / 2 > LARGEST / 2).any():
        d = int(np.argmax(high / 2 - low / 2 > LARGEST / 2))
        raise ValueError(f"{name(d)} spans more than {LARGEST:g}: rescale it")
    large = np.where(low <= high, np.maximum(np.abs(low), np.abs(high)), 0.0) > FAR
    if large.any():
        d = int(np.argmax(large))
        raise ValueError(f"{name(d)} holds {max(low[d], high[d], key=abs):g}, beyond {FAR:g}: rescale it")
    if mass == 0 and not missing:
        raise ValueError("the sequences with a positive weight have no rows: nothing is left to read")
    used_low, used_high = found.used_low, found.used_high
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
    mean = np.where(constant, used_low, found.mean)
    most = 1.0 if weights is None else float(weights.max(initial=0.0))
    variance = found.squares / np.maximum(found.total, 1e-300)
    if in_memory(X):
        bulk = partial(
            bulk_of, X, weights if ends is None else weights_at(weights, ends, slice(0, len(X))), mean, variance
        )
    else:
        assert found.sample is not None
        bulk = partial(bulk_of_sample, found.sample[0], found.sample[1], mean, variance)
    single = X.dtype == np.float32
    return Summary(len(X), mass, mean, variance, low, high, constant, columns, single, missing, most, bulk)


def _name(columns: tuple[str, ...], d: int) -> str:
    return f"column {d} ({columns[d]})" if columns and columns[d] else f"column {d}"


def _same(bulk: Bulk) -> Bulk:
    return bulk


def weights_at(weights: Array | None, ends: Array | None, rows: slice | Array) -> Array | None:
    """The weights of some rows (a slice, or their numbers), from those of rows or of sequences."""
    if weights is None or ends is None:
        return None if weights is None else weights[rows]
    numbers = np.arange(rows.start, rows.stop) if isinstance(rows, slice) else rows
    return np.asarray(weights[np.searchsorted(ends, numbers, side="right")])


@dataclass(frozen=True, eq=False)
class Part:
    """What the pass found of a part of the rows. ``mass``: the weight of rows with a value; ``total``: of the cells
    that are there, (D,), whose mean and sum of squared deviations are ``mean`` and ``squares``; ``sample``: the rows
    of which the bulk is found, and their weights."""

    mass: float
    total: Array
    low: Array
    high: Array
    used_low: Array
    used_high: Array
    mean: Array
    squares: Array
    missing: bool
    sample: tuple[Array, Array | None] | None

    def joined(self, other: Part) -> Part:
        """Both together (Chan, Golub & LeVeque 1979)."""
        total = self.total + other.total
        share = other.total / np.where(total > 0, total, 1.0)
        with np.errstate(over="ignore", invalid="ignore"):
            apart = other.mean - self.mean
            mean = np.where(self.total > 0, self.mean + apart * share, other.mean)
            squares = self.squares + other.squares + apart * apart * (self.total * share)
        samples = [part.sample for part in (self, other) if part.sample is not None]
        kept = None
        if samples:
            weights = [w for _, w in samples if w is not None]
            kept = np.concatenate([X for X, _ in samples]), np.concatenate(weights) if weights else None
        return Part(
            self.mass + other.mass,
            total,
            np.minimum(self.low, other.low),
            np.maximum(self.high, other.high),
            np.minimum(self.used_low, other.used_low),
            np.maximum(self.used_high, other.used_high),
            mean,
            squares,
            self.missing or other.missing,
            kept,
        )


@dataclass(frozen=True, eq=False)
class Survey:
    """The pass over a chunk of n rows. ``keeps``: those of which the bulk is found, as they are not at hand later."""

    weights: Array | None
    ends: Array | None
    columns: tuple[str, ...]
    n: int
    keeps: bool

    def __call__(self, X: Array, first: int) -> Part:
        D, found = X.shape[1], np.zeros((6, X.shape[1]))
        weights = weights_at(self.weights, self.ends, slice(first, first + len(X)))
        weights = None if weights is None else np.require(weights, np.float64, ["C", "A"])
        with np.errstate(over="ignore", invalid="ignore"):
            finite, mass = kernels.active().survey(X, weights, found)
        total = np.full(D, mass)
        if not finite:
            mass = _survey_missing(X, weights, found, total, self.columns, first)
        missing = not finite or (X.dtype == np.int32 and bool((found[0] < 0).any()))
        sample = None
        if self.keeps:
            rows = sampled(first, first + len(X), self.n)
            sample = np.array(X[rows]), None if weights is None else np.array(weights[rows])
        low, high, used_low, used_high, mean, squares = found
        return Part(mass, total, low, high, used_low, used_high, mean, squares, missing, sample)


def _survey_missing(
    X: Array, weights: Array | None, found: Array, total: Array, columns: tuple[str, ...], first: int
) -> float:
    """What the survey finds, of the cells that are there, and their weight ``total`` (D,); rows without any do not
    count. The weight of the others."""
    if (infinite := np.isinf(X).any(axis=1)).any():
        row = int(np.argmax(infinite))
        d = int(np.argmax(np.isinf(X[row])))
        raise ValueError(f"row {first + row}, {_name(columns, d)} is inf: drop or correct the row")
    low, high, used_low, used_high, mean, squares = found
    low[:], high[:], used_low[:], used_high[:] = np.inf, -np.inf, np.inf, -np.inf
    x = X.astype(np.float64)
    mass = (np.ones(len(X)) if weights is None else weights)[:, None]
    observed = ~np.isnan(x)
    np.fmin(low, np.fmin.reduce(x, axis=0), out=low)
    np.fmax(high, np.fmax.reduce(x, axis=0), out=high)
    used = x[mass[:, 0] > 0]
    if len(used):
        np.fmin(used_low, np.fmin.reduce(used, axis=0), out=used_low)
        np.fmax(used_high, np.fmax.reduce(used, axis=0), out=used_high)
    total[:] = (observed * mass).sum(axis=0)
    some, safe = total > 0, np.where(total > 0, total, 1.0)
    with np.errstate(invalid="ignore"):
        middle = np.where(some, used_low / 2 + used_high / 2, 0.0)
    mean[:] = middle + np.nansum((x - middle) * mass, axis=0) / safe
    apart = x - mean
    squares[:] = np.nansum(apart * apart * mass, axis=0)
    return float(mass[observed.any(axis=1)].sum())
