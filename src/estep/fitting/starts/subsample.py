"""The rows that starts are made from: at most SAMPLE, so that a start never costs more than the fit."""

from __future__ import annotations

import numpy as np

from estep.data.source import Source
from estep.statistics import Array

SAMPLE = 100_000


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
