"""Negative binomial emissions: counts that vary more than a Poisson's, independent between columns given the state.

The statistics are histograms, which say all there is to know of counts; densities are looked up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Self

import numpy as np

from estep.data.batch import Batch
from estep.data.summary import Summary
from estep.emissions._shared.rows import (
    NOTHING,
    check_cells,
    check_columns,
    column_of,
    kernel_evaluation,
    missing,
    require_columns,
)
from estep.interface import Emission, Evaluation, Margin, Notes
from estep.kernels.spec import NEVER, Spec
from estep.parameters.domains import Numbers, Parameter, ratios
from estep.statistics import Array, Layout, Statistics

LARGEST = 100_000
"""The largest count: tables are as long."""
LEAST, MOST = 1e-6, 1e8
"""Sizes: the smallest, and the largest, which is a Poisson."""


@dataclass(frozen=True, eq=False)
class NegativeBinomial(Emission):
    """Means ``means`` and sizes ``sizes`` (K, D): the variance is mean + mean^2 / size.

    In other words: the failures before the size-th success, of probability size / (size + mean); or a Poisson whose
    rate is gamma distributed with shape ``sizes``. ``n_counts``: the histograms hold counts below it; from the data,
    where these have larger ones.
    """

    means: Array | None = None
    sizes: Array | None = None
    n_counts: int | None = None
    has_missing: bool = field(default=False, kw_only=True, repr=False, metadata={"optional": True})
    """The histograms have a first row for cells that are missing."""

    name: ClassVar[str] = "negative_binomial"
    parameters: ClassVar[tuple[str, ...]] = ("means", "sizes")
    smoothed: ClassVar[tuple[str, ...]] = ("means",)
    allows_missing: ClassVar[bool] = True
    can_fix_subset: ClassVar[bool] = True
    tabulated: ClassVar[bool] = True

    def __post_init__(self) -> None:
        for name in self.parameters:
            if getattr(self, name) is not None and np.ndim(getattr(self, name)) == 1:
                object.__setattr__(self, name, np.reshape(getattr(self, name), (-1, 1)))
        M = self.n_counts
        if M is not None and (not isinstance(M, int) or isinstance(M, bool) or not 1 <= M <= LARGEST + 1):
            raise ValueError(f"n_counts is {M!r}: it is a whole number from 1 to {LARGEST + 1}")
        shape = None if self.means is None else np.shape(self.means)
        if shape is not None and len(shape) != 2:
            raise ValueError(f"means has shape {shape}, expected (K, D)")
        for name, parameter in self.describe().items():
            if (value := self.freeze(name, shape)) is not None:
                parameter.domain.check(name, value)

    def _values(self) -> tuple[Array, Array]:
        if self.means is None or self.sizes is None:
            raise missing(self.name, "means" if self.means is None else "sizes")
        return self.means, self.sizes

    @property
    def n_components(self) -> int:
        return len(self._values()[0])

    def describe(self) -> dict[str, Parameter]:
        return {"means": Parameter(Numbers(0.0), one="mean"), "sizes": Parameter(Numbers(LEAST, MOST), one="size")}

    @property
    def layout(self) -> Layout:
        """counts (K, M, D): how often each count came up."""
        K, D = self._values()[0].shape
        return Layout.of(counts=(K, (self.n_counts or 1) + self.has_missing, D))

    @property
    def work(self) -> int:
        return 4 * self._values()[0].size

    @property
    def preparation(self) -> str:
        return self.name

    @property
    def counts_missing(self) -> bool:
        return True

    def prepare(self, X: Array, summary: Summary) -> tuple[Array, Array | None]:
        """Row numbers of one table for all columns: count x of column d is row x D + d."""
        D = X.shape[1]
        if summary.missing:
            X = np.where(np.isnan(X), 0, X + 1)
        return (X * D + np.arange(D)).astype(np.int32), None

    def clustering_features(self, X: Array, summary: Summary) -> Array:
        if not summary.missing:
            return X
        missing = X.shape[1] > X
        total = np.where(missing, 0, X).sum(axis=0)
        return np.where(missing, total / np.maximum((~missing).sum(axis=0), 1), X)

    def start(self, n_components: int, summary: Summary) -> Self:
        D = len(summary.mean)
        mean = np.maximum((summary.mean - np.arange(D)) / D - summary.missing, 1e-3)
        variance = summary.variance / D**2
        sizes = np.clip(mean**2 / np.maximum(variance - mean, 1e-3 * mean), 1e-3, 1e3)
        means = np.tile(mean, (n_components, 1)) if self.means is None else self.means
        given = np.tile(sizes, (n_components, 1)) if self.sizes is None else self.sizes
        return type(self)(means, given, self.n_counts).adapt(summary)

    def adapt(self, summary: Summary) -> Self:
        return self.evolve(n_counts=self._n_counts(summary), has_missing=summary.missing)

    def _n_counts(self, summary: Summary) -> int:
        """Rows of the table without that of missing cells."""
        return max(self.n_counts or 1, int(summary.high.max()) // len(summary.high) + (not summary.missing))

    def evaluate(self, batch: Batch) -> Evaluation:
        return kernel_evaluation(self.kernel(batch.summary), batch)

    def kernel(self, summary: Summary) -> Spec:
        K, D = self._values()[0].shape
        table = self._table(self._n_counts(summary))
        if summary.missing:
            table = np.concatenate([np.zeros((K, 1, D)), table], axis=1)
        return Spec("table", K, D, M=table.shape[1] * D, weights=table.reshape(K, -1))

    def _table(self, M: int) -> Array:
        """log p of the counts 0 .. M - 1, (K, M, D): a running sum of the logs of their ratios."""
        mean, size = (a[:, None] for a in self._values())
        x = np.arange(M - 1)[:, None]
        with np.errstate(divide="ignore", over="ignore"):
            steps = np.log((size + x) / (size + mean) / (x + 1)) + np.log(mean)
        first = -size * np.log1p(mean / size)
        return np.asarray(np.maximum(np.cumsum(np.concatenate([first, steps], axis=1), axis=1), NEVER))

    def maximize(self, s: Statistics) -> tuple[Self, Notes]:
        """The mean is the weighted mean; the size by Newton's method on its logarithm (Anscombe 1950)."""
        return self.maximize_holding(s, {})

    def maximize_holding(self, s: Statistics, held: Mapping[str, Array]) -> tuple[Self, Notes]:
        counts = s["counts"][:, self.has_missing :]
        mass = counts.sum(axis=1)
        seen = mass > NOTHING * mass.sum()
        safe = np.where(seen, mass, 1.0)
        x = np.arange(counts.shape[1])
        mean = np.where(seen, np.tensordot(counts, x, axes=(1, 0)) / safe, 1.0)
        above = (np.cumsum(counts[:, ::-1], axis=1)[:, ::-1] - counts)[:, :-1] / safe[:, None]
        old_means, old_sizes = self._values()
        own = np.zeros((len(mean), 1), bool)
        keep_mean, keep_size = (held[n][:, None] if n in held else own for n in self.parameters)
        fresh = np.where(keep_mean, old_means, mean)
        size = _size(above, mean, fresh, old_sizes)
        new = {"means": np.where(seen, fresh, old_means), "sizes": np.where(seen & ~keep_size, size, old_sizes)}
        return self.evolve(**new), ()

    def margins(self, rows: Array | None = None) -> Sequence[Margin]:
        from scipy import stats

        means, sizes = self._values()
        law = stats.nbinom(n=sizes, p=sizes / (sizes + means))
        return [Margin("count", column_of(law, d)) for d in range(self.n_columns)]

    def of_columns(self, columns: Sequence[int]) -> Self:
        means, sizes = self._values()
        return type(self)(means[:, columns], sizes[:, columns], self.n_counts)

    def fill(self, rows: Array, states: Array, rng: np.random.Generator) -> Array:
        return self.fill_apart(rows, states, rng)

    def slopes(self, s: Statistics) -> dict[str, Array]:
        from scipy.special import digamma

        counts, (means, sizes) = s["counts"][:, self.has_missing :], self._values()
        x, mean, size = np.arange(counts.shape[1])[:, None], means[:, None], sizes[:, None]
        beside = (x + size) / (size + mean)
        of_mean = ratios(counts * x, np.broadcast_to(mean, counts.shape)) - counts * beside
        of_size = counts * (digamma(x + size) - digamma(size) - np.log1p(mean / size) + 1 - beside)
        return {"means": of_mean.sum(axis=1), "sizes": of_size.sum(axis=1)}

    def sample(self, states: Array, rng: np.random.Generator) -> Array:
        means, sizes = self._values()
        return rng.poisson(rng.gamma(sizes[states], (means / sizes)[states])).astype(np.float64)

    def check_prepared(self, summary: Summary) -> None:
        if self.means is not None:
            require_columns(len(summary.mean), self.n_columns)

    def validate(self, batch: Batch) -> None:
        X = batch.X
        if self.means is not None:
            check_columns(batch, self.n_columns)
        wants = f"counts 0, 1, 2, ... up to {LARGEST}; for larger ones take gamma or log_normal"
        check_cells(batch, (X >= 0) & (np.floor(X) == X) & (X <= LARGEST) | np.isnan(X), self.name, wants)


@np.errstate(divide="ignore", invalid="ignore")
def _size(above: Array, seen: Array, mean: Array, start: Array) -> Array:
    """The size that maximises the likelihood; ``above`` (K, M - 1, D): the share of counts above 0, 1, ...

    With ``seen`` the mean of the counts, the derivative is the sum of above[j] / (size + j) less log(1 + mean / size)
    and, where ``mean`` is another, (seen - mean) / (size + mean). At the mean of the counts it has at most one zero
    above the method of moments' limits, and none where they vary no more than a Poisson's. Newton's steps, halved where
    they leave the bounds.
    """
    j = np.arange(above.shape[1])[:, None]
    low, high = np.full(mean.shape, np.log(LEAST)), np.full(mean.shape, np.log(MOST))
    log_size = np.clip(np.log(start), low, high)
    for _ in range(60):
        size = np.exp(log_size)
        inverse = 1 / (size[:, None] + j)
        apart = (seen - mean) / (size + mean)
        slope = (above * inverse).sum(axis=1) - np.log1p(mean / size) - apart
        bend = -(above * inverse**2).sum(axis=1) + mean / (size * (size + mean)) + apart / (size + mean)
        low, high = np.where(slope > 0, log_size, low), np.where(slope > 0, high, log_size)
        newton = log_size - slope / (size * bend + slope)
        inside = (newton > low) & (newton < high)
        before, log_size = log_size, np.where(inside, newton, (low + high) / 2)
        if (np.abs(log_size - before) < 1e-12).all():
            break
    return np.asarray(np.clip(np.exp(log_size), LEAST, MOST))
