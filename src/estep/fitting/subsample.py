"""The rows that starts are made from: at most SAMPLE, so that a start never costs more than the fit."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from estep.data.missing import pattern_order, unsorted
from estep.data.rows import in_memory
from estep.data.source import Source
from estep.statistics import Array

SAMPLE = 100_000
PARTS = 8  # of so many sequences at least


def held(source: Source) -> Source:
    """The rows that starts look at, in memory; kept. All of them, where there are SAMPLE at most; else rows chosen at
    random, the same wherever they are. Sequences in memory are taken as they are, of others parts."""
    n = len(source)
    if in_memory(source.X) and (source.ends is not None or n <= SAMPLE):
        return source
    known: Source | None = source.__dict__.get("_held")
    if known is not None:
        return known
    if source.ends is None:
        new = _rows_of(source)
    elif n <= SAMPLE:
        X, base = source.X.both(0, n)
        new = replace(source, X=X, base=base)
    else:
        rows, ends, sequences = _parts_of_sequences(source.ends, np.random.default_rng(0))
        weights = None if source.weights is None else source.weights[sequences]
        new = replace(source.some(rows), ends=ends, weights=weights)
    new.__dict__["summary"] = source.summary
    source.__dict__["_held"] = new
    return new


def _rows_of(source: Source) -> Source:
    """Some independent rows of positive weight, where there are many; in the order of their gaps, where they have some,
    as in memory."""
    n, rng, order = len(source), np.random.default_rng(0), source.order
    weights = source.weights
    keep: Array = np.arange(n)
    if n > SAMPLE:
        used: Any = n if weights is None else np.flatnonzero(weights if order is None else unsorted(weights, order))
        keep = np.sort(rng.choice(used, SAMPLE, replace=False)) if np.size(used) > SAMPLE or weights is None else used
    if order is not None:  # rows that are sorted already
        chosen = np.zeros(n, bool)
        chosen[keep] = True
        keep = np.flatnonzero(chosen[order])
    elif source.summary.missing and not in_memory(source.X):
        keep = keep[pattern_order(source.X.raw[keep])]
    new = source.some(keep, None if weights is None else np.array(weights[keep]))
    return replace(new, empty=None if source.empty is None else np.array(source.empty[keep]), valued=source.valued)


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
