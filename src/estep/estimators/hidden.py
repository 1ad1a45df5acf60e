"""What all estimators of hidden Markov models share: the fit, and what a fitted chain answers."""

from __future__ import annotations

from typing import Any, Self

from estep.estimators.base import ModelEstimator
from estep.estimators.chain_answers import ChainAnswers, one_of
from estep.fitting.results import Fit
from estep.interface import Emission
from estep.latents import Chain


def elsewhere(name: str, here: str) -> property:
    """An attribute of hmmlearn's, which would be set here to no effect."""

    def refuse(self: Any, *value: Any) -> Any:
        raise AttributeError(f"{name} is hmmlearn's: {type(self).__name__} has {here} (see estep.compat.hmmlearn too)")

    return property(refuse, refuse)


class Hidden(ModelEstimator, ChainAnswers):
    """Fitting and what a fitted chain answers; see :class:`GaussianHMM` and :class:`HMM`."""

    startprob_init: Any
    transmat_init: Any
    topology: Any
    begins: str
    means_init: Any
    covariances_init: Any
    emissionprob_init: Any
    rates_init: Any
    n_symbols: int | None
    emission: Emission | str
    _chain = True
    covars_ = elsewhere("covars_", "covariances_, in the shape of covariance_type")
    lambdas_ = elsewhere("lambdas_", "rates_")
    monitor_ = elsewhere("monitor_", "lower_bounds_, converged_ and fit_")

    def _parts(self) -> tuple[Chain, Emission]:
        if self.begins == "stationary" and self.startprob_init is not None:
            raise ValueError("startprob_init is given: begins='stationary' finds it from the transition matrix")
        return Chain(self.startprob_init, self.transmat_init, self.begins, topology=self.topology), self._resolved()

    def fit(
        self,
        X: Any,
        y: Any = None,
        *,
        lengths: Any = None,
        sample_weight: Any = None,
        labels: Any = None,
        given: Any = None,
        sequence: str | None = None,
    ) -> Self:
        """Baum-Welch from the best of ``n_init`` starts.

        Parameters
        ----------
        X : array (n, D), data frame, list of arrays, array (S, T, D), or data past memory
            NaN is a missing cell; a step without any is bridged. Past memory: see :func:`estep.as_source`.
        y : ignored if None
            Where scikit-learn has y, lengths may be given by position: ``fit(X, lengths)``.
        lengths : (S,), optional
            Rows of each sequence; left out, an array is one sequence.
        sample_weight : (S,), optional
            One weight a sequence.
        labels : (n,) or (n, K), optional
            States that are known: their numbers, -1 for unknown, or a mask of those allowed.
        given : (n, P) or list of arrays, optional
            Covariates, for a regression; of a list of sequences, one array a sequence.

        sequence : str, optional
            The column of a data frame or of files whose equal values, one after the other, are a sequence.

        ``sample_weight``, ``labels`` and ``given`` may be names of columns of a data frame.

        Raises
        ------
        ValueError
            For infinities, wrong shapes, lengths or weights, and for a sequence that is impossible under the
            start; nothing is changed.
        KeyboardInterrupt
            After the best model so far has been stored in the attributes.
        """
        settings, lengths = self._check_settings(), one_of(y, lengths)
        old = self._going_on() if self.warm_start else None
        with self._unchanged_if_it_fails():
            source = self._read(X, lengths, sample_weight, labels, given, sequence, old=old)
            if not self.warm_start:
                self._warn_of_changes()
            self._run(source, old, self.warm_start, *settings)
        self._remember_names(self.model_)
        return self

    def partial_fit(
        self,
        X: Any,
        y: Any = None,
        *,
        lengths: Any = None,
        sample_weight: Any = None,
        labels: Any = None,
        given: Any = None,
        sequence: str | None = None,
    ) -> Self:
        """One step of online EM with more sequences, from the attributes as they are.

        Where there are none, the first call fits its sequences as ``fit`` does. What is kept of the rows are mean
        statistics, so memory does not grow. ``algorithm`` may be an :class:`estep.algorithms.Online` with other step
        sizes. Arguments and errors are those of ``fit``.
        """
        old, lengths = self._going_on(), one_of(y, lengths)
        if old is not None:
            self._check_features(X)
        with self._unchanged_if_it_fails():
            self._update(self._read(X, lengths, sample_weight, labels, given, sequence, old=old), old)
        self._remember_names(self.model_)
        return self

    def _bound_unit(self, fit: Fit) -> float:
        return 1.0
