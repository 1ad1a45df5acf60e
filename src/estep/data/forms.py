"""The forms in which data come: one array or frame and the lengths of its sequences, from any of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from estep.data.columns import frame_numbers, frame_of, is_frame, names_of
from estep.data.frames import SHOWN, codes, encode, is_text, texts_of
from estep.statistics import Array
from estep.tables.cells import is_number
from estep.util.numbers import as_numbers


def unpacked(data: Any, lengths: Any) -> tuple[Any, Any]:
    """(rows, lengths) of any accepted form; rows are a frame or an array."""
    data = _as_table(data)
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
        array = np.asarray(data)
        array = as_numbers(data) if array.dtype.kind not in "UTO" else array
        return array.reshape(-1, array.shape[2]), np.full(array.shape[0], array.shape[1])
    return data, lengths


def _as_table(data: Any) -> Any:
    """A frame of what stands for one: a dictionary of columns, or a lazy frame."""
    if isinstance(data, dict) and not hasattr(data, "toarray"):  # as a sparse matrix is one
        import pyarrow as pa

        if not all(isinstance(name, str) and np.ndim(values) == 1 for name, values in data.items()) or not data:
            raise TypeError("the data are a dict: give columns by name, {'x': values (n,), ...}")
        return pa.table({name: _arrow(values) for name, values in data.items()})
    if type(data).__name__ == "LazyFrame" and hasattr(data, "collect"):
        return data.collect()
    return data


def _arrow(values: Any) -> Any:
    """A column, of which NaN, None and what is masked are missing."""
    import pyarrow as pa

    if isinstance(values, np.ma.MaskedArray):
        return pa.array(values.data, mask=np.ma.getmaskarray(values), from_pandas=True)
    return pa.array(values if isinstance(values, np.ndarray) else list(values), from_pandas=True)


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


def _join(parts: Sequence[Any]) -> tuple[Array, Array]:
    arrays: list[Array] = []
    for i, part in enumerate(parts):
        texts = None if is_frame(part) else texts_of(part)
        if arrays and (texts is None) != (arrays[0].dtype.kind != "O"):
            which = "texts, the first is not" if texts is not None else "not texts, the first is"
            raise ValueError(f"sequence {i} is {which}")
        a = np.array(texts, dtype=object) if texts is not None else None
        if a is None:
            a = frame_numbers(frame_of(part)) if is_frame(part) else as_numbers(part, f"the data of sequence {i}")
        arrays.append(a.reshape(-1, 1) if a.ndim == 1 else a)
        if arrays[i].ndim != 2 or arrays[i].shape[1] != arrays[0].shape[1]:
            first = arrays[0].shape[1] if arrays[0].ndim == 2 else 0
            raise ValueError(f"sequence {i} has shape {arrays[i].shape}; the first has {first} columns")
    return np.concatenate(arrays), np.array([len(a) for a in arrays])


def _is_series(data: Any) -> bool:
    return type(data).__name__ in ("Series", "ChunkedArray")


def features(
    data: Any, rows: str, symbols: Any, only: tuple[str, ...], new: bool
) -> tuple[Array, tuple[str, ...], Any]:
    """(rows, names, symbols) of a frame or an array."""
    if not is_frame(data):
        if _is_series(data) and rows != "symbols":
            raise ValueError(
                f"Expected 2D array (rows, columns), got 1D array instead: a {type(data).__name__}. Reshape your data: "
                "X.to_frame() makes it a data frame of one column"
            )
        texts = texts_of(data) if rows == "symbols" else None
        if texts is not None:
            if not new and not symbols:
                raise ValueError("the data are texts; the model has no names of symbols for them, only numbers")
            values, names = codes(texts, "of the data", symbols)
            return values[:, None], (), names
        numbers = as_numbers(data)
        if rows == "symbols" and symbols and any(map(is_number, symbols)):
            known = ", ".join(map(repr, symbols[:SHOWN]))
            raise ValueError(f"some of the model's symbols are texts that look like numbers ({known}): give texts")
        return numbers, (), ()
    frame = frame_of(data)
    if rows == "symbols" and len(frame.columns) == 1 and is_text(frame, frame.columns[0]):
        of_one = ((frame.columns[0], symbols),) if symbols else ()
        values, names, found = encode(data, of_one, (), new)
        return values, names_of(frame), found[0][1]
    if rows == "table":
        return encode(data, symbols, only, new)
    return frame_numbers(frame), names_of(frame), ()


def as_rows(X: Array, rows: str) -> Array:
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
        return as_symbols(X)
    if X.dtype not in (np.float32, np.float64):
        X = X.astype(np.float64)
    return np.require(X, requirements=["C", "A"])


def as_symbols(X: Array, where: str = "") -> Array:
    """One column of symbols as whole numbers, -1 where missing. Raises ValueError naming a row that is none."""
    if X.shape[1] != 1:
        raise ValueError(f"symbols come in one column; the data have {X.shape[1]}")
    missing = np.isnan(X) if X.dtype.kind == "f" else np.zeros(X.shape, bool)
    bad = np.floor(X) != X if X.dtype.kind == "f" else np.zeros(X.shape, bool)
    bad = (bad | (X < 0) | (X >= 2**31 - 1)) & ~missing
    if bad.any():
        row = int(np.argmax(bad[:, 0]))
        raise ValueError(f"row {row}{where} is {X[row, 0]}: symbols are whole numbers 0, 1, 2, ...")
    return np.require(np.where(missing, -1, X) if missing.any() else X, dtype=np.int32, requirements=["C", "A"])
