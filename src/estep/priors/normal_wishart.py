"""The conjugate prior of means and covariances together (Bishop 2006, sections 2.3.6 and 10.2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from estep.parameters.covariance import unpack
from estep.priors.wishart import LOG_2, LOG_PI, InverseWishart
from estep.statistics import Array


@dataclass(frozen=True, eq=False)
class NormalInverseWishart(InverseWishart):
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
        self.freeze_scale()
        self.positive("mean_precision")
        self.positive("dofs")

    def shaped(self, kind: str, K: int, D: int) -> NormalInverseWishart:
        """For K components: (K, D), (K,), (K,) (tied: one number), and the shape of the covariances.

        Raises ValueError where that cannot be, and where the prior is no distribution.
        """
        try:
            mean = np.broadcast_to(self.mean, (K, D))
            precision = np.broadcast_to(self.mean_precision, (K,))
        except ValueError as error:
            raise ValueError(f"the prior of means does not go with {K} components of {D} columns: {error}") from None
        return NormalInverseWishart(mean, precision, *self.shaped_wishart("means", kind, K, D), kind)

    # All below is of a prior that is shaped.

    @property
    def columns(self) -> int:
        return int(self.mean.shape[1])

    def update(self, mass: Array, first: Array, second: Array, origin: Array) -> NormalInverseWishart:
        """The posterior given moments about ``origin``; ``second`` as statistics have it, for tied ones of all rows.

        Bishop 2006, eq. 10.60 to 10.63.
        """
        kind, D, m0, b0 = self.covariance_type, len(origin), self.mean - origin, self.mean_precision
        b = b0 + mass
        m = (b0[:, None] * m0 + first) / b[:, None]
        own = first / np.where(mass > 0, mass, 1.0)[:, None]  # means of the rows: squares about them, and between
        apart, between = own - m0, b0 * mass / b
        if kind in ("full", "tied"):
            moved = apart[:, :, None] * (apart * between[:, None])[:, None, :] - own[:, :, None] * first[:, None, :]
            packed = second if kind == "full" else second[None]
            squares = unpack(packed, D).reshape(self.scale.shape)
            scale = self.scale + squares + (moved if kind == "full" else moved.sum(axis=0))
        else:
            moved = apart**2 * between[:, None] - own * first
            scale = self.scale + (second + moved if kind == "diag" else second[:, 0] + moved.sum(axis=1))
        return self.evolve(mean=m + origin, mean_precision=b, dofs=self.dofs + self.seen(mass), scale=scale)

    @property
    def mode_dofs(self) -> Array:
        """What ``scale`` is divided by at the mode of means and covariances together."""
        K, D = self.mean.shape
        more = {"full": D + 2, "tied": D + 1 + K, "diag": 3, "spherical": D + 2}[self.covariance_type]
        return np.asarray(self.dofs + more)

    def offset(self) -> Array:
        """Expected log-densities (K,) less the densities at the mean precision (Bishop 2006, eq. 10.64 and 10.65)."""
        return np.asarray(self.constant() - 0.5 * self.columns / self.mean_precision)

    def _squares(self, apart: Array, covariances: Array) -> Array:
        """apart' covariance^-1 apart, (K,)."""
        if self.covariance_type in ("diag", "spherical"):
            return np.asarray((apart**2 / covariances.reshape(len(apart), -1)).sum(axis=1))
        return np.asarray((apart[:, None, :] @ np.linalg.solve(self.blocks(covariances), apart[:, :, None]))[:, 0, 0])

    def log_density(self, means: Array, covariances: Array) -> float:
        """The log-density of all means and covariances."""
        D, b = means.shape[1], self.mean_precision
        density, logdet = self.wishart_density(covariances)
        normal = D * np.log(b) - D * (LOG_2 + LOG_PI) - logdet - b * self._squares(means - self.mean, covariances)
        return density + 0.5 * float(normal.sum())

    def divergence(self, prior: NormalInverseWishart) -> float:
        b, b0 = self.mean_precision, prior.mean_precision
        times = np.broadcast_to(self.dofs, len(self.mean))
        squares = times * self._squares(self.mean - prior.mean, self.scale)
        normal = self.columns * (b0 / b - 1 - np.log(b0 / b)) + b0 * squares
        return self.wishart_divergence(prior) + 0.5 * float(normal.sum())
