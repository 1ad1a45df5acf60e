"""Data of every form as rows: arrays, sequences, data frames; what is wrong with them is named.

``as_source`` takes an array ``(n, D)``, ``(X, lengths)``, a list of arrays (one a sequence), a 3-D array ``(S, T, D)``
or data frames (pandas, polars, pyarrow), and raises ValueError naming the row, column or sequence that is wrong. NaN,
None, NA, NaT and what is masked are missing cells.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np

from estep.columns import Roles, column, drop, frame_numbers, frame_of, is_frame, match, names_of
from estep.evidence import as_evidence
from estep.numbers import as_numbers
from estep.source import Source
from estep.statistics import Array

LEAST_WEIGHT, MOST_WEIGHT = 1e-290, 1e290
"""Of the largest weight: sums stay in range, and keep their digits."""


def as_source(
    data: Any,
    lengths: Any = None,
    weights: Any = None,
    rows: Literal["real", "symbols", "table"] = "real",
    columns: tuple[str, ...] = (),
    labels: Any = None,
    symbols: tuple[Any, ...] = (),
    only: tuple[str, ...] = (),
    *,
    given: Any = None,
    wanted: tuple[str, ...] = (),
    wanted_given: tuple[str, ...] = (),
    roles: Roles = (),
    chain: bool | None = None,
    new: bool = True,
) -> Source:
    """Data of any accepted form as a validated :class:`Source`.

    ``lengths``: rows of each sequence. ``weights``: (n,) for independent rows, (S,) for sequences. ``rows``: "symbols"
    reads whole numbers 0, 1, ... in one column. ``columns``: their names, where ``data`` has none. ``labels``: what is
    known of the states, (n,) with -1 for unknown, or a mask (n, K) of those allowed. ``given``: covariates (n, P), or
    one array a sequence. Weights, labels and covariates may be names of columns of a data frame, which are no features
    then. A "table" may be a data frame with columns of texts, which become symbols in the order of their names, or of
    the ``symbols`` given; of a frame it may read some columns ``only``.

    What a model knows: the names of its columns (``wanted``) and covariates (``wanted_given``), by which those of the
    data go where both have names, and columns in ``roles``, which may be there or not. ``chain``: True makes rows
    without lengths one sequence, False makes rows of sequences independent. ``new``: no model knows the symbols yet.

    Raises ValueError or TypeError naming what is wrong and where.
    """
    if isinstance(data, Source):
        if any(x is not None for x in (lengths, weights, labels, given)):
            raise ValueError("a Source has its lengths, weights, labels and covariates already")
        return _chained(_again(data, rows, wanted, wanted_given), chain)
    data, lengths = unpacked(data, lengths)
    named, weights_by_row = dict(roles), isinstance(weights, str)
    for role, value, what in (("weight", weights, "sample_weight"), ("labels", labels, "labels")):
        if isinstance(value, str):
            if value in wanted or value in wanted_given:
                raise ValueError(f"{what} is {value!r}, which the model reads as a column of its own")
            named[role] = value
            values = column(data, value, what)
            weights, labels = (values, labels) if role == "weight" else (weights, values)
    by_name = _given_names(data, given, wanted_given)
    if len(set(by_name)) < len(by_name) or set(by_name) & set(wanted):
        raise ValueError(f"given is {list(by_name)}: name columns that are no features, each once")
    if by_name:
        given = np.column_stack([column(data, name, "given") for name in by_name])
    aside = {name for name in (*named.values(), *by_name) if name not in wanted}
    if is_frame(data) and aside:
        data = drop(data, tuple(aside))
    X, names, symbols = _features(data, rows, symbols, only, new)
    names = names or columns
    place = match(names, wanted, X.shape[1]) if X.ndim == 2 else None
    X = _as_rows(X if place is None else X[:, place], rows)
    names = names if place is None else wanted
    ends = None if lengths is None else _check_lengths(lengths, len(X))
    if ends is None and chain:
        ends = np.array([len(X)], dtype=np.int64)
    known = None if labels is None else as_evidence(_labels_of(labels, ends), len(X))
    single = X.dtype == np.float32
    source = Source(X, ends, None, names, evidence=known, symbols=symbols, roles=tuple(named.items()), single=single)
    if given is not None:
        source = beside(source, given, by_name, wanted_given)
    if weights is not None:
        unit = "row" if source.ends is None else "sequence"
        by_row = weights_by_row and source.ends is not None
        checked = weights_of_rows(weights, source) if by_row else check_weights(weights, source.n_sequences, unit)
        source = replace(source, weights=checked)
    source = _chained(source, chain)
    source.summary  # noqa: B018  (the validating pass: errors come before anything is changed)
    return source


def _again(source: Source, rows: str, wanted: tuple[str, ...], wanted_given: tuple[str, ...]) -> Source:
    """A Source as a model with these columns and covariates reads it."""
    P, D = source.n_given, source.X.shape[1] - source.n_given
    given, own = source.columns[:P], source.columns[P:]
    places = match(given, wanted_given, P, "covariate") if P else None, match(own, wanted, D)
    if any(place is not None for place in places):
        if source.form or source.order is not None:
            raise ValueError(f"the data were prepared for other columns, {', '.join(source.columns)}")
        first, then = (range(n) if place is None else place for n, place in zip((P, D), places, strict=True))
        X = np.ascontiguousarray(source.X[:, [*first, *(P + d for d in then)]])
        names = (*(wanted_given if places[0] is not None else given), *(wanted if places[1] is not None else own))
        source = replace(source, X=X, columns=names)
    if source.form or (rows == "symbols" and source.X.dtype == np.int32):
        return source
    X = _as_rows(source.X, rows)
    return source if X is source.X else replace(source, X=X)


def _chained(source: Source, chain: bool | None) -> Source:
    return source if chain is None else source.chained() if chain else source.independent()


def _given_names(data: Any, given: Any, wanted: tuple[str, ...]) -> tuple[str, ...]:
    """The columns that are covariates, named now or by the model, where the data have them; else none."""
    if isinstance(given, str):
        return (given,)
    if isinstance(given, list | tuple) and given and all(isinstance(g, str) for g in given):
        return tuple(given)
    if given is None and wanted and all(wanted) and is_frame(data):
        there = set(map(str, frame_of(data).columns))
        return tuple(wanted) if set(wanted) <= there else ()
    return ()


def weights_of_rows(weights: Array, source: Source) -> Array:
    """Weights of rows or sequences from those of the rows (n,), which are the same in all of a sequence."""
    if source.ends is None:
        return check_weights(weights, len(source), "row")
    lengths = np.diff(source.ends, prepend=0)
    if (lengths == 0).any():
        raise ValueError("a sequence without rows has no weight in a column: give weights (S,)")
    firsts = weights[source.ends - lengths]
    if (odd := weights != np.repeat(firsts, lengths)).any():
        row = int(np.argmax(odd))
        raise ValueError(f"row {row} has another weight than the first of its sequence: a sequence has one weight")
    return check_weights(firsts, len(lengths), "sequence")


def beside(source: Source, given: Any, names: tuple[str, ...] = (), wanted: tuple[str, ...] = ()) -> Source:
    """Rows with their covariates (n, P), which come first. Raises ValueError naming what is wrong with these."""
    parts = _parts_of(given, source.ends, "given")
    if parts is not None and any(map(is_frame, parts)):
        given, _ = joined(parts, None)
        parts = None
    if is_frame(given):
        frame = frame_of(given)
        given, names = frame_numbers(frame), names_of(frame)
    arrays = [as_numbers(p, "covariates") for p in ([given] if parts is None else parts)]
    if any(a.ndim not in (1, 2) for a in arrays):
        shape = next(a.shape for a in arrays if a.ndim not in (1, 2))
        raise ValueError(f"given has shape {shape}, expected (n, P), or one array a sequence")
    arrays = [a.reshape(-1, 1) if a.ndim == 1 else a for a in arrays]
    if len({a.shape[1] for a in arrays}) > 1:
        raise ValueError(f"given has {arrays[0].shape[1]} columns in one sequence and others in another")
    G = np.concatenate(arrays)
    G = G.astype(np.float64, copy=False)
    if len(G) != len(source):
        raise ValueError(f"given has {len(G)} rows; the data have {len(source)}")
    if not np.isfinite(G).all():
        row, p = (int(i) for i in np.argwhere(~np.isfinite(G))[0])
        raise ValueError(f"given[{row}, {p}] is {G[row, p]}: covariates are finite numbers")
    place = match(names, wanted, G.shape[1], "covariate")
    G, names = (G, names) if place is None else (G[:, place], wanted)
    both = (names or ("",) * G.shape[1], source.columns or ("",) * source.X.shape[1])
    columns = (*both[0], *both[1]) if names or source.columns else ()
    return replace(source, X=np.hstack([G, source.X]), columns=columns, n_given=G.shape[1])


def _parts_of(values: Any, ends: Array | None, what: str) -> list[Any] | None:
    """The arrays of sequences, one each, of values that come so, whose lengths are checked; None: one of all rows."""
    if isinstance(values, np.ndarray) and values.ndim == 3 and ends is not None:
        values = list(values)
    if not isinstance(values, list | tuple) or not len(values):
        return None
    arrays = all(hasattr(v, "shape") and np.ndim(v) > 0 for v in values)
    lists = ends is not None and len(values) == len(ends) and all(isinstance(v, list | tuple) for v in values)
    if ends is None or not (arrays or lists):
        return None
    lengths = np.diff(ends, prepend=0).tolist()
    if lists and [len(v) for v in values] != lengths and len(values) == ends[-1]:
        return None  # rows, as many as there are sequences
    if len(values) != len(lengths):
        if len(values) == ends[-1]:
            return None
        raise ValueError(f"{what} is a list of {len(values)} arrays; the data have {len(lengths)} sequences")
    for s, (part, length) in enumerate(zip(values, lengths, strict=True)):
        if len(part) != length:
            raise ValueError(f"{what} of sequence {s} has {len(part)} rows; the sequence has {length}")
    return list(values)


def _labels_of(labels: Any, ends: Array | None) -> Any:
    """Labels of all rows, as one array where they came by sequence."""
    parts = _parts_of(labels, ends, "labels")
    return labels if parts is None else np.concatenate([as_numbers(part, "labels") for part in parts])


def lagged(X: Any, lengths: Any = None, order: int = 1) -> tuple[Array, Array, Array]:
    """Observations, their ``order`` predecessors as covariates, and the lengths that are left: an autoregression.

    ``(X (n', D), given (n', D order), lengths)``, the latest predecessor first. Raises ValueError where a sequence is
    not longer than ``order``.
    """
    if not isinstance(order, int | np.integer) or isinstance(order, bool) or order < 1:
        raise ValueError(f"order is {order!r}: it is a whole number from 1")
    source = as_source(X, lengths)
    ends = np.array([len(source)]) if source.ends is None else source.ends
    if (short := np.diff(ends, prepend=0) <= order).any():
        raise ValueError(f"sequence {int(np.argmax(short))} has no more than {order} steps")
    starts = np.concatenate([[0], ends[:-1]])
    rows = np.concatenate([np.arange(a + order, b) for a, b in zip(starts, ends, strict=True)])
    given = np.hstack([source.X[rows - lag] for lag in range(1, order + 1)])
    return source.X[rows], given, ends - starts - order


def joined(data: Any, lengths: Any) -> tuple[Any, Any]:
    """One frame and its lengths, of ``(frame, lengths)`` or of a list of frames, one a sequence; else as they came.

    Columns go by name. Raises ValueError naming a frame that has others than the first.
    """
    pair = isinstance(data, tuple) and len(data) == 2 and is_frame(data[0])
    several = isinstance(data, list) and bool(data) and all(is_frame(part) for part in data)
    if lengths is not None and (pair or several):
        raise ValueError("the data have their lengths already: leave lengths out")
    if pair:
        return data[0], data[1]
    if not several:
        if isinstance(data, list) and any(is_frame(part) for part in data):
            i = next(i for i, part in enumerate(data) if is_frame(part) != is_frame(data[0]))
            raise ValueError(
                f"sequence {i} is {_kind(data[i])}, the first {_kind(data[0])}: give frames or arrays alone"
            )
        return data, lengths
    import narwhals as nw

    frames = [frame_of(part) for part in data]
    for i, frame in enumerate(frames):
        if set(frame.columns) != set(frames[0].columns):
            has, first = (", ".join(map(str, f.columns)) for f in (frame, frames[0]))
            raise ValueError(f"sequence {i} has columns {has}; the first has {first}")
    alike = [frame.select(frames[0].columns) for frame in frames]
    for name in frames[0].columns:  # whole numbers in one, others in another
        kinds = {frame.schema[name] for frame in alike}
        if len(kinds) > 1 and all(kind.is_numeric() for kind in kinds):
            alike = [frame.with_columns(nw.col(name).cast(nw.Float64)) for frame in alike]
    try:
        whole = nw.concat(alike)
    except Exception:  # of other libraries, or of other types: by their values
        parts = {name: [value for frame in alike for value in frame[name].to_list()] for name in frames[0].columns}
        whole = nw.from_dict(parts, backend=nw.get_native_namespace(frames[0]))
    return whole.to_native(), np.array([len(frame) for frame in frames])


def _kind(part: Any) -> str:
    return "a data frame" if is_frame(part) else "an array"


def unpacked(data: Any, lengths: Any) -> tuple[Any, Any]:
    """(rows, lengths) of any accepted form; rows are a frame or an array."""
    if hasattr(data, "__array__") and not (is_frame(data) or isinstance(data, np.ndarray) or _is_series(data)):
        data = np.asarray(data)
    data, lengths = joined(data, lengths)
    if isinstance(data, tuple) and len(data) == 2 and np.ndim(data[1]) == 1 and not np.isscalar(data[0]):
        if lengths is not None:
            raise ValueError("lengths are given twice: in (X, lengths) and in lengths=")
        data, lengths = data
    if isinstance(data, list) and data and all(hasattr(x, "shape") or np.ndim(x) == 2 for x in data):
        if lengths is not None:
            raise ValueError("a list of arrays has its lengths already: leave lengths out")
        return _join(data)
    if not is_frame(data) and np.ndim(data) == 3:
        if lengths is not None:
            raise ValueError("a 3-D array (sequences, steps, columns) has its lengths already: leave lengths out")
        array = as_numbers(data)
        return array.reshape(-1, array.shape[2]), np.full(array.shape[0], array.shape[1])
    return data, lengths


def _join(parts: Sequence[Any]) -> tuple[Array, Array]:
    arrays = []
    for i, part in enumerate(parts):
        a = frame_numbers(frame_of(part)) if is_frame(part) else as_numbers(part, f"the data of sequence {i}")
        arrays.append(a.reshape(-1, 1) if a.ndim == 1 else a)
        if arrays[i].ndim != 2 or arrays[i].shape[1] != arrays[0].shape[1]:
            first = arrays[0].shape[1] if arrays[0].ndim == 2 else 0
            raise ValueError(f"sequence {i} has shape {arrays[i].shape}; the first has {first} columns")
    return np.concatenate(arrays), np.array([len(a) for a in arrays])


def _features(
    data: Any, rows: str, symbols: Any, only: tuple[str, ...], new: bool
) -> tuple[Array, tuple[str, ...], Any]:
    """(rows, names, symbols) of a frame or an array."""
    if not is_frame(data):
        if _is_series(data) and rows != "symbols":
            raise ValueError(
                f"Expected 2D array (rows, columns), got 1D array instead: a {type(data).__name__}. Reshape your data: "
                "X.to_frame() makes it a data frame of one column"
            )
        return as_numbers(data), (), ()
    if rows == "table":
        from estep.frames import encode

        return encode(data, symbols, only, new)
    frame = frame_of(data)
    return frame_numbers(frame), names_of(frame), ()


def _is_series(data: Any) -> bool:
    return type(data).__name__ in ("Series", "ChunkedArray")


def _as_rows(X: Array, rows: str) -> Array:
    """A C-contiguous, aligned (n, D) array: float32 and float64 as they are, other numbers as float64; symbols as
    int32."""
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
    return np.require(X, requirements=["C", "A"])


def _as_symbols(X: Array) -> Array:
    if X.shape[1] != 1:
        raise ValueError(f"symbols come in one column; the data have {X.shape[1]}")
    missing = np.isnan(X) if X.dtype.kind == "f" else np.zeros(X.shape, bool)
    bad = np.floor(X) != X if X.dtype.kind == "f" else np.zeros(X.shape, bool)
    bad = (bad | (X < 0) | (X >= 2**31 - 1)) & ~missing
    if bad.any():
        row = int(np.argmax(bad[:, 0]))
        raise ValueError(f"row {row} is {X[row, 0]}: symbols are whole numbers 0, 1, 2, ...")
    return np.require(np.where(missing, -1, X) if missing.any() else X, dtype=np.int32, requirements=["C", "A"])


def _check_lengths(lengths: Any, n: int) -> Array:
    array = np.asarray(lengths)
    if array.ndim != 1 or array.dtype.kind not in "iu" or (array < 0).any() or np.ma.is_masked(lengths):
        raise ValueError(f"lengths is {_short(lengths)}: they are whole numbers, the rows of each sequence")
    total = float(array.sum(dtype=np.float64))  # does not wrap
    if (array > n).any() or total != n:
        labels = ": one for each row? known states are passed as labels=" if len(array) == n > 1 else ""
        raise ValueError(f"the lengths add up to {total:.0f}, but the data have {n} rows{labels}")
    return np.cumsum(array, dtype=np.int64)


def _short(value: Any) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) <= 60 else f"{text[:57]}..."


def check_weights(weights: Any, n: int, unit: str) -> Array:
    """Weights as float64 (n,). Raises ValueError where one is negative, NaN or infinite, or all are zero."""
    w = as_numbers(weights, "weights").astype(np.float64)
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
    if not LEAST_WEIGHT <= w.max() <= MOST_WEIGHT:
        i = int(np.argmax(w))
        raise ValueError(
            f"the largest weight, of {unit} {i}, is {w[i]:g}: rescale them to one from {LEAST_WEIGHT:g} to "
            f"{MOST_WEIGHT:g}"
        )
    return np.require(w, requirements=["C", "A"])
