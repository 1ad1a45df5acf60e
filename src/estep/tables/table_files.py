"""Columns of a table as its file has them: CSV and the like, or Parquet."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from estep.tables.column import Column
from estep.tables.csv_file import read_csv
from estep.tables.dialect import Dialect


def read_columns(path: Path, dialect: Dialect | None = None) -> tuple[list[Column], list[str]]:
    """The columns of a CSV or Parquet file ("-": CSV from standard input), and what is to be said of how it was read.

    Raises ValueError or OSError naming what is wrong.
    """
    if path.is_dir():
        raise ValueError(f"{path} is a folder, not a CSV or Parquet file")
    if path.suffix.lower() in (".parquet", ".pq"):
        return _parquet(path), []
    return read_csv(path, dialect or Dialect())


def _parquet(path: Path) -> list[Column]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path)
    except pa.ArrowInvalid as error:
        raise ValueError(f"{path} cannot be read as Parquet: {error}") from None
    columns = []
    for name, column in zip(table.column_names, table.columns, strict=True):
        exact = pa.types.is_integer(column.type) and column.null_count  # as floats large ones would be others
        cells = np.array(column.to_pylist(), dtype=object) if exact else column.to_numpy(zero_copy_only=False)
        level = re.fullmatch(r"__index_level_(\d+)__", name)
        columns.append(Column(f"Unnamed: {level[1]}" if level else name, cells))
    names = [c.name for c in columns]
    if len(set(names)) < len(names):
        twice = next(n for n in names if names.count(n) > 1)
        raise ValueError(f"{path} has two columns of one name, {twice!r}")
    return columns
