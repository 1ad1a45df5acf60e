"""Mixtures with scikit-learn's conventions: GaussianMixture, and MixtureModel for any emission."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from estep.data.source import Source
from estep.emissions import Bernoulli, Gaussian, Student
from estep.estimators.array_api import given_back, kind_of, to_numpy
from estep.estimators.density import Mixture
from estep.estimators.given_starts import check_starts
from estep.estimators.precisions import precisions_of, to_covariances
from estep.interface import Algorithm, Emission
from estep.latents import Independent
from estep.model import Model
from estep.statistics import Array
from estep.util.numbers import as_numbers


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
    max_time : float, optional
        Seconds after which the fit ends with its best so far.
    checkpoint : path, optional
        A file from which the same fit, begun again, goes on to the same end, whatever cut it off.
    every : float
        Seconds between two writes of the checkpoint, at least.
    memory : str, optional
        What files, Arrow data sets and blocks may take of it, such as "500MB" (default "1GB"); arrays stay as they are.
    reseeds : int
        How often components that have collapsed onto few rows are put elsewhere, at most.
    init_params : {"portfolio", "kmeans", "k-means++", "random", "random_from_data", "projection", "ward", "short"}
        "portfolio": start 0 is k-means, odd starts are of several kinds by turns, even ones perturb the best fit so
        far. A kind's name: all starts are of that kind, see :func:`estep.start_model`.
        "short": the best of ten short runs of EM from random rows.
    weights_init, means_init, covariances_init, precisions_init : arrays, optional
        Starts (K,), (K, D) ..., any subset; covariances or precisions as ``covariance_type`` shapes them.
    random_state : int, Generator, RandomState or None
    n_threads : int, optional
        None: all cores the process may use. Results do not depend on it.
    execute : Dask, optional
        A cluster in place of threads: ``estep.Dask(client)``. Results do not depend on it either.
    algorithm : str or Algorithm
    estimate : {"ml", "map", "vb"}
        Maximum likelihood, the mode of the posterior, or the posterior itself by variational Bayes.
    prior : Prior or mapping, optional
        For "map" and "vb": ``{"weights": Dirichlet(2.0), "means": NormalInverseWishart(...)}``, any subset; blocks left
        out have weak priors (see :mod:`estep.priors`).
    fixed : set of names or mapping
        Blocks that stay as they are given: ``("weights", "means")``, or ``{"means": [0, 2]}`` for some components.
    order_by : {"mean", "weight", "variance"}, optional
        In which order components are numbered after a fit: by the mean of the first column, by weight (the largest
        first; of a chain in the long run), or by variance; None: as they were found. See :func:`estep.align` too.
    callbacks : sequence of callables
        Called with a :class:`estep.fitting.results.Iteration` after each E-step.

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
        "converged", "max_iter", "max_time", "bound fell" or "interrupted".
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
        max_time: float | None = None,
        checkpoint: Any = None,
        every: float = 60.0,
        memory: Any = None,
        reseeds: int = 3,
        n_init: int = 1,
        init_params: str = "portfolio",
        weights_init: Any = None,
        means_init: Any = None,
        precisions_init: Any = None,
        covariances_init: Any = None,
        random_state: Any = None,
        warm_start: bool = False,
        verbose: int = 0,
        verbose_interval: int = 10,
        n_threads: int | None = None,
        execute: Any = None,
        algorithm: Algorithm | str = "em",
        estimate: str = "ml",
        prior: Any = None,
        fixed: Any = (),
        order_by: str | None = None,
        callbacks: Sequence[Any] = (),
    ) -> None:
        self._keep(locals())

    def _emission(self) -> str:
        return "gaussian"

    def _checked(self, X: Any, *known: Any, old: Model | None) -> Source:
        source = super()._checked(X, *known, old=old)
        if old is None:
            given = self.weights_init, self.means_init, self.precisions_init
            check_starts(self.n_components, source.X.shape[1], self.covariance_type, *given)
        return source

    def _parts(self) -> tuple[Independent, Gaussian]:
        covariances = self.covariances_init
        if self.precisions_init is not None:
            if covariances is not None:
                raise ValueError("covariances_init and precisions_init are both given: give one")
            covariances = to_covariances(self.precisions_init, self.covariance_type, self.n_components)
        emission = Gaussian(self.covariance_type, self.means_init, None, self.reg_covar)
        if covariances is not None:
            emission = Gaussian(self.covariance_type, self.means_init, covariances, self.reg_covar)
        return Independent(self.weights_init), emission

    @property
    def precisions_(self) -> Array:
        """Inverse covariances, shaped by ``covariance_type``; setting them sets the covariances."""
        return self._precisions("precisions_")[0]

    @precisions_.setter
    def precisions_(self, precisions: Any) -> None:
        if "covariances_" in vars(self) and np.array_equal(precisions, self.precisions_):
            return
        K = len(self.weights_) if "weights_" in vars(self) else self.n_components
        self.covariances_ = to_covariances(precisions, self._covariance_type(), K, "precisions_")

    @property
    def precisions_cholesky_(self) -> Array:
        """Upper triangular factors U of the precisions, P = U U', as scikit-learn has them; setting them sets the
        covariances."""
        return self._precisions("precisions_cholesky_")[1]

    @precisions_cholesky_.setter
    def precisions_cholesky_(self, factors: Any) -> None:
        U = as_numbers(factors, "precisions_cholesky_")
        if "covariances_" in vars(self) and np.array_equal(U, self.precisions_cholesky_):
            return
        full = self._covariance_type() in ("full", "tied")
        self.precisions_ = U @ np.swapaxes(U, -1, -2) if full else U**2

    def _covariance_type(self) -> str:
        """That of the covariances that are there."""
        fitted: Model | None = getattr(self, "model_", None)
        return self.covariance_type if fitted is None else fitted.emission.covariance_type  # type: ignore[attr-defined]

    def _precisions(self, name: str) -> tuple[Array, Array]:
        """Precisions and their factors, of the library that the covariances are of."""
        if "covariances_" not in vars(self):
            raise AttributeError(f"{type(self).__name__} has no attribute {name!r} before it is fitted")
        both = precisions_of(np.asarray(to_numpy(self.covariances_)), self._covariance_type())
        return given_back(both, kind_of(self.covariances_))  # type: ignore[no-any-return]


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
        max_time: float | None = None,
        checkpoint: Any = None,
        every: float = 60.0,
        memory: Any = None,
        reseeds: int = 3,
        n_init: int = 1,
        init_params: str = "portfolio",
        weights_init: Any = None,
        random_state: Any = None,
        warm_start: bool = False,
        verbose: int = 0,
        n_threads: int | None = None,
        execute: Any = None,
        algorithm: Algorithm | str = "em",
        estimate: str = "ml",
        prior: Any = None,
        fixed: Any = (),
        order_by: str | None = None,
        callbacks: Sequence[Any] = (),
    ) -> None:
        self._keep(locals())

    def _emission(self) -> Emission | str:
        return self.emission


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
        max_time: float | None = None,
        checkpoint: Any = None,
        every: float = 60.0,
        memory: Any = None,
        reseeds: int = 3,
        n_init: int = 1,
        init_params: str = "portfolio",
        weights_init: Any = None,
        means_init: Any = None,
        dofs_init: Any = None,
        random_state: Any = None,
        warm_start: bool = False,
        verbose: int = 0,
        n_threads: int | None = None,
        execute: Any = None,
        algorithm: Algorithm | str = "squarem",
        estimate: str = "ml",
        prior: Any = None,
        fixed: Any = (),
        order_by: str | None = None,
        callbacks: Sequence[Any] = (),
    ) -> None:
        self._keep(locals())

    def _emission(self) -> Emission:
        return Student(Gaussian(self.covariance_type, self.means_init, None, self.reg_covar), self.dofs_init)


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
        max_time: float | None = None,
        checkpoint: Any = None,
        every: float = 60.0,
        memory: Any = None,
        reseeds: int = 3,
        n_init: int = 1,
        init_params: str = "portfolio",
        weights_init: Any = None,
        probabilities_init: Any = None,
        random_state: Any = None,
        warm_start: bool = False,
        verbose: int = 0,
        n_threads: int | None = None,
        execute: Any = None,
        algorithm: Algorithm | str = "em",
        estimate: str = "ml",
        prior: Any = None,
        fixed: Any = (),
        order_by: str | None = None,
        callbacks: Sequence[Any] = (),
    ) -> None:
        self._keep(locals())

    def _emission(self) -> Emission:
        return Bernoulli(self.probabilities_init)
