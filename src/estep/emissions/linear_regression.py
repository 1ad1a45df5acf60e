"""Linear regression: the observation given covariates, a line (or plane) with Gaussian errors for each state.

Rows are covariates and observation side by side; the moments of both together are all that an M-step needs. An
autoregressive chain has lagged observations for covariates (:func:`estep.lagged`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np

from estep.data.batch import Batch
from estep.data.summary import Summary
from estep.emissions._shared.conjugate import ConjugateEmission
from estep.emissions._shared.known import fill_known, given_known, normal_margins
from estep.emissions._shared.quadratic import LOG_2PI, quadratic
from estep.emissions._shared.rows import NOTHING, check_columns, kernel_evaluation, missing
from estep.emissions._shared.slopes import of_type, slopes_of_normals
from estep.emissions.gaussian import Gaussian
from estep.interface import Evaluation, Margin, Notes
from estep.kernels.spec import Spec
from estep.parameters.covariance import (
    RELATIVE,
    TYPES,
    check,
    factorise,
    full,
    of_variances,
    regularise,
    unpack,
    upper,
    widened,
)
from estep.parameters.domains import Covariances, Numbers, Parameter
from estep.priors import MatrixNormalInverseWishart, Prior
from estep.priors.matrix_normal_wishart import at_origin
from estep.statistics import Array, Layout, Statistics
from estep.util.cached import cached_property

RIDGE = 1e-12
"""Directions in which covariates vary by less than this part of the most have no coefficient."""
NOISE = 64 * float(np.finfo(np.float64).eps)
"""Variances below this part of a squared mean are what rounding leaves of one row."""


@dataclass(frozen=True, eq=False)
class LinearRegression(ConjugateEmission):
    """y = ``intercepts`` (K, D) + ``coefficients`` (K, D, P) x + errors with ``covariances``, shaped as a Gaussian's.

    ``covariance_type``: of the errors. ``n_given``: P, the covariates x; they come with ``given=``.
    """

    covariance_type: str = "full"
    n_given: int | None = None
    coefficients: Array | None = None
    intercepts: Array | None = None
    covariances: Array | None = None
    origin: Array | None = None
    floor: Array | None = None

    name: ClassVar[str] = "linear_regression"
    parameters: ClassVar[tuple[str, ...]] = ("coefficients", "intercepts", "covariances")
    allows_missing: ClassVar[bool] = True
    takes: ClassVar[Mapping[str, tuple[type[Prior], ...]]] = {"coefficients": (MatrixNormalInverseWishart,)}

    def __post_init__(self) -> None:
        if self.covariance_type not in TYPES:
            raise ValueError(f"covariance_type is {self.covariance_type!r}: it is one of {', '.join(TYPES)}")
        if self.coefficients is not None:
            shape = np.shape(self.coefficients)
            if len(shape) != 3 or self.n_given not in (None, shape[2]):
                raise ValueError(f"coefficients has shape {shape}, expected (K, D, {self.n_given or 'P'})")
            object.__setattr__(self, "n_given", shape[2])
            self.freeze("coefficients", shape)
            self.freeze("intercepts", shape[:2])
            if self.covariances is not None:
                self.freeze("covariances", TYPES[self.covariance_type](*shape[:2]))
                check(np.asarray(self.covariances), self.covariance_type)
        if self.n_given is not None and (not isinstance(self.n_given, int) or self.n_given < 1):
            raise ValueError(f"n_given is {self.n_given!r}: it is a whole number from 1")
        both = None if self.coefficients is None else (sum(np.shape(self.coefficients)[1:]),)
        self.freeze("origin", both)
        self.freeze("floor", both)

    @property
    def n_covariates(self) -> int:
        return self.n_given or 0

    def given_columns(self, n: int) -> Self:
        if self.n_given not in (None, n):
            raise ValueError(f"given has {n} columns; the model has {self.n_given}")
        return replace(self, n_given=n)

    def _values(self) -> tuple[Array, Array, Array]:
        for name in self.parameters:
            if self.values()[name] is None:
                raise missing(self.name, name)
        assert self.coefficients is not None and self.intercepts is not None and self.covariances is not None
        return self.coefficients, self.intercepts, self.covariances

    @property
    def n_components(self) -> int:
        return len(self._values()[0])

    @property
    def n_columns(self) -> int:
        """Of rows as they are read: covariates and observation."""
        _, D, P = self._values()[0].shape
        return int(D + P)

    def comparable(self, summary: Summary) -> Self:
        """As :meth:`Gaussian.comparable`, for the errors."""
        coefficients, _, covariances = self._values()
        K, D, P = coefficients.shape
        floor = summary.floor[P:]
        least = np.broadcast_to(floor, (1 if self.covariance_type == "tied" else K, D))
        return self.evolve(covariances=widened(covariances, self.covariance_type, least, floor, K ** (-2 / D)))

    def describe(self) -> dict[str, Parameter]:
        covariances = Parameter(
            Covariances(self.covariance_type), shared=self.covariance_type == "tied", one="covariance"
        )
        return {"coefficients": Parameter(Numbers()), "intercepts": Parameter(Numbers()), "covariances": covariances}

    @property
    def layout(self) -> Layout:
        """moments (K, F): mass, first and second moments of covariates and observation, about the origin."""
        K, D = self.n_components, self.n_columns
        return Layout.of(origin=self._origin(), moments=(K, 1 + D + D * (D + 1) // 2))

    def _origin(self) -> Array:
        return np.zeros(self.n_columns) if self.origin is None else self.origin

    def start(self, n_components: int, summary: Summary) -> Self:
        if self.n_given is None:
            raise ValueError("linear_regression emissions want covariates: fit(X, given=...)")
        P, D = self.n_given, len(summary.mean) - self.n_given
        if D < 1:
            raise ValueError(f"the data have no columns beside the {P} covariates")
        variance = np.maximum(summary.bulk.variance, summary.floor)[P:]
        fresh: dict[str, Array] = {
            "coefficients": np.zeros((n_components, D, P)),
            "intercepts": np.tile(summary.bulk.mean[P:], (n_components, 1)),
            "covariances": of_variances(variance, self.covariance_type, n_components),
        }
        given = {name: value for name, value in self.values().items() if value is not None}
        return self.with_values(**(fresh | given)).adapt(summary)

    def adapt(self, summary: Summary) -> Self:
        return self.evolve(origin=summary.bulk.mean, floor=summary.floor)

    def evaluate(self, batch: Batch) -> Evaluation:
        spec = self.kernel(batch.summary)
        return self._with_missing(batch) if spec is None else kernel_evaluation(spec, batch)

    def _with_missing(self, batch: Batch) -> Evaluation:
        """Rows of which some observations are missing: those of covariates and observation as one Gaussian, whose
        covariates have any distribution, less the densities of these."""
        coefficients, intercepts, _ = self._values()
        K, _, P = coefficients.shape
        summary = batch.summary
        centre, variance = summary.mean[:P], np.maximum(summary.variance, summary.floor)[:P]
        means = np.hstack([np.tile(centre, (K, 1)), intercepts + coefficients @ centre])
        gaussian = Gaussian(means=means, origin=self._origin()).evolve(covariances=self._joint(variance))
        _, logdet = self._factors  # those of the joint covariances would lose what is small beside the slopes' part
        known = np.broadcast_to(np.diag(variance**-0.5), (K, P, P))
        gaussian.__dict__["factors"] = self._factor_beside(known), logdet + np.log(variance).sum()
        joint = gaussian.evaluate(batch)
        apart = (batch.X[:, :P] - centre) ** 2 / variance
        given = -0.5 * (apart.sum(axis=1) + np.log(variance).sum() + P * LOG_2PI)
        return Evaluation(joint.log_densities - given[:, None], joint.accumulate)

    def _factor_beside(self, factor: Array) -> Array:
        """Factors (K, P + D, P + D) of covariates that have ``factor`` (K, P, P), and of the errors."""
        coefficients, _, _ = self._values()
        K, D, P = coefficients.shape
        inverse, _ = self._factors
        both = np.zeros((K, P + D, P + D))
        both[:, :P, :P], both[:, P:, :P], both[:, P:, P:] = factor, -inverse @ coefficients, inverse
        return both

    @property
    def rounding(self) -> float:
        """As of Gaussian errors, in deviations of the observations, from which the regression is taken."""
        coefficients, _, _ = self._values()
        inverse, _ = self._factors
        errors = full(self._values()[2], self.covariance_type, *coefficients.shape[:2])
        variances = np.diagonal(errors, axis1=1, axis2=2)
        if self.floor is not None:
            variances = np.maximum(variances, self.floor[self.n_covariates :] / RELATIVE)
        return 4 * float(np.finfo(float).eps * np.max(((inverse**2).sum(axis=1) * variances).sum(axis=1)))

    def _joint(self, variance: Array) -> Array:
        """Covariances (K, P + D, P + D) of covariates that vary so (P,), each by itself, and the observation."""
        coefficients, _, covariances = self._values()
        K, D, P = coefficients.shape
        cross = coefficients * variance
        C = np.zeros((K, P + D, P + D))
        C[:, :P, :P], C[:, P:, :P], C[:, :P, P:] = np.diag(variance), cross, cross.swapaxes(1, 2)
        C[:, P:, P:] = cross @ coefficients.swapaxes(1, 2) + full(covariances, self.covariance_type, K, D)
        return C

    @cached_property
    def _factors(self) -> tuple[Array, Array]:
        """Inverse Cholesky factors (K, D, D) of the error covariances, and log-determinants (K,)."""
        coefficients, _, covariances = self._values()
        inverse, logdet = factorise(full(covariances, self.covariance_type, *coefficients.shape[:2]), "full")
        return inverse, logdet

    def kernel(self, summary: Summary) -> Spec | None:
        """The squared length of L^-1 (y - W x - b): a full Gaussian's kernel with a factor of lower rank.

        None where cells are missing.
        """
        if summary.missing:
            return None
        K, _, P = self._values()[0].shape
        return self._quadratic(np.zeros((K, P, P)), np.zeros((K, P)), np.zeros(K), summary)

    def _quadratic(self, factor: Array, lowest: Array, constant: Array, summary: Summary) -> Spec:
        """The kernel of the errors and of ``constant`` - |factor (x - lowest)|^2 / 2, with x about the origin."""
        coefficients, _, _ = self._values()
        K, D, P = coefficients.shape
        _, logdet = self._factors
        both, mu = self._factor_beside(factor), np.zeros((K, P + D))
        mu[:, :P], mu[:, P:] = lowest, self._at_origin() + (coefficients @ lowest[:, :, None])[:, :, 0]
        return quadratic("full", mu, both, constant - 0.5 * (D * LOG_2PI + logdet), self._origin(), summary)

    def _at_origin(self) -> Array:
        """The expected observation about the origin, (K, D), where the covariates are there."""
        coefficients, intercepts, _ = self._values()
        return at_origin(coefficients, intercepts, self._origin())

    def maximize(self, s: Statistics) -> tuple[Self, Notes]:
        """Weighted least squares (Bishop 2006, eq. 3.15 and 14.5.1), and the mean squares of what is left."""
        coefficients, intercepts, covariances = self._values()
        _, D, P = coefficients.shape
        moments, origin = s["moments"], self._origin()
        mass = moments[:, 0]
        unseen = np.flatnonzero(mass <= NOTHING * mass.sum())
        safe = mass.copy()
        safe[unseen] = 1.0
        mean = moments[:, 1 : 1 + P + D] / safe[:, None]
        C = unpack(moments[:, 1 + P + D :] / safe[:, None], P + D) - mean[:, :, None] * mean[:, None, :]
        W, explained = (
            np.stack(part) for part in zip(*(_slopes(*one) for one in zip(C, mean[:, :P], strict=True)), strict=True)
        )
        b = mean[:, P:] + origin[P:] - (W @ (mean[:, :P] + origin[:P])[:, :, None])[:, :, 0]
        left = C[:, P:, P:] - explained
        W[unseen], b[unseen] = coefficients[unseen], intercepts[unseen]
        fresh = self._errors(left, mass, covariances, unseen)
        floor = None if self.floor is None else self.floor[P:]
        shaped, _, clamped = regularise(fresh, self.covariance_type, floor, None)
        notes = tuple((k, "error covariance at its floor") for k in clamped)
        values = {"coefficients": W, "intercepts": b, "covariances": shaped}  # laid out as a file gives them back
        return self.evolve(**{name: np.ascontiguousarray(value) for name, value in values.items()}), notes

    def default_prior(self, summary: Summary, variational: bool) -> dict[str, Prior]:
        """As for Gaussians: a hundredth of a row like the data without slope, and the least rows for a covariance, of
        which each component has its share of the volume."""
        K, D, P = self._values()[0].shape
        variance = np.maximum(summary.variance, summary.floor)
        scale = variance[P:] / K ** (2 / D)
        scale = scale.mean() if self.covariance_type == "spherical" else scale
        squares = 0.01 * np.concatenate([[1.0], variance[:P]])
        origin = self._origin()
        return {
            "coefficients": MatrixNormalInverseWishart(
                np.zeros((D, 1 + P)), squares, D + 2, scale, self.covariance_type, origin
            )
        }

    def check_prior(self, prior: Mapping[str, Any]) -> dict[str, Prior]:
        K, D, _ = self._values()[0].shape
        return {"coefficients": prior["coefficients"].shaped(self.covariance_type, K, D, self._origin())}

    def update(self, prior: Mapping[str, Any], s: Statistics) -> dict[str, Prior]:
        P, both = self._values()[0].shape[2], self.n_columns
        moments = s["moments"]
        whole = np.empty((len(moments), 1 + both, 1 + both))  # of (1, x, y)
        whole[:, 0, 0], whole[:, 1:, 1:] = moments[:, 0], unpack(moments[:, 1 + both :], both)
        whole[:, 0, 1:] = whole[:, 1:, 0] = moments[:, 1 : 1 + both]
        at = 1 + P
        q = prior["coefficients"].update(whole[:, :at, :at], whole[:, at:, :at], whole[:, at:, at:])
        return {"coefficients": q}

    def mode(self, q: Mapping[str, Any]) -> tuple[Self, Notes]:
        return self._at(q["coefficients"], q["coefficients"].mode_dofs)

    def mean(self, q: Mapping[str, Any]) -> tuple[Self, Notes]:
        """Expected coefficients and intercepts, and covariances that are the inverse of the expected precisions."""
        return self._at(q["coefficients"], q["coefficients"].dofs)

    def _at(self, q: MatrixNormalInverseWishart, dofs: Array) -> tuple[Self, Notes]:
        P = q.mean.shape[2] - 1
        covariances, _, notes = q.covariances(dofs, None if self.floor is None else self.floor[P:])
        return self.evolve(**q.values(), covariances=np.ascontiguousarray(covariances)), notes

    def log_prior(self, prior: Mapping[str, Any]) -> float:
        return float(prior["coefficients"].log_density(*self._values()))

    def expected(self, q: Mapping[str, Any], summary: Summary) -> Spec | None:
        """Beside the errors, D (1, x)' precision^-1 (1, x): how far the coefficients may be off (Minka 2000)."""
        if summary.missing:
            return None
        one: MatrixNormalInverseWishart = q["coefficients"]
        G = one.columns * np.linalg.inv(one.precision)
        lowest = -np.linalg.solve(G[:, 1:, 1:], G[:, 1:, :1])[:, :, 0]  # where covariates are best known
        least = G[:, 0, 0] + (G[:, 0, 1:] * lowest).sum(axis=1)
        factor = np.linalg.inv(np.linalg.cholesky(np.linalg.inv(G[:, 1:, 1:])))
        return self._quadratic(factor, lowest, one.constant() - 0.5 * least, summary)

    def evaluate_expected(self, q: Mapping[str, Any], batch: Batch) -> Evaluation:
        spec = self.expected(q, batch.summary)
        if spec is not None:
            return kernel_evaluation(spec, batch)
        one, seen = q["coefficients"], self._with_missing(batch)
        _, D, Q = one.mean.shape
        design = np.column_stack([np.ones(len(batch.X)), batch.X[:, : Q - 1] - self._origin()[: Q - 1]])
        doubt = np.einsum("nq,kqr,nr->nk", design, np.linalg.inv(one.precision), design)
        return Evaluation(seen.log_densities + one.constant() - 0.5 * D * doubt, seen.accumulate)

    def expected_statistics(self, mass: Array) -> Statistics:
        """Covariates about the origin, with the variances of the data."""
        K, D, P = self._values()[0].shape
        y = self._at_origin()
        second = self._joint(np.ones(P) if self.floor is None else self.floor[:P] / RELATIVE)
        second[:, P:, P:] += y[:, :, None] * y[:, None, :]
        rows = np.hstack([np.ones((K, 1)), np.zeros((K, P)), y, second[(slice(None), *upper(P + D))]])
        return Statistics(self.layout, (rows * mass[:, None]).ravel())

    def _errors(self, left: Array, mass: Array, old: Array, unseen: Array) -> Array:
        """Covariances of the errors from those (K, D, D) without a type."""
        if self.covariance_type == "tied":
            return np.asarray(np.tensordot(mass, left, axes=1) / mass.sum()) if mass.sum() > 0 else old
        squares = left.diagonal(axis1=1, axis2=2)
        fresh = np.array({"full": left, "diag": squares}.get(self.covariance_type, squares.mean(axis=1)))
        fresh[unseen] = old[unseen]
        return fresh

    def margins(self, rows: Array | None = None) -> Sequence[Margin]:
        if rows is None:
            raise ValueError(f"the model has {self.n_covariates} covariates: how it goes on depends on them")
        given, errors = rows[:, : self.n_covariates], self._full()
        return normal_margins(*given_known(rows[:, self.n_covariates :], self._lines(given), errors)[:2])

    def of_columns(self, columns: Sequence[int]) -> Self:
        some, (coefficients, intercepts, C) = list(columns), self._values()
        if self.covariance_type != "spherical":
            C = C[:, some] if self.covariance_type == "diag" else C[..., some, :][..., some]
        return type(self)(self.covariance_type, self.n_given, coefficients[:, some], intercepts[:, some], C)

    def fill(self, rows: Array, states: Array, rng: np.random.Generator) -> Array:
        given, own = rows[:, : self.n_covariates], rows[:, self.n_covariates :]
        means = self._lines(given)[np.arange(len(rows)), states]
        return np.hstack([given, fill_known(own, states, means, self._full(), rng)])

    def _lines(self, given: Array) -> Array:
        """The means (n, K, D) at covariates (n, P)."""
        coefficients, intercepts, _ = self._values()
        return np.asarray(intercepts + np.einsum("kdp,np->nkd", coefficients, given))

    def _full(self) -> Array:
        """Error covariances (K, D, D)."""
        coefficients, _, covariances = self._values()
        return full(covariances, self.covariance_type, *coefficients.shape[:2])

    def slopes(self, s: Statistics) -> dict[str, Array]:
        (W, b, _), P = self._values(), self.n_covariates
        moments, origin, n = s["moments"], self._origin(), 1 + self.n_columns
        rows, h, v = moments[:, 0], moments[:, 1 : 1 + P], moments[:, 1 + P : n]
        S = unpack(moments[:, n:], n - 1)
        c = b + W @ origin[:P] - origin[P:]  # errors are v - c - W h, about the origin
        total = v - rows[:, None] * c - (W @ h[:, :, None])[:, :, 0]
        beside = S[:, P:, :P] - c[:, :, None] * h[:, None, :] - W @ S[:, :P, :P]
        errors = S[:, P:, P:] - beside @ W.swapaxes(1, 2) - W @ S[:, :P, P:]
        errors = errors - total[:, :, None] * c[:, None, :] - c[:, :, None] * v[:, None, :]
        of_means, C = slopes_of_normals((total, errors), self._factors[0], rows)
        precisions = self._factors[0].swapaxes(1, 2) @ self._factors[0]
        of_slopes = precisions @ (beside + total[:, :, None] * origin[:P])
        return {"coefficients": of_slopes, "intercepts": of_means, "covariances": of_type(C, self.covariance_type)}

    def sample(self, states: Array, rng: np.random.Generator) -> Array:
        raise ValueError("linear_regression emissions draw given covariates: model.sample(n, given=...)")

    def sample_given(self, states: Array, given: Array, rng: np.random.Generator) -> Array:
        coefficients, intercepts, _ = self._values()
        L = np.linalg.cholesky(self._full())[states]
        errors = (L @ rng.standard_normal((len(states), L.shape[1], 1)))[:, :, 0]
        return np.asarray(intercepts[states] + (coefficients[states] @ given[:, :, None])[:, :, 0] + errors)

    def validate(self, batch: Batch) -> None:
        if self.n_given is None:
            raise ValueError("linear_regression emissions want covariates: fit(X, given=...)")
        if self.coefficients is not None:
            check_columns(batch, self.n_columns)
        lacking = np.isnan(batch.X[:, : self.n_given]).any(axis=1)
        if lacking.any():
            raise ValueError(f"row {batch.row(int(np.argmax(lacking)))}: covariates are not missing")


def _slopes(C: Array, mean: Array) -> tuple[Array, Array]:
    """Coefficients (D, P) of the last columns on the first P, from their covariances and the covariates' means (P,),
    and the covariance (D, D) that they explain; units do not matter. A variance that is rounding of squares is none."""
    P = len(mean)
    variances = C.diagonal()[:P]
    varies = variances > np.maximum(NOISE * mean**2, 1e-300)
    deviations = np.sqrt(np.where(varies, variances, np.inf))
    unit = C[:P, :P] / deviations[:, None] / deviations
    values, vectors = np.linalg.eigh(unit)
    keep = values > RIDGE * max(values[-1], 0.0)
    root = np.where(keep, 1 / np.sqrt(np.where(keep, values, 1.0)), 0.0)
    along = (vectors * root).T @ (C[:P, P:] / deviations[:, None])  # on covariates of one variance each
    return np.asarray(((vectors * root) @ along).T / deviations), along.T @ along
