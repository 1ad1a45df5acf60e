"""scikit-learn's fitted mixtures as ours, and ours as scikit-learn's; they score alike."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from estep.emissions import Gaussian
from estep.estimators.attributes import Attributes
from estep.estimators.bayesian import BayesianGaussianMixture
from estep.estimators.mixture import GaussianMixture
from estep.estimators.of_models import from_model
from estep.estimators.precisions import precisions_of, to_covariances
from estep.latents import Independent
from estep.model import Model
from estep.priors import Dirichlet, DirichletProcess, NormalInverseWishart, Sticks
from estep.statistics import Array

SETTINGS = (
    "n_components", "covariance_type", "tol", "reg_covar", "max_iter", "n_init", "init_params", "means_init",
    "random_state", "warm_start", "verbose", "verbose_interval",
)  # fmt: skip
"""Arguments that both have, with the same meaning."""
STARTS = ("weights_init", "precisions_init")
PRIORS = (
    "weight_concentration_prior_type", "weight_concentration_prior", "mean_precision_prior", "mean_prior",
    "degrees_of_freedom_prior", "covariance_prior",
)  # fmt: skip
WISHARTS = ("full", "tied")
"""Types of covariances whose posterior is the same for both."""


def from_sklearn(estimator: Any) -> Any:
    """Our mixture with the settings of scikit-learn's ``GaussianMixture`` or ``BayesianGaussianMixture``, and where it
    is fitted, with its parameters: ``score_samples`` and ``predict_proba`` are the same, to scikit-learn's rounding.

    Raises TypeError for another estimator, and ValueError for a fitted variational mixture of diagonal or spherical
    covariances: scikit-learn's posterior of these is not one of ours.
    """
    from sklearn.mixture import BayesianGaussianMixture as TheirBayesian
    from sklearn.mixture import GaussianMixture as Theirs

    variational = isinstance(estimator, TheirBayesian)
    if not variational and not isinstance(estimator, Theirs):
        raise TypeError(
            f"from_sklearn takes scikit-learn's GaussianMixture or BayesianGaussianMixture, not a "
            f"{type(estimator).__name__}; of a pipeline give the last step, pipeline[-1]"
        )
    known = estimator.get_params(deep=False)
    names = SETTINGS[:7] + SETTINGS[8:] + PRIORS if variational else SETTINGS + STARTS
    settings = {name: known[name] for name in names}
    if not hasattr(estimator, "weights_"):
        return (BayesianGaussianMixture if variational else GaussianMixture)(**settings)
    kind = estimator.covariance_type
    if variational and kind not in WISHARTS:
        raise ValueError(
            f"scikit-learn's posterior of {kind} covariances takes the expectations of a full matrix, which ours does "
            "not: fit estep's BayesianGaussianMixture, or set weights_, means_ and covariances_ of a GaussianMixture"
        )
    columns = tuple(map(str, getattr(estimator, "feature_names_in_", ())))
    reg_covar = None if variational else estimator.reg_covar
    emission = Gaussian(kind, as_float(estimator.means_), _covariances(estimator), reg_covar)
    model = Model(Independent(as_float(estimator.weights_)), emission, columns)
    if variational:
        model = replace(model, prior=_prior(estimator), posterior=_posterior(estimator))
    ours = BayesianGaussianMixture() if variational else from_model(model)
    ours.set_params(**settings)
    ours._set_model(model)
    ours._remember_names(model)
    for name in ("n_iter_", "converged_", "lower_bound_"):
        if hasattr(estimator, name):
            setattr(ours, name, getattr(estimator, name))
    return ours


def _covariances(estimator: Any) -> Array:
    """Those of ``precisions_cholesky_``, which scikit-learn's questions read; where these are the inverses of
    ``covariances_``, as after a fit, the covariances themselves."""
    U, kind = as_float(estimator.precisions_cholesky_), estimator.covariance_type
    full = kind in WISHARTS
    precisions = U @ U.swapaxes(-1, -2) if full else U**2
    C = getattr(estimator, "covariances_", None)
    if C is not None:
        C = as_float(C)
        one = precisions @ C if full else precisions * C
        if one.shape == precisions.shape and np.allclose(one, np.eye(C.shape[-1]) if full else 1.0, atol=1e-3):
            return (C + C.swapaxes(-1, -2)) / 2 if full else C
    return to_covariances(precisions, kind, estimator.n_components, "precisions_cholesky_")


def as_float(values: Any) -> Array:
    """An array of doubles of one's own."""
    return np.array(values, dtype=np.float64)


def _posterior(estimator: Any) -> dict[str, Any]:
    dofs, kind = as_float(estimator.degrees_of_freedom_), estimator.covariance_type
    scale = as_float(estimator.covariances_) * (dofs if kind == "tied" else dofs[:, None, None])
    concentration = estimator.weight_concentration_
    weights = (
        Sticks(*map(as_float, concentration))
        if isinstance(concentration, tuple)
        else Dirichlet(as_float(concentration))
    )
    gaussian = NormalInverseWishart(as_float(estimator.means_), as_float(estimator.mean_precision_), dofs, scale, kind)
    return {"weights": weights, "means": gaussian}


def _prior(estimator: Any) -> dict[str, Any]:
    kind, (K, D) = estimator.covariance_type, np.shape(estimator.means_)
    process = estimator.weight_concentration_prior_type == "dirichlet_process"
    weights = (DirichletProcess if process else Dirichlet)(float(estimator.weight_concentration_prior_))
    gaussian = NormalInverseWishart(
        as_float(estimator.mean_prior_),
        float(estimator.mean_precision_prior_),
        float(estimator.degrees_of_freedom_prior_),
        as_float(estimator.covariance_prior_),
    )
    return {"weights": weights, "means": gaussian.shaped(kind, K, D)}


def to_sklearn(fitted: Any) -> Any:
    """scikit-learn's mixture with the parameters of our Gaussian mixture, an estimator or a Model, ready to answer.

    Raises ValueError for another model, and for variational mixtures of diagonal or spherical covariances, whose
    posterior scikit-learn has not.
    """
    from sklearn.mixture import BayesianGaussianMixture as TheirBayesian
    from sklearn.mixture import GaussianMixture as Theirs

    model: Model = fitted.to_model() if isinstance(fitted, Attributes) else fitted
    emission = model.emission
    if not isinstance(model.latent, Independent) or not isinstance(emission, Gaussian):
        raise ValueError(
            f"scikit-learn has no {model.latent.kind} of {emission.name} emissions: Gaussian mixtures alone"
        )
    kind, settings = emission.covariance_type, _settings(fitted, model)
    if model.posterior is None:
        theirs = Theirs(**settings)
    else:
        if kind not in WISHARTS:
            raise ValueError(f"scikit-learn's posterior of {kind} covariances is not ours: take full or tied")
        theirs = TheirBayesian(**settings)
        _set_posterior(theirs, model)
    theirs.weights_, theirs.means_ = as_float(model.latent.weights), as_float(emission.means)
    theirs.covariances_ = as_float(emission.covariances)
    theirs.precisions_, theirs.precisions_cholesky_ = precisions_of(theirs.covariances_, kind)
    theirs.converged_, theirs.n_iter_ = getattr(fitted, "converged_", True), getattr(fitted, "n_iter_", 0)
    theirs.lower_bound_ = getattr(fitted, "lower_bound_", np.nan)
    theirs.n_features_in_ = emission.n_columns
    if any(model.columns):
        theirs.feature_names_in_ = np.array(model.columns, dtype=object)
    return theirs


def _settings(fitted: Any, model: Model) -> dict[str, Any]:
    """Arguments of scikit-learn's constructor."""
    emission = model.emission
    assert isinstance(emission, Gaussian)
    own = {"n_components": model.n_components, "covariance_type": emission.covariance_type}
    if emission.reg_covar is not None:
        own["reg_covar"] = emission.reg_covar
    names = ("tol", "max_iter", "n_init", "random_state", "warm_start", "verbose")
    kept = {name: getattr(fitted, name) for name in names if hasattr(fitted, name)}
    if isinstance(kept.get("random_state"), np.random.Generator):  # which scikit-learn does not take
        del kept["random_state"]
    return {**own, **kept}


def _set_posterior(theirs: Any, model: Model) -> None:
    assert model.posterior is not None and model.prior is not None
    weights, gaussian = model.posterior["weights"], model.posterior["means"]
    before: Any = model.prior["means"]
    first: Any = () if theirs.covariance_type == "tied" else 0
    process = isinstance(weights, Sticks)
    theirs.weight_concentration_prior_type = "dirichlet_process" if process else "dirichlet_distribution"
    theirs.weight_concentration_ = (weights.a, weights.b) if process else weights.concentration
    theirs.mean_precision_, theirs.degrees_of_freedom_ = gaussian.mean_precision, gaussian.dofs
    prior_of_weights: Any = model.prior["weights"]
    theirs.weight_concentration_prior_ = float(prior_of_weights.concentration)
    theirs.mean_precision_prior_, theirs.mean_prior_ = before.mean_precision[0], before.mean[0]
    theirs.degrees_of_freedom_prior_, theirs.covariance_prior_ = before.dofs[first], before.scale[first]
