"""What a parameter may be: its domain, how many coordinates of it are free, and these without bounds."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np

from estep.parameters.covariance import check as check_covariances
from estep.statistics import Array

ABOVE_0 = float(np.nextafter(0.0, 1.0))


class Domain(ABC):
    """The values that a parameter may take. ``value`` is (n, ...), a row a component, wherever it is asked for."""

    @abstractmethod
    def check(self, name: str, value: Array) -> None:
        """Raises ValueError naming an entry that is outside; ``value`` as the parameter has it."""

    @abstractmethod
    def count(self, value: Array, support: Array | None) -> int:
        """Free coordinates of the components given; ``support``: which entries may be other than zero."""

    @abstractmethod
    def pack(self, value: Array, support: Array | None) -> Array:
        """Coordinates without bounds, one after the other; infinite at the edge of the domain."""

    @abstractmethod
    def unpack(self, coordinates: Array, like: Array, support: Array | None) -> Array:
        """The reverse of :meth:`pack`, in the chart of ``like``."""

    @abstractmethod
    def pull(self, slope: Array, value: Array, like: Array, support: Array | None) -> Array:
        """The slope of a function of ``value`` as that of its coordinates in the chart of ``like``: as :meth:`pack` has
        them. Of matrices ``slope`` is symmetric: the change is the sum of slope times change over all entries."""

    def limits(self, value: Array, width: Array) -> tuple[Array, Array]:
        """What is ``width`` below and above each entry, on a scale without bounds."""
        return value - width, value + width

    @abstractmethod
    def size(self, value: Array, support: Array | None) -> int:
        """How many coordinates :meth:`pack` gives: :meth:`count`, but where some of them change nothing."""


@dataclass(frozen=True)
class Numbers(Domain):
    """Each entry by itself, from ``least`` to ``most``."""

    least: float = -np.inf
    most: float = np.inf

    def check(self, name: str, value: Array) -> None:
        bad = (value < self.least) | (value > self.most)
        if bad.any():
            where = [int(i) for i in np.argwhere(bad)[0]]
            lower = "above 0" if self.least == ABOVE_0 else f"from {self.least:g}"
            upper = f" to {self.most:g}" if self.most < np.inf else ""
            raise ValueError(f"{name}{where} is {value[tuple(where)]}: it is {lower}{upper}")

    def count(self, value: Array, support: Array | None) -> int:
        return int(value.size)

    def size(self, value: Array, support: Array | None) -> int:
        return int(value.size)

    def pack(self, value: Array, support: Array | None) -> Array:
        x = value.ravel()
        if self.least == -np.inf:
            return x
        low = 0.0 if self.least == ABOVE_0 else self.least
        with np.errstate(divide="ignore"):
            return np.asarray(np.log(x - low) - (np.log(self.most - x) if self.most < np.inf else 0.0))

    def limits(self, value: Array, width: Array) -> tuple[Array, Array]:
        if self.least == -np.inf:
            return value - width, value + width
        low = 0.0 if self.least == ABOVE_0 else self.least
        return _between(low, self.most, value, width)

    def pull(self, slope: Array, value: Array, like: Array, support: Array | None) -> Array:
        x, g = value.ravel(), slope.ravel()
        if self.least == -np.inf:
            return g
        low = 0.0 if self.least == ABOVE_0 else self.least
        return np.asarray(g * (x - low) * ((self.most - x) / (self.most - low) if self.most < np.inf else 1.0))

    def unpack(self, coordinates: Array, like: Array, support: Array | None) -> Array:
        z = coordinates.reshape(like.shape)
        if self.least == -np.inf:
            return z
        low = 0.0 if self.least == ABOVE_0 else self.least
        if self.most == np.inf:
            return np.asarray(np.maximum(low + np.exp(z), self.least))
        share = np.exp(-np.logaddexp(0.0, -z))
        return np.asarray(np.clip(low + (self.most - low) * share, self.least, self.most))


@dataclass(frozen=True)
class Angles(Numbers):
    """Angles in radians, which come round again after 2 pi."""

    def unpack(self, coordinates: Array, like: Array, support: Array | None) -> Array:
        z = coordinates.reshape(like.shape)
        return np.asarray(np.remainder(z + np.pi, 2 * np.pi) - np.pi)


@dataclass(frozen=True)
class Loadings(Numbers):
    """Loadings (D, R) of factors, which a rotation of the factors does not change; with the noise, of each column
    (``own_noise``) or of all, they are no more parameters than a covariance has."""

    own_noise: bool = True

    def count(self, value: Array, support: Array | None) -> int:
        D, R = value.shape[-2:]
        free = min(D * R - R * (R - 1) // 2, D * (D + 1) // 2 - (D if self.own_noise else 1))
        return int(free * np.prod(value.shape[:-2], dtype=np.int64))


@dataclass(frozen=True)
class Probabilities(Domain):
    """Numbers from 0 that add up to 1: along the last axis, or ``across`` the components."""

    across: bool = False

    def check(self, name: str, value: Array) -> None:
        if (value < 0).any():
            where = [int(i) for i in np.argwhere(value < 0)[0]]
            raise ValueError(f"{name}{where} is {value[tuple(where)]}: probabilities are not negative")
        totals = np.atleast_1d(value.sum(axis=-1))
        if (np.abs(totals - 1) > 1e-6).any():
            row = int(np.argmax(np.abs(totals - 1)))
            place = f"row {row} of {name}" if value.ndim > 1 else name
            raise ValueError(f"{place} adds up to {totals.ravel()[row]}, not to 1")

    def limits(self, value: Array, width: Array) -> tuple[Array, Array]:
        return _between(0.0, 1.0, value, width)

    def _rows(self, value: Array, support: Array | None) -> tuple[Array, Array]:
        rows = value.reshape(1, -1) if self.across else value.reshape(-1, value.shape[-1])
        return rows, rows > 0 if support is None else support.reshape(rows.shape)

    def count(self, value: Array, support: Array | None) -> int:
        return int(np.maximum(self._rows(value, support)[1].sum(axis=1) - 1, 0).sum()) if value.size else 0

    def size(self, value: Array, support: Array | None) -> int:
        return self.count(value, support)

    def pack(self, value: Array, support: Array | None) -> Array:
        """Logarithms of the ratios to each row's largest."""
        rows, allowed = self._rows(value, support) if value.size else (value, value > 0)
        if not value.size:
            return np.zeros(0)
        with np.errstate(divide="ignore"):
            logs = np.log(rows) - np.log(rows.max(axis=1, keepdims=True))
        return np.asarray(logs[self._free(rows, allowed)])

    def pull(self, slope: Array, value: Array, like: Array, support: Array | None) -> Array:
        if not value.size:
            return np.zeros(0)
        (chart, allowed), p = self._rows(like, support), self._rows(value, support)[0]
        g = np.where(p > 0, slope.reshape(p.shape), 0.0)
        mean = (p * g).sum(axis=1, keepdims=True) / p.sum(axis=1, keepdims=True)
        return np.asarray((p * (g - mean))[self._free(chart, allowed)])

    @staticmethod
    def _free(rows: Array, allowed: Array) -> Array:
        return np.asarray(allowed & (np.arange(rows.shape[1]) != rows.argmax(axis=1)[:, None]))

    def unpack(self, coordinates: Array, like: Array, support: Array | None) -> Array:
        if not like.size:
            return like
        rows, allowed = self._rows(like, support)
        logs = np.where(np.arange(rows.shape[1]) == rows.argmax(axis=1)[:, None], 0.0, -np.inf)
        logs[self._free(rows, allowed)] = coordinates
        p = np.exp(logs - logs.max(axis=1, keepdims=True))
        total = rows.sum(axis=1, keepdims=True)  # of what is free; 1 but for components that are held
        return np.asarray((p / p.sum(axis=1, keepdims=True) * total).reshape(like.shape))


@dataclass(frozen=True)
class Covariances(Domain):
    """Covariances of a type: see :mod:`estep.parameters.covariance`."""

    kind: str

    def limits(self, value: Array, width: Array) -> tuple[Array, Array]:
        low, high = value - width, value + width
        variances = np.ones(value.shape, bool)
        if self._matrices:
            variances = np.broadcast_to(np.eye(value.shape[-1], dtype=bool), value.shape)
        positive = _between(0.0, np.inf, np.where(variances, value, 1.0), width)
        return np.where(variances, positive[0], low), np.where(variances, positive[1], high)

    @property
    def _matrices(self) -> bool:
        return self.kind in ("full", "tied")

    def check(self, name: str, value: Array) -> None:
        check_covariances(value, self.kind)

    def count(self, value: Array, support: Array | None) -> int:
        D = value.shape[-1] if self._matrices else 1
        return value.size // D * (D + 1) // 2

    def size(self, value: Array, support: Array | None) -> int:
        return self.count(value, support)

    def pack(self, value: Array, support: Array | None) -> Array:
        """Logarithms of variances; of matrices, the Cholesky factor with logarithms on its diagonal."""
        if not self._matrices:
            return np.log(value).ravel()
        D = value.shape[-1]
        L = np.linalg.cholesky(value.reshape(-1, D, D))
        i, j = np.tril_indices(D)
        entries = L[:, i, j]
        entries[:, i == j] = np.log(entries[:, i == j])
        return np.asarray(entries.ravel())

    def pull(self, slope: Array, value: Array, like: Array, support: Array | None) -> Array:
        if not self._matrices:
            return np.asarray((slope * value).ravel())
        D = value.shape[-1]
        L = np.linalg.cholesky(value.reshape(-1, D, D))
        i, j = np.tril_indices(D)
        entries = (2 * slope.reshape(-1, D, D) @ L)[:, i, j]
        entries[:, i == j] *= L[:, i, j][:, i == j]
        return np.asarray(entries.ravel())

    def unpack(self, coordinates: Array, like: Array, support: Array | None) -> Array:
        if not self._matrices:
            return np.exp(coordinates).reshape(like.shape)
        D = like.shape[-1]
        i, j = np.tril_indices(D)
        entries = coordinates.reshape(-1, len(i)).copy()
        entries[:, i == j] = np.exp(entries[:, i == j])
        L = np.zeros((len(entries), D, D))
        L[:, i, j] = entries
        return np.asarray((L @ L.swapaxes(1, 2)).reshape(like.shape))


def _between(low: float, high: float, value: Array, width: Array) -> tuple[Array, Array]:
    """What is ``width`` below and above, on the scale of log(x - low), less log(high - x) where that is finite."""
    up, down = value - low, (high - value if high < np.inf else np.ones(value.shape))
    with np.errstate(divide="ignore", invalid="ignore"):
        slope = 1 / up + (1 / down if high < np.inf else 0.0)
        z = np.log(up) - np.log(down)
        ends = [np.exp(z - slope * width), np.exp(z + slope * width)]
        return tuple(low + e if high == np.inf else low + (high - low) * e / (1 + e) for e in ends)  # type: ignore[return-value]


def ratios(counts: Array, p: Array) -> Array:
    """The slope of sum of counts log p; 0 where p is."""
    return np.asarray(np.where(p > 0, counts / np.where(p > 0, p, 1.0), 0.0))


@dataclass(frozen=True)
class Parameter:
    """What a parameter is. ``shared``: all components have one. ``derived``: it follows from the others. ``one``: what
    one component's is called, where that is not its name."""

    domain: Domain
    shared: bool = False
    derived: bool = False
    one: str = ""
