"""The rows that starts are made from: at most SAMPLE, so that a start never costs more than the fit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from estep.data.rows import in_memory
from estep.data.source import Source
from estep.statistics import Array

SAMPLE = 100_000
PARTS = 8  # of so many sequences at least


def held(source: Source) -> Source:
    """The source where its rows are in memory; else some that are: rows at random, or parts of sequences; kept."""
    n, kept = len(source), np.arange(0)
    if in_memory(source.X):
        return source
    known: Source | None = source.__dict__.get("_held")
    if known is not None:
        return known
    if n <= SAMPLE:
        X, base = source.X.both(0, n)
        new = replace(source, X=X, base=base)
    elif source.ends is None:
        kept = np.sort(np.random.default_rng(0).choice(n, SAMPLE, replace=False))
        new = source.some(kept, None if source.weights is None else np.array(source.weights[kept]))
        new = replace(new, empty=None if source.empty is None else np.array(source.empty[kept]))
    else:
        kept, ends, sequences = _parts_of_sequences(source.ends, np.random.default_rng(0))
        weights = None if source.weights is None else source.weights[sequences]
        new = replace(source.some(kept), ends=ends, weights=weights)
    new.__dict__["summary"] = source.summary
    source.__dict__["_held"] = new
    return new


def _parts_of_sequences(ends: Array, rng: np.random.Generator) -> tuple[Array, Array, Array]:
    """Rows of about SAMPLE, as whole sequences or as many rows in a row of longer ones: their numbers, the ends, and
    the numbers of the sequences."""
    lengths, share = np.diff(ends, prepend=0), SAMPLE // PARTS
    order = rng.permutation(len(ends))
    taken = np.minimum(lengths[order], share if len(ends) > 1 else SAMPLE)
    order = np.sort(order[: max(int(np.searchsorted(np.cumsum(taken), SAMPLE)), 1)])
    taken = np.minimum(lengths[order], share if len(ends) > 1 else SAMPLE)
    firsts = ends[order] - lengths[order] + rng.integers(lengths[order] - taken + 1)
    rows = np.concatenate([np.arange(first, first + some) for first, some in zip(firsts, taken, strict=True)])
    return rows, np.cumsum(taken).astype(np.int64), order


def subsample(source: Source, rng: np.random.Generator) -> Source:
    """Rows of positive weight, at most SAMPLE of them, in order, as independent rows with weights."""
    weights = source.row_weights
    keep = np.arange(len(source)) if weights is None else np.flatnonzero(weights)
    if len(keep) > SAMPLE:
        keep = np.sort(rng.choice(keep, SAMPLE, replace=False))
    return some_rows(source, keep)


def some_rows(source: Source, keep: Array) -> Source:
    """Rows by their numbers, in order, as independent rows with weights; all of them are not surveyed again."""
    weights = source.row_weights
    if len(keep) == len(source):
        return source.independent()
    return source.some(keep, None if weights is None else weights[keep])


def weights_of(sample: Source) -> Array:
    """The weights (n,) of independent rows."""
    return np.ones(len(sample)) if sample.weights is None else sample.weights


def units(sample: Source, points: Array) -> Array:
    """Rows as clustering sees them (n, D), about their medians, in units of the range between their quartiles."""
    bulk = sample.summary.bulk.some(slice(0, points.shape[1]))  # further columns say what is missing
    floor = sample.summary.floor[: points.shape[1]]
    scale = np.where(bulk.quartiles > 0, bulk.quartiles, np.sqrt(np.maximum(bulk.variance, floor)))
    return np.asarray((points.astype(np.float64, copy=False) - bulk.median) / scale)
