"""The reference kernels: plain NumPy, written to be read, the definition of right for the compiled ones.

Those of chains are in :mod:`estep.kernels.reference_chain`.
"""

from __future__ import annotations

import math

import numpy as np

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
    if spec.several:
        return np.asarray(np.sum([densities_of(part, own) for part, own in _columns(spec, X)], axis=0))
    if spec.kind == "mixed":
        return logsumexp(_joint(spec, X), axis=2)
    if spec.kind == "student":
        _, height, dofs, power, _ = _student(spec)
        return np.asarray(height - power * np.log1p(_distances(spec, X) / dofs))
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


def _columns(spec: Spec, X: Array) -> list[tuple[Spec, Array]]:
    """The parts of a product spec, each with its own columns."""
    stops = np.cumsum([part.D for part in spec.several])
    types = [np.int32 if (part.parts or part).kind == "table" else np.float64 for part in spec.several]
    cut = zip(spec.several, stops, types, strict=True)
    return [(part, X[:, b - part.D : b].astype(dtype)) for part, b, dtype in cut]


def _joint(spec: Spec, X: Array) -> Array:
    """Log-densities of the parts of a mixed spec with their weights, (n, K, M)."""
    assert spec.parts is not None and spec.weights is not None
    return np.asarray(densities_of(spec.parts, X).reshape(-1, spec.K, spec.M) + spec.weights)


def _student(spec: Spec) -> Array:
    """The five weights, (5, K)."""
    assert spec.weights is not None
    return np.asarray(spec.weights.T)


def _distances(spec: Spec, X: Array) -> Array:
    """Squared distances (n, K) to the Gaussian parts of a student spec."""
    assert spec.parts is not None
    return np.asarray(np.maximum(2 * (_student(spec)[0] - densities_of(spec.parts, X)), 0.0))


def _whitened(spec: Spec, X: Array) -> Array:
    assert spec.origin is not None and spec.means is not None and spec.factor is not None and spec.lognorm is not None
    out = np.empty((len(X), spec.K))
    for k in range(spec.K):
        d = (X - spec.origin) - spec.means[k]
        y = d @ spec.factor[k].T if spec.factor.ndim == 3 else d * spec.factor[k]
        out[:, k] = spec.lognorm[k] - 0.5 * (y * y).sum(axis=1)
    return out


def statistics(spec: Spec, X: Array, r: Array) -> Array:
    """The statistics of the rows under responsibilities ``r`` (n, K), flat."""
    out = np.zeros(spec.statistics_size)
    for i in range(0, len(X), ROWS):
        out += _statistics(spec, X[i : i + ROWS], r[i : i + ROWS])
    return out


def _statistics(spec: Spec, X: Array, r: Array) -> Array:
    if spec.kind == "dense":
        return np.zeros(0)
    if spec.several:
        return np.concatenate([_statistics(part, own, r) for part, own in _columns(spec, X)])
    if spec.kind == "student" and spec.parts is not None:
        _, _, dofs, _, constant = _student(spec)
        u = (dofs + spec.D) / (dofs + _distances(spec, X))
        scale = (r * (np.log(u) - u + constant)).sum(axis=0)
        return np.concatenate([r.sum(axis=0), scale, _statistics(spec.parts, X, r * u)])
    if spec.parts is not None:
        inner = (r[:, :, None] * shares(_joint(spec, X))).reshape(len(X), -1)
        return np.concatenate([inner.sum(axis=0), _statistics(spec.parts, X, inner)])
    if spec.kind == "table":
        weights = np.repeat(r, spec.D, axis=0)
        return np.stack([np.bincount(X.ravel(), weights[:, k], spec.M) for k in range(spec.K)]).ravel()
    if spec.whitened:
        return _whitened_statistics(spec, X, r)
    first = (r.T @ features(spec, X)).ravel()
    if spec.kind != "tied":
        return np.asarray(first)
    assert spec.origin is not None
    return np.concatenate([first, r.sum(axis=1) @ pairs(X - spec.origin)])


def _whitened_statistics(spec: Spec, X: Array, r: Array) -> Array:
    """Moments about each mean, moved to the origin."""
    assert spec.origin is not None and spec.means is not None
    first, second = [], []
    i, j = np.triu_indices(spec.D)
    for k, mu in enumerate(spec.means):
        d = (X - spec.origin) - mu
        s0, s1 = r[:, k].sum(), r[:, k] @ d
        first.append(np.concatenate([[s0], s1 + s0 * mu]))
        if spec.kind in ("full", "tied"):
            second.append(r[:, k] @ pairs(d) + mu[i] * s1[j] + mu[j] * s1[i] + s0 * mu[i] * mu[j])
        else:
            second.append(r[:, k] @ (d * d) + 2 * mu * s1 + s0 * mu * mu)
    if spec.kind == "tied":
        return np.concatenate([*first, np.sum(second, axis=0)])
    if spec.kind == "spherical":
        second = [q.sum(keepdims=True) for q in second]
    return np.concatenate([np.concatenate(both) for both in zip(first, second, strict=True)])


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
            stats += _statistics(spec, x, r)
        if loglik is not None:
            loglik.reshape(len(X), -1)[i : i + ROWS] = rows
        if resp is not None:
            resp[i : i + ROWS] = r


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


def factorise(covariances: Array, inverse: Array, logdet: Array) -> bool:
    """L^-1 (n, D, D), lower triangular, with L L' = ``covariances``, and log-determinants (n,), into the last two.

    The matrices are factorised with a unit diagonal. False where one is not positive definite.
    """
    variances = covariances.diagonal(axis1=-2, axis2=-1)
    if not variances.min() > 0:
        return False
    deviations = np.sqrt(variances)
    scale = 1 / deviations
    try:
        L = np.linalg.cholesky(covariances * (scale[:, :, None] * scale[:, None, :]))
    except np.linalg.LinAlgError:
        return False
    inverse[:] = np.linalg.inv(L) * np.tri(L.shape[-1]) * scale[:, None, :]
    logdet[:] = 2 * np.log(L.diagonal(axis1=1, axis2=2) * deviations).sum(axis=1)
    return True


def normals(*_: object) -> bool:
    """Whether Gaussians were fitted to their moments in one call: not here, NumPy does it step by step."""
    return False


def quadratic(mu: Array, inverse: Array, height: Array, radius: Array, weights: Array) -> float:
    """The weights (K, F) of ``height`` (K,) - |inverse (x - mu)|^2 / 2 as a sum of 1, x and products of x.

    All about one point; ``inverse`` (K, D, D) lower triangular, or (K, D). Returns the largest sum over i of
    P_ii radius_i^2 (P: inverse' inverse), with radii that hold all ``mu`` (K, D).
    """
    dense, D = inverse.ndim == 3, mu.shape[1]
    P = inverse.swapaxes(1, 2) @ inverse if dense else inverse**2
    white = (inverse @ mu[:, :, None])[:, :, 0] if dense else inverse * mu
    weights[:, 0] = height - 0.5 * (white * white).sum(axis=1)
    weights[:, 1 : 1 + D] = (white[:, None, :] @ inverse)[:, 0] if dense else P * mu
    i, j = np.triu_indices(D)
    weights[:, 1 + D :] = P[:, i, j] * np.where(i == j, -0.5, -1.0) if dense else -0.5 * P
    far = np.maximum(radius, np.abs(mu).max(axis=0))
    return float(((P.diagonal(axis1=1, axis2=2) if dense else P) @ far**2).max())
