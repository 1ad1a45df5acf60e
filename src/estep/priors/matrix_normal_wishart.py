"""The conjugate prior of a regression: coefficients, intercepts and error covariances together.

Minka 2000, "Bayesian linear regression". It is the normal-inverse-Wishart prior of means, with a design (1, x) in place
of the one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from estep.priors.wishart import LOG_2, LOG_PI, InverseWishart
from estep.statistics import Array


def at_origin(coefficients: Array, intercepts: Array, origin: Array) -> Array:
    """Intercepts (K, D) where covariates and observations are taken about ``origin`` (P + D,)."""
    P = coefficients.shape[2]
    return np.asarray(intercepts + coefficients @ origin[:P] - origin[P:])


@dataclass(frozen=True, eq=False)
class MatrixNormalInverseWishart(InverseWishart):
    """Intercepts and coefficients are Gaussian around ``mean`` (D, 1 + P), the intercepts first, given the errors.

    Their precision across the design (1, x) is ``precision`` (1 + P, 1 + P), (1 + P,) or one number, times that of the
    errors: it counts for rows whose designs have that sum of squares. ``dofs`` and ``scale`` of the error covariances
    are those of :class:`NormalInverseWishart`. Arrays with K in front are components' own. ``covariance_type`` and
    ``origin`` (P + D,), the point that covariates and observations are taken about, are set by the family.
    """

    mean: Any
    precision: Any
    dofs: Any
    scale: Any
    covariance_type: str = "full"
    origin: Any = None

    name: ClassVar[str] = "matrix_normal_inverse_wishart"

    def __post_init__(self) -> None:
        self.freeze("mean", None)
        precision = self.freeze("precision", None)
        if precision is not None:
            self.in_range("precision", precision)
        self.freeze_scale()
        self.freeze("origin", None)
        self.positive("dofs")

    def shaped(self, kind: str, K: int, D: int, origin: Array) -> MatrixNormalInverseWishart:
        """For K components, about ``origin``: mean (K, D, 1 + P), precision (K, 1 + P, 1 + P).

        Raises ValueError where that cannot be, and where the prior is no distribution.
        """
        Q = 1 + len(origin) - D
        square = self.precision if np.ndim(self.precision) >= 2 else np.eye(Q) * self.precision
        try:
            mean = np.broadcast_to(self.mean, (K, D, Q))
            precision = np.broadcast_to(square, (K, Q, Q))
        except ValueError as error:
            text = f"the prior of coefficients does not go with {K} components, {D} columns and {Q - 1} covariates"
            raise ValueError(f"{text}: {error}") from None
        if not (np.allclose(precision, precision.swapaxes(1, 2)) and (np.linalg.eigvalsh(precision) > 0).all()):
            raise ValueError("precision of the prior of coefficients is not positive definite")
        if self.origin is None:  # given in the units of the data: the design about the origin is (1, x - o)
            shift = np.eye(Q)
            shift[1:, 0] = origin[: Q - 1]  # (1, x) = shift (1, x - o)
            back = np.linalg.inv(shift)
            mean = mean @ shift
            mean[:, :, 0] -= origin[Q - 1 :]
            precision = back @ precision @ back.T
        wishart = self.shaped_wishart("coefficients", kind, K, D)
        return MatrixNormalInverseWishart(mean, precision, *wishart, kind, origin)

    # All below is of a prior that is shaped.

    def require_proper(self) -> None:
        super().require_proper()
        np.linalg.cholesky(self.precision)

    @property
    def columns(self) -> int:
        return int(self.mean.shape[1])

    def update(self, design: Array, cross: Array, squares: Array) -> MatrixNormalInverseWishart:
        """The posterior given the sums of squares of the design (K, Q, Q), of it with the observations (K, D, Q), and
        of these (K, D, D), all about the origin."""
        precision, m0 = self.precision + design, self.mean
        left = cross - m0 @ design  # of the observations less their means under the prior
        apart = np.linalg.solve(precision, left.swapaxes(1, 2)).swapaxes(1, 2)
        mean = m0 + apart
        both = cross @ m0.swapaxes(1, 2)
        moved = squares - both - both.swapaxes(1, 2) + m0 @ design @ m0.swapaxes(1, 2) - apart @ left.swapaxes(1, 2)
        scale = self.scale + self.of_type((moved + moved.swapaxes(1, 2)) / 2)
        return self.evolve(mean=mean, precision=precision, dofs=self.dofs + self.seen(design[:, 0, 0]), scale=scale)

    @property
    def mode_dofs(self) -> Array:
        """What ``scale`` is divided by at the mode of coefficients and covariances together."""
        K, D, Q = self.mean.shape
        more = {"full": D + 1 + Q, "tied": D + 1 + K * Q, "diag": 2 + Q, "spherical": 2 + D * Q}[self.covariance_type]
        return np.asarray(self.dofs + more)

    def values(self) -> dict[str, Any]:
        """Coefficients (K, D, P) and intercepts (K, D) at the mean, in the units of the data."""
        P = self.mean.shape[2] - 1
        W, o = np.ascontiguousarray(self.mean[:, :, 1:]), self.origin
        return {"coefficients": W, "intercepts": np.asarray(self.mean[:, :, 0] - W @ o[:P] + o[P:])}

    def _about(self, coefficients: Array, intercepts: Array) -> Array:
        """Both as (K, D, 1 + P), about the origin, less the mean."""
        first = at_origin(coefficients, intercepts, self.origin)
        return np.asarray(np.concatenate([first[:, :, None], coefficients], axis=2) - self.mean)

    def _squares(self, apart: Array, precision: Array, covariances: Array) -> Array:
        """tr(covariance^-1 apart precision apart'), (K,)."""
        spread = apart @ precision @ apart.swapaxes(1, 2)
        if self.covariance_type in ("diag", "spherical"):
            variances = covariances.reshape(len(apart), -1)
            return np.asarray((spread.diagonal(axis1=1, axis2=2) / variances).sum(axis=1))
        return np.asarray(np.trace(np.linalg.solve(self.blocks(covariances), spread), axis1=1, axis2=2))

    def log_density(self, coefficients: Array, intercepts: Array, covariances: Array) -> float:
        """The log-density of all coefficients, intercepts and covariances."""
        _, D, Q = self.mean.shape
        density, logdet = self.wishart_density(covariances)
        apart = self._squares(self._about(coefficients, intercepts), self.precision, covariances)
        normal = D * np.linalg.slogdet(self.precision)[1] - D * Q * (LOG_2 + LOG_PI) - Q * logdet - apart
        return density + 0.5 * float(normal.sum())

    def divergence(self, prior: MatrixNormalInverseWishart) -> float:
        """The Kullback-Leibler divergence from ``prior``."""
        _, D, Q = self.mean.shape
        ratio = np.linalg.solve(self.precision, prior.precision)
        times = np.broadcast_to(self.dofs, len(self.mean))
        squares = times * self._squares(self.mean - prior.mean, prior.precision, self.scale)
        normal = D * (np.trace(ratio, axis1=1, axis2=2) - Q - np.linalg.slogdet(ratio)[1]) + squares
        return self.wishart_divergence(prior) + 0.5 * float(normal.sum())
