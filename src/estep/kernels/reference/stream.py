"""A filter that is kept from one row to the next."""

from __future__ import annotations

import numpy as np

from estep.kernels.reference.chain import filtered
from estep.kernels.spec import Spec
from estep.statistics import Array


class Stream:
    """The states of a sequence, row by row: moves ``trans`` (K, K), rows read by ``spec``."""

    def __init__(self, spec: Spec, trans: Array) -> None:
        self._spec, self._trans, self._reach = spec, trans, trans[0]

    def begin(self, reach: Array) -> None:
        """What may be at the first row, (K,)."""
        self._reach = reach

    def resume(self, p: Array) -> None:
        """The distribution (K,) at the row before the next."""
        self._reach = p @ self._trans

    def update(self, row: Array, out: Array) -> bool:
        """Fills ``out`` (K,) with the distribution at a row (D,); whether that is possible: if not, nothing changes."""
        filtered(self._spec, self._reach, self._trans, np.array([1]), row[None], out[None])
        if np.isnan(out[0]):
            return False
        self.resume(out)
        return True
