"""What hmmlearn's models of a family have in common, fitted by likelihood or variationally."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from estep.compat.hmmlearn.hooks import SUMS
from estep.compat.hmmlearn.questions import Questions
from estep.compat.hmmlearn.utils import fill_covars
from estep.data.summary import Summary
from estep.emissions import Categorical, Gaussian
from estep.interface import Emission
from estep.latents import Chain
from estep.parameters.covariance import RELATIVE, full, unpack
from estep.statistics import Array, Statistics

COVARIANCE_TYPES = frozenset(("spherical", "diag", "full", "tied"))
CATEGORICAL, GAUSSIAN = Categorical(), Gaussian()
NUDGE = 1e-7
"""Added to the diagonal of matrices that are not positive definite, as hmmlearn does in densities."""
TINY = float(np.finfo(float).tiny)


class OfSymbols(Questions):
    """Rows (n, 1) of symbols 0, 1, ... with probabilities ``emissionprob_`` (K, M); M is ``n_features``."""

    emissionprob_: Array

    def _check_and_set_n_features(self, X: Array) -> None:
        if not np.issubdtype(X.dtype, np.integer):
            raise ValueError("Symbols should be integers")
        if X.min() < 0:
            raise ValueError("Symbols should be nonnegative")
        if self.n_features is None:
            self.n_features = int(X.max()) + 1
        elif X.max() >= self.n_features:
            last = self.n_features - 1
            raise ValueError(f"Largest symbol is {X.max()} but the model only emits symbols up to {last}")

    def _get_n_fit_scalars_per_param(self) -> dict[str, int]:
        K = self.n_components
        return {"s": K - 1, "t": K * (K - 1), "e": K * (self.n_features - 1)}

    def _rows(self, X: Array, ends: Array) -> tuple[Array, Array]:
        """Rows of several symbols are read one symbol after the other, as hmmlearn's deprecated way is."""
        if X.shape[1] == 1:
            return X, ends
        warnings.warn("Inputs of shape other than (n_samples, 1) are deprecated.", DeprecationWarning, stacklevel=3)
        return X.reshape(-1, 1), ends * X.shape[1]

    def _emission(self) -> Emission:
        p = np.array(self.emissionprob_, float)
        return CATEGORICAL.evolve(emissionprob=p, n_symbols=p.shape[1])

    def _compute_log_likelihood(self, X: Array) -> Array:
        if not np.issubdtype(X.dtype, np.integer):
            raise ValueError("Symbols should be integers")
        return super()._compute_log_likelihood(X)

    def _gathered(self, emission: Emission, s: Statistics) -> dict[str, Any]:
        return {"obs": s["counts"]}

    def _generate_sample_from_state(self, state: int, random_state: Any) -> list[int]:
        return [int((np.cumsum(self.emissionprob_[state]) > random_state.rand()).argmax())]


class OfGaussians(Questions):
    """Rows (n, D) with means ``means_`` (K, D) and covariances ``covars_`` (K, D, D), set in the shape of
    ``covariance_type``: spherical (K,), diag (K, D), full (K, D, D), tied (D, D)."""

    covariance_type: str
    means_: Array
    _covars_: Array

    @property
    def covars_(self) -> Array:
        """Covariance matrices (K, D, D), whatever their type."""
        return fill_covars(self._covars_, self.covariance_type, self.n_components, self.n_features)

    @covars_.setter
    def covars_(self, covars: Any) -> None:
        covars, kind = np.array(covars, dtype=float), self.covariance_type
        check_type(kind)
        wanted = {"spherical": covars.ndim, "diag": 2, "full": 3, "tied": 2}[kind]
        if covars.ndim != wanted or (kind == "spherical" and len(covars) != self.n_components):
            raise ValueError(f"{kind!r} covars of {self.n_components} states have shape {covars.shape}")
        if kind in ("spherical", "diag"):
            if not (covars > 0).all():
                raise ValueError(f"{kind!r} covars must be positive")
        elif not (np.allclose(covars, covars.swapaxes(-1, -2)) and are_positive(covars, 0.0)):
            raise ValueError(f"{kind!r} covars must be symmetric, positive-definite")
        self._covars_ = covars

    def _get_n_fit_scalars_per_param(self) -> dict[str, int]:
        K, D = self.n_components, self.n_features
        pairs = D * (D + 1) // 2
        covars = {"spherical": K, "diag": K * D, "full": K * pairs, "tied": pairs}
        return {"s": K - 1, "t": K * (K - 1), "m": K * D, "c": covars[self.covariance_type]}

    def _emission(self) -> Emission:
        return self._gaussians(self._covars_)

    def _gaussians(self, covars: Array) -> Gaussian:
        """The engine's family with the means as they are, and covariances in the shape of their type."""
        means, C = np.asarray(self.means_, float), np.asarray(covars, float)
        if self.covariance_type in ("spherical", "diag"):  # sums of squares are of columns for both
            return gaussians("diag", means, positive(of_columns(C, means.shape)))
        C = (C + C.swapaxes(-1, -2)) / 2
        if self.covariance_type == "tied" and self._about_zero():  # hmmlearn knows squares of each state
            return gaussians("full", means, np.array(full(positive(C, "tied"), "tied", len(means), means.shape[1])))
        return gaussians(self.covariance_type, means, positive(C, self.covariance_type))

    def _parts(self, summary: Summary | None = None) -> tuple[Chain, Emission]:
        """With sums about the middle of the data."""
        chain, emission = super()._parts()
        return chain, emission if summary is None else emission.evolve(origin=summary.bulk.mean)

    def _about_zero(self) -> bool:
        """Whether sums are hmmlearn's: for methods of one's own, which know nothing of another origin."""
        return self._overrides("_do_mstep", *self._densities, *SUMS)

    def _gathered(self, emission: Emission, s: Statistics) -> dict[str, Any]:
        """Moments about ``origin``, where they are not about zero."""
        assert isinstance(emission, Gaussian)
        D = self.n_features
        origin = np.asarray(emission.origin)
        about = np.zeros(D) if self._about_zero() else origin
        N, S = s["moments"][:, 0], s["moments"][:, 1 : 1 + D]
        shift = origin - about
        stats = {"post": N, "obs": S + N[:, None] * shift} | ({} if self._about_zero() else {"origin": about})
        if emission.covariance_type == "tied":
            return {**stats, "obs*obs.T": unpack(s["second"][None], D)[0]}
        second, centre = s["moments"][:, 1 + D :], np.broadcast_to(-shift, S.shape)
        if emission.covariance_type == "full":
            return {**stats, "obs*obs.T": squares_about("full", centre, N, S, unpack(second, D))}
        return {**stats, "obs**2": squares_about("diag", centre, N, S, second)}

    def _drawing(self, rng: np.random.RandomState) -> Callable[[int], Any]:
        """As one by one, with the covariances' factors found once; those are NumPy's for the same draws."""
        if self._overrides("_generate_sample_from_state"):
            return super()._drawing(rng)
        _, squares, V = np.linalg.svd(self.covars_)
        factors, means = np.sqrt(squares)[:, :, None] * V, np.asarray(self.means_)
        return lambda state: rng.standard_normal(means.shape[1]) @ factors[state] + means[state]

    def _generate_sample_from_state(self, state: int, random_state: Any) -> Array:
        return random_state.multivariate_normal(self.means_[state], self.covars_[state])  # type: ignore[no-any-return]


def squares_about(kind: str, centre: Array, N: Array, S: Array, second: Array) -> Array:
    """Sums of squares about centres (K, D), from masses (K,), sums (K, D) and second moments: of "full" (K, D, D), of
    "tied" (D, D), of all states, else (K, D)."""
    if kind in ("full", "tied"):
        cross = S[:, :, None] * centre[:, None, :]
        spread = N[:, None, None] * outer(centre) - cross - cross.transpose(0, 2, 1)
        return np.asarray(second + (spread if kind == "full" else spread.sum(axis=0)))
    return np.asarray(second - 2 * centre * S + N[:, None] * centre**2)


def outer(x: Array) -> Array:
    """x x' (..., D, D) of the last axis."""
    return np.asarray(x[..., :, None] * x[..., None, :])


def of_columns(covars: Array, shape: tuple[int, ...]) -> Array:
    """Variances (K, D) from spherical or diagonal ones of any shape that spreads out to it."""
    return np.array(np.broadcast_to(covars.reshape(shape[0], -1), shape))


def are_positive(matrices: Array, least: float = RELATIVE) -> bool:
    """Whether each column of matrices (..., D, D) has a variance of its own, given those before it, above ``least`` of
    its variance: below it densities are rounding."""
    variances = np.diagonal(matrices, axis1=-2, axis2=-1)
    if not (variances > 0).all():
        return False
    deviations = np.sqrt(variances)
    try:
        factors = np.linalg.cholesky(matrices / deviations[..., :, None] / deviations[..., None, :])
        return bool((np.diagonal(factors, axis1=-2, axis2=-1) ** 2 > least).all())
    except np.linalg.LinAlgError:
        return False


def gaussians(kind: str, means: Array, covars: Array) -> Gaussian:
    """The engine's Gaussians, of covariances that are positive."""
    return GAUSSIAN.evolve(covariance_type=kind, means=means, covariances=covars, origin=means.mean(axis=0))


def positive(covars: Array, kind: str = "diag") -> Array:
    """Covariances that densities can be taken with: a state's that is singular is nudged, as by hmmlearn, and more
    where that is too little for its size. Raises ValueError naming a state whose covariance is not finite."""
    if kind == "diag":
        return np.maximum(covars, TINY)
    if are_positive(covars):
        return covars
    out = np.array(covars)
    for k, C in enumerate(out.reshape(-1, *out.shape[-2:])):
        if not np.isfinite(C).all():
            raise ValueError(f"covars of state {k} are not finite")
        if not are_positive(C, 0.0):
            C += NUDGE * np.eye(len(C))
        more = RELATIVE
        while not are_positive(C):
            C += more * np.diag(np.maximum(C.diagonal(), NUDGE))
            more *= 10
    return out


def check_type(kind: str) -> None:
    """Raises ValueError for an unknown type of covariances."""
    if kind not in COVARIANCE_TYPES:
        raise ValueError(f"covariance_type is {kind!r}: it must be one of {', '.join(sorted(COVARIANCE_TYPES))}")
