"""Known and partly known states: what is said of each row, kept compact and spread out a leaf at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from estep.statistics import Array
from estep.util.numbers import as_numbers


@dataclass(frozen=True, eq=False)
class Evidence:
    """``labels`` (n,): the state of each row, -1 where unknown; or ``bits``, packed rows of K: the states allowed."""

    labels: Array | None = None
    bits: Array | None = None
    n_states: int | None = None

    def some(self, rows: slice | Array) -> Evidence:
        """Of some of the rows."""
        labels = None if self.labels is None else self.labels[rows]
        return Evidence(labels, None if self.bits is None else self.bits[rows], self.n_states)

    def allowed(self, K: int) -> Array:
        """Which states each row may have, (n, K) bytes."""
        if self.bits is not None:
            return np.unpackbits(self.bits, axis=1, count=K)
        assert self.labels is not None
        known = self.labels[:, None]
        return np.ascontiguousarray((known < 0) | (known == np.arange(K)), dtype=np.uint8)

    def check(self, K: int) -> None:
        """Raises ValueError unless the states named are 0 to K - 1."""
        if self.n_states is not None and self.n_states != K:
            raise ValueError(f"labels are masks of {self.n_states} states; the model has {K}")
        if self.labels is not None and (self.labels >= K).any():
            row = int(np.argmax(self.labels >= K))
            raise ValueError(f"labels[{row}] is {self.labels[row]}: states are 0 to {K - 1}, -1 is unknown")


def as_evidence(labels: Any, n: int) -> Evidence:
    """Evidence from labels of n rows: states (n,), -1 or missing for unknown ones, or masks (n, K) of those allowed.

    Raises ValueError for other shapes and values, and for a row that allows no state.
    """
    array = as_numbers(labels, "labels")
    if len(array) != n if array.ndim else True:
        raise ValueError(f"labels are of {len(array) if array.ndim else 1} rows; the data have {n}")
    if array.ndim == 1 and array.dtype.kind == "f":
        array = np.where(np.isnan(array), -1, array)  # missing: unknown
    if array.ndim == 2 and array.dtype.kind in ("b", "u"):
        mask = array != 0
        if not mask.any(axis=1).all():
            raise ValueError(f"labels[{int(np.argmin(mask.any(axis=1)))}] allows no state")
        return Evidence(bits=np.packbits(mask, axis=1), n_states=mask.shape[1])
    if array.ndim != 1 or array.dtype.kind not in "iuf" or not (array == np.floor(array)).all():
        raise ValueError(
            "labels are whole numbers (n,), -1 for unknown, or a boolean mask (n, K) of the states allowed"
        )
    if (array < -1).any():
        row = int(np.argmax(array < -1))
        raise ValueError(f"labels[{row}] is {array[row]}: states are 0, 1, 2, ..., -1 is unknown")
    if (array >= 2**31).any():
        raise ValueError(f"labels[{int(np.argmax(array))}] is {array.max()}: there are not so many states")
    return Evidence(labels=array.astype(np.int32))
