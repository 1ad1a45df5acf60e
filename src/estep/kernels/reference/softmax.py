"""Sums and shares of probabilities that are given by their logarithms."""

from __future__ import annotations

import numpy as np

from estep.statistics import Array


def logsumexp(x: Array, axis: int) -> Array:
    """log sum exp along an axis; -inf where all terms are."""
    top = x.max(axis=axis, keepdims=True)
    safe = np.where(top == -np.inf, 0.0, top)
    with np.errstate(divide="ignore"):
        return np.asarray((safe + np.log(np.exp(x - safe).sum(axis=axis, keepdims=True))).squeeze(axis))


def shares(joint: Array) -> Array:
    """exp(joint), each row along the last axis scaled to add up to 1; zeros where all of it is -inf."""
    top = joint.max(axis=-1, keepdims=True)
    e = np.exp(joint - np.where(top == -np.inf, 0.0, top))
    total = e.sum(axis=-1, keepdims=True)
    return np.asarray(e / np.where(total > 0, total, 1.0))


def only_allowed(logb: Array, allowed: Array | None) -> Array:
    """Log-densities of the states that are allowed, -inf for the others."""
    return logb if allowed is None else np.where(allowed != 0, logb, -np.inf)
