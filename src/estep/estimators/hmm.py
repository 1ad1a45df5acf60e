"""Hidden Markov models: GaussianHMM, GMMHMM, CategoricalHMM, PoissonHMM, and HMM for any emission.

X is one array with ``lengths``, a list of arrays, or a 3-D array of equal sequences. A chain whose attributes are set
by hand (``startprob_``, ``transmat_`` and the emission's) scores, decodes, predicts and samples without a fit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from estep.emissions import Categorical, Gaussian, MixtureOf, Poisson
from estep.estimators.hidden import Hidden
from estep.interface import Algorithm, Emission


class GaussianHMM(Hidden):
    """Hidden Markov model with Gaussian emissions.

    Parameters
    ----------
    n_components : int
        K, the number of states.
    covariance_type : {"diag", "full", "tied", "spherical"}
    tol : float
        Stops at a gain of the log-likelihood, divided by the number of rows, below this.
    stop_rule : {"gain", "aitken", "parameters"}
        Whether ``tol`` is of the last gain, of all gains to come as Aitken estimates them, or of parameters' changes.
    reg_covar : float, optional
        Added to the diagonals of the covariances; None (default) clamps them at 1e-12 of each column's variance.
    max_iter, n_init : int
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
    init_params : {"portfolio", "kmeans", "k-means++", "random", "random_from_data", "projection", "ward", "short", \
            "split", "cuts", "spread", "segmental"}
        "portfolio": start 0 is k-means (of symbols random, of states in order "split"), odd starts are of several kinds
        by turns, even ones perturb the best fit so far. A kind's name: all starts are of that kind, see
        :func:`estep.start_model`.
    startprob_init, transmat_init, means_init, covariances_init : arrays, optional
        Starts (K,), (K, K), (K, D) ..., any subset. Zeros in startprob_init and transmat_init stay zero.
    topology : {"ergodic", "left-right", "bakis", "banded"} or array (K, K), optional
        Which transitions there may be: all, onwards, onwards by two states at most, to a neighbour; or where the array
        is not zero. "left-right" and "bakis" begin in state 0, and start from equal parts of each sequence.
    begins : {"anywhere", "stationary"}
        "stationary": the start probabilities are the stationary distribution of the transition matrix.
    random_state : int, Generator, RandomState or None
    estimate : {"ml", "map", "vb"}
        Maximum likelihood, the mode of the posterior, or the posterior itself by variational Bayes.
    prior : Prior or mapping, optional
        For "map" and "vb": ``{"transmat": Dirichlet(2.0), "means": NormalInverseWishart(...)}``, any subset; blocks
        left out have weak priors (see :mod:`estep.priors`).
    fixed : set of names or mapping
        Blocks that stay as they are given: ``("transmat", "means")``, or ``{"means": [0, 2]}`` for some states.
    emission_groups : (K,), optional
        States with the same number share one emission.
    order_by : {"mean", "weight", "variance"}, optional
        In which order components are numbered after a fit: by the mean of the first column, by weight (the largest
        first; of a chain in the long run), or by variance; None: as they were found. See :func:`estep.align` too.
    n_threads : int, optional
        None: all cores the process may use. Results do not depend on it.
    execute : Dask, optional
        A cluster in place of threads: ``estep.Dask(client)``. Results do not depend on it either.

    Attributes
    ----------
    startprob_ : array (K,)
    transmat_ : array (K, K)
    means_ : array (K, D)
    covariances_ : array
        Shaped by ``covariance_type``, as scikit-learn's.
    converged_ : bool
        Whether the gain fell below ``tol``.
    n_iter_ : int
        M-steps.
    stop_reason_ : str
        "converged", "max_iter", "max_time", "bound fell" or "interrupted".
    lower_bound_ : float
        Total log-likelihood, of the model returned; with a prior the bound.
    lower_bounds_ : list of float
        The same after each E-step.
    model_ : Model
        The functional model.
    fit_ : Fit
        Trace and restarts.
    """

    def __init__(
        self,
        n_components: int = 1,
        *,
        covariance_type: str = "diag",
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
        startprob_init: Any = None,
        transmat_init: Any = None,
        topology: Any = None,
        begins: str = "anywhere",
        means_init: Any = None,
        covariances_init: Any = None,
        random_state: Any = None,
        warm_start: bool = False,
        verbose: int = 0,
        n_threads: int | None = None,
        execute: Any = None,
        algorithm: Algorithm | str = "em",
        estimate: str = "ml",
        prior: Any = None,
        fixed: Any = (),
        emission_groups: Any = None,
        order_by: str | None = None,
        callbacks: Sequence[Any] = (),
    ) -> None:
        self._keep(locals())

    def _emission(self) -> Gaussian:
        return Gaussian(self.covariance_type, self.means_init, self.covariances_init, self.reg_covar)


class GMMHMM(Hidden):
    """Hidden Markov model whose states emit from Gaussian mixtures of ``n_mix`` parts each.

    The parameters are those of :class:`GaussianHMM`, and:

    Parameters
    ----------
    n_mix : int
        M, the parts of each state.
    weights_init, means_init, covariances_init : arrays, optional
        Starts (K, M), (K, M, D), and covariances (K, M, ...) as ``covariance_type`` shapes those of one part; tied
        covariances (D, D) are shared by all parts of all states.

    Attributes
    ----------
    startprob_ : array (K,)
    transmat_ : array (K, K)
    weights_ : array (K, M)
        Mixing weights of each state.
    means_ : array (K, M, D)
    covariances_ : array
        full (K, M, D, D), tied (D, D), diag (K, M, D), spherical (K, M).
    """

    n_mix: int
    weights_init: Any

    def __init__(
        self,
        n_components: int = 1,
        n_mix: int = 1,
        *,
        covariance_type: str = "diag",
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
        startprob_init: Any = None,
        transmat_init: Any = None,
        topology: Any = None,
        begins: str = "anywhere",
        weights_init: Any = None,
        means_init: Any = None,
        covariances_init: Any = None,
        random_state: Any = None,
        warm_start: bool = False,
        verbose: int = 0,
        n_threads: int | None = None,
        execute: Any = None,
        algorithm: Algorithm | str = "em",
        estimate: str = "ml",
        prior: Any = None,
        fixed: Any = (),
        emission_groups: Any = None,
        order_by: str | None = None,
        callbacks: Sequence[Any] = (),
    ) -> None:
        self._keep(locals())

    def _emission(self) -> MixtureOf:
        blank = MixtureOf(Gaussian(self.covariance_type, reg_covar=self.reg_covar), self.n_mix)
        return blank.with_values(
            mix_weights=self.weights_init, means=self.means_init, covariances=self.covariances_init
        )

    def _attribute(self, name: str) -> str:
        return "weights_" if name == "mix_weights" else f"{name}_"


class CategoricalHMM(Hidden):
    """Hidden Markov model with categorical emissions: X holds symbols in one column, numbers 0 .. M - 1 or texts.

    Texts are numbered in the order of their names, ``symbols_``; ``unknown``: what those are that the fit has not seen,
    an "error" or "missing" cells. ``n_symbols``: M, where it is more than the largest symbol plus one.
    ``emissionprob_init`` (K, M) starts the emission, its zeros stay zero; the other parameters are those of
    :class:`GaussianHMM`. Fitted: ``emissionprob_`` (K, M).
    """

    def __init__(
        self,
        n_components: int = 1,
        *,
        n_symbols: int | None = None,
        unknown: str = "error",
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
        startprob_init: Any = None,
        transmat_init: Any = None,
        topology: Any = None,
        begins: str = "anywhere",
        emissionprob_init: Any = None,
        random_state: Any = None,
        warm_start: bool = False,
        verbose: int = 0,
        n_threads: int | None = None,
        execute: Any = None,
        algorithm: Algorithm | str = "em",
        estimate: str = "ml",
        prior: Any = None,
        fixed: Any = (),
        emission_groups: Any = None,
        order_by: str | None = None,
        callbacks: Sequence[Any] = (),
    ) -> None:
        self._keep(locals())

    def _emission(self) -> Categorical:
        return Categorical(self.emissionprob_init, self.n_symbols, unknown=self.unknown)

    @property
    def symbols_(self) -> tuple[str, ...]:
        """The names of the symbols 0 .. M - 1, none where they are numbers."""
        return tuple(self.to_model().symbols)


class PoissonHMM(Hidden):
    """Hidden Markov model with Poisson emissions: X holds counts, (n, D).

    ``rates_init`` (K, D) starts the emission; the other parameters are those of :class:`GaussianHMM`. Fitted:
    ``rates_`` (K, D).
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
        startprob_init: Any = None,
        transmat_init: Any = None,
        topology: Any = None,
        begins: str = "anywhere",
        rates_init: Any = None,
        random_state: Any = None,
        warm_start: bool = False,
        verbose: int = 0,
        n_threads: int | None = None,
        execute: Any = None,
        algorithm: Algorithm | str = "em",
        estimate: str = "ml",
        prior: Any = None,
        fixed: Any = (),
        emission_groups: Any = None,
        order_by: str | None = None,
        callbacks: Sequence[Any] = (),
    ) -> None:
        self._keep(locals())

    def _emission(self) -> Poisson:
        return Poisson(self.rates_init)


class HMM(Hidden):
    """A hidden Markov model of any emission: ``HMM("poisson", 3)``, ``HMM(Gaussian("full"), 2)``, or your own.

    ``HMM("auto", K).fit(frame, lengths)`` proposes a family for each column of a data frame (:func:`estep.propose`),
    shows them and keeps them in ``emission_``.

    Starts of the emission are given in the emission itself, for example ``Poisson(rates=...)``; the other parameters
    are those of :class:`GaussianHMM`.
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
        startprob_init: Any = None,
        transmat_init: Any = None,
        topology: Any = None,
        begins: str = "anywhere",
        random_state: Any = None,
        warm_start: bool = False,
        verbose: int = 0,
        n_threads: int | None = None,
        execute: Any = None,
        algorithm: Algorithm | str = "em",
        estimate: str = "ml",
        prior: Any = None,
        fixed: Any = (),
        emission_groups: Any = None,
        order_by: str | None = None,
        callbacks: Sequence[Any] = (),
    ) -> None:
        self._keep(locals())

    def _emission(self) -> Emission | str:
        return self.emission
