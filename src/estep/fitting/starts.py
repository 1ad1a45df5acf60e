"""First parameters: k-means++ and k-means, random rows, short runs of EM, and any subset given by the user.

An emission starts from assignments: one M-step from responsibilities, then what the user gave is put back. Seeding
reads at most 100 000 rows, so that it never costs more than the fit.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from estep.algorithms import EM, Hard
from estep.data.labels import Evidence
from estep.data.prepare import prepared_to_fit
from estep.data.source import Source
from estep.emissions import MixtureOf
from estep.execution.serial import Serial
from estep.fitting.loop import Fit, fit, fit_restarts
from estep.fitting.stopping import Stop
from estep.interface import Emission, Latent
from estep.latents import Chain, Independent
from estep.model import Model
from estep.statistics import Array, Statistics
from estep.util.streams import as_seed

METHODS = ("kmeans", "k-means++", "random_from_data", "random", "split", "segmental", "short")
ROUNDS = 10  # of Viterbi training in a segmental start, at most
RUNS, STEPS = 10, 10  # of "short": runs of EM, and the M-steps of each at most
SAMPLE = 100_000
ROUNDING = 8 * float(np.finfo(np.float64).eps)  # of a squared distance, relative to the squares it is taken from
SWEEPS = 20  # of k-means, at most
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
    (rows as seeds), "random" (random responsibilities, what symbols always use), "split" (each sequence in K equal
    parts, in order; what "kmeans" is for left-right chains), "segmental" (that, or k-means, then Viterbi training:
    segmental k-means, Juang & Rabiner 1990) or "short" (the best of ten short runs of EM from random rows: Biernacki,
    Celeux & Govaert 2003). Raises ValueError where there are more components than rows.
    """
    if not isinstance(source, Source):
        raise TypeError(f"source is a {type(source).__name__}: estep.as_source(data) makes one")
    check_components(n_components, source)
    if isinstance(emission, MixtureOf) and n_components * emission.n_mix > len(source):
        wanted = n_components * emission.n_mix
        raise ValueError(
            f"{n_components} states of {emission.n_mix} parts want {wanted} rows; n_samples = {len(source)}"
        )
    if method not in METHODS:
        raise ValueError(f"init_params is {method!r}: it is one of {', '.join(METHODS)}")
    for part in (latent, emission):
        _check_given(part, n_components)
    if source.evidence is not None:
        source.evidence.check(n_components)
    source = prepared_to_fit(source, emission)
    rng = np.random.default_rng(as_seed(rng))
    if method == "short":
        return _short_runs(latent, emission, source, n_components, rng)
    blank = emission.start(n_components, source.summary)
    if _complete(latent) and _complete(emission):
        return Model(latent, blank, source.columns, source.symbols, source.roles)
    ordered = isinstance(latent, Chain) and latent.ordered
    whole = source
    if source.evidence is None and (method == "split" or (ordered and method in ("kmeans", "segmental"))):
        source = replace(source, evidence=_split(source, n_components))
    sample = _subsample(source, rng)
    if isinstance(emission, MixtureOf):
        assert isinstance(blank, MixtureOf)
        r = _obey(_parts(sample, emission, n_components, method, rng), sample, n_components)
        inner = _from_assignments(blank.inner, emission.inner, sample, r)
        by_part = r.reshape(len(r), n_components, emission.n_mix)
        started: Emission = emission.from_parts(inner, np.tensordot(_weights(sample), by_part, axes=1))
        r = by_part.sum(axis=2)
    else:
        r = _obey(_assignments(sample, emission, n_components, method, rng), sample, n_components)
        started = _from_assignments(blank, emission, sample, r)
    latent = _start_latent(latent, source, sample, r, rng)
    model = Model(latent, started, source.columns, source.symbols, source.roles)
    if method != "segmental":
        return model
    return _not_interrupted(fit(model, whole, Hard(), Stop(max_iter=ROUNDS)))


def _short_runs(latent: Latent, emission: Emission, source: Source, K: int, rng: np.random.Generator) -> Model:
    """The best of RUNS runs of EM from random rows, on the subsample where rows are independent."""
    some = _subsample(source, rng) if isinstance(latent, Independent) and source.evidence is None else source
    streams = rng.spawn(RUNS)

    def start(i: int) -> Model:
        return start_model(latent, emission, some, K, "random_from_data", streams[i])

    stop = Stop(max_iter=STEPS, reseeds=0)
    return _not_interrupted(fit_restarts(start, [0] * RUNS, some, EM(), stop, Serial())[0])


def _not_interrupted(done: Fit) -> Model:
    """The model of a fit. Raises KeyboardInterrupt where there was one: the start is none then."""
    if done.stop_reason == "interrupted":
        raise KeyboardInterrupt
    return done.model


def _split(source: Source, K: int) -> Evidence:
    """Each sequence in K parts of equal length, one a state, in order."""
    ends = np.array([len(source)]) if source.ends is None else source.ends
    lengths = np.diff(ends, prepend=0)
    position = np.arange(len(source)) - np.repeat(ends - lengths, lengths)
    return Evidence(labels=(position * K // np.repeat(lengths, lengths)).astype(np.int32))


def _obey(r: Array, sample: Source, K: int) -> Array:
    """Responsibilities (n, K) or (n, K M) of the states that the labels allow alone."""
    if sample.evidence is None:
        return r
    by_state = r.reshape(len(r), K, -1) + 1e-12
    by_state = by_state * sample.evidence.allowed(K)[:, :, None]
    return np.asarray((by_state / by_state.sum(axis=(1, 2), keepdims=True)).reshape(r.shape))


def _assignments(sample: Source, emission: Emission, K: int, method: str, rng: np.random.Generator) -> Array:
    """Responsibilities (n, K) that the first M-step starts from."""
    if emission.rows == "symbols":
        table = rng.dirichlet(np.ones(K), size=int(sample.X.max()) + 1)
        return np.asarray(table[sample.X[:, 0]])
    if method == "random":
        return rng.dirichlet(np.ones(K), size=len(sample))
    return _one_hot(_assign(sample, emission, K, method, rng), K)


def _parts(sample: Source, emission: MixtureOf, K: int, method: str, rng: np.random.Generator) -> Array:
    """The same for the parts of K states, (n, K M): rows are assigned to states, those of each state to its parts."""
    inner, M = emission.inner, emission.n_mix
    if emission.rows == "symbols" or method == "random" or inner.values().get("means") is not None:
        return _assignments(sample, inner, K * M, method, rng)
    labels = _assign(sample, inner, K, method, rng)
    weights, r = _weights(sample), np.zeros((len(sample), K, M))
    for k in range(K):
        mine = np.flatnonzero((labels == k) & (weights > 0))
        if len(mine) > M:
            rows = replace(sample.some(mine, weights[mine]), evidence=None)
            r[mine, k] = _assignments(rows, inner, M, method, rng)
        else:
            r[mine, k] = rng.dirichlet(np.ones(M), size=len(mine))
    return r.reshape(len(r), K * M)


def _weights(sample: Source) -> Array:
    return np.ones(len(sample)) if sample.weights is None else sample.weights


def check_components(n_components: int, source: Source) -> None:
    """Raises ValueError unless ``n_components`` is a whole number from 1 to the number of rows."""
    if not isinstance(n_components, int | np.integer) or isinstance(n_components, bool) or n_components < 1:
        raise ValueError(f"n_components is {n_components!r}: it is a whole number from 1")
    if n_components > len(source):
        raise ValueError(f"{n_components} components want at least as many rows; n_samples = {len(source)}")


def _check_given(part: Latent | Emission, n_components: int) -> None:
    shared = part.shared if isinstance(part, Emission) else ()
    for name, value in part.values().items():
        if value is not None and name not in shared and len(value) != n_components:
            raise ValueError(f"{name} is given for {len(value)} components, n_components is {n_components}")


def _complete(part: Latent | Emission) -> bool:
    return all(value is not None for value in part.values().values())


def _subsample(source: Source, rng: np.random.Generator) -> Source:
    """Rows of positive weight, at most SAMPLE of them, in order, as independent rows with weights."""
    weights = source.row_weights
    if weights is None and len(source) <= SAMPLE:
        return source.independent()
    keep = np.arange(len(source)) if weights is None else np.flatnonzero(weights)
    if len(keep) > SAMPLE:
        keep = np.sort(rng.choice(keep, SAMPLE, replace=False))
    return source.some(keep, None if weights is None else weights[keep])


def _from_assignments(blank: Emission, given: Emission, sample: Source, r: Array) -> Emission:
    """One M-step from responsibilities, the given parameters put back."""
    if _complete(given):
        return blank
    s = Statistics.zeros(blank.layout)
    for batch in sample.row_batches(CHUNK):
        mine = batch.place
        weights = 1.0 if batch.row_weights is None else batch.row_weights[:, None]
        blank.accumulate(batch, r[mine] * weights, s)
    started, _ = blank.maximize(s)
    whole, rough = blank.values(), started.values()
    smoothed = {n: (1 - BLEND) * np.asarray(rough[n]) + BLEND * np.asarray(whole[n]) for n in blank.smoothed}
    started = started.with_values(**smoothed) if smoothed else started
    kept = {name: value for name, value in given.values().items() if value is not None}
    return started.with_values(**kept) if kept else started


def _start_latent(latent: Latent, source: Source, sample: Source, r: Array, rng: np.random.Generator) -> Latent:
    """Weights as the assignments have them; chains: transitions drawn around staying, and as the labels have them.

    The start is uniform.
    """
    K = r.shape[1]
    if isinstance(latent, Independent) and latent.weights is None:
        weights = _weights(sample)
        return Independent((weights @ r / weights.sum() + 1e-6) / (1 + 1e-6 * K))
    if isinstance(latent, Chain) and latent.transmat is None:
        concentrations = np.ones((K, K)) + K * np.eye(K)
        transmat = np.array([rng.dirichlet(row) for row in concentrations]) + _moves(source, K)
        transmat = np.where(latent.allowed(K), transmat / transmat.sum(axis=1, keepdims=True) + 1e-3, 0.0)
        transmat /= transmat.sum(axis=1, keepdims=True)
        return latent.start(K).with_values(transmat=transmat)
    return latent.start(K)


def _moves(source: Source, K: int) -> Array:
    """How often labelled rows follow each other, (K, K)."""
    if source.evidence is None or source.evidence.labels is None:
        return np.zeros((K, K))
    labels = source.evidence.labels
    ends = np.array([], dtype=np.int64) if source.ends is None else source.ends
    both = (labels[:-1] >= 0) & (labels[1:] >= 0)
    both[ends[(ends > 0) & (ends < len(labels))] - 1] = False
    return np.bincount(labels[:-1][both] * K + labels[1:][both], minlength=K * K).reshape(K, K).astype(float)


def _one_hot(labels: Array, K: int) -> Array:
    return np.asarray(labels[:, None] == np.arange(K), dtype=np.float64)


def _assign(sample: Source, emission: Emission, K: int, method: str, rng: np.random.Generator) -> Array:
    """Labels (n,) of the nearest centre, columns in units of their deviation."""
    summary = sample.summary
    rows = emission.clustering_features(sample.X, summary)
    columns = slice(0, rows.shape[1])  # the others say what is missing
    bulk = summary.bulk.some(columns)
    spread = np.where(bulk.quartiles > 0, bulk.quartiles, np.sqrt(np.maximum(bulk.variance, summary.floor[columns])))

    def units(rows: Array) -> Array:
        return np.asarray((rows - bulk.median) / spread)

    X = units(rows)
    weights = sample.weights
    if sample.evidence is not None:
        return _assign_labelled(X, weights, sample.evidence.allowed(K), rng)
    means = emission.values().get("means")
    if means is not None and means.shape[1] == X.shape[1]:
        return nearest(X, units(means))
    if method == "random_from_data":
        p = None if weights is None else weights / weights.sum()
        n_used = len(X) if weights is None else int((weights > 0).sum())
        centres = X[rng.choice(len(X), min(K, n_used), replace=False, p=p)]
        return nearest(X, centres)
    centres = plus_plus(X, K, weights, rng)
    return kmeans(X, centres, weights) if method == "kmeans" else nearest(X, centres)


def _assign_labelled(X: Array, weights: Array | None, allowed: Array, rng: np.random.Generator) -> Array:
    """Labels (n,): of the allowed states the nearest. Centres are means of rows whose state is known, else seeds."""
    known = allowed.sum(axis=1) == 1
    w = np.ones(len(X)) if weights is None else weights
    r = allowed * (known * w)[:, None]
    mass = r.sum(axis=0)
    centres = (r.T @ X) / np.maximum(mass, 1e-300)[:, None]
    unknown = np.flatnonzero(mass == 0)
    if unknown.size:
        free = ~known & (w > 0) if (~known & (w > 0)).any() else w > 0
        centres[unknown] = plus_plus(X[free], len(unknown), w[free], rng)
    distance = np.where(allowed != 0, _squared(X, centres), np.inf)
    return np.asarray(distance.argmin(axis=1))


def _chunks(n: int, K: int = 1) -> list[slice]:
    """Rows whose distances to K centres stay in the cache."""
    rows = max(CHUNK * 16 // max(K, 16), 64)
    return [slice(i, i + rows) for i in range(0, n, rows)]


def _less_own(X: Array, centres: Array) -> Array:
    """Squared distances (n, K), less each row's own squared norm."""
    d = (-2 * X) @ centres.T
    d += (centres * centres).sum(axis=1)
    return np.asarray(d)


def _squared(X: Array, centres: Array) -> Array:
    """Squared distances (n, K); 0 where they are rounding."""
    own, parts = (centres * centres).sum(axis=1), []
    for i in _chunks(len(X), len(centres)):
        squares = (X[i] * X[i]).sum(axis=1)[:, None]
        d = _less_own(X[i], centres) + squares
        parts.append(np.where(d > ROUNDING * (squares + own), d, 0.0))
    return np.concatenate(parts)


def nearest(X: Array, centres: Array) -> Array:
    """The nearest centre (n,) of each row."""
    return np.concatenate([_less_own(X[i], centres).argmin(axis=1) for i in _chunks(len(X), len(centres))])


def plus_plus(X: Array, K: int, weights: Array | None, rng: np.random.Generator) -> Array:
    """Greedy k-means++ (Arthur & Vassilvitskii 2007): of 2 + log K candidates the one that helps most, (K, D)."""
    w = np.ones(len(X)) if weights is None else weights
    trials = 2 + int(np.log(K))
    centres = np.empty((K, X.shape[1]))
    centres[0] = X[rng.choice(len(X), p=w / w.sum())]
    distance = _squared(X, centres[:1])[:, 0]
    for k in range(1, K):
        cumulative = np.cumsum(w * distance)
        if cumulative[-1] <= 0:
            centres[k:] = X[rng.choice(len(X), K - k, p=w / w.sum())]
            break
        picks = np.searchsorted(cumulative, rng.random(trials) * cumulative[-1], side="right")
        tried = X[np.minimum(picks, len(X) - 1)]
        after = np.minimum(_squared(X, tried), distance[:, None])
        best = int(np.argmin(w @ after))
        centres[k], distance = tried[best], after[:, best]
    return centres


def kmeans(X: Array, centres: Array, weights: Array | None) -> Array:
    """Labels (n,) after at most SWEEPS of Lloyd's algorithm."""
    labels = nearest(X, centres)
    for _ in range(SWEEPS):
        mass, sums = np.bincount(labels, weights, len(centres))[:, None], np.zeros(centres.shape)
        for i in _chunks(len(X)):
            cells = labels[i, None] * X.shape[1] + np.arange(X.shape[1])
            values = X[i] if weights is None else X[i] * weights[i, None]
            sums += np.bincount(cells.ravel(), values.ravel(), sums.size).reshape(sums.shape)
        centres = np.where(mass > 0, sums / np.maximum(mass, 1e-300), centres)
        fresh = nearest(X, centres)
        if (fresh == labels).all():
            break
        labels = fresh
    return labels
