"""What one call of an E-step reads: consecutive rows of a source."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from estep import kernels
from estep.data.labels import Evidence
from estep.data.missing import Patterns
from estep.data.summary import Summary
from estep.kernels.spec import Spec
from estep.statistics import Array, weighted
from estep.util.cached import cached_property


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
    n_given: int = 0  # the first columns are covariates

    @property
    def given(self) -> Array:
        """The covariates (n, P) of the rows."""
        return self.X[:, : self.n_given]

    @property
    def observed(self) -> Array:
        """The rows without their covariates, (n, D)."""
        return self.X[:, self.n_given :]

    @property
    def remote(self) -> bool:
        """Whether its rows are on a cluster."""
        return not isinstance(self.X, np.ndarray)

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


def row_weights(weights: Array | None, ends: Array | None) -> Array | None:
    """Weights of rows from weights of rows or sequences."""
    return weights if weights is None or ends is None else np.repeat(weights, np.diff(ends, prepend=0))
