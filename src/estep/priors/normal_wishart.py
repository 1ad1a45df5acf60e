"""The conjugate prior of means and covariances together (Bishop 2006, sections 2.3.6 and 10.2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from estep.emissions.covariance import TYPES, factorise, regularise, unpack
from estep.interface import Notes
from estep.priors.base import Prior
from estep.statistics import Array

LOG_2, LOG_PI = float(np.log(2)), float(np.log(np.pi))


@dataclass(frozen=True, eq=False)
class NormalInverseWishart(Prior):
    """It counts for ``mean_precision`` rows at ``mean`` (D,), and for ``dofs`` rows whose squares add up to ``scale``.

    Given its covariance, a mean is Gaussian around ``mean`` with that covariance over ``mean_precision``; the
    covariance is inverse-Wishart. Variances of diagonal covariances have one each by column, of one dimension
    (inverse-gamma), a spherical one has one in all, tied components share one. ``scale`` is (D, D) for full and tied
    covariances, (D,) for diagonal, one number for spherical ones, or less: one number is that on the diagonal. Arrays
    with K rows in front are components' own. ``covariance_type`` is set by the family.
    """

    mean: Any
    mean_precision: Any
    dofs: Any
    scale: Any
    covariance_type: str = "full"

    name: ClassVar[str] = "normal_inverse_wishart"

    def __post_init__(self) -> None:
        self.freeze("mean", None)
        self.freeze("scale", None)
        self.positive("mean_precision")
        self.positive("dofs")

    def shaped(self, kind: str, K: int, D: int) -> NormalInverseWishart:
        """For K components: (K, D), (K,), (K,) (tied: one number), and the shape of the covariances.

        Raises ValueError where that cannot be, and where the prior is no distribution.
        """
        scale = np.eye(D) * self.scale if kind in ("full", "tied") and self.scale.ndim < 2 else self.scale
        try:
            mean = np.broadcast_to(self.mean, (K, D))
            precision = np.broadcast_to(self.mean_precision, (K,))
            dofs = np.broadcast_to(self.dofs, () if kind == "tied" else (K,))
            scale = np.broadcast_to(scale, TYPES[kind](K, D))
        except ValueError as error:
            raise ValueError(f"the prior of means does not go with {K} components of {D} columns: {error}") from None
        order = D if kind in ("full", "tied") else 1
        if not (dofs > order - 1).all():
            raise ValueError(f"dofs of the prior of means is {dofs.min()}: it is above {order - 1}")
        try:
            if kind in ("diag", "spherical") and not (scale > 0).all():
                raise np.linalg.LinAlgError
            factorise(scale, kind)
        except np.linalg.LinAlgError:
            raise ValueError("scale of the prior of means is not positive definite") from None
        return NormalInverseWishart(mean, precision, dofs, scale, kind)

    # All below is of a prior that is shaped.

    @property
    def _order(self) -> int:
        """Of the Wishart: D for matrices, 1 for variances."""
        return int(self.mean.shape[1]) if self.covariance_type in ("full", "tied") else 1

    def absorb(self, mass: Array, first: Array, second: Array, origin: Array) -> NormalInverseWishart:
        """The posterior given moments about ``origin``; ``second`` as statistics have it, for tied ones of all rows.

        Bishop 2006, eq. 10.60 to 10.63.
        """
        kind, D, m0, b0 = self.covariance_type, len(origin), self.mean - origin, self.mean_precision
        b = b0 + mass
        m = (b0[:, None] * m0 + first) / b[:, None]
        if kind in ("full", "tied"):
            before, after = (x[:, :, None] * (x * w[:, None])[:, None, :] for x, w in ((m0, b0), (m, b)))
            moved = before - after
            packed = second if kind == "full" else second[None]
            scale = (
                self.scale
                + unpack(packed, D).reshape(self.scale.shape)
                + (moved if kind == "full" else moved.sum(axis=0))
            )
        else:
            moved = b0[:, None] * m0**2 - b[:, None] * m**2
            scale = self.scale + (second + moved if kind == "diag" else second[:, 0] + moved.sum(axis=1))
        seen = {"full": mass, "diag": mass, "spherical": D * mass, "tied": mass.sum()}[kind]
        return self.evolve(mean=m + origin, mean_precision=b, dofs=self.dofs + seen, scale=scale)

    def covariances(self, dofs: Array, floor: Array | None) -> tuple[Array, tuple[Array, Array], Notes]:
        """``scale / dofs``, its factors, and notes where rounding has made one singular."""
        kind = self.covariance_type
        each = dofs if kind in ("tied", "spherical") else np.reshape(dofs, (-1,) + (1,) * (self.scale.ndim - 1))
        try:
            return self.scale / each, factorise(self.scale / each, kind), ()
        except np.linalg.LinAlgError:
            covariances, factors, low = regularise(self.scale / each, kind, floor, None)
            return covariances, factors, tuple((k, "covariance at its floor") for k in low)

    @property
    def mode_dofs(self) -> Array:
        """What ``scale`` is divided by at the mode of means and covariances together."""
        K, D = self.mean.shape
        more = {"full": D + 2, "tied": D + 1 + K, "diag": 3, "spherical": D + 2}[self.covariance_type]
        return np.asarray(self.dofs + more)

    def offset(self) -> Array:
        """Expected log-densities (K,) less the densities at the mean precision (Bishop 2006, eq. 10.64 and 10.65)."""
        D = self.mean.shape[1]
        apart = self._digammas() + self._order * np.log(2 / self.dofs)
        return np.asarray(0.5 * (D // self._order) * apart - 0.5 * D / self.mean_precision)

    def _digammas(self) -> Array:
        from scipy.special import digamma

        return np.asarray(digamma((self.dofs[..., None] - np.arange(self._order)) / 2).sum(axis=-1))

    def _blocks(self, values: Array) -> Array:
        """Matrices of the Wishart's order: (K, D, D), tied (1, D, D), diag (K, D, 1, 1), spherical (K, 1, 1, 1)."""
        kind = self.covariance_type
        if kind == "tied":
            return values[None]
        return values if kind == "full" else values.reshape(len(values), -1, 1, 1)

    def _log_normaliser(self) -> Array:
        """Of each block's Wishart (Bishop 2006, eq. B.79)."""
        from scipy.special import multigammaln

        dofs, d = self._dofs(), self._order
        logdet = np.linalg.slogdet(self._blocks(self.scale))[1]
        return np.asarray(multigammaln(dofs / 2, d) + dofs * d / 2 * LOG_2 - dofs / 2 * logdet)

    def _dofs(self) -> Array:
        """Degrees of freedom, to go with the blocks."""
        return self.dofs[:, None] if self.covariance_type in ("diag", "spherical") else np.atleast_1d(self.dofs)

    def _squares(self, apart: Array, covariances: Array) -> Array:
        """apart' covariance^-1 apart, (K,)."""
        if self.covariance_type in ("diag", "spherical"):
            return np.asarray((apart**2 / covariances.reshape(len(apart), -1)).sum(axis=1))
        return np.asarray((apart[:, None, :] @ np.linalg.solve(self._blocks(covariances), apart[:, :, None]))[:, 0, 0])

    def log_density(self, means: Array, covariances: Array) -> float:
        """The log-density of all means and covariances."""
        D, d, dofs = means.shape[1], self._order, self._dofs()
        C, S = self._blocks(covariances), self._blocks(self.scale)
        logdet = np.linalg.slogdet(C)[1]
        trace = np.trace(np.linalg.solve(C, S), axis1=-2, axis2=-1)
        wishart = -self._log_normaliser() - (dofs + d + 1) / 2 * logdet - trace / 2
        each = np.broadcast_to(logdet.reshape(len(logdet), -1).sum(axis=1), len(means))
        if self.covariance_type == "spherical":
            each = each * D
        b = self.mean_precision
        normal = 0.5 * (D * np.log(b) - D * (LOG_2 + LOG_PI) - each - b * self._squares(means - self.mean, covariances))
        return float(wishart.sum() + normal.sum())

    def divergence(self, prior: NormalInverseWishart) -> float:
        d, dofs, b, b0 = self._order, self._dofs(), self.mean_precision, prior.mean_precision
        S = self._blocks(self.scale)
        trace = np.trace(np.linalg.solve(S, prior._blocks(prior.scale)), axis1=-2, axis2=-1)
        digammas = self._digammas().reshape(dofs.shape)
        expected = digammas + d * LOG_2 - np.linalg.slogdet(S)[1]
        apart = prior._log_normaliser() - self._log_normaliser() + (dofs - prior._dofs()) / 2 * expected
        wishart = apart + dofs * (trace - d) / 2
        D, times = self.mean.shape[1], np.broadcast_to(self.dofs, len(self.mean))
        squares = times * self._squares(self.mean - prior.mean, self.scale)
        normal = 0.5 * (D * (b0 / b - 1 - np.log(b0 / b)) + b0 * squares)
        return float(wishart.sum() + normal.sum())
