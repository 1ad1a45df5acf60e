"""Components found in the data, put in the order in which they go best with parameters that are given."""

from __future__ import annotations

from itertools import combinations, permutations

import numpy as np

from estep.data.source import Source
from estep.interface import Emission, Latent
from estep.statistics import Array

EVERY = 6  # components up to which every order is tried
ROWS = 4096  # that densities are taken of


def partly_given(latent: Latent, emission: Emission) -> bool:
    """Whether a parameter is given that says which component is which; centres do so by themselves."""
    if emission.centres() is not None or emission.of_parts().centres() is not None:
        return False
    given = {**latent.values(), **{n: v for n, v in emission.values().items() if n not in emission.shared}}
    return any(value is not None for value in given.values())


def aligned(latent: Latent, given: Emission, found: Emission, sample: Source, source: Source, r: Array) -> Array:
    """``order`` (K,): component ``order[k]`` of those found, with responsibilities ``r`` (n, K), is k.

    The expected log-likelihood of the rows, components and moves under what is given, and what is found beside it, is
    the largest: of all orders up to EVERY components, beyond that of those that exchanges of two lead to.
    """
    K = r.shape[1]
    gain = _emission_gain(given, found, sample, r)
    occupancy, starts, moves = counts_of(r, sample, source)

    def total(order: Array) -> float:
        s = latent.statistics_of(occupancy[order], starts[order], moves[np.ix_(order, order)])
        return float(gain[order, np.arange(K)].sum()) + latent.log_probability(s)

    if K <= EVERY:
        return np.array(max(permutations(range(K)), key=lambda order: total(np.array(order))))
    from scipy.optimize import linear_sum_assignment

    order = np.argsort(linear_sum_assignment(gain, maximize=True)[1])
    best, better = total(order), True
    while better:
        better = False
        for i, j in combinations(range(K), 2):
            other = order.copy()
            other[[i, j]] = order[[j, i]]
            if (value := total(other)) > best:
                order, best, better = other, value, True
    return order


def counts_of(r: Array, sample: Source, source: Source) -> tuple[Array, Array, Array]:
    """Rows (K,), first rows (K,) and moves (K, K) of components, by their responsibilities of the rows of ``source``.

    Moves and first rows are counted where the sample is all of the data, in their order.
    """
    K = r.shape[1]
    weights = np.ones(len(r)) if sample.weights is None else sample.weights
    starts, moves = np.zeros(K), np.zeros((K, K))
    if len(sample) == len(source):
        ends = source.all_ends
        firsts = np.unique(np.concatenate([[0], ends[:-1]]))
        firsts = firsts[firsts < len(r)]
        within = np.ones(len(r), bool)
        within[firsts] = False
        starts = weights[firsts] @ r[firsts]
        after = np.flatnonzero(within)
        moves = (r[after - 1] * weights[after, None]).T @ r[after]
    return weights @ r, starts, moves


def _emission_gain(given: Emission, found: Emission, sample: Source, r: Array) -> Array:
    """(K, K): the expected log-likelihood of the rows of a component found, as each of those given."""
    K = r.shape[1]
    known = {n: v for n, v in given.values().items() if v is not None and n not in given.shared}
    if not known:
        return np.zeros((K, K))
    rows = slice(None, None, max(1, len(r) // ROWS))
    some = sample.some(np.arange(len(r))[rows])
    one, other = np.divmod(np.arange(K * K), K)
    values = {n: np.asarray(v)[one] for n, v in found.values().items() if n not in found.shared}
    pairs = found.with_values(**(values | {n: np.asarray(v)[other] for n, v in known.items()}))
    logs = np.maximum(pairs.evaluate(some.whole()).log_densities, -1e100).reshape(-1, K, K)
    weights = r[rows] if sample.weights is None else r[rows] * sample.weights[rows, None]
    return np.asarray(np.einsum("nj,njk->jk", weights, logs) * (len(r) / len(logs)))
