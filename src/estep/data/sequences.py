"""Sequences by a column of ids."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b
from typing import Any

import numpy as np

from estep.data.bulk import mixed
from estep.statistics import Array


class Sequences:
    """The runs of equal values in a column of ids, which are kept as 64-bit hashes."""

    def __init__(self, name: str, where: Callable[[int], str]) -> None:
        self._name, self._where = name, where
        self._starts: list[Array] = []
        self._hashes: list[Array] = []
        self._last: Any = None

    def add(self, series: Any, first: int) -> None:
        """The ids of some rows. Raises ValueError naming a row without one."""
        if series.null_count():
            row = first + int(np.argmax(series.is_null().to_numpy()))
            raise ValueError(f"column {self._name!r} has no value in {self._where(row)}: which sequence is it of?")
        hashes = _hashed(series)
        changes = np.flatnonzero(
            np.concatenate([[self._last is None or hashes[0] != self._last], hashes[1:] != hashes[:-1]])
        )
        self._starts.append(first + changes)
        self._hashes.append(hashes[changes])
        self._last = hashes[-1]

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
