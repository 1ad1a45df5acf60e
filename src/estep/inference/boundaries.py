"""Whether neighbouring chunks of a long sequence agree on what they tell each other.

Messages are those of a :class:`estep.interface.Boundary`: (pairs, 4, K) of the chunks to the left of boundaries, and of
those to the right.
"""

from __future__ import annotations

import numpy as np

from estep.statistics import Array

SAME, SAME_SINGLE = 1e-11, 4e-3
"""Messages that differ by less, relatively, are the same, in double and in single precision."""
SMALL, SMALL_SINGLE = 1e-25, 1e-12
"""Entries below this part of a message do not count where nothing says what follows from them."""
AT_ODDS = 1e-150
"""Where what came before and what follows agree by less than this, linear space has lost what would tell."""


def same_posterior(a: Array, b: Array, single: bool) -> bool:
    """Whether neighbours have one posterior: what the left ones hand on, weighted by what follows, and back."""
    tolerance = SAME_SINGLE if single else SAME
    ended, used, follows = _linear(a[:, 2]), _linear(b[:, 0]), _linear(b[:, 3])
    changed, whole = (np.abs(ended - used) * follows).sum(axis=1), (ended * follows).sum(axis=1)
    same = bool(((changed <= tolerance * whole) & (whole >= AT_ODDS)).all())
    return same and _alike(_linear(a[:, 1]), follows, tolerance, tolerance)


def at_odds(a: Array, b: Array) -> bool:
    """Whether, at some boundary, what came before makes what follows nearly impossible."""
    return bool(((_linear(a[:, 2]) * _linear(b[:, 3])).sum(axis=1) < AT_ODDS).any())


def same_filter(a: Array, b: Array, single: bool) -> bool:
    """Whether the filtered distributions are the same: no more is known going forward."""
    small, tolerance = (SMALL_SINGLE, SAME_SINGLE) if single else (SMALL, SAME)
    return _alike(_linear(a[:, 2]), _linear(b[:, 0]), small, tolerance)


def same_path(a: Array, b: Array, single: bool) -> bool:
    """Whether the scores of all states are the same up to a constant, and the one there; always in double."""
    ends, uses = (x.max(axis=1, keepdims=True) for x in (a[:, 2], b[:, 0]))
    if not (np.isfinite(ends).all() and np.isfinite(uses).all()):
        return False
    ended, used = a[:, 2] - ends, b[:, 0] - uses
    with np.errstate(invalid="ignore"):
        apart = np.where(ended == used, 0.0, np.abs(ended - used))  # equal infinities too
    return bool((apart <= 1e-10 * (1 + np.abs(used))).all()) and np.array_equal(a[:, 1], b[:, 3])


def _linear(logs: Array) -> Array:
    """Probabilities (P, K) from logs up to a constant each; zeros where these say nothing."""
    top = logs.max(axis=1, keepdims=True)
    says = np.isfinite(top)
    p = np.where(says, np.exp(logs - np.where(says, top, 0.0)), 0.0)
    return np.asarray(p / np.where(says, p.sum(axis=1, keepdims=True), 1.0))


def _alike(a: Array, b: Array, small: float, tolerance: float) -> bool:
    """Whether all entries but those below ``small`` differ by ``tolerance`` at most, relatively, and say something."""
    most = np.maximum(a, b)
    near = (np.abs(a - b) <= tolerance * most) | (most <= small)
    return bool(near.all()) and bool(a.any(axis=1).all()) and bool(b.any(axis=1).all())
