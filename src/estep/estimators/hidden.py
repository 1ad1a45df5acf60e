"""What all estimators of hidden Markov models share: the fit, and what a fitted chain answers."""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from estep.data.columns import frame_like
from estep.data.source import Source
from estep.estimators.base import ModelEstimator
from estep.fitting.results import Fit
from estep.interface import Emission
from estep.latents import Chain
from estep.model import Model
from estep.statistics import Array
from estep.util.streams import as_seed


class Hidden(ModelEstimator):
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

    def _parts(self) -> tuple[Chain, Emission]:
        if self.begins == "stationary" and self.startprob_init is not None:
            raise ValueError("startprob_init is given: begins='stationary' finds it from the transition matrix")
        return Chain(self.startprob_init, self.transmat_init, self.begins, topology=self.topology), self._resolved()

    def fit(
        self,
        X: Any,
        lengths: Any = None,
        *,
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
        settings = self._check_settings()
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
        lengths: Any = None,
        *,
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
        old = self._going_on()
        with self._unchanged_if_it_fails():
            self._update(self._read(X, lengths, sample_weight, labels, given, sequence, old=old), old)
        self._remember_names(self.model_)
        return self

    def _bound_unit(self, fit: Fit) -> float:
        return 1.0

    def _ask(self, X: Any, lengths: Any, given: Any, sample_weight: Any = None) -> tuple[Model, Source]:
        model = self.to_model()
        return model, model.source(X, lengths, sample_weight, given=given, memory=self.memory, execute=self.execute)

    def score(self, X: Any, lengths: Any = None, *, sample_weight: Any = None, given: Any = None) -> float:
        """Total log-likelihood, natural logarithm; -inf where a sequence is impossible.

        ``sample_weight`` (S,): one weight a sequence.
        """
        model, source = self._ask(X, lengths, given, sample_weight)
        return model.score(source, execute=self._execute())

    def score_samples(self, X: Any, lengths: Any = None, *, given: Any = None) -> Array:
        """Log-likelihood of each sequence, (S,)."""
        model, source = self._ask(X, lengths, given)
        return model.score_units(source, execute=self._execute())

    def decode(
        self,
        X: Any,
        lengths: Any = None,
        algorithm: str = "viterbi",
        *,
        given: Any = None,
        on_impossible: str = "raise",
    ) -> tuple[float, Array]:
        """(log p(X, states), states (n,)), by "viterbi" (the best path) or "posterior" (each row's best state).

        Rabiner 1989, section III.B. Raises ValueError naming a sequence that is impossible; with
        ``on_impossible="skip"`` its states are -1, and a warning names it.
        """
        model, source = self._ask(X, lengths, given)
        states, logprob = model.decode(source, None, algorithm, self._execute(), on_impossible=on_impossible)
        return float(logprob.sum()), states

    def predict(self, X: Any, lengths: Any = None, *, given: Any = None, on_impossible: str = "raise") -> Array:
        """States (n,) of the most probable path; ``on_impossible`` as in :meth:`decode`."""
        return self.decode(X, lengths, given=given, on_impossible=on_impossible)[1]

    def predict_proba(
        self,
        X: Any,
        lengths: Any = None,
        *,
        kind: str = "smoothed",
        given: Any = None,
        on_impossible: str = "raise",
    ) -> Array:
        """Probabilities of the states, (n, K): "smoothed" ones look ahead, "filtered" ones do not.

        Given the whole sequence (smoothed: Rabiner 1989, eq. 27), or its rows up to each (filtered). With
        ``on_impossible="skip"`` those of an impossible sequence are NaN.
        """
        model, source = self._ask(X, lengths, given)
        return model.predict_proba(source, execute=self._execute(), on_impossible=on_impossible, kind=kind)

    def filter(self, X: Any, lengths: Any = None, *, given: Any = None, on_impossible: str = "raise") -> Array:
        """Probabilities of the states given the rows up to each, (n, K): they do not look ahead.

        As :meth:`predict_proba` with ``kind="filtered"``.
        """
        return self.predict_proba(X, lengths, kind="filtered", given=given, on_impossible=on_impossible)

    def forecast(self, X: Any, steps: int, lengths: Any = None, *, given: Any = None) -> Any:
        """A data frame of what the states will be after X, given all of it: a line a step.

        Columns ``step`` (1 to ``steps``) and ``state_0`` ...: probabilities. Of several sequences, ``sequence`` (its
        number) comes first. The frame is of X's kind, of pandas for arrays. Raises ValueError naming a sequence that is
        impossible, and ModuleNotFoundError where pandas is wanted and not there.
        """
        model, source = self._ask(X, lengths, given)
        p = model.forecast(source, steps, execute=self._execute())
        S, steps, K = p.shape
        columns = {"sequence": np.repeat(np.arange(S), steps)} if S > 1 else {}
        columns["step"] = np.tile(np.arange(1, steps + 1), S)
        return frame_like(X, columns | {f"state_{k}": p[:, :, k].ravel() for k in range(K)})

    def sample(self, n: int = 1, random_state: Any = None, given: Any = None) -> tuple[Array, Array]:
        """Draws one sequence of ``n`` steps: (X (n, D), states (n,)); ``given``: their covariates."""
        seed = self.random_state if random_state is None else random_state
        return self.to_model().sample(n, as_seed(seed), given)

    def aic(self, X: Any, lengths: Any = None, *, sample_weight: Any = None, given: Any = None) -> float:
        """Akaike's criterion on X, lower is better."""
        model, source = self._ask(X, lengths, given, sample_weight)
        return model.aic(model.score(source, execute=self._execute()))

    def bic(self, X: Any, lengths: Any = None, *, sample_weight: Any = None, given: Any = None) -> float:
        """Schwarz's criterion on X, lower is better; its n is the weight of the rows that have a value."""
        model, source = self._ask(X, lengths, given, sample_weight)
        return model.bic(model.score(source, execute=self._execute()), source.weight_of_values)
