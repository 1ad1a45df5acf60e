"""Enumeration of all K^T paths: the test of the reference."""

import itertools

import numpy as np


def enumerate_chain(start, trans, logb):
    """(log-likelihood, gamma (T, K), expected transitions (K, K), best log-probability) of one sequence."""
    T, K = logb.shape
    gamma, xi, total, best = np.zeros((T, K)), np.zeros((K, K)), 0.0, -np.inf
    with np.errstate(divide="ignore"):
        log_start, log_trans = np.log(start), np.log(trans)
    for path in itertools.product(range(K), repeat=T):
        logp = log_start[path[0]] + logb[0, path[0]]
        for t in range(1, T):
            logp += log_trans[path[t - 1], path[t]] + logb[t, path[t]]
        p = np.exp(logp)
        total, best = total + p, max(best, logp)
        for t in range(T):
            gamma[t, path[t]] += p
        for t in range(1, T):
            xi[path[t - 1], path[t]] += p
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log(total), gamma / total, xi / total, best
