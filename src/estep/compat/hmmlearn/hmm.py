"""hmmlearn's models that are fitted by likelihood, or by its mode under priors."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.cluster import KMeans
from sklearn.utils import check_random_state

from estep.compat.hmmlearn.base import BaseHMM, shares
from estep.compat.hmmlearn.families import OfGaussians, OfSymbols, check_type, outer, squares_about
from estep.compat.hmmlearn.mixtures import OfMixtures
from estep.compat.hmmlearn.utils import normalize
from estep.emissions import Multinomial, Poisson
from estep.interface import Emission
from estep.statistics import Array, Statistics

__all__ = ["GMMHMM", "CategoricalHMM", "GaussianHMM", "MultinomialHMM", "PoissonHMM"]

LEAST = 1e-5
"""The least that hmmlearn divides squares by."""


class CategoricalHMM(OfSymbols, BaseHMM):
    """An HMM of symbols 0, 1, ..., with ``emissionprob_`` (K, ``n_features``).

    ``emissionprob_prior``: concentrations of a Dirichlet prior whose mode is fitted. Letters of ``params``: s, t, e.
    """

    def __init__(
        self,
        n_components: int = 1,
        startprob_prior: Any = 1.0,
        transmat_prior: Any = 1.0,
        *,
        emissionprob_prior: Any = 1.0,
        n_features: int | None = None,
        algorithm: str = "viterbi",
        random_state: Any = None,
        n_iter: int = 10,
        tol: float = 1e-2,
        verbose: bool = False,
        params: str = "ste",
        init_params: str = "ste",
        implementation: str = "log",
    ) -> None:
        self._keep(locals())

    def _init(self, X: Array, lengths: Any = None) -> None:
        super()._init(X, lengths)
        self.random_state = check_random_state(self.random_state)
        if self._needs_init("e", "emissionprob_"):
            self.emissionprob_ = self.random_state.rand(self.n_components, self.n_features)
            normalize(self.emissionprob_, axis=1)

    def _check(self) -> None:
        super()._check()
        self.emissionprob_ = np.atleast_2d(self.emissionprob_)
        if self.n_features is None:
            self.n_features = self.emissionprob_.shape[1]
        self._check_shape("emissionprob_", (self.n_components, self.n_features), "(n_components, n_features)")
        self._check_sum_1("emissionprob_")

    def _do_mstep(self, stats: dict[str, Any]) -> None:
        super()._do_mstep(stats)
        if "e" in self.params:
            counts = np.maximum(self.emissionprob_prior - 1 + stats["obs"], 0)
            self.emissionprob_ = shares(counts, self.emissionprob_)


class GaussianHMM(OfGaussians, BaseHMM):
    """An HMM of Gaussian rows, with ``means_`` (K, D) and ``covars_``.

    Priors are hmmlearn's: ``means_weight`` rows at ``means_prior``, and ``covars_prior`` added to the sum of squares
    (to all elements, where it is one number), which is divided by ``covars_weight`` - 1 more rows, or ``covars_weight``
    - D of matrices. ``min_covar`` is added to the variances of a start. Letters of ``params``: s, t, m, c.
    """

    def __init__(
        self,
        n_components: int = 1,
        covariance_type: str = "diag",
        min_covar: float = 1e-3,
        startprob_prior: Any = 1.0,
        transmat_prior: Any = 1.0,
        means_prior: Any = 0,
        means_weight: Any = 0,
        covars_prior: Any = 1e-2,
        covars_weight: Any = 1,
        algorithm: str = "viterbi",
        random_state: Any = None,
        n_iter: int = 10,
        tol: float = 1e-2,
        verbose: bool = False,
        params: str = "stmc",
        init_params: str = "stmc",
        implementation: str = "log",
    ) -> None:
        self._keep(locals())

    min_covar: float
    means_prior: Any
    means_weight: Any
    covars_prior: Any
    covars_weight: Any

    def _init(self, X: Array, lengths: Any = None) -> None:
        check_type(self.covariance_type)
        super()._init(X, lengths)
        if self._needs_init("m", "means_"):
            kmeans = KMeans(n_clusters=self.n_components, random_state=self.random_state, n_init=10)
            self.means_ = kmeans.fit(X).cluster_centers_
        if self._needs_init("c", "covars_"):
            self._covars_ = of_whole(X, self.min_covar, self.covariance_type, self.n_components)

    def _check(self) -> None:
        super()._check()
        self.means_ = np.asarray(self.means_)
        check_type(self.covariance_type)
        if self.means_.ndim != 2 or len(self.means_) != self.n_components:
            raise ValueError(f"means_ must have shape (n_components, n_features), and was {self.means_.shape}")
        self.n_features = self.means_.shape[1]

    def _do_mstep(self, stats: dict[str, Any]) -> None:
        """Huang, Acero & Hon 2001, "Spoken Language Processing", section 9.6; a state without rows keeps its mean."""
        super()._do_mstep(stats)
        N, weight = stats["post"][:, None], np.asarray(self.means_weight)
        origin = stats.get("origin", 0.0)
        prior, centre = self.means_prior - origin, self.means_ - origin
        if "m" in self.params:
            rows = weight + N
            fresh = (weight * prior + stats["obs"]) / np.where(rows > 0, rows, 1)
            centre = np.where(rows > 0, fresh, centre)
            self.means_ = centre + origin
        if "c" not in self.params:
            return
        kind, apart = self.covariance_type, centre - prior
        second = stats["obs*obs.T" if kind in ("full", "tied") else "obs**2"]
        if kind == "tied" and second.ndim == 3:
            second = second.sum(axis=0)
        squares = squares_about(kind, centre, stats["post"], stats["obs"], second)
        if kind in ("spherical", "diag"):
            rows = max(self.covars_weight - 1, 0) + N
            fresh = (self.covars_prior + weight * apart**2 + squares) / np.maximum(rows, LEAST)
            self._covars_ = fresh if kind == "diag" else np.repeat(fresh.mean(axis=1)[:, None], fresh.shape[1], axis=1)
            return
        more, between = max(self.covars_weight - self.n_features, 0), weight * outer(apart)
        if kind == "tied":
            self._covars_ = (self.covars_prior + squares + between.sum(axis=0)) / (more + N.sum())
        else:
            rows = more + N[:, :, None]
            fresh = (self.covars_prior + squares + between) / np.where(rows > 0, rows, 1)
            self._covars_ = np.where(rows > 0, fresh, self._covars_)


class GMMHMM(OfMixtures, BaseHMM):
    """An HMM whose states are mixtures of ``n_mix`` Gaussians: ``weights_`` (K, M), ``means_`` (K, M, D), ``covars_``.

    Covariances: spherical (K, M), diag (K, M, D), full (K, M, D, D), tied (K, D, D), one a state. For priors
    see :class:`~estep.compat.hmmlearn.mixtures.OfMixtures`. Letters of ``params``: s, t, m, c, w.
    """

    def __init__(
        self,
        n_components: int = 1,
        n_mix: int = 1,
        min_covar: float = 1e-3,
        startprob_prior: Any = 1.0,
        transmat_prior: Any = 1.0,
        weights_prior: Any = 1.0,
        means_prior: Any = 0.0,
        means_weight: Any = 0.0,
        covars_prior: Any = None,
        covars_weight: Any = None,
        algorithm: str = "viterbi",
        covariance_type: str = "diag",
        random_state: Any = None,
        n_iter: int = 10,
        tol: float = 1e-2,
        verbose: bool = False,
        params: str = "stmcw",
        init_params: str = "stmcw",
        implementation: str = "log",
    ) -> None:
        self._keep(locals())


class MultinomialHMM(BaseHMM):
    """An HMM of rows of counts (n, D) of the outcomes of ``n_trials`` trials, one number or one a row, with
    ``emissionprob_`` (K, D). Letters of ``params``: s, t, e."""

    def __init__(
        self,
        n_components: int = 1,
        n_trials: Any = None,
        startprob_prior: Any = 1.0,
        transmat_prior: Any = 1.0,
        algorithm: str = "viterbi",
        random_state: Any = None,
        n_iter: int = 10,
        tol: float = 1e-2,
        verbose: bool = False,
        params: str = "ste",
        init_params: str = "ste",
        implementation: str = "log",
    ) -> None:
        self._keep(locals())

    n_trials: Any
    emissionprob_: Array

    def _check_and_set_n_features(self, X: Array) -> None:
        super()._check_and_set_n_features(X)
        if not np.issubdtype(X.dtype, np.integer) or X.min() < 0:
            raise ValueError("Symbol counts should be nonnegative integers")
        if self.n_trials is None:
            self.n_trials = X.sum(axis=1)
        elif not (X.sum(axis=1) == self.n_trials).all():
            raise ValueError("Total count for each sample should add up to the number of trials")

    def _get_n_fit_scalars_per_param(self) -> dict[str, int]:
        K = self.n_components
        return {"s": K - 1, "t": K * (K - 1), "e": K * (self.n_features - 1)}

    def _init(self, X: Array, lengths: Any = None) -> None:
        super()._init(X, lengths)
        self.random_state = check_random_state(self.random_state)
        if self._needs_init("e", "emissionprob_"):
            self.emissionprob_ = self.random_state.rand(self.n_components, self.n_features)
            normalize(self.emissionprob_, axis=1)

    def _check(self) -> None:
        super()._check()
        self.emissionprob_ = np.atleast_2d(self.emissionprob_)
        self.n_features = getattr(self, "n_features", self.emissionprob_.shape[1])
        self._check_shape("emissionprob_", (self.n_components, self.n_features), "(n_components, n_features)")
        self._check_sum_1("emissionprob_")
        if self.n_trials is None:
            raise ValueError("n_trials must be set")

    def _emission(self) -> Emission:
        return Multinomial(self.emissionprob_ / self.emissionprob_.sum(axis=1, keepdims=True))

    def _gathered(self, emission: Emission, s: Statistics) -> dict[str, Any]:
        return {"obs": s["moments"][:, 1:]}

    def _do_mstep(self, stats: dict[str, Any]) -> None:
        super()._do_mstep(stats)
        if "e" in self.params:
            self.emissionprob_ = shares(stats["obs"], self.emissionprob_)

    def _generate_sample_from_state(self, state: int, random_state: Any) -> Array:
        if np.unique(self.n_trials).size != 1:
            raise ValueError("For sampling, a single n_trials must be given")
        n = int(np.unique(self.n_trials)[0])
        return random_state.multinomial(n, self.emissionprob_[state])  # type: ignore[no-any-return]


class PoissonHMM(BaseHMM):
    """An HMM of rows of counts (n, D) with rates ``lambdas_`` (K, D).

    ``lambdas_prior`` and ``lambdas_weight``: events, and rows they come from, that each state has seen before; of all
    states' rows, as hmmlearn has it. Letters of ``params``: s, t, l.
    """

    def __init__(
        self,
        n_components: int = 1,
        startprob_prior: Any = 1.0,
        transmat_prior: Any = 1.0,
        lambdas_prior: Any = 0.0,
        lambdas_weight: Any = 0.0,
        algorithm: str = "viterbi",
        random_state: Any = None,
        n_iter: int = 10,
        tol: float = 1e-2,
        verbose: bool = False,
        params: str = "stl",
        init_params: str = "stl",
        implementation: str = "log",
    ) -> None:
        self._keep(locals())

    lambdas_prior: Any
    lambdas_weight: Any
    lambdas_: Array

    def _get_n_fit_scalars_per_param(self) -> dict[str, int]:
        K = self.n_components
        return {"s": K - 1, "t": K * (K - 1), "l": K * self.n_features}

    def _check_and_set_n_features(self, X: Array) -> None:
        super()._check_and_set_n_features(X)
        if X.min() < 0 or (np.floor(X) != X).any():
            raise ValueError("Counts should be nonnegative integers")

    def _init(self, X: Array, lengths: Any = None) -> None:
        super()._init(X, lengths)
        self.random_state = check_random_state(self.random_state)
        if self._needs_init("l", "lambdas_"):
            mean, variance = X.mean(), X.var()
            size = (self.n_components, self.n_features)
            self.lambdas_ = self.random_state.gamma(shape=mean**2 / variance, scale=variance / mean, size=size)

    def _check(self) -> None:
        super()._check()
        self.lambdas_ = np.atleast_2d(self.lambdas_)
        self.n_features = getattr(self, "n_features", self.lambdas_.shape[1])
        self._check_shape("lambdas_", (self.n_components, self.n_features), "(n_components, n_features)")

    def _emission(self) -> Emission:
        return Poisson(np.asarray(self.lambdas_, float))

    def _gathered(self, emission: Emission, s: Statistics) -> dict[str, Any]:
        return {"post": s["moments"][:, 0], "obs": s["moments"][:, 1:]}

    def _do_mstep(self, stats: dict[str, Any]) -> None:
        super()._do_mstep(stats)
        if "l" in self.params:
            N, total = stats["post"][:, None], stats["post"].sum()
            means = np.where(N > 0, stats["obs"] / np.where(N > 0, N, 1), self.lambdas_)
            self.lambdas_ = (self.lambdas_prior + total * means) / (self.lambdas_weight + total)

    def _generate_sample_from_state(self, state: int, random_state: Any) -> Array:
        return random_state.poisson(self.lambdas_[state])  # type: ignore[no-any-return]


def of_whole(X: Array, min_covar: float, kind: str, K: int) -> Array:
    """The covariance of all rows for K states, spherical variances as columns (K, D): hmmlearn's are means of the whole
    matrix."""
    D = X.shape[1]
    C = np.cov(X.T).reshape(D, D) + min_covar * np.eye(D)
    if kind == "tied":
        return C
    one = {"spherical": np.full(D, C.mean()), "diag": C.diagonal(), "full": C}[kind]
    return np.tile(one, (K, *[1] * one.ndim))
