"""Student-t emissions: Gaussians with heavy tails, so that outliers move no means.

Each row has a hidden scale, a gamma variable around 1, given which it is Gaussian; its expectation u is small far out
(Peel & McLachlan 2000). Statistics are moments weighted by u, and what the degrees of freedom need.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self

import numpy as np

from estep.data.batch import Batch
from estep.data.summary import Summary
from estep.emissions._shared.known import fill_known
from estep.emissions._shared.missing import MissingEvaluation
from estep.emissions._shared.quadratic import LOG_2PI
from estep.emissions._shared.rows import NOTHING, check_columns, kernel_evaluation, missing
from estep.emissions._shared.special import gamma_shape
from estep.emissions.gaussian import Gaussian
from estep.interface import Emission, Evaluation, Margin, Notes
from estep.kernels.spec import Spec
from estep.parameters.domains import Numbers, Parameter
from estep.statistics import Array, Layout, Statistics

LEAST, MOST, FIRST = 0.1, 1e6, 10.0
"""Degrees of freedom: the smallest and the largest (a Gaussian), and those of a start."""


@dataclass(frozen=True, eq=False)
class Student(Emission):
    """``gaussian`` holds the ``means`` (K, D) and ``covariances``, here the scale matrices, of any covariance type.

    ``dofs`` (K,): degrees of freedom. The covariance of a component is its scale matrix times dofs / (dofs - 2).
    """

    gaussian: Gaussian = field(default_factory=Gaussian)
    dofs: Array | None = None

    name: ClassVar[str] = "student"
    parameters: ClassVar[tuple[str, ...]] = ("means", "covariances", "dofs")
    allows_missing: ClassVar[bool] = True
    can_fix_subset: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not isinstance(self.gaussian, Gaussian):
            raise ValueError(f"gaussian is {self.gaussian!r}: give the family of the scales, such as Gaussian('full')")
        if self.dofs is None:
            return
        dofs = self.freeze("dofs", None)
        if dofs is None or dofs.ndim != 1:
            raise ValueError(f"dofs has shape {np.shape(self.dofs)}, expected (K,)")
        if ((dofs < LEAST) | (dofs > MOST)).any():
            k = int(np.argmax((dofs < LEAST) | (dofs > MOST)))
            raise ValueError(f"dofs[{k}] is {dofs[k]}: degrees of freedom are from {LEAST:g} to {MOST:g}")

    def _dofs(self) -> Array:
        if self.dofs is None:
            raise missing(self.name, "dofs")
        return self.dofs

    def values(self) -> dict[str, Array | None]:
        return {**self.gaussian.values(), "dofs": self.dofs}

    def with_values(self, **values: Any) -> Self:
        dofs = values.pop("dofs", self.dofs)
        return type(self)(self.gaussian.with_values(**values), dofs)

    @property
    def n_components(self) -> int:
        return len(self._dofs())

    @property
    def n_columns(self) -> int:
        return self.gaussian.n_columns

    def centres(self) -> Array | None:
        return self.gaussian.means

    def simpler(self) -> Gaussian:
        return self.gaussian

    def around(self, simpler: Emission) -> Sequence[Self]:
        assert isinstance(simpler, Gaussian)
        K = simpler.n_components
        tails = [self.dofs] if self.dofs is not None else [np.full(K, dofs) for dofs in (3.0, FIRST, 50.0, MOST)]
        return [type(self)(simpler, dofs) for dofs in tails]

    def comparable(self, summary: Summary) -> Self:
        return self.evolve(gaussian=self.gaussian.comparable(summary))

    def describe(self) -> dict[str, Parameter]:
        inner = self.gaussian.describe()
        scale = replace(inner["covariances"], one="scale matrix")
        return {**inner, "covariances": scale, "dofs": Parameter(Numbers(LEAST, MOST), one="degrees of freedom")}

    @property
    def layout(self) -> Layout:
        """mass (K,), scale (K,): sums of E log u - u; then the Gaussian's statistics of rows weighted by u."""
        K, inner = self.n_components, self.gaussian.layout
        return Layout((("mass", (K,)), ("scale", (K,)), ("gaussian", (inner.size,))), inner.origin)

    @property
    def shared(self) -> tuple[str, ...]:
        return self.gaussian.shared

    @property
    def work(self) -> int:
        return self.gaussian.layout.size + 20 * self.n_components

    @property
    def unregularised(self) -> bool:
        return self.gaussian.unregularised

    @property
    def maximizes(self) -> bool:
        return self.gaussian.maximizes

    @property
    def rounding(self) -> float:
        return self.gaussian.rounding * float(((self._dofs() + self.n_columns) / self._dofs()).max())

    def start(self, n_components: int, summary: Summary) -> Self:
        dofs = np.full(n_components, FIRST) if self.dofs is None else self.dofs
        return type(self)(self.gaussian.start(n_components, summary), dofs).adapt(summary)

    def adapt(self, summary: Summary) -> Self:
        """A floor that stays above what rounding needs beside the largest scale there may be: u may be that large."""
        gaussian, D = self.gaussian.adapt(summary), len(summary.mean)
        larger = max(1.0, (LEAST + D) / LEAST * D / max(64, 2 * D))
        return self.evolve(gaussian=gaussian.evolve(floor=summary.floor * larger))

    def evaluate(self, batch: Batch) -> Evaluation:
        spec = self.kernel(batch.summary)
        return self._with_missing(batch) if spec is None else kernel_evaluation(spec, batch)

    def _with_missing(self, batch: Batch) -> Evaluation:
        """The columns that are there are a Student too, with the same degrees of freedom."""
        from scipy.special import digamma

        seen, dofs, patterns = MissingEvaluation(self.gaussian, batch.patterns), self._dofs(), batch.patterns
        power, height = _power_and_height(dofs, seen.width, seen.logdet)
        logb = seen.of_rows(height) - seen.of_rows(power) * np.log1p(seen.distances / dofs)

        def accumulate(r: Array, s: Statistics) -> None:
            weight, u = patterns.sorted(r), seen.of_rows(2 * power) / (dofs + seen.distances)
            s["mass"] += weight.sum(axis=0)
            s["scale"] += (weight * (np.log(u) - u + seen.of_rows(digamma(power) - np.log(power)))).sum(axis=0)
            seen.add_moments(weight * u, weight, Statistics(self.gaussian.layout, s["gaussian"]))

        return Evaluation(patterns.unsorted(logb), accumulate)

    def kernel(self, summary: Summary) -> Spec | None:
        """log p = height - power log(1 + distance / dofs) (Bishop 2006, eq. 2.162)."""
        from scipy.special import digamma

        parts, dofs = self.gaussian.kernel(summary), self._dofs()
        if parts is None:
            return None
        K, D, logdet = len(dofs), parts.D, self.gaussian.logdets
        power, height = _power_and_height(dofs, D, logdet)
        gaussian = -0.5 * (D * LOG_2PI + logdet)
        weights = np.stack([gaussian, height, dofs, power, digamma(power) - np.log(power)], axis=1)
        return Spec("student", K, D, single=parts.single, origin=parts.origin, weights=weights, parts=parts)

    def maximize(self, s: Statistics) -> tuple[Self, Notes]:
        """Weighted means and scales, then the degrees of freedom (Peel & McLachlan 2000, eq. 29 to 32).

        All maximise the expected log-likelihood of rows and their hidden scales. The scales are divided by the mass of
        the rows, not by the sum of u.
        """
        return self.maximize_holding(s, {})

    def maximize_holding(self, s: Statistics, held: Mapping[str, Array]) -> tuple[Self, Notes]:
        mass, scale, old = s["mass"], s["scale"], self._dofs()
        gaussian, notes = self.gaussian.fit_moments(Statistics(self.gaussian.layout, s["gaussian"]), mass, held)
        free = (mass > NOTHING * mass.sum()) & ~held.get("dofs", np.zeros(len(old), bool))
        fresh = 2 * gamma_shape(-1 - scale / np.where(free, mass, 1.0), MOST / 2)
        return self.evolve(gaussian=gaussian, dofs=np.where(free, np.maximum(fresh, LEAST), old)), notes

    def pooled(self, s: Statistics, groups: Array) -> Statistics:
        out = Statistics(s.layout, s.vector.copy())
        same = (groups[:, None] == groups).astype(float)
        out["mass"], out["scale"] = same @ s["mass"], same @ s["scale"]
        out["gaussian"] = self.gaussian.pooled(Statistics(self.gaussian.layout, s["gaussian"]), groups).vector
        return out

    def margins(self, rows: Array | None = None) -> Sequence[Margin]:
        """Of some columns given others: Students with more degrees of freedom, wider the farther out the others are
        (Kotz & Nadarajah 2004, section 1.11)."""
        from scipy import stats

        location, variance, distances = self.gaussian.given_known(rows)
        known = 0 if rows is None else (~np.isnan(rows)).sum(axis=1, keepdims=True)
        dofs, scale = self._dofs() + known, (self._dofs() + distances) / (self._dofs() + known)
        deviation = np.sqrt(variance * scale[..., None])
        return [
            Margin("number", stats.t(df=dofs, loc=location[..., d], scale=deviation[..., d]))
            for d in range(self.n_columns)
        ]

    def of_columns(self, columns: Sequence[int]) -> Self:
        return type(self)(self.gaussian.of_columns(columns), self._dofs())

    def fill(self, rows: Array, states: Array, rng: np.random.Generator) -> Array:
        _, _, distances = self.gaussian.given_known(rows)
        dofs = self._dofs()[states]
        more = dofs + distances[np.arange(len(rows)), states]
        scale = more / 2 / rng.gamma((dofs + (~np.isnan(rows)).sum(axis=1)) / 2)
        gaussian = self.gaussian
        return fill_known(rows, states, np.asarray(gaussian.means)[states], gaussian.as_full(), rng, scale)

    def slopes(self, s: Statistics) -> dict[str, Array]:
        from scipy.special import digamma

        mass, half = s["mass"], self._dofs() / 2
        gaussian = self.gaussian.slopes_of(Statistics(self.gaussian.layout, s["gaussian"]), mass)
        return {**gaussian, "dofs": (mass * (np.log(half) + 1 - digamma(half)) + s["scale"]) / 2}

    def sample(self, states: Array, rng: np.random.Generator) -> Array:
        dofs = self._dofs()[states]
        means = np.asarray(self.gaussian.means)[states]
        scale = rng.gamma(dofs / 2, 2 / dofs)[:, None]
        return np.asarray(means + (self.gaussian.sample(states, rng) - means) / np.sqrt(scale))

    def validate(self, batch: Batch) -> None:
        self.gaussian.validate(batch)
        if self.gaussian.means is not None:
            check_columns(batch, self.n_columns)


def _power_and_height(dofs: Array, columns: Any, logdet: Array) -> tuple[Array, Array]:
    """The power of a Student density in so many columns, and the log-density at its mean."""
    from scipy.special import gammaln

    power = (dofs + columns) / 2
    return power, gammaln(power) - gammaln(dofs / 2) - 0.5 * (columns * np.log(dofs * np.pi) + logdet)
