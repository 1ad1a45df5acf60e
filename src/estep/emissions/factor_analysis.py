"""Factor analysis: Gaussians whose covariances are of low rank but for the noise of each column.

x = mean + loadings z + noise, with z standard normal in a few dimensions: D (R + 1) numbers in place of D (D + 1) / 2.
Noise of one size for all columns is probabilistic principal components (Tipping & Bishop 1999). The E-step is that of a
full Gaussian, and so are the statistics; only the M-step knows of factors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from estep.data.batch import Batch
from estep.data.summary import Summary
from estep.emissions._shared.rows import NOTHING, check_columns, missing
from estep.emissions._shared.slopes import of_type, slopes_of_normals
from estep.emissions.gaussian import Gaussian
from estep.interface import Emission, Evaluation, Margin, Notes
from estep.kernels.spec import Spec
from estep.parameters.covariance import NEAR, RELATIVE
from estep.parameters.domains import ABOVE_0, Loadings, Numbers, Parameter
from estep.statistics import Array, Layout, Statistics
from estep.util.cached import cached_property
from estep.util.numbers import as_whole

NOISES = ("diag", "spherical")
TINY, RIDGE, FARTHEST = 1e-300, 1e-4, 3.0
SWEEPS, CLOSE = 12, 1e-9
"""Of an M-step's own iterations: how many at most, and the relative change of the noise that ends them."""

SMALL_NOISE = 1e-14
"""The least noise beside what the factors explain of a column."""


@dataclass(frozen=True, eq=False)
class FactorAnalysis(Emission):
    """``means`` (K, D), ``loadings`` (K, D, R) and ``noise_variance``: covariances are L L' + diag(noise).

    ``n_factors``: R. ``noise_type``: "diag", each column has its own noise (K, D); "spherical", all have one (K,), and
    R < D.
    """

    n_factors: int = 1
    noise_type: str = "diag"
    means: Array | None = None
    loadings: Array | None = None
    noise_variance: Array | None = None
    origin: Array | None = None
    floor: Array | None = None

    name: ClassVar[str] = "factor_analysis"
    parameters: ClassVar[tuple[str, ...]] = ("means", "loadings", "noise_variance")
    allows_missing: ClassVar[bool] = True
    can_fix_subset: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.noise_type not in NOISES:
            raise ValueError(f"noise_type is {self.noise_type!r}: it is one of {', '.join(NOISES)}")
        object.__setattr__(self, "n_factors", as_whole("n_factors", self.n_factors))
        shape = None if self.means is None else np.shape(self.means)
        if shape is not None and len(shape) != 2:
            raise ValueError(f"means has shape {shape}, expected (K, D)")
        self.freeze("means", shape)
        self.freeze("loadings", None if shape is None else (*shape, self.n_factors))
        noise = self.freeze("noise_variance", shape[:1] if shape and self.noise_type == "spherical" else shape)
        if noise is not None:
            self.describe()["noise_variance"].domain.check("noise_variance", noise)
        if noise is not None and self.loadings is not None:
            common = (self.loadings**2).sum(axis=2)
            low = (noise if noise.ndim == 2 else noise[:, None]) < SMALL_NOISE * common
            if low.any():
                k, d = (int(i) for i in np.argwhere(low)[0])
                raise ValueError(
                    f"noise_variance of component {k} is less than {SMALL_NOISE:g} of what the factors explain of "
                    f"column {d} ({common[k, d]:g}): covariances are singular to rounding"
                )
        D = None if shape is None else shape[1:]
        self._check_columns(None if shape is None else shape[1])
        self.freeze("origin", D)
        self.freeze("floor", D)

    def _check_columns(self, D: int | None) -> None:
        if D is not None and self.n_factors > D - (self.noise_type == "spherical"):
            most = "at most" if self.noise_type == "diag" else "below"
            raise ValueError(
                f"n_factors is {self.n_factors}: with {D} columns and {self.noise_type} noise it is {most} {D}"
            )

    def _known(self) -> tuple[Array, Array, Array]:
        """Means, loadings, and the noise of each column (K, D)."""
        for name in self.parameters:
            if self.values()[name] is None:
                raise missing(self.name, name)
        assert self.means is not None and self.loadings is not None and self.noise_variance is not None
        noise = self.noise_variance if self.noise_type == "diag" else self.noise_variance[:, None]
        return self.means, self.loadings, np.broadcast_to(noise, self.means.shape)

    @cached_property
    def gaussian(self) -> Gaussian:
        """The same with full covariances."""
        means, loadings, noise = self._known()
        C = loadings @ loadings.swapaxes(1, 2)
        np.einsum("kdd->kd", C)[...] += noise
        one = Gaussian(means=means, origin=self.origin)
        return one.evolve(covariances=C, floor=self.floor)

    def comparable(self, summary: Summary) -> Self:
        """Noise at its floor is the squared scale of its column, divided among the components."""
        means, _, noise = self._known()
        K, D = means.shape
        raised = np.where(noise <= NEAR * summary.floor, summary.floor / RELATIVE * K ** (-2 / D), noise)
        return self.evolve(noise_variance=self._stored(raised))

    def describe(self) -> dict[str, Parameter]:
        loadings = Parameter(Loadings(own_noise=self.noise_type == "diag"), one="loading")
        noise = Parameter(Numbers(ABOVE_0), one="noise variance")
        return {"means": Parameter(Numbers(), one="mean"), "loadings": loadings, "noise_variance": noise}

    @property
    def covariances(self) -> Array:
        """L L' + diag(noise), (K, D, D)."""
        return np.asarray(self.gaussian.covariances)

    @property
    def n_components(self) -> int:
        return len(self._known()[0])

    @property
    def layout(self) -> Layout:
        """That of a full Gaussian."""
        return self.gaussian.layout

    @property
    def rounding(self) -> float:
        """Of densities, and of the M-step, whose eigenvalues are in units of the noise."""
        variances = np.diagonal(self.covariances, axis1=1, axis2=2)
        largest = float(np.max((variances / self._known()[2]).sum(axis=1)))
        return max(self.gaussian.rounding, 4 * float(np.finfo(float).eps) * largest)

    def start(self, n_components: int, summary: Summary) -> Self:
        D = len(summary.mean)
        variance = np.maximum(summary.bulk.variance, summary.floor)
        fresh = {
            "means": np.tile(summary.bulk.mean, (n_components, 1)),
            "loadings": np.zeros((n_components, D, self.n_factors)),
            "noise_variance": self._stored(np.tile(_of_type(variance, self.noise_type), (n_components, 1))),
        }
        given = {name: value for name, value in self.values().items() if value is not None}
        return self.with_values(**(fresh | given)).adapt(summary)

    def _stored(self, noise: Array) -> Array:
        return noise if self.noise_type == "diag" else np.ascontiguousarray(noise[:, 0])

    def adapt(self, summary: Summary) -> Self:
        noise = np.maximum(self._known()[2], _of_type(summary.floor, self.noise_type))
        return self.evolve(noise_variance=self._stored(noise), origin=summary.bulk.mean, floor=summary.floor)

    def evaluate(self, batch: Batch) -> Evaluation:
        return self.gaussian.evaluate(batch)

    def kernel(self, summary: Summary) -> Spec | None:
        return self.gaussian.kernel(summary)

    def maximize(self, s: Statistics) -> tuple[Self, Notes]:
        """Means and covariances of the rows, then the loadings and noise that come near these; see :func:`_near`."""
        return self.maximize_holding(s, {})

    def maximize_holding(self, s: Statistics, held: Mapping[str, Array]) -> tuple[Self, Notes]:
        _, loadings, noise = (x.copy() for x in self._known())
        mass = s["moments"][:, 0]
        whole, _ = self.gaussian.fit_moments(s, mass, {name: held[name] for name in held if name == "means"})
        S, none = np.asarray(whole.covariances), np.zeros(len(mass), bool)
        least = np.full(S.shape[1], TINY) if self.floor is None else _of_type(self.floor, self.noise_type)
        seen = mass > NOTHING * mass.sum()
        stay, quiet = (held.get(name, none) for name in ("loadings", "noise_variance"))
        for combination in ((False, False), (False, True), (True, False)):
            some = np.flatnonzero(seen & (stay == combination[0]) & (quiet == combination[1]))
            if some.size:
                loadings[some], noise[some] = _near(
                    S[some], loadings[some], noise[some], least, self.noise_type, combination
                )
        low = seen & ~quiet & (noise <= least).any(axis=1)
        notes = tuple((int(k), "noise variance at its floor") for k in np.flatnonzero(low))
        return self.evolve(means=np.asarray(whole.means), loadings=loadings, noise_variance=self._stored(noise)), notes

    def margins(self, rows: Array | None = None) -> Sequence[Margin]:
        return self.gaussian.margins(rows)

    def of_columns(self, columns: Sequence[int]) -> Self:
        some, (means, loadings, noise) = list(columns), self._known()
        kind = self.noise_type if len(some) > self.n_factors else "diag"  # spherical noise wants more columns
        own = noise[:, some] if kind == "diag" else noise[:, 0]
        return type(self)(self.n_factors, kind, means[:, some], loadings[:, some], own)

    def fill(self, rows: Array, states: Array, rng: np.random.Generator) -> Array:
        return self.gaussian.fill(rows, states, rng)

    def slopes(self, s: Statistics) -> dict[str, Array]:
        gaussian, rows = self.gaussian, s["moments"][:, 0]
        of_means, C = slopes_of_normals(gaussian.about_means(s), gaussian.full_factors, rows)
        noise = of_type(C, self.noise_type)
        return {"means": of_means, "loadings": 2 * C @ np.asarray(self.loadings), "noise_variance": noise}

    def sample(self, states: Array, rng: np.random.Generator) -> Array:
        means, loadings, noise = self._known()
        z = rng.standard_normal((len(states), self.n_factors))
        e = rng.standard_normal((len(states), means.shape[1]))
        return np.asarray(means[states] + (loadings[states] @ z[:, :, None])[:, :, 0] + e * np.sqrt(noise[states]))

    def validate(self, batch: Batch) -> None:
        self._check_columns(batch.X.shape[1])
        if self.means is not None:
            check_columns(batch, self.means.shape[1])


def _of_type(noise: Array, noise_type: str) -> Array:
    """Noise (..., D) of each column as its type wants it."""
    return noise if noise_type == "diag" else np.broadcast_to(noise.mean(axis=-1, keepdims=True), noise.shape)


def _near(
    S: Array,
    L: Array,
    noise: Array,
    least: Array,
    noise_type: str,
    held: tuple[bool, bool],
) -> tuple[Array, Array]:
    """Loadings and noise for covariances S (n, D, D), whose expected log-likelihood is not below that of those given.

    ``held``: whether loadings, noise stay. Spherical noise is exact at once (Bishop 2006, eq. 12.46).
    """
    stay, quiet = held
    if stay:
        return L, _beside(S, L, noise, least, noise_type)
    if quiet:
        return _loadings(noise, *_whitened(S, noise), L.shape[2]), noise
    if noise_type == "spherical":
        mean = np.linalg.eigvalsh(S)[:, : S.shape[1] - L.shape[2]].mean(axis=1)
        noise = np.maximum(mean[:, None], least)
        return _loadings(noise, *_whitened(S, noise), L.shape[2]), noise
    return _both(S, L.shape[2], noise, least)


def _whitened(S: Array, noise: Array) -> tuple[Array, Array]:
    """Eigenvalues, the smallest first, and eigenvectors of S (n, D, D) in units of the noise (n, D)."""
    scale = np.sqrt(noise)
    values, vectors = np.linalg.eigh(S / scale[:, :, None] / scale[:, None, :])
    return np.maximum(values, TINY), vectors


def _loadings(noise: Array, values: Array, vectors: Array, R: int) -> Array:
    """The best loadings (n, D, R) for this noise (Bishop 2006, eq. 12.45): the longest first, the largest positive."""
    size = np.sqrt(np.maximum(values[:, None, -R:] - 1, 0.0))
    L = (np.sqrt(noise)[:, :, None] * vectors[:, :, -R:] * size)[:, :, ::-1]
    largest = np.take_along_axis(L, np.abs(L).argmax(axis=1)[:, None], axis=1)
    return np.ascontiguousarray(np.where(largest < 0, -L, L))


def _both(S: Array, R: int, noise: Array, least: Array) -> tuple[Array, Array]:
    """Newton's method on the log of the noise, with the best loadings for each (Joereskog 1967).

    Where it leads up the objective, a step of EM (eq. 12.70; Rubin & Thayer 1982) from the point before takes its
    place.
    """
    D, squares = S.shape[1], S.diagonal(axis1=1, axis2=2)
    L, best, lowest = np.zeros((*noise.shape, R)), noise, np.full(len(S), np.inf)
    back, done = noise, np.zeros(len(S), bool)
    for _ in range(SWEEPS):
        values, vectors = _whitened(S, noise)
        beside = (np.arange(D) < D - R) | (values < 1)  # what the factors leave to the noise
        objective = np.log(noise).sum(axis=1) + np.where(beside, values, 1.0 + np.log(values)).sum(axis=1)
        good = objective <= lowest + 1e-12 * np.abs(lowest, where=np.isfinite(lowest), out=np.zeros(len(S)))
        L = np.where(good[:, None, None], _loadings(noise, values, vectors, R), L)
        best, lowest = np.where(good[:, None], noise, best), np.minimum(objective, lowest)
        slope = (np.where(beside, 1 - values, 0.0)[:, None, :] * vectors**2).sum(axis=2)
        curvature = ((vectors * beside[:, None, :]) @ vectors.swapaxes(1, 2)) ** 2
        stuck = (noise <= least) & (slope > 0)
        slope[stuck] = 0.0
        curvature[stuck[:, :, None] | stuck[:, None, :]] = 0.0
        steep = np.einsum("kdd->kd", curvature)  # no column of its own goes farther than FARTHEST
        steep[...] = np.maximum(steep, np.abs(slope) / FARTHEST) * (1 + RIDGE) + TINY
        step = np.linalg.solve(curvature, slope[:, :, None])[:, :, 0]
        newton = np.maximum(noise * np.exp(-np.clip(step, -FARTHEST, FARTHEST)), least)
        done |= good & (np.abs(newton - noise) <= CLOSE * noise).all(axis=1)
        if done.all():
            break
        noise = np.where(done[:, None], noise, np.where(good[:, None], newton, back))
        back = np.where(good[:, None], np.maximum(squares - (L**2).sum(axis=2), least), back)
    return L, best


def _beside(S: Array, L: Array, noise: Array, least: Array, noise_type: str) -> Array:
    """The noise beside loadings that stay, by steps of EM (eq. 12.66 to 12.70)."""
    squares = S.diagonal(axis1=1, axis2=2)
    for _ in range(SWEEPS):
        C = L @ L.swapaxes(1, 2)
        np.einsum("kdd->kd", C)[...] += noise
        beta = np.linalg.solve(C, L).swapaxes(1, 2)  # E z = beta (x - mean)
        cross = beta @ S
        zz = np.eye(L.shape[2]) - beta @ L + cross @ beta.swapaxes(1, 2)
        left = squares + np.einsum("kdr,krd->kd", L, zz @ L.swapaxes(1, 2) - 2 * cross)
        noise = np.maximum(_of_type(left, noise_type), least)
    return noise
