"""What all of hmmlearn's models have in common: questions, sampling, and the loop of a fit."""

from __future__ import annotations

import logging
import string
from collections.abc import Callable
from functools import partial
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError
from sklearn.utils import check_array, check_random_state
from sklearn.utils.validation import check_is_fitted

from estep import kernels
from estep.compat.hmmlearn.monitor import ConvergenceMonitor
from estep.data.source import Source
from estep.execution.threads import threads
from estep.inference.passes import Passes
from estep.inference.prepare import prepared_to_fit
from estep.interface import Emission
from estep.kernels.spec import dense
from estep.latents import Chain
from estep.latents.topology import stationary
from estep.model import Model
from estep.priors import Dirichlet
from estep.priors.probabilities import expected_probabilities
from estep.statistics import Array, Statistics

DECODER_ALGORITHMS = frozenset(("viterbi", "map"))
"""The most probable path, and the most probable state of each row."""

IMPLEMENTATIONS = ("log", "scaling")
"""hmmlearn's two ways through a sequence; here one exact way stands for both."""

_log = logging.getLogger("hmmlearn.base")  # where scripts look for it

CHAIN = Chain()
EStep = Callable[[], tuple[dict[str, Any], float]]


class AbstractHMM(BaseEstimator):  # type: ignore[misc]
    """Questions and fit of a model whose parameters are its attributes: those are read anew by every question."""

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

    def _keep(self, arguments: dict[str, Any]) -> None:
        """Stores the arguments of a constructor, ``locals()``, under their names, with a monitor."""
        self.__dict__.update({name: value for name, value in arguments.items() if name not in ("self", "__class__")})
        self.monitor_ = ConvergenceMonitor(self.tol, self.n_iter, self.verbose)

    # Questions

    def score(self, X: Any, lengths: Any = None) -> float:
        """The log-likelihood of X (n, D), all sequences together."""
        logs, ends = self._read(X, lengths)
        return float(self._chain_pass(logs, ends)[0].sum())

    def score_samples(self, X: Any, lengths: Any = None) -> tuple[float, Array]:
        """The log-likelihood of all, and the probabilities (n, K) of the states given the whole sequences.

        They are NaN in a sequence that is impossible under the model.
        """
        logs, ends = self._read(X, lengths)
        posteriors = np.empty(logs.shape)
        loglik, _, _ = self._chain_pass(logs, ends, posteriors)
        posteriors[np.repeat(loglik == -np.inf, np.diff(ends, prepend=0))] = np.nan
        return float(loglik.sum()), posteriors

    def predict_proba(self, X: Any, lengths: Any = None) -> Array:
        """The probabilities (n, K) of the states given the whole sequences."""
        return self.score_samples(X, lengths)[1]

    def predict(self, X: Any, lengths: Any = None) -> Array:
        """The states (n,) that :meth:`decode` finds."""
        return self.decode(X, lengths)[1]

    def decode(self, X: Any, lengths: Any = None, algorithm: str | None = None) -> tuple[float, Array]:
        """States (n,), and with "viterbi" the log-probability of path and rows together.

        With "map" each row has its own most probable state, and the number is the sum of the rows' probabilities of
        these states: hmmlearn's, which is no log-probability. Raises ValueError for another algorithm.
        """
        algorithm = algorithm or self.algorithm
        if algorithm not in DECODER_ALGORITHMS:
            raise ValueError(f"Unknown decoder {algorithm!r}: it is one of {', '.join(sorted(DECODER_ALGORITHMS))}")
        if algorithm == "map":
            posteriors = self.predict_proba(X, lengths)
            return float(posteriors.max(axis=1).sum()), posteriors.argmax(axis=1)
        logs, ends = self._read(X, lengths)
        path, found = np.empty(len(logs), np.int32), np.empty(len(ends))
        spec, rows = dense(logs)
        kernels.active().viterbi(spec, *self._probabilities(), ends, rows, path, found)
        return float(found.sum()), path.astype(np.int64)

    def sample(self, n_samples: int = 1, random_state: Any = None, currstate: int | None = None) -> tuple[Array, Array]:
        """Draws rows (n, D) and their states (n,), one sequence; ``currstate``: the state of the first row.

        The draws are hmmlearn's, number by number. ``random_state``: None is the model's own.
        """
        check_is_fitted(self, "startprob_")
        self._check()
        rng = check_random_state(self.random_state if random_state is None else random_state)
        moves, states, rows = np.cumsum(self.transmat_, axis=1), [], []
        draw = self._drawing(rng)
        state = int((np.cumsum(self.startprob_) > rng.rand()).argmax()) if currstate is None else currstate
        for t in range(n_samples):
            if t:
                state = int((moves[state] > rng.rand()).argmax())
            states.append(state)
            rows.append(draw(state))
        return np.atleast_2d(rows), np.array(states, dtype=int)

    def _drawing(self, rng: np.random.RandomState) -> Callable[[int], Any]:
        """What draws a row of a state."""
        return partial(self._generate_sample_from_state, random_state=rng)

    def _read(self, X: Any, lengths: Any) -> tuple[Array, Array]:
        """Log-densities (n, K) of rows, and the ends of the sequences."""
        check_is_fitted(self, "startprob_")
        self._check()
        X = check_array(X, input_name="X")
        X, ends = self._rows(X, ends_of(lengths, len(X)))
        return np.asarray(self._compute_log_likelihood(X), dtype=float), ends

    def _rows(self, X: Array, ends: Array) -> tuple[Array, Array]:
        """Rows as the model reads them."""
        return X, ends

    def _probabilities(self) -> tuple[Array, Array]:
        """Start (K,) and transition probabilities (K, K)."""
        start, moves = np.asarray(self.startprob_, float), np.asarray(self.transmat_, float)
        return start / start.sum(), np.ascontiguousarray(moves / moves.sum(axis=1, keepdims=True))

    def _chain_pass(
        self, logs: Array, ends: Array, posteriors: Array | None = None, counted: bool = False
    ) -> tuple[Array, Array, Array]:
        """Log-likelihoods (S,), where ``counted`` expected starts (K,) and moves (K, K); fills in posteriors."""
        loglik, K = np.empty(len(ends)), self.n_components
        starts, moves = np.zeros(K), np.zeros((K, K))
        counts = (starts, moves) if counted else (None, None)
        spec, rows = dense(logs)
        kernels.active().chain(spec, *self._probabilities(), ends, rows, None, loglik, *counts, None, posteriors)
        return loglik, starts, moves

    # Fit

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
            e_step = self._by_sequence(X, ends) if self._overrides(*DENSITIES, *SUMS) else self._at_once(X, ends, how)
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
            latent, emission = self._parts()
            model = Model(latent, emission.adapt(source.summary))
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
                logs = np.asarray(self._compute_log_likelihood(rows), dtype=float)
                posteriors = np.empty(logs.shape)
                total += float(self._chain_pass(logs, np.array([len(rows)]), posteriors)[0][0])
                lattice = np.exp(logs) if self.implementation == "scaling" else logs
                self._accumulate_sufficient_statistics(stats, rows, lattice, posteriors, None, None)
            return stats, total

        return e_step

    def _parts(self) -> tuple[Chain, Emission]:
        """What the E-step of a fit runs with."""
        return self._chain(), self._emission()

    def _chain(self) -> Chain:
        """The chain of the attributes, which have been checked."""
        start, moves = self._probabilities()
        return CHAIN.evolve(startprob=start, transmat=moves)

    def _overrides(self, *names: str) -> bool:
        """Whether the class of a user has methods of its own for one of these."""
        kind = type(self)
        own = next(c for c in kind.__mro__ if c.__module__.startswith(__package__))
        return any(getattr(kind, name, None) is not getattr(own, name, None) for name in names)

    # What classes of one's own may override, as in hmmlearn

    def _emission(self) -> Emission:
        """The engine's family with the attributes as parameters."""
        raise NotImplementedError("override _compute_log_likelihood or _compute_likelihood")

    def _gathered(self, emission: Emission, s: Statistics) -> dict[str, Any]:
        """The engine's statistics of a family by hmmlearn's names."""
        raise NotImplementedError

    def _init(self, X: Array, lengths: Any = None) -> None:
        """Starts for the parameters in ``init_params``, and for those that are not set."""
        raise NotImplementedError

    def _check(self) -> None:
        """Raises ValueError for attributes that are no parameters."""
        raise NotImplementedError

    def _compute_lower_bound(self, log_prob: float) -> float:
        raise NotImplementedError

    def _do_mstep(self, stats: dict[str, Any]) -> None:
        raise NotImplementedError

    def _generate_sample_from_state(self, state: int, random_state: Any) -> Any:
        """One row drawn from a state."""
        return ()

    def _get_n_fit_scalars_per_param(self) -> dict[str, int] | None:
        """How many numbers are fitted for each letter of ``params``."""
        return None

    def _compute_log_likelihood(self, X: Array) -> Array:
        """Log-densities (n, K) of rows."""
        if self._overrides("_compute_likelihood"):
            with np.errstate(divide="ignore"):
                return np.log(self._compute_likelihood(X))
        model = Model(self._chain(), self._emission())
        batch = model.source(X).whole()
        logs = model.evaluate(batch).log_densities
        return logs if batch.base is None else logs + batch.base[:, None]

    def _compute_likelihood(self, X: Array) -> Array:
        """Densities (n, K) of rows."""
        return np.exp(self._compute_log_likelihood(X))

    def _initialize_sufficient_statistics(self) -> dict[str, Any]:
        """Statistics of no data; those of the family are added when they come."""
        K = self.n_components
        return {"nobs": 0, "start": np.zeros(K), "trans": np.zeros((K, K))}

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
        _, starts, moves = self._chain_pass(logs, np.array([len(X)]), counted=True)
        stats["nobs"] += 1
        stats["start"] += starts
        stats["trans"] += moves
        if type(self)._emission is not AbstractHMM._emission:
            model = Model(*self._parts())
            batch = model.source(X).whole()
            sums = Statistics.zeros(model.emission.layout)
            model.emission.evaluate(batch).accumulate(np.ascontiguousarray(posteriors), sums)
            for name, value in self._gathered(model.emission, sums).items():
                stats[name] = stats[name] + value if name in stats else value

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


DENSITIES = ("_compute_log_likelihood", "_compute_likelihood")
SUMS = ("_initialize_sufficient_statistics", "_accumulate_sufficient_statistics")


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
        self._set_means()

    def _set_means(self) -> None:
        """The attributes that questions read, from the posterior."""
        start, moves = self.startprob_posterior_, self.transmat_posterior_
        self.startprob_, self.transmat_ = start / start.sum(), moves / moves.sum(axis=1, keepdims=True)

    def _chain_of_posterior(self, offset: Array | float = 0.0) -> Chain:
        """Expected logarithms in place of probabilities; ``offset`` (K,) is added to the log-densities of all rows."""
        start, moves = (
            expected_probabilities(Dirichlet(q)) for q in (self.startprob_posterior_, self.transmat_posterior_)
        )
        times = np.exp(np.broadcast_to(offset, (self.n_components,)))
        return CHAIN.evolve(startprob=start * times, transmat=moves * times)

    def _do_mstep(self, stats: dict[str, Any]) -> None:
        if "s" in self.params:
            self.startprob_posterior_ = self.startprob_prior_ + stats["start"]
        if "t" in self.params:
            self.transmat_posterior_ = self.transmat_prior_ + stats["trans"]
        self._set_means()

    def _compute_lower_bound(self, log_prob: float) -> float:
        pairs = (self.startprob_posterior_, self.startprob_prior_), (self.transmat_posterior_, self.transmat_prior_)
        return log_prob - sum(Dirichlet(q).divergence(Dirichlet(prior)) for q, prior in pairs)


def ends_of(lengths: Any, n: int) -> Array:
    """The ends of the sequences. Raises ValueError where they are not those of n rows."""
    if lengths is None:
        return np.array([n], dtype=np.int64)
    known = np.atleast_1d(lengths)
    ends = np.cumsum(known).astype(np.int64)
    if not len(ends) or ends[-1] != n or (known < 1).any():
        raise ValueError(f"lengths array {lengths} doesn't sum to {n} samples: it says how many rows each sequence has")
    return ends


def mode(old: Array, concentration: Any, counts: Array) -> Array:
    """The mode of probabilities under Dirichlet priors; negative ones are zero. Rows without counts stay as they are,
    and so do zeros."""
    found = np.where(old == 0, 0, np.maximum(np.asarray(concentration) - 1 + counts, 0))
    total = found.sum(axis=-1, keepdims=True)
    return np.where(total > 0, found / np.where(total > 0, total, 1), old)
