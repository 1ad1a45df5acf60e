"""The reference kernels of chains, in log space."""

from __future__ import annotations

import numpy as np

from estep.kernels.reference.densities import densities_of
from estep.kernels.reference.softmax import logsumexp, only_allowed, shares
from estep.kernels.reference.statistics import accumulate
from estep.kernels.spec import Spec
from estep.statistics import Array

Halo = tuple[int, int, bool, bool]
"""Rows of the head and of the tail, whether the chunk begins and closes its sequence."""


def chain(
    spec: Spec,
    start: Array,
    trans: Array,
    ends: Array,
    X: Array,
    weight: Array | None,
    loglik: Array,
    start_counts: Array | None,
    trans_counts: Array | None,
    stats: Array | None,
    gamma: Array | None,
    halo: Halo | None = None,
    left: Array | None = None,
    right: Array | None = None,
    messages: Array | None = None,
    logs: bool = False,
    allowed: Array | None = None,
) -> None:
    """Forward-backward in log space (Rabiner 1989, eq. 19 to 37); see :mod:`estep.kernels` for the arguments."""
    head, tail, begins, _ = halo or (0, 0, True, True)
    with np.errstate(divide="ignore"):
        log_start, log_trans = np.log(start), np.log(trans)
    for s, (first, stop) in enumerate(zip([0, *ends[:-1]], ends, strict=True)):
        if left is not None:
            first, head, begins = first + head, 0, False
        if right is not None:
            stop, tail = stop - tail, 0
        x, w = X[first:stop], 1.0 if weight is None else float(weight[s])
        if len(x) == 0:
            loglik[s] = 0.0
            continue
        own = slice(head, len(x) - tail)
        logb = only_allowed(densities_of(spec, x), None if allowed is None else allowed[first:stop])
        before = np.full(spec.K, -np.log(spec.K)) if left is None else left
        reach = log_start if begins else logsumexp(before[:, None] + log_trans, axis=0)
        alpha = np.empty_like(logb)
        alpha[0] = reach + logb[0]
        for t in range(1, len(x)):
            alpha[t] = logsumexp(alpha[t - 1][:, None] + log_trans, axis=0) + logb[t]
        if head:
            before = alpha[head - 1]
        elif begins:
            before = np.zeros(spec.K)
        given = logsumexp(before, axis=0) if head or not begins else 0.0
        loglik[s] = logsumexp(alpha[own.stop - 1], axis=0) - given
        if messages is not None:
            messages.reshape(4, -1)[[0, 2]] = before - given, alpha[own.stop - 1] - given - loglik[s]
        if all(out is None for out in (start_counts, trans_counts, stats, gamma)):
            continue
        last = np.zeros(spec.K) if right is None else right
        whole = logsumexp(alpha[-1] + last, axis=0)
        g, beta = np.zeros_like(logb), np.empty_like(logb)
        beta[-1] = last
        for t in range(len(x) - 1, -1, -1):
            forward = log_trans + (logb[t] + beta[t])
            through = logsumexp(forward, axis=1)
            earlier = alpha[t - 1] if t else None if begins else before
            if trans_counts is not None and own.start <= t < own.stop and earlier is not None and whole > -np.inf:
                trans_counts += w * np.exp(earlier[:, None] + forward - whole) if w > 0 else 0.0
            if t:
                beta[t - 1] = through
            if t == own.start and messages is not None:
                messages.reshape(4, -1)[[1, 3]] = beta[own.stop - 1], through
        if whole > -np.inf and w > 0:
            g = w * shares(alpha + beta)
        if start_counts is not None and begins and head == 0:
            start_counts += g[0]
        if stats is not None:
            accumulate(spec, x[own], g[own], stats)
        if gamma is not None:
            gamma[first + own.start : first + own.stop] = g[own]


def viterbi(
    spec: Spec,
    start: Array,
    trans: Array,
    ends: Array,
    X: Array,
    path: Array,
    logprob: Array,
    halo: Halo | None = None,
    left: Array | None = None,
    next: int = -1,
    scores: Array | None = None,
    allowed: Array | None = None,
) -> None:
    """The most probable paths (Rabiner 1989, eq. 32 to 35), ties to the lower state."""
    head, tail, begins, _ = halo or (0, 0, True, True)
    with np.errstate(divide="ignore"):
        log_start, log_trans = np.log(start), np.log(trans)
    for s, (first, stop) in enumerate(zip([0, *ends[:-1]], ends, strict=True)):
        logprob[s] = 0.0
        if stop == first:
            continue
        if left is not None:
            first, head, begins = first + head, 0, False
        if next >= 0:
            stop, tail = stop - tail, 0
        logb = only_allowed(densities_of(spec, X[first:stop]), None if allowed is None else allowed[first:stop])
        score = np.empty((len(logb) + 1, spec.K))
        score[0] = 0.0 if left is None else left
        for t in range(len(logb)):
            reach = log_start if begins and t == 0 else (score[t][:, None] + log_trans).max(axis=0)
            score[t + 1] = reach + logb[t]
        state = int((score[-1] + (log_trans[:, next] if next >= 0 else 0)).argmax())
        states = np.empty(len(logb) + 1, np.int32)
        for t in range(len(logb), -1, -1):
            states[t] = state
            if t > 1 or not begins:
                state = int((score[t - 1] + log_trans[:, state]).argmax()) if t else 0
        path[first:stop] = states[1:]
        end, from_start = len(logb) - tail, begins and head == 0
        logprob[s] = score[end, states[end]] - (0.0 if from_start else score[head, states[head]])
        if scores is not None:
            ending = score[[head, end]]
            top = ending.max(axis=1, keepdims=True)
            scores.reshape(2, -1)[:] = ending - np.where(top > -np.inf, top, 0.0)


def _forward(
    spec: Spec, start: Array, trans: Array, X: Array, allowed: Array | None, chunk: Halo, left: Array | None
) -> tuple[Array, slice]:
    """Logs of the filtered distributions of the rows that are read, each up to a constant, and which of them are asked
    for; -inf from an impossible row on."""
    head, tail, begins, _ = chunk
    with np.errstate(divide="ignore"):
        log_start, log_trans = np.log(start), np.log(trans)
    skipped = head if left is not None else 0
    rows = slice(skipped, len(X) - tail)
    logb = only_allowed(densities_of(spec, X[rows]), None if allowed is None else allowed[rows])
    alpha, before = np.empty_like(logb), np.zeros(spec.K) if left is None else left
    for t in range(len(logb)):
        opens = t == 0 and begins and left is None
        reach = log_start if opens else logsumexp(before[:, None] + log_trans, axis=0)
        alpha[t] = reach + logb[t]
        before = alpha[t]
    return alpha, slice(head - skipped, len(logb))


def draw(
    spec: Spec,
    start: Array,
    trans: Array,
    ends: Array,
    X: Array,
    u: Array,
    path: Array,
    halo: Halo | None = None,
    left: Array | None = None,
    next: int = -1,
    allowed: Array | None = None,
) -> None:
    """Forward filtering, backward sampling (Fruhwirth-Schnatter 1994)."""
    head, tail, *_ = chunk = halo or (0, 0, True, True)
    with np.errstate(divide="ignore"):
        log_trans = np.log(trans)
    for first, stop in zip([0, *ends[:-1]], ends, strict=True):
        mask = None if allowed is None else allowed[first:stop]
        alpha, own = _forward(spec, start, trans, X[first:stop], mask, chunk, left)
        state = next
        for t, at in zip(
            range(own.stop - 1, own.start - 1, -1), range(stop - tail - 1, first + head - 1, -1), strict=True
        ):
            p = np.cumsum(shares(alpha[t] if state < 0 else alpha[t] + log_trans[:, state]))
            path[at] = state = min(int(np.searchsorted(p, u[at] * p[-1], side="right")), spec.K - 1)


def filtered(
    spec: Spec,
    start: Array,
    trans: Array,
    ends: Array,
    X: Array,
    out: Array,
    halo: Halo | None = None,
    left: Array | None = None,
    messages: Array | None = None,
    allowed: Array | None = None,
) -> None:
    """The probabilities of the states given the rows up to there (Rabiner 1989, eq. 19 and 20, scaled)."""
    head, tail, *_ = chunk = halo or (0, 0, True, True)
    for first, stop in zip([0, *ends[:-1]], ends, strict=True):
        mask = None if allowed is None else allowed[first:stop]
        alpha, own = _forward(spec, start, trans, X[first:stop], mask, chunk, left)
        mine = alpha[own]
        impossible = mine.max(axis=1, initial=-np.inf) == -np.inf
        out[first + head : stop - tail] = np.where(impossible[:, None], np.nan, shares(mine))
        if messages is not None and len(mine):
            before = alpha[own.start - 1] if own.start else np.zeros(spec.K) if left is None else left
            messages.reshape(4, -1)[[0, 2]] = before, mine[-1]
