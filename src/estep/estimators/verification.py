"""Speakers and others by a background model: adaptation, log-likelihood ratios, the equal error rate."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any, TypeVar

import numpy as np

from estep.data.forms import unpacked
from estep.data.inputs import check_lengths
from estep.estimators.attributes import Attributes
from estep.estimators.chain_answers import ChainAnswers
from estep.estimators.mixture_answers import MixtureAnswers
from estep.execution.base import Execute
from estep.execution.serial import Serial
from estep.fitting.adaptation import adapted
from estep.inference.prepare import prepared_to_fit
from estep.inference.reading import read
from estep.model import Model
from estep.statistics import Array
from estep.util.numbers import as_numbers, as_whole

T = TypeVar("T")


def adapt(
    model: T,
    X: Any,
    relevance: float = 16.0,
    lengths: Any = None,
    *,
    parameters: Iterable[str] = ("means",),
    n_iter: int = 1,
    sample_weight: Any = None,
    **known: Any,
) -> T:
    """``model``, a fitted estimator or a :class:`estep.Model`, moved towards X: a universal background model becomes a
    speaker's, a chain of all speakers that of one (Reynolds, Quatieri & Dunn 2000).

    A parameter that n rows speak of goes n / (n + ``relevance``) of the way to what they say; components that X does
    not visit stay. ``parameters``: those that move, by the names of attributes without underscore, such as ``("means",
    "weights", "covariances")``. ``n_iter``: steps, each from the model that was given. X may be a list of sequences of
    rows, for a mixture too.

    Raises ValueError for names the model does not have, a relevance below 0, and families that have no statistics of
    their own rows.
    """
    estimator = model if isinstance(model, Attributes) else None
    functional = estimator.to_model() if estimator is not None else model
    if not isinstance(functional, Model):
        raise TypeError(f"adapt takes a fitted estimator or a Model, not a {type(model).__name__}")
    as_whole("n_iter", n_iter, 1)
    if functional.posterior is not None:
        raise ValueError("a variational fit is a posterior: adapt takes models of estimate 'ml' or 'map'")
    if not functional.latent.sequential:
        X, _ = joined(X)
    if isinstance(parameters, str):
        raise ValueError(f"parameters is {parameters!r}: it is a set of names, such as ('means',)")
    names = list(parameters)
    if estimator is not None:  # mix_weights are shown as weights
        shown = {estimator._argument(n): n for n in {**functional.latent.values(), **functional.emission.values()}}
        names = [shown.get(name, name) for name in names]
    memory = None if estimator is None else estimator.memory
    source = read(functional, X, lengths, sample_weight, memory=memory, **known)
    run: Execute = Serial() if estimator is None else estimator._execute()
    new = adapted(functional, prepared_to_fit(source, functional.emission), relevance, names, n_iter, run)
    if estimator is None:
        return new  # type: ignore[return-value]
    out: Any = copy.deepcopy(estimator)
    for name in ("running_", "fit_"):
        out.__dict__.pop(name, None)
    out._set_model(new)
    return out  # type: ignore[no-any-return]


def joined(X: Any) -> tuple[Any, Array | None]:
    """Rows of a mixture, of one array or of a list of sequences, and how many each sequence has; None for one array."""
    several = isinstance(X, list) and len(X) > 0 and (np.ndim(X[0]) == 2 or hasattr(X[0], "shape"))
    if several or isinstance(X, tuple) or np.ndim(X) == 3:
        rows, lengths = unpacked(X, None)
        return rows, None if lengths is None else np.asarray(lengths)
    return X, None


def log_likelihoods(model: Any, X: Any, lengths: Any = None) -> tuple[Array, Array]:
    """Log-likelihoods of units and how many rows each has: of sequences, also under a mixture, or of single rows."""
    if not isinstance(model, ChainAnswers | MixtureAnswers):
        raise TypeError(f"a model is a fitted estimator, not a {type(model).__name__}")
    if model._chain:
        rows, found = unpacked(X, lengths)
        scores = model.score_samples(rows, found)
        n = np.asarray(found) if found is not None else np.array([len(rows)])
        return np.asarray(scores, dtype=float), n
    rows, found = joined(X)
    if lengths is not None:
        found = lengths_of(rows, lengths, found)
    scores = np.asarray(model.score_samples(rows), dtype=float)
    if found is None:
        return scores, np.ones(len(scores), dtype=np.int64)
    parts = np.split(scores, np.cumsum(found)[:-1])
    return np.array([part.sum() for part in parts]), found


def lengths_of(rows: Any, lengths: Any, own: Any = None) -> Array:
    """The rows of each sequence of an array. Raises ValueError where they do not add up."""
    if own is not None:
        raise ValueError("the data have their lengths already: leave lengths out")
    return np.diff(check_lengths(lengths, len(rows)), prepend=0)


def log_likelihood_ratios(model: Any, background: Any, X: Any, lengths: Any = None) -> Array:
    """How much likelier each sequence of X (S,) is under ``model`` than under ``background``: the difference of
    log-likelihoods a row, in nats (Reynolds et al. 2000, eq. 7). Of an array and mixtures: of each row."""
    own, n = log_likelihoods(model, X, lengths)
    other, _ = log_likelihoods(background, X, lengths)
    if own.shape != other.shape:
        raise ValueError("model and background are a mixture and a chain: give X as sequences for both")
    return np.asarray((own - other) / np.maximum(n, 1))


def equal_error_rate(targets: Any, others: Any) -> tuple[float, float]:
    """(rate, threshold): where as many ``targets`` score below the threshold as ``others`` score at or above it.

    Between the steps of both rates by a line. Raises ValueError where either has no scores, or some that are NaN.
    """
    both = ("targets", targets), ("others", others)
    a, b = (np.sort(as_numbers(x, name).astype(float).ravel()) for name, x in both)
    if not len(a) or not len(b) or np.isnan(a).any() or np.isnan(b).any():
        raise ValueError("targets and others are scores: some of each, none of them NaN")
    at = np.unique(np.concatenate([a, b, [np.inf]]))
    missed = np.searchsorted(a, at) / len(a)
    passed = 1 - np.searchsorted(b, at) / len(b)
    i = int(np.argmax(missed >= passed))
    if i == 0 or missed[i] == passed[i]:
        return float((missed[i] + passed[i]) / 2), float(at[i])
    gap = passed[i - 1] - missed[i - 1], missed[i] - passed[i]
    share = gap[0] / (gap[0] + gap[1])
    threshold = at[i - 1] if at[i] == np.inf else at[i - 1] + share * (at[i] - at[i - 1])
    return float(missed[i - 1] + share * (missed[i] - missed[i - 1])), float(threshold)
