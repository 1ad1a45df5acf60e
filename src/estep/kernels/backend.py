"""The kernels: one leaf of data in, statistics out. ``active()`` picks the best that this machine runs.

Levels: ``reference`` (plain NumPy, the definition of right), ``baseline`` (any processor), ``v3`` (AVX2) and ``v4``
(AVX-512). The environment variable ``ESTEP_KERNELS`` chooses one by name. All have the same functions:

``log_densities(spec, X, out)``
    fills ``out`` (n, K).
``accumulate(spec, X, resp, stats)``
    adds to ``stats`` the statistics of the rows under responsibilities ``resp`` (n, K), weights included.
``mixture(spec, logweights, X, weight, counts, stats, totals, loglik, resp, ends, *, sure)``
    adds to ``counts`` (K,), ``stats`` and ``totals`` (1,), the weighted log-likelihood; fills ``loglik`` (n,) and
    ``resp`` (n, K, weights included). Any output may be None. Several mixtures may be the columns of one spec: those
    of the first end before column ``ends[0]``, and so on; then ``totals`` is (models,), ``loglik`` (n, models).
    Components of at least the weight ``sure`` (0: none) may be left out of rows in which they have less than 1e-24 of
    what the best has, where that is faster: their statistics lose digits where they have hardly more in any row.
``chain(spec, start, trans, ends, X, weight, loglik, start_counts, trans_counts, stats, gamma, *chunk)``
    the same for sequences; ``weight`` and ``loglik`` are one a sequence. For a chunk of one long sequence,
    ``chunk`` is ``halo, left, right, messages, logs``: a :class:`estep.data.source.Halo`; logs of the filtered
    distribution before it and, up to a factor, of the likelihood after it, (K,), where known; ``messages`` (4, K),
    filled with both as used, then with the filtered distribution at its last row and the likelihood from its first row
    on; and whether all has to be in log space.
``viterbi(spec, start, trans, ends, X, path, logprob, *chunk)``
    fills ``path`` (n,) int32 and ``logprob`` (S,). ``chunk`` is ``halo, left, next, scores``: the scores before
    it (K,) and the state after it, where known (else None and -1); and ``scores`` (2, K), filled with those before
    it, as used, and those at its last row.
These three, ``draw`` and ``filter`` take ``allowed`` (n, K), bytes: which states a row may have; left out, all.
``draw(spec, start, trans, ends, X, u, path, halo, left, next)``
    fills ``path`` (n,) int32 with states drawn from the posterior of whole sequences, by the uniform numbers ``u``; of
    a chunk, given the distribution before it and the state after it, as ``viterbi`` has them.
``filter(spec, start, trans, ends, X, filtered, halo, left, messages)``
    fills ``filtered`` (n, K), the probabilities of the states given the rows up to there, NaN from an impossible row
    on; of a chunk, from ``left`` or from its halo, and the first and third of its ``messages`` as ``chain`` does.
``stream(spec, trans)``
    a filter that is kept from one row to the next, of float64 rows: ``begin(reach)``, ``resume(filtered)`` and
    ``update(row, out)``, see :class:`estep.kernels.reference.stream.Stream`.
``survey(X, weight, out)``
    reads no spec: it returns whether the rows are finite, and their weight, and fills ``out`` (6, D), zero at first:
    the lowest and highest values, the same of the rows with a positive weight, their mean and the weighted sum of
    squared deviations from it.
``missing_distances(X, starts, seen, means, factors, dist, logdet)``
    Gaussians and rows with missing cells, which come in runs from ``starts`` (R + 1,) that have the columns ``seen``
    (R, D): fills ``dist`` (n, K), squared distances in the columns that are there, and ``logdet`` (R, K), the
    log-determinants of the precisions' blocks of the columns that are not. ``factors`` F (K, D, D): F'F is the
    precision.
``missing_moments(X, starts, seen, means, factors, weight, times, mass, first, second)``
    adds to moments about the means, (K,), (K, D) and (K, D, D), with what is missing filled in by its conditional
    mean; ``weight`` (n, K) is that of the rows, ``times`` (R, K) that of the conditional covariances of a run.
``factorise(covariances, inverse, logdet)``
    fills ``inverse`` (n, D, D) and ``logdet`` (n,), see :func:`estep.kernels.reference.gaussian.factorise`; whether it
    could.
``normals(moments, rows, nothing, origin, floor, relative, means, covariances, inverse, logdet)``
    fits K Gaussians to their moments (K, F) about ``origin``, divided by the mass ``rows`` (K,), and fills the last
    four; whether it could: not where a component has less than ``nothing`` of the rows, or may be below ``floor`` (D,),
    ``relative`` of the columns' variances.
``quadratic(mu, inverse, height, radius, weights)``
    fills ``weights`` (K, F), those of Gaussian log-densities, see :func:`estep.kernels.reference.gaussian.quadratic`.
``climb(X, weight, allowed, origin, radius, floor, limits, weights, means, inverse, logdet, loglik, counts, *next)``
    EM steps of a mixture of Gaussians, as many as ``loglik`` (steps,) and ``counts`` (steps, K) have room for, from
    mixing weights (K,), means, inverse factors and log-determinants; ``next``: the means, covariances, inverse factors
    and log-determinants after each step. Returns how many it made: it ends before one in which a component empties, is
    below its floor, or loses digits, or a row is impossible. ``limits``: ``nothing`` and ``relative`` as above, the
    largest size (see ``quadratic``), ``sure`` and what of all rows a component of that weight has at least.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from estep.kernels import native
from estep.kernels.reference import chain, densities, gaussian, missing, mixture, statistics, stream, survey
from estep.kernels.spec import Spec
from estep.statistics import Array

LEVELS = ("reference", "baseline", "v3", "v4")


@dataclass(frozen=True)
class Kernels:
    """The functions of one level."""

    level: str
    log_densities: Callable[..., None]
    accumulate: Callable[..., None]
    mixture: Callable[..., None]
    chain: Callable[..., None]
    viterbi: Callable[..., None]
    survey: Callable[..., tuple[bool, float]]
    draw: Callable[..., None]
    filter: Callable[..., None]
    stream: Callable[[Spec, Array], Any]
    missing_distances: Callable[..., None]
    missing_moments: Callable[..., None]
    factorise: Callable[..., bool]
    normals: Callable[..., bool]
    climb: Callable[..., int]
    quadratic: Callable[..., float]


@cache
def levels() -> tuple[str, ...]:
    """The levels this installation and processor can run, the best last."""
    return ("reference", *(() if native.core is None else native.core.levels()))


@cache
def load(level: str) -> Kernels:
    """The kernels of one level. Raises ValueError for one that does not run here."""
    if level not in levels():
        known = f"it is one of {', '.join(levels())} here" if level in LEVELS else f"levels are {', '.join(LEVELS)}"
        raise ValueError(f"no kernels {level!r}: {known}")
    if level == "reference":
        return Kernels(
            level,
            densities.log_densities,
            statistics.accumulate,
            mixture.mixture,
            chain.chain,
            chain.viterbi,
            survey.survey,
            chain.draw,
            chain.filtered,
            stream.Stream,
            missing.distances,
            missing.moments,
            gaussian.factorise,
            gaussian.normals,
            gaussian.climb,
            gaussian.quadratic,
        )
    core: Any = native.core

    def bound(function: Callable[..., Any]) -> Callable[..., Any]:
        return lambda spec, *args, **more: function(level, spec.native, *args, **more)

    def of_rows(function: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *args: function(level, *args)

    return Kernels(
        level,
        bound(core.log_densities),
        bound(core.accumulate),
        bound(core.mixture),
        bound(core.chain),
        bound(core.viterbi),
        of_rows(core.survey),
        bound(core.draw),
        bound(core.filter),
        lambda spec, trans: core.Stream(level, spec.native, trans),
        of_rows(core.missing_distances),
        of_rows(core.missing_moments),
        core.factorise,
        core.normals,
        of_rows(core.climb),
        core.quadratic,
    )


def prepare(spec: Spec) -> None:
    """Makes what E-steps read of a spec, which threads then share."""
    if active().level != "reference":
        _ = (spec.linear if spec.shares else spec).native


@cache
def active() -> Kernels:
    """The kernels in use: those that ``ESTEP_KERNELS`` names when they are first asked for, else the best. Warns where
    nothing is compiled."""
    asked = os.environ.get("ESTEP_KERNELS", "")
    if asked:
        return load(asked)
    if len(levels()) == 1:
        warnings.warn(
            "estep runs on its NumPy reference kernels, which are slow: no compiler was found when it was installed. "
            "Install GCC or Clang and reinstall estep, or set ESTEP_KERNELS=reference to silence this.",
            RuntimeWarning,
            stacklevel=2,
        )
    return load(levels()[-1])


def log_densities(spec: Spec, X: Array) -> Array:
    """Log-densities (n, K) of the rows ``X`` (n, D)."""
    out = np.empty((len(X), spec.K))
    active().log_densities(spec, X, out)
    return out
