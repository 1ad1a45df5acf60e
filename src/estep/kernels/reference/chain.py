"""The reference kernels of chains, in log space."""

from __future__ import annotations

import numpy as np

from estep.kernels.reference.densities import densities_of
from estep.kernels.reference.softmax import logsumexp, only_allowed, shares
from estep.kernels.reference.statistics import accumulate
from estep.kernels.spec import Spec
from estep.statistics import Array


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
    halo: tuple[int, int, bool, bool] | None = None,
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
    halo: tuple[int, int, bool, bool] | None = None,
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


def draw(
    spec: Spec,
    start: Array,
    trans: Array,
    ends: Array,
    X: Array,
    u: Array,
    path: Array,
    allowed: Array | None = None,
) -> None:
    """Forward filtering, backward sampling (Fruhwirth-Schnatter 1994)."""
    with np.errstate(divide="ignore"):
        log_start, log_trans = np.log(start), np.log(trans)
    for first, stop in zip([0, *ends[:-1]], ends, strict=True):
        logb = only_allowed(densities_of(spec, X[first:stop]), None if allowed is None else allowed[first:stop])
        alpha = np.empty_like(logb)
        for t in range(len(logb)):
            reach = log_start if t == 0 else logsumexp(alpha[t - 1][:, None] + log_trans, axis=0)
            alpha[t] = reach + logb[t]
        for t in range(len(logb) - 1, -1, -1):
            last = t == len(logb) - 1
            p = np.cumsum(shares(alpha[t] if last else alpha[t] + log_trans[:, path[first + t + 1]]))
            path[first + t] = min(int(np.searchsorted(p, u[first + t] * p[-1], side="right")), spec.K - 1)
