"""What the mixture and chain estimators share: reading data, and running a fit."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from estep.algorithms import Online, make_algorithm
from estep.data.columns import drop, is_frame
from estep.data.forms import unpacked
from estep.data.inputs import as_source
from estep.data.opened import blocks_of
from estep.data.source import Source
from estep.emissions._shared.tables import used_columns
from estep.emissions.propose import propose
from estep.estimators.settings import MOST_STARTS, alike
from estep.estimators.sureness import Sureness
from estep.fitting.alignment import check_order, ordered
from estep.fitting.bayes import with_prior
from estep.fitting.constraints import constrained
from estep.fitting.restarts import fit_prepared, fit_starts
from estep.fitting.results import Fit, Iteration
from estep.fitting.starts.portfolio import Starts
from estep.fitting.stopping import Stop
from estep.fitting.subsample import held
from estep.inference.passes import Passes
from estep.inference.prepare import prepared, prepared_to_fit
from estep.inference.reading import read
from estep.interface import Algorithm
from estep.model import Model
from estep.tables.blocks import Blocks
from estep.util.numbers import as_numbers, as_whole
from estep.util.streams import as_seed, child_streams

LOG = logging.getLogger("estep")


class ModelEstimator(Sureness):
    """A scikit-learn estimator whose fitted attributes are the parameters of a :class:`estep.Model`."""

    def _propose(self, X: Any) -> None:
        """For "auto": families for the columns of X, shown, and kept in ``emission_``."""
        if self._emission() == "auto":
            self.emission_ = propose(X)
            text = f"{type(self).__name__} proposes a {self.emission_.preparation}"
            LOG.warning(text)  # a choice that is made for the user: it shows where nobody listens

    def _check_fixed(self, values: dict[str, Any]) -> None:
        """Raises ValueError for a block that is to stay as it is, and is not given."""
        for name in self._fixed():
            if name in values and values[name] is None:
                raise ValueError(f"fixed names {name!r}, which is not given: give {name}_init, or the emission with it")

    def _prior(self, source: Source) -> Any:
        """The priors that are given."""
        return self.prior

    # Data

    def _check_settings(self) -> tuple[Stop, Algorithm]:
        """Stop rule and algorithm. Raises ValueError naming an argument of the constructor that is wrong."""
        as_whole("n_init", self.n_init, 1, MOST_STARTS)
        as_whole("verbose_interval", self.verbose_interval, 1)
        if not isinstance(self.callbacks, list | tuple) or not all(map(callable, self.callbacks)):
            raise ValueError(f"callbacks is {self.callbacks!r}: it is a list of functions of an Iteration")
        if not isinstance(self.random_state, np.random.RandomState):  # whose numbers would move on
            as_seed(self.random_state)
        for name, value in vars(self).items():
            if name.endswith("_init") and name != "n_init" and value is not None:
                as_numbers(value, name)
        if self.order_by is not None:
            check_order(self.order_by)
            if self._fixed() or self.emission_groups is not None or self.estimate == "vb":
                raise ValueError(
                    "order_by does not go with fixed, emission_groups and estimate='vb', which hold components in place"
                )
        return Stop(self.tol, self.max_iter, self.stop_rule, self.reseeds, self.max_time), make_algorithm(
            self.algorithm
        )

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
        sequence: str | None = None,
        *,
        old: Model | None,
    ) -> Source:
        """The rows of a fit, those that ``old`` knows by its names."""
        execute = self.execute
        X = blocks_of(X, execute=execute) or X
        if old is not None:
            return read(old, X, lengths, weights, labels, given, sequence, self.memory, execute)
        if not isinstance(X, Blocks):
            X, lengths = unpacked(X, lengths)
        if lengths is not None and not self._chain:
            raise ValueError("a mixture has no sequences: give one array or frame, without lengths")
        self._propose(self._features(X, weights, labels, given, sequence))
        family = self._resolved()
        only, chain = used_columns(family), True if self._chain else None  # or weights would be of sequences
        return as_source(
            X,
            lengths,
            weights,
            family.rows,
            labels=labels,
            given=given,
            only=only,
            chain=chain,
            sequence=sequence,
            memory=self.memory,
            execute=execute,
        )

    def _features(self, X: Any, *named: Any, model: Model | None = None) -> Any:
        """The data without the columns that are none: those named as weights, labels or covariates, now or by the
        model."""
        if isinstance(X, Blocks):
            X = X.head(10_000)
        if not is_frame(X):
            return X
        names = [n for one in named for n in ([one] if isinstance(one, str) else one if isinstance(one, list) else [])]
        aside = {n for n in names if isinstance(n, str)}
        if model is not None:
            P = model.emission.n_covariates
            aside |= {column for _, column in model.roles} | set(model.columns[:P])
            aside -= set(model.columns[P:])
        return drop(X, tuple(aside)) if aside else X

    # Fitting

    def _start_from(self, old: Model, source: Source) -> Model:
        """``old`` with the way of estimating, the priors and the constraints as they are set now."""
        if self.estimate != "ml" and old.estimate == self.estimate and alike(self._prior_settings(), self._priors_were):
            return constrained(old, self._fixed(), self.emission_groups)
        new = self._with_prior(replace(old, prior=None, posterior=None, constraints=None), source)
        if new.posterior is not None:  # of which the parameters follow
            return new
        return replace(new, latent=old.latent, emission=old.emission)

    def _with_prior(self, begun: Model, source: Source) -> Model:
        model = with_prior(begun, source, self.estimate, self._prior(source))
        model = constrained(model, self._fixed(), self.emission_groups)
        return model.held_as(begun)

    def _run(self, source: Source, old: Model | None, warm: bool, stop: Stop, algorithm: Algorithm) -> Fit:
        """Fits and stores, from new starts or from ``old``; an interrupt stores the best so far and goes on up.

        ``warm``: attributes that are set are starts.
        """
        latent, emission = self._parts()
        if warm and old is None:
            latent, emission = (self._as_set(part) for part in (latent, emission))
        if source.n_given:
            emission = emission.given_columns(source.n_given)
        if old is None:
            self._check_fixed({**latent.values(), **emission.values()})
        if self.order_by is not None and source.evidence is not None:
            raise ValueError("order_by does not go with labels, which name components by number")
        execute = self._execute()
        streams = child_streams(self.random_state, self.n_init) if old is None else []
        dtype = np.float32 if source.single else np.float64
        source = prepared_to_fit(source, emission if old is None else old.emission)

        callbacks = [*self.callbacks, *([self._print] if self.verbose else [])]
        file = self.checkpoint, self.every
        if old is not None:
            fit = fit_prepared(self._start_from(old, source), source, algorithm, stop, execute, callbacks, *file)
        else:
            finish = partial(self._with_prior, source=source)
            starts = Starts(latent, emission, held(source), self.n_components, self.init_params, streams, finish)
            settings = self.estimate, self._prior_settings(), self._fixed(), self.emission_groups
            fit = fit_starts([starts], source, algorithm, stop, execute, callbacks, *file, settings)[0]
        self._store(fit, dtype)
        self.__dict__.pop("running_", None)
        if fit.stop_reason == "interrupted":
            raise KeyboardInterrupt
        self._warn(fit)
        return fit

    def _update(self, source: Source, old: Model | None) -> None:
        """Online EM: one more block of data. The first one, and one after attributes were set, is fitted as a whole."""
        settings = self._check_settings()
        if self.checkpoint is not None:
            raise ValueError("checkpoint is for fit: of partial_fit, estep.save keeps what it goes on from")
        algorithm = self.algorithm if isinstance(self.algorithm, Online) else Online()
        execute, running = self._execute(), getattr(self, "running_", None)
        if old is not None and not self._unchanged(self.model_ if hasattr(self, "model_") else old):
            running = None  # its statistics are those of other parameters
        dtype = np.float32 if source.single else np.float64
        if self._parts()[1].counts_missing:  # one layout for all blocks
            source = replace(source, missing=True)
        if running is None:
            self._run(source, old, True, *settings)
            model = self.model_
        else:
            assert old is not None
            model = self._start_from(old, source)
        source = prepared(source, model.emission)
        with execute.running():
            block = Passes(source, model.leaf_rows(), execute).expect(model)
        running = algorithm.update(running, block)
        self._set_model(model.maximize(running.statistics(running.weight))[0], dtype)
        self.running_ = running

    def _print(self, it: Iteration) -> None:
        """One line every ``verbose_interval`` iterations."""
        if it.iteration % self.verbose_interval == 0:
            start = f"start {it.restart + 1}/{it.n_restarts}  iteration {it.iteration}"
            print(f"{start}  bound {it.bound:.6f}" + (f"  gain {it.gain:.3g}" if it.iteration else ""))

    def _store(self, fit: Fit, dtype: type[np.floating[Any]]) -> None:
        if self.order_by is not None:
            fit = replace(fit, model=self._in_order(fit.model, self.order_by))
        self._set_model(fit.model, dtype)
        self.fit_ = fit
        self.n_iter_ = fit.n_iter
        self.converged_ = fit.converged
        self.stop_reason_ = fit.stop_reason
        unit = self._bound_unit(fit)
        self.lower_bound_ = fit.bound / unit
        self.lower_bounds_ = [b / unit for b in fit.trace.bounds]

    def _in_order(self, model: Model, by: str) -> Model:
        try:
            return ordered(model, by)
        except ValueError as error:  # the fit is not lost for it
            warnings.warn(f"{type(self).__name__}: order_by is left aside: {error}", UserWarning, stacklevel=5)
            return model

    def _bound_unit(self, fit: Fit) -> float:
        """What the total bound is divided by, so that it is in the units of ``score``."""
        raise NotImplementedError

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
                "Best performing initialization did not converge. Try different init parameters, or increase max_iter, "
                f"tol, or check for degenerate data. {name} made {fit.n_iter} iterations.",
                ConvergenceWarning,
                stacklevel=4,
            )
        if fit.notes:
            way_out = "The component has shrunk onto few rows: lower n_components, or give reg_covar or a prior"
            if set(fit.collapsed) <= set(fit.one_value):
                clusters = (f"component {k} is a cluster of {n} rows of one value" for k, n in fit.one_value.items())
                way_out = "; ".join(clusters) or "None of them is collapsed now"
            warnings.warn(
                f"{name}: {'; '.join(fit.notes)}. {way_out}",
                ConvergenceWarning,
                stacklevel=4,
            )
