"""The E-step of a mixture."""

from __future__ import annotations

import numpy as np

from estep.kernels.reference.densities import ROWS, densities_of
from estep.kernels.reference.softmax import logsumexp, only_allowed, shares
from estep.kernels.reference.statistics import statistics_of
from estep.kernels.spec import Spec
from estep.statistics import Array


def mixture(
    spec: Spec,
    logweights: Array,
    X: Array,
    weight: Array | None,
    counts: Array | None,
    stats: Array | None,
    totals: Array | None,
    loglik: Array | None,
    resp: Array | None,
    ends: Array | None = None,
    allowed: Array | None = None,
    sure: float = 0.0,
) -> None:
    """The E-step of independent draws (Bishop 2006, eq. 9.23); see :mod:`estep.kernels` for the arguments.

    Nothing is left out here.
    """
    firsts = np.array([0]) if ends is None else np.concatenate([[0], ends[:-1]])
    models = np.split(np.arange(spec.K), firsts[1:])
    for i in range(0, len(X), ROWS):
        x = X[i : i + ROWS]
        w = np.ones(len(x)) if weight is None else weight[i : i + ROWS]
        joint = only_allowed(densities_of(spec, x), None if allowed is None else allowed[i : i + ROWS]) + logweights
        rows = np.stack([logsumexp(joint[:, k], axis=1) for k in models], axis=1)
        r = np.hstack([shares(joint[:, k]) for k in models]) * w[:, None]
        if totals is not None:
            totals += w[w > 0] @ rows[w > 0]
        if counts is not None:
            counts += r.sum(axis=0)
        if stats is not None:
            stats += statistics_of(spec, x, r)
        if loglik is not None:
            loglik.reshape(len(X), -1)[i : i + ROWS] = rows
        if resp is not None:
            resp[i : i + ROWS] = r
