"""What all estimators of mixtures share: the fit, and what a fitted mixture answers."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.utils.validation import validate_data

from estep.data.columns import frame_of, is_frame, names_of
from estep.data.opened import is_blocks
from estep.data.source import Source
from estep.estimators.base import ModelEstimator
from estep.estimators.mixture_answers import MixtureAnswers
from estep.fitting.results import Fit
from estep.interface import Emission
from estep.latents import Independent
from estep.model import Model
from estep.statistics import Array


class Mixture(ModelEstimator, MixtureAnswers):
    """Fitting and what a fitted mixture answers; see :class:`GaussianMixture` and :class:`MixtureModel`."""

    weights_init: Any
    means_init: Any
    precisions_init: Any
    covariances_init: Any
    dofs_init: Any
    probabilities_init: Any
    emission: Emission | str
    _chain = False

    def _parts(self) -> tuple[Independent, Emission]:
        return Independent(self.weights_init), self._resolved()

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None, labels: Any = None, given: Any = None) -> Self:
        """Fits by EM from the best of ``n_init`` starts.

        Parameters
        ----------
        X : array (n, D), data frame, or data past memory
            NaN is a missing cell (Gaussian and most other families). Past memory: see :func:`estep.as_source`.
        y : ignored
        sample_weight : (n,), optional
            2 counts a row twice, 0 leaves it out. Negative or all zero raises ValueError.
        labels : (n,) or (n, K), optional
            Components that are known: their numbers, -1 for unknown, or a mask of those allowed.
        given : (n, P), optional
            Covariates, for a regression.

        ``sample_weight``, ``labels`` and ``given`` may be names of columns of a data frame.

        Raises
        ------
        ValueError
            For infinities, wrong shapes or weights, more components than rows; nothing is changed.
        KeyboardInterrupt
            After the best model so far has been stored in the attributes.
        """
        settings = self._check_settings()
        old = self._going_on() if self.warm_start else None
        with self._unchanged_if_it_fails():
            source = self._checked(X, sample_weight, labels, given, old=old)
            if not self.warm_start:
                self._warn_of_changes()
            self._run(source, old, self.warm_start, *settings)
        self._remember_table()
        return self

    def partial_fit(
        self, X: Any, y: Any = None, sample_weight: Any = None, labels: Any = None, given: Any = None
    ) -> Self:
        """One step of online EM with more rows, from the attributes as they are.

        Where there are none, the first call fits its rows as ``fit`` does. What is kept of the rows are mean
        statistics, so memory does not grow. ``algorithm`` may be an :class:`estep.algorithms.Online` with other step
        sizes. Arguments and errors are those of ``fit``.
        """
        old = self._going_on()
        with self._unchanged_if_it_fails():
            self._update(self._checked(X, sample_weight, labels, given, old=old), old)
        self._remember_table()
        return self

    def fit_predict(
        self, X: Any, y: Any = None, sample_weight: Any = None, labels: Any = None, given: Any = None
    ) -> Array:
        """Fits, then the most probable component of each row, (n,)."""
        return self.fit(X, y, sample_weight, labels, given).predict(X, given=given)

    def _checked(self, X: Any, sample_weight: Any, labels: Any, given: Any, *, old: Model | None) -> Source:
        """The rows of a fit, with scikit-learn's checks of names."""
        if old is not None:
            self._check_names(X, sample_weight, labels, given, model=old)
            source = self._read(X, None, sample_weight, labels, given, old=old)
        else:
            source = self._read(X, None, sample_weight, labels, given, old=None)
            self._check_names(X, sample_weight, labels, given)
        return source

    def _check_names(self, X: Any, *named: Any, model: Model | None = None) -> None:
        """Refuses other names and another order than those of the fit; without a ``model``, remembers them."""
        if is_blocks(X):
            return
        X = self._features(X, *named, model=model)
        table = (self._resolved() if model is None else model.emission).rows == "table"  # goes by its own names
        if is_frame(X):
            frame = frame_of(X)
            X = frame.to_native() if names_of(frame) else X
        if not table and (is_frame(X) or (isinstance(X, np.ndarray) and X.ndim == 2)):
            validate_data(self, X, reset=model is None, skip_check_array=True)

    def _bound_unit(self, fit: Fit) -> float:
        return fit.weight

    def _remember_table(self) -> None:
        """The names of a table, of which scikit-learn knows nothing."""
        if self.model_.emission.rows == "table" or not hasattr(self, "n_features_in_"):
            self._remember_names(self.model_)
