"""Data frames with columns of different kinds: texts become symbols."""

from __future__ import annotations

from typing import Any

import numpy as np

from estep.data.columns import frame_of, series_numbers
from estep.statistics import Array

Symbols = tuple[tuple[str, tuple[str, ...]], ...]
"""The names of the symbols of each column of texts."""


def encode(
    data: Any, known: Symbols = (), only: tuple[str, ...] = (), new: bool = True
) -> tuple[Array, tuple[str, ...], Symbols]:
    """Numbers (n, D), column names and symbols of a data frame; texts are numbered in the order of their names.

    Empty cells are NaN. ``known``: the symbols of a fitted model. ``only``: the columns to read, if all are there.
    ``new``: there is no model that knows them yet. Raises ValueError naming a text that is not known.
    """
    frame, names = frame_of(data), dict(known)
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


def codes(texts: list[str | None], column: str, known: tuple[str, ...] = ()) -> tuple[Array, tuple[str, ...]]:
    """Numbers of texts, in the order of their names or of those ``known``, NaN for None; and these names."""
    names = known or tuple(sorted({t for t in texts if t is not None}))
    if not names:
        raise ValueError(f"column {column!r} has no values: leave it out")
    number: dict[str | None, float] = {None: np.nan, **{t: float(i) for i, t in enumerate(names)}}
    unknown = next((t for t in texts if t not in number), None)
    if unknown is not None:
        raise ValueError(f"column {column!r} has {unknown!r}; the model knows {', '.join(names)}")
    return np.array([number[t] for t in texts]), names
