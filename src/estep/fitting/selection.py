"""How many components? One fit for each number, all over one reading of the data, compared by a criterion.

Mixtures of different sizes run at the same time, as the columns of one kernel call, each number of components with a
race of its own between its starts.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from estep.algorithms.phases import whole
from estep.data.inputs import as_source
from estep.emissions import make_emission
from estep.emissions._shared.tables import used_columns
from estep.execution.base import Execute
from estep.fitting.bayes import with_prior
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
from estep.util.streams import as_seed, child_streams

CRITERIA = ("bic", "aic")


@dataclass(frozen=True)
class Candidate:
    """The best fit with ``n_components``, and its criteria; lower is better."""

    n_components: int
    fit: Fit
    aic: float
    bic: float


@dataclass(frozen=True)
class Selection:
    """The candidates in the order in which they were asked for."""

    candidates: tuple[Candidate, ...]
    criterion: str

    @property
    def best(self) -> Candidate:
        """The candidate with the lowest criterion, of equal ones the smallest."""
        return min(self.candidates, key=lambda c: (getattr(c, self.criterion), c.n_components))


def select(
    data: Any,
    n_components: Iterable[int],
    emission: Emission | str = "gaussian",
    latent: Latent | None = None,
    *,
    lengths: Any = None,
    weights: Any = None,
    given: Any = None,
    criterion: str = "bic",
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

    ``criterion``: "bic" (Schwarz 1978: parameters log n - 2 log-likelihood) or "aic" (Akaike 1974: 2 parameters - 2
    log-likelihood). Each number has ``n_init`` starts, the same as if it were fitted alone with this ``random_state``.
    ``given``: covariates, for a regression. ``estimate`` and ``prior`` are those of :func:`estep.with_prior`; criteria
    are of the log-likelihood alone. An interrupt returns the candidates that have a fit. ``checkpoint``,
    ``every`` and ``memory``: see :func:`estep.fit`.

    Raises
    ------
    ValueError
        For an unknown criterion or family, no number of components, one that is not from 1 to the number of rows, or
        invalid data.
    """
    if criterion not in CRITERIA:
        raise ValueError(f"criterion is {criterion!r}: it is one of {', '.join(CRITERIA)}")
    family = make_emission(emission)
    hidden = Independent() if latent is None else latent
    if not isinstance(hidden, Latent):
        raise TypeError(f"latent is {latent!r}: give a latent part, Chain() for a hidden Markov model")
    if isinstance(n_components, str) or not isinstance(n_components, Iterable):
        raise TypeError(f"n_components is {n_components!r}: give the numbers to compare, such as range(1, 9) or [3]")
    numbers = list(dict.fromkeys(n_components))
    if not numbers:
        raise ValueError("n_components is empty: give the numbers to compare, such as range(1, 9)")
    whole("n_init", n_init, 1, 1_000_000)
    chain, only = hidden.sequential, used_columns(family)
    source = as_source(
        data, lengths, weights, family.rows, only=only, given=given, chain=chain, memory=memory, execute=execute
    )
    if source.n_given:
        family = family.given_columns(source.n_given)
    for number in numbers:
        check_components(number, source)
    source = prepared_to_fit(source, family)
    how, rule, run = ways(algorithm, stop, execute)
    seed = as_seed(random_state)
    streams = [child_streams(copy.deepcopy(seed), n_init) for _ in numbers]  # the same for each number

    def finish(begun: Model) -> Model:
        return with_prior(begun, source, estimate, prior)

    some = held(source)
    groups = [
        Starts(hidden, family, some, number, init_params, own, finish)
        for number, own in zip(numbers, streams, strict=True)
    ]
    fits = fit_starts(groups, source, how, rule, run, callbacks, checkpoint, every, (estimate, prior))
    return Selection(tuple(_candidate(numbers[i], f) for i, f in fits.items()), criterion)


def _candidate(n_components: int, fit: Fit) -> Candidate:
    return Candidate(
        n_components, fit, fit.model.aic(fit.log_likelihood), fit.model.bic(fit.log_likelihood, fit.weight)
    )
