"""DATA of the command line as the model reads it: which columns are features, and what the others are."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from glob import has_magic
from pathlib import Path
from typing import Any

import numpy as np

from estep.cli.choose import Ask, chosen
from estep.cli.text import say
from estep.data.frames import codes
from estep.data.given import beside, weights_of_rows
from estep.data.inputs import as_source
from estep.data.opened import blocks_of
from estep.data.source import Source
from estep.datasets import NAMES
from estep.inference.reading import known_symbols
from estep.model import Model
from estep.statistics import Array
from estep.tables.blocks import Blocks
from estep.tables.column import Column
from estep.tables.dialect import Dialect
from estep.tables.stored_files import kind_of
from estep.tables.table_files import read_columns

LARGE = 2**30  # bytes of a file that is read some rows at a time
FIRST = 10_000  # rows that say what its columns are


def dialect_of(sep: str | None, decimal: str, thousands: str | None, na: str | None, header: bool | None) -> Dialect:
    """What the options say of a text file."""
    return Dialect(sep, decimal, thousands, tuple(t.strip() for t in (na or "").split(",") if t.strip()), header)


@dataclass(frozen=True, eq=False)
class Table:
    """Rows as the model reads them.

    ``symbols``: their names; of a table, pairs of a column and its texts. ``ids``: begins anew with the name of the
    sequence of each row, None where they have none.
    """

    source: Source
    symbols: tuple[Any, ...] = ()
    ids: Callable[[], Iterator[str]] | None = None
    names: tuple[str, ...] = ()
    """Of all columns of DATA."""
    columns: Callable[[str, bool], Any] | None = None
    """The cells of a column by its name: as the file shows them, or typed."""

    kept_out: Mapping[str, str] = field(default_factory=dict)
    """What makes a column no feature by itself, of those that are none: "ids", "dates" or "an index"."""

    def kinds(self, kind: str) -> list[str]:
        """The columns that are of a kind."""
        return [name for name, what in self.kept_out.items() if what == kind]

    def cells(self, name: str, typed: bool = False) -> Any:
        """The cells (n,) of a column of DATA: an array, objects where it is texts, or an iterator of texts."""
        assert self.columns is not None
        return self.columns(name, typed)

    def sequences(self) -> Iterator[str]:
        """The names of the sequences: their numbers where they have none."""
        ends = self.source.all_ends
        if self.ids is None:
            yield from map(str, range(len(ends)))
            return
        firsts, remaining = np.concatenate([[0], ends[:-1]]), enumerate(self.ids())
        for first in firsts.tolist():
            yield next(name for row, name in remaining if row == first)


def read_table(data: str, rows: str, ask: Ask, model: Model | None = None) -> Table:
    """DATA as a :class:`Table`; ``rows`` is "real", "symbols" or "table" (columns of texts too).

    Columns are those that are asked for, else those of the ``model`` by their names, else all that are numeric; ids,
    dates and an index are left out then, and named on standard error. Raises ValueError or OSError naming what is
    wrong.
    """
    blocks = _blocks(data, ask)
    if blocks is not None:
        return _opened(data, blocks, rows, ask, model)
    columns, lengths, symbols = _columns_of(data, ask.dialect)
    symbols = known_symbols(model) if model is not None and model.symbols else symbols
    found = chosen(data, columns, rows, ask, model)
    sequences: tuple[str, ...] = ()
    if "sequence" in found.roles:
        lengths, sequences = _runs(found.roles["sequence"])
    X, symbols = _values(data, found.features, rows, symbols, model is None)
    names = tuple(c.name for c in found.features)
    labels = _numbers(found.roles["labels"]) if "labels" in found.roles else None
    source = as_source(X, lengths, None, "symbols" if rows == "symbols" else "real", columns=names, labels=labels)
    if found.given:
        given = tuple(c.name for c in found.given)
        wanted = () if model is None else model.columns[: model.emission.n_covariates]
        source = beside(source, np.stack([_numbers(c) for c in found.given], axis=1), given, wanted)
    if "weight" in found.roles:
        source = replace(source, weights=weights_of_rows(_numbers(found.roles["weight"]), source))
    kept = tuple((role, column.name) for role, column in found.roles.items())
    return Table(
        replace(source, roles=kept, symbols=symbols if rows == "table" else ()),
        symbols,
        partial(_repeated, sequences, lengths) if lengths is not None and sequences else None,
        tuple(c.name for c in columns),
        partial(_cells_of, {c.name: c for c in columns}),
        {c.name: c.kept_out for c in columns if c.kept_out},
    )


def _cells_of(columns: dict[str, Column], name: str, typed: bool) -> Array:
    column = columns[name]
    if typed and isinstance(column.cells, np.ndarray) and column.cells.dtype.kind in "iub":
        return column.cells
    if typed and column.numbers is not None and not column.padded:
        texts = column.texts
        if all(t is None or re.fullmatch(r"[+-]?\d{1,18}", t) for t in texts):  # as floats large ones would be others
            return np.array([None if t is None else int(t) for t in texts], dtype=object)
        return column.numbers
    if typed and isinstance(column.cells, np.ndarray) and column.cells.dtype.kind == "M":
        return column.cells
    return np.array(column.texts, dtype=object)


def _repeated(names: Sequence[str], lengths: Array) -> Iterator[str]:
    return (name for name, length in zip(names, lengths, strict=True) for _ in range(length))


# Past memory


def _blocks(data: str, ask: Ask) -> Blocks | None:
    """DATA by blocks, where it is asked for, or there is no other way to read it."""
    path = Path(data)
    large = path.is_file() and path.stat().st_size > LARGE
    kinds = path.is_dir() or kind_of(path) in ("Arrow", "NumPy") or (has_magic(data) and not path.exists())
    if ask.memory is None and not large and not kinds:
        return None
    if not path.exists() and data in NAMES:
        return None
    if large and ask.memory is None:
        say(f"{data} is read some rows at a time; --memory says how much of it there may be at once")
    return blocks_of(data, ask.dialect, ask.execute)


def _opened(data: str, blocks: Blocks, rows: str, ask: Ask, model: Model | None) -> Table:
    """As :func:`read_table`; the first rows say what the columns are."""
    if not blocks.names:  # a NumPy file
        if any((ask.columns, ask.given, ask.named())):
            raise ValueError(f"{data} has columns without names: none can be asked for by one")
        source = as_source(blocks, rows=rows, memory=ask.memory)  # type: ignore[arg-type]
        return Table(source)
    first = blocks.head(FIRST)
    columns = [Column(name, _cells(column)) for name, column in zip(first.column_names, first.columns, strict=True)]
    found = chosen(data, columns, rows, ask, model)
    roles = {role: column.name for role, column in found.roles.items()}
    given = tuple(c.name for c in found.given)
    source = as_source(
        blocks,
        weights=roles.get("weight"),
        rows=rows,  # type: ignore[arg-type]
        columns=tuple(c.name for c in found.features),
        labels=roles.get("labels"),
        symbols=() if model is None else known_symbols(model),
        given=given or None,
        sequence=roles.get("sequence"),
        memory=ask.memory,
    )
    ids = partial(_ids, blocks, roles["sequence"]) if "sequence" in roles else None
    symbols = source.symbols or (() if model is None else model.symbols)
    aside = {c.name: c.kept_out for c in columns if c.kept_out}
    return Table(source, symbols, ids, blocks.names, partial(_as_written, data, ask), aside)


def _cells(column: Any) -> Any:
    """Cells of an Arrow column as a Column has them."""
    import pyarrow as pa

    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        return [None if t is None else t.strip() or None for t in column.to_pylist()]
    return column.to_numpy(zero_copy_only=False)


def _ids(blocks: Blocks, name: str) -> Iterator[str]:
    return map(str, _texts(blocks, name))


def _as_written(data: str, ask: Ask, name: str, typed: bool) -> Iterator[str | None]:
    """The cells of a column as the file shows them, from a reading of its own."""
    blocks = blocks_of(data, ask.dialect, ask.execute)
    assert blocks is not None
    blocks.check([name], ids=name)
    return _texts(blocks, name)


def _texts(blocks: Blocks, name: str) -> Iterator[str | None]:
    for block in blocks.read(0, [name], FIRST):
        yield from (None if v is None else str(v) for v in block.data.column(name).to_pylist())


def _values(data: str, features: list[Column], rows: str, symbols: Any, new: bool) -> tuple[Array, tuple[Any, ...]]:
    """Numbers (n, D), and the symbols of texts; ``new``: there is no model that knows them yet."""
    if not new:
        named = (
            {c.name for c in features}
            if rows == "symbols" and symbols
            else set(dict(symbols if rows == "table" else ()))
        )
        for column in features if rows != "real" else []:
            if column.numbers is None and column.name not in named:
                raise ValueError(
                    f"column {column.name!r} is text; the model has no names of symbols for it, only numbers"
                )
    if rows == "symbols":
        if len(features) != 1:
            raise ValueError(f"symbols come in one column, {data} gives {len(features)}: choose one with --columns")
        return _codes(features[0], symbols)
    if rows == "table":
        return _mixed(features, dict(symbols))
    return np.stack([_numbers(c) for c in features], axis=1), symbols


def _numbers(column: Column) -> Array:
    if column.numbers is not None:
        if column.tokens:
            say(f"column {column.name!r}: {' and '.join(map(repr, column.tokens))} is read as no value")
        return column.numbers
    if column.kept_out == "dates" and column.days is not None:
        say(f"column {column.name!r} is read as days since 1970-01-01")
        return column.days
    row = next((i for i, t in enumerate(column.texts) if t is not None and Column("", [t]).numbers is None), 0)
    text = f"column {column.name!r} is not numeric: row {row} is {column.text_of(row)}"
    comma = re.fullmatch(r"[+-]?\d+,\d+", str(column.texts[row]))
    raise ValueError(f"{text} (decimal commas are read with --decimal ,)" if comma else text)


def _codes(column: Column, symbols: tuple[str, ...]) -> tuple[Array, tuple[str, ...]]:
    """Whole numbers are symbols as they are, where the model has no names; texts are numbered in the order of these."""
    if column.numbers is not None and not symbols:
        return column.numbers[:, None], symbols
    numbers, names = codes(column.texts, column.name, symbols)
    return numbers[:, None], names


def _mixed(columns: list[Column], known: dict[str, tuple[str, ...]]) -> tuple[Array, tuple[Any, ...]]:
    """Columns of numbers and of texts, these numbered, with their names."""
    out, symbols = [], []
    for column in columns:
        if column.numbers is not None and column.name not in known:
            out.append(column.numbers)
            continue
        numbers, texts_of = codes(column.texts, column.name, known.get(column.name, ()))
        out.append(numbers)
        symbols.append((column.name, texts_of))
    return np.column_stack(out), tuple(symbols)


def _runs(column: Column) -> tuple[Array, tuple[str, ...]]:
    """Lengths and names of the runs of equal values. Raises ValueError where one is empty, or comes back later."""
    if None in column.texts:
        raise ValueError(
            f"column {column.name!r}: row {column.texts.index(None)} has no value: which sequence is it of?"
        )
    values = [str(t) for t in column.texts]
    starts = [i for i, v in enumerate(values) if i == 0 or v != values[i - 1]]
    names, seen = tuple(values[i] for i in starts), set[str]()
    for name in names:
        if name in seen:
            raise ValueError(
                f"column {column.name!r}: the rows of sequence {name} are not together: sort the file by it"
            )
        seen.add(name)
    return np.diff([*starts, len(values)]), names


def _columns_of(data: str, dialect: Dialect | None) -> tuple[list[Column], Array | None, tuple[str, ...]]:
    """The columns of DATA; of a shipped dataset, the lengths of its sequences and its symbols too. A file that exists
    wins."""
    path = Path(data)
    if path.exists() or data == "-":
        columns, said = read_columns(path, dialect)
        for text in said:
            say(text)
        return columns, None, ()
    if data not in NAMES:
        raise ValueError(f"{path}: no such file, and no dataset of that name ({', '.join(NAMES)})")
    shipped = NAMES[data]()
    cells: Sequence[Any] = list(shipped.X.T)
    if shipped.symbols:
        cells = [np.array([shipped.symbols[int(v)] for v in cells[0]], dtype=object)]
    return [Column(n, c) for n, c in zip(shipped.columns, cells, strict=True)], shipped.lengths, shipped.symbols
