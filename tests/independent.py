"""Log-densities and chains once more, from the textbook's formulas, in long double and with nothing of estep's own."""

import numpy as np

from estep.emissions import (
    Bernoulli,
    Categorical,
    Exponential,
    FactorAnalysis,
    Gamma,
    Gaussian,
    LinearRegression,
    LogNormal,
    MixtureOf,
    Multinomial,
    NegativeBinomial,
    Poisson,
    Product,
    Student,
    VonMises,
)

LONG = np.longdouble
PI = LONG("3.14159265358979323846264338327950288")


def lgamma(x):
    """Stirling's series, from 30 on."""
    x = np.array(x, dtype=LONG)
    out = np.zeros_like(x)
    for _ in range(30):
        small = x < 30
        out -= np.where(small, np.log(np.where(small, x, 1)), 0)
        x = np.where(small, x + 1, x)
    series = sum(
        LONG(b) / x ** (2 * i + 1)
        for i, b in enumerate([LONG(1) / 12, -LONG(1) / 360, LONG(1) / 1260, -LONG(1) / 1680])
    )
    return out + (x - LONG(0.5)) * np.log(x) - x + np.log(2 * PI) / 2 + series


def xlogy(x, y):
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(x == 0, LONG(0), x * np.log(np.asarray(y, dtype=LONG)))


def logsumexp(x, axis):
    top = x.max(axis=axis, keepdims=True)
    safe = np.where(np.isfinite(top), top, 0)
    with np.errstate(divide="ignore"):
        return np.squeeze(safe, axis) + np.log(np.exp(x - safe).sum(axis=axis))


def cholesky(C):
    L = np.zeros(C.shape, dtype=LONG)
    for i in range(len(C)):
        for j in range(i + 1):
            s = C[i, j] - L[i, :j] @ L[j, :j]
            L[i, j] = np.sqrt(s) if i == j else s / L[j, j]
    return L


def distances(X, mean, C):
    """Squared distances, log-determinants and widths of rows in the columns that they have."""
    n = len(X)
    squares, logdet, width = np.zeros(n, dtype=LONG), np.zeros(n, dtype=LONG), np.zeros(n, dtype=LONG)
    for pattern in np.unique(np.isnan(X), axis=0):
        rows = np.flatnonzero((np.isnan(X) == pattern).all(axis=1))
        there = np.flatnonzero(~pattern)
        if not len(there):
            continue
        L = cholesky(C[np.ix_(there, there)])
        z = (X[np.ix_(rows, there)] - mean[there]).T
        for i in range(len(there)):
            z[i] = (z[i] - L[i, :i] @ z[:i]) / L[i, i]
        squares[rows], logdet[rows], width[rows] = (z * z).sum(axis=0), 2 * np.log(L.diagonal()).sum(), len(there)
    return squares, logdet, width


def matrices(covariances, kind, K, D):
    C = np.asarray(covariances, dtype=LONG)
    if kind == "full":
        return C
    if kind == "tied":
        return np.broadcast_to(C, (K, D, D))
    return np.stack([np.diag(np.broadcast_to(c, D)) for c in C])


def gaussian(X, means, C):
    out = []
    for mean, c in zip(np.asarray(means, dtype=LONG), C, strict=True):
        squares, logdet, width = distances(X, mean, c)
        out.append(-(squares + logdet + width * np.log(2 * PI)) / 2)
    return np.stack(out, axis=1)


def cells(X, logp):
    """Sum over the columns that are there of logp (n, K, D)."""
    return np.where(np.isnan(X)[:, None, :], LONG(0), logp).sum(axis=2)


def log_densities(emission, X):
    """(n, K) for rows as they were given; NaN is missing."""
    X = np.asarray(X, dtype=LONG)
    x, v = X[:, None, :], {name: np.asarray(value, dtype=LONG) for name, value in emission.values().items()}
    K = emission.n_components
    if isinstance(emission, MixtureOf):
        parts = log_densities(emission.inner, X).reshape(len(X), K, -1)
        with np.errstate(divide="ignore"):
            return logsumexp(parts + np.log(v["mix_weights"]), axis=2)
    if isinstance(emission, Product):
        return sum(log_densities(family, X[:, list(columns)]) for columns, family in emission.parts)
    if isinstance(emission, Gaussian):
        return gaussian(X, v["means"], matrices(v["covariances"], emission.covariance_type, *v["means"].shape))
    if isinstance(emission, LogNormal):
        return log_densities(emission.logs, np.log(X)) - np.nansum(np.log(X), axis=1)[:, None]
    if isinstance(emission, FactorAnalysis):
        noise = np.broadcast_to(
            v["noise_variance"] if emission.noise_type == "diag" else v["noise_variance"][:, None], v["means"].shape
        )
        C = np.stack([L @ L.T + np.diag(d) for L, d in zip(v["loadings"], noise, strict=True)])
        return gaussian(X, v["means"], C)
    if isinstance(emission, LinearRegression):
        P, D = v["coefficients"].shape[2], v["coefficients"].shape[1]
        C = matrices(v["covariances"], emission.covariance_type, K, D)
        out = [
            gaussian(X[:, P:] - (b + X[:, :P] @ W.T), np.zeros((1, D)), c[None])
            for W, b, c in zip(v["coefficients"], v["intercepts"], C, strict=True)
        ]
        return np.concatenate(out, axis=1)
    if isinstance(emission, Student):
        C, out = matrices(v["covariances"], emission.gaussian.covariance_type, *v["means"].shape), []
        for mean, c, nu in zip(v["means"], C, v["dofs"], strict=True):
            squares, logdet, width = distances(X, mean, c)
            half = (nu + width) / 2
            out.append(
                lgamma(half) - lgamma(nu / 2) - (width * np.log(nu * PI) + logdet) / 2 - half * np.log1p(squares / nu)
            )
        return np.stack(out, axis=1)
    if isinstance(emission, Categorical):
        with np.errstate(divide="ignore"):
            logs = np.log(v["emissionprob"])
        missing = np.isnan(X[:, 0])
        return np.where(missing[:, None], 0, logs[:, np.where(missing, 0, X[:, 0]).astype(int)].T)
    if isinstance(emission, Multinomial):
        whole = lgamma(np.nansum(X, axis=1) + 1) - np.nansum(lgamma(np.nan_to_num(X) + 1), axis=1)
        return cells(X, xlogy(x, v["emissionprob"])) + whole[:, None]
    filled = np.where(np.isnan(x), LONG(1), x)
    if isinstance(emission, Poisson):
        return cells(X, xlogy(filled, v["rates"]) - v["rates"] - lgamma(filled + 1))
    if isinstance(emission, Bernoulli):
        return cells(X, xlogy(filled, v["probabilities"]) + xlogy(1 - filled, 1 - v["probabilities"]))
    if isinstance(emission, Exponential):
        return cells(X, np.log(v["rates"]) - v["rates"] * filled)
    if isinstance(emission, Gamma):
        a, b = v["shapes"], v["rates"]
        return cells(X, a * np.log(b) - lgamma(a) + (a - 1) * np.log(filled) - b * filled)
    if isinstance(emission, NegativeBinomial):
        m, r = v["means"], v["sizes"]
        logp = lgamma(filled + r) - lgamma(r) - lgamma(filled + 1) - r * np.log1p(m / r) + xlogy(filled, m / (r + m))
        return cells(X, logp)
    if isinstance(emission, VonMises):
        from scipy.special import ive

        kappa = v["concentrations"]
        height = np.log(2 * PI) + np.log(LONG(1) * ive(0, kappa.astype(float))) + kappa
        return cells(X, kappa * np.cos(filled - v["means"]) - height)
    raise NotImplementedError(emission.name)


def chain(startprob, transmat, logb):
    """(log-likelihood, posterior (n, K), log-probability of the best path) of one sequence, in log space."""
    with np.errstate(divide="ignore"):
        start, trans = np.log(np.asarray(startprob, dtype=LONG)), np.log(np.asarray(transmat, dtype=LONG))
    n, K = logb.shape
    alpha, beta, best = np.empty((n, K), dtype=LONG), np.zeros((n, K), dtype=LONG), start + logb[0]
    alpha[0] = start + logb[0]
    for t in range(1, n):
        alpha[t] = logsumexp(alpha[t - 1][:, None] + trans, axis=0) + logb[t]
        best = (best[:, None] + trans).max(axis=0) + logb[t]
    for t in range(n - 2, -1, -1):
        beta[t] = logsumexp(trans + logb[t + 1] + beta[t + 1], axis=1)
    total = logsumexp(alpha[-1][None], axis=1)[0]
    return total, np.exp(alpha + beta - total), best.max()
