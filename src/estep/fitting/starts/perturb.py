"""Models a step away from one that is fitted: a component moved, or two merged and one split (Ueda et al. 2000)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from estep.data.source import Source
from estep.execution.base import Execute
from estep.fitting.starts import assign
from estep.fitting.starts.align import counts_of
from estep.fitting.starts.begin import fitted
from estep.fitting.starts.seeds import kmeans, one_hot, plus_plus
from estep.fitting.subsample import SAMPLE, some_rows, units, weights_of
from estep.interface import Latent
from estep.model import Model
from estep.statistics import Array

SHARE = 4
"""A component that is moved starts from its share of the rows, divided by this."""
LOOSE = 0.1
"""How much of the weights, or transitions, are those of a component that nothing is known of."""
WORST = 0.5
"""The part of the rows, explained worst, of which one is where a component moves."""
CUTS = (0.03, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.97)
"""Where a state may be cut."""
FEW, SHAKEN = 0.1, 0.3
"""The part of a component's rows that it is taken from when it is shaken, and the share of its transitions."""


def moved(
    model: Model, source: Source, components: Sequence[int], rng: np.random.Generator | None, execute: Execute
) -> Model:
    """``model`` with those components put where it explains the rows worst: at the very worst ones, or with ``rng`` at
    some of those that are explained badly. ``source`` is prepared."""
    rows = _used(source)
    badly = _row_scores(model, rows, execute)
    points = units(rows, model.emission.clustering_features(rows.X, rows.summary))
    K = model.n_components
    size = min(len(rows), max(2 * (points.shape[1] + 2), len(rows) // (SHARE * K)))
    r, free = np.zeros((len(rows), K)), np.ones(len(rows), bool)
    for k in components:
        if not free.any():
            break
        left = np.flatnonzero(free)
        worst = left[np.argsort(badly[left], kind="stable")]
        seed = worst[0] if rng is None else worst[rng.integers(max(1, int(WORST * len(worst))))]
        in_time = rng is not None and model.latent.sequential and rng.random() < 0.5
        near = np.abs(np.arange(len(points)) - seed) if in_time else ((points - points[seed]) ** 2).sum(axis=1)
        mine = np.argsort(near, kind="stable")[:size]
        r[mine, k], free[mine] = 1.0, False
    latent = model.latent.loosened(LOOSE)
    return _changed(model, rows, r, np.isin(np.arange(K), components), latent, rng)


def rearranged(model: Model, source: Source, rng: np.random.Generator, execute: Execute) -> Model:
    """``model`` with two components that share rows merged, and another split in two."""
    source = _window(source, rng)
    r = _shares(model, source, execute)
    sample = source.independent()
    weights, K = weights_of(sample), r.shape[1]
    mass = weights @ r + 1e-300
    overlap = (r * weights[:, None]).T @ r / np.sqrt(mass[:, None] * mass)
    pairs = np.array(np.triu_indices(K, 1))
    chance = overlap[pairs[0], pairs[1]] + 0.1 * overlap.mean()
    a, b = pairs[:, rng.choice(pairs.shape[1], p=chance / chance.sum())]
    others = np.setdiff1d(np.arange(K), (a, b)) if K > 2 else np.array([a])
    c = rng.choice(others, p=mass[others] / mass[others].sum())
    half = _half(sample, model, r[:, c] if c != a else r[:, a] + r[:, b], rng)
    new = r.copy()
    new[:, a] = r[:, a] + r[:, b]
    whole = new[:, c].copy()
    new[:, b], new[:, c] = whole * half, whole * ~half
    new = assign.obey(new, sample, K)
    s = model.latent.statistics_of(*counts_of(new, sample, source))
    latent = model.latent.maximize(s).loosened(LOOSE)
    return _changed(model, sample, new, np.isin(np.arange(K), (a, b, c)), latent, rng)


def shaken(model: Model, source: Source, rng: np.random.Generator, execute: Execute) -> Model:
    """``model`` with all components from a few of their rows, and looser weights or transitions."""
    source = _window(source, rng)
    r = _shares(model, source, execute)
    thinned = r * np.where(rng.random(r.shape) < FEW, 1.0, 1e-3)
    everyone = np.ones(r.shape[1], bool)
    return _changed(model, source.independent(), thinned, everyone, model.latent.loosened(SHAKEN), rng)


def recut(model: Model, source: Source, rng: np.random.Generator, execute: Execute) -> Model:
    """A chain that passes through its states in order, with two that follow each other merged and another cut in two:
    those that differ least, and where the halves differ most, or the next best (binary segmentation)."""
    source, K = _window(source.chained(), rng), model.n_components
    ends = np.asarray(source.ends)
    path = model.decode(source, execute=execute, on_impossible="skip")[0].clip(0)
    sample = source.independent()
    X, w = units(sample, model.emission.clustering_features(sample.X, sample.summary)), weights_of(sample)
    losses = [_apart(X, w, path == k, path == k + 1) for k in range(K - 1)]
    merged = path - (path > _one_of(np.argsort(losses), rng))
    within = _place_in_run(merged, ends)
    cuts = [(c, f) for c in range(K - 1) for f in CUTS]
    gains = [-_apart(X, w, (merged == c) & (within <= f), (merged == c) & (within > f)) for c, f in cuts]
    c, f = cuts[_one_of(np.argsort(gains), rng)]
    r = one_hot(merged + (merged > c) + ((merged == c) & (within > f)), K)
    latent = model.latent.maximize(model.latent.statistics_of(*counts_of(r, sample, source))).loosened(LOOSE)
    return _changed(model, sample, r, np.ones(K, bool), latent, rng)


def _shares(model: Model, source: Source, execute: Execute) -> Array:
    """The responsibilities (n, K): even where no component explains a row."""
    r = model.predict_proba(source, execute=execute, on_impossible="skip")
    return np.where(np.isnan(r), 1 / r.shape[1], r)


def _apart(X: Array, w: Array, one: Array, other: Array) -> float:
    """By how much the squared distances to their means grow where two sets of rows are one (Ward 1963)."""
    a, b = w[one].sum(), w[other].sum()
    if a <= 0 or b <= 0:
        return 0.0
    between = w[one] @ X[one] / a - w[other] @ X[other] / b
    return float(a * b / (a + b) * (between**2).sum())


def _one_of(order: Array, rng: np.random.Generator) -> int:
    """One of those in order, the first the likeliest."""
    chance = 1.0 / (1.0 + np.arange(len(order)))
    return int(order[rng.choice(len(order), p=chance / chance.sum())])


def _place_in_run(states: Array, ends: Array) -> Array:
    """How far each row is through the run of rows of its state in its sequence, from above 0 to 1."""
    begins = np.ones(len(states), bool)
    begins[1:] = states[1:] != states[:-1]
    begins[ends[ends < len(states)]] = True
    firsts = np.flatnonzero(begins)
    lengths = np.diff(firsts, append=len(states))
    return np.asarray((np.arange(len(states)) - np.repeat(firsts, lengths) + 1) / np.repeat(lengths, lengths))


def redrawn(model: Model, rng: np.random.Generator) -> Model:
    """``model`` with the transitions, or weights, drawn anew around staying."""
    values, masks = {}, model.latent.supports()
    for name, value in model.latent.values().items():
        p = np.asarray(value)
        K = p.shape[-1]
        drawn = rng.standard_gamma(np.ones(p.shape) + K * (np.eye(K) if p.ndim > 1 else 0.0)) * masks.get(name, p > 0)
        values[name] = drawn / drawn.sum(axis=-1, keepdims=True)
    latent = model.latent.with_values(**values).with_supports(masks)
    return replace(model, latent=latent).held_as(model)


def _half(sample: Source, model: Model, r: Array, rng: np.random.Generator) -> Array:
    """Which rows (n,) go to one of the halves of a component: of two clusters, of two slices, or near its middle; of a
    chain's states, the first ones too."""
    X = units(sample, model.emission.clustering_features(sample.X, sample.summary))
    w = r * weights_of(sample)
    if w.sum() <= 0:
        return np.asarray(rng.random(len(X)) < 0.5)
    way = rng.integers(4 if model.latent.sequential else 3)
    if way == 3:
        return np.asarray(np.cumsum(w) <= rng.random() * w.sum())
    if way == 0:
        return np.asarray(kmeans(X, plus_plus(X, 2, w, rng), w) == 0)
    if way == 1:
        return np.asarray(assign.sliced(X, 2, w, rng) == 0)
    centre = w @ X / w.sum()
    apart = ((X - centre) ** 2).sum(axis=1)
    order = np.argsort(apart, kind="stable")
    middle = apart[order[np.searchsorted(np.cumsum(w[order]), w.sum() / 2)]]
    return np.asarray(apart <= middle)


def _changed(
    model: Model, rows: Source, r: Array, components: Array, latent: Latent, rng: np.random.Generator | None
) -> Model:
    """``model`` with the components of the mask (K,) from their responsibilities, and this latent part."""
    old, stream = model.emission, np.random.default_rng(0) if rng is None else rng
    family, by_part = old.blank(), None
    if old.of_parts() is not old:
        by_part = assign.shared_out(r, rows, old, "kmeans", stream)
    fresh = fitted(family.start(model.n_components, rows.summary), family, rows, r, by_part)
    emission = fresh.keeping(old, ~components)
    new = replace(model, emission=emission, latent=latent)
    return new.held_as(model)


def _used(source: Source) -> Source:
    """The rows of positive weight, as independent ones."""
    weights = source.row_weights
    return some_rows(source, np.arange(len(source)) if weights is None else np.flatnonzero(weights > 0))


def _window(source: Source, rng: np.random.Generator) -> Source:
    """Rows of positive weight: all, or some SAMPLE of them; of sequences, as many in a row."""
    if source.ends is None:
        some = _used(source)
        if len(some) <= SAMPLE:
            return some
        keep = np.sort(rng.choice(len(some), SAMPLE, replace=False))
        return some.some(keep, None if some.weights is None else some.weights[keep])
    if len(source) <= SAMPLE:
        return source
    return source.window(int(rng.integers(len(source) - SAMPLE)), SAMPLE)


def _row_scores(model: Model, rows: Source, execute: Execute) -> Array:
    """The log-density of each row by itself, whatever comes before it."""
    alone = Model(model.latent.rows_apart(), model.emission)
    return alone.score_units(replace(rows, evidence=None), execute=execute)
