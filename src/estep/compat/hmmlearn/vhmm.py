"""hmmlearn's variational models: posteriors of the parameters, and their means as attributes."""

from __future__ import annotations

import numbers
from typing import Any

import numpy as np
from sklearn.cluster import KMeans
from sklearn.utils import check_random_state

from estep.compat.hmmlearn.base import VariationalBaseHMM
from estep.compat.hmmlearn.families import OfGaussians, OfSymbols, check_type, outer, squares_about
from estep.compat.hmmlearn.hmm import of_whole
from estep.emissions import Categorical
from estep.interface import Emission
from estep.parameters.covariance import full
from estep.priors import Dirichlet, NormalInverseWishart
from estep.priors.probabilities import expected_probabilities
from estep.statistics import Array

UNIT = 1e-3
"""What a scale has at least, on the diagonal."""
LOG_2PI = float(np.log(2 * np.pi))


class VariationalCategoricalHMM(OfSymbols, VariationalBaseHMM):
    """A variational HMM of symbols (Beal 2003): ``emissionprob_posterior_`` (K, M) are concentrations of Dirichlet
    posteriors. Priors are one number each, 1 / n of n probabilities where None. Letters of ``params``: s, t, e."""

    def __init__(
        self,
        n_components: int = 1,
        startprob_prior: Any = None,
        transmat_prior: Any = None,
        *,
        emissionprob_prior: Any = None,
        n_features: int | None = None,
        algorithm: str = "viterbi",
        random_state: Any = None,
        n_iter: int = 100,
        tol: float = 1e-6,
        verbose: bool = False,
        params: str = "ste",
        init_params: str = "ste",
        implementation: str = "log",
    ) -> None:
        self._keep(locals())

    emissionprob_prior_: Array
    emissionprob_posterior_: Array

    def _init(self, X: Array, lengths: Any = None) -> None:
        super()._init(X, lengths)
        if self._needs_any("e", "emissionprob_posterior_", "emissionprob_prior_"):
            K, M = self.n_components, self.n_features
            prior = 1 / M if self.emissionprob_prior is None else self.emissionprob_prior
            self.emissionprob_prior_ = np.full((K, M), prior)
            drawn = check_random_state(self.random_state).dirichlet(alpha=[prior] * M, size=K)
            self.emissionprob_posterior_ = drawn * sum(lengths) / K

    def _check(self) -> None:
        super()._check()
        if self.n_features is None:
            self.n_features = np.shape(self.emissionprob_posterior_)[-1]
        for name in ("emissionprob_prior_", "emissionprob_posterior_"):
            self._check_shape(name, (self.n_components, self.n_features), "(n_components, n_features)")
        if not hasattr(self, "emissionprob_"):
            self._set_symbols()

    def _set_symbols(self) -> None:
        q = self.emissionprob_posterior_
        self.emissionprob_ = q / q.sum(axis=1, keepdims=True)

    def _fit_emission(self) -> Emission:
        expected = expected_probabilities(Dirichlet(self.emissionprob_posterior_))
        return Categorical().evolve(emissionprob=expected, n_symbols=expected.shape[1])

    def _do_mstep(self, stats: dict[str, Any]) -> None:
        super()._do_mstep(stats)
        if "e" in self.params:
            self.emissionprob_posterior_ = self.emissionprob_prior_ + stats["obs"]
            self._set_symbols()

    def _compute_lower_bound(self, log_prob: float) -> float:
        apart = Dirichlet(self.emissionprob_posterior_).divergence(Dirichlet(self.emissionprob_prior_))
        return super()._compute_lower_bound(log_prob) - apart


class VariationalGaussianHMM(OfGaussians, VariationalBaseHMM):
    """A variational HMM of Gaussian rows (McGrory & Titterington 2009).

    ``means_posterior_`` (K, D), ``beta_posterior_`` (K,): rows that means count for; ``dof_posterior_`` (K,) and
    ``scale_posterior_``, in the shape of ``covariance_type``, of Wishart posteriors of the precisions: of D dimensions
    for diagonal and spherical ones too, as hmmlearn has it; tied ones have one. Priors are arrays of the same shapes;
    where None: the mean of all rows, 1, D and 0.001. Letters of ``params``: s, t, m, c.
    """

    def __init__(
        self,
        n_components: int = 1,
        covariance_type: str = "full",
        startprob_prior: Any = None,
        transmat_prior: Any = None,
        means_prior: Any = None,
        beta_prior: Any = None,
        dof_prior: Any = None,
        scale_prior: Any = None,
        algorithm: str = "viterbi",
        random_state: Any = None,
        n_iter: int = 100,
        tol: float = 1e-6,
        verbose: bool = False,
        params: str = "stmc",
        init_params: str = "stmc",
        implementation: str = "log",
    ) -> None:
        self._keep(locals())

    means_prior: Any
    beta_prior: Any
    dof_prior: Any
    scale_prior: Any
    means_prior_: Array
    means_posterior_: Array
    beta_prior_: Array
    beta_posterior_: Array
    dof_prior_: Any
    dof_posterior_: Any
    scale_prior_: Array
    scale_posterior_: Array

    @property
    def means_(self) -> Array:  # type: ignore[override]
        """The means of the posterior."""
        return self.means_posterior_

    def _get_n_fit_scalars_per_param(self) -> dict[str, int]:
        known, dofs = super()._get_n_fit_scalars_per_param(), 1 if self.covariance_type == "tied" else self.n_components
        return {**known, "m": known["m"] + self.n_components, "c": known["c"] + dofs}

    def _init(self, X: Array, lengths: Any = None) -> None:
        K, D, kind = self.n_components, X.shape[1], self.covariance_type
        check_type(kind)
        super()._init(X, lengths)
        of_means = self._needs_any("m", "means_prior_", "means_posterior_", "beta_prior_", "beta_posterior_")
        of_covars = self._needs_any("c", "dof_prior_", "dof_posterior_", "scale_prior_", "scale_posterior_")
        if not (of_means or of_covars):
            return
        clusters = KMeans(n_clusters=K, random_state=self.random_state, n_init=10).fit(X)
        counts = np.bincount(clusters.labels_, minlength=K)
        if of_means:
            self.means_prior_ = np.tile(X.mean(axis=0), (K, 1)) if self.means_prior is None else self.means_prior
            self.beta_prior_ = np.ones(K) if self.beta_prior is None else self.beta_prior
            self.means_posterior_, self.beta_posterior_ = clusters.cluster_centers_, counts
        if of_covars:
            tied, C = kind == "tied", of_whole(X, UNIT, kind, K)
            own = C[:, 0] if kind == "spherical" else C
            least = UNIT * np.eye(D) if kind in ("full", "tied") else UNIT
            dof_prior = D if tied else np.full(K, D)
            self.dof_prior_ = dof_prior if self.dof_prior is None else self.dof_prior
            self.dof_posterior_ = int(counts.sum()) if tied else counts
            self.scale_prior_ = np.array(np.broadcast_to(least, own.shape))
            if self.scale_prior is not None:
                self.scale_prior_ = self.scale_prior
            self.scale_posterior_ = own * (counts.sum() if tied else counts.reshape(K, *[1] * (own.ndim - 1)))

    def _scale_shape(self) -> tuple[int, ...]:
        K, D = self.n_components, self.n_features
        return {"full": (K, D, D), "tied": (D, D), "diag": (K, D), "spherical": (K,)}[self.covariance_type]

    def _check(self) -> None:
        super()._check()
        K, D = self.n_components, self.n_features
        for name, shape in (("means", (K, D)), ("beta", (K,)), ("dof", (K,)), ("scale", self._scale_shape())):
            for attribute in (f"{name}_prior_", f"{name}_posterior_"):
                if name == "dof" and self.covariance_type == "tied":
                    if not isinstance(getattr(self, attribute), numbers.Number):
                        raise ValueError(f"{attribute} should be numeric: tied covariances have one")
                    continue
                setattr(self, attribute, np.asarray(getattr(self, attribute), dtype=float))
                self._check_shape(attribute, shape, f"of {name} for {self.covariance_type!r}")
        if not hasattr(self, "_covars_"):
            self._covars_ = self._posterior_covars()

    def _posterior_covars(self) -> Array:
        """The inverses of the mean precisions."""
        dof, scale = np.asarray(self.dof_posterior_, float), np.asarray(self.scale_posterior_)
        return np.asarray(scale / dof.reshape(-1, *[1] * (scale.ndim - 1)) if dof.ndim else scale / dof)

    def _of(self, which: str) -> NormalInverseWishart:
        """Prior or posterior of the means and precisions."""
        mean, beta, dof, scale = (
            np.asarray(getattr(self, f"{n}_{which}_"), float) for n in ("means", "beta", "dof", "scale")
        )
        kind = "tied" if self.covariance_type == "tied" else "full"
        if kind == "full":
            scale = full(scale, self.covariance_type, self.n_components, self.n_features)
        return NormalInverseWishart(mean, beta, dof, scale, kind)

    def _fit_emission(self) -> Emission:
        """Gaussians at the mean precisions."""
        return self._gaussians(self._posterior_covars())

    def _offset(self) -> Array:
        """hmmlearn leaves powers of 2 pi out."""
        offset: Array = self._of("posterior").offset() + 0.5 * self.n_features * LOG_2PI
        return offset

    def _do_mstep(self, stats: dict[str, Any]) -> None:
        """Bishop 2006, eq. 10.60 to 10.63."""
        super()._do_mstep(stats)
        origin, N = stats.get("origin", 0.0), stats["post"]
        prior = self.means_prior_ - origin
        if "m" in self.params:
            self.beta_posterior_ = self.beta_prior_ + N
            self.means_posterior_ = (self.beta_prior_[:, None] * prior + stats["obs"]) / self.beta_posterior_[:, None]
            self.means_posterior_ = self.means_posterior_ + origin
        if "c" not in self.params:
            return
        kind, centre = self.covariance_type, self.means_posterior_ - origin
        apart, b0 = centre - prior, self.beta_prior_
        second = stats["obs*obs.T" if kind in ("full", "tied") else "obs**2"]
        squares = squares_about(kind, centre, N, stats["obs"], second)  # about the means, which may be held
        if kind in ("full", "tied"):
            between = b0[:, None, None] * outer(apart)
            squares = squares + (between if kind == "full" else between.sum(axis=0))
        else:
            squares = squares + b0[:, None] * apart**2
            squares = squares if kind == "diag" else squares.mean(axis=1)
        self.dof_posterior_ = self.dof_prior_ + (N.sum() if kind == "tied" else N)
        self.scale_posterior_ = self.scale_prior_ + squares
        self._covars_ = self._posterior_covars()

    def _compute_lower_bound(self, log_prob: float) -> float:
        return super()._compute_lower_bound(log_prob) - self._of("posterior").divergence(self._of("prior"))
