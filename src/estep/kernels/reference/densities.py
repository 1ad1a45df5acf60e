"""Log-densities of rows, by kind of spec."""

from __future__ import annotations

import math

import numpy as np

from estep.kernels.reference.softmax import logsumexp
from estep.kernels.spec import Spec
from estep.statistics import Array

ROWS = 4096  # rows at a time, to bound the memory of the features


def features(spec: Spec, X: Array) -> Array:
    """phi(x), (n, F), of the rows about the origin."""
    x = X.astype(np.float64) - (0.0 if spec.origin is None else spec.origin)
    one = np.ones((len(x), 1))
    if spec.kind in ("linear", "tied"):
        return np.hstack([one, x])
    if spec.kind == "diag":
        return np.hstack([one, x, x * x])
    if spec.kind == "spherical":
        return np.hstack([one, x, (x * x).sum(axis=1, keepdims=True)])
    return np.hstack([one, x, pairs(x)])


def pairs(x: Array) -> Array:
    """x_i x_j for i <= j, (n, D (D + 1) / 2)."""
    i, j = np.triu_indices(x.shape[1])
    return np.asarray(x[:, i] * x[:, j])


def log_poisson(x: Array, rate: Array) -> Array:
    """log Poisson(x | rate) of whole numbers, without cancellation (Loader 2000, the saddle-point form)."""
    values, where = np.unique(x, return_inverse=True)
    deficit = np.array([_stirling_error(float(v)) for v in values])[where].reshape(x.shape)
    safe = np.where(x > 0, x, 1.0)
    d = (x - rate) / rate
    near = np.abs(d) < 0.1
    small = np.where(near, d, 0.0)
    with np.errstate(divide="ignore"):
        far = x * np.log(safe / rate) + (rate - x)
    deviance = np.where(near, rate * _log1p_remainder(small), far)
    return np.where(x > 0, -deviance - deficit - 0.5 * np.log(2 * np.pi * safe), -rate)


def _log1p_remainder(d: Array) -> Array:
    """(1 + d) log(1 + d) - d for |d| < 0.1, by its series: the sum over j >= 2 of (-d)^j / (j (j - 1))."""
    total = np.zeros_like(d)
    for j in range(18, 1, -1):
        total = total * -d + 1 / (j * (j - 1))
    return np.asarray(total * d * d)


def _stirling_error(x: float) -> float:
    """log x! - log(sqrt(2 pi x) (x / e)^x)."""
    if x < 32:
        return math.lgamma(x + 1) - ((x + 0.5) * math.log(x) - x + 0.5 * math.log(2 * math.pi)) if x > 0 else 0.0
    u = 1 / (x * x)
    return (1 / 12 - u * (1 / 360 - u * (1 / 1260 - u / 1680))) / x


def log_densities(spec: Spec, X: Array, out: Array) -> None:
    """Fills ``out`` (n, K) with log p(x | k)."""
    for i in range(0, len(X), ROWS):
        out[i : i + ROWS] = densities_of(spec, X[i : i + ROWS])


def densities_of(spec: Spec, X: Array) -> Array:
    """Log-densities (n, K) of some rows at a time."""
    if spec.kind == "dense":
        return np.asarray(X, dtype=np.float64)
    if spec.members:
        return np.asarray(np.sum([densities_of(part, own) for part, own in columns_of(spec, X)], axis=0))
    if spec.kind == "mixed":
        return logsumexp(joint_densities(spec, X), axis=2)
    if spec.kind == "student":
        _, height, dofs, power, _ = student_weights(spec)
        return np.asarray(height - power * np.log1p(distances(spec, X) / dofs))
    if spec.kind == "table":
        assert spec.weights is not None
        return np.asarray(spec.weights.T[X].sum(axis=1))
    if spec.whitened:
        return _whitened(spec, X)
    assert spec.weights is not None
    out: Array = features(spec, X) @ np.maximum(spec.weights, -1e300).T
    if spec.kind == "tied":
        assert spec.origin is not None
        out += (pairs(X - spec.origin) @ spec.shared)[:, None]
    if spec.counts:
        assert spec.shared is not None
        out += log_poisson(X.astype(np.float64), spec.shared).sum(axis=1)[:, None]
    return np.where(out < -1e290, -np.inf, out)


def columns_of(spec: Spec, X: Array) -> list[tuple[Spec, Array]]:
    """The parts of a product spec, each with its own columns."""
    stops = np.cumsum([part.D for part in spec.members])
    types = [np.int32 if (part.parts or part).kind == "table" else np.float64 for part in spec.members]
    cut = zip(spec.members, stops, types, strict=True)
    return [(part, X[:, b - part.D : b].astype(dtype)) for part, b, dtype in cut]


def joint_densities(spec: Spec, X: Array) -> Array:
    """Log-densities of the parts of a mixed spec with their weights, (n, K, M)."""
    assert spec.parts is not None and spec.weights is not None
    return np.asarray(densities_of(spec.parts, X).reshape(-1, spec.K, spec.M) + spec.weights)


def student_weights(spec: Spec) -> Array:
    """The five weights, (5, K)."""
    assert spec.weights is not None
    return np.asarray(spec.weights.T)


def distances(spec: Spec, X: Array) -> Array:
    """Squared distances (n, K) to the Gaussian parts of a student spec."""
    assert spec.parts is not None
    return np.asarray(np.maximum(2 * (student_weights(spec)[0] - densities_of(spec.parts, X)), 0.0))


def _whitened(spec: Spec, X: Array) -> Array:
    assert spec.origin is not None and spec.means is not None and spec.factor is not None and spec.lognorm is not None
    out = np.empty((len(X), spec.K))
    for k in range(spec.K):
        d = (X - spec.origin) - spec.means[k]
        y = d @ spec.factor[k].T if spec.factor.ndim == 3 else d * spec.factor[k]
        out[:, k] = spec.lognorm[k] - 0.5 * (y * y).sum(axis=1)
    return out
