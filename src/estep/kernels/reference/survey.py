"""The validating pass."""

from __future__ import annotations

import numpy as np

from estep.statistics import Array


def survey(X: Array, weight: Array | None, out: Array) -> tuple[bool, float]:
    """The validating pass; see :mod:`estep.kernels` for the arguments."""
    out[0], out[1] = X.min(axis=0), X.max(axis=0)
    if not np.isfinite(out[:2]).all():
        return False, 0.0
    used, w = (X, np.ones(len(X))) if weight is None else (X[weight > 0], weight[weight > 0])
    if not len(used):
        out[2], out[3] = np.inf, -np.inf
        return True, 0.0
    out[2], out[3] = used.min(axis=0), used.max(axis=0)
    middle = out[2] / 2 + out[3] / 2
    out[4] = middle + w @ (used - middle) / w.sum()
    out[5] = w @ (used - out[4]) ** 2
    return True, float(w.sum())
