"""How rows are cut into leaves: a function of their number, their sequences and the model alone, wherever they are."""

from __future__ import annotations

from bisect import bisect
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from estep.data.batch import Halo
from estep.statistics import Array

LANES = 16  # sequences a kernel takes at a time; a leaf of many has a multiple of that
EVEN = 64  # leaves, up to which there is a power of two of them
FEW = 8  # leaves that there are at least, where each has enough rows: sequences SHORT, others up to MEDIUM
SHORT, MEDIUM = 4096, 16384
LARGE = 32768  # rows of a leaf where there are many
HALO = 1024  # rows before and after a chunk of a long sequence, from which its ends are guessed


class Cell(NamedTuple):
    """Rows ``first`` to ``stop`` of one leaf, and its sequences; of a chunk of a long one, with its halo."""

    first: int
    stop: int
    first_sequence: int = 0
    stop_sequence: int = 0
    halo: Halo | None = None

    @property
    def low(self) -> int:
        """The first row that is read."""
        return self.first - (0 if self.halo is None else self.halo.head)

    @property
    def high(self) -> int:
        """The row after the last that is read."""
        return self.stop + (0 if self.halo is None else self.halo.tail)

    @property
    def begins(self) -> bool:
        """Whether no row before it is of its first sequence."""
        return self.halo is None or self.halo.begins


def cut(n: int, ends: Array | None, rows: int, tail: int = 0) -> list[Cell]:
    """Cells of about ``rows`` of n rows, or of whole sequences with about that many; longer sequences are cut.

    They are alike in size, and up to EVEN of them a power of two, so that threads have the same to do. Where there are
    more they may be larger, so that there is little to do between them; where there are hardly any, smaller. Chunks
    have ``tail`` rows after them at least, where the sequence has.
    """
    count = -(-n // rows)
    if ends is None:
        count = max(count, min(n // min(MEDIUM, max(rows // 4, SHORT)), FEW))
    if count > EVEN:
        count = min(count, max(EVEN, -(-n // max(rows, LARGE))))
    count = min(1 << (count - 1).bit_length(), n) if count < EVEN else count
    if ends is None:
        return [Cell(a, b) for a, b in pairwise([n * i // count for i in range(count + 1)])]
    # some lanes of sequences at a time stay in the cache, however many a leaf has
    count = max(count // 2 if count < EVEN else count, min(n // SHORT, FEW), 1)
    share, cells, first, first_sequence = -(-n // count), list[Cell](), 0, 0
    long = [*np.flatnonzero(np.diff(ends, prepend=0) >= 2 * rows).tolist(), len(ends)]
    while first_sequence < len(ends):
        end = int(ends[first_sequence])
        if end - first >= 2 * rows:
            cells += _chunks(first, end, first_sequence, (end - first) // rows, tail)
            first, first_sequence = end, first_sequence + 1
            continue
        stop = int(np.searchsorted(ends, first + share)) + 1
        if stop - first_sequence > LANES // 2:
            full = min(stop + (first_sequence - stop) % LANES, len(ends))
            stop = full if ends[full - 1] - first <= 2 * share + rows else stop
        stop = min(stop, long[bisect(long, first_sequence)])
        cells.append(Cell(first, int(ends[stop - 1]), first_sequence, stop))
        first, first_sequence = int(ends[stop - 1]), stop
    return cells


def _chunks(first: int, stop: int, sequence: int, n: int, tail: int) -> list[Cell]:
    """``n`` chunks of one sequence, about as long."""
    cells = []
    for a, b in pairwise([first + (stop - first) * i // n for i in range(n + 1)]):
        low, high = max(first, a - HALO), min(stop, b + max(HALO, tail))
        cells.append(Cell(a, b, sequence, sequence + 1, Halo(a - low, high - b, a == first, b == stop)))
    return cells
