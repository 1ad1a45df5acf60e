"""hmmlearn's base classes: the loop of a fit, and chains fitted by likelihood or variationally."""

from __future__ import annotations

import string
from collections.abc import Callable
from typing import Any, Self

import numpy as np
from sklearn.utils import check_array, check_random_state
from sklearn.utils.validation import check_is_fitted

from estep.compat.hmmlearn.hooks import CHAIN, SUMS
from estep.compat.hmmlearn.monitor import ConvergenceMonitor
from estep.compat.hmmlearn.questions import DECODER_ALGORITHMS, Questions, ends_of
from estep.compat.hmmlearn.utils import log_normalize, normalize
from estep.data.source import Source
from estep.data.summary import Summary
from estep.execution.threads import threads
from estep.inference.passes import Passes
from estep.inference.prepare import prepared_to_fit
from estep.interface import Emission
from estep.latents import Chain
from estep.latents.topology import stationary
from estep.model import Model
from estep.priors import Dirichlet
from estep.priors.probabilities import expected_probabilities
from estep.statistics import Array, Statistics

__all__ = ["DECODER_ALGORITHMS", "BaseHMM", "ConvergenceMonitor", "VariationalBaseHMM", "log_normalize", "normalize"]

IMPLEMENTATIONS = ("log", "scaling")
"""hmmlearn's two ways through a sequence; here one exact way stands for both."""

EStep = Callable[[], tuple[dict[str, Any], float]]


class AbstractHMM(Questions):
    """The loop of a fit."""

    def fit(self, X: Any, lengths: Any = None) -> Self:
        """Estimates the parameters in ``params`` by Baum-Welch, from starts for those in ``init_params`` and from the
        attributes as they are for the others.

        X (n, D): rows of all sequences; ``lengths`` (S,): how many rows each has. Raises ValueError for data or
        attributes that do not go together, and where data are impossible under the start.
        """
        X = check_array(X, input_name="X")
        ends = ends_of(lengths, len(X))
        if self.implementation not in IMPLEMENTATIONS:
            raise ValueError(f"implementation is {self.implementation!r}: it is one of {', '.join(IMPLEMENTATIONS)}")
        self._init(X, np.diff(ends, prepend=0) if lengths is None else lengths)
        self._check()
        X, ends = self._rows(X, ends)
        self.monitor_._reset()
        how = threads(None)
        with how.running():
            by_sequence = self._overrides(*self._densities, *SUMS)
            e_step = self._by_sequence(X, ends) if by_sequence else self._at_once(X, ends, how)
            for _ in range(self.n_iter):
                stats, log_prob = e_step()
                bound = self._compute_lower_bound(log_prob)
                self._do_mstep(stats)
                self.monitor_.report(bound)
                if self.monitor_.converged:
                    break
        return self

    def _at_once(self, X: Array, ends: Array, how: Any) -> EStep:
        """E-steps of the engine."""
        model = Model(*self._parts())
        source: Source = prepared_to_fit(model.source(X, np.diff(ends, prepend=0)), model.emission)
        passes = Passes(source, model.leaf_rows(), how)

        def e_step() -> tuple[dict[str, Any], float]:
            model = Model(*self._parts(source.summary))
            s = passes.expect(model)
            _, of_latent, of_emission = model.layouts
            counts, sums = Statistics(of_latent, s["latent"]), Statistics(of_emission, s["emission"])
            stats = {"nobs": len(ends), "start": counts["start"], "trans": counts["transitions"]}
            return {**stats, **self._gathered(model.emission, sums)}, float(s["loglik"])

        return e_step

    def _by_sequence(self, X: Array, ends: Array) -> EStep:
        """E-steps of a class with densities or sums of its own, one sequence at a time."""

        def e_step() -> tuple[dict[str, Any], float]:
            stats, total = self._initialize_sufficient_statistics(), 0.0
            for rows in np.split(X, ends[:-1]):
                logs = np.asarray(self._lattice(rows), dtype=float)
                posteriors = np.empty(logs.shape)
                total += float(self._chain_pass(self._fit_chain(), logs, np.array([len(rows)]), posteriors)[0][0])
                lattice = np.exp(logs) if self.implementation == "scaling" else logs
                self._accumulate_sufficient_statistics(stats, rows, lattice, posteriors, None, None)
            return stats, total

        return e_step


class BaseHMM(AbstractHMM):
    """A chain with emissions of any kind: classes of one's own say their log-densities (``_compute_log_likelihood``),
    and where they are to be fitted, their statistics and M-step.

    ``startprob_prior``, ``transmat_prior``: concentrations of Dirichlet priors, whose mode is fitted; 1 is flat.
    """

    def __init__(
        self,
        n_components: int = 1,
        startprob_prior: Any = 1.0,
        transmat_prior: Any = 1.0,
        algorithm: str = "viterbi",
        random_state: Any = None,
        n_iter: int = 10,
        tol: float = 1e-2,
        verbose: bool = False,
        params: str = string.ascii_letters,
        init_params: str = string.ascii_letters,
        implementation: str = "log",
    ) -> None:
        self._keep(locals())

    def get_stationary_distribution(self) -> Array:
        """The distribution (K,) that the transitions keep. Raises ValueError where there is more than one."""
        check_is_fitted(self, "transmat_")
        self._check_sum_1("transmat_")
        return stationary(np.asarray(self.transmat_, float))

    def _init(self, X: Array, lengths: Any = None) -> None:
        self._check_and_set_n_features(X)
        rng, flat = check_random_state(self.random_state), np.full(self.n_components, 1 / self.n_components)
        if self._needs_init("s", "startprob_"):
            self.startprob_ = rng.dirichlet(flat)
        if self._needs_init("t", "transmat_"):
            self.transmat_ = rng.dirichlet(flat, size=self.n_components)
        self._warn_of_few(X)

    def _check(self) -> None:
        K = self.n_components
        self._check_shape("startprob_", (K,), "(n_components,)")
        self._check_sum_1("startprob_")
        self._check_shape("transmat_", (K, K), "(n_components, n_components)")
        self._check_sum_1("transmat_")

    def _do_mstep(self, stats: dict[str, Any]) -> None:
        """Modes under the priors (Rabiner 1989, eq. 40a and 40b); zeros stay, and a state that is never left keeps
        its row."""
        if "s" in self.params:
            self.startprob_ = mode(self.startprob_, self.startprob_prior, stats["start"])
        if "t" in self.params:
            self.transmat_ = mode(self.transmat_, self.transmat_prior, stats["trans"])

    def _compute_lower_bound(self, log_prob: float) -> float:
        return log_prob

    def aic(self, X: Any, lengths: Any = None) -> float:
        """Akaike's criterion; the lower the better."""
        return 2 * self._n_fitted() - 2 * self.score(X, lengths)

    def bic(self, X: Any, lengths: Any = None) -> float:
        """Schwarz' criterion with the number of rows; the lower the better."""
        return self._n_fitted() * float(np.log(len(X))) - 2 * self.score(X, lengths)

    def _n_fitted(self) -> int:
        return sum((self._get_n_fit_scalars_per_param() or {}).values())


class VariationalBaseHMM(AbstractHMM):
    """A chain whose probabilities have Dirichlet posteriors (Beal 2003, chapter 3): ``startprob_posterior_`` (K,) and
    ``transmat_posterior_`` (K, K) are concentrations, ``startprob_`` and ``transmat_`` their means."""

    def __init__(
        self,
        n_components: int = 1,
        startprob_prior: Any = None,
        transmat_prior: Any = None,
        algorithm: str = "viterbi",
        random_state: Any = None,
        n_iter: int = 100,
        tol: float = 1e-6,
        verbose: bool = False,
        params: str = "ste",
        init_params: str = "ste",
        implementation: str = "log",
    ) -> None:
        self._keep(locals())

    startprob_prior_: Array
    startprob_posterior_: Array
    transmat_prior_: Array
    transmat_posterior_: Array

    def _init(self, X: Array, lengths: Any = None) -> None:
        self._check_and_set_n_features(X)
        K = self.n_components
        rng, flat = check_random_state(self.random_state), np.full(K, 1 / K)
        if self._needs_any("s", "startprob_posterior_", "startprob_prior_"):
            self.startprob_prior_ = np.full(K, 1 / K if self.startprob_prior is None else self.startprob_prior)
            self.startprob_posterior_ = rng.dirichlet(flat) * len(lengths)
        if self._needs_any("t", "transmat_posterior_", "transmat_prior_"):
            self.transmat_prior_ = np.full((K, K), 1 / K if self.transmat_prior is None else self.transmat_prior)
            self.transmat_posterior_ = rng.dirichlet(flat, size=K) * (sum(lengths) / K)
        self._warn_of_few(X)

    def _needs_any(self, code: str, *names: str) -> bool:
        return any([self._needs_init(code, name) for name in names])

    def _check(self) -> None:
        K = self.n_components
        for name in ("startprob_prior_", "startprob_posterior_"):
            self._check_shape(name, (K,), "(n_components,)")
        for name in ("transmat_prior_", "transmat_posterior_"):
            self._check_shape(name, (K, K), "(n_components, n_components)")
        if not hasattr(self, "startprob_") or not hasattr(self, "transmat_"):
            self._set_means()

    def _set_means(self) -> None:
        """The attributes that questions read, from the posterior."""
        start, moves = self.startprob_posterior_, self.transmat_posterior_
        self.startprob_, self.transmat_ = start / start.sum(), moves / moves.sum(axis=1, keepdims=True)

    _densities = ("_compute_subnorm_log_likelihood",)

    def _fit_chain(self) -> Chain:
        """Expected logarithms in place of probabilities."""
        start, moves = (
            expected_probabilities(Dirichlet(q)) for q in (self.startprob_posterior_, self.transmat_posterior_)
        )
        return CHAIN.evolve(startprob=start, transmat=moves)

    def _offset(self) -> Array:
        """What expected log-densities have beside those of :meth:`_fit_emission`, (K,)."""
        return np.zeros(self.n_components)

    def _compute_subnorm_log_likelihood(self, X: Array) -> Array:
        """Expected log-densities (n, K) of rows."""
        return self._log_densities(X, self._fit_emission()) + self._offset()

    def _lattice(self, X: Array) -> Array:
        return self._compute_subnorm_log_likelihood(X)

    def _parts(self, summary: Summary | None = None) -> tuple[Chain, Emission]:
        """With the offset in the chain: each row that is in a state has it once."""
        chain, emission = super()._parts(summary)
        times = np.exp(self._offset())
        start, moves = np.asarray(chain.startprob), np.asarray(chain.transmat)
        return chain.evolve(startprob=start * times, transmat=moves * times), emission

    def _do_mstep(self, stats: dict[str, Any]) -> None:
        if "s" in self.params:
            self.startprob_posterior_ = self.startprob_prior_ + stats["start"]
        if "t" in self.params:
            self.transmat_posterior_ = self.transmat_prior_ + stats["trans"]
        self._set_means()

    def _compute_lower_bound(self, log_prob: float) -> float:
        pairs = (self.startprob_posterior_, self.startprob_prior_), (self.transmat_posterior_, self.transmat_prior_)
        return log_prob - sum(Dirichlet(q).divergence(Dirichlet(prior)) for q, prior in pairs)


def mode(old: Array, concentration: Any, counts: Array) -> Array:
    """The mode of probabilities under Dirichlet priors; negative ones are zero. Rows without counts stay as they are,
    and so do zeros."""
    found = np.where(old == 0, 0, np.maximum(np.asarray(concentration) - 1 + counts, 0))
    return shares(found, old)


def shares(counts: Array, old: Array) -> Array:
    """Counts (..., M) as probabilities; rows without counts stay as they were."""
    total = counts.sum(axis=-1, keepdims=True)
    return np.where(total > 0, counts / np.where(total > 0, total, 1), old)


_AbstractHMM, _BaseHMM = AbstractHMM, BaseHMM  # names of before
