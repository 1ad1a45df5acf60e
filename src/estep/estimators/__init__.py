"""The scikit-learn face: estimators that keep state over the functional core.

They are imported when they are asked for: scikit-learn takes longer than the rest.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from estep.estimators.bayesian import BayesianGaussianMixture
    from estep.estimators.hmm import GMMHMM, HMM, CategoricalHMM, GaussianHMM, PoissonHMM
    from estep.estimators.mixture import BernoulliMixture, GaussianMixture, MixtureModel, StudentMixture
    from estep.estimators.of_models import from_model, load_estimator

HOMES = {
    "bayesian": ("BayesianGaussianMixture",),
    "hmm": ("GMMHMM", "HMM", "CategoricalHMM", "GaussianHMM", "PoissonHMM"),
    "mixture": ("BernoulliMixture", "GaussianMixture", "MixtureModel", "StudentMixture"),
    "of_models": ("from_model", "load_estimator"),
}
_HOME = {name: home for home, names in HOMES.items() for name in names}

__all__ = [
    "GMMHMM", "HMM", "BayesianGaussianMixture", "BernoulliMixture", "CategoricalHMM", "GaussianHMM", "GaussianMixture",
    "MixtureModel", "PoissonHMM", "StudentMixture", "from_model", "load_estimator",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'estep.estimators' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"estep.estimators.{_HOME[name]}"), name)
    return value
