"""Rows that are read from blocks, in order, as often as they are wanted."""

from __future__ import annotations

import re
from collections.abc import Iterator
from threading import RLock
from typing import Any

import numpy as np

from estep.data.reading import Reading, rows_of
from estep.data.rows import Prepare, Rows
from estep.statistics import Array
from estep.tables.blocks import Blocks
from estep.util.ahead import Ahead

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


def piece_of(memory: int, D: int) -> int:
    """Rows of a block of D columns."""
    return int(min(max(memory // PIECES // (8 * D), 256), 131072))


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
            held = 0 < first >= state.low and stop <= state.high  # what begins at 0 is read anew
            if not held and (state.scan is None or not state.low <= first <= state.high + 4 * self.piece):
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
            if not rows_of(block):
                continue
            yield block.first, self.reading.of(block, self.blocks)


class Prepared(Rows):
    """Rows as a family reads them."""

    def __init__(self, rows: Stored, prepare: Prepare, D: int, dtype: np.dtype[Any]) -> None:
        super().__init__()
        self._rows, self.prepare, self.shape, self.dtype = rows, prepare, (len(rows), D), dtype

    def require_room(self, rows: int, D: int) -> None:
        self._rows.require_room(rows, D)

    def where(self, row: int) -> str:
        return self._rows.where(row)

    @property
    def raw(self) -> Rows:
        return self._rows

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
