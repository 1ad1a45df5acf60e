"""Tables that are read block by block, in order, as often as they are wanted: files, Arrow data sets, iterators."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np

T = TypeVar("T")


class Block(NamedTuple):
    """Some rows: a data frame or an array, in order, the first of which has the number ``first``; ``lengths``: of whole
    sequences, where the blocks say so."""

    first: int
    data: Any
    lengths: Any = None


class Blocks(ABC):
    """A table by blocks. ``names``: of its columns, none where it has no names; ``n``: its rows, None where that is not
    known before they are read."""

    names: tuple[str, ...] = ()
    n: int | None = None

    @abstractmethod
    def read(self, first: int, columns: Sequence[str] | None, rows: int) -> Iterator[Block]:
        """Blocks of at most ``rows`` rows where they can be chosen, from the one on that holds row ``first``, or from
        one before it; ``columns``: by name, None: all."""

    def head(self, rows: int) -> Any:
        """The first block, of so many rows at most."""
        for block in self.read(0, None, rows):
            return block.data[:rows]
        raise ValueError("the data are empty: 0 row(s)")

    def each(self, work: Callable[[Block], T], columns: Sequence[str] | None, rows: int) -> Iterator[T]:
        """What ``work`` finds of each block, in order."""
        return (work(block) for block in self.read(0, columns, rows))

    @abstractmethod
    def where(self, row: int) -> str:
        """Where a row is, for a message."""

    def is_text(self, column: str) -> bool:
        """Whether a column holds texts, as far as that is known."""
        return False

    def widest(self, columns: Sequence[str] | None) -> tuple[int, str]:
        """The bytes of what has to be read at once, and what that is."""
        return 0, ""

    def check(self, columns: Sequence[str], ids: str | None = None) -> None:
        """Raises ValueError where parts of the table do not have these columns, or have others' types; ``ids``: the
        column of these, which are read as they are written."""
        return


class Iterated(Blocks):
    """What a function gives that is called anew for each reading: arrays (m, D), data frames, or ``(X, lengths)``."""

    def __init__(self, begin: Callable[[], Iterable[Any]]) -> None:
        self._begin, given = begin, begin()
        if hasattr(given, "shape") or not isinstance(given, Iterable):
            raise TypeError(f"the function gives a {type(given).__name__}: it is to give an iterator of blocks (yield)")
        first = next(iter(given), None)
        if first is None:
            raise ValueError("the data have no blocks: there is nothing to read")
        self._first, _ = _parts(first)
        columns: Any = getattr(self._first, "column_names", None) or getattr(self._first, "columns", ())
        self.names = tuple(map(str, columns)) if not isinstance(self._first, np.ndarray) else ()
        self._starts: list[int] = []

    def read(self, first: int, columns: Sequence[str] | None, rows: int) -> Iterator[Block]:
        at = 0
        for i, block in enumerate(self._begin()):
            data, lengths = _parts(block)
            if i == 0 and not _same(data, self._first):
                raise ValueError(
                    "the first block is another than when the data were first read: give a function that begins anew "
                    "with the same blocks"
                )
            if i == len(self._starts):
                self._starts.append(at)
            if self.names:
                data = _chosen(data, columns or self.names, i)
            yield Block(at, data, lengths)
            at += len(data)

    def is_text(self, column: str) -> bool:
        import narwhals as nw

        kind = nw.from_native(self._first, eager_only=True).schema[column]
        return not (kind.is_numeric() or kind == nw.Boolean)

    def where(self, row: int) -> str:
        block = int(np.searchsorted(self._starts, row, side="right")) - 1
        return f"row {row - self._starts[block]} of block {block}" if block >= 0 else f"row {row}"


def _parts(block: Any) -> tuple[Any, Any]:
    """(rows, lengths) of a block, the rows its own. Raises TypeError for what is none."""
    if isinstance(block, tuple) and len(block) == 2 and np.ndim(block[1]) == 1:
        data, lengths = block
    else:
        data, lengths = block, None
    if isinstance(data, np.ndarray) and data.ndim in (1, 2):  # a copy, as whoever made it may write into it again
        return np.array(data.reshape(-1, 1) if data.ndim == 1 else data), lengths
    columns = getattr(data, "column_names", None) or getattr(data, "columns", None)
    if columns is None or not hasattr(data, "shape"):
        raise TypeError(f"a block is a {type(data).__name__}: blocks are arrays (m, D), data frames, or (X, lengths)")
    if hasattr(data, "set_axis") and any(not isinstance(c, str) for c in columns):
        data = data.set_axis(list(map(str, columns)), axis=1)
    return data, lengths


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
        return one.shape == other.shape and np.array_equal(one, other, equal_nan=one.dtype.kind == "f")
    return type(one) is type(other) and len(one) == len(other) and bool(one.equals(other))


def _chosen(frame: Any, columns: Sequence[str], i: int) -> Any:
    """Some columns of a native data frame. Raises ValueError naming one that block ``i`` does not have."""
    import narwhals as nw

    whole = nw.from_native(frame, eager_only=True)
    if missing := [c for c in columns if c not in whole.columns]:
        raise ValueError(f"block {i} has no column {missing[0]!r}; it has {', '.join(whole.columns)}")
    return whole.select(list(columns)).to_native()
