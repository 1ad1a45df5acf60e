"""Tables that commands write: CSV or Parquet files, or CSV or JSON on standard output."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from estep.cli.choose import split_names
from estep.cli.tables import Table
from estep.cli.text import csv_text, say
from estep.statistics import Array
from estep.util.figures import dates
from estep.util.files import check_target, write_into, write_text

SOME = 65536  # rows at a time
PARQUET = (".parquet", ".pq")

Written = Mapping[str, "Array | Iterator[Any]"]
"""Columns by name: arrays (n,), objects where they are texts, or iterators of what is read as it is written."""


def check_out(out: Path | None) -> None:
    """Raises ValueError or OSError where ``out`` could not be written."""
    if out is not None:
        check_target(out)


def write_table(columns: Written, out: Path | None, as_json: bool = False) -> None:
    """Writes columns to a Parquet or CSV file, by its name, or to standard output: as CSV, or one JSON object of lists.

    Numbers that are whole throughout a column are written without a point; what is missing is an empty cell.
    """
    columns = {name: _whole(values) for name, values in columns.items()}
    if out is None and as_json:
        print(json.dumps({name: _finite(_list(v)) for name, v in columns.items()}, allow_nan=False))
        return
    if out is not None and out.suffix.lower() in PARQUET:
        write_into(out, lambda file: _write_parquet(columns, file))
    elif out is not None:
        write_text(out, csv_text(list(columns), _rows(columns)))
    else:
        sys.stdout.writelines(csv_text(list(columns), _rows(columns), sys.stdout.isatty()))
    if out is not None and as_json:
        print(json.dumps({"written": str(out), "columns": list(columns)}))


def _whole(values: Any) -> Any:
    """Numbers with no fraction as integers where none is missing, else as objects."""
    if not isinstance(values, np.ndarray) or values.dtype.kind != "f":
        return values
    there = ~np.isnan(values)
    some = np.asarray(values)[there]
    if not len(some) or not (np.abs(some) < 2**53).all() or (some != np.floor(some)).any():
        return values
    if there.all():
        return values.astype(np.int64)
    new = np.full(len(values), None, dtype=object)
    new[there] = some.astype(np.int64)
    return new


def _finite(cells: list[Any]) -> list[Any]:
    """JSON has no infinity: null stands for it."""
    return [None if isinstance(c, float) and not np.isfinite(c) else c for c in cells]


def _list(values: Any) -> list[Any]:
    """Cells as Python has them, None where there is none."""
    if isinstance(values, np.ndarray) and values.dtype.kind == "M":
        return dates(values)
    if isinstance(values, np.ndarray):
        missing = np.isnan(values) if values.dtype.kind == "f" else np.zeros(len(values), bool)
        cells: list[Any] = values.tolist()
        return [None if c != c else c for c in cells] if missing.any() else cells
    return list(values)


def _chunks(columns: Written, typed: bool = False) -> Iterator[list[Any]]:
    """Some rows of each column at a time; ``typed``: dates as such."""
    iterators = {name: values for name, values in columns.items() if not isinstance(values, np.ndarray)}
    first = 0
    while True:
        some = [
            list(islice(iterators[name], SOME)) if name in iterators else _part(values, first, typed)
            for name, values in columns.items()
        ]
        if not some or not len(some[0]):
            return
        yield some
        first += SOME


def _part(values: Any, first: int, typed: bool) -> Any:
    some = values[first : first + SOME]
    return some if typed and some.dtype.kind == "M" else _list(some)


def _rows(columns: Written) -> Iterator[tuple[Any, ...]]:
    return (row for some in _chunks(columns) for row in zip(*some, strict=True))


def _write_parquet(columns: Written, file: Any) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    names, writer = list(columns), None
    kinds = [_kind(values) for values in columns.values()]
    try:
        for some in _chunks(columns, typed=True):
            arrays = [pa.array(cells, kind) for cells, kind in zip(some, kinds, strict=True)]
            kinds = [array.type for array in arrays]
            table = pa.table(arrays, names=names)
            writer = writer or pq.ParquetWriter(file, table.schema)
            writer.write_table(table)
    finally:
        if writer is not None:
            writer.close()


def _kind(values: Any) -> Any:
    """The Arrow type of a column; None: what its first cells have."""
    import pyarrow as pa

    if not isinstance(values, np.ndarray):
        return pa.string()
    if values.dtype.kind == "O":
        return pa.int64() if all(v is None or isinstance(v, int) for v in values) else pa.string()
    return None if values.dtype.kind == "M" else pa.from_numpy_dtype(values.dtype)


def kept(table: Table, keep: str | None, every: bool, out: Path | None, as_json: bool) -> dict[str, Any]:
    """The columns of DATA that go along: those of ``--keep``, or ``--all-columns``. Raises ValueError naming one that
    there is none of."""
    if keep is not None and every:
        raise ValueError("--keep names some columns, --all-columns takes them all: give one of them")
    names = list(table.names) if every else [] if keep is None else split_names(keep, "--keep")
    if every and not names:
        raise ValueError("DATA has columns without names: none can go along (--all-columns)")
    if unknown := [name for name in names if name not in table.names]:
        raise ValueError(f"DATA has no column {unknown[0]!r}; it has {', '.join(table.names) or 'none'} (--keep)")
    typed = as_json or (out is not None and out.suffix.lower() in PARQUET)
    return {name: table.cells(name, typed) for name in names}


def beside(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Columns of DATA and what was found: of these, names that DATA has are written with ``estep_`` in front, which is
    said."""
    names: dict[str, str] = {}
    for name in new:
        names[name] = name
        while names[name] in old or (names[name] != name and names[name] in new):
            names[name] = f"estep_{names[name]}"
    if other := [f"{name!r} is in {there!r}" for name, there in names.items() if name != there]:
        say(f"DATA has such columns too: {', '.join(other)}")
    return {**old, **{names[name]: values for name, values in new.items()}}
