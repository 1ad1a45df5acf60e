"""Blocks of a table as rows, and what is to be known of them before they are read again and again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from estep.data.columns import frame_numbers, frame_of, is_frame, series_numbers
from estep.data.forms import as_rows, as_symbols
from estep.data.frames import Symbols, encode
from estep.data.sequences import Runs, Sequences
from estep.statistics import Array
from estep.tables.blocks import Block, Blocks
from estep.util.numbers import as_numbers
from estep.util.room import Growing


@dataclass(frozen=True)
class Reading:
    """What a block is read as: ``given`` and ``features`` are names of columns, none where they have no names."""

    rows: Any
    given: tuple[str, ...]
    features: tuple[str, ...]
    symbols: Symbols
    dtype: Any

    def numbers(self, data: Any) -> Array:
        """The rows (m, P + D) of a block."""
        X = self.features_of(data)
        if self.given:
            frame = frame_of(data)
            G = np.column_stack([series_numbers(frame[name]) for name in self.given])
            if not np.isfinite(G).all():
                row, p = (int(i) for i in np.argwhere(~np.isfinite(G))[0])
                raise ValueError(f"covariate {self.given[p]!r} is {G[row, p]} in row {row}: covariates are finite")
            X = np.hstack([G, X])
        return np.require(X, self.dtype, ["C", "A"])

    def of(self, block: Block, blocks: Blocks) -> Array:
        """As :meth:`numbers`; an error says where the block is."""
        try:
            return self.numbers(block.data)
        except ValueError as error:
            raise ValueError(f"{error} (of rows that begin with {blocks.where(block.first)})") from None

    def features_of(self, data: Any) -> Array:
        """The features (m, D) of a block."""
        if not is_frame(data):
            return as_rows(as_numbers(data), self.rows)
        frame = frame_of(data).select(list(self.features))
        if self.rows == "table":
            return encode(frame.to_native(), self.symbols, new=False)[0]
        if self.symbols:
            return as_symbols(encode(frame.to_native(), self.symbols, new=False)[0])
        return as_rows(frame_numbers(frame), self.rows)


@dataclass(frozen=True)
class Look:
    """What a block says beside its rows; ``named``: the columns that have a role of their own."""

    reading: Reading
    named: dict[str, str]

    def __call__(self, block: Block) -> Seen:
        data, n = block.data, rows_of(block)
        if not n:
            return Seen(0, 0, True, False, None, {}, None)
        if not self.reading.features:
            D, single = np.shape(data)[1], np.asarray(data).dtype == np.float32
            symbols = self.reading.rows == "symbols"
        else:
            first = self.reading.features_of(data[: min(n, 1)])
            D, single, symbols = first.shape[1], first.dtype == np.float32, first.dtype == np.int32
            single = single and self.reading.features_of(data).dtype == np.float32  # later rows may lack cells
        frame = frame_of(data) if self.named else None
        columns = {} if frame is None else {role: frame[name] for role, name in self.named.items()}
        runs = Runs.of(columns.pop("sequence")) if "sequence" in columns else None
        values = {role: series_numbers(series) for role, series in columns.items()}
        lengths = None if block.lengths is None else np.asarray(block.lengths)
        return Seen(n, D + len(self.reading.given), single, symbols, runs, values, lengths)


@dataclass(frozen=True, eq=False)
class Seen:
    """What :class:`Look` finds: ``n`` rows of D columns, whether in single precision, or symbols; the runs of ids; the
    values of columns with a role; the lengths of whole sequences."""

    n: int
    D: int
    single: bool
    symbols: bool
    runs: Runs | None
    values: dict[str, Array]
    lengths: Array | None


class Index:
    """What a first reading finds: how many rows there are, the ends of sequences, weights, labels."""

    def __init__(
        self, blocks: Blocks, reading: Reading, named: dict[str, str], read: tuple[str, ...], piece: int
    ) -> None:
        self._sequence = Sequences(named.get("sequence", ""), blocks.where)
        self._values: dict[str, Growing] = {role: Growing(np.float64) for role in named if role != "sequence"}
        self.lengths: list[int] | None = None
        self.starts: list[int] = []
        """The first row of each block."""
        self.single, self.symbols, self.D, self.n = True, False, 0, 0
        for seen in blocks.each(Look(reading, named), read or None, piece):
            self._add(seen, blocks)
            if blocks.n is not None and not named and seen.n and not seen.single and seen.lengths is None:
                self.n = blocks.n
                break
        if not self.n:
            raise ValueError("the data are empty: 0 row(s)")
        self.ends = self._sequence.ends(self.n) if "sequence" in named else None
        self.weights, self.labels = (
            self._values[role].array() if role in self._values else None for role in ("weight", "labels")
        )
        single = self.single and not reading.given
        self.dtype = np.dtype(np.int32 if self.symbols else np.float32 if single else np.float64)

    def _add(self, seen: Seen, blocks: Blocks) -> None:
        where = blocks.where(self.n)
        if not seen.n:
            self.starts.append(self.n)
            return
        if self.n and seen.D != self.D:
            raise ValueError(f"the first block has {self.D} columns, the one at {where} has {seen.D}")
        self.D, self.single, self.symbols = seen.D, self.single and seen.single, seen.symbols
        if seen.runs is not None:
            self._sequence.add(seen.runs, self.n)
        for role, values in seen.values.items():
            self._values[role].add(values)
        if self.n and (seen.lengths is None) != (self.lengths is None):
            raise ValueError("some blocks come with lengths and others without: give all of them lengths")
        if seen.lengths is not None and seen.runs is not None:
            raise ValueError("the sequences are given twice: by the lengths of blocks and by sequence=")
        if seen.lengths is not None:
            lengths = seen.lengths
            if lengths.dtype.kind not in "iu" or (lengths < 0).any() or int(lengths.sum()) != seen.n:
                raise ValueError(f"the lengths of the block at {where} do not add up to its {seen.n} rows")
            self.lengths = [*(self.lengths or []), *lengths.tolist()]
        self.starts.append(self.n)
        self.n += seen.n


def rows_of(block: Block) -> int:
    """Rows of a block."""
    return int(block.data.num_rows) if hasattr(block.data, "num_rows") else len(block.data)


@dataclass(frozen=True)
class _Texts:
    """The texts of columns of a block."""

    names: tuple[str, ...]

    def __call__(self, block: Block) -> list[set[str]]:
        frame = frame_of(block.data)
        return [{str(v) for v in frame[n].drop_nulls().unique().to_list()} for n in self.names]


def symbols_of(blocks: Blocks, texts: tuple[str, ...], piece: int) -> Symbols:
    """The texts of columns of texts, in the order of their names. Raises ValueError naming one without any."""
    found: list[set[str]] = [set() for _ in texts]
    for some in blocks.each(_Texts(texts), texts, piece) if texts else ():
        for all_of, more in zip(found, some, strict=True):
            all_of |= more
    for name, values in zip(texts, found, strict=True):
        if not values:
            raise ValueError(f"column {name!r} has no values: leave it out")
    return tuple((name, tuple(sorted(values))) for name, values in zip(texts, found, strict=True))
