"""The inverse-Wishart part of priors of covariances, of every type (Bishop 2006, sections 2.3.6 and 10.2)."""

from __future__ import annotations

from typing import Any

import numpy as np

from estep.interface import Notes
from estep.parameters.covariance import TYPES, factorise, regularise
from estep.priors.base import Prior
from estep.statistics import Array

LOG_2, LOG_PI = float(np.log(2)), float(np.log(np.pi))


class InverseWishart(Prior):
    """What priors of covariances have in common; ``dofs`` and ``scale`` are theirs, shaped by ``covariance_type``.

    Variances of diagonal covariances have an inverse-Wishart of one dimension each (inverse-gamma), a spherical one has
    one in all, tied components share one.
    """

    dofs: Any
    scale: Any
    covariance_type: str

    @property
    def columns(self) -> int:
        """D."""
        raise NotImplementedError

    def freeze_scale(self) -> None:
        """Raises ValueError for a scale that leaves the range."""
        scale = self.freeze("scale", None)
        if scale is not None:
            square = scale.ndim > 1 and scale.shape[-1] == scale.shape[-2]
            self.in_range("scale", scale.diagonal(axis1=-2, axis2=-1) if square else scale)

    def shaped_wishart(self, block: str, kind: str, K: int, D: int) -> tuple[Array, Array]:
        """dofs (K,) (tied: one number) and scale. Raises ValueError where that cannot be, or is no distribution."""
        scale = np.eye(D) * self.scale if kind in ("full", "tied") and self.scale.ndim < 2 else self.scale
        try:
            dofs = np.broadcast_to(self.dofs, () if kind == "tied" else (K,))
            scale = np.broadcast_to(scale, TYPES[kind](K, D))
        except ValueError as error:
            raise ValueError(f"the prior of {block} does not go with {K} components of {D} columns: {error}") from None
        order = D if kind in ("full", "tied") else 1
        if not (dofs > order - 1).all():
            raise ValueError(f"dofs of the prior of {block} is {dofs.min()}: it is above {order - 1}")
        try:
            if kind in ("diag", "spherical") and not (scale > 0).all():
                raise np.linalg.LinAlgError
            factorise(scale, kind)
        except np.linalg.LinAlgError:
            raise ValueError(f"scale of the prior of {block} is not positive definite") from None
        return dofs, scale

    # All below is of a prior that is shaped.

    def require_proper(self) -> None:
        super().require_proper()
        if not (self.dofs > self.order - 1).all():
            raise ValueError("too few degrees of freedom")
        np.linalg.cholesky(self.blocks(self.scale))

    @property
    def order(self) -> int:
        """Of the Wishart: D for matrices, 1 for variances."""
        return self.columns if self.covariance_type in ("full", "tied") else 1

    def seen(self, mass: Array) -> Array:
        """What rows of this mass (K,) add to ``dofs``."""
        more = {"full": mass, "diag": mass, "spherical": self.columns * mass, "tied": mass.sum()}
        return np.asarray(more[self.covariance_type])

    def of_type(self, matrices: Array) -> Array:
        """Sums of squares (K, D, D) as ``scale`` has them."""
        kind = self.covariance_type
        if kind == "tied":
            return np.asarray(matrices.sum(axis=0))
        squares = matrices.diagonal(axis1=1, axis2=2)
        return matrices if kind == "full" else squares if kind == "diag" else np.asarray(squares.sum(axis=1))

    def covariances(self, dofs: Array, floor: Array | None) -> tuple[Array, tuple[Array, Array], Notes]:
        """``scale / dofs``, its factors, and notes where rounding has made one singular."""
        kind = self.covariance_type
        each = dofs if kind in ("tied", "spherical") else np.reshape(dofs, (-1,) + (1,) * (self.scale.ndim - 1))
        try:
            return self.scale / each, factorise(self.scale / each, kind), ()
        except np.linalg.LinAlgError:
            covariances, factors, low = regularise(self.scale / each, kind, floor, None)
            return covariances, factors, tuple((k, "covariance at its floor") for k in low)

    def digammas(self) -> Array:
        from scipy.special import digamma

        return np.asarray(digamma((self.dofs[..., None] - np.arange(self.order)) / 2).sum(axis=-1))

    def blocks(self, values: Array) -> Array:
        """Matrices of the Wishart's order: (K, D, D), tied (1, D, D), diag (K, D, 1, 1), spherical (K, 1, 1, 1)."""
        kind = self.covariance_type
        if kind == "tied":
            return values[None]
        return values if kind == "full" else values.reshape(len(values), -1, 1, 1)

    def log_normaliser(self) -> Array:
        """Of each block's Wishart (Bishop 2006, eq. B.79)."""
        from scipy.special import multigammaln

        dofs, d = self.dofs_of_blocks(), self.order
        logdet = np.linalg.slogdet(self.blocks(self.scale))[1]
        return np.asarray(multigammaln(dofs / 2, d) + dofs * d / 2 * LOG_2 - dofs / 2 * logdet)

    def dofs_of_blocks(self) -> Array:
        """Degrees of freedom, to go with the blocks."""
        return self.dofs[:, None] if self.covariance_type in ("diag", "spherical") else np.atleast_1d(self.dofs)

    def constant(self) -> Array:
        """Expected log-densities of a row (K,) less the densities at the mean precision (Bishop 2006, eq. 10.65)."""
        apart = self.digammas() + self.order * np.log(2 / self.dofs)
        return np.asarray(0.5 * (self.columns // self.order) * apart)

    def wishart_density(self, covariances: Array) -> tuple[float, Array]:
        """The log-density of all covariances, and the log-determinant of each component's, (K or 1,)."""
        C, S, dofs, d = self.blocks(covariances), self.blocks(self.scale), self.dofs_of_blocks(), self.order
        logdet = np.linalg.slogdet(C)[1]
        trace = np.trace(np.linalg.solve(C, S), axis1=-2, axis2=-1)
        density = -self.log_normaliser() - (dofs + d + 1) / 2 * logdet - trace / 2
        each = logdet.reshape(len(logdet), -1).sum(axis=1)
        return float(density.sum()), each * self.columns if self.covariance_type == "spherical" else each

    def wishart_divergence(self, prior: InverseWishart) -> float:
        """The Kullback-Leibler divergence of the covariances from ``prior``."""
        d, dofs, S = self.order, self.dofs_of_blocks(), self.blocks(self.scale)
        trace = np.trace(np.linalg.solve(S, prior.blocks(prior.scale)), axis1=-2, axis2=-1)
        expected = self.digammas().reshape(dofs.shape) + d * LOG_2 - np.linalg.slogdet(S)[1]
        apart = prior.log_normaliser() - self.log_normaliser() + (dofs - prior.dofs_of_blocks()) / 2 * expected
        return float((apart + dofs * (trace - d) / 2).sum())
