"""Data frames with columns of different kinds: texts become symbols."""

from __future__ import annotations

from typing import Any

import numpy as np

from estep.data.columns import frame_of, series_numbers
from estep.statistics import Array
from estep.util.numbers import is_missing

Symbols = tuple[tuple[str, tuple[str, ...]], ...]
"""The names of the symbols of each column of texts."""


SHOWN = 5
"""Symbols that an error names."""


class Lenient(tuple[str, ...]):
    """Names of symbols of a model for which texts that are none of them are missing cells."""


def encode(
    data: Any, known: Symbols = (), only: tuple[str, ...] = (), new: bool = True
) -> tuple[Array, tuple[str, ...], Symbols]:
    """Numbers (n, D), column names and symbols of a data frame; texts are numbered in the order of their names.

    Empty cells are NaN. ``known``: the symbols of a fitted model. ``only``: the columns to read, if all are there.
    ``new``: there is no model that knows them yet. Raises ValueError naming a text that is not known.
    """
    frame, names = frame_of(data), dict(known)
    if only and not new and (missing := [column for column in only if column not in frame.columns]):
        has = ", ".join(frame.columns)
        raise ValueError(f"the data have no column {missing[0]!r}, which the model has; they have {has}")
    if only and set(only) <= set(frame.columns):
        frame = frame.select([column for column in frame.columns if column in only])
    columns, symbols = [], {}
    for series in frame.iter_columns():
        column = str(series.name)
        values = None if column in names else _numeric(series)
        if values is None and not new and column not in names:
            raise ValueError(f"column {column!r} is text; the model has no names of symbols for it, only numbers")
        if values is None:
            empty = np.asarray(series.is_null().to_numpy(), dtype=bool)
            texts = [None if e else str(v) for v, e in zip(series.to_list(), empty, strict=True)]
            values, symbols[column] = codes(texts, column, names.get(column, ()))
        columns.append(values)
    return np.column_stack(columns), tuple(map(str, frame.columns)), tuple(symbols.items())


def _numeric(series: Any) -> Array | None:
    """A column of numbers as numbers; None where it holds anything else."""
    import narwhals as nw

    if not (series.dtype.is_numeric() or series.dtype in (nw.Boolean, nw.Object, nw.Unknown)):
        return None
    try:
        return series_numbers(series).astype(np.float64, copy=False)
    except ValueError:
        return None


def is_text(frame: Any, column: str) -> bool:
    """Whether a column holds texts, or categories of them."""
    return _numeric(frame[column]) is None


def codes(texts: list[str | None], column: str, known: tuple[str, ...] = ()) -> tuple[Array, tuple[str, ...]]:
    """Numbers of texts, in the order of their names or of those ``known``, NaN for None; and these names."""
    names = known or tuple(sorted({t for t in texts if t is not None}))
    if not names:
        raise ValueError(f"column {column!r} has no values: leave it out")
    number: dict[str | None, float] = {None: np.nan, **{t: float(i) for i, t in enumerate(names)}}
    if isinstance(known, Lenient):
        return np.array([number.get(t, np.nan) for t in texts]), tuple(names)
    unknown = next((i for i, t in enumerate(texts) if t not in number), None)
    if unknown is not None:
        some = ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
        raise ValueError(
            f"column {column!r}, row {unknown}: the model has no symbol {str(texts[unknown])[:40]!r}; it knows {some} "
            '(Categorical(unknown="missing") takes others as missing cells)'
        )
    return np.array([number[t] for t in texts]), names


def named(values: Array, names: Any) -> Array:
    """The reverse of :func:`codes`: texts (n,), None for NaN and -1; the values where there are no names."""
    if not len(names):
        return values
    there = ~np.isnan(np.asarray(values, float)) & (np.asarray(values) >= 0)
    new = np.full(len(values), None, dtype=object)
    new[there] = np.array([str(s) for s in names], dtype=object)[np.asarray(values)[there].astype(int)]
    return new


def texts_of(data: Any) -> list[str | None] | None:
    """One column of texts, None where empty; None where the data are something else."""
    if isinstance(data, np.ma.MaskedArray) and data.dtype.kind in "OUT":
        array = data.data.astype(object)
        array[np.ma.getmaskarray(data)] = None
    elif isinstance(data, np.ndarray):
        array = data
    else:
        array = np.asarray(data)
        array = np.asarray(data, dtype=object) if array.dtype.kind in "UT" else array  # in which NaN are no texts
    if array.dtype.kind not in "OUT":
        return None
    cells = array.ravel().tolist()
    if not any(isinstance(c, str) for c in cells):
        return None
    if array.ndim > 2 or (array.ndim == 2 and array.shape[1] != 1):
        raise ValueError(f"symbols come in one column; the data have shape {array.shape}")
    return [None if is_missing(c) else str(c) for c in cells]
