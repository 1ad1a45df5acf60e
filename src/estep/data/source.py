"""Rows as the E-step reads them: a source of them, cut into leaves."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from estep import kernels
from estep.data.columns import Roles
from estep.data.labels import Evidence
from estep.data.missing import Patterns, is_missing, pattern_order, unsorted
from estep.data.summary import Summary, summarize
from estep.kernels.spec import Spec
from estep.statistics import Array, weighted
from estep.util.cached import cached_property

LANES = 16  # sequences a kernel takes at a time; a leaf of many has a multiple of that
EVEN = 64  # leaves, up to which there is a power of two of them
FEW = 8  # leaves that there are at least, where each has enough rows: sequences SHORT, others up to MEDIUM
SHORT, MEDIUM = 4096, 16384
LARGE = 32768  # rows of a leaf where there are many
HALO = 1024  # rows before and after a chunk of a long sequence, from which its ends are guessed


class Halo(NamedTuple):
    """A chunk of a long sequence: rows before and after it that only warm up, and whether it holds its ends."""

    head: int
    tail: int
    begins: bool
    closes: bool


@dataclass(frozen=True, eq=False)
class Batch:
    """Consecutive rows of a source: what one call of ``Model.expect`` reads."""

    X: Array  # (n, D)
    weights: Array | None  # (n,); chains: (S,), one a sequence
    ends: Array | None  # (S,) int64, the first row after each sequence; None: rows are independent
    first_row: int
    first_sequence: int
    summary: Summary
    halo: Halo | None = None  # for a chunk of one long sequence
    base: Array | None = None  # (n,), what all components have in common in a row's log-density
    evidence: Evidence | None = None  # what is known of the rows' states
    order: Array | None = None  # where the rows were when they came, where they have been sorted

    def row(self, i: int) -> int:
        """The number of row ``i`` of the batch when it came."""
        at = self.first_row + i - self.own.start
        return at if self.order is None else int(self.order[i])

    def allowed(self, K: int) -> Array | None:
        """Which of K states each row may have, (n, K) bytes; None: all."""
        return None if self.evidence is None else self.evidence.allowed(K)

    @cached_property
    def base_of_units(self) -> Array | float:
        """The base measure of each row or sequence, of the rows that count; 0 where there is none."""
        if self.base is None or self.ends is None:
            return 0.0 if self.base is None else self.base
        cuts = np.array([self.own.start, *self.ends[:-1], self.own.stop])
        sums = np.concatenate([[0.0], np.cumsum(self.base)])
        return np.asarray(sums[cuts[1:]] - sums[cuts[:-1]])

    @cached_property
    def weighted_base(self) -> float:
        """The weighted sum of the base measures; 0 where there is none."""
        return 0.0 if self.base is None else weighted(np.asarray(self.base_of_units), self.weights)

    @cached_property
    def patterns(self) -> Patterns:
        """The rows by what is missing in them; kept."""
        return Patterns.of(self.X)

    @property
    def row_weights(self) -> Array | None:
        """The weight of each row (n,), None where all are 1."""
        return row_weights(self.weights, self.ends)

    @property
    def own(self) -> slice:
        """The rows of ``X`` that count: all but a halo's."""
        return slice(0, len(self.X)) if self.halo is None else slice(self.halo.head, len(self.X) - self.halo.tail)

    @property
    def place(self) -> slice:
        """Where the rows that count are in the source."""
        return slice(self.first_row, self.first_row + self.own.stop - self.own.start)

    def cross_moments(self, origin: Array) -> Array:
        """The weighted sum of x_i x_j (i <= j) over the rows about ``origin``, (D (D + 1) / 2,); kept."""
        kept: tuple[Array, Array] | None = self.__dict__.get("_cross_moments")
        if kept is None or not np.array_equal(kept[0], origin):
            kept = self.__dict__["_cross_moments"] = origin, self._cross_moments_of(self.row_weights, origin)
        return kept[1]

    def _cross_moments_of(self, weights: Array | None, origin: Array) -> Array:
        """As :meth:`cross_moments`, with weights (n,) of the rows."""
        total = np.zeros((len(origin), len(origin)))
        for i in range(self.own.start, self.own.stop, 4096):
            some = slice(i, min(i + 4096, self.own.stop))
            x = self.X[some].astype(np.float64) - origin
            total += (x if weights is None else x * weights[some, None]).T @ x
        return np.asarray(total[np.triu_indices(len(origin))])

    def accumulate(self, spec: Spec, r: Array, stats: Array) -> None:
        """Adds what ``spec`` sums up of the rows under responsibilities ``r`` (n, K), weights included."""
        r = np.ascontiguousarray(r, dtype=np.float64)
        if spec.shares:  # second moments are of all components together
            assert spec.origin is not None
            cross = self._cross_moments_of(r.sum(axis=1), spec.origin)
            stats[-len(cross) :] += cross
            spec, stats = spec.linear, stats[: -len(cross)]
        kernels.active().accumulate(spec, self.X, r, stats)

    @cached_property
    def weight(self) -> float:
        """The weight of the rows that count."""
        if self.weights is None:
            return float(self.own.stop - self.own.start)
        if self.halo is not None:
            return float(self.weights[0].item() * (self.own.stop - self.own.start))
        weights = self.row_weights
        assert weights is not None
        return float(weights.sum().item())


@dataclass(frozen=True, eq=False)
class Source:
    """Rows in memory, with weights and the ends of the sequences. Made by :func:`as_source`."""

    X: Array
    ends: Array | None = None
    weights: Array | None = None
    columns: tuple[str, ...] = ()
    base: Array | None = None  # see Batch
    preparation: str = ""  # what a family made of the rows, see Emission.prepare
    order: Array | None = None  # where the rows were when they came, where they have been sorted
    missing: bool = False  # whether cells were missing before a family made something of the rows
    evidence: Evidence | None = None  # what is known of the rows' states
    empty: Array | None = None  # (n,), which rows have no value at all
    symbols: tuple[Any, ...] = ()  # of the columns of a table that are texts, see estep.data.frames
    roles: Roles = ()  # columns of the data that are no features, see estep.data.columns
    n_given: int = 0  # the first columns are covariates
    unchained: bool = False  # whether a mixture has made them independent rows
    read: tuple[int, ...] | None = None  # the columns that the family reads; None: all
    single: bool = False  # whether the rows came in single precision
    valued: float | None = None  # the weight of rows with a value, kept before a family makes something of them

    def __len__(self) -> int:
        return len(self.X)

    def __getstate__(self) -> dict[str, Any]:
        return {f.name: getattr(self, f.name) for f in fields(self)}  # what is kept stays behind

    @property
    def all_ends(self) -> Array:
        """The ends of the sequences; rows without are one."""
        return np.array([len(self)], dtype=np.int64) if self.ends is None else self.ends

    @property
    def n_sequences(self) -> int:
        """Sequences, or rows where these are independent."""
        return len(self.X) if self.ends is None else len(self.ends)

    @cached_property
    def summary(self) -> Summary:
        """Mean, variance and range of each column, from one validating pass."""
        return summarize(self.X, self.row_weights, self.columns, self.missing)

    def reading(self, columns: Sequence[int]) -> Source:
        """The same rows, of which a family reads these columns alone."""
        new = replace(self, read=tuple(columns))
        new.__dict__["summary"] = self.summary
        return new

    def in_double(self) -> Source:
        """The same rows without weights, whose log-densities are taken in double precision whatever theirs is."""
        new = replace(self, weights=None)
        new.__dict__["summary"] = replace(self.summary, single=False)
        return new

    def batch(self, first: int, stop: int, first_sequence: int = 0, stop_sequence: int = 0) -> Batch:
        """Rows ``first`` to ``stop``, which hold the sequences named."""
        ends, weights = self.ends, self.weights
        if ends is not None:
            ends = ends[first_sequence:stop_sequence] - first
            weights = None if weights is None else weights[first_sequence:stop_sequence]
        elif weights is not None:
            weights = weights[first:stop]
        kept = self._kept(first, stop)
        return Batch(self.X[first:stop], weights, ends, first, first_sequence, self.summary, None, *kept)

    def whole(self) -> Batch:
        """All rows as one batch."""
        return self.batch(0, len(self), 0, self.n_sequences)

    def row_batches(self, rows: int) -> Iterator[Batch]:
        """All rows, as independent ones, ``rows`` at a time."""
        weights = self.row_weights
        for i in range(0, len(self), rows):
            w = None if weights is None else weights[i : i + rows]
            kept = self._kept(i, i + rows)
            yield Batch(self.X[i : i + rows], w, None, i, 0, self.summary, None, *kept)

    def leaves(self, rows: int) -> list[Batch]:
        """Batches of about ``rows`` rows, or of whole sequences with about that many; longer sequences are cut.

        They are alike in size, and up to EVEN of them a power of two, so that threads have the same to do. Where there
        are more they may be larger, so that there is little to do between them; where there are hardly any, smaller.
        Those that were last asked for are kept, with what they keep.
        """
        kept: tuple[int, list[Batch]] | None = self.__dict__.get("_leaves")
        if kept is None or kept[0] != rows:
            kept = self.__dict__["_leaves"] = rows, self._cut(rows)
        return kept[1]

    def _cut(self, rows: int) -> list[Batch]:
        n = len(self)
        count = -(-n // rows)
        if self.ends is None:
            count = max(count, min(n // min(MEDIUM, max(rows // 4, SHORT)), FEW))
        if count > EVEN:
            count = min(count, max(EVEN, -(-n // max(rows, LARGE))))
        count = min(1 << (count - 1).bit_length(), n) if count < EVEN else count
        if self.ends is not None:  # some lanes of sequences at a time stay in the cache, however many a leaf has
            count = max(count // 2 if count < EVEN else count, min(n // SHORT, FEW), 1)
        if self.ends is None:
            return [self.batch(a, b) for a, b in pairwise([n * i // count for i in range(count + 1)])]
        share, leaves, first, first_sequence = -(-n // count), [], 0, 0
        cut = [*np.flatnonzero(np.diff(self.ends, prepend=0) >= 2 * rows).tolist(), len(self.ends)]
        while first_sequence < len(self.ends):
            end = int(self.ends[first_sequence])
            if end - first >= 2 * rows:
                leaves += self._chunks_of(first, end, first_sequence, (end - first) // rows)
                first, first_sequence = end, first_sequence + 1
                continue
            stop = int(np.searchsorted(self.ends, first + share)) + 1
            if stop - first_sequence > LANES // 2:
                full = min(stop + (first_sequence - stop) % LANES, len(self.ends))
                stop = full if self.ends[full - 1] - first <= 2 * share + rows else stop
            stop = min(stop, cut[bisect(cut, first_sequence)])
            leaves.append(self.batch(first, int(self.ends[stop - 1]), first_sequence, stop))
            first, first_sequence = int(self.ends[stop - 1]), stop
        return leaves

    def _chunks_of(self, first: int, stop: int, sequence: int, n: int) -> list[Batch]:
        """``n`` chunks of one sequence, about as long."""
        weights = None if self.weights is None else self.weights[sequence : sequence + 1]
        chunks = []
        cuts = [first + (stop - first) * i // n for i in range(n + 1)]
        for a, b in pairwise(cuts):
            low, high = max(first, a - HALO), min(stop, b + HALO)
            ends = np.array([high - low], dtype=np.int64)
            halo = Halo(a - low, high - b, a == first, b == stop)
            kept = self._kept(low, high)
            chunks.append(Batch(self.X[low:high], weights, ends, a, sequence, self.summary, halo, *kept))
        return chunks

    def _kept(self, first: int, stop: int) -> tuple[Array | None, Evidence | None, Array | None]:
        """Base measure, evidence and order of some rows."""
        rows = slice(first, stop)
        return (
            None if self.base is None else self.base[rows],
            None if self.evidence is None else self.evidence.some(rows),
            None if self.order is None else self.order[rows],
        )

    def some(self, rows: slice | Array, weights: Array | None = None) -> Source:
        """Some of the rows, as independent ones with these weights."""
        base = None if self.base is None else self.base[rows]
        known = None if self.evidence is None else self.evidence.some(rows)
        some = replace(
            self,
            X=self.X[rows],
            ends=None,
            weights=weights,
            base=base,
            order=None,
            evidence=known,
            empty=None,
            valued=None,
        )
        return replace(some, missing=self.summary.missing)

    def window(self, first: int, rows: int) -> Source:
        """So many rows from ``first`` on, with the parts of sequences in them."""
        assert self.ends is not None
        stop = min(first + rows, len(self))
        inside = np.flatnonzero((self.ends > first) & (np.concatenate([[0], self.ends[:-1]]) < stop))
        weights = None if self.weights is None else self.weights[inside]
        ends = np.minimum(self.ends[inside], stop) - first
        some = self.some(slice(first, stop))
        new = replace(some, ends=ends.astype(np.int64), weights=weights)
        new.__dict__["summary"] = self.summary
        return new

    def chained(self) -> Source:
        """As sequences: rows without ends are one. Raises ValueError where such rows have different weights."""
        if self.unchained:
            raise ValueError("the data were prepared for a mixture, whose rows have no order: give them as they came")
        if self.ends is not None:
            return self
        weights = self.weights
        if weights is not None and (weights != weights[0]).any():
            raise ValueError("a chain's weights are one a sequence: give lengths too")
        one = None if weights is None else weights[:1]
        new = replace(self, ends=self.all_ends, weights=one)
        new.__dict__["summary"] = self.summary
        return new

    def by_pattern(self) -> Source:
        """Independent rows sorted by what is missing in them; rows without any value have no weight."""
        order, empty = pattern_order(self.X), self._without_values()
        weights = self.weights
        if empty.any():
            weights = np.where(empty, 0.0, 1.0 if weights is None else weights)
        known = None if self.evidence is None else self.evidence.some(order)
        weights = None if weights is None else weights[order]
        new = replace(self, X=self.X[order], weights=weights, order=order, evidence=known, unchained=True)
        new = replace(new, empty=empty[order] if empty.any() else None, valued=self.weight_of_values)
        new.__dict__["summary"] = self.summary
        return new

    @cached_property
    def weight_of_values(self) -> float:
        """The weight of the rows that have a value: the n of BIC."""
        if self.valued is not None:
            return self.valued
        if not self.summary.missing:
            return self.summary.weight
        observed = ~self._without_values()
        weights = self.row_weights
        return float(observed.sum() if weights is None else weights[observed].sum())

    def _without_values(self) -> Array:
        """Which rows (n,) have no value beside covariates, in the columns that are read."""
        columns = slice(self.n_given, None) if self.read is None else list(self.read)
        return np.asarray(is_missing(self.X[:, columns]).all(axis=1))

    def unsorted(self, values: Array) -> Array:
        """Values of the rows (n, ...) in the order in which the rows came."""
        return unsorted(values, self.order)

    def place(self, row: int) -> int:
        """Where a row was when the rows came."""
        return row if self.order is None else int(self.order[row])

    def independent(self) -> Source:
        """As rows without sequences."""
        if self.ends is None:
            return self
        new = replace(self, ends=None, weights=self.row_weights, unchained=True)
        new.__dict__["summary"] = self.summary
        return new

    @property
    def row_weights(self) -> Array | None:
        """The weight of each row (n,), None where all are 1."""
        return row_weights(self.weights, self.ends)


def row_weights(weights: Array | None, ends: Array | None) -> Array | None:
    """Weights of rows from weights of rows or sequences."""
    return weights if weights is None or ends is None else np.repeat(weights, np.diff(ends, prepend=0))
