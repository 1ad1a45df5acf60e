"""BayesianGaussianMixture: variational Gaussian mixtures with scikit-learn's arguments and attributes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from estep.data.rows import chunks
from estep.data.source import Source
from estep.emissions import Gaussian
from estep.estimators.mixture import GaussianMixture
from estep.interface import Algorithm
from estep.latents import Independent
from estep.model import Model
from estep.priors import Dirichlet, DirichletProcess, NormalInverseWishart, Prior, Sticks
from estep.statistics import Array

WEIGHTS: dict[str, type[Prior]] = {"dirichlet_process": DirichletProcess, "dirichlet_distribution": Dirichlet}


class BayesianGaussianMixture(GaussianMixture):
    """Gaussian mixture by variational Bayes (Bishop 2006, section 10.2): components not needed lose their weight.

    ``lower_bound_`` is the complete evidence lower bound, divided by the number of rows. Variances of diagonal and
    spherical covariances have gamma priors, tied components share one Wishart: exact conjugate updates, where
    scikit-learn takes a Wishart's expectations for all types. Densities and responsibilities are the variational ones,
    as scikit-learn's are.

    Parameters
    ----------
    n_components : int
        K at most.
    weight_concentration_prior_type : {"dirichlet_process", "dirichlet_distribution"}
    weight_concentration_prior : float, optional
        1 / K.
    mean_precision_prior : float, optional
        1.
    mean_prior : array (D,), optional
        The mean of the data.
    degrees_of_freedom_prior : float, optional
        D.
    covariance_prior : float or array, optional
        (D, D) for full and tied, (D,) for diag, a number for spherical: the covariance of the data.
    reg_covar : float, optional
        Added to the diagonal of ``covariance_prior``.
    covariance_type, tol, max_iter, n_init, init_params, means_init ... :
        As those of :class:`GaussianMixture`.

    Attributes
    ----------
    weights_, means_, covariances_, precisions_, precisions_cholesky_ : arrays
        Expected weights, means and precisions; covariances are the inverses of these.
    weight_concentration_ : array (K,), or two of them for a Dirichlet process
    mean_precision_ : array (K,)
    degrees_of_freedom_ : array (K,); tied: a number
    weight_concentration_prior_, mean_precision_prior_, mean_prior_, degrees_of_freedom_prior_, covariance_prior_ :
        The priors, those left out too.
    lower_bound_, lower_bounds_, converged_, n_iter_, stop_reason_, model_, fit_ :
        As those of :class:`GaussianMixture`.
    """

    estimate = "vb"

    def __init__(
        self,
        *,
        n_components: int = 1,
        covariance_type: str = "full",
        tol: float = 1e-8,
        stop_rule: str = "gain",
        reg_covar: float | None = None,
        max_iter: int = 1000,
        max_time: float | None = None,
        checkpoint: Any = None,
        every: float = 60.0,
        memory: Any = None,
        reseeds: int = 3,
        n_init: int = 1,
        init_params: str = "portfolio",
        weight_concentration_prior_type: str = "dirichlet_process",
        weight_concentration_prior: float | None = None,
        mean_precision_prior: float | None = None,
        mean_prior: Any = None,
        degrees_of_freedom_prior: float | None = None,
        covariance_prior: Any = None,
        weights_init: Any = None,
        means_init: Any = None,
        precisions_init: Any = None,
        covariances_init: Any = None,
        random_state: Any = None,
        warm_start: bool = False,
        verbose: int = 0,
        verbose_interval: int = 10,
        n_threads: int | None = None,
        execute: Any = None,
        algorithm: Algorithm | str = "em",
        order_by: str | None = None,
        callbacks: Sequence[Any] = (),
    ) -> None:
        self._keep(locals())

    def _parts(self) -> tuple[Independent, Gaussian]:
        latent, emission = super()._parts()
        return latent, emission.evolve(reg_covar=None)

    def _prior_settings(self) -> Any:
        names = ("mean_prior", "mean_precision_prior", "degrees_of_freedom_prior", "covariance_prior", "reg_covar")
        weights = (self.weight_concentration_prior_type, self.weight_concentration_prior)
        return {"weights": weights, **{name: getattr(self, name) for name in names}}

    def _prior(self, source: Source) -> Mapping[str, Prior]:
        kind, D = self.weight_concentration_prior_type, source.X.shape[1]
        if kind not in WEIGHTS:
            raise ValueError(f"weight_concentration_prior_type is {kind!r}: it is one of {', '.join(WEIGHTS)}")
        concentration = self.weight_concentration_prior
        weights = WEIGHTS[kind](1 / self.n_components if concentration is None else concentration)  # type: ignore[call-arg]
        dofs = D if self.degrees_of_freedom_prior is None else self.degrees_of_freedom_prior
        if self.covariance_type in ("full", "tied") and np.ndim(dofs) == 0 and not dofs > D - 1:
            raise ValueError(
                f"The parameter 'degrees_of_freedom_prior' should be greater than {D - 1}, but got {dofs:.3f}."
            )
        covariance = _spread(source, self.covariance_type) if self.covariance_prior is None else self.covariance_prior
        if self.reg_covar:
            full = self.covariance_type in ("full", "tied")
            covariance = np.asarray(covariance) * (np.eye(D) if full and np.ndim(covariance) < 2 else 1.0)
            covariance = covariance + self.reg_covar * (np.eye(D) if full else 1.0)
        gaussian = NormalInverseWishart(
            source.summary.mean if self.mean_prior is None else self.mean_prior,
            1.0 if self.mean_precision_prior is None else self.mean_precision_prior,
            dofs,
            covariance,
        )
        return {"weights": weights, "means": gaussian}

    def _set_model(self, model: Model, dtype: type[np.floating[Any]] = np.float64) -> None:
        super()._set_model(model, dtype)
        if model.posterior is None or model.prior is None:
            return
        weights, gaussian = model.posterior["weights"], model.posterior["means"]
        self.weight_concentration_ = (weights.a, weights.b) if isinstance(weights, Sticks) else weights.concentration
        self.mean_precision_, self.degrees_of_freedom_ = gaussian.mean_precision, gaussian.dofs
        before: Any = model.prior["weights"]
        self.weight_concentration_prior_ = float(before.concentration)
        before = model.prior["means"]
        first: Any = 0 if self.covariance_type != "tied" else ()
        self.mean_prior_, self.covariance_prior_ = before.mean[0], before.scale[first]
        self.mean_precision_prior_, self.degrees_of_freedom_prior_ = before.mean_precision[0], before.dofs[first]


def _spread(source: Source, covariance_type: str) -> Array:
    """The covariance of the data, in the shape of a component's; above the floor."""
    summary, full = source.summary, covariance_type in ("full", "tied")
    total = sum(chunks(source.X, _Squares(summary.mean, source.weights, full)))
    rows = max(source.weight - 1, 1.0)
    if full:
        return np.asarray(total / rows + np.diag(summary.floor))
    variance = np.maximum(total / rows, summary.floor)
    return variance if covariance_type == "diag" else np.asarray(variance.mean())


@dataclass(frozen=True, eq=False)
class _Squares:
    """The sums of squares, or with ``full`` of products, of some rows about the mean, at which missing cells are."""

    mean: Array
    weights: Array | None
    full: bool

    def __call__(self, X: Array, first: int) -> Array:
        x = np.nan_to_num(X.astype(np.float64, copy=False) - self.mean)
        w = np.ones(len(x)) if self.weights is None else self.weights[first : first + len(x)]
        return np.asarray((x * w[:, None]).T @ x if self.full else w @ x**2)
