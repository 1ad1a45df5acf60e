"""What classes of one's own may override, as in hmmlearn, and what they do here."""

from __future__ import annotations

import logging
from typing import Any, ClassVar

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError

from estep import kernels
from estep.compat.hmmlearn.monitor import ConvergenceMonitor
from estep.data.summary import Summary
from estep.interface import Emission
from estep.kernels.spec import dense
from estep.latents import Chain
from estep.model import Model
from estep.statistics import Array, Statistics

NOT_CALLED = (
    "_do_estep", "_estep_begin", "_fit_log", "_fit_scaling", "_compute_posteriors_log", "_compute_posteriors_scaling",
    "_decode_viterbi", "_decode_map", "_score", "_score_log", "_score_scaling", "_compute_subnorm_likelihood",
    "_accumulate_sufficient_statistics_log", "_accumulate_sufficient_statistics_scaling",
    "_needs_sufficient_statistics_for_mean", "_needs_sufficient_statistics_for_covars",
)  # fmt: skip
"""hmmlearn's steps through a sequence, which the engine makes in one call."""
SUMS = ("_initialize_sufficient_statistics", "_accumulate_sufficient_statistics")
CHAIN = Chain()

_log = logging.getLogger("hmmlearn.base")  # where scripts look for it


class Hooks(BaseEstimator):  # type: ignore[misc]
    """Parameters are attributes, which everything reads anew."""

    n_components: int
    algorithm: str
    random_state: Any
    n_iter: int
    tol: float
    verbose: bool
    params: str
    init_params: str
    implementation: str
    startprob_prior: Any
    transmat_prior: Any
    monitor_: ConvergenceMonitor
    n_features: Any
    startprob_: Array
    transmat_: Array

    _densities: ClassVar[tuple[str, ...]] = ("_compute_log_likelihood", "_compute_likelihood")

    def __init_subclass__(cls, **more: Any) -> None:
        super().__init_subclass__(**more)
        if not cls.__module__.startswith(__package__) and (never := sorted(vars(cls).keys() & set(NOT_CALLED))):
            raise TypeError(
                f"{cls.__name__} overrides {never[0]}, which is never called here: the engine goes through a sequence "
                f"in one call. {', '.join(cls._densities)}, {', '.join(SUMS)} and _do_mstep are called"
            )

    def _keep(self, arguments: dict[str, Any]) -> None:
        """Stores the arguments of a constructor, ``locals()``, under their names, with a monitor."""
        self.__dict__.update({name: value for name, value in arguments.items() if name not in ("self", "__class__")})
        self.monitor_ = ConvergenceMonitor(self.tol, self.n_iter, self.verbose)

    def _overrides(self, *names: str) -> bool:
        """Whether a user has methods of their own for one of these, in a class or set on the object."""
        kind = type(self)
        own = next(c for c in kind.__mro__ if c.__module__.startswith(__package__))
        return any(name in vars(self) or getattr(kind, name, None) is not getattr(own, name, None) for name in names)

    # Parameters

    def _init(self, X: Array, lengths: Any = None) -> None:
        """Starts for the parameters in ``init_params``, and for those that are not set."""
        raise NotImplementedError

    def _check(self) -> None:
        """Raises ValueError for attributes that are no parameters."""
        raise NotImplementedError

    def _get_n_fit_scalars_per_param(self) -> dict[str, int] | None:
        """How many numbers are fitted for each letter of ``params``."""
        return None

    def _needs_init(self, code: str, name: str) -> bool:
        """Whether a parameter is to be started: its letter is in ``init_params``, or it is not set."""
        if code not in self.init_params:
            return not hasattr(self, name)
        if hasattr(self, name):
            _log.warning("%r is set, and will be overwritten, since init_params contains %r", name, code)
        return True

    def _check_and_set_n_features(self, X: Array) -> None:
        if hasattr(self, "n_features") and self.n_features != X.shape[1]:
            raise ValueError(f"Unexpected number of dimensions, got {X.shape[1]} but expected {self.n_features}")
        self.n_features = X.shape[1]

    def _warn_of_few(self, X: Array) -> None:
        per_param = self._get_n_fit_scalars_per_param()
        wanted = 0 if per_param is None else sum(per_param[letter] for letter in self.params)
        if X.size < wanted:
            text = "%d numbers are to be fitted to only %d data points, which will result in a degenerate solution"
            _log.warning(text, wanted, X.size)

    def _check_sum_1(self, name: str) -> None:
        sums = np.asarray(getattr(self, name)).sum(axis=-1)
        if not np.allclose(sums, 1):
            what = "must sum to 1" if sums.ndim == 0 else "rows must sum to 1"
            raise ValueError(f"{name} {what} (got {sums})")

    def _check_shape(self, name: str, shape: tuple[int, ...], words: str) -> None:
        """Makes an attribute an array. Raises ValueError for another shape."""
        if not hasattr(self, name):
            raise NotFittedError(f"{name} is not set: fit this {type(self).__name__}, or set it by hand")
        value = np.asarray(getattr(self, name))
        setattr(self, name, value)
        if value.shape != shape:
            raise ValueError(f"{name} must have shape {words}: it is {shape}, and was {value.shape}")

    # Densities and draws

    def _emission(self) -> Emission:
        """The engine's family with the attributes as parameters."""
        raise NotImplementedError("override _compute_log_likelihood or _compute_likelihood")

    def _compute_log_likelihood(self, X: Array) -> Array:
        """Log-densities (n, K) of rows."""
        if self._overrides("_compute_likelihood"):
            with np.errstate(divide="ignore"):
                return np.log(self._compute_likelihood(X))
        return self._log_densities(X, self._emission())

    def _compute_likelihood(self, X: Array) -> Array:
        """Densities (n, K) of rows."""
        own = self._overrides("_compute_log_likelihood")
        return np.exp(self._compute_log_likelihood(X) if own else self._log_densities(X, self._emission()))

    def _log_densities(self, X: Array, emission: Emission) -> Array:
        """Log-densities (n, K) of rows under a family of the engine."""
        model = Model(self._chain(), emission)
        batch = model.source(X).whole()
        logs = model.evaluate(batch).log_densities
        return logs if batch.base is None else logs + batch.base[:, None]

    def _generate_sample_from_state(self, state: int, random_state: Any) -> Any:
        """One row drawn from a state."""
        return ()

    # A fit

    def _do_mstep(self, stats: dict[str, Any]) -> None:
        raise NotImplementedError

    def _compute_lower_bound(self, log_prob: float) -> float:
        raise NotImplementedError

    def _initialize_sufficient_statistics(self) -> dict[str, Any]:
        """Statistics of no data."""
        K = self.n_components
        stats = {"nobs": 0, "start": np.zeros(K), "trans": np.zeros((K, K))}
        if type(self)._emission is Hooks._emission:
            return stats
        emission = self._fit_emission()
        return {**stats, **self._gathered(emission, Statistics.zeros(emission.layout))}

    def _accumulate_sufficient_statistics(
        self,
        stats: dict[str, Any],
        X: Array,
        lattice: Array,
        posteriors: Array,
        fwdlattice: Array | None,
        bwdlattice: Array | None,
    ) -> None:
        """Adds a sequence: ``lattice`` (n, K) are its densities, as logarithms but with implementation="scaling".

        The lattices of the forward and backward pass are not kept: None.
        """
        with np.errstate(divide="ignore"):
            logs = np.log(lattice) if self.implementation == "scaling" else lattice
        _, starts, moves = self._chain_pass(self._fit_chain(), logs, np.array([len(X)]), counted=True)
        stats["nobs"] += 1
        stats["start"] += starts
        stats["trans"] += moves
        if type(self)._emission is Hooks._emission:
            return
        model = Model(self._fit_chain(), self._fit_emission())
        sums = Statistics.zeros(model.emission.layout)
        model.emission.evaluate(model.source(X).whole()).accumulate(np.ascontiguousarray(posteriors), sums)
        for name, value in self._gathered(model.emission, sums).items():
            stats[name] = stats[name] + value

    # What the engine runs with

    def _chain(self) -> Chain:
        """The chain of the attributes, which have been checked."""
        start, moves = np.array(self.startprob_, float), np.array(self.transmat_, float)
        return CHAIN.evolve(startprob=start, transmat=moves)

    def _fit_chain(self) -> Chain:
        """The chain that E-steps run with."""
        return self._chain()

    def _fit_emission(self) -> Emission:
        """The family that E-steps run with."""
        return self._emission()

    def _lattice(self, X: Array) -> Array:
        """The log-densities (n, K) that E-steps run with."""
        return self._compute_log_likelihood(X)

    def _parts(self, summary: Summary | None = None) -> tuple[Chain, Emission]:
        """Chain and family of an E-step over the data of a summary."""
        emission = self._fit_emission()
        return self._fit_chain(), emission if summary is None else emission.adapt(summary)

    def _gathered(self, emission: Emission, s: Statistics) -> dict[str, Any]:
        """The engine's statistics of a family by hmmlearn's names."""
        raise NotImplementedError

    def _chain_pass(
        self, chain: Chain, logs: Array, ends: Array, posteriors: Array | None = None, counted: bool = False
    ) -> tuple[Array, Array, Array]:
        """Log-likelihoods (S,), where ``counted`` expected starts (K,) and moves (K, K); fills in posteriors."""
        loglik, K = np.empty(len(ends)), self.n_components
        starts, moves = np.zeros(K), np.zeros((K, K))
        counts = (starts, moves) if counted else (None, None)
        spec, rows = dense(logs)
        known = np.asarray(chain.startprob), np.asarray(chain.transmat)
        kernels.active().chain(spec, *known, ends, rows, None, loglik, *counts, None, posteriors)
        return loglik, starts, moves
