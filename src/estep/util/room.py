"""Arrays on disk, for values of rows that are not in memory either."""

from __future__ import annotations

import tempfile
from typing import Any

import numpy as np

from estep.statistics import Array

SMALL = 2**22
"""Bytes up to which they are in memory all the same."""


def on_disk(shape: Any, dtype: Any) -> Array:
    """An array of zeros in a temporary file, which goes when the array does."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    if size <= SMALL:
        return np.zeros(shape, dtype)
    with tempfile.TemporaryFile(prefix="estep-") as file:
        file.truncate(size)
        return np.memmap(file, dtype, "r+", shape=shape)


class Growing:
    """An array of one dimension that grows in a temporary file."""

    def __init__(self, dtype: Any) -> None:
        self._file, self._dtype = tempfile.TemporaryFile(prefix="estep-"), np.dtype(dtype)  # noqa: SIM115

    def add(self, values: Array) -> None:
        """More values."""
        self._file.write(np.ascontiguousarray(values, self._dtype).tobytes())

    def array(self) -> Array:
        """All of them."""
        self._file.flush()
        size = self._file.tell() // self._dtype.itemsize
        return np.memmap(self._file, self._dtype, "r+", shape=size) if size else np.zeros(0, self._dtype)
