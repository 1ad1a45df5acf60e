"""What an estimator shows: attributes that are the parameters of a model, and the model of what they are now."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import estimator_html_repr

from estep.data.columns import frame_like
from estep.emissions import make_emission
from estep.estimators.array_api import AnswersInKind, to_numpy
from estep.estimators.settings import choices, regulated, rounded, same
from estep.execution.base import Execute
from estep.execution.threads import threads
from estep.inference.html import model_html
from estep.interface import Algorithm, Emission, Latent
from estep.model import Model


class Attributes(AnswersInKind, BaseEstimator):  # type: ignore[misc]
    """An estimator whose attributes are the parameters of a :class:`estep.Model`, fitted or set by hand."""

    # Arguments of the constructors; each class writes its own, as scikit-learn wants.
    n_components: int
    covariance_type: str
    reg_covar: float | None
    tol: float
    stop_rule: str
    max_iter: int
    max_time: float | None = None
    checkpoint: Any = None
    every: float = 60.0
    memory: Any = None
    reseeds: int = 3
    n_init: int
    init_params: str
    random_state: Any
    n_threads: int | None
    execute: Any = None
    algorithm: Algorithm | str
    estimate: str
    prior: Any
    fixed: Any = ()
    emission_groups: Any = None
    order_by: str | None = None
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

    def _execute(self) -> Execute:
        if self.execute is None:
            return threads(self.n_threads)
        if not isinstance(self.execute, Execute):
            raise TypeError(f"execute is {self.execute!r}: it is estep.Dask(client), or None for threads")
        return self.execute

    def _resolved(self) -> Emission:
        """The family; that which was proposed for "auto"."""
        return self.emission_ if self._emission() == "auto" else make_emission(self._emission())

    def profile(self) -> Any:
        """A tidy pandas data frame of what each component is like: ``component``, ``column``, ``statistic`` (weight,
        mean, standard deviation, probabilities of symbols by name ...) and ``value``, in the units of the data.

        Raises ValueError for regressions, whose rows depend on covariates, and ModuleNotFoundError without pandas.
        """
        return frame_like(None, self.to_model().profile())

    def plot(self, X: Any = None, what: str | None = None, **options: Any) -> Any:
        """Draws the model, over X where it is given: what suits, or ``what`` of :data:`estep.plots.DISPLAYS`, with its
        ``options``; see :func:`estep.plots.draw`."""
        from estep.plots import draw

        return draw(self, X, what, **options)

    def report(self, X: Any, path: Any = None, **options: Any) -> Any:
        """A page about the fit over X, written to ``path`` ("report.html"); see :func:`estep.report`."""
        from estep.reports import report

        return report(self, X, path, **options)

    def _html_repr(self) -> str:
        """scikit-learn's picture of the estimator, and the parameters that a fit has found."""
        shown: str = estimator_html_repr(self)
        return shown + model_html(self.model_) if isinstance(getattr(self, "model_", None), Model) else shown

    def _check_known(self, known: Mapping[str, Any]) -> None:
        """Raises TypeError for what no question takes."""
        if unknown := sorted(set(known) - {"labels", "given", "sequence"}):
            raise TypeError(f"unexpected argument {unknown[0]!r}: questions take labels, given and sequence")

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

    def _attribute(self, name: str) -> str:
        """The attribute that holds a parameter."""
        return f"{name}_"

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
                        f"arguments before using this estimator, or set {name}."
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
        model = Model(latent.with_values(**self._values(latent)), emission.with_values(**values), *names)
        return model if fitted is None else self._with_zeros_of(fitted, model)

    def _with_zeros_of(self, fitted: Model, model: Model) -> Model:
        """``model`` in which zeros that ``fitted`` has estimated are not structural, where nobody has changed them."""
        masks = {
            name: mask
            for part in (fitted.latent, fitted.emission)
            for name, mask in part.supports().items()
            if same(getattr(self, self._attribute(name)), part.values()[name])
        }
        latent, emission = model.latent.with_supports(masks), model.emission.with_supports(masks)
        return replace(model, latent=latent, emission=emission)

    def _unchanged(self, model: Model) -> bool:
        for part in (model.latent, model.emission):
            for name, value in part.values().items():
                if not same(getattr(self, self._attribute(name)), value):
                    return False
        return True

    def _values(self, part: Latent | Emission) -> dict[str, Any]:
        return {name: to_numpy(getattr(self, self._attribute(name))) for name in part.values()}

    def _set_model(self, model: Model, dtype: type[np.floating[Any]] = np.float64) -> None:
        """Sets the attributes, float32 for float32 data; those of another family go."""
        known: Model | None = getattr(self, "model_", None)
        for name in {} if known is None else known.emission.values().keys() - model.emission.values().keys():
            self.__dict__.pop(self._attribute(name), None)
        self._priors_were = self._prior_settings()
        for part in (model.latent, model.emission):
            for name, value in part.values().items():
                kept = rounded(np.array(value), dtype)
                setattr(self, self._attribute(name), kept)
                if "." in name:  # of a table: a name that can be written, to read
                    setattr(self, f"{name.replace('.', '_').replace('+', '_')}_", kept)
        self.model_ = model

    _priors_were: Any = None  # what the priors of ``model_`` were made of

    def _prior_settings(self) -> Any:
        """What the priors are made of, beside the data."""
        return self.prior

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
        derived = {name for name, parameter in latent.describe().items() if parameter.derived}
        kept = {name: value for name, value in model.latent.values().items() if name not in derived}
        latent = latent.with_values(**kept).start(self.n_components)
        latent = latent.with_supports(model.latent.supports())
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
            if attribute in vars(self) and not (name in known and same(getattr(self, attribute), known[name])):
                argument = f"{attribute}init"
                way = f"give it as {argument}" if argument in self.get_params(deep=False) else "give it in the emission"
                warnings.warn(
                    f"{type(self).__name__}: {attribute} was set by hand, and this fit begins anew: {way}, or set "
                    "warm_start=True to go on from it",
                    UserWarning,
                    stacklevel=3,
                )

    def _as_set(self, part: Any) -> Any:
        """A part with those of its parameters that are set as attributes."""
        names = {name: self._attribute(name) for name in part.values()}
        here = {name: getattr(self, attribute) for name, attribute in names.items() if attribute in vars(self)}
        return part.with_values(**here) if here else part
