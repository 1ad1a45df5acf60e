"""Which component is which: put in the order of another model's, or by what they are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from estep.data.columns import match
from estep.emissions._shared.rows import log_densities_of
from estep.interface.margin import Margin
from estep.model import Model
from estep.statistics import Array

DRAWS = 2000
"""Rows of each component, by which components are compared."""
IMPOSSIBLE = -1e100
ORDERS = ("mean", "weight", "variance")


def aligned(model: Model, to: Model) -> Model:
    """``model`` with its components in the order of those of ``to`` that they are most like: draws of these have the
    highest log-densities, over all pairs together (the Hungarian method; Kuhn 1955).

    Raises ValueError for another number of components, or another kind of rows.
    """
    return model.permuted(order_like(model, to))


def order_like(model: Model, to: Model) -> Array:
    """``order`` (K,): component ``order[k]`` of the model is k of the other."""
    from scipy.optimize import linear_sum_assignment

    K, P = to.n_components, to.emission.n_covariates
    kinds = [(m.emission.rows, m.emission.n_columns, m.emission.n_covariates, m.n_components) for m in (model, to)]
    if kinds[0] != kinds[1]:
        raise ValueError(
            f"models of {kinds[0][3]} components and {kinds[0][1]} columns and of {K} and {kinds[1][1]} have no "
            "components to pair"
        )
    families = [[f.name for f in m.emission.families] for m in (model, to)]
    if families[0] != families[1] or model.symbols != to.symbols:
        raise ValueError("models of other families, parts in another order or other symbols have no components to pair")
    place = match(to.columns, model.columns, len(to.columns)) if model.emission.rows != "table" else None
    rng, states = np.random.default_rng(0), np.repeat(np.arange(K), DRAWS)
    given = rng.standard_normal((len(states), P))
    rows = to.emission.sample_given(states, given, rng) if P else to.emission.sample(states, rng)
    rows = np.hstack([given, rows])
    logs = np.maximum(log_densities_of(model.emission, rows if place is None else rows[:, place]), IMPOSSIBLE)
    gain = logs.reshape(K, DRAWS, K).mean(axis=1)
    return np.asarray(linear_sum_assignment(gain, maximize=True)[1])


def check_order(by: str) -> None:
    """Raises ValueError for what is no order."""
    if not isinstance(by, str) or by not in ORDERS:
        raise ValueError(f"order_by is {by!r}: it is one of {', '.join(map(repr, ORDERS))}")


def ordered(model: Model, by: str) -> Model:
    """``model`` with its components in order: by the "mean" of the first column, then of the next; by "weight", the
    largest first (of a chain in the long run); or by "variance", the sum over columns, the smallest first.

    Raises ValueError for another order, and where the family does not say.
    """
    check_order(by)
    if by == "weight":
        share = model.latent.shares()
        return model.permuted(np.argsort(-share, kind="stable"))
    margins = _margins(model)
    if margins is None:
        raise ValueError(f"{model.emission.name} emissions do not say how columns are distributed: they need margins()")
    of = _centre if by == "mean" else _spread
    keys = np.array([np.reshape(of(margin), -1) for margin in margins])
    keys = keys if by == "mean" else keys.sum(axis=0, keepdims=True)
    return model.permuted(np.lexsort(keys[::-1]))


def _margins(model: Model) -> Sequence[Margin] | None:
    """Those of the columns, where covariates are zero."""
    emission = model.emission
    rows = np.full((1, emission.n_columns), np.nan)
    rows[:, : emission.n_covariates] = 0.0
    return emission.margins(rows if emission.n_covariates else None)


def _centre(margin: Margin) -> Array:
    """The mean (K,); of angles their direction, of symbols that of their numbers."""
    if margin.table is not None:
        return np.asarray(margin.table @ np.arange(margin.table.shape[-1]))
    mean = margin.mean()
    return np.angle(mean) if margin.kind == "angle" else mean


def _spread(margin: Margin) -> Array:
    """The variance (K,); of angles one less the length of the mean of exp(i x)."""
    if margin.table is not None:
        symbols = np.arange(margin.table.shape[-1])
        return np.asarray(margin.table @ symbols**2 - (margin.table @ symbols) ** 2)
    return 1 - np.abs(margin.mean()) if margin.kind == "angle" else margin.variance()
