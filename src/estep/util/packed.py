"""Values that travel between processes."""

from __future__ import annotations

import pickle
from typing import Any


class Packed:
    """A value that travels as bytes: arrays that Dask sends need not be aligned, as kernels want them."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __reduce__(self) -> Any:
        return _unpacked, (pickle.dumps(self.value),)


def _unpacked(data: bytes) -> Packed:
    return Packed(pickle.loads(data))
