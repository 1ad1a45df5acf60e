"""hmmlearn's states that are mixtures of Gaussians."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
from sklearn.cluster import KMeans
from sklearn.utils import check_random_state

from estep.compat.hmmlearn.base import shares
from estep.compat.hmmlearn.families import check_type, gaussians, outer, positive, squares_about
from estep.compat.hmmlearn.questions import Questions
from estep.compat.hmmlearn.utils import fill_covars
from estep.data.summary import Summary
from estep.emissions import Gaussian, MixtureOf
from estep.interface import Emission
from estep.latents import Chain
from estep.parameters.covariance import unpack
from estep.statistics import Array, Statistics

_log = logging.getLogger("hmmlearn.hmm")


class OfMixtures(Questions):
    """``n_mix`` Gaussians in each state.

    The M-step is hmmlearn's: squares are about the means before it. Priors count as rows that have been seen:
    ``weights_prior`` - 1 of each part, ``means_weight`` at ``means_prior``; of covariances with "diag" and "spherical"
    ``covars_weight`` and ``covars_prior`` are the scale and shape of inverse gammas, else the degrees of freedom and
    the scale of inverse Wisharts. None is no prior.
    """

    n_mix: int
    covariance_type: str
    min_covar: float
    weights_prior: Any
    means_prior: Any
    means_weight: Any
    covars_prior: Any
    covars_weight: Any
    weights_: Array
    means_: Array
    covars_: Array

    def _shapes(self) -> dict[str, tuple[int, ...]]:
        K, M, D = self.n_components, self.n_mix, self.n_features
        return {"spherical": (K, M), "tied": (K, D, D), "diag": (K, M, D), "full": (K, M, D, D)}

    def _covars_priors(self) -> tuple[Array, Array]:
        """Prior and weight of covariances as numbers for each; where None those that have no effect."""
        M, D = self.n_mix, self.n_features
        prior, weight = {
            "full": (0.0, -(D + 2.0)),
            "tied": (0.0, -(M + D + 1.0)),
            "diag": (-1.5, 0.0),
            "spherical": (-(M + 2.0) / 2, 0.0),
        }[self.covariance_type]
        return (
            np.asarray(prior if self.covars_prior is None else self.covars_prior),
            np.asarray(weight if self.covars_weight is None else self.covars_weight),
        )

    def _get_n_fit_scalars_per_param(self) -> dict[str, int]:
        K, M, D = self.n_components, self.n_mix, self.n_features
        pairs = D * (D + 1) // 2
        covars = {"spherical": K * M, "diag": K * M * D, "full": K * M * pairs, "tied": K * pairs}
        return {"s": K - 1, "t": K * (K - 1), "m": K * M * D, "c": covars[self.covariance_type], "w": K * (M - 1)}

    def _init(self, X: Array, lengths: Any = None) -> None:
        check_type(self.covariance_type)
        super()._init(X, lengths)
        K, M, D = self.n_components, self.n_mix, self.n_features
        whole = np.cov(X.T).reshape(D, D) + self.min_covar * np.eye(D)
        if self._needs_init("w", "weights_"):
            self.weights_ = np.full((K, M), 1 / M)
        if self._needs_init("m", "means_"):
            self.means_ = self._means_of_clusters(X, whole)
        if self._needs_init("c", "covars_"):
            one = {"diag": whole.diagonal(), "spherical": whole.mean()}.get(self.covariance_type, whole)
            self.covars_ = np.array(np.broadcast_to(one, self._shapes()[self.covariance_type]))

    def _means_of_clusters(self, X: Array, whole: Array) -> Array:
        """Means (K, M, D): clusters of the rows, and of each cluster's; of clusters with fewer rows than parts they are
        drawn around the middle of all."""
        K, M = self.n_components, self.n_mix
        states = KMeans(n_clusters=K, random_state=self.random_state, n_init=10)
        labels, means = states.fit_predict(X), []
        for k in range(K):
            own = X[labels == k]
            if len(own) >= M:
                parts = KMeans(n_clusters=M, random_state=self.random_state, n_init=10)
                means.append(parts.fit(own).cluster_centers_)
            else:
                middle = states.cluster_centers_.mean(axis=0)
                means.append(check_random_state(self.random_state).multivariate_normal(middle, whole, size=M))
        return np.stack(means)

    def _check(self) -> None:
        super()._check()
        if not hasattr(self, "n_features"):
            self.n_features = np.shape(self.means_)[-1]
        check_type(self.covariance_type)
        K, M, D = self.n_components, self.n_mix, self.n_features
        self._check_shape("weights_", (K, M), "(n_components, n_mix)")
        self._check_sum_1("weights_")
        self._check_shape("means_", (K, M, D), "(n_components, n_mix, n_features)")
        shape = self._shapes()[self.covariance_type]
        self._check_shape("covars_", shape, f"of {self.covariance_type!r} mixture covars")
        if self.covariance_type in ("spherical", "diag"):
            if (self.covars_ < 0).any():
                raise ValueError(f"{self.covariance_type!r} mixture covars must be non-negative")
            lowest = self.covars_
        else:
            if not np.allclose(self.covars_, self.covars_.swapaxes(-1, -2)):
                raise ValueError(f"{self.covariance_type!r} mixture covars must be symmetric")
            lowest = np.linalg.eigvalsh(self.covars_).min(axis=-1)
            if (lowest < -1e-12 * np.abs(self.covars_).max()).any():
                raise ValueError(f"{self.covariance_type!r} mixture covars must be positive definite")
        if (lowest == 0).any():
            _log.warning("Degenerate mixture covariance")

    def _emission(self) -> Emission:
        K, M, D = self.n_components, self.n_mix, self.n_features
        C, kind = np.asarray(self.covars_, float), self.covariance_type
        if kind == "tied":
            C, kind = np.repeat(C, M, axis=0), "full"
        else:
            C = C.reshape(K * M, *C.shape[2:])
        C = np.maximum(C, np.finfo(float).tiny) if kind == "spherical" else positive(C, kind)
        parts = gaussians(kind, np.asarray(self.means_, float).reshape(K * M, D), C)
        return MixtureOf(parts, M, self.weights_ / self.weights_.sum(axis=1, keepdims=True))

    def _parts(self, summary: Summary | None = None) -> tuple[Chain, Emission]:
        """With sums about the middle of the data."""
        chain, emission = super()._parts()
        if summary is None:
            return chain, emission
        assert isinstance(emission, MixtureOf)
        return chain, emission.evolve(inner=emission.inner.evolve(origin=summary.bulk.mean))

    def _gathered(self, emission: Emission, s: Statistics) -> dict[str, Any]:
        """Masses of parts, sums of rows (about zero), and sums of squares about the means as they are."""
        assert isinstance(emission, MixtureOf) and isinstance(emission.inner, Gaussian)
        K, M, D = self.n_components, self.n_mix, self.n_features
        origin = np.asarray(emission.inner.origin)
        moments = Statistics(emission.inner.layout, s["inner"])["moments"]
        N, S = moments[:, 0], moments[:, 1 : 1 + D]
        centre = self.means_.reshape(K * M, D) - origin
        stats = {
            "post_mix_sum": N.reshape(K, M),
            "post_sum": N.reshape(K, M).sum(axis=1),
            "m_n": (S + N[:, None] * origin).reshape(K, M, D),
        }
        second, kind = moments[:, 1 + D :], self.covariance_type
        if kind in ("full", "tied"):
            about = squares_about("full", centre, N, S, unpack(second, D)).reshape(K, M, D, D)
            return {**stats, "c_n": about.sum(axis=1) if kind == "tied" else about}
        if kind == "diag":
            return {**stats, "c_n": squares_about(kind, centre, N, S, second).reshape(K, M, D)}
        about = second[:, 0] - 2 * (centre * S).sum(axis=1) + N * (centre**2).sum(axis=1)
        return {**stats, "c_n": about.reshape(K, M)}

    def _do_mstep(self, stats: dict[str, Any]) -> None:
        super()._do_mstep(stats)
        K, M, D = self.n_components, self.n_mix, self.n_features
        N = stats["post_mix_sum"]
        if "w" in self.params:
            counts = N + np.broadcast_to(self.weights_prior, (K, M)) - 1
            self.weights_ = shares(counts, self.weights_)
        weight = np.broadcast_to(self.means_weight, (K, M))
        prior = np.broadcast_to(self.means_prior, (K, M, D))
        if "m" in self.params:
            rows = (N + weight)[:, :, None]
            fresh = (weight[:, :, None] * prior + stats["m_n"]) / np.where(rows > 0, rows, 1)
            self.means_ = np.where(rows > 0, fresh, self.means_)
        if "c" in self.params:
            self.covars_ = self._covariances(stats["c_n"], N, weight, self.means_ - prior)

    def _covariances(self, squares: Array, N: Array, weight: Array, apart: Array) -> Array:
        """Covariances of sums of squares; a part without rows keeps its own."""
        M, D = self.n_mix, self.n_features
        prior, own = self._covars_priors()
        kind = self.covariance_type
        if kind in ("full", "tied"):
            between = weight[:, :, None, None] * outer(apart)
            scale = np.broadcast_to(prior, squares.shape).swapaxes(-1, -2)
            above = squares + scale + (between if kind == "full" else between.sum(axis=1))
            below = N + own + D + 2 if kind == "full" else N.sum(axis=1) + own + M + D + 1
            below = below[..., None, None]
        elif kind == "diag":
            squares = np.maximum(squares, 0.0)  # of a part on one point, rounding
            above = squares + weight[:, :, None] * apart**2 + 2 * own
            below = N[:, :, None] + 1 + 2 * (prior + 1)
        else:
            squares = np.maximum(squares, 0.0)
            above = squares + weight * (apart**2).sum(axis=-1) + 2 * own
            below = D * (N + 1) + 2 * (prior + 1)
        enough = below > 1e-9
        return np.where(enough, above / np.where(enough, below, 1), self.covars_)

    def _generate_sample_from_state(self, state: int, random_state: Any) -> Array:
        part = random_state.choice(self.n_mix, p=self.weights_[state])
        if self.covariance_type == "tied":
            C = self.covars_[state]
        else:
            own = self.covars_[:, part]
            C = fill_covars(own, self.covariance_type, self.n_components, self.n_features)[state]
        return random_state.multivariate_normal(self.means_[state, part], C)  # type: ignore[no-any-return]
