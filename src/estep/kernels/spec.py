"""What a kernel must know of an emission: a few arrays and how to read them, the same for every kernel level."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from estep.statistics import Array
from estep.util.cached import cached_property

KINDS = ("dense", "table", "linear", "diag", "spherical", "full", "tied", "mixed", "student", "product")
NEVER = -1e300
"""Stands for the logarithm of zero in weights, where -inf times a zero would be NaN."""


@dataclass(frozen=True, eq=False)
class Spec:
    """How the log-densities of K components are read from rows, and how their statistics are laid out.

    ========== ========================================= =============================================
    kind       log-density of component k                statistics
    ========== ========================================= =============================================
    dense      the rows are the log-densities            none
    table      sum over columns of ``weights[k, x_d]``   (K, M)
    linear     ``weights[k] . [1, x]``                   (K, 1 + D)
    diag       ``weights[k] . [1, x, x^2]``              (K, 1 + 2 D)
    spherical  ``weights[k] . [1, x, |x|^2]``            (K, 2 + D)
    full       ``weights[k] . [1, x, x_i x_j (i <= j)]`` (K, (D + 1)(D + 2) / 2)
    tied       ``weights[k] . [1, x] + shared . xx``     (K, 1 + D), then D (D + 1) / 2 of all components
    mixed      log of the sum over m of the exponentials (K, M), then those of ``parts``
               of ``weights[k, m]`` + that of part k M + m
    student    ``weights[k, 1] - weights[k, 3]           (K,) masses, (K,) sums of
               log(1 + d / weights[k, 2])``              ``log u - u + weights[k, 4]``, then those of
                                                         ``parts`` with rows weighted by u
    product    sum over ``members``, each of its columns    those of each, one after the other
    ========== ========================================= =============================================

    Of a student spec ``parts`` are Gaussians with log-densities ``weights[k, 0] - d / 2``, and u is
    ``(weights[k, 2] + D) / (weights[k, 2] + d)``.

    x is the row less ``origin``. ``whitened`` replaces the weights of the Gaussian kinds by differences:
    ``lognorm[k] - |factor[k] (x - means[k])|^2 / 2``, which stays exact however far apart the means are; the
    statistics are the same. Specs that :attr:`prunes` have both, if they have weights. ``counts`` adds the Poisson
    log-probabilities of each row at the rates ``shared`` (D,).
    ``single``: the E-step is computed in single precision, with sums in double; paths and densities are in double.
    """

    kind: str
    K: int
    D: int
    M: int = 0
    whitened: bool = False
    counts: bool = False
    single: bool = False
    weights: Array | None = None  # (K, F), table: (K, M) with -inf where impossible
    shared: Array | None = None  # (D (D + 1) / 2,); counts: (D,)
    origin: Array | None = None  # (D,)
    means: Array | None = None  # (K, D), about the origin
    factor: Array | None = None  # (K, D) or (K, D, D)
    lognorm: Array | None = None  # (K,)
    parts: Spec | None = None  # mixed: of the K M parts; student: of the K Gaussians
    members: tuple[Spec, ...] = ()  # product: what sees the columns, one after the other

    @cached_property
    def statistics_size(self) -> int:
        """Length of the statistics vector."""
        if self.members:
            return sum(part.statistics_size for part in self.members)
        if self.parts is not None:
            return self.K * (self.M if self.kind == "mixed" else 2) + self.parts.statistics_size
        D, pairs = self.D, self.D * (self.D + 1) // 2
        per = {"dense": 0, "table": self.M, "linear": 1 + D, "diag": 1 + 2 * D, "spherical": 2 + D, "tied": 1 + D}
        return self.K * per.get(self.kind, 1 + D + pairs) + (pairs if self.kind == "tied" else 0)

    @property
    def prunes(self) -> bool:
        """Whether some columns may tell that a component has next to no part in a row."""
        return self.factor is not None and (self.kind == "full" or (self.kind == "diag" and not self.whitened))

    @property
    def shares(self) -> bool:
        """Whether all components have a term of the log-densities in common, ``shared . xx``."""
        if self.kind == "mixed" and self.parts is not None:
            return self.parts.shares
        return self.kind == "tied" and not self.whitened

    @cached_property
    def linear(self) -> Spec:
        """A spec that ``shares``, without the shared term: it is equal for all components, so the posterior too."""
        if self.parts is not None:
            return replace(self, parts=self.parts.linear, shared=None)
        return Spec("linear", self.K, self.D, single=self.single, origin=self.origin, weights=self.weights)

    def tempered(self, beta: float) -> Spec:
        """The spec of the densities to the power ``beta``; the statistics are the same."""

        def times(values: Array | None) -> Array | None:
            return None if values is None else values * beta

        if self.kind == "student":
            assert self.weights is not None
            return replace(self, weights=self.weights * [1.0, beta, 1.0, beta, 1.0])
        if self.members:
            return replace(self, members=tuple(part.tempered(beta) for part in self.members))
        factor = None if self.factor is None else self.factor * beta**0.5
        parts = None if self.parts is None else self.parts.tempered(beta)
        return replace(
            self,
            weights=times(self.weights),
            shared=times(self.shared),
            lognorm=times(self.lognorm),
            factor=factor,
            parts=parts,
        )

    def shifted(self, offset: Array) -> Spec:
        """The spec of the log-densities with ``offset`` (K,) added."""
        lognorm = None if self.lognorm is None else self.lognorm + offset
        weights = self.weights
        if weights is not None:
            weights = weights + offset[:, None] * (np.arange(weights.shape[1]) == 0)
        return replace(self, weights=weights, lognorm=lognorm)

    @cached_property
    def native(self) -> Any:
        """The compiled twin."""
        from estep.kernels.native import core

        def c(a: Array | None) -> Array | None:
            return None if a is None else np.ascontiguousarray(a, dtype=np.float64)

        weights = self.weights
        if weights is not None and self.kind in ("linear", "table", "mixed"):
            weights = np.where(weights == -np.inf, NEVER, weights)
        weights = weights if weights is None or self.parts is not None else weights.T
        compiled: Any = core
        return compiled.Spec(
            KINDS.index(self.kind), self.whitened, self.counts, self.single, self.K, self.D, self.M,
            c(weights), c(self.shared), c(self.origin), c(self.means), c(self.factor), c(self.lognorm),
            None if self.parts is None else self.parts.native, [part.native for part in self.members],
        )  # fmt: skip


def mixed(parts: Spec, logweights: Array) -> Spec:
    """The spec of K components that are mixtures of M parts each; ``logweights`` (K, M)."""
    K, M = logweights.shape
    shared = parts.shared if parts.shares else None
    return Spec(
        "mixed", K, parts.D, M, single=parts.single, origin=parts.origin, weights=logweights, shared=shared, parts=parts
    )


def product(members: tuple[Spec, ...]) -> Spec:
    """The spec of rows whose columns are of different kinds, in float64."""
    return Spec("product", members[0].K, sum(part.D for part in members), members=members)


def dense(log_densities: Array) -> tuple[Spec, Array]:
    """The spec for rows that are log-densities (n, K) already, and the rows as kernels read them."""
    K = log_densities.shape[1]
    return Spec("dense", K, K), np.ascontiguousarray(log_densities, dtype=np.float64)
