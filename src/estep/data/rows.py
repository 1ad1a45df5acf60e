"""Rows (n, D) that are not in this process's memory: read in order, some at a time, as often as they are wanted."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from estep.statistics import Array
from estep.util.room import on_disk

CHUNK = 65536  # rows at a time of what reads all of them

Prepare = Callable[[Array, int], tuple[Array, Array | None]]
"""What a family makes of rows (n, D) from a number on: its own rows, and their base measure (n,)."""


class Rows(ABC):
    """Takes the place of an array (n, D) in a source: slices of it, and rows by their numbers, are arrays."""

    shape: tuple[int, int]
    dtype: np.dtype[Any]
    remote: ClassVar[bool] = False
    """Whether they are on a cluster, whose workers read them."""
    prepare: Prepare | None = None

    def __init__(self) -> None:
        self.passed: set[Any] = set()
        """The families that can have produced the rows."""

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: slice | Array) -> Array:
        return self.both(*key.indices(len(self))[:2])[0] if isinstance(key, slice) else self._gathered(key)

    def both(self, first: int, stop: int) -> tuple[Array, Array | None]:
        """Rows ``first`` to ``stop``, and their base measure where they are prepared."""
        X = self.read(first, max(first, stop))
        return (X, None) if self.prepare is None else self.prepare(X, first)

    @abstractmethod
    def read(self, first: int, stop: int) -> Array:
        """Rows as they came."""

    def where(self, row: int) -> str:
        """Where a row is, for a message."""
        return f"row {row}"

    def placed(self, error: ValueError) -> ValueError:
        """An error about a row that says where this is."""
        row = re.match(r"row (\d+)", str(error))
        return error if row is None else ValueError(f"{error} (in {self.where(int(row[1]))})")

    def require_room(self, rows: int, D: int) -> None:
        """Raises ValueError where leaves of so many rows (n, D) are more than can be held."""
        return

    @abstractmethod
    def prepared(self, prepare: Prepare, D: int, dtype: np.dtype[Any]) -> Rows:
        """As a family reads them: (n, D)."""

    def chunks(self, work: Callable[[Array, int], Any]) -> list[Any]:
        """What ``work`` finds of each chunk of rows and the number of its first row, in order; an error about a row
        says where this is."""
        try:
            return [work(self[i : i + CHUNK], i) for i in range(0, len(self), CHUNK)]
        except ValueError as error:
            raise self.placed(error) from None

    def _gathered(self, numbers: Array) -> Array:
        """Rows by their numbers, in one reading."""
        if numbers.dtype == bool:
            numbers = np.flatnonzero(numbers)
        order = np.argsort(numbers, kind="stable")
        wanted, out = numbers[order], np.empty((len(numbers), self.shape[1]), self.dtype)
        at = 0
        while at < len(wanted):
            first = int(wanted[at])
            stop = int(np.searchsorted(wanted, first + CHUNK))
            out[order[at:stop]] = self[first : int(wanted[stop - 1]) + 1][wanted[at:stop] - first]
            at = stop
        return out


def in_memory(X: Any) -> bool:
    """Whether rows are an array."""
    return not isinstance(X, Rows)


def chunks(X: Any, work: Callable[[Array, int], Any]) -> list[Any]:
    """As :meth:`Rows.chunks`, of an array too."""
    if isinstance(X, Rows):
        return X.chunks(work)
    return [work(X[i : i + CHUNK], i) for i in range(0, len(X), CHUNK)]


def room(shape: Any, dtype: Any, X: Any) -> Array:
    """An array of zeros for values of rows ``X``: on disk where these are not in memory."""
    return np.zeros(shape, dtype) if in_memory(X) else on_disk(shape, dtype)
