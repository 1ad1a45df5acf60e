"""Estimators of models that are there, and of files."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

import numpy as np

from estep.algorithms import Online
from estep.emissions import Bernoulli, Gaussian, MixtureOf, Student
from estep.estimators.hmm import GMMHMM, HMM, CategoricalHMM, GaussianHMM, PoissonHMM
from estep.estimators.mixture import BernoulliMixture, GaussianMixture, MixtureModel, StudentMixture
from estep.inference.constraints import Constraints
from estep.interface import Emission
from estep.io.model_file import read
from estep.latents import Chain, Independent
from estep.model import Model


def from_model(model: Model) -> Any:
    """An estimator with the parameters of ``model``, for example one that :func:`estep.load` read."""
    if not isinstance(model, Model):
        raise TypeError(f"from_model takes a Model, not a {type(model).__name__}")
    mixture = isinstance(model.latent, Independent)
    emission, K = model.emission, model.n_components
    if isinstance(emission, MixtureOf):
        inner = emission.inner
        if isinstance(inner, Gaussian) and not mixture:
            estimator: Any = GMMHMM(K, emission.n_mix, covariance_type=inner.covariance_type)
        else:
            estimator = (MixtureModel if mixture else HMM)(emission.blank(), K)
    elif emission.name == "gaussian":
        kind = GaussianMixture if mixture else GaussianHMM
        estimator = kind(K, covariance_type=emission.covariance_type)  # type: ignore[attr-defined]
    elif mixture and isinstance(emission, Student):
        estimator = StudentMixture(K, covariance_type=emission.gaussian.covariance_type)
    elif mixture and isinstance(emission, Bernoulli):
        estimator = BernoulliMixture(K)
    elif mixture:
        estimator = MixtureModel(emission.blank(), K)
    else:
        by_name: dict[str, type[Any]] = {"categorical": CategoricalHMM, "poisson": PoissonHMM}
        kind_hmm = by_name.get(emission.name)
        estimator = HMM(emission.blank(), K) if kind_hmm is None else kind_hmm(K)
    estimator.set_params(estimate=model.estimate, prior=model.prior)
    if "reg_covar" in estimator.get_params(deep=False):
        inner = next((getattr(emission, n) for n in ("inner", "gaussian") if hasattr(emission, n)), emission)
        estimator.set_params(reg_covar=getattr(inner, "reg_covar", None))
    if isinstance(model.latent, Chain):
        estimator.set_params(begins=model.latent.begins)
    if model.constraints is not None:
        _constrain(estimator, model, model.constraints)
    estimator._set_model(model)
    estimator._remember_names(model)
    return estimator


def _constrain(estimator: Any, model: Model, constraints: Constraints) -> None:
    """Gives the estimator what was held and shared, and what is held for its next fit to start from."""
    held = {estimator._argument(name): np.flatnonzero(mask) for name, mask in constraints.held.items()}
    arguments, values = estimator.get_params(deep=False), {**model.latent.values(), **model.emission.values()}
    estimator.set_params(fixed=held)
    if constraints.groups is not None:
        estimator.set_params(emission_groups=constraints.groups)
    for name in constraints.held:
        if f"{estimator._argument(name)}_init" in arguments:
            estimator.set_params(**{f"{estimator._argument(name)}_init": values[name]})
    if isinstance(arguments.get("emission"), Emission):
        kept = {name: values[name] for name in constraints.held if name in model.emission.values()}
        estimator.set_params(emission=model.emission.blank().with_values(**kept) if kept else model.emission.blank())


def load_estimator(path: str | os.PathLike[str], families: Iterable[type[Emission]] = ()) -> Any:
    """The estimator in a file that :func:`estep.save` wrote, with the parameters of its model.

    ``partial_fit`` goes on where the saved one stood, to the same bits. Arguments beside those of the model (``tol``,
    ``random_state`` ...) are the defaults. Errors are those of :func:`estep.load`.
    """
    document = read(path, families)
    estimator = from_model(document.model)
    if document.online is not None:
        steps, estimator.running_ = document.online
        if steps != Online():
            estimator.set_params(algorithm=steps)
    return estimator
