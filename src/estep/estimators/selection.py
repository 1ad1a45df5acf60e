"""Which model? One fit for each number of components, family and type of covariance, all over one reading of the data,
compared by a criterion.

Mixtures of different sizes run at the same time, as the columns of one kernel call, each number of components with a
race of its own between its starts.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from estep.data.inputs import as_source
from estep.data.source import Source
from estep.emissions import MixtureOf, Product, make_emission
from estep.emissions._shared.tables import used_columns
from estep.emissions.propose import propose
from estep.estimators.candidates import CRITERIA, Candidate, Failed, Selection
from estep.execution.base import Execute
from estep.fitting.bayes import with_prior
from estep.fitting.folds import folds as folds_of
from estep.fitting.restarts import fit_starts, ways
from estep.fitting.results import Callback, Fit
from estep.fitting.starts.begin import check_components
from estep.fitting.starts.portfolio import Starts
from estep.fitting.stopping import Stop
from estep.fitting.subsample import held
from estep.inference.prepare import prepared_to_fit
from estep.interface import Algorithm, Emission, Latent
from estep.latents import Independent
from estep.model import Model
from estep.parameters.covariance import TYPES
from estep.statistics import weighted
from estep.util.numbers import as_whole
from estep.util.streams import as_seed, child_streams


def select(
    data: Any,
    n_components: Iterable[int],
    emission: Emission | str | Sequence[Emission | str] = "gaussian",
    latent: Latent | None = None,
    *,
    covariance_type: str | Sequence[str] | None = None,
    lengths: Any = None,
    weights: Any = None,
    given: Any = None,
    criterion: str = "bic",
    folds: int = 5,
    n_init: int = 1,
    init_params: str = "portfolio",
    random_state: Any = 0,
    algorithm: Algorithm | str | None = None,
    estimate: str = "ml",
    prior: Any = None,
    stop: Stop | None = None,
    execute: Execute | None = None,
    callbacks: Sequence[Callback] = (),
    checkpoint: str | os.PathLike[str] | None = None,
    every: float = 60.0,
    memory: Any = None,
) -> Selection:
    """Fits a mixture (or with ``latent=Chain()`` an HMM) for each of ``n_components``, and compares them.

    ``emission``: a family, or several, or "auto" for what :func:`estep.propose` takes for a table;
    ``covariance_type``: a type, or several, for those that have one. Each cell of this grid has ``n_init`` starts,
    the same as if it were fitted alone with this ``random_state``.

    ``criterion``: "bic" (Schwarz 1978: parameters log n - 2 log-likelihood), "aic" (Akaike 1974: 2 parameters - 2
    log-likelihood), "aicc" (for few rows; Hurvich & Tsai 1989), "icl" (BIC with components that are known; Biernacki,
    Celeux & Govaert 2000) or "cv": minus twice the log-likelihood of ``folds`` parts of the data, rows or sequences,
    each under a fit that has not seen it (Smyth 2000). Criteria are of the log-likelihood alone.

    ``given``: covariates, for a regression. ``estimate`` and ``prior`` are those of :func:`estep.with_prior`. An
    interrupt returns the candidates that have a fit. ``checkpoint``, ``every`` and ``memory``: see :func:`estep.fit`;
    of several families each has a file of its own, with its number at the end of the name.

    Raises
    ------
    ValueError
        For an unknown criterion, family or type, no number of components or one below 1, invalid data, families whose
        likelihoods cannot be compared, and where all cells fail, with their reasons.
    """
    if criterion not in CRITERIA:
        raise ValueError(f"criterion is {criterion!r}: it is one of {', '.join(CRITERIA)}")
    hidden = Independent() if latent is None else latent
    if not isinstance(hidden, Latent):
        raise TypeError(f"latent is {latent!r}: give a latent part, Chain() for a hidden Markov model")
    if isinstance(n_components, str) or not isinstance(n_components, Iterable):
        raise TypeError(f"n_components is {n_components!r}: give the numbers to compare, such as range(1, 9) or [3]")
    numbers = list(dict.fromkeys(n_components))
    if not numbers:
        raise ValueError("n_components is empty: give the numbers to compare, such as range(1, 9)")
    as_whole("n_init", n_init, 1, 1_000_000)
    as_whole("folds", folds, 2)
    families = _families(
        propose(data) if isinstance(emission, str) and emission == "auto" else emission, covariance_type
    )
    how, rule, run = ways(algorithm, stop, execute)
    seed = as_seed(random_state)
    found: dict[tuple[int, int], Candidate] = {}
    failed: dict[tuple[int, int], str] = {}
    read: dict[str, Source] = {}
    interrupted = False
    for f, (family, _) in enumerate(families):
        if family.rows not in read:
            options = {"given": given, "chain": hidden.sequential, "memory": memory, "execute": execute}
            read[family.rows] = as_source(data, lengths, weights, family.rows, only=used_columns(family), **options)
        raw = read[family.rows]
        grid = _Grid(hidden, family, numbers, n_init, init_params, seed, estimate, prior, how, rule, run)
        path = checkpoint if checkpoint is None or len(families) == 1 else f"{os.fspath(checkpoint)}.{f}"
        try:
            fits, errors = grid.fitted(raw, callbacks, path, every)
        except KeyboardInterrupt:
            if not found:
                raise
            interrupted = True
            break
        failed |= {(f, i): reason for i, reason in errors.items()}
        interrupted = any(fit.stop_reason == "interrupted" for fit in fits.values())
        source = prepared_to_fit(raw, grid.family) if fits else raw
        for i, fit in fits.items():
            cv = np.nan if criterion != "cv" or interrupted else grid.cross_validated(raw, numbers[i], folds)
            found[f, i] = _candidate(numbers[i], fit, source, families[f], run, cv)
        if interrupted:
            break
    if not found:
        reasons = dict.fromkeys(f"{numbers[i]} {families[f][0].name}: {reason}" for (f, i), reason in failed.items())
        raise ValueError("; ".join(reasons))
    losers = [Failed(numbers[i], families[f][0].name, families[f][1], why) for (f, i), why in sorted(failed.items())]
    return Selection(tuple(found[key] for key in sorted(found)), criterion, tuple(losers))


def _families(emission: Any, covariance_type: Any) -> list[tuple[Emission, str | None]]:
    """The families to compare, each with its type of covariances."""
    several = emission if isinstance(emission, Sequence) and not isinstance(emission, str) else [emission]
    types = [covariance_type] if isinstance(covariance_type, str) else list(dict.fromkeys(covariance_type or ()))
    if not several or (covariance_type is not None and not types):
        raise ValueError(f"{'emission' if not several else 'covariance_type'} is empty: give what to compare")
    if unknown := [t for t in types if t not in TYPES]:
        raise ValueError(f"covariance_type is {unknown[0]!r}: it is one of {', '.join(TYPES)}")
    out: list[tuple[Emission, str | None]] = []
    for one in several:
        family = make_emission(one)
        own = covariance_of(family)
        out += [(family, own)] if own is None or not types else [(with_covariance(family, t), t) for t in types]
    if types and all(own is None for _, own in out):
        raise ValueError(f"covariance_type is given: {', '.join(f.name for f, _ in out)} emissions have none")
    _check_comparable([family for family, _ in out])
    return out


def _check_comparable(families: Sequence[Emission]) -> None:
    """Raises ValueError where likelihoods are of different columns, or of counts and of densities."""
    whole = [_measures(family) for family in families]
    for family, measures in zip(families, whole, strict=True):
        if measures.keys() != whole[0].keys():
            odd = next(iter(measures.keys() ^ whole[0].keys()))
            raise ValueError(f"the families read different columns, such as {odd!r}: their likelihoods do not compare")
        for column, counts in measures.items():
            if counts != whole[0][column]:
                of = "" if column == "" else f" of column {column!r}"
                one, other = (family, families[0]) if counts else (families[0], family)
                raise ValueError(
                    f"{one.name} gives probabilities of counts{of}, {other.name} densities: they cannot be compared"
                )


def _measures(family: Emission) -> dict[Any, bool]:
    """Whether the family gives probabilities, of each column of a table, else of the whole row."""
    if isinstance(family, MixtureOf):
        return _measures(family.inner)
    if isinstance(family, Product):
        return {c: next(iter(_measures(f).values())) for columns, f in family.parts for c in columns}
    return {"": family.tabulated or family.whole_numbers}


def covariance_of(family: Emission) -> str | None:
    """The type of a family's covariances; None where it has none."""
    own = getattr(family, "covariance_type", None)
    inner = [getattr(family, f.name) for f in fields(family)]  # type: ignore[arg-type]
    found = [own, *(covariance_of(part) for part in inner if isinstance(part, Emission))]
    return next((t for t in found if t is not None), None)


def with_covariance(family: Emission, covariance_type: str) -> Emission:
    """The family with covariances of that type."""
    if hasattr(family, "covariance_type"):
        return replace(family, covariance_type=covariance_type)  # type: ignore[type-var]
    parts = {f.name: getattr(family, f.name) for f in fields(family)}  # type: ignore[arg-type]
    inner = {name: with_covariance(p, covariance_type) for name, p in parts.items() if isinstance(p, Emission)}
    return replace(family, **inner)  # type: ignore[type-var]


@dataclass
class _Grid:
    """The cells of one family."""

    latent: Latent
    family: Emission
    numbers: list[int]
    n_init: int
    init_params: str
    seed: Any
    estimate: str
    prior: Any
    algorithm: Algorithm
    stop: Stop
    execute: Execute

    def fitted(
        self, raw: Source, callbacks: Sequence[Callback], checkpoint: Any, every: float
    ) -> tuple[dict[int, Fit], dict[int, str]]:
        """The fits by the place of their number, and the reasons of those without. Raises KeyboardInterrupt where there
        are no fits yet."""
        errors: dict[int, str] = {}
        for i, number in enumerate(self.numbers):
            as_whole("n_components", number, 1)
            try:
                check_components(number, raw)
            except ValueError as error:
                errors[i] = str(error)
        todo = [i for i in range(len(self.numbers)) if i not in errors]
        if not todo:
            return {}, errors
        try:
            if raw.n_given:
                self.family = self.family.given_columns(raw.n_given)
            source = prepared_to_fit(raw, self.family)
            fits = self._run(source, [self.numbers[i] for i in todo], callbacks, checkpoint, every)
            return {todo[j]: fit for j, fit in fits.items()}, errors
        except ValueError as error:
            if len(todo) == 1:
                return {}, errors | {todo[0]: str(error)}
        out: dict[int, Fit] = {}
        for i in todo:  # which of them it was
            try:
                out[i] = self._run(prepared_to_fit(raw, self.family), [self.numbers[i]], callbacks, None, every)[0]
            except ValueError as error:
                errors[i] = str(error)
        return out, errors

    def _run(
        self, source: Source, numbers: Sequence[int], callbacks: Sequence[Callback], checkpoint: Any, every: float
    ) -> dict[int, Fit]:
        def finish(begun: Model) -> Model:
            return with_prior(begun, source, self.estimate, self.prior)

        some = held(source)
        groups = [
            Starts(self.latent, self.family, some, number, self.init_params, own, finish)
            for number, own in ((n, child_streams(copy.deepcopy(self.seed), self.n_init)) for n in numbers)
        ]  # the same streams for each number
        rest = (self.algorithm, self.stop, self.execute, callbacks, checkpoint, every, (self.estimate, self.prior))
        return fit_starts(groups, source, *rest)

    def cross_validated(self, raw: Source, number: int, n: int) -> float:
        """Minus twice the log-likelihood of all folds, each under a fit to the others."""
        total = 0.0
        for fold in folds_of(raw, self.family, n, 0):
            fit = self._run(fold.train, [number], (), None, 60.0)[0]
            total += fold.log_likelihood(fit.model, self.execute)
        return -2 * total


def _candidate(
    n_components: int, fit: Fit, source: Source, family: tuple[Emission, str | None], execute: Execute, cv: float
) -> Candidate:
    model, loglik, n = fit.model, fit.log_likelihood, fit.weight
    _, completed = model.decode(source, execute=execute)
    completed = completed if source.empty is None else np.where(source.empty, 0.0, completed)
    icl = model.bic(weighted(np.asarray(completed, dtype=float), source.weights), n)
    criteria = {"aicc": model.aicc(loglik, n), "icl": icl, "cv": cv}
    return Candidate(
        n_components,
        fit,
        model.aic(loglik),
        model.bic(loglik, n),
        **criteria,
        emission=family[0].name,
        covariance_type=family[1],
    )
