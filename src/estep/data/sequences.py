"""Sequences by a column of ids."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np

from estep.data.bulk import mixed
from estep.statistics import Array


@dataclass(frozen=True, eq=False)
class Runs:
    """The runs of equal ids in some rows: their first rows and hashes; ``empty``: the first row without an id."""

    starts: Array
    hashes: Array
    empty: int | None

    @classmethod
    def of(cls, series: Any) -> Runs:
        """Those of a column."""
        values = _values(series)
        empty = [v is None or v == "" or v != v for v in values] if values.dtype == object else []
        if any(empty):
            return cls(np.zeros(0, np.int64), np.zeros(0, np.uint64), empty.index(True))
        hashes = _hashed(values)
        starts = np.flatnonzero(np.concatenate([[True] * bool(len(hashes)), hashes[1:] != hashes[:-1]]))
        return cls(starts, hashes[starts], None)


class Sequences:
    """The runs of equal values in a column of ids, which are kept as 64-bit hashes."""

    def __init__(self, name: str, where: Callable[[int], str]) -> None:
        self._name, self._where = name, where
        self._starts: list[Array] = []
        self._hashes: list[Array] = []
        self._last: Any = None

    def add(self, runs: Runs, first: int) -> None:
        """The ids of more rows. Raises ValueError naming a row without one."""
        if runs.empty is not None:
            where = self._where(first + runs.empty)
            raise ValueError(f"column {self._name!r} has no value in {where}: which sequence is it of?")
        if not len(runs.hashes):
            return
        new = slice(int(self._last is not None and runs.hashes[0] == self._last), None)
        self._starts.append(first + runs.starts[new])
        self._hashes.append(runs.hashes[new])
        self._last = runs.hashes[-1]

    def ends(self, n: int) -> Array:
        """The ends (S,) of the sequences. Raises ValueError where an id comes back."""
        starts, hashes = np.concatenate(self._starts), np.concatenate(self._hashes)
        order = np.argsort(hashes, kind="stable")
        same = np.flatnonzero(hashes[order][1:] == hashes[order][:-1])
        if len(same):
            again = int(order[same + 1].min())
            before = int(np.flatnonzero(hashes == hashes[again])[0])
            where, was = (self._where(int(starts[i])) for i in (again, before))
            raise ValueError(
                f"column {self._name!r}: the sequence of {where} has begun at {was} already: its rows are not "
                "together, sort the data by it"
            )
        return np.append(starts[1:], n).astype(np.int64)


def _values(series: Any) -> Array:
    """Ids as whole numbers, where they are such, whatever their type; dates as nanoseconds; else as objects."""
    values = np.asarray(series.to_numpy())
    if values.dtype.kind == "M":
        return values.astype("datetime64[ns]").astype(np.int64)
    if values.dtype.kind == "f" and np.array_equal(values, np.floor(values)) and (np.abs(values) < 2**63).all():
        return values.astype(np.int64)
    if values.dtype.kind in "iub":
        return values
    values = np.array(series.to_list(), dtype=object)
    whole = all(isinstance(v, int) and -(2**63) <= v < 2**63 for v in values)
    return values.astype(np.int64) if whole and len(values) else values


def _hashed(values: Array) -> Array:
    """64-bit hashes of ids (splitmix64 of whole numbers, else BLAKE2b of the text)."""
    if values.dtype.kind in "iub":
        return mixed(values.astype(np.uint64))
    names, inverse = np.unique(values.astype(str), return_inverse=True)
    of_name = [int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), "little") for name in names.tolist()]
    return np.array(of_name, dtype=np.uint64)[inverse.ravel()]
