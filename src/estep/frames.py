"""Data frames with columns of different kinds: texts become symbols, and families are proposed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from estep.emissions import Bernoulli, Categorical, Gaussian, Poisson, Product
from estep.interface import Emission
from estep.statistics import Array

LARGE = 20
"""Counts with a larger mean and half of its variance are none: years, sizes."""

Symbols = tuple[tuple[str, tuple[str, ...]], ...]
"""The names of the symbols of each column of texts."""


def is_frame(data: Any) -> bool:
    """Whether the data are a data frame (pandas, polars, pyarrow)."""
    plain = isinstance(data, np.ndarray | list | tuple)
    return not plain and (hasattr(data, "columns") or hasattr(data, "column_names"))


def joined(data: Any, lengths: Any) -> tuple[Any, Any]:
    """One frame and its lengths, of ``(frame, lengths)`` or of a list of frames, one a sequence; else as they came."""
    pair = isinstance(data, tuple) and len(data) == 2 and is_frame(data[0])
    several = isinstance(data, list) and bool(data) and all(is_frame(part) for part in data)
    if lengths is not None and (pair or several):
        raise ValueError("the data have their lengths already: leave lengths out")
    if pair:
        return data[0], data[1]
    if not several:
        return data, lengths
    import narwhals as nw

    frames = [_frame(part) for part in data]
    for i, frame in enumerate(frames):
        if set(frame.columns) != set(frames[0].columns):
            raise ValueError(f"sequence {i} has columns {', '.join(frame.columns)}; the first has others")
    alike = [frame.select(frames[0].columns) for frame in frames]
    try:
        whole = nw.concat(alike)
    except Exception:  # of other libraries, or of other types: by their values
        parts = {name: [value for frame in alike for value in frame[name].to_list()] for name in frames[0].columns}
        whole = nw.from_dict(parts, backend=nw.get_native_namespace(frames[0]))
    return whole.to_native(), np.array([len(frame) for frame in frames])


def _frame(data: Any) -> Any:
    """A data frame of any library. Raises ValueError where two columns have one name."""
    import narwhals as nw

    try:
        return nw.from_native(data, eager_only=True)
    except nw.exceptions.DuplicateError:
        raise ValueError("the data frame has two columns of one name") from None


def encode(data: Any, known: Symbols = (), only: tuple[str, ...] = ()) -> tuple[Array, tuple[str, ...], Symbols]:
    """Numbers (n, D), column names and symbols of a data frame; texts are numbered in the order of their names.

    Empty cells are NaN. ``known``: the symbols of a fitted model. ``only``: the columns to read, if all are there.
    Raises ValueError naming a text that is not known.
    """
    import narwhals as nw

    frame, names = _frame(data), dict(known)
    if only and set(only) <= set(frame.columns):
        frame = frame.select([column for column in frame.columns if column in only])
    columns, symbols = [], {}
    for series in frame.iter_columns():
        column = str(series.name)
        empty = np.asarray(series.is_null().to_numpy(), dtype=bool)
        if series.dtype.is_numeric() or series.dtype == nw.Boolean:
            values = np.array([np.nan if e else float(v) for v, e in zip(series.to_list(), empty, strict=True)])
        else:
            texts = [None if e else str(v) for v, e in zip(series.to_list(), empty, strict=True)]
            values, symbols[column] = codes(texts, column, names.get(column, ()))
        columns.append(values)
    return np.column_stack(columns), tuple(map(str, frame.columns)), tuple(symbols.items())


def codes(texts: list[str | None], column: str, known: tuple[str, ...] = ()) -> tuple[Array, tuple[str, ...]]:
    """Numbers of texts, in the order of their names or of those ``known``, NaN for None; and these names."""
    names = known or tuple(sorted({t for t in texts if t is not None}))
    if not names:
        raise ValueError(f"column {column!r} has no values: leave it out")
    number: dict[str | None, float] = {None: np.nan, **{t: float(i) for i, t in enumerate(names)}}
    if unknown := next((t for t in texts if t not in number), None):
        raise ValueError(f"column {column!r} has {unknown!r}; the model knows {', '.join(names)}")
    return np.array([number[t] for t in texts]), names


def propose(data: Any) -> Product:
    """Families for the columns of a data frame (or a list of them, or an array): by their types and values.

    Texts and true or false with three values and more: categorical; zeros and ones: Bernoulli; counts: Poisson; all
    other numbers: Gaussian, with variances of their own, and so are large whole numbers that vary less than counts do.
    """
    data, _ = joined(data, None)
    if is_frame(data):
        return proposed(*encode(data))
    if isinstance(data, list) and data and np.ndim(data[0]) == 2:
        data = np.concatenate(data)
    return proposed(np.asarray(data, dtype=np.float64), (), ())


def proposed(X: Array, names: tuple[str, ...], symbols: Symbols) -> Product:
    """Families for columns (n, D); with ``names``, those in ``symbols`` were texts."""
    if X.ndim != 2:
        raise ValueError(f"families are proposed for the columns of a table; the data have shape {X.shape}")
    texts = dict(symbols)
    kinds: dict[str, list[Any]] = {"gaussian": [], "poisson": [], "bernoulli": []}
    parts: dict[Any, Emission] = {}
    for d in range(X.shape[1]):
        column: Any = names[d] if names else d
        if column in texts:
            parts[column] = Categorical(n_symbols=len(texts[column]))
        else:
            kinds[_kind(X[:, d])].append(column)
    families: Mapping[str, Emission] = {"gaussian": Gaussian("diag"), "poisson": Poisson(), "bernoulli": Bernoulli()}
    return Product({tuple(columns): families[kind] for kind, columns in kinds.items() if columns} | parts)


def _kind(values: Array) -> str:
    there = values[~np.isnan(values)]
    if np.isin(there, (0.0, 1.0)).all():
        return "bernoulli"
    if (there < 0).any() or (there != np.floor(there)).any():
        return "gaussian"
    return "gaussian" if there.mean() > LARGE and there.var() < there.mean() / 2 else "poisson"
