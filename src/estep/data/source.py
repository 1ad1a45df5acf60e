"""Rows as the E-step reads them: a source of them, cut into leaves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import Any

import numpy as np

from estep.data.batch import Batch, row_weights
from estep.data.columns import Roles
from estep.data.grid import Cell, cut
from estep.data.labels import Evidence
from estep.data.missing import is_missing, pattern_order, unsorted
from estep.data.rows import chunks, in_memory, room
from estep.data.summary import Summary, summarize, weights_at
from estep.statistics import Array
from estep.util.cached import cached_property


@dataclass(frozen=True, eq=False)
class Source:
    """Rows, with weights and the ends of the sequences. Made by :func:`as_source`.

    ``X`` is an array (n, D), or :class:`estep.data.rows.Rows` that are read some at a time."""

    X: Any
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
        return summarize(self.X, self.weights, self.columns, self.missing, self.ends)

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

    def batch(
        self, first: int, stop: int, first_sequence: int = 0, stop_sequence: int = 0, there: bool = False
    ) -> Batch:
        """Rows ``first`` to ``stop``, which hold the sequences named; ``there``: where they are, on a cluster."""
        ends, weights = self.ends, self.weights
        if ends is not None:
            ends = ends[first_sequence:stop_sequence] - first
            weights = None if weights is None else weights[first_sequence:stop_sequence]
        elif weights is not None:
            weights = weights[first:stop]
        X, base, known, order = self._kept(first, stop, there)
        return Batch(X, weights, ends, first, first_sequence, self.summary, None, base, known, order, self.n_given)

    def whole(self) -> Batch:
        """All rows as one batch."""
        return self.batch(0, len(self), 0, self.n_sequences)

    def row_batches(self, rows: int) -> Iterator[Batch]:
        """All rows, as independent ones, ``rows`` at a time."""
        for i in range(0, len(self), rows):
            weights = weights_at(self.weights, self.ends, slice(i, min(i + rows, len(self))))
            X, base, known, order = self._kept(i, i + rows)
            yield Batch(X, weights, None, i, 0, self.summary, None, base, known, order, self.n_given)

    def leaves(self, rows: int, tail: int = 0) -> Leaves:
        """Batches of about ``rows`` rows, or of whole sequences with about that many; longer sequences are cut (see
        :func:`estep.data.grid.cut`), into chunks with ``tail`` rows after them at least. Those that were last asked for
        are kept, with what they keep."""
        if not in_memory(self.X) and not self.X.remote:
            cells = cut(len(self), self.ends, rows, tail)
            self.X.require_room(max(cell.high - cell.low for cell in cells), self.X.shape[1])
            return Leaves(cells, self.summary, source=self)
        kept: tuple[tuple[int, int], Leaves] | None = self.__dict__.get("_leaves")
        if kept is None or kept[0] != (rows, tail):
            cells = cut(len(self), self.ends, rows, tail)
            kept = self.__dict__["_leaves"] = (
                (rows, tail),
                Leaves(cells, self.summary, [self.leaf(cell, len(cells) > 1) for cell in cells]),
            )
        return kept[1]

    def leaf(self, cell: Cell, there: bool = False) -> Batch:
        """The batch of a cell of the grid; ``there``: of rows on a cluster, where these are."""
        there = there and not in_memory(self.X) and self.X.remote
        if cell.halo is None:
            return self.batch(*cell[:4], there)
        weights = None if self.weights is None else self.weights[cell.first_sequence : cell.stop_sequence]
        X, base, known, order = self._kept(cell.low, cell.high, there)
        ends = np.array([cell.high - cell.low], dtype=np.int64)
        place = cell.first, cell.first_sequence, self.summary, cell.halo
        return Batch(X, weights, ends, *place, base, known, order, self.n_given)

    def _kept(
        self, first: int, stop: int, there: bool = False
    ) -> tuple[Any, Array | None, Evidence | None, Array | None]:
        """Some rows, their base measure, evidence and order."""
        rows = slice(first, stop)
        if there:
            X, base = self.X.part(first, stop), None
        elif in_memory(self.X):
            X, base = self.X[rows], None if self.base is None else self.base[rows]
        else:
            X, base = self.X.both(first, min(stop, len(self)))
        known = None if self.evidence is None else self.evidence.some(rows)
        return X, base, known, None if self.order is None else self.order[rows]

    def some(self, rows: slice | Array, weights: Array | None = None) -> Source:
        """Some of the rows, as independent ones with these weights."""
        if in_memory(self.X):
            X, base = self.X[rows], None if self.base is None else self.base[rows]
        elif isinstance(rows, slice):
            X, base = self.X.both(*rows.indices(len(self))[:2])
        else:
            X, base = self.X.gathered(rows)
        known = None if self.evidence is None else self.evidence.some(rows)
        some = replace(
            self,
            X=X,
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
        """Independent rows sorted by what is missing in them, where they are in memory; rows without any value have no
        weight."""
        missed, weights, empty = self.without_values(), self.weights, None
        if len(missed):
            empty = room(len(self), bool, self.X)
            empty[:] = False
            empty[missed] = True
            kept = room(len(self), float, self.X)
            kept[:] = 1.0 if weights is None else weights
            kept[missed] = 0.0
            weights = kept
        new = replace(self, weights=weights, empty=empty, unchained=True, valued=self.weight_of_values)
        if in_memory(self.X):
            order = pattern_order(self.X)
            known = None if self.evidence is None else self.evidence.some(order)
            new = replace(
                new,
                X=self.X[order],
                order=order,
                evidence=known,
                weights=None if weights is None else weights[order],
                empty=None if empty is None else empty[order],
            )
        new.__dict__["summary"] = self.summary
        return new

    @cached_property
    def weight_of_values(self) -> float:
        """The weight of the rows that have a value: the n of BIC."""
        if self.valued is not None:
            return self.valued
        if not self.summary.missing:
            return self.summary.weight
        missed = self.without_values()
        weights = weights_at(self.weights, self.ends, missed)
        if len(missed) == len(self):
            return 0.0
        return self.weight - float(len(missed) if weights is None else weights.sum())

    @property
    def weight(self) -> float:
        """The weight of all rows."""
        if self.weights is None:
            return float(len(self))
        lengths = 1 if self.ends is None else np.diff(self.ends, prepend=0)
        return float((self.weights * lengths).sum())

    def without_values(self) -> Array:
        """The numbers of rows that have no value beside covariates, in the columns that are read."""
        columns = slice(self.n_given, None) if self.read is None else list(self.read)
        return np.concatenate(chunks(self.X, partial(_missed, columns)))

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


def _missed(columns: slice | list[int], X: Array, first: int) -> Array:
    """The numbers of rows that have no value in some columns."""
    return np.asarray(first + np.flatnonzero(is_missing(X[:, columns]).all(axis=1)))


class Leaves(Sequence[Batch]):
    """The batches of some cells of a source: kept where its rows are in memory, else read each time, in order."""

    def __init__(
        self,
        cells: Sequence[Cell],
        summary: Summary,
        batches: Sequence[Batch] | None = None,
        source: Source | None = None,
    ) -> None:
        self.cells, self.summary, self.batches, self._source = cells, summary, batches, source

    @property
    def kept(self) -> bool:
        """Whether they are in memory."""
        return self.batches is not None

    @property
    def remote(self) -> bool:
        """Whether their rows are on a cluster."""
        return bool(self.batches) and self.batches[0].remote  # type: ignore[index]

    def __len__(self) -> int:
        return len(self.cells)

    def __getitem__(self, i: Any) -> Any:
        if isinstance(i, slice):
            return self.some(range(len(self))[i])
        if self.batches is not None:
            return self.batches[i]
        assert self._source is not None
        return self._source.leaf(self.cells[i])

    def some(self, numbers: Sequence[int]) -> Leaves:
        """Some of them."""
        batches = None if self.batches is None else [self.batches[i] for i in numbers]
        return Leaves([self.cells[i] for i in numbers], self.summary, batches, self._source)

    def weight(self, i: int) -> float:
        """The weight of a leaf's rows."""
        if self.batches is not None:
            return self.batches[i].weight
        assert self._source is not None
        cell, weights, ends = self.cells[i], self._source.weights, self._source.ends
        if weights is None or ends is None:
            return float(cell.stop - cell.first if weights is None else weights[cell.first : cell.stop].sum())
        if cell.halo is not None:
            return float(weights[cell.first_sequence] * (cell.stop - cell.first))
        own = slice(cell.first_sequence, cell.stop_sequence)
        return float((weights[own] * np.diff(ends[own], prepend=cell.first)).sum())
