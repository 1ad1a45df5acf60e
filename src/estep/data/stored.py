"""Data past memory: files, Arrow data sets and iterators as a source whose rows are read some at a time.

What is kept of them are the ends of the sequences and the parameters; weights and labels go to a file of their own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePath
from threading import RLock
from typing import Any

import numpy as np

from estep.data.columns import Roles, frame_numbers, frame_of, is_frame, series_numbers
from estep.data.forms import as_rows, as_symbols
from estep.data.frames import Symbols, encode
from estep.data.given import check_weights, weights_of_rows
from estep.data.labels import Evidence, as_evidence
from estep.data.rows import CHUNK, Prepare, Rows
from estep.data.sequences import Sequences
from estep.data.source import Source
from estep.statistics import Array
from estep.tables.blocks import Block, Blocks, Iterated
from estep.util.ahead import Ahead
from estep.util.numbers import as_numbers
from estep.util.room import Growing, on_disk

MEMORY = "1GB"
"""The bound where none is given."""
OVERHEAD = 240 * 10**6
"""What reading takes by itself: the libraries, and what they keep."""
PIECES = 48
"""A block takes this part of the rest at most, as it is read; some of them wait, or are made into leaves."""
SHARE = 4
"""Data that take this part of the rest at most are read into memory."""
WIDTH = 4
"""Leaves at a time, about: they take LEAVES of the rest at most."""
LEAVES = 0.7
UNITS = {
    "": 1,
    "B": 1,
    "K": 2**10,
    "KB": 10**3,
    "M": 2**20,
    "MB": 10**6,
    "G": 2**30,
    "GB": 10**9,
    "T": 2**40,
    "TB": 10**12,
}


def memory_of(memory: Any) -> int:
    """Bytes of "500MB", "2G" or a number, without the OVERHEAD. Raises ValueError for others, and for less."""
    found = re.fullmatch(
        r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?)(i?)(B?)\s*", str(MEMORY if memory is None else memory), re.IGNORECASE
    )
    size = -1.0
    if found and not isinstance(memory, bool):
        unit = found[2].upper() if found[3] else (found[2] + found[4]).upper()
        size = float(found[1]) * UNITS[unit]
    if size <= OVERHEAD:
        least = f"more than the {OVERHEAD / 1e6:.0f} MB that reading takes by itself"
        raise ValueError(f"memory is {memory!r}: it is a size such as '500MB' or '2GB', {least}")
    return int(size) - OVERHEAD


def is_path(data: Any) -> bool:
    """Whether the data are the name of a file, or several."""
    one = isinstance(data, str | PurePath)
    return one or (isinstance(data, list | tuple) and bool(data) and all(isinstance(d, str | PurePath) for d in data))


def blocks_of(data: Any, dialect: Any = None) -> Blocks | None:
    """Data that are read block by block; None for those in memory.

    Raises TypeError for an iterator, which cannot be read again.
    """
    if isinstance(data, Blocks):
        return data
    if is_path(data):
        from estep.tables.stored_files import open_files

        return open_files([data] if isinstance(data, str | PurePath) else list(data), dialect)
    if type(data).__module__.startswith("pyarrow._dataset"):
        from estep.tables.stored_files import ArrowDataset

        return ArrowDataset(data)
    if hasattr(data, "__next__"):
        raise TypeError(
            f"the data are a {type(data).__name__}, which can be read once: give a list of arrays, or a function that "
            "makes one, so that they can be read again"
        )
    if callable(data) and not hasattr(data, "shape") and not is_frame(data):
        return Iterated(data)
    return None


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


class Stored(Rows):
    """Rows that are read from blocks, in order; from where the last reading is, where that is possible."""

    def __init__(self, blocks: Blocks, reading: Reading, n: int, D: int, memory: int) -> None:
        super().__init__()
        self.shape, self.dtype, self.memory = (n, D), np.dtype(reading.dtype), memory
        self.blocks, self.reading = blocks, reading
        self.columns = (*reading.given, *reading.features) or None
        self._state, self._lock = _Reader(), RLock()

    def __getstate__(self) -> dict[str, Any]:
        kept = {name: value for name, value in vars(self).items() if name not in ("_state", "_lock")}
        return kept

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _state=_Reader(), _lock=RLock())

    @property
    def piece(self) -> int:
        """Rows of a block."""
        return piece_of(self.memory, self.shape[1])

    def require_room(self, rows: int, D: int) -> None:
        """Raises ValueError where leaves of so many rows (n, D) are more than the memory given."""
        size = WIDTH * rows * (D if self.shape[1] == D else D + self.shape[1]) * 8 / LEAVES
        if size > self.memory:
            raise ValueError(
                f"memory is {(self.memory + OVERHEAD) / 1e6:.4g} MB: {WIDTH} leaves of {rows} rows of {D} columns want "
                f"{(size + OVERHEAD) / 1e6:.4g} MB"
            )

    def where(self, row: int) -> str:
        return self.blocks.where(row)

    def prepared(self, prepare: Prepare, D: int, dtype: np.dtype[Any]) -> Rows:
        new = Stored(self.blocks, self.reading, len(self), self.shape[1], self.memory)
        return Prepared(new, prepare, D, dtype)

    def read(self, first: int, stop: int) -> Array:
        with self._lock:
            state = self._state
            if state.scan is None or not state.low <= first <= state.high + 4 * self.piece:
                back = 0 < first < state.low and stop > state.last - 2 * (stop - first)
                state.begin(self, max(0, stop - self._window) if back else first, back)
            while state.high < stop:
                state.take(self)
            found = state.rows(first, stop, self)
            if not state.backwards:
                state.forget(first)
            state.last = first
            if stop == len(self):
                state.require_end(self)
            return found

    @property
    def _window(self) -> int:
        """Rows that are read at once going backwards."""
        return max(self.memory // 8 // (8 * self.shape[1]), 1)

    def blocks_from(self, first: int) -> Iterator[tuple[int, Array]]:
        """The rows of each block and the number of the first."""
        for block in self.blocks.read(first, self.columns, self.piece):
            yield block.first, numbers_of(self.reading, block, self.blocks)


class Prepared(Rows):
    """Rows as a family reads them."""

    def __init__(self, rows: Stored, prepare: Prepare, D: int, dtype: np.dtype[Any]) -> None:
        super().__init__()
        self._rows, self.prepare, self.shape, self.dtype = rows, prepare, (len(rows), D), dtype

    def require_room(self, rows: int, D: int) -> None:
        self._rows.require_room(rows, D)

    def where(self, row: int) -> str:
        return self._rows.where(row)

    def read(self, first: int, stop: int) -> Array:
        return self._rows.read(first, stop)

    def prepared(self, prepare: Prepare, D: int, dtype: np.dtype[Any]) -> Rows:
        raise ValueError("the data are prepared already")


class _Reader:
    """Where a reading is: it holds the rows ``low`` to ``high``."""

    def __init__(self) -> None:
        self.scan: Ahead[tuple[int, Array]] | None = None
        self.low = self.high = self.last = 0
        self.backwards = False
        self.parts: list[tuple[int, Array]] = []

    def begin(self, rows: Stored, first: int, backwards: bool) -> None:
        """Reads anew, from ``first`` on."""
        if self.scan is not None:
            self.scan.close()
        self.scan, self.parts = Ahead(rows.blocks_from(first)), []
        self.low = self.high = first
        self.backwards = backwards

    def take(self, rows: Stored) -> None:
        """Holds one more block."""
        assert self.scan is not None
        try:
            at, X = next(self.scan)
        except StopIteration:
            self.scan = None
            raise ValueError(
                f"the data have {self.high} rows, and had {len(rows)} when they were first read: leave them alone"
            ) from None
        except BaseException:
            self.scan = None
            raise
        if at + len(X) <= self.low:
            return
        if at < self.low:
            X, at = X[self.low - at :], self.low
        self.parts.append((at, X))
        self.high = at + len(X)

    def rows(self, first: int, stop: int, rows: Stored) -> Array:
        """Rows that are held."""
        some = [X[max(first - at, 0) : stop - at] for at, X in self.parts if at < stop and at + len(X) > first]
        if not some:
            return np.empty((0, rows.shape[1]), rows.dtype)
        return np.array(some[0]) if len(some) == 1 else np.concatenate(some)

    def forget(self, first: int) -> None:
        """Lets go of blocks before a row."""
        self.parts = [(at, X) for at, X in self.parts if at + len(X) > first]
        self.low = max(self.low, self.parts[0][0] if self.parts else first)

    def require_end(self, rows: Stored) -> None:
        """Raises ValueError where there are more rows than there were."""
        if self.scan is None:
            return
        scan, self.scan = self.scan, None
        for at, X in scan:
            if at + len(X) > len(rows):
                raise ValueError(
                    f"the data have more than the {len(rows)} rows that they had when they were first read"
                )


def piece_of(memory: int, D: int) -> int:
    """Rows of a block of D columns."""
    return int(min(max(memory // PIECES // (8 * D), 256), 131072))


def numbers_of(reading: Reading, block: Block, blocks: Blocks) -> Array:
    """The rows of a block; an error says where it is."""
    try:
        return reading.numbers(block.data)
    except ValueError as error:
        raise ValueError(f"{error} (of rows that begin with {blocks.where(block.first)})") from None


def opened(
    blocks: Blocks,
    *,
    rows: Any,
    columns: Sequence[str],
    sequence: str | None,
    weights: Any,
    labels: Any,
    given: Any,
    symbols: Any,
    only: tuple[str, ...],
    roles: Roles,
    wanted: tuple[str, ...],
    wanted_given: tuple[str, ...],
    chain: bool | None,
    new: bool,
    memory: Any,
) -> Source:
    """A source of blocks, in memory where they take a quarter of ``memory`` at most; see :func:`estep.as_source`."""
    most = memory_of(memory)
    known = dict(roles)
    if sequence is None and known.get("sequence") in blocks.names and chain is not False:
        sequence = known["sequence"]
    asked = {"sequence": sequence, "weight": weights, "labels": labels}
    named = {role: name for role, name in asked.items() if name is not None}
    given = (given,) if isinstance(given, str) else tuple(given or ())
    if not given and wanted_given and all(wanted_given):
        given = tuple(wanted_given)
    for role, name in (*named.items(), *(("given", g) for g in given), *(("columns", c) for c in columns)):
        if not isinstance(name, str):
            raise ValueError(f"{role} is an array: of files and blocks, give the name of a column")
        if name not in blocks.names:
            has = ", ".join(blocks.names) or "columns without names"
            raise ValueError(f"{role} is {name!r}: the data have no such column; they have {has}")
    aside = {*named.values(), *given, *(known.values() if not new else ())}
    if any(wanted):
        if missing := [w for w in wanted if w not in blocks.names and any(blocks.names)]:
            raise ValueError(
                f"the data have no column {missing[0]!r}, which the model has; they have {', '.join(blocks.names)}"
            )
        features = tuple(wanted) if blocks.names else ()
    else:
        features = tuple(columns) or tuple(n for n in (only or blocks.names) if n not in aside or n in columns)
    texts = [c for c in features if rows == "real" and blocks.is_text(c)]
    if texts:
        others = ", ".join(c for c in features if c not in texts)
        raise ValueError(f"column {texts[0]!r} is text: name the columns to read, columns=[...] (numeric: {others})")
    if blocks.names and not features:
        raise ValueError("the data have no columns beside those that are asked for as others")
    read = tuple(dict.fromkeys((*given, *features, *named.values())))
    blocks.check(read)
    size, what = blocks.widest(read or None)
    if size > most // 2:
        raise ValueError(
            f"{what} takes {size / 1e6:.4g} MB by itself: memory='{(2 * size + OVERHEAD) / 1e6:.0f}MB' holds it"
        )
    piece = piece_of(most, max(len(read), 1))
    if rows == "symbols" and symbols:  # their names, of the only column
        symbols = ((features[0], tuple(symbols)),) if features and blocks.is_text(features[0]) else ()
    elif rows != "real" and not symbols:
        symbols = _symbols(blocks, [c for c in features if blocks.is_text(c)], piece)
    reading = Reading(rows, given, features, tuple(symbols), np.float64)
    index = _Index(blocks, reading, named, read, piece, most)
    n, ends, w, evidence = index.n, index.ends, index.weights, index.labels
    if n == 0:
        raise ValueError("the data are empty: 0 row(s)")
    reading = replace(reading, dtype=index.dtype)
    stored = Stored(blocks, reading, n, index.D, most)
    if ends is None and (chain or index.lengths is not None):
        ends = np.array([n], dtype=np.int64) if index.lengths is None else np.cumsum(index.lengths, dtype=np.int64)
    X: Any = stored[0:n] if n * index.D * 8 <= most // SHARE else stored
    columns_of = (*given, *features)
    kept = tuple(named.items()) or roles
    named_symbols = tuple(symbols) if rows == "table" or not symbols else symbols[0][1]
    source = Source(
        X, ends, None, columns_of, symbols=named_symbols, roles=kept, n_given=len(given), single=X.dtype == np.float32
    )
    if evidence is not None:
        states = on_disk(n, np.int32)
        for i in range(0, n, CHUNK):
            part = as_evidence(np.asarray(evidence[i : i + CHUNK]), len(evidence[i : i + CHUNK])).labels
            states[i : i + CHUNK] = part
        source = replace(source, evidence=Evidence(labels=states))
    if w is not None:
        source = replace(source, weights=weights_of_rows(w, source) if ends is not None else check_weights(w, n, "row"))
    return source


def _symbols(blocks: Blocks, texts: list[str], piece: int) -> Symbols:
    """The texts of columns of texts, in the order of their names."""
    found: dict[str, set[str]] = {name: set() for name in texts}
    for block in blocks.read(0, texts, piece) if texts else ():
        frame = frame_of(block.data)
        for name in texts:
            found[name] |= {str(v) for v in frame[name].unique().to_list() if v is not None and str(v).strip()}
    for name, values in found.items():
        if not values:
            raise ValueError(f"column {name!r} has no values: leave it out")
    return tuple((name, tuple(sorted(values))) for name, values in found.items())


class _Index:
    """What a first reading finds beside the rows: how many there are, the ends of sequences, weights, labels."""

    def __init__(
        self, blocks: Blocks, reading: Reading, named: dict[str, str], read: tuple[str, ...], piece: int, memory: int
    ) -> None:
        self._sequence = Sequences(named.get("sequence", ""), blocks.where)
        self._named = named
        self._values: dict[str, Growing] = {role: Growing(np.float64) for role in named if role != "sequence"}
        self.lengths: list[int] | None = None
        self.dtype: Any = None
        self.D = self.n = 0
        for block in blocks.read(0, read or None, piece):
            if self.dtype is None:
                first = reading.features_of(
                    block.data[:0] if is_frame(block.data) and rows_of(block) == 0 else block.data
                )
                self.D, self.dtype = first.shape[1] + len(reading.given), first.dtype
                if blocks.n is not None and not named and self.dtype != np.float32 and block.lengths is None:
                    self.n = blocks.n
                    break
            self._add(block, reading, blocks)
        self.ends = self._sequence.ends(self.n) if "sequence" in named else None
        self.weights, self.labels = (
            self._values[role].array() if role in self._values else None for role in ("weight", "labels")
        )
        if self.dtype == np.float32 and reading.given:
            self.dtype = np.dtype(np.float64)

    def _add(self, block: Block, reading: Reading, blocks: Blocks) -> None:
        m = rows_of(block)
        if not reading.features:
            width = np.shape(block.data)[1]
            if width != self.D:
                raise ValueError(
                    f"the first block has {self.D} columns, the one at {blocks.where(block.first)} {width}"
                )
            if np.asarray(block.data).dtype != np.float32 and self.dtype == np.float32:
                self.dtype = np.dtype(np.float64)
        elif self.dtype == np.float32 and reading.features_of(block.data).dtype != np.float32:
            self.dtype = np.dtype(np.float64)
        frame = frame_of(block.data) if self._named else None
        for role, name in self._named.items():
            if role == "sequence":
                self._sequence.add(frame[name], self.n)
            else:
                self._values[role].add(series_numbers(frame[name]))
        if block.lengths is not None:
            lengths = np.asarray(block.lengths)
            if lengths.dtype.kind not in "iu" or (lengths < 0).any() or int(lengths.sum()) != m:
                raise ValueError(
                    f"the lengths of the block at {blocks.where(block.first)} do not add up to its {m} rows"
                )
            if self.lengths is None and self.n:
                raise ValueError("some blocks come with lengths and others without: give all of them lengths")
            self.lengths = [*(self.lengths or []), *lengths.tolist()]
        elif self.lengths is not None:
            raise ValueError("some blocks come with lengths and others without: give all of them lengths")
        self.n += m


def rows_of(block: Block) -> int:
    """Rows of a block."""
    return int(block.data.num_rows) if hasattr(block.data, "num_rows") else len(block.data)
