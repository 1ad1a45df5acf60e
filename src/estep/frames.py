"""Data frames with columns of different kinds: texts become symbols, and families are proposed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from estep.emissions import Bernoulli, Categorical, Gaussian, Poisson, Product
from estep.interface import Emission
from estep.statistics import Array

Symbols = tuple[tuple[str, tuple[str, ...]], ...]
"""The names of the symbols of each column of texts."""


def is_frame(data: Any) -> bool:
    """Whether the data are a data frame (pandas, polars, pyarrow)."""
    plain = isinstance(data, np.ndarray | list | tuple)
    return not plain and (hasattr(data, "columns") or hasattr(data, "column_names"))


def encode(data: Any, known: Symbols = ()) -> tuple[Array, tuple[str, ...], Symbols]:
    """Numbers (n, D), column names and symbols of a data frame; texts are numbered in the order of their names.

    Empty cells are NaN. ``known``: the symbols of a fitted model. Raises ValueError naming a text that is not known.
    """
    import narwhals as nw

    frame, names = nw.from_native(data, eager_only=True), dict(known)
    columns, symbols = [], {}
    for series in frame.iter_columns():
        column = str(series.name)
        empty = np.asarray(series.is_null().to_numpy(), dtype=bool)
        if series.dtype.is_numeric() or series.dtype == nw.Boolean:
            values = np.array([np.nan if e else float(v) for v, e in zip(series.to_list(), empty, strict=True)])
        else:
            texts = [None if e else str(v) for v, e in zip(series.to_list(), empty, strict=True)]
            symbols[column] = names.get(column) or tuple(sorted({t for t in texts if t is not None}))
            if not symbols[column]:
                raise ValueError(f"column {column!r} has no values: leave it out")
            codes: dict[str | None, float] = {None: np.nan, **{t: float(i) for i, t in enumerate(symbols[column])}}
            if unknown := next((t for t in texts if t not in codes), None):
                raise ValueError(f"column {column!r} has {unknown!r}; the model knows {', '.join(symbols[column])}")
            values = np.array([codes[t] for t in texts])
        columns.append(values)
    return np.column_stack(columns), tuple(map(str, frame.columns)), tuple(symbols.items())


def propose(data: Any) -> Product:
    """Families for the columns of a data frame, or an array: by their types and values.

    Texts and true or false with three values and more: categorical; zeros and ones: Bernoulli; counts: Poisson; all
    other numbers: Gaussian, with variances of their own.
    """
    frame = is_frame(data)
    X, names, symbols = encode(data) if frame else (np.asarray(data, dtype=np.float64), (), ())
    if X.ndim != 2:
        raise ValueError(f"families are proposed for the columns of a table; the data have shape {X.shape}")
    texts = dict(symbols)
    kinds: dict[str, list[Any]] = {"gaussian": [], "poisson": [], "bernoulli": []}
    parts: dict[Any, Emission] = {}
    for d in range(X.shape[1]):
        column: Any = names[d] if frame else d
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
    return "poisson" if (there >= 0).all() and (there == np.floor(there)).all() else "gaussian"
