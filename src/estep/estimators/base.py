"""What the mixture and chain estimators share: running a fit, and attributes that are the model's parameters."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state

from estep.algorithms import Online, make_algorithm
from estep.bayes import with_prior
from estep.constraints import constrained
from estep.data import beside
from estep.emissions import make_emission
from estep.execute import Execute, threads
from estep.fitting import Fit, Iteration, fit_races
from estep.frames import propose
from estep.interface import Algorithm, Emission, Latent
from estep.model import Model
from estep.passes import Passes
from estep.preparing import prepared, prepared_to_fit
from estep.source import Source
from estep.starts import start_model
from estep.statistics import Array
from estep.stopping import Stop


def child_streams(random_state: Any, n: int) -> list[np.random.Generator]:
    """One independent stream for each restart, from anything scikit-learn takes as a random_state."""
    if isinstance(random_state, np.random.Generator):
        return random_state.spawn(n)
    if random_state is None or isinstance(random_state, int | np.integer):
        sequence = np.random.SeedSequence(None if random_state is None else int(random_state))
    else:
        state = check_random_state(random_state)
        sequence = np.random.SeedSequence(as_seed(state))
    return [np.random.default_rng(child) for child in sequence.spawn(n)]


class ModelEstimator(BaseEstimator):  # type: ignore[misc]
    """A scikit-learn estimator whose fitted attributes are the parameters of a :class:`estep.Model`."""

    # Arguments of the constructors; each class writes its own, as scikit-learn wants.
    n_components: int
    covariance_type: str
    reg_covar: float | None
    tol: float
    stop_rule: str
    max_iter: int
    n_init: int
    init_params: str
    random_state: Any
    n_threads: int | None
    algorithm: Algorithm | str
    estimate: str
    prior: Any
    fixed: Any = ()
    emission_groups: Any = None
    warm_start: bool
    verbose: int
    verbose_interval: int = 10
    callbacks: Sequence[Any]

    def _keep(self, arguments: dict[str, Any]) -> None:
        """Stores the arguments of a constructor, ``locals()``, unchanged and under their names."""
        self.__dict__.update({name: value for name, value in arguments.items() if name not in ("self", "__class__")})

    def _parts(self) -> tuple[Latent, Emission]:
        """Latent and emission with the given starts, without other parameters."""
        raise NotImplementedError

    def _emission(self) -> Emission | str:
        raise NotImplementedError

    def _propose(self, X: Any) -> None:
        """For "auto": families for the columns of X, shown, and kept in ``emission_``."""
        if self._emission() == "auto":
            self.emission_ = propose(X)
            print(f"{type(self).__name__} proposes a {self.emission_.form}")

    def _resolved(self) -> Emission:
        """The family; that which was proposed for "auto"."""
        return self.emission_ if self._emission() == "auto" else make_emission(self._emission())

    def _fixed(self) -> Any:
        """What is fixed, by the names that the model has for what the attributes show."""
        if self.fixed is None or isinstance(self.fixed, str):
            return self.fixed or ()
        by_attribute = {self._argument(name): name for name in ("mix_weights",)}
        given = dict(self.fixed) if isinstance(self.fixed, Mapping) else dict.fromkeys(self.fixed, True)
        return {by_attribute.get(name, name): which for name, which in given.items()}

    def _argument(self, name: str) -> str:
        """What ``fixed`` calls a parameter of the model."""
        return self._attribute(name)[:-1]

    def _check_fixed(self, values: dict[str, Any]) -> None:
        """Raises ValueError for a block that is to stay as it is, and is not given."""
        for name in () if self.warm_start and hasattr(self, "model_") else self._fixed():
            if name in values and values[name] is None:
                raise ValueError(f"fixed names {name!r}, which is not given: give {name}_init, or the emission with it")

    _n_given = 0  # covariates of the data that are being fitted

    def _beside(self, source: Source, given: Any) -> Source:
        """The rows with their covariates."""
        if given is None:
            if self._n_given:
                self._n_given = 0
            return source
        both = beside(source, given)
        self._n_given = both.X.shape[1] - source.X.shape[1]
        return both

    def _prior(self, source: Source) -> Any:
        """The priors that are given."""
        return self.prior

    def _execute(self) -> Execute:
        return threads(self.n_threads)

    def _run(self, source: Source) -> Fit:
        """Fits and stores; an interrupt stores the best so far and goes on up."""
        if not isinstance(self.n_init, int | np.integer) or self.n_init < 1:
            raise ValueError(f"n_init is {self.n_init!r}: it is a whole number from 1")
        latent, emission = self._parts()
        if self._n_given:
            emission = emission.given_columns(self._n_given)
        self._check_fixed({**latent.values(), **emission.values()})
        stop = Stop(self.tol, self.max_iter, self.stop_rule)
        algorithm, execute = make_algorithm(self.algorithm), self._execute()
        old = self.model_ if self.warm_start and hasattr(self, "model_") else None
        streams = child_streams(self.random_state, 1 if old is not None else self.n_init)
        dtype = np.float32 if source.X.dtype == np.float32 else np.float64
        source = prepared_to_fit(source, emission if old is None else old.emission)

        def start(i: int) -> Model:
            if old is None:
                begun = start_model(latent, emission, source, self.n_components, self.init_params, streams[i])
            elif old.estimate == self.estimate:
                return constrained(old, self._fixed(), self.emission_groups)
            else:
                begun = replace(old, prior=None, posterior=None, constraints=None)
            model = with_prior(begun, source, self.estimate, self._prior(source))
            model = constrained(model, self._fixed(), self.emission_groups)
            return model if model.constraints is None else model.constraints.as_given(begun, model)

        callbacks = [*self.callbacks, *([self._print] if self.verbose else [])]
        fit = fit_races(start, [0] * len(streams), source, algorithm, stop, execute, callbacks)[0]
        self._store(fit, dtype)
        self.__dict__.pop("running_", None)
        if fit.stop_reason == "interrupted":
            raise KeyboardInterrupt
        self._warn(fit)
        return fit

    def _update(self, source: Source) -> None:
        """Online EM: one more block of data. The first one is fitted as a whole."""
        algorithm = self.algorithm if isinstance(self.algorithm, Online) else Online()
        execute, running = self._execute(), getattr(self, "running_", None)
        dtype = np.float32 if source.X.dtype == np.float32 else np.float64
        if self._parts()[1].room_for_gaps:  # one layout for all blocks
            source = replace(source, missing=True)
        if running is None:
            self._run(source)
        model = self.model_
        source = prepared(source, model.emission)
        with execute.running():
            block = Passes(source, model.leaf_rows(), model.n_components, execute).expect(model)
        running = algorithm.update(running, block)
        self._set_model(model.maximize(running.statistics(running.weight))[0], dtype)
        self.running_ = running

    def _print(self, it: Iteration) -> None:
        """One line every ``verbose_interval`` iterations."""
        if it.iteration % self.verbose_interval == 0:
            start = f"start {it.restart + 1}/{it.n_restarts}  iteration {it.iteration}"
            print(f"{start}  bound {it.bound:.6f}  gain {it.gain:.3g}")

    def _store(self, fit: Fit, dtype: type[np.floating[Any]]) -> None:
        self._set_model(fit.model, dtype)
        self.fit_ = fit
        self.n_iter_ = fit.n_iter
        self.converged_ = fit.converged
        self.stop_reason_ = fit.stop_reason
        unit = self._bound_unit(fit)
        self.lower_bound_ = fit.bound / unit
        self.lower_bounds_ = [b / unit for b in fit.trace.bounds]

    def _bound_unit(self, fit: Fit) -> float:
        """What the total bound is divided by, so that it is in the units of ``score``."""
        raise NotImplementedError

    def _set_model(self, model: Model, dtype: type[np.floating[Any]] = np.float64) -> None:
        """Sets the attributes, float32 for float32 data."""
        for part in (model.latent, model.emission):
            for name, value in part.values().items():
                with np.errstate(over="ignore"):
                    rounded = np.array(value, dtype=dtype)
                kept = rounded if np.isfinite(rounded).all() else np.array(value)
                setattr(self, self._attribute(name), kept)
                if "." in name:  # of a table: a name that can be written, to read
                    setattr(self, f"{name.replace('.', '_').replace('+', '_')}_", kept)
        self.model_ = model

    def to_model(self) -> Model:
        """The functional :class:`estep.Model` of the attributes as they are now, fitted or set by hand.

        Raises NotFittedError where a parameter is missing, ValueError where one has a wrong shape or value.
        """
        from sklearn.exceptions import NotFittedError

        latent, emission = self._parts()
        for part in (latent, emission):
            for name in map(self._attribute, part.values()):
                if not hasattr(self, name):
                    raise NotFittedError(
                        f"This {type(self).__name__} instance is not fitted yet. Call 'fit' with appropriate "
                        f"arguments, or set {name}, before using this estimator."
                    )
        fitted: Model | None = getattr(self, "model_", None)
        if fitted is not None and self._unchanged(fitted):
            return fitted
        values = self._values(emission)
        if fitted is not None and all(
            np.shape(values[n]) == np.asarray(v).shape for n, v in fitted.emission.values().items()
        ):
            emission = fitted.emission  # with its origin and floor
        columns, symbols = ((), ()) if fitted is None else (fitted.columns, fitted.symbols)
        return Model(latent.with_values(**self._values(latent)), emission.with_values(**values), columns, symbols)

    def _unchanged(self, model: Model) -> bool:
        for part in (model.latent, model.emission):
            for name, value in part.values().items():
                now = np.asarray(getattr(self, self._attribute(name)))
                if not np.array_equal(now, np.asarray(value).astype(now.dtype)):
                    return False
        return True

    def _values(self, part: Latent | Emission) -> dict[str, Any]:
        return {name: getattr(self, self._attribute(name)) for name in part.values()}

    def _attribute(self, name: str) -> str:
        """The attribute that holds a parameter."""
        return f"{name}_"

    def _warn(self, fit: Fit) -> None:
        name = type(self).__name__
        if fit.stop_reason == "bound fell":
            warnings.warn(
                f"{name}: the likelihood fell at iteration {fit.n_iter + 1}; the model before is kept. "
                "reg_covar adds to the covariances what the likelihood does not ask for",
                ConvergenceWarning,
                stacklevel=4,
            )
        elif fit.stop_reason == "max_iter" and self.max_iter > 0:
            warnings.warn(
                f"{name} did not converge in {fit.n_iter} iterations: raise max_iter, or tol",
                ConvergenceWarning,
                stacklevel=4,
            )
        if fit.notes:
            way_out = "The component has shrunk onto few rows: lower n_components, or give reg_covar or a prior"
            warnings.warn(
                f"{name}: {'; '.join(fit.notes)}. {way_out if fit.collapsed else 'None of them is collapsed now'}",
                ConvergenceWarning,
                stacklevel=4,
            )


def as_dtype(values: Array, like: Array) -> Array:
    """float32 results for float32 data."""
    return values.astype(np.float32) if like.dtype == np.float32 else values


def as_seed(random_state: Any) -> Any:
    """A seed for NumPy's generators from scikit-learn's integers and RandomStates."""
    if isinstance(random_state, np.random.RandomState):
        return [int(v) for v in random_state.randint(0, 2**31 - 1, size=4)]
    return random_state
