"""Data of every form as rows: arrays, sequences, data frames; what is wrong with them is named.

``as_source`` takes an array ``(n, D)``, ``(X, lengths)``, a list of arrays (one a sequence), a 3-D array ``(S, T, D)``
or a data frame (pandas, polars, pyarrow), and raises ValueError naming the row, column or sequence that is wrong. NaN
is a missing cell.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np

from estep.evidence import as_evidence
from estep.source import Source
from estep.statistics import Array


def as_source(
    data: Any,
    lengths: Any = None,
    weights: Any = None,
    rows: Literal["real", "symbols", "table"] = "real",
    columns: tuple[str, ...] = (),
    labels: Any = None,
    symbols: tuple[Any, ...] = (),
    only: tuple[str, ...] = (),
) -> Source:
    """Data of any accepted form as a validated :class:`Source`.

    ``lengths``: rows of each sequence. ``weights``: (n,) for independent rows, (S,) for sequences. ``rows``: "symbols"
    reads whole numbers 0, 1, ... in one column. ``columns``: their names, where ``data`` has none. ``labels``: what is
    known of the states, (n,) with -1 for unknown, or a mask (n, K) of those allowed. A "table" may be a data frame with
    columns of texts, which become symbols in the order of their names, or of the ``symbols`` given; of a frame it may
    read some columns ``only``.

    Raises ValueError or TypeError naming what is wrong and where.
    """
    if isinstance(data, Source):
        if lengths is not None or weights is not None or labels is not None:
            raise ValueError("a Source has its lengths, weights and labels already")
        if data.form or (rows == "symbols" and data.X.dtype == np.int32):
            return data
        X = _as_rows(data.X, rows, data.columns)
        return data if X is data.X else replace(data, X=X)
    data, lengths, names, symbols = _table(data, lengths, rows, symbols, only)
    columns = names or columns
    X = _as_rows(data, rows, columns)
    ends = None if lengths is None else _check_lengths(lengths, len(X))
    n_units, unit = (len(X), "row") if ends is None else (len(ends), "sequence")
    checked = None if weights is None else check_weights(weights, n_units, unit)
    known = None if labels is None else as_evidence(labels, len(X))
    source = Source(X, ends, checked, columns, evidence=known, symbols=symbols)
    source.summary  # noqa: B018  (the validating pass: errors come before anything is changed)
    return source


def beside(source: Source, given: Any) -> Source:
    """Rows with their covariates (n, P), which come first. Raises ValueError naming what is wrong with these."""
    parts = given if isinstance(given, list) and given and all(np.ndim(g) == 2 for g in given) else [given]
    G = np.concatenate([np.asarray(part, dtype=np.float64) for part in parts])
    G = G.reshape(-1, 1) if G.ndim == 1 else G.reshape(-1, G.shape[-1])
    if len(G) != len(source):
        raise ValueError(f"given has {len(G)} rows; the data have {len(source)}")
    if not np.isfinite(G).all():
        row, p = (int(i) for i in np.argwhere(~np.isfinite(G))[0])
        raise ValueError(f"given[{row}, {p}] is {G[row, p]}: covariates are finite numbers")
    names = tuple(f"given{p}" for p in range(G.shape[1])) + source.columns if source.columns else ()
    return replace(source, X=np.hstack([G, source.X]), columns=names)


def lagged(X: Any, lengths: Any = None, order: int = 1) -> tuple[Array, Array, Array]:
    """Observations, their ``order`` predecessors as covariates, and the lengths that are left: an autoregression.

    ``(X (n', D), given (n', D order), lengths)``, the latest predecessor first. Raises ValueError where a sequence is
    not longer than ``order``.
    """
    source = as_source(X, lengths)
    ends = np.array([len(source)]) if source.ends is None else source.ends
    if (short := np.diff(ends, prepend=0) <= order).any():
        raise ValueError(f"sequence {int(np.argmax(short))} has no more than {order} steps")
    starts = np.concatenate([[0], ends[:-1]])
    rows = np.concatenate([np.arange(a + order, b) for a, b in zip(starts, ends, strict=True)])
    given = np.hstack([source.X[rows - lag] for lag in range(1, order + 1)])
    return source.X[rows], given, ends - starts - order


def _table(
    data: Any, lengths: Any, rows: str, symbols: tuple[Any, ...], only: tuple[str, ...]
) -> tuple[Any, Any, tuple[str, ...], tuple[Any, ...]]:
    """(rows, lengths, column names, symbols) of any accepted form."""
    if rows == "table":
        from estep.frames import encode, is_frame, joined

        data, lengths = joined(data, lengths)
        if is_frame(data):
            X, names, symbols = encode(data, symbols, only)
            return X, lengths, names, symbols
    return *_unpack(data, lengths), ()


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
    missing = np.isnan(X) if X.dtype.kind == "f" else np.zeros(X.shape, bool)
    bad = np.floor(X) != X if X.dtype.kind == "f" else np.zeros(X.shape, bool)
    bad = (bad | (X < 0) | (X >= 2**31 - 1)) & ~missing
    if bad.any():
        row = int(np.argmax(bad[:, 0]))
        raise ValueError(f"row {row} is {X[row, 0]}: symbols are whole numbers 0, 1, 2, ...")
    return np.ascontiguousarray(np.where(missing, -1, X) if missing.any() else X, dtype=np.int32)


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
