"""Cells as numbers: what is masked, None, NA or NaT is a missing cell, NaN."""

from __future__ import annotations

from typing import Any

import numpy as np

from estep.statistics import Array


def as_numbers(values: Any, what: str = "the data") -> Array:
    """An array of numbers of any shape, float32 and float64 as they are. Raises ValueError naming a cell that is none.

    Dates and durations are counts of their unit.
    """
    if hasattr(values, "toarray") and hasattr(values, "nnz"):
        raise TypeError("sparse data is not supported: pass a dense array, for example X.toarray()")
    if isinstance(values, np.ma.MaskedArray):
        return _filled(
            as_numbers(values.data, what) if values.dtype.kind != "O" else _of_objects(values.data, what), values
        )
    try:
        array = np.asarray(values)
    except ValueError:
        raise ValueError(f"{what} have rows of different lengths") from None
    kind = array.dtype.kind
    if kind == "c":
        raise ValueError(f"Complex data not supported: {what} are complex numbers")
    if kind in "mM":
        return np.where(np.isnat(array), np.nan, array.astype(np.int64))
    if kind not in "fiub" and array.ndim == 0:
        raise TypeError(f"{what} are a {type(values).__name__}: give an array, a list of arrays or a data frame")
    if kind == "O":
        if any(isinstance(cell, np.ma.MaskedArray) and cell is not np.ma.masked for cell in array.flat):
            raise ValueError(f"{what} hold arrays of different lengths: give a list of 2-D arrays, one a sequence")
        return _of_objects(array, what)
    if kind not in "fiub":
        return _of_objects(array.astype(object), what)
    return array


def _filled(array: Array, masked: Any) -> Array:
    """Missing where ``masked`` has its mask."""
    mask = np.ma.getmaskarray(masked)
    if not mask.any():
        return array
    dtype = array.dtype if array.dtype.kind == "f" else np.float64
    return np.where(mask, np.nan, array).astype(dtype)


def _of_objects(array: Array, what: str) -> Array:
    out = np.empty(array.shape)
    for place, value in np.ndenumerate(array):
        if is_missing(value):
            out[place] = np.nan
            continue
        try:
            out[place] = value if not isinstance(value, str) else float(value)
        except (TypeError, ValueError) as error:
            where = f"row {place[0]}" + (f", column {place[1]}" if len(place) > 1 else "")
            text = isinstance(value, str)
            raise type(error)(
                f"{what} are not numbers: {where} is {str(value)[:40]!r}"
                + (
                    ". CategoricalHMM reads texts, and families of tables do (MixtureModel('auto'))"
                    if text
                    else f" ({error})"
                )
            ) from None
    return out


def is_missing(value: Any) -> bool:
    """Whether an object stands for a missing cell: None, NaN, NA, NaT or masked."""
    if value is None or value is np.ma.masked:
        return True
    try:
        return bool(value != value)
    except TypeError:  # of pandas' NA alone is not known whether it is itself
        return True
    except ValueError:  # an array
        return False


def as_whole(name: str, value: Any, least: int = 1, most: int | None = None) -> int:
    """A whole number from ``least`` to ``most``. Raises ValueError naming what is none."""
    if most is not None and isinstance(value, int) and value > most:
        raise ValueError(f"{name} is {value!r}: it is {most} at most")
    if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < least:
        raise ValueError(f"{name} is {value!r}: it is a whole number from {least}")
    return int(value)


def pick(probabilities: Array, u: Array) -> Array:
    """A column number (n,) for each row of probabilities (n, K) of any sum, by ``u`` (n,) in [0, 1): the first whose
    cumulative share exceeds it. The last one where a row is all zero."""
    cumulative = np.cumsum(probabilities, axis=1)
    found = (cumulative <= u[:, None] * cumulative[:, -1:]).sum(axis=1, dtype=np.int64)
    return np.asarray(np.minimum(found, probabilities.shape[1] - 1))


def as_share(value: Any, what: str) -> float:
    """A number between 0 and 1. Raises ValueError naming what is none."""
    if isinstance(value, bool) or not isinstance(value, int | float | np.number) or not 0 < value < 1:
        raise ValueError(f"{what} is {value!r}: it is a number between 0 and 1, such as 0.95")
    return float(value)
