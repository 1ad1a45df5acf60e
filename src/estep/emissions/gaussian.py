"""Gaussian emissions with full, tied, diagonal or spherical covariances.

Statistics are moments about a constant origin (the mean of the data), never about zero, so that an offset of the data
costs no digits. Densities are one product of features and weights; where that would cancel, because clusters are thin
and far apart, they are computed from differences (see ``quadratic``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any, ClassVar, Self

import numpy as np

from estep import kernels
from estep.data.batch import Batch
from estep.data.summary import Summary
from estep.emissions._shared.conjugate import ConjugateEmission
from estep.emissions._shared.known import fill_known, given_known, normal_margins
from estep.emissions._shared.missing import MissingEvaluation
from estep.emissions._shared.quadratic import LOG_2PI, largest, quadratic
from estep.emissions._shared.rows import NOTHING, check_columns, kernel_evaluation, missing
from estep.emissions._shared.slopes import moments_about, of_type, slopes_of_normals
from estep.interface import Climbed, Evaluation, Margin, Notes
from estep.kernels.spec import Spec
from estep.parameters.covariance import (
    RELATIVE,
    RESOLVED,
    SMALL,
    TYPES,
    check,
    clamp,
    factorise,
    full,
    of_variances,
    regularise,
    unpack,
    upper,
    widened,
)
from estep.parameters.domains import Covariances, Numbers, Parameter
from estep.priors import NormalInverseWishart, Prior
from estep.statistics import Array, Layout, Statistics
from estep.util.cached import cached_property

FAR = 1e6
"""How many of their deviations the mean of a prior may be away from the data: squares must not drown these."""

FEW = 2**19
"""Multiply-adds of an E-step up to which several are made in one call: then calls cost more."""


@dataclass(frozen=True, eq=False)
class Gaussian(ConjugateEmission):
    """Means ``means`` (K, D) and ``covariances``, shaped by ``covariance_type``.

    full (K, D, D), tied (D, D), diag (K, D), spherical (K,), as in scikit-learn. ``reg_covar``: None clamps the
    covariances at ``floor`` (D,), 1e-12 of each column's variance; a number is added to their diagonals instead.
    ``origin`` (D,): the point the statistics are taken about.
    """

    covariance_type: str = "full"
    means: Array | None = None
    covariances: Array | None = None
    reg_covar: float | None = None
    origin: Array | None = None
    floor: Array | None = None

    name: ClassVar[str] = "gaussian"
    parameters: ClassVar[tuple[str, ...]] = ("means", "covariances")
    allows_missing: ClassVar[bool] = True
    can_fix_subset: ClassVar[bool] = True
    takes: ClassVar[Mapping[str, tuple[type[Prior], ...]]] = {"means": (NormalInverseWishart,)}

    def __post_init__(self) -> None:
        if self.covariance_type not in TYPES:
            raise ValueError(f"covariance_type is {self.covariance_type!r}: it is one of {', '.join(TYPES)}")
        number = self.reg_covar is None or (isinstance(self.reg_covar, Real) and np.isfinite(self.reg_covar))
        if not number or (self.reg_covar is not None and self.reg_covar < 0):
            raise ValueError(f"reg_covar is {self.reg_covar!r}: it is None or a number from 0")
        shape = np.shape(self.means) if self.means is not None else None
        if shape is not None and len(shape) != 2:
            raise ValueError(f"means has shape {shape}, expected (K, D)")
        self.freeze("means", shape)
        if self.covariances is not None:
            expected = None if shape is None else TYPES[self.covariance_type](*shape)
            found = np.asarray(self.freeze("covariances", expected)).shape
            want = {"full": "(K, D, D)", "tied": "(D, D)", "diag": "(K, D)", "spherical": "(K,)"}[self.covariance_type]
            square = len(found) < 2 or self.covariance_type == "diag" or found[-1] == found[-2]
            if len(found) != want.count("K") + want.count("D") or not square:
                raise ValueError(
                    f"covariances has shape {found}, expected {want} for covariance_type={self.covariance_type!r}"
                )
            check(np.asarray(self.covariances), self.covariance_type)
        D = None if shape is None else (shape[1],)
        if self.origin is None and self.means is not None:
            object.__setattr__(self, "origin", np.mean(self.means, axis=0))
        self.freeze("origin", D)
        self.freeze("floor", D)

    def _means(self) -> Array:
        if self.means is None:
            raise missing(self.name, "means")
        return self.means

    def _covariances(self) -> Array:
        if self.covariances is None:
            raise missing(self.name, "covariances")
        return self.covariances

    @property
    def n_components(self) -> int:
        return len(self._means())

    @property
    def layout(self) -> Layout:
        """moments (K, F): mass, first and second moments about the origin; tied keeps its second moments apart."""
        K, D = self._means().shape
        pairs = D * (D + 1) // 2
        if self.covariance_type == "tied":
            return Layout.of(origin=self.origin, moments=(K, 1 + D), second=(pairs,))
        second = {"full": pairs, "diag": D, "spherical": 1}[self.covariance_type]
        return Layout.of(origin=self.origin, moments=(K, 1 + D + second))

    def describe(self) -> dict[str, Parameter]:
        tied = self.covariance_type == "tied"
        covariances = Parameter(Covariances(self.covariance_type), shared=tied, one="covariance")
        return {"means": Parameter(Numbers(), one="mean"), "covariances": covariances}

    @property
    def work(self) -> int:
        """Tied second moments are taken once, where no cell is missing: reading a row takes as long as its products."""
        return self.layout.size if self.covariance_type != "tied" else 4 * self._means().size

    @property
    def unregularised(self) -> bool:
        return self.reg_covar is None

    @property
    def maximizes(self) -> bool:
        return not self.reg_covar

    def start(self, n_components: int, summary: Summary) -> Self:
        D = len(summary.mean)
        means = np.tile(summary.bulk.mean, (n_components, 1))
        variance = np.maximum(summary.bulk.variance, summary.floor)
        whole = of_variances(variance, self.covariance_type, n_components)
        shape = TYPES[self.covariance_type](n_components, D)
        for name, given, want in (("means", self.means, means.shape), ("covariances", self.covariances, shape)):
            if given is not None and given.shape != want:
                raise ValueError(f"{name} has shape {given.shape}, expected {want}")
        means = means if self.means is None else self.means
        covariances = whole if self.covariances is None else self.covariances
        return self.evolve(means=means, covariances=covariances).adapt(summary)

    def centres(self) -> Array | None:
        return self.means

    def comparable(self, summary: Summary) -> Self:
        """Variances at the floor are the squared scale of their column, divided among the components: s^2 / K^(2/D);
        of matrices, eigenvalues in columns divided by their scales."""
        ready = self.adapt(summary)
        K, D = ready._means().shape
        raised = widened(
            ready._covariances(), self.covariance_type, ready._resolved_floor(), summary.floor, K ** (-2 / D)
        )
        return ready.evolve(covariances=raised)

    def _resolved_floor(self) -> Array:
        """The floor of each component, (K, D): see :meth:`_resolved`."""
        squares = (self._means() - np.asarray(self.origin)) ** 2
        squares = squares.mean(axis=0, keepdims=True) if self.covariance_type == "tied" else squares
        return np.asarray(np.maximum(np.asarray(self.floor), RESOLVED * squares))

    def adapt(self, summary: Summary) -> Self:
        """Origin and floor of the data; covariances below the floor are raised to it."""
        covariances, _ = clamp(self._covariances(), self.covariance_type, summary.floor)
        return self.evolve(covariances=covariances, origin=summary.bulk.mean, floor=summary.floor)

    def evaluate(self, batch: Batch) -> Evaluation:
        spec = self.kernel(batch.summary)
        return (
            self._with_missing(batch, np.zeros(self.n_components)) if spec is None else kernel_evaluation(spec, batch)
        )

    def _with_missing(self, batch: Batch, offset: Array) -> Evaluation:
        """Rows with missing cells; ``offset`` (K,) is added to all log-densities."""
        seen = MissingEvaluation(self, batch.patterns)
        heights = seen.of_rows(offset - 0.5 * (seen.width * LOG_2PI + seen.logdet))

        def accumulate(r: Array, s: Statistics) -> None:
            weight = batch.patterns.sorted(r)
            seen.add_moments(weight, weight, s)

        return Evaluation(batch.patterns.unsorted(heights - 0.5 * seen.distances), accumulate)

    def maximize(self, s: Statistics) -> tuple[Self, Notes]:
        """Weighted means and covariances (Bishop 2006, eq. 9.24 and 9.25), clamped from below."""
        return self.fit_moments(s, s["moments"][:, 0], {})

    def maximize_holding(self, s: Statistics, held: Mapping[str, Array]) -> tuple[Self, Notes]:
        """Covariances about the means that are held; means do not depend on covariances."""
        return self.fit_moments(s, s["moments"][:, 0], held)

    def fit_moments(self, s: Statistics, rows: Array, held: Mapping[str, Array]) -> tuple[Self, Notes]:
        """Means from the moments, covariances about them, divided by the mass of the ``rows`` (K,).

        That is the mass of the moments, but where rows have weights in these that they do not have as rows (Student).
        """
        new = None if held else self._at_once(s["moments"], rows)
        if new is not None:
            return new, ()
        D = self._means().shape[1]
        old, origin = self._covariances(), self.origin
        assert origin is not None
        moments, kind = s["moments"], self.covariance_type
        mass, first = moments[:, 0], moments[:, 1 : 1 + D]
        unseen = np.flatnonzero(rows <= NOTHING * rows.sum())
        safe = rows.copy()
        safe[unseen] = 1.0
        scaled = mass / safe
        own = first / safe[:, None]
        kept = held.get("means")
        centre = own / np.where(scaled > 0, scaled, 1.0)[:, None]
        means = origin + centre
        if unseen.size or kept is not None:
            stay = np.zeros(len(means), bool) if kept is None else kept.copy()
            stay[unseen] = True
            means[stay] = self._means()[stay]
            centre = means - origin
        # the sum of (x - centre)(x - centre)' is second - centre first' - first centre' + mass centre centre'
        twice = scaled[:, None] * centre if kept is None else 2 * own - scaled[:, None] * centre
        if kind == "tied":
            second, total = unpack(s["second"][None], D)[0], rows.sum()
            squares = second.diagonal() / max(total, NOTHING)
            spread = (centre * safe[:, None]).T @ twice
            fresh = (second - (spread + spread.T) / 2) / total if total > 0 else old
        else:
            second = moments[:, 1 + D :] / safe[:, None]
            if kind == "full":
                fresh = unpack(second, D)
                squares = fresh.diagonal(axis1=1, axis2=2).copy()
                for C, one, other in zip(fresh, centre, twice, strict=True):
                    spread = np.outer(one, other)
                    C -= (spread + spread.T) / 2
            elif kind == "diag":
                fresh, squares = second - centre * twice, second
            else:
                squares = second / D
                fresh = (second[:, 0] - (centre * twice).sum(axis=1)) / D
            fresh[unseen] = old[unseen]
        self._fill_constant(fresh)
        covariances, factors, clamped = regularise(fresh, kind, self._resolved(squares), self.reg_covar)
        fixed = held.get("covariances")
        if fixed is not None:
            each = fixed[:1] if kind == "tied" else fixed
            covariances = np.where(each.reshape(-1, *[1] * (old.ndim - 1)), old, covariances)
            factors, clamped = factorise(covariances, kind), [k for k in clamped if not fixed[k]]
        notes = tuple((k, "covariance at its floor") for k in clamped)
        new = self.evolve(means=means, covariances=covariances)
        new.__dict__["factors"] = factors
        return new, notes

    def _fill_constant(self, fresh: Array) -> None:
        """Puts columns in which no component varies at the floor: that is no component's doing."""
        if self.floor is None or self.covariance_type == "spherical":
            return
        matrices = self.covariance_type in ("full", "tied")
        variances = fresh.diagonal(axis1=-2, axis2=-1) if matrices else fresh
        for d in np.flatnonzero((np.atleast_2d(variances) == 0).all(axis=0)):
            fresh[(..., d, d) if matrices else (..., d)] = self.floor[d]

    def _resolved(self, squares: Array) -> Array | None:
        """The floor, raised to what rounding leaves of second moments ``squares``, (D,) or (K, D), about the origin."""
        rounding = RESOLVED * squares
        return self.floor if self.floor is None or (rounding <= self.floor).all() else np.maximum(self.floor, rounding)

    def _at_once(self, moments: Array, rows: Array) -> Self | None:
        """The same in one compiled call, where this takes less time and nothing has to be regularised; else None."""
        old, kind = self._covariances(), self.covariance_type
        K, D = self._means().shape
        if self.reg_covar or not (kind == "diag" or (kind == "full" and D <= SMALL)):
            return None
        means = np.empty((K, D))
        covariances, inverse, logdet = np.empty(old.shape), np.empty(old.shape), np.empty(K)
        sums = np.ascontiguousarray(moments), np.ascontiguousarray(rows), NOTHING, self.origin, self.floor, RELATIVE
        if not kernels.active().normals(*sums, means, covariances, inverse, logdet):
            return None
        new = self.evolve(means=means, covariances=covariances)
        if kind == "full":  # else logarithms may differ in their last bit from what a loaded model finds
            new.__dict__["factors"] = inverse, logdet
        return new

    def climb(self, batch: Batch, weights: Array, steps: int, sure: float, hardly: float) -> Climbed | None:
        kind, summary, (K, D) = self.covariance_type, batch.summary, self._means().shape
        small = kind == "diag" or (kind == "full" and D <= SMALL)
        if type(self) is not Gaussian or self.reg_covar or not small or summary.missing or batch.X.dtype != np.float64:
            return None
        if batch.X.size * self.layout.size > FEW * D:
            return None
        loglik, counts, means, logdets = (np.empty((steps, *shape)) for shape in ((), (K,), (K, D), (K,)))
        covariances, inverses = (np.empty((steps, *self._covariances().shape)) for _ in range(2))
        origin, factors = np.asarray(self.origin), self.factors
        made = kernels.active().climb(
            batch.X, batch.weights, batch.allowed(K), origin, summary.radius(origin), self.floor,
            (NOTHING, RELATIVE, largest(D), sure, hardly), weights, self._means(), *factors,
            loglik, counts, means, covariances, inverses, logdets,
        )  # fmt: skip

        def emission(i: int) -> Gaussian:
            new = self.evolve(means=means[i], covariances=covariances[i])
            if kind == "full":
                new.__dict__["factors"] = inverses[i], logdets[i]
            return new

        return Climbed(loglik[:made], counts[:made], emission)

    def margins(self, rows: Array | None = None) -> Sequence[Margin]:
        return normal_margins(*self.given_known(rows)[:2])

    def given_known(self, rows: Array | None) -> tuple[Array, Array, Array]:
        """Means and variances (..., K, D) given what is known of rows, and its squared distances (n, K)."""
        return given_known(rows, self._means(), self.as_full())

    def as_full(self) -> Array:
        """Covariances (K, D, D)."""
        return full(self._covariances(), self.covariance_type, *self._means().shape)

    def of_columns(self, columns: Sequence[int]) -> Self:
        some, C, kind = list(columns), self._covariances(), self.covariance_type
        if kind != "spherical":
            C = C[:, some] if kind == "diag" else C[..., some, :][..., some]
        origin, floor = (None if x is None else x[some] for x in (self.origin, self.floor))
        return type(self)(kind, self._means()[:, some], C, self.reg_covar, origin, floor)

    def fill(self, rows: Array, states: Array, rng: np.random.Generator) -> Array:
        return fill_known(rows, states, self._means()[states], self.as_full(), rng)

    def slopes(self, s: Statistics) -> dict[str, Array]:
        return self.slopes_of(s, s["moments"][:, 0])

    def slopes_of(self, s: Statistics, rows: Array) -> dict[str, Array]:
        """As :meth:`slopes`, with a determinant for each of ``rows`` (K,); see :meth:`fit_moments`."""
        of_means, of_covariances = slopes_of_normals(self.about_means(s), self.full_factors, rows)
        return {"means": of_means, "covariances": of_type(of_covariances, self.covariance_type)}

    def about_means(self, s: Statistics) -> tuple[Array, Array]:
        """First (K, D) and second moments (K, D, D) about the means, see :func:`moments_about`."""
        return moments_about(self._means() - np.asarray(self.origin), s, self.covariance_type)

    def sample(self, states: Array, rng: np.random.Generator) -> Array:
        means = self._means()
        L = np.linalg.cholesky(self.as_full())
        z = rng.standard_normal((len(states), means.shape[1]))
        out = np.empty_like(z)
        for k in range(len(means)):
            mine = states == k
            out[mine] = means[k] + z[mine] @ L[k].T
        return out

    @cached_property
    def factors(self) -> tuple[Array, Array]:
        """Inverse Cholesky factors (or inverse deviations) and log-determinants of the covariances."""
        return factorise(self._covariances(), self.covariance_type)

    @cached_property
    def full_factors(self) -> Array:
        """The factors as matrices (K, D, D) for every type."""
        return np.ascontiguousarray(full(self.factors[0], self.covariance_type, *self._means().shape))

    @cached_property
    def logdets(self) -> Array:
        """Log-determinants (K,) of the covariances, whatever their type."""
        columns = self.n_columns if self.covariance_type == "spherical" else 1
        return np.broadcast_to(self.factors[1] * columns, (self.n_components,))

    @property
    def rounding(self) -> float:
        """The condition of the worst covariance, in units of its deviations, times the rounding unit."""
        inverse, _ = self.factors
        if self.covariance_type in ("diag", "spherical"):
            return 0.0
        variances = np.diagonal(self._covariances(), axis1=-2, axis2=-1)
        precisions = (inverse**2).sum(axis=-2)
        trace = (precisions * variances).sum(axis=-1)
        if self.covariance_type == "tied":  # what all share is a difference of squares of means
            trace = trace + precisions @ ((self._means() - np.asarray(self.origin)) ** 2).mean(axis=0)
        return 4 * float(np.finfo(float).eps * np.max(trace))

    def kernel(self, summary: Summary) -> Spec | None:
        """None where cells are missing; see :func:`quadratic`."""
        if summary.missing:
            return None
        means, origin, kind = self._means(), self.origin, self.covariance_type
        assert origin is not None
        D = means.shape[1]
        inverse, logdet = self.factors
        if kind == "spherical":
            inverse, logdet = np.repeat(inverse[:, None], D, axis=1), logdet * D
        return quadratic(kind, means - origin, inverse, -0.5 * (D * LOG_2PI + logdet), origin, summary)

    def default_prior(self, summary: Summary, variational: bool) -> dict[str, Prior]:
        """Fraley & Raftery 2007, "Bayesian regularization for normal mixture estimation": a hundredth of a row at the
        data's mean, and the least rows for a covariance, of which each component has its share of the volume."""
        K, D = self._means().shape
        variance = np.maximum(summary.variance, summary.floor) / K ** (2 / D)
        scale = variance.mean() if self.covariance_type == "spherical" else variance
        return {"means": NormalInverseWishart(summary.mean, 0.01, D + 2, scale)}

    def check_prior(self, prior: Mapping[str, Any]) -> dict[str, Prior]:
        shaped = prior["means"].shaped(self.covariance_type, *self._means().shape)
        if self.floor is not None and self.origin is not None:
            far = np.abs(shaped.mean - self.origin) > FAR * np.sqrt(self.floor / RELATIVE)
            if far.any():
                d = int(np.argwhere(far)[0][-1])
                raise ValueError(
                    f"the prior of means has the mean {shaped.mean[far][0]:g} for column {d}, more than {FAR:g} of the "
                    "data's deviations away from them"
                )
        return {"means": shaped}

    def update(self, prior: Mapping[str, Any], s: Statistics) -> dict[str, Prior]:
        moments, D, origin = s["moments"], self._means().shape[1], self.origin
        assert origin is not None
        second = s["second"] if self.covariance_type == "tied" else moments[:, 1 + D :]
        return {"means": prior["means"].update(moments[:, 0], moments[:, 1 : 1 + D], second, origin)}

    def mode(self, q: Mapping[str, Any]) -> tuple[Self, Notes]:
        return self._at(q["means"], q["means"].mode_dofs)

    def mean(self, q: Mapping[str, Any]) -> tuple[Self, Notes]:
        """Expected means, and covariances that are the inverse of the expected precisions."""
        return self._at(q["means"], q["means"].dofs)

    def _at(self, q: NormalInverseWishart, dofs: Array) -> tuple[Self, Notes]:
        covariances, factors, notes = q.covariances(dofs, self.floor)
        new = self.evolve(means=q.mean, covariances=covariances)
        new.__dict__["factors"] = factors
        return new, notes

    def log_prior(self, prior: Mapping[str, Any]) -> float:
        return float(prior["means"].log_density(self._means(), self._covariances()))

    def expected(self, q: Mapping[str, Any], summary: Summary) -> Spec | None:
        spec = self.kernel(summary)
        return None if spec is None else spec.shifted(q["means"].offset())

    def evaluate_expected(self, q: Mapping[str, Any], batch: Batch) -> Evaluation:
        spec = self.expected(q, batch.summary)
        return self._with_missing(batch, q["means"].offset()) if spec is None else kernel_evaluation(spec, batch)

    def expected_statistics(self, mass: Array) -> Statistics:
        s, means, C, kind = Statistics.zeros(self.layout), self._means(), self._covariances(), self.covariance_type
        K, D = means.shape
        mu = means - np.asarray(self.origin)
        square = mu[:, :, None] * mu[:, None, :] + full(C, kind, K, D)
        i, j = upper(D)
        packed = {"full": square[:, i, j], "tied": square[:, i, j], "diag": square.diagonal(axis1=1, axis2=2)}
        second = packed.get(kind, np.trace(square, axis1=1, axis2=2)[:, None])
        first = np.hstack([np.ones((K, 1)), mu])
        if kind == "tied":
            s["moments"], s["second"] = first * mass[:, None], mass @ second
        else:
            s["moments"] = np.hstack([first, second]) * mass[:, None]
        return s

    def validate(self, batch: Batch) -> None:
        if self.means is not None:
            check_columns(batch, self.means.shape[1])
