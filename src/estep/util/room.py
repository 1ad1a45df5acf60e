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
