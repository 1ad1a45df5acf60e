"""estep: expectation-maximization for mixtures and hidden Markov models.

Estimators with scikit-learn's conventions (``GaussianMixture``, ``GaussianHMM`` ...) over a typed functional core
(``Model``, ``fit``, ``emissions``, ``latents``, ``algorithms``).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from estep import algorithms, datasets, emissions, latents, priors
from estep.bayes import with_prior
from estep.constraints import constrained
from estep.data import as_source, lagged
from estep.execute import Serial, Threads, threads
from estep.fitting import Fit, Trace, fit
from estep.frames import propose
from estep.interface import Algorithm, Emission, Evaluation, Latent
from estep.model import Model
from estep.modelfile import load, save
from estep.selection import Selection, select
from estep.source import Source
from estep.starts import start_model
from estep.statistics import Layout, Statistics
from estep.stopping import Stop

if TYPE_CHECKING:
    from estep.estimators import (
        GMMHMM,
        HMM,
        BayesianGaussianMixture,
        BernoulliMixture,
        CategoricalHMM,
        GaussianHMM,
        GaussianMixture,
        MixtureModel,
        PoissonHMM,
        StudentMixture,
        load_estimator,
    )

__version__ = "0.1.0"

_ESTIMATORS = (
    "BayesianGaussianMixture", "BernoulliMixture", "CategoricalHMM", "GMMHMM", "GaussianHMM", "GaussianMixture",
    "HMM", "MixtureModel", "PoissonHMM", "StudentMixture",
)  # fmt: skip

__all__ = [
    "GMMHMM",
    "HMM",
    "Algorithm",
    "BayesianGaussianMixture",
    "BernoulliMixture",
    "CategoricalHMM",
    "Emission",
    "Evaluation",
    "Fit",
    "GaussianHMM",
    "GaussianMixture",
    "Latent",
    "Layout",
    "MixtureModel",
    "Model",
    "PoissonHMM",
    "Selection",
    "Serial",
    "Source",
    "Statistics",
    "Stop",
    "StudentMixture",
    "Threads",
    "Trace",
    "algorithms",
    "as_source",
    "constrained",
    "datasets",
    "emissions",
    "estimators",
    "fit",
    "lagged",
    "latents",
    "load",
    "load_estimator",
    "priors",
    "propose",
    "save",
    "select",
    "start_model",
    "threads",
    "with_prior",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    """Estimators import scikit-learn, which takes a second: only when first touched."""
    if name in (*_ESTIMATORS, "load_estimator"):
        return getattr(import_module("estep.estimators"), name)
    if name in ("estimators", "plots"):
        return import_module(f"estep.{name}")
    raise AttributeError(f"module 'estep' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
