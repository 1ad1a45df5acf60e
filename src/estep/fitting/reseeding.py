"""Components that have collapsed, put where the model explains the rows worst.

The likelihood of most mixtures is unbounded: a component that shrinks onto rows that are all alike has no end. Such a
component starts again from the rows around the least probable one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from estep.data.source import Source
from estep.execution.base import Execute
from estep.latents import Chain, Independent
from estep.model import Model
from estep.statistics import Array, Statistics

SHARE = 4
"""A new component starts from its share of the rows, divided by this."""
MIX = 0.1
"""How much of the weights, or transitions, are those of a component that nothing is known of."""


def reseeded(model: Model, source: Source, components: Sequence[int], execute: Execute) -> Model:
    """``model`` with those components started again, from prepared rows."""
    weights, K = source.row_weights, model.n_components
    used = np.arange(len(source)) if weights is None else np.flatnonzero(weights > 0)
    rows = source.some(used, None if weights is None else weights[used])
    worst = _row_scores(model, rows, execute)
    points = model.emission.clustering_features(rows.X, rows.summary).astype(np.float64)
    bulk = rows.summary.bulk.some(slice(0, points.shape[1]))
    scale = np.where(bulk.quartiles > 0, bulk.quartiles, np.sqrt(np.maximum(bulk.variance, 1e-300)))
    size = min(len(rows), max(2 * (points.shape[1] + 2), len(rows) // (SHARE * K)))
    r, free = np.zeros((len(rows), K)), np.ones(len(rows), bool)
    for k in components:
        if not free.any():
            break
        seed = int(np.argmin(np.where(free, worst, np.inf)))
        near = (((points - points[seed]) / scale) ** 2).sum(axis=1)
        mine = np.argsort(near, kind="stable")[:size]
        r[mine, k], free[mine] = 1.0, False
    if rows.weights is not None:
        r *= rows.weights[:, None]
    batch, s = rows.whole(), Statistics.zeros(model.emission.layout)
    blank = model.emission.with_values(**dict.fromkeys(model.emission.values())).start(K, rows.summary)
    blank.accumulate(batch, r, s)
    fresh, _ = blank.maximize(s)
    others = ~np.isin(np.arange(K), components)
    return replace(model, emission=fresh.keeping(model.emission, others), latent=_loosened(model, K))


def _row_scores(model: Model, rows: Source, execute: Execute) -> Array:
    """The log-density of each row by itself, whatever comes before it."""
    latent = model.latent
    if isinstance(latent, Chain):
        latent = Independent(np.full(model.n_components, 1 / model.n_components))
    alone = Model(latent, model.emission)
    return alone.score_units(replace(rows, evidence=None), execute=execute)


def _loosened(model: Model, K: int) -> Independent | Chain:
    """Probabilities blended with equal ones; structural zeros stay."""
    values, supports = {}, model.latent.supports()
    for name, p in model.latent.values().items():
        support = supports[name]
        values[name] = (1 - MIX) * np.asarray(p) + MIX * support / support.sum(axis=-1, keepdims=True)
    return model.latent.with_values(**values).with_supports(supports)  # type: ignore[return-value]
