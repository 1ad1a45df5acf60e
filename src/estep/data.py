"""Data as the E-step reads it: rows cut into leaves, with one validating pass that finds mean, spread and range.

``as_source`` takes an array ``(n, D)``, ``(X, lengths)``, a list of arrays (one a sequence), a 3-D array ``(S, T, D)``
or a data frame (pandas, polars, pyarrow), and raises ValueError naming the row, column or sequence that is wrong.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import Any, Literal, NamedTuple

import numpy as np

from estep.statistics import Array
from estep.summary import Summary, summarize

LANES = 16  # sequences a kernel takes at a time; a leaf of many has a multiple of that
EVEN = 64  # leaves, up to which there is a power of two of them
LARGE = 32768  # rows of a leaf where there are many
HALO = 1024  # rows before and after a stretch of a long sequence, from which its ends are guessed


class Halo(NamedTuple):
    """A stretch of a long sequence: rows before and after it that only warm up, and whether it holds its ends."""

    head: int
    tail: int
    begins: bool
    closes: bool


@dataclass(frozen=True, eq=False)
class Batch:
    """Consecutive rows of a source: what one call of ``Model.expect`` reads."""

    X: Array  # (n, D)
    weights: Array | None  # (n,); chains: (S,), one a sequence
    ends: Array | None  # (S,) int64, the first row after each sequence; None: rows are independent
    first_row: int
    first_sequence: int
    summary: Summary
    halo: Halo | None = None  # for a stretch of one long sequence
    base: Array | None = None  # (n,), what all components have in common in a row's log-density

    @cached_property
    def base_of_units(self) -> Array | float:
        """The base measure of each row or sequence, of the rows that count; 0 where there is none."""
        if self.base is None or self.ends is None:
            return 0.0 if self.base is None else self.base
        cuts = np.array([self.own.start, *self.ends[:-1], self.own.stop])
        sums = np.concatenate([[0.0], np.cumsum(self.base)])
        return np.asarray(sums[cuts[1:]] - sums[cuts[:-1]])

    @property
    def row_weights(self) -> Array | None:
        """The weight of each row (n,), None where all are 1."""
        return row_weights(self.weights, self.ends)

    @property
    def own(self) -> slice:
        """The rows of ``X`` that count: all but a halo's."""
        return slice(0, len(self.X)) if self.halo is None else slice(self.halo.head, len(self.X) - self.halo.tail)

    @property
    def place(self) -> slice:
        """Where the rows that count are in the source."""
        return slice(self.first_row, self.first_row + self.own.stop - self.own.start)

    def cross_moments(self, origin: Array) -> Array:
        """The weighted sum of x_i x_j (i <= j) over the rows about ``origin``, (D (D + 1) / 2,); kept."""
        kept: tuple[Array, Array] | None = self.__dict__.get("_cross_moments")
        if kept is None or not np.array_equal(kept[0], origin):
            total = np.zeros((len(origin), len(origin)))
            weights = self.row_weights
            for i in range(self.own.start, self.own.stop, 4096):
                some = slice(i, min(i + 4096, self.own.stop))
                x = self.X[some].astype(np.float64) - origin
                total += (x if weights is None else x * weights[some, None]).T @ x
            kept = origin, total[np.triu_indices(len(origin))]
            self.__dict__["_cross_moments"] = kept
        return kept[1]

    @property
    def weight(self) -> float:
        """The weight of the rows that count."""
        if self.weights is None:
            return float(self.own.stop - self.own.start)
        if self.halo is not None:
            return float(self.weights[0].item() * (self.own.stop - self.own.start))
        weights = self.row_weights
        assert weights is not None
        return float(weights.sum().item())


@dataclass(frozen=True, eq=False)
class Source:
    """Rows in memory, with weights and the ends of the sequences. Made by :func:`as_source`."""

    X: Array
    ends: Array | None = None
    weights: Array | None = None
    columns: tuple[str, ...] = ()
    base: Array | None = None  # see Batch
    form: str = ""  # what a family made of the rows, see Emission.prepare

    def __len__(self) -> int:
        return len(self.X)

    @property
    def n_sequences(self) -> int:
        """Sequences, or rows where these are independent."""
        return len(self.X) if self.ends is None else len(self.ends)

    @cached_property
    def summary(self) -> Summary:
        """Mean, variance and range of each column, from one validating pass."""
        return summarize(self.X, self.row_weights, self.columns)

    def batch(self, first: int, stop: int, first_sequence: int = 0, stop_sequence: int = 0) -> Batch:
        """Rows ``first`` to ``stop``, which hold the sequences named."""
        ends, weights = self.ends, self.weights
        if ends is not None:
            ends = ends[first_sequence:stop_sequence] - first
            weights = None if weights is None else weights[first_sequence:stop_sequence]
        elif weights is not None:
            weights = weights[first:stop]
        return Batch(
            self.X[first:stop], weights, ends, first, first_sequence, self.summary, None, self._base(first, stop)
        )

    def whole(self) -> Batch:
        """All rows as one batch."""
        return self.batch(0, len(self), 0, self.n_sequences)

    def chunks(self, rows: int) -> Iterator[Batch]:
        """All rows, as independent ones, ``rows`` at a time."""
        weights = self.row_weights
        for i in range(0, len(self), rows):
            w = None if weights is None else weights[i : i + rows]
            yield Batch(self.X[i : i + rows], w, None, i, 0, self.summary, None, self._base(i, i + rows))

    def leaves(self, rows: int) -> list[Batch]:
        """Batches of at most ``rows`` rows, or of whole sequences with about that many; longer sequences are cut.

        They are alike in size, and up to EVEN of them a power of two, so that threads have the same to do. Where there
        are more they may be larger, so that there is little to do between them.
        """
        n = len(self)
        count = -(-n // rows)
        if count > EVEN:
            count = min(count, max(EVEN, -(-n // max(rows, LARGE))))
        count = min(1 << (count - 1).bit_length(), n) if count < EVEN else count
        if self.ends is None:
            return [self.batch(a, b) for a, b in pairwise([n * i // count for i in range(count + 1)])]
        share, leaves, first, first_sequence = -(-n // count), [], 0, 0
        cut = [*np.flatnonzero(np.diff(self.ends, prepend=0) >= 2 * rows).tolist(), len(self.ends)]
        while first_sequence < len(self.ends):
            end = int(self.ends[first_sequence])
            if end - first >= 2 * rows:
                leaves += self._stretches(first, end, first_sequence, (end - first) // rows)
                first, first_sequence = end, first_sequence + 1
                continue
            stop = int(np.searchsorted(self.ends, first + share)) + 1
            if stop - first_sequence > LANES // 2:
                full = min(stop + (first_sequence - stop) % LANES, len(self.ends))
                stop = full if self.ends[full - 1] - first <= 2 * share + rows else stop
            stop = min(stop, cut[bisect(cut, first_sequence)])
            leaves.append(self.batch(first, int(self.ends[stop - 1]), first_sequence, stop))
            first, first_sequence = int(self.ends[stop - 1]), stop
        return leaves

    def cuts(self, rows: int) -> list[tuple[int, int, int, int]]:
        """Whole sequences with about that many rows, or that many rows: what :meth:`batch` takes."""
        n = len(self)
        if self.ends is None:
            return [(i, min(i + rows, n), 0, 0) for i in range(0, n, rows)]
        cuts, first, sequence = [], 0, 0
        while sequence < len(self.ends):
            stop = min(int(np.searchsorted(self.ends, first + rows)) + 1, len(self.ends))
            cuts.append((first, int(self.ends[stop - 1]), sequence, stop))
            first, sequence = int(self.ends[stop - 1]), stop
        return cuts

    def _stretches(self, first: int, stop: int, sequence: int, n: int) -> list[Batch]:
        """``n`` stretches of one sequence, about as long."""
        weights = None if self.weights is None else self.weights[sequence : sequence + 1]
        stretches = []
        cuts = [first + (stop - first) * i // n for i in range(n + 1)]
        for a, b in pairwise(cuts):
            low, high = max(first, a - HALO), min(stop, b + HALO)
            ends = np.array([high - low], dtype=np.int64)
            halo = Halo(a - low, high - b, a == first, b == stop)
            base = self._base(low, high)
            stretches.append(Batch(self.X[low:high], weights, ends, a, sequence, self.summary, halo, base))
        return stretches

    def _base(self, first: int, stop: int) -> Array | None:
        return None if self.base is None else self.base[first:stop]

    def some(self, rows: slice | Array, weights: Array | None = None) -> Source:
        """Some of the rows, as independent ones with these weights."""
        base = None if self.base is None else self.base[rows]
        return replace(self, X=self.X[rows], ends=None, weights=weights, base=base)

    def chained(self) -> Source:
        """As sequences: rows without ends are one. Raises ValueError where such rows have weights of their own."""
        if self.ends is not None:
            return self
        if self.weights is not None:
            raise ValueError("a chain's weights are one a sequence: give lengths too")
        return replace(self, ends=np.array([len(self)], dtype=np.int64))

    def independent(self) -> Source:
        """As rows without sequences."""
        return self if self.ends is None else replace(self, ends=None, weights=self.row_weights)

    @property
    def row_weights(self) -> Array | None:
        """The weight of each row (n,), None where all are 1."""
        return row_weights(self.weights, self.ends)


def row_weights(weights: Array | None, ends: Array | None) -> Array | None:
    """Weights of rows from weights of rows or sequences."""
    return weights if weights is None or ends is None else np.repeat(weights, np.diff(ends, prepend=0))


def as_source(
    data: Any,
    lengths: Any = None,
    weights: Any = None,
    rows: Literal["real", "symbols"] = "real",
    columns: tuple[str, ...] = (),
) -> Source:
    """Data of any accepted form as a validated :class:`Source`.

    ``lengths``: rows of each sequence. ``weights``: (n,) for independent rows, (S,) for sequences. ``rows``: "symbols"
    reads whole numbers 0, 1, ... in one column. ``columns``: their names, where ``data`` has none. Raises ValueError or
    TypeError naming what is wrong and where.
    """
    if isinstance(data, Source):
        if lengths is not None or weights is not None:
            raise ValueError("a Source has its lengths and weights already")
        if data.form:
            return data
        source = Source(_as_rows(data.X, rows, data.columns), data.ends, data.weights, data.columns)
        return source if source.X is not data.X else data
    data, lengths, names = _unpack(data, lengths)
    columns = names or columns
    X = _as_rows(data, rows, columns)
    ends = None if lengths is None else _check_lengths(lengths, len(X))
    n_units, unit = (len(X), "row") if ends is None else (len(ends), "sequence")
    checked = None if weights is None else check_weights(weights, n_units, unit)
    source = Source(X, ends, checked, columns)
    source.summary  # noqa: B018  (the validating pass: errors come before anything is changed)
    return source


def _unpack(data: Any, lengths: Any) -> tuple[Any, Any, tuple[str, ...]]:
    """(rows, lengths, column names) of any accepted form."""
    if isinstance(data, tuple) and len(data) == 2 and np.ndim(data[1]) == 1 and not np.isscalar(data[0]):
        if lengths is not None:
            raise ValueError("lengths are given twice: in (X, lengths) and in lengths=")
        data, lengths = data
    if isinstance(data, list) and data and all(hasattr(x, "shape") or np.ndim(x) == 2 for x in data):
        if lengths is not None:
            raise ValueError("a list of arrays has its lengths already: leave lengths out")
        return _join(data)
    if names := frame_columns(data):
        return _frame_rows(data), lengths, names
    if np.ndim(data) == 3:
        if lengths is not None:
            raise ValueError("a 3-D array (sequences, steps, columns) has its lengths already: leave lengths out")
        array = np.asarray(data)
        return array.reshape(-1, array.shape[2]), np.full(array.shape[0], array.shape[1]), ()
    return data, lengths, ()


def _join(parts: Sequence[Any]) -> tuple[Array, Array, tuple[str, ...]]:
    arrays = [np.asarray(p) for p in parts]
    arrays = [a.reshape(-1, 1) if a.ndim == 1 else a for a in arrays]
    for i, a in enumerate(arrays):
        if a.ndim != 2 or a.shape[1] != arrays[0].shape[1]:
            raise ValueError(f"sequence {i} has shape {a.shape}; the first has {arrays[0].shape[1]} columns")
    return np.concatenate(arrays), np.array([len(a) for a in arrays]), ()


def frame_columns(data: Any) -> tuple[str, ...]:
    """Column names of a data frame, none for anything else. Raises ValueError naming a column that is not numeric."""
    if isinstance(data, np.ndarray | list | tuple) or not (hasattr(data, "columns") or hasattr(data, "column_names")):
        return ()
    import narwhals as nw

    frame = nw.from_native(data, eager_only=True)
    for column in frame.iter_columns():
        if not (column.dtype.is_numeric() or column.dtype == nw.Boolean):
            raise ValueError(
                f"column {column.name!r} is not numeric ({column.dtype}): leave it out, or turn it into numbers"
            )
    return tuple(str(c) for c in frame.columns)


def _frame_rows(data: Any) -> Array:
    import narwhals as nw

    return np.asarray(nw.from_native(data, eager_only=True).to_numpy())


def _as_rows(data: Any, rows: str, columns: tuple[str, ...]) -> Array:
    """A C-contiguous (n, D) array: float32 and float64 as they are, other numbers as float64; symbols as int32."""
    if hasattr(data, "toarray") and hasattr(data, "nnz"):
        raise TypeError("sparse data is not supported: pass a dense array, for example X.toarray()")
    X = np.asarray(data)
    if X.dtype.kind == "c":
        raise ValueError("Complex data not supported: the observations are complex numbers")
    if X.dtype.kind not in "fiub":
        try:
            X = X.astype(np.float64)
        except (TypeError, ValueError) as error:
            raise ValueError(f"the data are not numbers: {error}") from None
    if rows == "symbols" and X.ndim == 1:
        X = X.reshape(-1, 1)
    if X.ndim != 2:
        raise ValueError(
            f"Expected 2D array (rows, columns), got {X.ndim}D array instead. Reshape your data: X.reshape(-1, 1) "
            "if it has one column, X.reshape(1, -1) if it is one row"
        )
    if len(X) == 0:
        raise ValueError(f"the data are empty: 0 row(s), Found array with 0 sample(s) (shape={X.shape})")
    if X.shape[1] == 0:
        raise ValueError(f"the data have no columns: 0 feature(s) (shape={X.shape}) while a minimum of 1 is required.")
    if rows == "symbols":
        return _as_symbols(X)
    if X.dtype not in (np.float32, np.float64):
        X = X.astype(np.float64)
    return np.ascontiguousarray(X)


def _as_symbols(X: Array) -> Array:
    if X.shape[1] != 1:
        raise ValueError(f"symbols come in one column; the data have {X.shape[1]}")
    if X.dtype == np.int32:
        return np.ascontiguousarray(X)
    bad = ~np.isfinite(X) | (np.floor(X) != X) if X.dtype.kind == "f" else np.zeros(X.shape, bool)
    bad |= (X < 0) | (X >= 2**31 - 1)
    if bad.any():
        row = int(np.argmax(bad[:, 0]))
        raise ValueError(f"row {row} is {X[row, 0]}: symbols are whole numbers 0, 1, 2, ...")
    return np.ascontiguousarray(X, dtype=np.int32)


def _check_lengths(lengths: Any, n: int) -> Array:
    array = np.asarray(lengths)
    if array.ndim != 1 or array.dtype.kind not in "iu" or (array < 0).any():
        raise ValueError("lengths are whole numbers, one for each sequence")
    if int(array.sum()) != n:
        raise ValueError(f"the lengths add up to {int(array.sum())}, but the data have {n} rows")
    return np.cumsum(array, dtype=np.int64)


def check_weights(weights: Any, n: int, unit: str) -> Array:
    """Weights as float64 (n,). Raises ValueError where one is negative, NaN or infinite, or all are zero."""
    w = np.asarray(weights, dtype=np.float64)
    if w.ndim == 0:
        w = np.full(n, float(w))
    if w.ndim != 1:
        raise ValueError(f"Sample weights must be 1D array or scalar, got {w.ndim}D array")
    if w.shape != (n,):
        raise ValueError(f"sample_weight.shape == {w.shape}, expected {(n,)}: one weight for each {unit}")
    if not np.isfinite(w).all() or (w < 0).any():
        i = int(np.argmax(~np.isfinite(w) | (w < 0)))
        raise ValueError(f"the weight of {unit} {i} is {w[i]}: weights are finite and not negative")
    if not w.any():
        raise ValueError(f"all weights are zero: at least one {unit} must count")
    return np.ascontiguousarray(w)
