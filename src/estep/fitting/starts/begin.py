"""Models to start fits from: one M-step from assignments of the rows, and what the user gives."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from estep.algorithms import EM, Hard
from estep.data.source import Source
from estep.execution.serial import Serial
from estep.fitting.loop import fit_together
from estep.fitting.starts import assign
from estep.fitting.starts.align import aligned, partly_given
from estep.fitting.stopping import Stop
from estep.fitting.subsample import held, subsample, weights_of
from estep.inference.prepare import prepared_to_fit
from estep.interface import Emission, Latent
from estep.model import Model
from estep.parameters.values import Values
from estep.statistics import Array, Statistics
from estep.util.numbers import as_whole
from estep.util.streams import as_seed

METHODS = (
    "kmeans", "k-means++", "random_from_data", "random", "projection", "ward", "principal", "short", "split", "cuts",
    "spread", "segmental",
)  # fmt: skip
ROUNDS = 10  # of Viterbi training in a segmental start, at most
RUNS, STEPS = 10, 10  # of "short": runs of EM, and the M-steps of each at most
CHUNK = 8192
BLEND = 0.01  # of the parameters of the whole data in a start, where these keep what is rare possible


def start_model(
    latent: Latent,
    emission: Emission,
    source: Source,
    n_components: int,
    method: str = "kmeans",
    rng: np.random.Generator | None = None,
) -> Model:
    """A model to start a fit from. Parameters that ``latent`` and ``emission`` have already are kept.

    ``method``: "kmeans" (greedy k-means++ seeds, then k-means), "k-means++" (the seeds alone), "random_from_data"
    (rows as seeds), "random" (random responsibilities, what symbols always use), "projection" (slices along a column
    or another direction taken at random), "ward" (agglomeration of at most 2000 rows: Ward 1963), "principal" (the
    same of scaled principal components: Scrucca & Raftery 2015), "short" (the best of ten short runs of EM from random
    rows and slices: Biernacki, Celeux & Govaert 2003).

    Of sequences also "split" (each in K equal parts, in order; what "kmeans" is for left-right chains), "cuts" (in K
    parts cut at random), "spread" (clusters of how far rows are from the mean of those around them: states that differ
    in spread), "segmental" ("split" or k-means, then Viterbi training: segmental k-means, Juang & Rabiner 1990).

    Components found are put in the order in which they go best with parameters that are given. Raises ValueError where
    there are more components than rows.
    """
    check(latent, emission, source, n_components)
    if method not in METHODS:
        raise ValueError(f"init_params is {method!r}: it is one of portfolio, {', '.join(METHODS)}")
    ready, stream = held(prepared_to_fit(source, emission)), np.random.default_rng(as_seed(rng))
    return begun(latent, emission, ready, n_components, method, stream)


def begun(
    latent: Latent, emission: Emission, source: Source, n_components: int, method: str, rng: np.random.Generator
) -> Model:
    """As :func:`start_model`, of what is checked and prepared."""
    if method == "short":
        return _short_runs(latent, emission, source, n_components, rng)
    blank = emission.start(n_components, source.summary)
    if source.symbols and emission.rows == "symbols":
        blank.check_names((), source.symbols)
    if complete(latent) and complete(emission):
        return Model(latent, blank, source.columns, source.symbols, source.roles)
    whole, labelled = source, source.evidence is not None
    if not labelled:
        source = _by_sequence(source, latent, emission, n_components, method, rng)
    sample = subsample(source, rng)
    r, by_part = _responsibilities(sample, emission, n_components, method, rng)
    if not labelled and not latent.ordered and partly_given(latent, emission):
        order = aligned(latent, emission, fitted(blank, emission.blank(), sample, r, by_part), sample, source, r)
        r, by_part = r[:, order], None if by_part is None else _parts_in(by_part, order)
    started = fitted(blank, emission, sample, r, by_part)
    labels = None if source.evidence is None else source.evidence.labels
    counts = weights_of(sample) @ r, np.zeros(n_components), moves_of(labels, source.ends, n_components)
    latent = latent.begin(latent.statistics_of(*counts), rng)
    model = Model(latent, started, source.columns, source.symbols, source.roles)
    if method != "segmental":
        return model
    return fit_together([model], whole, Hard(), Stop(max_iter=ROUNDS), Serial())[0].model


def check(latent: Latent, emission: Emission, source: Source, n_components: int) -> None:
    """Raises ValueError for what no start can be made of."""
    if not isinstance(source, Source):
        raise TypeError(f"source is a {type(source).__name__}: estep.as_source(data) makes one")
    check_components(n_components, source)
    if n_components * emission.n_parts > len(source):
        raise ValueError(
            f"{n_components} states of {emission.n_parts} parts want {n_components * emission.n_parts} rows; "
            f"n_samples = {len(source)}"
        )
    for part in (latent, emission):
        shared = part.shared if isinstance(part, Emission) else ()
        for name, value in part.values().items():
            if value is not None and name not in shared and len(value) != n_components:
                raise ValueError(f"{name} is given for {len(value)} components, n_components is {n_components}")
    if source.evidence is not None:
        source.evidence.check(n_components)


def check_components(n_components: int, source: Source) -> None:
    """Raises ValueError unless ``n_components`` is a whole number from 1 to the number of rows."""
    as_whole("n_components", n_components)
    if n_components > len(source):
        n = len(source)
        raise ValueError(f"Expected n_samples >= n_components but got n_components = {n_components}, n_samples = {n}")


def complete(part: Values) -> bool:
    """Whether all parameters are given."""
    return all(value is not None for value in part.values().values())


def moves_of(labels: Array | None, ends: Array | None, K: int) -> Array:
    """How often labelled rows follow each other within a sequence, (K, K)."""
    if labels is None:
        return np.zeros((K, K))
    ends = np.array([], dtype=np.int64) if ends is None else ends
    both = (labels[:-1] >= 0) & (labels[1:] >= 0)
    both[ends[(ends > 0) & (ends < len(labels))] - 1] = False
    return np.bincount(labels[:-1][both] * K + labels[1:][both], minlength=K * K).reshape(K, K).astype(float)


def from_responsibilities(blank: Emission, sample: Source, r: Array) -> Emission:
    """One M-step from responsibilities (n, K) of the sample, whose weights are not in them yet."""
    s = Statistics.zeros(blank.layout)
    for batch in sample.row_batches(CHUNK):
        weights = 1.0 if batch.row_weights is None else batch.row_weights[:, None]
        blank.accumulate(batch, r[batch.place] * weights, s)
    started, notes = blank.maximize(s)
    if (
        notes and started.keeps_place
    ):  # too few rows for a covariance: as wide as components usually are, and not without a way out
        started = started.comparable(sample.summary)
    whole, rough = blank.values(), started.values()
    smoothed = {n: (1 - BLEND) * np.asarray(rough[n]) + BLEND * np.asarray(whole[n]) for n in blank.smoothed}
    return started.with_values(**smoothed) if smoothed else started


def _by_sequence(
    source: Source, latent: Latent, emission: Emission, K: int, method: str, rng: np.random.Generator
) -> Source:
    """With labels of all rows, where the method takes whole sequences."""
    if method == "split" or (latent.ordered and method in ("kmeans", "segmental")):
        return replace(source, evidence=assign.split(source, K))
    if method == "cuts":
        return replace(source, evidence=assign.cuts(source, K, rng))
    if method == "spread" and emission.rows != "symbols":
        return replace(source, evidence=assign.spread(source, emission, K, rng))
    return source


def _responsibilities(
    sample: Source, emission: Emission, K: int, method: str, rng: np.random.Generator
) -> tuple[Array, Array | None]:
    """Of the components (n, K), and of their parts (n, K M) where they have some."""
    if emission.n_parts == 1 and emission.of_parts() is emission:
        return assign.assignments(sample, emission, K, method, rng), None
    by_part = assign.of_parts(sample, emission, K, method, rng)
    return by_part.reshape(len(by_part), K, -1).sum(axis=2), by_part


def fitted(blank: Emission, given: Emission, sample: Source, r: Array, by_part: Array | None) -> Emission:
    """The M-step from responsibilities, of the parts where there are some, with what is given put back."""
    if by_part is None:
        started = blank if complete(given) else from_responsibilities(blank, sample, r)
    else:
        inner = given.of_parts()
        parts = blank.of_parts() if complete(inner) else from_responsibilities(blank.of_parts(), sample, by_part)
        parts = _with_given(parts, inner)
        mass = np.tensordot(weights_of(sample), by_part.reshape(*r.shape, -1), axes=1)
        return given.from_parts(parts, mass)
    return _with_given(started, given)


def _with_given(started: Emission, given: Emission) -> Emission:
    kept = {name: value for name, value in given.values().items() if value is not None}
    return started.with_values(**kept) if kept else started


def _parts_in(by_part: Array, order: Array) -> Array:
    return np.asarray(by_part.reshape(len(by_part), len(order), -1)[:, order].reshape(by_part.shape))


def _short_runs(latent: Latent, emission: Emission, source: Source, K: int, rng: np.random.Generator) -> Model:
    """The best of RUNS runs of EM from random rows and slices, on the subsample where rows are independent."""
    some = source if latent.sequential or source.evidence is not None else subsample(source, rng)
    streams = rng.spawn(RUNS)
    kinds = ("random_from_data", "projection")
    starts = [begun(latent, emission, some, K, kinds[i % 2], stream) for i, stream in enumerate(streams)]
    stop = Stop(max_iter=STEPS, reseeds=0)
    return max(fit_together(starts, some, EM(), stop, Serial()), key=lambda f: f.bound).model
