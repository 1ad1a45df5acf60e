"""Columns of a table as its file has them: the readers of CSV and Parquet."""

from __future__ import annotations

import csv
import re
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from estep.io.cells import is_number, unescaped
from estep.statistics import Array
from estep.util.cached import cached_property
from estep.util.numbers import is_missing

EMPTY = ("", "NA")
"""What a cell without a value has."""
DATE = re.compile(
    r"(\d{4}[-/]\d{1,2}[-/]\d{1,2}|\d{1,2}[/.]\d{1,2}[/.]\d{2,4})"
    r"([ T]\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?( ?(Z|[+-]\d{2}:?\d{2}))?)?|\d{1,2}:\d{2}:\d{2}"
)
ID = re.compile(r"(?i)^(id|ids|uuid|guid|index|idx|key|rowid)$|[_\s.-](id|uuid|guid|key)$|(?-i:[a-z]I[dD]$)")
FEW = 20
"""Rows up to which numbers that follow each other may be anything."""


@dataclass(frozen=True, eq=False)
class Column:
    """One column: ``cells`` are texts, None where empty, or an array as a Parquet file has it."""

    name: str
    cells: list[str | None] | Array

    @cached_property
    def numbers(self) -> Array | None:
        """The column as numbers, NaN where empty; true and false are 1 and 0; None where it holds texts."""
        if isinstance(self.cells, np.ndarray):
            if self.cells.dtype.kind in "fiub":
                return self.cells.astype(np.float64)
            if self.cells.dtype.kind == "O" and all(c is None or isinstance(c, bool | int | float) for c in self.cells):
                return np.array([np.nan if c is None else float(c) for c in self.cells])
            return None
        lower = {c.lower() for c in self.cells if c is not None}
        if lower and lower <= {"true", "false"}:
            return np.array([np.nan if c is None else float(c.lower() == "true") for c in self.cells])
        if any("_" in c for c in lower):  # which Python reads as digits' separators
            return None
        try:
            return np.array([np.nan if c is None else float(c) for c in self.cells])
        except ValueError:
            return None

    @cached_property
    def texts(self) -> list[str | None]:
        """The cells as the file shows them, None for empty ones."""
        if not isinstance(self.cells, np.ndarray):
            return self.cells
        values = self.cells.tolist() if self.cells.dtype.kind != "M" else self.cells.astype(str).tolist()
        if any(isinstance(v, list | dict | np.ndarray) for v in values):
            raise ValueError(f"column {self.name!r} holds lists: leave it out")
        whole = [str(int(v)) if isinstance(v, float) and v.is_integer() else v for v in values]
        return [None if is_missing(v) or str(v).strip() in (*EMPTY, "NaT") else str(v).strip() for v in whole]

    def text_of(self, row: int) -> str:
        """The cell for a message."""
        return repr(str(self.texts[row])[:40])

    @cached_property
    def days(self) -> Array | None:
        """Dates as days since 1970, NaN where empty; None where the column holds others, or not year, month and day."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of time zones: what is meant is universal time
                dates = np.array([t if t else "NaT" for t in self.texts], dtype="datetime64[ms]")
        except ValueError:
            return None
        return np.where(np.isnat(dates), np.nan, dates.astype(np.int64) / 86_400_000)

    @cached_property
    def kept_out(self) -> str:
        """What makes it no feature by itself: "an index", "ids" or "dates"; else empty."""
        if re.fullmatch(r"Unnamed: \d+", self.name):
            return "an index"
        observed = [t for t in self.texts if t is not None]
        if isinstance(self.cells, np.ndarray) and self.cells.dtype.kind in "mM":
            return "dates"
        if self.numbers is None and observed and all(DATE.fullmatch(t) for t in observed):
            return "dates"
        if len(observed) < 2 or len(set(observed)) < len(observed):
            return ""
        if self.numbers is None:
            return "ids" if len(observed) >= FEW or ID.search(self.name) else ""
        values = self.numbers[~np.isnan(self.numbers)]
        if (values != np.floor(values)).any():
            return ""
        follow = len(values) > FEW and values.max() - values.min() == len(values) - 1
        return "ids" if ID.search(self.name) or follow else ""


def read_columns(path: Path) -> list[Column]:
    """The columns of a CSV or Parquet file. Raises ValueError or OSError naming what is wrong."""
    if path.is_dir():
        raise ValueError(f"{path} is a folder, not a CSV or Parquet file")
    return _parquet(path) if path.suffix.lower() in (".parquet", ".pq") else _csv(path)


def _parquet(path: Path) -> list[Column]:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ModuleNotFoundError:
        raise ModuleNotFoundError('Parquet files need pyarrow: pip install "estep[io]"') from None
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
    return _checked(path, columns)


def _csv(path: Path) -> list[Column]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file, strict=True)
            names = [n.strip() or f"Unnamed: {i}" for i, n in enumerate(next(reader, []))]
            rows = [(reader.line_num, row) for row in reader]
    except UnicodeDecodeError:
        raise ValueError(f"{path} is not a CSV file: it is not UTF-8 text") from None
    except csv.Error as error:
        raise ValueError(
            f"{path} is not a CSV file: {error}, up to line {reader.line_num} (is a quote not closed?)"
        ) from None
    if not names:
        raise ValueError(f"{path} is empty: a header line and rows are wanted")
    if all(is_number(n) for n in names):
        raise ValueError(f"{path} starts with numbers: its first line must name the columns")
    if len(names) == 1:  # a blank line is a row without a value
        rows = [(line, row or [""]) for line, row in rows]
    while rows and not rows[-1][1]:
        rows.pop()
    if not rows:
        raise ValueError(f"{path} has a header and no rows")
    for i, (line, row) in enumerate(rows):
        if not row:
            raise ValueError(f"{path}: line {line} is blank: write its separators, or take the line out")
        if len(row) != len(names):
            raise ValueError(f"{path}: row {i} has {len(row)} fields, the header {len(names)}")
    cells = [
        [None if (t := unescaped(c.strip())) in EMPTY else t for c in column]
        for column in zip(*(r for _, r in rows), strict=True)
    ]
    return _checked(path, [Column(n, c) for n, c in zip(names, cells, strict=True)])


def _checked(path: Path, columns: list[Column]) -> list[Column]:
    names = [c.name for c in columns]
    if len(set(names)) < len(names):
        twice = next(n for n in names if names.count(n) > 1)
        raise ValueError(f"{path} has two columns of one name, {twice!r}")
    return columns
