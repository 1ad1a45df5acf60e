"""Expected sufficient statistics: one flat float64 vector with named views.

Every way of estimating is arithmetic on this vector: batch EM adds it over batches, checkpoints save it, threads add
it along a fixed binary tree of leaves, so that the sum does not depend on who computed which part.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


@dataclass(frozen=True)
class Layout:
    """Names and shapes of the blocks of a statistics vector, in order.

    ``origin`` is the point the statistics are taken about; statistics with different origins refuse to add.
    """

    blocks: tuple[tuple[str, tuple[int, ...]], ...]
    origin: tuple[float, ...] = ()
    offsets: dict[str, tuple[int, int, tuple[int, ...]]] = field(init=False, repr=False, compare=False)
    size: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        offsets, at = {}, 0
        for name, shape in self.blocks:
            stop = at + math.prod(shape)
            offsets[name] = (at, stop, shape)
            at = stop
        object.__setattr__(self, "offsets", offsets)
        object.__setattr__(self, "size", at)

    @classmethod
    def of(cls, *, origin: Array | None = None, **shapes: tuple[int, ...]) -> Layout:
        """``Layout.of(mass=(K,), total=(K, D))``."""
        return cls(tuple(shapes.items()), () if origin is None else tuple(origin.tolist()))


class Statistics:
    """A vector of expected sufficient statistics; ``s["mass"]`` is a view of the block of that name."""

    __slots__ = ("layout", "vector")

    def __init__(self, layout: Layout, vector: Array) -> None:
        if vector.shape != (layout.size,):
            raise ValueError(f"statistics of size {vector.shape} do not fit a layout of {layout.size}")
        self.layout = layout
        self.vector = vector

    @classmethod
    def zeros(cls, layout: Layout) -> Statistics:
        """All zero: the statistics of no data."""
        return cls(layout, np.zeros(layout.size))

    def __getitem__(self, name: str) -> Array:
        start, stop, shape = self.layout.offsets[name]
        return self.vector[start:stop].reshape(shape)

    def __setitem__(self, name: str, value: Any) -> None:
        self[name][...] = value

    def add(self, other: Statistics) -> Statistics:
        """Adds ``other`` in place and returns self.

        Raises ValueError where the layouts or the origins differ.
        """
        if self.layout is not other.layout and self.layout != other.layout:
            raise ValueError("statistics with different layouts or origins do not add")
        self.vector += other.vector
        return self


def weighted(values: Array, weights: Array | None) -> float:
    """The weighted sum of values (n,), of which those without a weight do not count, whatever they are."""
    if weights is None:
        return float(values.sum())
    used = weights > 0
    return float(weights[used] @ values[used])


def tree_sum(leaf: Callable[[int], Statistics], n: int, level: int, index: int = 0) -> Statistics:
    """The sum over leaves ``index * 2**level`` to ``(index + 1) * 2**level`` (below ``n``) along the binary tree."""
    if level == 0:
        return leaf(index)
    left = tree_sum(leaf, n, level - 1, 2 * index)
    if (2 * index + 1) << (level - 1) >= n:
        return left
    return left.add(tree_sum(leaf, n, level - 1, 2 * index + 1))
