"""Columns by name: which are features, which hold weights, labels or covariates, and which the model knows.

Where both the data and the model have names, columns go by these; positions count where one of them has none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from estep.statistics import Array
from estep.util.numbers import as_numbers

Roles = tuple[tuple[str, str], ...]
"""Columns that are no features, as pairs of a role ("sequence", "weight", "labels") and a column."""


def is_frame(data: Any) -> bool:
    """Whether the data are a data frame (pandas, polars, pyarrow), in memory."""
    speaks = any(hasattr(data, name) for name in ("__dataframe__", "__arrow_c_stream__", "__narwhals_dataframe__"))
    return speaks and (hasattr(data, "columns") or hasattr(data, "column_names"))


def frame_of(data: Any) -> Any:
    """A data frame of any library, whose columns are called by texts. Raises ValueError naming two of one name."""
    import narwhals as nw

    labels = list(data.column_names if hasattr(data, "column_names") else data.columns)
    names = list(map(str, labels))
    if len(set(names)) < len(names):
        twice = next(n for n in names if names.count(n) > 1)
        raise ValueError(f"the data frame has two columns of one name, {twice!r}: rename one")
    if any(not isinstance(label, str) for label in labels):
        data = data.set_axis(names, axis="columns")
    if type(data).__name__ == "RecordBatch":
        import pyarrow as pa

        data = pa.Table.from_batches([data])
    return nw.from_native(data, eager_only=True)


def names_of(frame: Any) -> tuple[str, ...]:
    """The names of the columns; none where they are numbered 0, 1, 2, ...

    Raises ValueError where they are so numbered and in another order: neither names nor positions.
    """
    names, numbered = tuple(frame.columns), tuple(str(i) for i in range(len(frame.columns)))
    if names == numbered:
        return ()
    if set(names) == set(numbered):
        raise ValueError(
            f"the columns are numbered {', '.join(names)}: put them in order, give them names, or give an array"
        )
    return names


def times_of(data: Any, times: Any, n: int) -> Array | None:
    """Times (n,) of rows: given ones, or a column of the frame by its name, or the dates of a pandas frame's index;
    None where there are none. Raises ValueError for another number of them."""
    if isinstance(times, str):
        if not is_frame(data) or times not in frame_of(data).columns:
            raise ValueError(f"times is {times!r}: X has no such column")
        times = frame_of(data)[times].to_numpy()
    elif times is None and getattr(getattr(data, "index", None), "dtype", np.dtype(int)).kind == "M":
        times = data.index.to_numpy()
    if times is not None and len(times) != n:
        raise ValueError(f"{len(times)} times are given for {n} rows")
    return None if times is None else np.asarray(times)


def dates_ahead(data: Any, steps: int) -> Any:
    """The dates of so many rows after a pandas frame with regular dates as its index; None for anything else."""
    index = getattr(data, "index", None)
    if index is None or getattr(getattr(index, "dtype", None), "kind", "") != "M" or len(index) < 3:
        return None
    import pandas as pd  # type: ignore[import-untyped]

    regular = index.freq or pd.infer_freq(index)
    return None if regular is None else pd.date_range(index[-1], periods=steps + 1, freq=regular)[1:]


def drop(data: Any, names: Sequence[str]) -> Any:
    """A native data frame without those of the named columns that it has."""
    frame = frame_of(data)
    observed = [c for c in frame.columns if c in names]
    return frame.drop(observed).to_native() if observed else data


def choose(data: Any, names: Sequence[str]) -> Any:
    """A native data frame of some of its columns. Raises ValueError naming one that it does not have."""
    frame = frame_of(data)
    if missing := [name for name in names if name not in frame.columns]:
        raise ValueError(f"columns names {missing[0]!r}; the data have {', '.join(frame.columns)}")
    return frame.select(list(names)).to_native()


def column(data: Any, name: str, role: str) -> Array:
    """One column of a data frame as numbers. Raises ValueError where there is none of that name."""
    if not is_frame(data):
        raise ValueError(
            f"{role} is {name!r}, the name of a column: the data have no names, give a data frame or an array"
        )
    frame = frame_of(data)
    if name not in frame.columns:
        raise ValueError(f"{role} is {name!r}: the data have no such column; they have {', '.join(frame.columns)}")
    return series_numbers(frame[name])


def series_numbers(series: Any) -> Array:
    """A column as numbers, NaN where cells are empty. Raises ValueError naming it where it holds others."""
    import narwhals as nw

    numeric = series.dtype.is_numeric() or series.dtype == nw.Boolean
    values = series.to_numpy() if numeric else None
    if values is not None and values.dtype.kind in "fiub" and not (values.dtype.kind != "f" and series.null_count()):
        return np.asarray(values)
    if not numeric and series.null_count() == len(series):
        return np.full(len(series), np.nan)
    if not numeric and series.dtype not in (nw.Object, nw.Unknown):
        raise not_numeric(series.name, str(series.dtype))
    try:
        return as_numbers(np.array(series.to_list(), dtype=object), f"the cells of column {series.name!r}")
    except (TypeError, ValueError) as error:
        raise not_numeric(series.name, str(error)) from None


def not_numeric(name: Any, found: str) -> ValueError:
    """The error for a column that does not hold numbers."""
    way = "turn it into numbers"
    if found.startswith(("Date", "Datetime")):
        way = f"make it the index of a pandas frame, X.set_index({name!r})"
    return ValueError(f"column {name!r} is not numeric ({found}): leave it out, X.drop(columns={name!r}), or {way}")


def frame_numbers(frame: Any) -> Array:
    """A data frame as numbers (n, D); without a copy where it holds them so."""
    import narwhals as nw

    if all(dtype in (nw.Float64, nw.Float32) for dtype in frame.schema.values()):
        values = np.asarray(frame.to_numpy())
        if values.dtype.kind == "f":
            return values
    columns = [series_numbers(series) for series in frame.iter_columns()]
    return np.column_stack(columns) if columns else np.empty((len(frame), 0))


def match(names: Sequence[str], wanted: Sequence[str], n: int, what: str = "column") -> list[int] | None:
    """Where the ``wanted`` columns are among those of the data, n of them; None: as they come.

    Raises ValueError naming one that is missing, or that the model does not know.
    """
    if not any(names) or not any(wanted) or tuple(names) == tuple(wanted):
        return None
    if missing := [w for w in wanted if w and w not in names]:
        raise ValueError(
            f"the data have no {what} {missing[0]!r}, which the model has; they have {', '.join(names)}: rename "
            "columns, or give an array to go by position"
        )
    if unknown := [c for c in names if c not in wanted]:
        raise ValueError(
            f"the data have a {what} {unknown[0]!r} that the model does not know; it has {', '.join(wanted)}: leave "
            "it out"
        )
    return [list(names).index(w) for w in wanted]


def frame_like(data: Any, columns: dict[str, Array]) -> Any:
    """A data frame with these columns, of the kind that ``data``, or the first of it, is; else pandas'.

    Raises ModuleNotFoundError where pandas is wanted and not there.
    """
    import narwhals as nw

    first = data[0] if isinstance(data, list | tuple) and len(data) else data
    if is_frame(first):
        return nw.from_dict(columns, backend=nw.get_native_namespace(frame_of(first))).to_native()
    try:
        import pandas as pd
    except ModuleNotFoundError:
        raise ModuleNotFoundError('the result is a data frame: pip install "estep[frames]" for pandas') from None
    return pd.DataFrame(columns)
