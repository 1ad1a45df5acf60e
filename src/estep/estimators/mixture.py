"""Mixtures with scikit-learn's conventions: GaussianMixture, and MixtureModel for any emission."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from sklearn.base import DensityMixin
from sklearn.utils.validation import validate_data

from estep.data import as_source, frame_columns
from estep.emissions import Bernoulli, Gaussian, Student
from estep.emissions.product import used_columns
from estep.estimators.base import ModelEstimator, as_dtype
from estep.estimators.precisions import precision_attributes, to_covariances
from estep.fitting import Fit
from estep.interface import Algorithm, Emission
from estep.latents import Independent
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
        rng = rng if isinstance(rng, np.random.Generator) or rng is None else np.random.default_rng(_seed(rng))
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


def _seed(random_state: Any) -> Any:
    """A seed for NumPy's generators from scikit-learn's integers and RandomStates."""
    if isinstance(random_state, np.random.RandomState):
        return [int(v) for v in random_state.randint(0, 2**31 - 1, size=4)]
    return random_state


class GaussianMixture(Mixture):
    """Gaussian mixture by EM, a drop-in for scikit-learn's, with weights and a true stopping rule.

    Parameters
    ----------
    n_components : int
        K.
    covariance_type : {"full", "tied", "diag", "spherical"}
    tol : float
        Stops at a gain of the mean log-likelihood below this.
    stop_rule : {"gain", "aitken", "parameters"}
        Whether ``tol`` is of the last gain, of all gains to come as Aitken estimates them, or of parameters' changes.
    reg_covar : float, optional
        Added to the diagonals of the covariances; None (default) clamps them at 1e-12 of each column's variance.
    max_iter, n_init : int
        M-steps of one start at most; starts, of which the best is kept.
    init_params : {"kmeans", "k-means++", "random", "random_from_data", "short"}
        "short": the best of ten short runs of EM from random rows.
    weights_init, means_init, covariances_init, precisions_init : arrays, optional
        Starts (K,), (K, D) ..., any subset; covariances or precisions as ``covariance_type`` shapes them.
    random_state : int, Generator, RandomState or None
    n_threads : int, optional
        None: all cores the process may use. Results do not depend on it.
    algorithm : str or Algorithm
    estimate : {"ml", "map", "vb"}
        Maximum likelihood, the mode of the posterior, or the posterior itself by variational Bayes.
    prior : Prior or mapping, optional
        For "map" and "vb": ``{"weights": Dirichlet(2.0), "means": NormalInverseWishart(...)}``, any subset; blocks left
        out have weak priors (see :mod:`estep.priors`).
    fixed : set of names or mapping
        Blocks that stay as they are given: ``("weights", "means")``, or ``{"means": [0, 2]}`` for some components.
    callbacks : sequence of callables
        Called with a :class:`estep.fitting.Iteration` after each E-step.

    Attributes
    ----------
    weights_ : array (K,)
    means_ : array (K, D)
    covariances_, precisions_, precisions_cholesky_ : arrays
        Shaped by ``covariance_type``, as scikit-learn's.
    converged_ : bool
        Whether the gain fell below ``tol``.
    n_iter_ : int
        M-steps.
    stop_reason_ : str
        "converged", "max_iter", "bound fell" or "interrupted".
    lower_bound_ : float
        Mean log-likelihood of a row, of the model returned; with a prior the bound, divided by the number of rows.
    lower_bounds_ : list of float
        The same after each E-step.
    model_ : Model
        The functional model; with ``estimate="vb"``, ``model_.posterior`` has the posteriors by block.
    fit_ : Fit
        Trace and restarts.
    """

    def __init__(
        self,
        n_components: int = 1,
        *,
        covariance_type: str = "full",
        tol: float = 1e-8,
        stop_rule: str = "gain",
        reg_covar: float | None = None,
        max_iter: int = 1000,
        n_init: int = 1,
        init_params: str = "kmeans",
        weights_init: Any = None,
        means_init: Any = None,
        precisions_init: Any = None,
        covariances_init: Any = None,
        random_state: Any = None,
        warm_start: bool = False,
        verbose: int = 0,
        verbose_interval: int = 10,
        n_threads: int | None = None,
        algorithm: Algorithm | str = "em",
        estimate: str = "ml",
        prior: Any = None,
        fixed: Any = (),
        callbacks: Sequence[Any] = (),
    ) -> None:
        self._keep(locals())

    def _emission(self) -> str:
        return "gaussian"

    def _parts(self) -> tuple[Independent, Gaussian]:
        covariances = self.covariances_init
        if self.precisions_init is not None:
            if covariances is not None:
                raise ValueError("covariances_init and precisions_init are both given: give one")
            covariances = to_covariances(self.precisions_init, self.covariance_type)
        emission = Gaussian(self.covariance_type, self.means_init, None, self.reg_covar)
        if covariances is not None:
            emission = Gaussian(self.covariance_type, self.means_init, covariances, self.reg_covar)
        return Independent(self.weights_init), emission

    def _set_model(self, model: Model, dtype: type[np.floating[Any]] = np.float64) -> None:
        super()._set_model(model, dtype)
        assert isinstance(model.emission, Gaussian)
        self.precisions_, self.precisions_cholesky_ = (p.astype(dtype) for p in precision_attributes(model.emission))


class MixtureModel(Mixture):
    """A mixture of any emission: ``MixtureModel(Poisson(), 3)``, ``MixtureModel("categorical", 2)``, or your own.

    ``MixtureModel("auto", K).fit(frame)`` proposes a family for each column of a data frame (:func:`estep.propose`),
    shows which, and keeps them in ``emission_``.

    Parameters are those of :class:`GaussianMixture`; starts are given in the emission itself, for example
    ``Poisson(rates=...)``. The fitted attributes are ``weights_`` and the emission's parameters with an underscore:
    ``rates_``, ``emissionprob_``, ``means_`` ...
    """

    def __init__(
        self,
        emission: Emission | str = "gaussian",
        n_components: int = 1,
        *,
        tol: float = 1e-8,
        stop_rule: str = "gain",
        max_iter: int = 1000,
        n_init: int = 1,
        init_params: str = "kmeans",
        weights_init: Any = None,
        random_state: Any = None,
        warm_start: bool = False,
        verbose: int = 0,
        n_threads: int | None = None,
        algorithm: Algorithm | str = "em",
        estimate: str = "ml",
        prior: Any = None,
        fixed: Any = (),
        callbacks: Sequence[Any] = (),
    ) -> None:
        self._keep(locals())

    def _emission(self) -> Emission | str:
        return self.emission

    def _parts(self) -> tuple[Independent, Emission]:
        return Independent(self.weights_init), self._resolved()


class StudentMixture(Mixture):
    """A mixture of Student-t distributions: outliers widen tails, not components (Peel & McLachlan 2000).

    The parameters are those of :class:`GaussianMixture`, without starts of covariances or precisions; ``algorithm`` is
    "squarem", since degrees of freedom move slowly under EM. Fitted:
    ``weights_`` (K,), ``means_`` (K, D), ``covariances_``, the scale matrices as ``covariance_type`` shapes them, and
    ``dofs_`` (K,), the degrees of freedom; a component's covariance is its scale times dofs / (dofs - 2).
    """

    def __init__(
        self,
        n_components: int = 1,
        *,
        covariance_type: str = "full",
        tol: float = 1e-8,
        stop_rule: str = "gain",
        reg_covar: float | None = None,
        max_iter: int = 1000,
        n_init: int = 1,
        init_params: str = "kmeans",
        weights_init: Any = None,
        means_init: Any = None,
        dofs_init: Any = None,
        random_state: Any = None,
        warm_start: bool = False,
        verbose: int = 0,
        n_threads: int | None = None,
        algorithm: Algorithm | str = "squarem",
        estimate: str = "ml",
        prior: Any = None,
        fixed: Any = (),
        callbacks: Sequence[Any] = (),
    ) -> None:
        self._keep(locals())

    def _emission(self) -> Emission:
        return Student(Gaussian(self.covariance_type, self.means_init, None, self.reg_covar), self.dofs_init)

    def _parts(self) -> tuple[Independent, Emission]:
        return Independent(self.weights_init), self._emission()


class BernoulliMixture(Mixture):
    """A mixture of vectors of zeros and ones, also called latent class analysis (Bishop 2006, section 9.3.3).

    ``probabilities_init`` (K, D) starts the emission; the other parameters are those of :class:`MixtureModel`. Fitted:
    ``weights_`` (K,), ``probabilities_`` (K, D).
    """

    def __init__(
        self,
        n_components: int = 1,
        *,
        tol: float = 1e-8,
        stop_rule: str = "gain",
        max_iter: int = 1000,
        n_init: int = 1,
        init_params: str = "kmeans",
        weights_init: Any = None,
        probabilities_init: Any = None,
        random_state: Any = None,
        warm_start: bool = False,
        verbose: int = 0,
        n_threads: int | None = None,
        algorithm: Algorithm | str = "em",
        estimate: str = "ml",
        prior: Any = None,
        fixed: Any = (),
        callbacks: Sequence[Any] = (),
    ) -> None:
        self._keep(locals())

    def _emission(self) -> Emission:
        return Bernoulli(self.probabilities_init)

    def _parts(self) -> tuple[Independent, Emission]:
        return Independent(self.weights_init), self._emission()
