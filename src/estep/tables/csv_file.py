"""Text files of columns, by pyarrow's reader: plain, or compressed as their names say (.gz, .bz2, .zst, .lz4)."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from estep.tables.cells import unescaped
from estep.tables.column import EMPTY, Column
from estep.tables.dialect import Dialect

HEAD = 1 << 16  # bytes in which the dialect is found
COMPRESSED = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd", ".lz4": "lz4"}


class Text:
    """A text file that can be opened again; ``path`` "-" is standard input, which is kept."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._kept = sys.stdin.buffer.read() if str(path) == "-" else None

    def __str__(self) -> str:
        return "standard input" if self._kept is not None else str(self.path)

    def open(self) -> Any:
        """Its bytes, decompressed, as pyarrow reads them."""
        import pyarrow as pa

        if self._kept is not None:
            return pa.BufferReader(self._kept)
        if self.path.stat().st_size == 0:
            return pa.BufferReader(b"")
        return pa.input_stream(str(self.path), compression=COMPRESSED.get(self.path.suffix.lower()))

    def signature(self) -> tuple[int, int]:
        """What tells whether the file was changed: its size, and the time of the last change."""
        if self._kept is not None:
            return len(self._kept), 0
        try:
            found = self.path.stat()
        except OSError as error:
            raise ValueError(f"{self} is gone while the data are read: {error.strerror}") from None
        return found.st_size, found.st_mtime_ns

    def lines(self) -> io.TextIOWrapper:
        """Its lines as texts."""
        return io.TextIOWrapper(self.open(), encoding="utf-8-sig", newline="")

    def head(self) -> list[str]:
        """Its first lines. Raises ValueError where they are no text."""
        with self.open() as file:
            data = file.read(HEAD)
        whole = len(data) < HEAD
        try:
            text = data.decode("utf-8-sig", "strict" if whole else "ignore")
        except UnicodeDecodeError:
            raise ValueError(f"{self} is not a CSV file: it is not UTF-8 text") from None
        lines: list[str] = text.splitlines()
        return lines if whole or len(lines) < 2 else lines[:-1]


def read_csv(path: Path, dialect: Dialect) -> tuple[list[Column], list[str]]:
    """The columns of a text file, and what is to be said of how it was read.

    Raises ValueError or OSError naming what is wrong, and where.
    """
    import pyarrow as pa

    text = Text(path)
    head, said = text.head(), []
    if not any(line.strip() for line in head):
        raise ValueError(f"{text} is empty: a header line and rows are wanted")
    dialect, others = dialect.found(head)
    if others:
        which = " or ".join(map(repr, others))
        said.append(f"{text} is read with {dialect.sep!r} between columns, where {which} would do as well: --sep says")
    reader = Reader(text, dialect, head)
    if not dialect.header:
        said.append(f"{text} begins with numbers: its columns are called {', '.join(reader.names[:3])} ...")
    try:
        table, odd = reader.read()
    except (pa.ArrowInvalid, UnicodeDecodeError) as error:
        explain(text, dialect)
        raise ValueError(f"{text} is not a CSV file: {error}") from None
    if odd or _doubtful(table):
        table = table.slice(0, explain(text, dialect))
    if not table.num_rows:
        raise ValueError(f"{text} has a header and no rows" if dialect.header else f"{text} has no rows")
    values = table.columns[::-1]
    del table  # each column is let go of as soon as it is read
    columns = []
    for name in reader.names:
        columns.append(reader.column(name, values.pop()))
        pa.default_memory_pool().release_unused()
    return columns, said


class Reader:
    """A text file of a known dialect."""

    def __init__(self, text: Text, dialect: Dialect, head: list[str]) -> None:
        self.text, self.dialect = text, dialect
        first = dialect.split(next(line for line in head if line.strip()))
        self.names = [n.strip() or f"Unnamed: {i}" for i, n in enumerate(first)]
        if not dialect.header:
            self.names = [f"x{i}" for i in range(len(first))]
        if len(set(self.names)) < len(self.names):
            twice = next(n for n in self.names if self.names.count(n) > 1)
            raise ValueError(f"{text} has two columns of one name, {twice!r}")

    def read(self, only: str | None = None) -> tuple[Any, bool]:
        """The table, and whether a row was left out for its width; ``only`` one column, as texts."""
        import pyarrow.csv as pc

        odd: list[int] = []

        def invalid(row: Any) -> str:
            odd.append(row.actual_columns)
            return "skip"

        plain = self.dialect.thousands is None and only is None
        types = {name: "string" for name in self.names} if not plain else {}
        with self._bytes() as data:
            table = pc.read_csv(data, **self._options(types, (), None if only is None else [only], invalid))
        return table, bool(odd)

    def blocks(self, size: int, types: dict[str, str], missing: Sequence[str]) -> Iterator[Any]:
        """Tables of about ``size`` bytes of text each, of the columns in ``types`` ("double" or "string"). ``missing``:
        what else stands for no value. Raises ArrowInvalid for a row of another width, ValueError for a blank line."""
        import pyarrow as pa
        import pyarrow.csv as pc

        def invalid(row: Any) -> str:
            return "error"

        options = self._options(types, missing, list(types), invalid)
        options["read_options"].block_size = max(size, HEAD)
        try:
            with self._bytes() as data, pc.open_csv(data, **options) as reader:
                at, stop = 0, None
                for batch in reader:
                    table = pa.Table.from_batches([batch])
                    if stop is None and _doubtful(table):
                        stop = explain(self.text, self.dialect)
                    yield table if stop is None else table.slice(0, max(stop - at, 0))
                    at += table.num_rows
        except (pa.ArrowInvalid, UnicodeDecodeError):
            explain(self.text, self.dialect)
            raise

    def _options(
        self, types: dict[str, str], missing: Sequence[str], columns: list[str] | None, invalid: Any
    ) -> dict[str, Any]:
        import pyarrow.csv as pc

        return {
            "read_options": pc.ReadOptions(column_names=self.names, skip_rows=int(bool(self.dialect.header))),
            "parse_options": pc.ParseOptions(
                delimiter="\t" if self.dialect.sep == " " else self.dialect.sep,
                newlines_in_values=True,
                ignore_empty_lines=False,
                invalid_row_handler=invalid,
            ),
            "convert_options": pc.ConvertOptions(
                null_values=[*EMPTY, *self.dialect.na, *missing],
                true_values=["true", "True", "TRUE"],
                false_values=["false", "False", "FALSE"],
                decimal_point=self.dialect.decimal,
                column_types=types,
                include_columns=columns,
            ),
        }

    def _bytes(self) -> Any:
        if self.dialect.sep != " ":
            return self.text.open()
        import pyarrow as pa

        return pa.PythonFile(io.BufferedReader(_Tabbed(self.text.lines())), "r")

    def column(self, name: str, values: Any) -> Column:
        """A column of the table: numbers as they are, all else as texts."""
        import pyarrow as pa

        types = pa.types
        if types.is_boolean(values.type):
            values = values.cast(pa.int8())
        if types.is_integer(values.type) or types.is_floating(values.type) or types.is_null(values.type):
            numbers = np.asarray(values.cast(pa.float64(), safe=False).to_numpy())
            return Column(name, numbers, lambda: self._texts(self.read(name)[0].column(0)))
        if not types.is_string(values.type):  # dates and times: as they are written
            values = self.read(name)[0].column(0)
        texts = self._texts(values)
        if self.dialect.thousands is not None or self.dialect.decimal != ".":
            numeric = Column(name, [None if t is None else self.dialect.plain(t) for t in texts]).numbers
            if numeric is not None:
                return Column(name, numeric, lambda: texts)
        return Column(name, texts)

    def _texts(self, values: Any) -> list[str | None]:
        empty = {*EMPTY, *self.dialect.na}
        stripped = (None if t is None else unescaped(t.strip()) for t in values.to_pylist())
        return [None if t in empty else t for t in stripped]


class _Tabbed(io.RawIOBase):
    """Lines in which several blanks are one separator, with tabs in place of them."""

    def __init__(self, lines: io.TextIOWrapper) -> None:
        self._lines, self._rest = lines, b""

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fills some of the buffer."""
        if not self._rest:
            self._rest = "".join("\t".join(line.split()) + "\n" for line in islice(self._lines, 1000)).encode()
        n = min(len(buffer), len(self._rest))
        buffer[:n], self._rest = self._rest[:n], self._rest[n:]
        return n

    def close(self) -> None:
        """Closes the file too."""
        self._lines.close()
        super().close()


def _doubtful(table: Any) -> bool:
    """Whether a row of several columns is empty, as those of blank lines are, or the last has a quote left open."""
    import pyarrow.compute as pc

    columns = table.columns if table.num_rows else []
    last = (column[-1].as_py() for column in columns)
    if any(isinstance(cell, str) and "\n" in cell for cell in last):
        return True
    if len(columns) < 2 or not all(column.null_count for column in columns):
        return False
    empty = pc.is_null(columns[0])
    for column in columns[1:]:
        empty = pc.and_(empty, pc.is_null(column))
    return bool(pc.any(empty).as_py())


def explain(text: Text, dialect: Dialect) -> int:
    """How many rows of data there are before blank lines at the end. Raises ValueError naming the first that is of
    another width than the first line, or what else is no CSV."""
    number, width, blank, data = 0, 0, 0, -bool(dialect.header)
    with text.lines() as lines:
        rows = csv.reader(lines, delimiter=dialect.sep or ",", strict=True)
        try:
            for row in rows if dialect.sep != " " else map(str.split, lines):
                number += 1
                line = rows.line_num or number
                if not row:
                    if width == 1:
                        data += 1
                    blank = blank or line
                    continue
                if blank and width > 1:
                    raise ValueError(f"{text}: line {blank} is blank: write its separators, or take the line out")
                width = width or len(row)
                if len(row) != width:
                    raise ValueError(f"{text}: row {data} has {len(row)} fields, the header {width}")
                data += 1
        except UnicodeDecodeError:
            raise ValueError(f"{text} is not a CSV file: it is not UTF-8 text") from None
        except csv.Error as error:
            reason = f"{error}, up to line {rows.line_num} (is a quote not closed?)"
            raise ValueError(f"{text} is not a CSV file: {reason}") from None
    return data
