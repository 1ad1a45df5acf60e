"""hmmlearn's models as ours, and ours as hmmlearn's; they score alike."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.exceptions import NotFittedError

from estep.compat.convert_sklearn import as_float
from estep.compat.hmmlearn.families import of_columns
from estep.emissions import Categorical, Gaussian, MixtureOf, Multinomial, Poisson
from estep.estimators.attributes import Attributes
from estep.estimators.of_models import from_model
from estep.interface import Emission
from estep.latents import Chain
from estep.model import Model

PARAMETERS = {
    "GaussianHMM": ("means_", "_covars_"),
    "VariationalGaussianHMM": ("means_", "_covars_"),
    "GMMHMM": ("weights_", "means_", "covars_"),
    "CategoricalHMM": ("emissionprob_",),
    "VariationalCategoricalHMM": ("emissionprob_",),
    "MultinomialHMM": ("emissionprob_",),
    "PoissonHMM": ("lambdas_",),
}
"""hmmlearn's classes, and the attributes that must be there."""


def from_hmmlearn(model: Any) -> Any:
    """Our chain with the parameters of one of hmmlearn's models, fitted or set by hand, and its ``random_state``:
    log-likelihoods are the same, and so are decoded states but where paths are equally probable. A variational one is
    taken at the means of its posterior, as by its own questions. Probabilities that do not quite add up to one do then.

    How to fit is not taken over: ``n_iter``, ``tol`` (of the total there, of a row here), priors. Raises TypeError for
    another class, and NotFittedError where a parameter is not set.
    """
    kind = next((c.__name__ for c in type(model).__mro__ if c.__name__ in PARAMETERS), None)
    if kind is None:
        raise TypeError(f"from_hmmlearn takes one of {', '.join(PARAMETERS)}, not a {type(model).__name__}")
    for name in ("startprob_", "transmat_", *PARAMETERS[kind]):
        try:
            getattr(model, name)
        except AttributeError:
            raise NotFittedError(f"{name.lstrip('_')} of this {kind} is not set: fit it, or set it by hand") from None
    start, moves = as_float(model.startprob_), as_float(model.transmat_)
    chain = Chain(start / start.sum(), moves / moves.sum(axis=1, keepdims=True))
    ours = from_model(Model(chain, _emission(model, kind)))
    return ours.set_params(random_state=model.random_state)


def _emission(model: Any, kind: str) -> Emission:
    if kind == "PoissonHMM":
        return Poisson(as_float(model.lambdas_))
    if kind == "GMMHMM":
        return _mixtures(model)
    if kind.endswith("GaussianHMM"):
        covariance_type = model.covariance_type
        means, C = as_float(model.means_), as_float(model._covars_)
        if covariance_type in ("spherical", "diag"):
            C = of_columns(C, means.shape)
            alike = covariance_type == "spherical" and (C[:, :1] == C).all()
            return Gaussian("spherical", means, C[:, 0]) if alike else Gaussian("diag", means, C)
        return Gaussian(covariance_type, means, (C + C.swapaxes(-1, -2)) / 2)
    p = as_float(model.emissionprob_)
    p /= p.sum(axis=1, keepdims=True)
    if kind != "MultinomialHMM":
        return Categorical(p)
    trials = np.unique(1 if model.n_trials is None else model.n_trials)
    return Multinomial(p, int(trials[-1]))


def _mixtures(model: Any) -> Emission:
    """hmmlearn's tied covariances are one of each state: ours are one of all, so that these are full ones."""
    means, C, kind = as_float(model.means_), as_float(model.covars_), model.covariance_type
    K, M, D = means.shape
    C = np.repeat(C, M, axis=0) if kind == "tied" else C.reshape(K * M, *C.shape[2:])
    weights = as_float(model.weights_)
    parts = Gaussian("full" if kind == "tied" else kind, means.reshape(K * M, D), C)
    return MixtureOf(parts, M, weights / weights.sum(axis=1, keepdims=True))


def to_hmmlearn(fitted: Any) -> Any:
    """hmmlearn's model with the parameters of our chain, an estimator or a Model, of Gaussian, Gaussian-mixture,
    categorical, multinomial or Poisson emissions.

    Raises ImportError where hmmlearn is not installed, and ValueError for a model that it has not.
    """
    try:
        from hmmlearn import hmm
    except ImportError:
        raise ImportError("to_hmmlearn makes hmmlearn's models: pip install hmmlearn") from None
    model: Model = fitted.to_model() if isinstance(fitted, Attributes) else fitted
    if type(model.latent) is not Chain:
        raise ValueError(f"hmmlearn has no {model.latent.kind} with {model.latent.name} states: chains alone")
    if model.posterior is not None:
        raise ValueError(
            "the model is variational, and hmmlearn's questions are to parameters: give "
            "dataclasses.replace(model_, prior=None, posterior=None)"
        )
    theirs = _model(hmm, model)
    theirs.startprob_, theirs.transmat_ = as_float(model.latent.startprob), as_float(model.latent.transmat)
    return theirs


def _model(hmm: Any, model: Model) -> Any:
    """hmmlearn's object with the parameters of the emission."""
    emission, K = model.emission, model.n_components
    if isinstance(emission, Gaussian):
        theirs = hmm.GaussianHMM(K, emission.covariance_type)
        theirs.means_, theirs.n_features = as_float(emission.means), emission.n_columns
        theirs.covars_ = as_float(emission.covariances)
    elif isinstance(emission, MixtureOf) and isinstance(emission.inner, Gaussian):
        parts, M, D = emission.inner, emission.n_mix, emission.n_columns
        theirs = hmm.GMMHMM(K, M, covariance_type=parts.covariance_type)
        C = as_float(parts.covariances)
        theirs.weights_, theirs.means_ = as_float(emission.mix_weights), as_float(parts.means).reshape(K, M, D)
        theirs.covars_ = (
            np.tile(C, (K, 1, 1))
            if C.shape == (D, D) and parts.covariance_type == "tied"
            else C.reshape(K, M, *C.shape[1:])
        )
    elif isinstance(emission, Categorical):
        p = as_float(emission.emissionprob)
        theirs = hmm.CategoricalHMM(K, n_features=p.shape[1])
        theirs.emissionprob_ = p
    elif isinstance(emission, Multinomial):
        theirs = hmm.MultinomialHMM(K, n_trials=emission.trials)
        theirs.emissionprob_ = as_float(emission.emissionprob)
    elif isinstance(emission, Poisson):
        theirs = hmm.PoissonHMM(K)
        theirs.lambdas_ = as_float(emission.rates)
    else:
        raise ValueError(f"hmmlearn has no {emission.name} emissions")
    return theirs
