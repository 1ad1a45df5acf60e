"""What all estimators of mixtures share: the fit, and what a fitted mixture answers."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.base import DensityMixin
from sklearn.utils.validation import validate_data

from estep.data import as_source, frame_columns
from estep.emissions.product import used_columns
from estep.estimators.base import ModelEstimator, as_dtype, as_seed
from estep.fitting import Fit
from estep.interface import Emission
from estep.model import Model
from estep.source import Source
from estep.statistics import Array


class Mixture(DensityMixin, ModelEstimator):  # type: ignore[misc]
    """Fitting and what a fitted mixture answers; see :class:`GaussianMixture` and :class:`MixtureModel`."""

    weights_init: Any
    means_init: Any
    precisions_init: Any
    covariances_init: Any
    dofs_init: Any
    probabilities_init: Any
    emission: Emission | str

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None, labels: Any = None, given: Any = None) -> Self:
        """Fits by EM from the best of ``n_init`` starts.

        Parameters
        ----------
        X : array (n, D) or data frame
            NaN is a missing cell (Gaussian and most other families).
        y : ignored
        sample_weight : (n,), optional
            2 counts a row twice, 0 leaves it out. Negative or all zero raises ValueError.
        labels : (n,) or (n, K), optional
            Components that are known: their numbers, -1 for unknown, or a mask of those allowed.
        given : (n, P), optional
            Covariates, for a regression.

        Raises
        ------
        ValueError
            For infinities, wrong shapes or weights, more components than rows; nothing is changed.
        KeyboardInterrupt
            After the best model so far has been stored in the attributes.
        """
        self._run(self._source(X, reset=True, sample_weight=sample_weight, labels=labels, given=given))
        return self

    def partial_fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """One step of online EM with more rows; the first call fits its rows as ``fit`` does.

        What is kept of the rows are mean statistics, so memory does not grow. ``algorithm`` may be an
        :class:`estep.algorithms.Online` with other step sizes. Arguments and errors are those of ``fit``.
        """
        self._update(self._source(X, reset=not hasattr(self, "running_"), sample_weight=sample_weight))
        return self

    def fit_predict(self, X: Any, y: Any = None, sample_weight: Any = None) -> Array:
        """Fits, then the most probable component of each row, (n,)."""
        return self.fit(X, y, sample_weight).predict(X)

    def _source(self, X: Any, reset: bool, sample_weight: Any = None, labels: Any = None, given: Any = None) -> Source:
        if reset:
            self._propose(X)
        rows = self._resolved().rows
        if rows == "table":
            known = () if reset or not hasattr(self, "model_") else self.model_.symbols
            only = used_columns(self._resolved())
            source = as_source(X, weights=sample_weight, rows=rows, labels=labels, symbols=known, only=only)
            if source.ends is not None:
                raise ValueError("a mixture has no sequences: give one frame, without lengths")
            self.n_features_in_ = source.X.shape[1]
            return source
        columns = frame_columns(X)  # a text column is an error that names it
        dtype = [np.float64, np.float32] if rows == "real" else None
        X = validate_data(self, X, reset=reset, dtype=dtype, order="C", ensure_all_finite=False)
        source = as_source(X, weights=sample_weight, rows=rows, columns=columns, labels=labels)
        return self._beside(source, given)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = self._emission() == "auto" or self._resolved().takes_gaps
        return tags

    def _bound_unit(self, fit: Fit) -> float:
        return fit.weight

    def _model_and_source(self, X: Any, given: Any = None) -> tuple[Model, Source]:
        return self.to_model(), self._source(X, reset=False, given=given)

    def score_samples(self, X: Any, given: Any = None) -> Array:
        """Log-likelihood of each row, (n,), natural logarithm."""
        model, source = self._model_and_source(X, given)
        return as_dtype(model.score_units(source, execute=self._execute()), source.X)

    def score(self, X: Any, y: Any = None, given: Any = None) -> float:
        """Mean log-likelihood of a row, of those that have a value."""
        model, source = self._model_and_source(X, given)
        ready = model.source(source)
        return float(model.score(ready, execute=self._execute()) / max(ready.n_with_values, 1))

    def predict_proba(self, X: Any, given: Any = None) -> Array:
        """Responsibilities (n, K): the probability of each component given the row (Bishop 2006, eq. 9.13)."""
        model, source = self._model_and_source(X, given)
        return as_dtype(model.predict_proba(source, execute=self._execute()), source.X)

    def predict(self, X: Any, given: Any = None) -> Array:
        """The most probable component of each row, (n,)."""
        model, source = self._model_and_source(X, given)
        return model.decode(source, execute=self._execute())[0]

    def sample(self, n_samples: int = 1, given: Any = None) -> tuple[Array, Array]:
        """Draws rows: (X (n, D), components (n,)), grouped by component as scikit-learn does.

        With covariates ``given`` (n, P) rows are in their order.
        """
        rng = self.random_state
        rng = rng if isinstance(rng, np.random.Generator) or rng is None else np.random.default_rng(as_seed(rng))
        X, states = self.to_model().sample(n_samples, rng, given)
        if given is not None:
            return X, states
        order = np.argsort(states, kind="stable")
        return X[order], states[order]

    def aic(self, X: Any, given: Any = None) -> float:
        """Akaike's criterion on X, lower is better."""
        model, source = self._model_and_source(X, given)
        return model.aic(model.score(source, execute=self._execute()))

    def bic(self, X: Any, given: Any = None) -> float:
        """Schwarz's criterion on X, lower is better."""
        model, source = self._model_and_source(X, given)
        ready = model.source(source)
        return model.bic(model.score(ready, execute=self._execute()), ready.n_with_values)

    def icl(self, X: Any, given: Any = None) -> float:
        """Integrated completed likelihood on X, lower is better: BIC plus twice the entropy of the responsibilities.

        Biernacki, Celeux & Govaert 2000.
        """
        r = self.predict_proba(X, given)
        entropy = -float(np.sum(r * np.log(np.where(r > 0, r, 1.0)), dtype=np.float64))
        return self.bic(X, given) + 2 * entropy
