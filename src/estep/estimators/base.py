"""What the mixture and chain estimators share: running a fit, and attributes that are the model's parameters."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields, replace
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning

from estep.algorithms import Online, make_algorithm
from estep.algorithms.prelude import whole
from estep.bayes import with_prior
from estep.columns import drop, is_frame
from estep.constraints import constrained
from estep.data import as_source, unpacked
from estep.emissions import make_emission
from estep.emissions.product import used_columns
from estep.execute import Execute, threads
from estep.fitting import Fit, Iteration, fit_races
from estep.frames import propose
from estep.interface import Algorithm, Emission, Latent
from estep.latents import Chain
from estep.model import Model
from estep.numbers import as_numbers
from estep.passes import Passes
from estep.preparing import prepared, prepared_to_fit
from estep.source import Source
from estep.starts import start_model
from estep.statistics import Array
from estep.stopping import Stop
from estep.streams import as_seed, child_streams
from estep.values import Values

MOST_STARTS = 1_000_000


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
    _chain: bool
    """Whether rows come in sequences."""

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
        if hasattr(self.fixed, "__next__") or not isinstance(self.fixed, Iterable):
            raise ValueError(f"fixed is {self.fixed!r}: it is a set of names, or a mapping of names to components")
        by_attribute = {self._argument(name): name for name in ("mix_weights",)}
        given = dict(self.fixed) if isinstance(self.fixed, Mapping) else dict.fromkeys(self.fixed, True)
        return {by_attribute.get(name, name): which for name, which in given.items()}

    def _argument(self, name: str) -> str:
        """What ``fixed`` calls a parameter of the model."""
        return self._attribute(name)[:-1]

    def _check_fixed(self, values: dict[str, Any]) -> None:
        """Raises ValueError for a block that is to stay as it is, and is not given."""
        for name in self._fixed():
            if name in values and values[name] is None:
                raise ValueError(f"fixed names {name!r}, which is not given: give {name}_init, or the emission with it")

    def _prior(self, source: Source) -> Any:
        """The priors that are given."""
        return self.prior

    def _execute(self) -> Execute:
        return threads(self.n_threads)

    # Data

    def _check_settings(self) -> tuple[Stop, Algorithm]:
        """Stop rule and algorithm. Raises ValueError naming an argument of the constructor that is wrong."""
        whole("n_init", self.n_init, 1, MOST_STARTS)
        whole("verbose_interval", self.verbose_interval, 1)
        if not isinstance(self.callbacks, list | tuple) or not all(map(callable, self.callbacks)):
            raise ValueError(f"callbacks is {self.callbacks!r}: it is a list of functions of an Iteration")
        if not isinstance(self.random_state, np.random.RandomState):  # whose numbers would move on
            as_seed(self.random_state)
        for name, value in self.get_params(deep=False).items():
            if name.endswith("_init") and name != "n_init" and value is not None:
                as_numbers(value, name)
        return Stop(self.tol, self.max_iter, self.stop_rule), make_algorithm(self.algorithm)

    @contextmanager
    def _unchanged_if_it_fails(self) -> Iterator[None]:
        """Takes back what is set before a fit has come to its end."""
        names = ("n_features_in_", "feature_names_in_", "emission_")
        before = {name: vars(self)[name] for name in names if name in vars(self)}
        try:
            yield
        except Exception:
            for name in names:
                self.__dict__.pop(name, None)
            self.__dict__.update(before)
            raise

    def _read(
        self,
        X: Any,
        lengths: Any = None,
        weights: Any = None,
        labels: Any = None,
        given: Any = None,
        *,
        old: Model | None,
    ) -> Source:
        """The rows of a fit, those that ``old`` knows by its names."""
        if old is not None:
            return old.read(X, lengths, weights, labels, given)
        X, lengths = unpacked(X, lengths)
        if lengths is not None and not self._chain:
            raise ValueError("a mixture has no sequences: give one array or frame, without lengths")
        self._propose(self._features(X, weights, labels, given))
        family = self._resolved()
        only, chain = used_columns(family), True if self._chain else None  # or weights would be of sequences
        return as_source(X, lengths, weights, family.rows, labels=labels, given=given, only=only, chain=chain)

    def _features(self, X: Any, *named: Any, model: Model | None = None) -> Any:
        """The data without the columns that are none: those named as weights, labels or covariates, now or by the
        model."""
        if not is_frame(X):
            return X
        names = [n for one in named for n in ([one] if isinstance(one, str) else one if isinstance(one, list) else [])]
        aside = {n for n in names if isinstance(n, str)}
        if model is not None:
            P = model.emission.n_covariates
            aside |= {column for _, column in model.roles} | set(model.columns[:P])
            aside -= set(model.columns[P:])
        return drop(X, tuple(aside)) if aside else X

    def _remember_names(self, model: Model) -> None:
        """Sets n_features_in_, and feature_names_in_ where there are names."""
        P = model.emission.n_covariates
        names = model.columns[P:]
        used = model.emission.n_columns if model.emission.rows != "table" else len(model.columns) or 0
        self.n_features_in_ = len(names) or used - P or model.emission.n_columns
        if names and all(names):
            self.feature_names_in_ = np.array(names, dtype=object)
        elif hasattr(self, "feature_names_in_"):
            del self.feature_names_in_

    # Fitting

    def _going_on(self) -> Model | None:
        """The model of the attributes and settings as they are now; None where parameters are missing.

        Raises ValueError naming a setting that does not go with the parameters.
        """
        fitted: Model | None = getattr(self, "model_", None)
        if fitted is None and self._emission() == "auto":
            return None
        latent, emission = self._parts()
        if fitted is not None:
            now, was = choices(emission), choices(fitted.emission)
            for name in sorted(now.keys() & was.keys()):
                if name != "reg_covar" and now[name] != was[name]:
                    raise self._refused(name, now[name], was[name])
        if any(not hasattr(self, self._attribute(name)) for part in (latent, emission) for name in part.values()):
            return None
        model = self.to_model()
        if model.n_components != self.n_components:
            raise self._refused("n_components", self.n_components, model.n_components)
        kept = dict(model.latent.values())
        if isinstance(latent, Chain):
            if latent.begins == "stationary":
                del kept["startprob"]
            latent = latent.with_values(**kept).start(self.n_components)
        else:
            latent = latent.with_values(**kept)
        return replace(model, latent=latent, emission=regulated(model.emission, emission))

    def _refused(self, name: str, now: Any, was: Any) -> ValueError:
        return ValueError(
            f"{name} is {now!r}; the parameters to go on from are of {name} {was!r}: set it back, or fit without "
            "warm_start, from new starts"
        )

    def _warn_of_changes(self) -> None:
        """Warns where a fit that begins anew passes over attributes that were set by hand."""
        fitted: Model | None = getattr(self, "model_", None)
        known = {} if fitted is None else {**fitted.latent.values(), **fitted.emission.values()}
        latent, emission = self._parts()
        for name in {**latent.values(), **emission.values()} | known:
            attribute = self._attribute(name)
            if attribute in vars(self) and not (name in known and _same(getattr(self, attribute), known[name])):
                argument = f"{attribute}init"
                way = f"give it as {argument}" if argument in self.get_params(deep=False) else "give it in the emission"
                warnings.warn(
                    f"{type(self).__name__}: {attribute} was set by hand, and this fit begins anew: {way}, or set "
                    "warm_start=True to go on from it",
                    UserWarning,
                    stacklevel=3,
                )

    def _start_from(self, old: Model, source: Source) -> Model:
        """``old`` with the way of estimating, the priors and the constraints as they are set now."""
        if (
            self.estimate != "ml"
            and old.estimate == self.estimate
            and _alike(self._prior_settings(), self._priors_were)
        ):
            return constrained(old, self._fixed(), self.emission_groups)
        new = self._with_prior(replace(old, prior=None, posterior=None, constraints=None), source)
        if new.posterior is not None:  # of which the parameters follow
            return new
        return replace(new, latent=old.latent, emission=old.emission)

    _priors_were: Any = None  # what the priors of ``model_`` were made of

    def _prior_settings(self) -> Any:
        """What the priors are made of, beside the data."""
        return self.prior

    def _with_prior(self, begun: Model, source: Source) -> Model:
        model = with_prior(begun, source, self.estimate, self._prior(source))
        model = constrained(model, self._fixed(), self.emission_groups)
        return model if model.constraints is None else model.constraints.as_given(begun, model)

    def _run(self, source: Source, old: Model | None, warm: bool) -> Fit:
        """Fits and stores, from new starts or from ``old``; an interrupt stores the best so far and goes on up.

        ``warm``: attributes that are set are starts.
        """
        stop, algorithm = self._check_settings()
        latent, emission = self._parts()
        if warm and old is None:
            latent, emission = (self._as_set(part) for part in (latent, emission))
        if source.n_given:
            emission = emission.given_columns(source.n_given)
        if old is None:
            self._check_fixed({**latent.values(), **emission.values()})
        execute = self._execute()
        streams = child_streams(self.random_state, 1 if old is not None else self.n_init)
        dtype = np.float32 if source.single else np.float64
        source = prepared_to_fit(source, emission if old is None else old.emission)

        def start(i: int) -> Model:
            if old is not None:
                return self._start_from(old, source)
            begun = start_model(latent, emission, source, self.n_components, self.init_params, streams[i])
            return self._with_prior(begun, source)

        callbacks = [*self.callbacks, *([self._print] if self.verbose else [])]
        fit = fit_races(start, [0] * len(streams), source, algorithm, stop, execute, callbacks)[0]
        self._store(fit, dtype)
        self.__dict__.pop("running_", None)
        if fit.stop_reason == "interrupted":
            raise KeyboardInterrupt
        self._warn(fit)
        return fit

    def _as_set(self, part: Any) -> Any:
        """A part with those of its parameters that are set as attributes."""
        names = {name: self._attribute(name) for name in part.values()}
        here = {name: getattr(self, attribute) for name, attribute in names.items() if attribute in vars(self)}
        return part.with_values(**here) if here else part

    def _update(self, source: Source, old: Model | None) -> None:
        """Online EM: one more block of data. The first one, and one after attributes were set, is fitted as a whole."""
        self._check_settings()
        algorithm = self.algorithm if isinstance(self.algorithm, Online) else Online()
        execute, running = self._execute(), getattr(self, "running_", None)
        if old is not None and not self._unchanged(self.model_ if hasattr(self, "model_") else old):
            running = None  # its statistics are those of other parameters
        dtype = np.float32 if source.single else np.float64
        if self._parts()[1].room_for_gaps:  # one layout for all blocks
            source = replace(source, missing=True)
        if running is None:
            self._run(source, old, warm=True)
            model = self.model_
        else:
            assert old is not None
            model = self._start_from(old, source)
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
        """Sets the attributes, float32 for float32 data; those of another family go."""
        known: Model | None = getattr(self, "model_", None)
        for name in {} if known is None else known.emission.values().keys() - model.emission.values().keys():
            self.__dict__.pop(self._attribute(name), None)
        self._priors_were = self._prior_settings()
        for part in (model.latent, model.emission):
            for name, value in part.values().items():
                kept = _rounded(np.array(value), dtype)
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
        if fitted is not None and fitted.posterior is not None:
            warnings.warn(
                f"{type(self).__name__}: attributes were set by hand, which the posterior of the fit is not of: "
                "densities are those of the parameters themselves",
                UserWarning,
                stacklevel=3,
            )
        if fitted is not None and all(
            np.shape(values[n]) == np.asarray(v).shape for n, v in fitted.emission.values().items()
        ):
            emission = fitted.emission  # with its origin and floor
        names = ((), (), ()) if fitted is None else (fitted.columns, fitted.symbols, fitted.roles)
        return Model(latent.with_values(**self._values(latent)), emission.with_values(**values), *names)

    def _unchanged(self, model: Model) -> bool:
        for part in (model.latent, model.emission):
            for name, value in part.values().items():
                if not _same(getattr(self, self._attribute(name)), value):
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
                f"{name}: the likelihood fell at iteration {fit.n_iter + 1}; the model before is kept",
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


def _same(attribute: Any, value: Any) -> bool:
    """Whether an attribute still is the parameter, in its precision."""
    now = np.asarray(attribute)
    return np.array_equal(now, np.asarray(value).astype(now.dtype if now.dtype.kind == "f" else np.float64))


def _rounded(value: Array, dtype: type[np.floating[Any]]) -> Array:
    """A parameter in that precision, where it can hold it."""
    with np.errstate(over="ignore", under="ignore"):
        rounded = value.astype(dtype)
    lost = (np.abs(rounded) < np.finfo(dtype).tiny) & (value != 0)
    return value if lost.any() or not np.isfinite(rounded).all() else rounded


def regulated(family: Emission, wanted: Emission) -> Emission:
    """The same with ``reg_covar`` as ``wanted`` has it, and inner families too."""
    changes: dict[str, Any] = {}
    for f in fields(family):  # type: ignore[arg-type]
        value, other = getattr(family, f.name), getattr(wanted, f.name)
        if f.name == "reg_covar":
            changes[f.name] = other
        elif isinstance(value, Emission):
            changes[f.name] = regulated(value, other)
        elif f.name == "parts":
            pairs = zip(value, other, strict=True)
            changes[f.name] = tuple((columns, regulated(one, two)) for (columns, one), (_, two) in pairs)
    return family.evolve(**changes) if changes else family


def _alike(one: Any, other: Any) -> bool:
    """Whether settings are the same."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(_alike(one[name], other[name]) for name in one)
    if isinstance(one, Values) and isinstance(other, Values):
        return type(one) is type(other) and one.to_dict() == other.to_dict()
    if isinstance(one, list | tuple | np.ndarray) or isinstance(other, list | tuple | np.ndarray):
        return np.array_equal(np.asarray(one), np.asarray(other))
    return one is other or bool(one == other)


DERIVED = ("gaps", "n_counts", "n_symbols", "n_given")
"""Numbers in families that follow from data and parameters; so do all arrays."""


def choices(family: Emission) -> dict[str, Any]:
    """What was chosen of a family, by name: its own name, and fields such as the covariance type."""
    out: dict[str, Any] = {"emission": family.name}
    for f in fields(family):  # type: ignore[arg-type]
        value = getattr(family, f.name)
        if f.name in family.parameters or f.name in DERIVED:
            continue
        if isinstance(value, Emission):
            out |= {(f.name if n == "emission" else n): v for n, v in choices(value).items()}
        elif f.name == "parts":
            out |= {f"{n} of {columns}": v for columns, part in value for n, v in choices(part).items()}
        elif isinstance(value, str | int | float):
            out[f.name] = value
    return out


def as_dtype(values: Array, source: Source) -> Array:
    """float32 results for float32 data, where these hold them."""
    if not source.single:
        return values
    with np.errstate(over="ignore"):
        rounded = values.astype(np.float32)
    return rounded if np.array_equal(np.isfinite(rounded), np.isfinite(values)) else values
