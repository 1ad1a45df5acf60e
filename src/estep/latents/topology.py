"""Which transitions a chain may make, by name; and the distribution it settles into."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from estep.statistics import Array
from estep.util.numbers import as_numbers

TOPOLOGIES: dict[str, Callable[[Array, Array], Array]] = {
    "ergodic": lambda i, j: (i >= 0) & (j >= 0),
    "left-right": lambda i, j: j >= i,
    "bakis": lambda i, j: (j >= i) & (j <= i + 2),
    "banded": lambda i, j: abs(i - j) <= 1,
}
"""Every transition; onwards; onwards by two states at most (Bakis; Rabiner 1989, fig. 7); to a neighbour."""
ORDERED = ("left-right", "bakis")
"""Those that begin in the first state and never go back."""


def allowed_moves(topology: Any, K: int) -> Array:
    """Which transitions are allowed, (K, K), for a name or a matrix whose zeros are not.

    Raises ValueError for an unknown name, another shape, or a state that cannot be left and not kept.
    """
    if isinstance(topology, str):
        if topology not in TOPOLOGIES:
            raise ValueError(f"topology is {topology!r}: it is one of {', '.join(TOPOLOGIES)}, or a matrix with zeros")
        return TOPOLOGIES[topology](*np.indices((K, K)))
    matrix = as_numbers(topology, "topology")
    if not np.isfinite(matrix).all() or (matrix < 0).any():
        raise ValueError("topology is a matrix of numbers from 0: zeros are transitions that there are not")
    if matrix.shape != (K, K):
        raise ValueError(f"topology has shape {matrix.shape}, expected {(K, K)} for {K} states")
    mask = matrix != 0
    if not mask.any(axis=1).all():
        raise ValueError(f"topology: state {int(np.argmin(mask.any(axis=1)))} has no transition, not even to itself")
    return np.asarray(mask)


def stationary(transmat: Array) -> Array:
    """The distribution pi with pi A = pi, (K,). Raises ValueError where there is more than one."""
    K = len(transmat)
    try:
        pi = np.linalg.solve((np.eye(K) - transmat + 1.0).T, np.ones(K))
    except np.linalg.LinAlgError:
        pi = np.full(K, np.nan)
    if not (np.isfinite(pi).all() and np.abs(pi @ transmat - pi).max() < 1e-8 and pi.min() > -1e-8):
        raise ValueError("transmat has more than one stationary distribution: some states never reach some others")
    pi = np.maximum(pi, 0.0)
    return np.asarray(pi / pi.sum())


def stationary_slope(slope: Array, pi: Array, transmat: Array) -> Array:
    """The slope (K,) of a function of the stationary distribution as one of the transition matrix, (K, K) (Meyer
    1975)."""
    return np.outer(pi, np.linalg.inv(np.eye(len(pi)) - transmat + pi) @ slope)


def maximize_stationary(start: Array, moves: Array, transmat: Array) -> Array:
    """The transition matrix for expected counts of starts (K,) and moves (K, K), where starts are stationary.

    There is no closed form: the expected log-likelihood, sum of moves log A + sum of start log pi(A), climbs from the
    better of ``transmat`` and the plain frequencies by L-BFGS in the logits, so that it never falls.
    """
    from scipy.optimize import minimize

    support = transmat > 0
    left = moves.sum(axis=1, keepdims=True)
    plain = np.where(support, moves, 0.0) / np.where(left > 0, left, 1.0)
    plain = np.where(left > 0, np.where(support, np.maximum(plain, 1e-12), 0.0), transmat)
    plain /= plain.sum(axis=1, keepdims=True)

    def objective(A: Array) -> float:
        pi = stationary(A)
        logs = np.log(np.where(support, A, 1.0))
        return float((moves * logs).sum() + start @ np.log(np.maximum(pi, 1e-300)))

    def negative(logits: Array) -> tuple[float, Array]:
        A = from_logits(logits)
        pi = stationary(A)
        slope = moves / np.where(support, A, 1.0) + stationary_slope(start / np.maximum(pi, 1e-300), pi, A)
        slope = np.where(support, slope, 0.0) * A
        slope -= A * slope.sum(axis=1, keepdims=True)
        return -objective(A), -slope[support]

    def from_logits(logits: Array) -> Array:
        z = np.full(support.shape, -np.inf)
        z[support] = logits
        e = np.exp(z - z.max(axis=1, keepdims=True))
        return np.asarray(e / e.sum(axis=1, keepdims=True))

    best = max((plain, transmat), key=objective)
    with np.errstate(all="ignore"):
        try:
            found = from_logits(minimize(negative, np.log(best[support]), jac=True, method="L-BFGS-B").x)
            return found if objective(found) >= objective(best) else best
        except ValueError:
            return best
