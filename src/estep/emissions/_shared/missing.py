"""Gaussians and rows with missing cells: marginal densities, and what is missing by its conditional distribution.

Exact for every covariance type (Bishop 2006, eq. 2.81, 2.82 and 2.98; Ghahramani & Jordan 1994, "Supervised learning
from incomplete data via an EM approach").
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from estep import kernels
from estep.data.missing import Patterns
from estep.parameters.covariance import upper
from estep.statistics import Array, Statistics


class Normal(Protocol):
    """What is asked of a Gaussian: its parameters, and factors as matrices."""

    @property
    def covariance_type(self) -> str:
        """full, tied, diag or spherical."""

    @property
    def means(self) -> Array | None:
        """(K, D)."""

    @property
    def origin(self) -> Array | None:
        """(D,)."""

    @property
    def full_factors(self) -> Array:
        """Inverse Cholesky factors (K, D, D)."""

    @property
    def logdets(self) -> Array:
        """Log-determinants (K,)."""


class MissingEvaluation:
    """Rows in the order of ``patterns``, seen by the components of a Gaussian.

    ``distances`` (n, K): squared, in the columns that are there; ``logdet`` (R, K): log-determinants of the covariances
    of these columns; ``width`` (R, 1): how many there are.
    """

    def __init__(self, gaussian: Normal, patterns: Patterns) -> None:
        self.gaussian, self.patterns = gaussian, patterns
        means, factors = np.asarray(gaussian.means), gaussian.full_factors
        n, K, R = len(patterns.X), len(means), len(patterns.observed)
        self._arguments = (patterns.X, patterns.starts, patterns.observed, means, factors)
        self.distances, missing = np.empty((n, K)), np.empty((R, K))
        kernels.active().missing_distances(*self._arguments, self.distances, missing)
        self.logdet = gaussian.logdets + missing
        self.width = patterns.observed.sum(axis=1, dtype=np.int64)[:, None]

    def of_rows(self, runs: Array) -> Array:
        """Values of the runs (R, ...) as values of the rows (n, ...)."""
        return np.repeat(runs, self.patterns.lengths, axis=0)

    def add_moments(self, weight: Array, times: Array, s: Statistics) -> None:
        """Adds to the statistics of a Gaussian: rows count ``weight`` (n, K), conditional covariances ``times``."""
        K, D = np.asarray(self.gaussian.means).shape
        mass, first, second = np.zeros(K), np.zeros((K, D)), np.zeros((K, D, D))
        of_runs = np.add.reduceat(times, self.patterns.starts[:-1], axis=0)
        kernels.active().missing_moments(*self._arguments, weight, of_runs, mass, first, second)
        mu = np.asarray(self.gaussian.means) - np.asarray(self.gaussian.origin)
        cross = first[:, :, None] * mu[:, None, :]
        second += cross + cross.swapaxes(1, 2) + mass[:, None, None] * mu[:, :, None] * mu[:, None, :]
        kind, moments = self.gaussian.covariance_type, s["moments"]
        moments[:, 0] += mass
        moments[:, 1 : 1 + D] += first + mass[:, None] * mu
        if kind == "tied":
            s["second"] += second.sum(axis=0)[upper(D)]
        elif kind == "full":
            moments[:, 1 + D :] += second[:, *upper(D)]
        else:
            squares = second.diagonal(axis1=1, axis2=2)
            moments[:, 1 + D :] += squares if kind == "diag" else squares.sum(axis=1, keepdims=True)
