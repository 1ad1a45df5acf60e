"""Values for the cells that were missing, put back into data of the form in which they came."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from estep.data.columns import frame_of, is_frame
from estep.data.frames import named, texts_of
from estep.data.source import Source
from estep.statistics import Array
from estep.util.numbers import is_missing


def restored(data: Any, lengths: Any, source: Source, values: Array) -> Any:
    """``data`` with ``values`` (n, D) of the columns of ``source`` in the cells that were missing; those that were
    there stay to the bit. Files, blocks and collections: the values as they are."""
    if isinstance(data, tuple) and len(data) == 2 and np.ndim(data[1]) == 1 and not np.isscalar(data[0]):
        return restored(data[0], data[1], source, values), data[1]
    if isinstance(data, list) and data and all(hasattr(x, "shape") or np.ndim(x) == 2 for x in data):
        cuts = np.cumsum([len(part) for part in data])[:-1]
        return [_one(part, source, own) for part, own in zip(data, np.split(values, cuts), strict=True)]
    if not is_frame(data) and not hasattr(data, "__array__") and not isinstance(data, list | tuple):
        return values
    return _one(data, source, values)


def _one(data: Any, source: Source, values: Array) -> Any:
    if is_frame(data):
        return _frame(data, source, values)
    shape = np.shape(data)
    array = np.asarray(data) if not isinstance(data, np.ma.MaskedArray) else data
    if source.symbols and texts_of(data) is not None:
        return named(values[:, 0], source.symbols).reshape(shape)
    own = values.reshape(shape) if len(shape) != 1 else values[:, 0]
    return own.astype(array.dtype) if array.dtype == np.float32 else own


def _frame(data: Any, source: Source, values: Array) -> Any:
    """A data frame of the same kind, with its other columns."""
    import narwhals as nw

    frame, P = frame_of(data), source.n_given
    names = source.columns[P:]
    names = names if any(names) else tuple(frame.columns)
    flat = bool(source.symbols) and isinstance(source.symbols[0], str)
    texts = {names[0]: source.symbols} if flat else dict(source.symbols)
    filled = []
    for name, column in zip(names, values.T, strict=True):
        if name not in frame.columns:
            continue
        series = frame[name]
        cells = series.to_list()
        empty = [is_missing(cell) for cell in cells]
        if any(empty):
            own: Sequence[Any] = column.tolist() if name not in texts else [texts[name][int(x)] for x in column]
            whole = [new if e else old for old, new, e in zip(cells, own, empty, strict=True)]
            whole = [float(x) for x in whole] if name not in texts else whole
            backend = nw.get_native_namespace(frame)
            filled.append(nw.new_series(name, whole, backend=backend))
    if not filled:
        return data
    if hasattr(data, "iloc"):  # of pandas: index and labels stay
        out = data.copy()
        for series in filled:
            out[data.columns[frame.columns.index(series.name)]] = series.to_numpy()
        return out
    return frame.with_columns(*filled).to_native()
