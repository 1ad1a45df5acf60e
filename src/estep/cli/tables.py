"""Reads DATA of the command line: CSV, Parquet or a shipped dataset, as rows, sequences and symbols."""

from __future__ import annotations

import csv
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from estep.data import as_source
from estep.datasets import NAMES
from estep.frames import codes
from estep.source import Source
from estep.statistics import Array

EMPTY = ("", "NA")
"""What a cell without a value has."""


@dataclass(frozen=True, eq=False)
class Table:
    """Rows as the model reads them, with the names of their sequences.

    ``symbols``: their names; of a table, pairs of a column and its texts.
    """

    source: Source
    symbols: tuple[Any, ...] = ()
    sequences: tuple[str, ...] = ()


def read_table(
    data: str,
    rows: str,
    columns: str | None = None,
    sequence: str | None = None,
    symbols: tuple[Any, ...] = (),
    wanted: tuple[str, ...] = (),
) -> Table:
    """DATA as a :class:`Table`; ``rows`` is "real", "symbols" or "table" (columns of texts too).

    ``columns``: names, separated by commas; left out, those the model was fitted on (``wanted``) where DATA has them,
    else all that are numeric. ``symbols``: the names a saved model knows. Raises ValueError or OSError naming what is
    wrong.
    """
    if not Path(data).exists() and data in NAMES:
        names, raw, lengths, known = _shipped(data)
        symbols = symbols or known
    else:
        names, raw = _read_file(Path(data))
        lengths = None
    if sequence is not None and sequence not in names:
        raise ValueError(f"{data} has no column {sequence!r} for --sequence; it has {', '.join(names)}")
    chosen = _choose(data, names, raw, columns, sequence, rows, wanted)
    sequences: tuple[str, ...] = ()
    if sequence is not None:
        lengths, sequences = _runs(raw[names.index(sequence)], sequence)
    if rows == "symbols":
        if len(chosen) != 1:
            raise ValueError(f"symbols come in one column, {data} gives {len(chosen)}: choose one with --columns")
        X, symbols = _codes(raw[names.index(chosen[0])], symbols, chosen[0])
    elif rows == "table":
        X, symbols = _mixed([raw[names.index(c)] for c in chosen], chosen, dict(symbols))
    else:
        X = np.stack([_numbers(raw[names.index(c)], c) for c in chosen], axis=1)
    source = as_source(X, lengths, rows="symbols" if rows == "symbols" else "real", columns=tuple(chosen))
    if rows == "table":
        source = replace(source, symbols=symbols)
    return Table(source, symbols, sequences)


def _shipped(name: str) -> tuple[list[str], list[Array], Array | None, tuple[str, ...]]:
    """Columns with their names, symbols by theirs."""
    dataset = NAMES[name]()
    columns = list(dataset.X.T)
    if dataset.symbols:
        columns = [np.array([dataset.symbols[int(v)] for v in columns[0]], dtype=object)]
    return list(dataset.columns), columns, dataset.lengths, dataset.symbols


def _read_file(path: Path) -> tuple[list[str], list[Array]]:
    if path.is_dir():
        raise ValueError(f"{path} is a folder, not a CSV or Parquet file")
    if not path.exists():
        raise ValueError(f"{path}: no such file, and no dataset of that name ({', '.join(NAMES)})")
    if path.suffix.lower() in (".parquet", ".pq"):
        return _read_parquet(path)
    return _read_csv(path)


def _read_parquet(path: Path) -> tuple[list[str], list[Array]]:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ModuleNotFoundError:
        raise ModuleNotFoundError('Parquet files need pyarrow: pip install "estep[io]"') from None
    try:
        table = pq.read_table(path)
    except pa.ArrowInvalid as error:
        raise ValueError(f"{path} is not a Parquet file: {error}") from None
    columns = [column.to_numpy(zero_copy_only=False) for column in table.columns]
    return list(table.column_names), columns


def _read_csv(path: Path) -> tuple[list[str], list[Array]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file)
            names = [n.strip() for n in next(reader, [])]
            rows = [row for row in reader if row]
            lines = [reader.line_num]
    except UnicodeDecodeError:
        raise ValueError(f"{path} is not a CSV file: it is not UTF-8 text") from None
    except csv.Error as error:
        raise ValueError(f"{path} is not a CSV file: {error}") from None
    if not names or not lines:
        raise ValueError(f"{path} is empty: a header line and rows are wanted")
    if not rows:
        raise ValueError(f"{path} has a header and no rows")
    if len(set(names)) < len(names):
        raise ValueError(f"{path} has two columns of one name in its header")
    if all(_is_number(n) for n in names):
        raise ValueError(f"{path} starts with numbers: its first line must name the columns")
    for i, row in enumerate(rows):
        if len(row) != len(names):
            raise ValueError(f"{path}: row {i} has {len(row)} fields, the header {len(names)}")
    return names, [_parse(list(column)) for column in zip(*rows, strict=True)]


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _parse(texts: list[str]) -> Array:
    """Numbers where every field is one, or true or false; an empty field among them is NaN."""
    blank = [t.strip() in EMPTY for t in texts]
    fields = [t.strip().lower() for t, b in zip(texts, blank, strict=True) if not b]
    if fields and set(fields) <= {"true", "false"}:
        texts = [{"true": "1", "false": "0"}.get(t.strip().lower(), t) for t in texts]
    try:
        return np.array([np.nan if b else float(t) for t, b in zip(texts, blank, strict=True)])
    except ValueError:
        return np.array([t.strip() for t in texts], dtype=object)


def _is_numeric(column: Array) -> bool:
    return column.dtype.kind in "fiub"


def _choose(
    data: str,
    names: list[str],
    raw: list[Array],
    columns: str | None,
    sequence: str | None,
    rows: str,
    wanted: tuple[str, ...],
) -> list[str]:
    if columns is not None:
        chosen = [c.strip() for c in columns.split(",") if c.strip()]
        if missing := [c for c in chosen if c not in names]:
            raise ValueError(f"{data} has no column {missing[0]!r}; it has {', '.join(names)}")
        if not chosen:
            raise ValueError("--columns names no column")
        return chosen
    if wanted and all(c in names for c in wanted):
        return list(wanted)
    others = [n for n in names if n != sequence]
    chosen = others if rows in ("symbols", "table") else [n for n in others if _is_numeric(raw[names.index(n)])]
    texts = [n for n in others if n not in chosen]
    if texts:
        raise ValueError(
            f"column {texts[0]!r} of {data} is text: name the columns to use with --columns"
            + (f" (numeric: {','.join(chosen)})" if chosen else "")
        )
    if not chosen:
        raise ValueError(f"{data} has no column to use but the sequence")
    return chosen


def _numbers(column: Array, name: str) -> Array:
    if not _is_numeric(column):
        row = next((i for i, v in enumerate(column) if not _is_number(str(v))), 0)
        raise ValueError(f"column {name!r} is not numeric: row {row} is {str(column[row])[:40]!r}")
    return column.astype(np.float64)


def _codes(column: Array, symbols: tuple[str, ...], name: str) -> tuple[Array, tuple[str, ...]]:
    """Whole numbers are symbols as they are, where the model has no names; texts are numbered in the order of these."""
    if _is_numeric(column) and not symbols:
        return column[:, None], symbols
    texts = _texts(column)
    if symbols and (unknown := [(i, t) for i, t in enumerate(texts) if t not in (None, *symbols)]):
        row, text = unknown[0]
        raise ValueError(f"column {name!r}, row {row}: the model has no symbol {str(text)[:40]!r}")
    numbers, names = codes(texts, name, symbols)
    return numbers[:, None], names


def _texts(column: Array) -> list[str | None]:
    """Cells as a file shows them, None for empty ones; a file of whole numbers alone has been read as numbers."""
    values = column.tolist()
    whole = [str(int(v)) if isinstance(v, float) and v.is_integer() else v for v in values]
    return [None if v is None or v != v or str(v).strip() in EMPTY else str(v) for v in whole]


def _mixed(columns: list[Array], names: list[str], known: dict[str, tuple[str, ...]]) -> tuple[Array, tuple[Any, ...]]:
    """Columns of numbers and of texts, these numbered, with their names."""
    out, symbols = [], []
    for column, name in zip(columns, names, strict=True):
        if _is_numeric(column) and name not in known:
            out.append(column.astype(np.float64))
            continue
        numbers, texts_of = codes(_texts(column), name, known.get(name, ()))
        out.append(numbers)
        symbols.append((name, texts_of))
    return np.column_stack(out), tuple(symbols)


def _runs(column: Array, name: str) -> tuple[Array, tuple[str, ...]]:
    """Lengths and names of the runs of equal values. Raises ValueError where a value comes back later."""
    values = [str(int(v)) if isinstance(v, float) and v.is_integer() else str(v) for v in column.tolist()]
    starts = [i for i, v in enumerate(values) if i == 0 or v != values[i - 1]]
    names = tuple(values[i] for i in starts)
    if len(set(names)) < len(names):
        twice = next(v for i, v in enumerate(names) if v in names[:i])
        raise ValueError(f"column {name!r}: the rows of sequence {twice} are not together: sort the file by it")
    return np.diff([*starts, len(values)]), names
