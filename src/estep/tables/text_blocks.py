"""Text files as blocks: what the first rows say of the columns is held to for the others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from estep.tables.blocks import Block, Blocks
from estep.tables.cells import unescaped
from estep.tables.column import EMPTY, MISSING, Column
from estep.tables.csv_file import Reader, Text
from estep.tables.dialect import Dialect

FIRST = 10_000  # rows that say which columns are numbers
WIDE = 64  # bytes of a cell, about


class TextFiles(Blocks):
    """Text files of one dialect, with the same columns in the same order."""

    def __init__(self, paths: Sequence[Path], dialect: Dialect, kinds: dict[str, str] | None = None) -> None:
        self.paths, self.dialect = list(paths), dialect
        self._texts = [Text(path) for path in paths]
        self._signatures = [text.signature() for text in self._texts]
        self._rows: list[int] = []  # of the files that have been read to the end
        readers = []
        for text in self._texts:
            head = text.head()
            if not any(line.strip() for line in head):
                raise ValueError(f"{text} is empty: a header line and rows are wanted")
            readers.append(Reader(text, dialect.found(head)[0], head))
            if readers[-1].names != readers[0].names:
                has, first = (", ".join(r.names) for r in (readers[-1], readers[0]))
                raise ValueError(f"{text} has the columns {has}; {self._texts[0]} has {first}")
        self._readers, self.names = readers, tuple(readers[0].names)
        self.kinds = kinds or self._find_kinds()

    def _find_kinds(self) -> dict[str, str]:
        """Which columns are "string", "bool" or "double", by the first rows."""
        first = next(self._readers[0].blocks(FIRST * WIDE, {n: "string" for n in self.names}, ()), None)
        if first is None or not first.num_rows:
            raise ValueError(f"{self._texts[0]} has a header and no rows")
        dialect, kinds = self._readers[0].dialect, {}
        for name, column in zip(first.column_names, first.slice(0, FIRST).columns, strict=True):
            cells = [None if t is None or t.strip() in {*EMPTY, *dialect.na} else t for t in column.to_pylist()]
            lower = {t.strip().lower() for t in cells if t is not None} - {t.lower() for t in MISSING}
            numbers = Column(name, [None if t is None else dialect.plain(t) for t in cells]).numbers
            truths = bool(lower) and lower <= {"true", "false"}
            kinds[name] = "bool" if truths else "string" if lower and numbers is None else "double"
        return kinds

    def is_text(self, column: str) -> bool:
        return self.kinds[column] == "string"

    def check(self, columns: Sequence[str], ids: str | None = None) -> None:
        if ids is not None:
            self.kinds = self.kinds | {ids: "string"}

    def read(self, first: int, columns: Sequence[str] | None, rows: int) -> Iterator[Block]:
        names = list(columns or self.names)
        at = 0
        for i, reader in enumerate(self._readers):
            if i < len(self._rows) and at + self._rows[i] <= first:
                at += self._rows[i]
                continue
            self._require_unchanged(i)
            begin = at
            for table in self._tables(reader, names, rows):
                if table.num_rows:
                    yield Block(at, table)
                at += table.num_rows
            self._require_unchanged(i)
            if i == len(self._rows):
                self._rows.append(at - begin)

    def _tables(self, reader: Reader, names: Sequence[str], rows: int) -> Iterator[Any]:
        """The blocks of one file, its texts without blanks around them, None where empty."""
        import pyarrow as pa

        size, at = rows * WIDE * max(len(self.names) // 4, 1), 0
        plain = reader.dialect.thousands is None
        try:
            if plain:
                for table in reader.blocks(size, {n: self.kinds[n] for n in names}, MISSING):
                    yield self._stripped(table)
                    at += table.num_rows
                return
        except (pa.ArrowInvalid, UnicodeDecodeError):
            if (odd := self._odd_cell(reader, names)) is not None:
                raise odd from None
        for table in reader.blocks(size, dict.fromkeys(names, "string"), ()):  # numbers with blanks, or in thousands
            if at < table.num_rows:
                yield self._stripped(self._numbers(table.slice(at), reader))
            at = max(at - table.num_rows, 0)

    def _stripped(self, table: Any) -> Any:
        import pyarrow.compute as pc

        empty = {*EMPTY, *self.dialect.na}
        for i, name in enumerate(table.column_names):
            if self.is_text(name):
                texts = pc.utf8_trim_whitespace(table.column(i))
                if pc.any(pc.starts_with(texts, "'")).as_py():
                    texts = [None if t is None else unescaped(t) for t in texts.to_pylist()]
                else:
                    texts = texts.to_pylist()
                table = table.set_column(i, name, [[None if t in empty else t for t in texts]])
        return table

    def _numbers(self, table: Any, reader: Reader) -> Any:
        """With the numbers of a dialect with signs of thousands as such."""
        import pyarrow as pa

        columns = []
        for name, column in zip(table.column_names, table.columns, strict=True):
            if self.is_text(name):
                columns.append(column)
                continue
            empty = {*EMPTY, *MISSING, *reader.dialect.na}
            stripped = (None if t is None else t.strip() for t in column.to_pylist())
            cells = [None if t in empty else reader.dialect.plain(t) for t in stripped]  # type: ignore[arg-type]
            numbers = Column(name, cells).numbers
            if numbers is None and any(c is not None for c in cells):
                raise self._odd_cell(reader, [name]) or ValueError(f"{reader.text}: column {name!r} is not numeric")
            numbers = np.full(len(cells), np.nan) if numbers is None else numbers
            columns.append(pa.array(numbers))
        return pa.table(columns, names=table.column_names)

    def _require_unchanged(self, i: int) -> None:
        if self._texts[i].signature() != self._signatures[i]:
            raise ValueError(f"{self._texts[i]} was changed while the data are read: leave files alone until the end")

    def where(self, row: int) -> str:
        at = 0
        for text, rows in zip(self._texts, self._rows, strict=False):
            if row < at + rows:
                return f"row {row - at} of {text}"
            at += rows
        return f"row {row - at} of {self._texts[min(len(self._rows), len(self._texts) - 1)]}"

    def _odd_cell(self, reader: Reader, names: Sequence[str]) -> ValueError | None:
        """The error for the first cell of a column of numbers that is none."""
        numbers = [n for n in names if not self.is_text(n)]
        empty, plain, at = {*EMPTY, *MISSING, *reader.dialect.na}, reader.dialect.plain, 0
        for table in reader.blocks(FIRST * WIDE, {n: "string" for n in numbers}, ()):
            for name in numbers:
                cells = [None if t is None or t.strip() in empty else plain(t) for t in table.column(name).to_pylist()]
                if not any(cells) or Column("", cells).numbers is not None:
                    continue
                truths = self.kinds[name] == "bool"
                row = next((i for i, c in enumerate(cells) if c and _is_odd(c, truths)), 0)
                text = f"{reader.text}: row {at + row} of column {name!r} is {str(cells[row])[:40]!r}"
                return ValueError(f"{text}: the rows before it are numbers; leave the column out, or correct it")
            at += table.num_rows
        return None


def _is_odd(cell: str, truths: bool) -> bool:
    """Whether a cell is no number; with ``truths``, neither true nor false."""
    if truths:
        return cell.strip().lower() not in ("true", "false")
    try:
        float(cell)
        return False
    except ValueError:
        return True
