"""estep: expectation-maximization for mixtures and hidden Markov models.

Estimators with scikit-learn's conventions (``GaussianMixture``, ``GaussianHMM`` ...) over a typed functional core
(``Model``, ``fit``, ``emissions``, ``latents``, ``algorithms``).
"""

from __future__ import annotations

import atexit
import os
import time
from importlib import import_module
from threading import get_ident
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from estep import algorithms, datasets, emissions, estimators, latents, priors
    from estep.compat.convert_hmmlearn import from_hmmlearn, to_hmmlearn
    from estep.compat.convert_sklearn import from_sklearn, to_sklearn
    from estep.data.inputs import as_source, lagged
    from estep.data.source import Source
    from estep.emissions.propose import propose
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
    from estep.estimators.alignment import align
    from estep.estimators.candidates import Selection
    from estep.estimators.classifier import SequenceClassifier
    from estep.estimators.ratio_test import likelihood_ratio_test
    from estep.estimators.selection import select
    from estep.estimators.verification import adapt, equal_error_rate, log_likelihood_ratios
    from estep.execution.dask import Dask
    from estep.execution.serial import Serial
    from estep.execution.threads import Threads, threads
    from estep.fitting.bayes import with_prior
    from estep.fitting.constraints import constrained
    from estep.fitting.progress import Progress
    from estep.fitting.restarts import fit
    from estep.fitting.results import Fit, Trace
    from estep.fitting.starts import start_model
    from estep.fitting.stopping import Stop
    from estep.interface import Algorithm, Emission, Evaluation, Latent
    from estep.io.model_file import load, save
    from estep.model import Model
    from estep.reports import Report, report
    from estep.statistics import Layout, Statistics

__version__ = "0.1.0"

ROOMS = ("algorithms", "datasets", "emissions", "estimators", "latents", "plots", "priors")
HOMES = {
    "compat.convert_hmmlearn": ("from_hmmlearn", "to_hmmlearn"),
    "compat.convert_sklearn": ("from_sklearn", "to_sklearn"),
    "data.inputs": ("as_source", "lagged"),
    "data.source": ("Source",),
    "emissions.propose": ("propose",),
    "estimators.alignment": ("align",),
    "estimators.verification": ("adapt", "equal_error_rate", "log_likelihood_ratios"),
    "execution.dask": ("Dask",),
    "execution.serial": ("Serial",),
    "execution.threads": ("Threads", "threads"),
    "fitting.bayes": ("with_prior",),
    "fitting.constraints": ("constrained",),
    "fitting.progress": ("Progress",),
    "fitting.restarts": ("fit",),
    "fitting.results": ("Fit", "Trace"),
    "estimators.classifier": ("SequenceClassifier",),
    "estimators.ratio_test": ("likelihood_ratio_test",),
    "estimators.bayesian": ("BayesianGaussianMixture",),
    "estimators.candidates": ("Selection",),
    "estimators.hmm": ("GMMHMM", "HMM", "CategoricalHMM", "GaussianHMM", "PoissonHMM"),
    "estimators.mixture": ("BernoulliMixture", "GaussianMixture", "MixtureModel", "StudentMixture"),
    "estimators.of_models": ("load_estimator",),
    "estimators.selection": ("select",),
    "fitting.starts": ("start_model",),
    "fitting.stopping": ("Stop",),
    "interface": ("Algorithm", "Emission", "Evaluation", "Latent"),
    "io.model_file": ("load", "save"),
    "model": ("Model",),
    "reports": ("Report", "report"),
    "statistics": ("Layout", "Statistics"),
}  # fmt: skip
"""Where what the package exports lives: it is imported when it is first asked for."""
_HOME = {name: home for home, names in HOMES.items() for name in names}

__all__ = [
    "GMMHMM",
    "HMM",
    "Algorithm",
    "BayesianGaussianMixture",
    "BernoulliMixture",
    "CategoricalHMM",
    "Dask",
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
    "Progress",
    "Report",
    "Selection",
    "SequenceClassifier",
    "Serial",
    "Source",
    "Statistics",
    "Stop",
    "StudentMixture",
    "Threads",
    "Trace",
    "adapt",
    "algorithms",
    "align",
    "as_source",
    "constrained",
    "datasets",
    "emissions",
    "equal_error_rate",
    "estimators",
    "fit",
    "from_hmmlearn",
    "from_sklearn",
    "lagged",
    "latents",
    "likelihood_ratio_test",
    "load",
    "load_estimator",
    "log_likelihood_ratios",
    "priors",
    "propose",
    "report",
    "save",
    "select",
    "start_model",
    "threads",
    "to_hmmlearn",
    "to_sklearn",
    "with_prior",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _HOME and name not in ROOMS:
        raise AttributeError(f"module 'estep' has no attribute {name!r}")
    _importing.append(get_ident())
    try:
        import_module("concurrent.futures.thread")  # refused once the end has begun, in the middle of another import
        room = import_module(f"estep.{_HOME.get(name, name)}")
        value = getattr(room, name) if name in _HOME else room
    finally:
        _importing.remove(get_ident())
    globals()[name] = value
    return value


_importing: list[int] = []


def _wait_for_imports() -> None:
    """Before a fork, or the end: a module that another thread is importing would never be imported in the child, and
    must not be unwound in the middle."""
    until = time.monotonic() + 10
    while any(thread != get_ident() for thread in _importing) and time.monotonic() < until:
        time.sleep(0.001)


atexit.register(_wait_for_imports)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_wait_for_imports, after_in_child=_importing.clear)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *ROOMS})
