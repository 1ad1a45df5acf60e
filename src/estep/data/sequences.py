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
        if series.null_count():
            return cls(np.zeros(0, np.int64), np.zeros(0, np.uint64), int(np.argmax(series.is_null().to_numpy())))
        hashes = _hashed(series)
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


def _hashed(series: Any) -> Array:
    """64-bit hashes of ids (splitmix64 of whole numbers, else BLAKE2b of the text)."""
    values = series.to_numpy()
    if values.dtype.kind in "iu":
        return mixed(values.astype(np.uint64))
    names, inverse = np.unique(values.astype(str), return_inverse=True)
    of_name = [int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), "little") for name in names.tolist()]
    return np.array(of_name, dtype=np.uint64)[inverse.ravel()]
