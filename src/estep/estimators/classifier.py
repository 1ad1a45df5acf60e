"""A class is a model: sequences go to the class under whose model they are likeliest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.utils.validation import check_is_fitted

from estep.data.columns import frame_of, is_frame
from estep.data.inputs import check_lengths
from estep.estimators.base import ModelEstimator
from estep.estimators.verification import joined, log_likelihoods
from estep.kernels.reference import softmax
from estep.statistics import Array
from estep.util.numbers import as_numbers, is_missing


class SequenceClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """One hidden Markov model, or mixture, for each class, and Bayes' rule.

    Parameters
    ----------
    estimator : estimator or mapping of classes to estimators
        Of which each class fits a copy, such as ``GMMHMM(5, 2, topology="left-right")``. With a mixture the rows of a
        sequence are independent, and X may be an array whose rows are classified one by one.
    priors : {"observed", "uniform"} or array (C,)
        The probabilities of the classes, sorted: as often as they are in ``y``, all alike, or given.
    reject : float
        Sequences whose log-likelihood a row is below this quantile of that of the class's own (in ``fit``) are none of
        its class: ``predict`` gives ``reject_label``. 0 (default): none is rejected.
    reject_label : optional
        What ``predict`` calls what no class explains: -1, or "unknown" for classes that are texts.
    n_jobs : int, optional
        Classes that are fitted at a time, as joblib counts them; each then has one thread.

    Attributes
    ----------
    classes_ : array (C,)
    models_ : list of fitted estimators, in the order of the classes
    priors_ : array (C,)
    thresholds_ : array (C,), of log-likelihoods a row; -inf where nothing is rejected
    """

    def __init__(
        self,
        estimator: Any = None,
        *,
        priors: Any = "observed",
        reject: float = 0.0,
        reject_label: Any = None,
        n_jobs: int | None = None,
    ) -> None:
        self.estimator, self.priors, self.reject = estimator, priors, reject
        self.reject_label, self.n_jobs = reject_label, n_jobs

    def fit(self, X: Any, y: Any, lengths: Any = None) -> Self:
        """Fits the model of each class to its sequences.

        Parameters
        ----------
        X : list of arrays (T, D), array (S, T, D), or array (n, D) with ``lengths``; of a mixture also (n, D) rows
        y : (S,)
            The class of each sequence.

        Raises
        ------
        ValueError
            Where y has another length, there is one class alone, or a class cannot be fitted, naming it.
        """
        if isinstance(self.reject, bool) or not 0 <= self.reject < 1:
            raise ValueError(f"reject is {self.reject!r}: it is a quantile from 0 to below 1")
        units = self._units(X, lengths)
        labels = np.asarray(y)
        if labels.shape != (len(units),):
            raise ValueError(f"y has shape {labels.shape}; there are {len(units)} sequences, each of one class")
        if any(is_missing(label) for label in labels.tolist()):
            raise ValueError("y has labels that are missing: each sequence is of one class")
        classes = np.unique(labels)
        if len(classes) < 2:
            raise ValueError(f"y has one class, {classes[0]!r}: a classifier wants two at least")
        estimators = self._estimators(classes)
        priors = self._priors(classes, labels)
        data = [_some(units, labels == c) for c in classes]
        from joblib import Parallel, delayed

        several = self.n_jobs not in (None, 1)
        fitted = Parallel(n_jobs=self.n_jobs)(
            delayed(_fitted)(estimators[i], data[i], c, several) for i, c in enumerate(classes)
        )
        self.models_, self.classes_, self.priors_ = list(fitted), classes, priors
        self.thresholds_ = np.array([self._threshold(m, own) for m, own in zip(fitted, data, strict=True)])
        return self

    def _chain(self) -> bool:
        some = next(iter(self.estimator.values()), None) if isinstance(self.estimator, Mapping) else self.estimator
        if not isinstance(some, ModelEstimator):
            raise TypeError(f"estimator is {some!r}: give one such as GaussianHMM(3), or a mapping of classes to them")
        return some._chain

    def _estimators(self, classes: Array) -> list[Any]:
        if not isinstance(self.estimator, Mapping):
            return [clone(self.estimator) for _ in classes]
        known = list(self.estimator)
        if set(known) != set(classes.tolist()):
            odd = sorted(map(repr, set(known) ^ set(classes.tolist())))
            raise ValueError(f"estimator has {', '.join(map(repr, known))}; {odd[0]} is in one of it and y alone")
        kinds = {one._chain for one in self.estimator.values() if isinstance(one, ModelEstimator)}
        if len(kinds) > 1:
            raise ValueError("estimator has mixtures and chains: the likelihoods of one kind alone compare")
        return [clone(self.estimator[c]) for c in classes.tolist()]

    def _priors(self, classes: Array, labels: Array) -> Array:
        if isinstance(self.priors, str):
            if self.priors not in ("observed", "uniform"):
                raise ValueError(f"priors is {self.priors!r}: it is 'observed', 'uniform', or probabilities")
            counts = np.array([(labels == c).sum() for c in classes], dtype=float)
            return counts / counts.sum() if self.priors == "observed" else np.full(len(classes), 1 / len(classes))
        given = as_numbers(self.priors, "priors").astype(float)
        if given.shape != classes.shape or not (given >= 0).all() or abs(given.sum() - 1) > 1e-6:
            raise ValueError(
                f"priors are {given}: {len(classes)} probabilities that add up to 1, in the order of {classes}"
            )
        return given

    def _threshold(self, model: Any, own: list[Any]) -> float:
        if not self.reject:
            return -np.inf
        loglik, n = log_likelihoods(model, own)
        return float(np.quantile(loglik / np.maximum(n, 1), self.reject))

    def _units(self, X: Any, lengths: Any) -> Any:
        """A list of sequences, as they came; under mixtures also an array or data frame, whose rows are units."""
        chain = self._chain()
        if isinstance(X, list) and not X:
            raise ValueError("X has no sequences")
        if lengths is None and isinstance(X, tuple) and len(X) == 2 and np.ndim(X[1]) == 1:
            X, lengths = X
        if lengths is not None:
            ends = check_lengths(lengths, len(X))
            cuts = list(zip([0, *ends[:-1].tolist()], ends.tolist(), strict=True))
            rows: Any = frame_of(X) if is_frame(X) else as_numbers(X)
            return [rows[a:b].to_native() if is_frame(X) else rows[a:b] for a, b in cuts]
        if isinstance(X, list) and (is_frame(X[0]) or np.ndim(X[0]) == 2 or (chain and hasattr(X[0], "shape"))):
            return X
        if not is_frame(X) and np.ndim(X) == 3:
            return list(as_numbers(X))
        if chain:
            raise ValueError("X is one sequence: give a list of sequences, or lengths")
        if not is_frame(X) and np.ndim(X) != 2:
            raise ValueError(f"X has shape {np.shape(X)}: a list of sequences, or rows (n, D)")
        return X if is_frame(X) else as_numbers(X)

    # Questions

    def log_likelihoods(self, X: Any, lengths: Any = None) -> Array:
        """log p(sequence | class), (S, C). Raises ValueError naming the class whose model cannot read X."""
        return self._scored(self._units(X, lengths))[0]

    def _scored(self, units: Any) -> tuple[Array, Array]:
        """Log-likelihoods (S, C), and the rows (S,) of each sequence."""
        check_is_fitted(self, "models_")
        columns, n = [], np.zeros(0)
        for label, model in zip(self.classes_.tolist(), self.models_, strict=True):
            try:
                own, n = log_likelihoods(model, units)
            except ValueError as error:
                raise ValueError(f"class {label!r}: {error}") from error
            columns.append(own)
        return np.stack(columns, axis=1), n

    def _joint(self, X: Any, lengths: Any) -> Array:
        with np.errstate(divide="ignore"):
            return self.log_likelihoods(X, lengths) + np.log(self.priors_)

    def decision_function(self, X: Any, lengths: Any = None) -> Array:
        """log p(sequence, class), (S, C); of two classes that of the second less that of the first, (S,)."""
        joint = self._joint(X, lengths)
        return np.asarray(joint[:, 1] - joint[:, 0]) if joint.shape[1] == 2 else joint

    def predict_proba(self, X: Any, lengths: Any = None) -> Array:
        """p(class | sequence), (S, C), among the classes; NaN for what is impossible in all of them."""
        joint = self._joint(X, lengths)
        p = softmax.shares(joint)
        p[joint.max(axis=1) == -np.inf] = np.nan
        return p

    def predict_log_proba(self, X: Any, lengths: Any = None) -> Array:
        """log p(class | sequence), (S, C)."""
        joint = self._joint(X, lengths)
        return np.asarray(joint - softmax.logsumexp(joint, axis=1)[:, None])

    def predict(self, X: Any, lengths: Any = None) -> Array:
        """The most probable class of each sequence, (S,); ``reject_label`` for what its class does not explain."""
        check_is_fitted(self, "models_")
        loglik, n = self._scored(self._units(X, lengths))
        with np.errstate(divide="ignore"):
            best = (loglik + np.log(self.priors_)).argmax(axis=1)
        per_row = loglik[np.arange(len(best)), best] / np.maximum(n, 1)
        strange = (per_row < self.thresholds_[best]) | (per_row == -np.inf)
        found = self.classes_[best]
        if not strange.any():
            return np.asarray(found)
        text = self.classes_.dtype.kind in "US"
        label = self.reject_label if self.reject_label is not None else "unknown" if text else -1
        return np.where(strange, np.asarray(label).astype(np.result_type(self.classes_, np.asarray(label))), found)

    def score(self, X: Any, y: Any, lengths: Any = None) -> float:
        """The share of sequences whose class is found. Raises ValueError for a class that ``fit`` has not seen."""
        check_is_fitted(self, "models_")
        labels = np.asarray(y)
        if unknown := sorted(set(labels.tolist()) - {*self.classes_.tolist(), self.reject_label}, key=str):
            raise ValueError(
                f"y has class {unknown[0]!r}; the classifier knows {', '.join(map(repr, self.classes_.tolist()))}"
            )
        return float((self.predict(X, lengths) == labels).mean())


def _some(units: Any, mask: Array) -> Any:
    """The sequences, or rows, of a mask (S,)."""
    if isinstance(units, list):
        return [units[i] for i in np.flatnonzero(mask)]
    return frame_of(units).filter(mask.tolist()).to_native() if is_frame(units) else units[mask]


def _fitted(estimator: Any, sequences: list[Any], label: Any, several: bool) -> Any:
    """The model of a class. Raises ValueError naming it where it cannot be fitted."""
    if several:
        estimator.set_params(n_threads=1)
    try:
        return estimator.fit(sequences if estimator._chain else joined(sequences)[0])
    except ValueError as error:
        raise ValueError(f"class {label!r}: {error}") from error
