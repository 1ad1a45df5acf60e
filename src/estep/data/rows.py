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
        if isinstance(key, slice):
            return self.both(*key.indices(len(self))[:2])[0]
        return self.gathered(np.flatnonzero(key) if key.dtype == bool else key)[0]

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

    @property
    def raw(self) -> Rows:
        """The rows as they came."""
        return self

    def gathered(self, numbers: Array) -> tuple[Array, Array | None]:
        """Rows by their numbers, and their base measure, in one reading."""
        order = np.argsort(numbers, kind="stable")
        wanted, at = numbers[order], 0
        out, base = np.empty((len(numbers), self.shape[1]), self.dtype), None
        while at < len(wanted):
            first = int(wanted[at])
            stop = int(np.searchsorted(wanted, first + CHUNK))
            X, of_rows = self.both(first, int(wanted[stop - 1]) + 1)
            here = wanted[at:stop] - first
            out[order[at:stop]] = X[here]
            if of_rows is not None:
                base = np.empty(len(numbers)) if base is None else base
                base[order[at:stop]] = of_rows[here]
            at = stop
        return out, base


def in_memory(X: Any) -> bool:
    """Whether rows are an array."""
    return not isinstance(X, Rows)


def chunks(X: Any, work: Callable[[Array, int], Any]) -> list[Any]:
    """As :meth:`Rows.chunks`, of an array too."""
    if isinstance(X, Rows):
        return X.chunks(work)
    return [work(X[i : i + CHUNK], i) for i in range(0, len(X), CHUNK)]


def room(shape: Any, dtype: Any, X: Any) -> Array:
    """An array to be filled with values of rows ``X``: on disk where these are not in memory."""
    return np.empty(shape, dtype) if in_memory(X) else on_disk(shape, dtype)
