"""Functions of the gamma and Bessel kind that keep their digits where the plain ones cancel, and their inverses."""

from __future__ import annotations

import numpy as np

from estep.statistics import Array

LARGE = 1e3
"""From here on the asymptotic series (Abramowitz & Stegun 1964, 6.1.41, 6.3.18, 6.4.12) are exact to rounding."""
HALF_LOG_2PI = 0.5 * float(np.log(2 * np.pi))
MOST_CONCENTRATED = 1e8


def stirling(a: Array) -> Array:
    """log Gamma(a) - (a - 1/2) log a + a, which is near log(2 pi) / 2 for large a."""
    from scipy.special import gammaln

    small = np.minimum(a, LARGE)
    series = HALF_LOG_2PI + 1 / (12 * a) - 1 / (360 * a**3)
    return np.where(a > LARGE, series, gammaln(small) - (small - 0.5) * np.log(small) + small)


def log_less_digamma(a: Array) -> Array:
    """log a - digamma(a), which is near 1 / (2 a) for large a."""
    from scipy.special import digamma

    small = np.minimum(a, LARGE)
    return np.where(a > LARGE, 1 / (2 * a) + 1 / (12 * a**2) - 1 / (120 * a**4), np.log(small) - digamma(small))


def _slope(a: Array) -> Array:
    """The derivative of :func:`log_less_digamma`: 1 / a - trigamma(a)."""
    from scipy.special import polygamma

    small = np.minimum(a, LARGE)
    series = -1 / (2 * a**2) - 1 / (6 * a**3) + 1 / (30 * a**5)
    return np.where(a > LARGE, series, 1 / small - polygamma(1, small))


def gamma_shape(s: Array, most: float) -> Array:
    """The a, at most ``most``, for which log a - digamma(a) = s (Minka 2002, "Estimating a Gamma distribution")."""
    s = np.clip(s, 0.5 / most, 1e300)
    a = (3 - s + np.sqrt((s - 3) ** 2 + 24 * s)) / (12 * s)
    for _ in range(12):  # Newton's steps in 1 / a: quadratic from this start, four are usually enough
        before, a = a, 1 / (1 / a + (log_less_digamma(a) - s) / (a**2 * _slope(a)))
        if (np.abs(a - before) <= 1e-14 * a).all():
            break
    return np.asarray(np.minimum(a, most))


def inverse_digamma(y: Array) -> Array:
    """The a above 0 for which digamma(a) = y (Minka 2000, appendix C of "Estimating a Dirichlet distribution")."""
    from scipy.special import digamma, polygamma

    with np.errstate(over="ignore"):
        a = np.where(y >= -2.22, np.exp(y) + 0.5, -1 / (y - digamma(1.0)))
    for _ in range(6):
        a = a - (digamma(a) - y) / polygamma(1, a)
    return np.asarray(a)


def log_bessel(kappa: Array) -> Array:
    """log(2 pi I0(kappa)), the normaliser of a von Mises density."""
    from scipy.special import i0e

    return np.asarray(2 * HALF_LOG_2PI + kappa + np.log(i0e(kappa)))


def bessel_ratio(kappa: Array) -> Array:
    """I1(kappa) / I0(kappa): the length of the mean vector."""
    from scipy.special import i0e, i1e

    return np.asarray(i1e(kappa) / i0e(kappa))


def concentration(length: Array) -> Array:
    """The kappa, at most MOST_CONCENTRATED, for which I1(kappa) / I0(kappa) = ``length``.

    Mardia & Jupp 2000, section 5.3.1.
    """
    R = np.clip(length, 0.0, 1 - 0.5 / MOST_CONCENTRATED)
    kappa = R * (2 - R**2) / (1 - R**2)  # Banerjee et al. 2005
    for _ in range(12):
        k, large = np.clip(kappa, 1e-300, 1e4), np.maximum(kappa, 1e4)
        A = bessel_ratio(k)
        apart = np.where(kappa > 1e4, 1 - 1 / (2 * large) - 1 / (8 * large**2) - 1 / (8 * large**3), A) - R
        slope = np.where(kappa > 1e4, 1 / (2 * large**2) + 1 / (4 * large**3), 1 - A / k - A**2)
        before, kappa = kappa, np.clip(kappa - apart / slope, 0.5 * kappa, 2 * kappa)
        if (np.abs(kappa - before) <= 1e-14 * kappa).all():
            break
    return np.asarray(np.minimum(kappa, MOST_CONCENTRATED))
