"""How sure a fit is of its parameters: the curvature of the log-likelihood at its maximum.

The score is exact: the slope of the expected log-likelihood of rows and states at the same parameters (Fisher's
identity; Dempster, Laird & Rubin 1977, discussion; Louis 1982). Its central differences, in coordinates without bounds,
are the observed information, whose inverse goes back to the parameters by the delta method.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from estep.data.source import Source
from estep.execution.base import Execute
from estep.execution.serial import Serial
from estep.inference.passes import Passes
from estep.inference.prepare import prepared_to_fit
from estep.inference.reading import read
from estep.inference.score import score_units
from estep.model import Model
from estep.parameters import packing
from estep.parameters.domains import Numbers, Probabilities
from estep.statistics import Array, Statistics, weighted
from estep.util.numbers import as_share

STEP = 0.01
"""Of a central difference, in standard errors that a coordinate would have by itself if the states were known."""
TRIAL = 1e-4
"""By which a coordinate is moved to find its scale, or to find how parameters follow it."""
FLAT = 1e-8
"""Of the information in units of its diagonal: directions with less have none."""
TOUCHED = 1e-3
"""The part of such a direction that a coordinate may be in, and be known all the same."""
FARTHEST = 0.5
"""Logarithms move by no more: what is so unsure is at an edge."""
SHORT = 0.3
"""Standard errors that a fit may be short of the maximum."""


@dataclass(frozen=True, eq=False)
class Uncertainty:
    """The covariance of a model's free coordinates, and what it means for the parameters.

    ``covariance`` (C, C): of :meth:`estep.Model.pack`, zero for those that are not ``known`` (C,): at an edge, or not
    identified.
    """

    model: Model
    covariance: Array
    known: Array

    @cached_property
    def jacobian(self) -> dict[str, Array]:
        """How each parameter, (entries, C), changes with the coordinates; not at all with those that are infinite."""
        model, at = self.model, self.model.pack()
        out = {name: np.zeros((value.size, len(at))) for name, value in _values(model).items()}
        for i in np.flatnonzero(np.isfinite(at)):
            step = np.zeros(len(at))
            step[i] = TRIAL / 10 * max(1.0, abs(at[i]))
            up, down = (_values(model.unpack(at + h)) for h in (step, -step))
            for name, columns in out.items():
                columns[:, i] = (up[name] - down[name]).ravel() / (2 * step[i])
        return out

    def standard_errors(self) -> dict[str, Array]:
        """Of each parameter in its shape; NaN where it is fixed, a structural zero, at an edge, or not identified."""
        out = {}
        for name, value in _values(self.model).items():
            J = self.jacobian[name]
            variance = np.einsum("ij,jk,ik->i", J, self.covariance, J)
            says = (variance > 0) & ~(J[:, ~self.known] != 0).any(axis=1)
            out[name] = np.sqrt(np.where(says, variance, np.nan)).reshape(value.shape)
        for part in (self.model.latent, self.model.emission):
            out |= {name: np.where(mask, out[name], np.nan) for name, mask in part.supports().items()}
        return out

    def intervals(self, level: float = 0.95) -> dict[str, tuple[Array, Array]]:
        """Lower and upper limits of each parameter, in its shape.

        Normal on the scale on which it has no bounds: of logarithms for what is positive and for variances, of
        log-odds for probabilities, of itself else.
        """
        from scipy.special import ndtri

        far, out = float(ndtri((1 + as_share(level, "level")) / 2)), {}
        errors = self.standard_errors()
        for part in (self.model.latent, self.model.emission):
            for name, p in part.describe().items():
                value = np.asarray(part.values()[name], dtype=float)
                out[name] = p.domain.limits(value, far * errors[name])
        return out


def _values(model: Model) -> dict[str, Array]:
    """All parameters by name."""
    both = {**model.latent.values(), **model.emission.values()}
    return {name: np.asarray(value, dtype=float) for name, value in both.items()}


def uncertainty(
    model: Model,
    data: Any,
    lengths: Any = None,
    weights: Any = None,
    execute: Execute | None = None,
    **reading: Any,
) -> Uncertainty:
    """The observed information of a model at the maximum of the likelihood (or posterior) of these data.

    Raises ValueError for a variational posterior, which has its own spread. Warns naming parameters that are at an
    edge, where the curvature says nothing, and those that the data do not identify.
    """
    if model.posterior is not None:
        raise ValueError("a variational fit has posteriors, which say how sure it is: model_.posterior")
    source = prepared_to_fit(read(model, data, lengths, weights, execute=execute, **reading), model.emission)
    double = replace(source)
    double.__dict__["summary"] = replace(source.summary, single=False)
    start = replace(model, emission=model.emission.adapt(double.summary))
    how = Serial() if execute is None else execute
    with how.running():
        return _Curvature(start, double, how).found()


class _Curvature:
    """Slopes of the log-likelihood (with the log-prior, where there is one) around a model, by its coordinates."""

    def __init__(self, start: Model, source: Source, execute: Execute) -> None:
        self.start, self.source, self.execute = start, source, execute
        self.free, self.at = start._free, start.pack()
        self.passes = Passes(source, start.leaf_rows(), execute)
        self.statistics = self.passes.expect(start)
        try:
            self.expected(start, self.statistics)
            self.exact = True
        except NotImplementedError:
            self.exact = False
        self.steps = self._scales()

    def expected(self, model: Model, s: Statistics) -> Array:
        """The slope of the expected log-likelihood of statistics."""
        _, of_latent, of_emission = model.layouts
        emission = model.emission.slopes(Statistics(of_emission, s["emission"]))
        constraints = model.constraints
        if constraints is not None and constraints.groups is not None:  # what states share, all have a part in
            same = (constraints.groups[:, None] == constraints.groups).astype(float)
            own = [name for name in emission if name not in model.emission.shared]
            emission |= {name: np.tensordot(same, emission[name], axes=1) for name in own}
        latent = model.latent.slopes(Statistics(of_latent, s["latent"]))
        return np.concatenate(
            [
                packing.pull(model.latent, latent, self.start.latent, self.free),
                packing.pull(model.emission, emission, self.start.emission, self.free),
            ]
        )

    def _scales(self) -> Array:
        """Steps for central differences (C,): a part of the standard error that each coordinate would have if states
        were known; NaN where it is infinite, or nothing depends on it."""
        steps: Array = np.full(len(self.at), np.nan)
        ratio = self._ratios()
        for i in np.flatnonzero(np.isfinite(self.at)).tolist():
            trial = self._along(i, TRIAL * max(1.0, abs(self.at[i])))
            if self.exact:
                up, down = (self.expected(self.start.unpack(self.at + h), self.statistics)[i] for h in (trial, -trial))
                bend = (down - up) / (2 * trial[i])
            else:
                up, down = (self._total(self.at + h) for h in (trial, -trial))
                bend = (2 * self._total(self.at) - up - down) / trial[i] ** 2
            step = STEP / np.sqrt(bend) if bend > 0 else np.nan
            steps[i] = np.nan if ratio[i] and step > FARTHEST else step
        return steps

    def _ratios(self) -> Array:
        """Which coordinates (C,) are logarithms of numbers and of ratios of probabilities."""
        both = {**self.start.latent.describe(), **self.start.emission.describe()}
        domains = [both[name].domain for name, _ in self._owners()]
        bounded = [isinstance(d, Probabilities) or (isinstance(d, Numbers) and d.least > -np.inf) for d in domains]
        return np.array(bounded, dtype=bool)

    def _along(self, i: int, step: float) -> Array:
        out = np.zeros(len(self.at))
        out[i] = step
        return out

    def score(self, z: Array) -> Array:
        """The slope of the log-likelihood at coordinates, where there are :attr:`steps`."""
        usable = np.flatnonzero(~np.isnan(self.steps)).tolist()
        model, out = self.start.unpack(z), np.zeros(len(z))
        if self.exact:
            out += self.expected(model, self.passes.expect(model))
        if self.exact and self.start.prior is None:
            return out
        of = self._penalty if self.exact else self._total
        for i in usable:
            h = self._along(i, self.steps[i])
            out[i] += (of(z + h) - of(z - h)) / (2 * self.steps[i])
        return out

    def _penalty(self, z: Array) -> float:
        return self.start.unpack(z).penalty

    def _total(self, z: Array) -> float:
        """The log-likelihood, with the log-prior."""
        model, plain = self.start.unpack(z), self.source.in_double()
        return weighted(score_units(model, plain, plain, self.execute), self.source.weights) + model.penalty

    def found(self) -> Uncertainty:
        """The inverse of the observed information."""
        edge = np.isnan(self.steps) | self._regularised()
        inside = np.flatnonzero(~edge)
        H = np.zeros((len(inside), len(inside)))
        for column, i in enumerate(inside.tolist()):
            h = self._along(i, self.steps[i])
            H[:, column] = (self.score(self.at - h) - self.score(self.at + h))[inside] / (2 * self.steps[i])
        inverse, sound = _inverse((H + H.T) / 2)
        known = ~edge
        known[inside[~sound]] = False
        covariance = np.zeros((len(edge), len(edge)))
        covariance[np.ix_(inside, inside)] = inverse
        slope = self.score(self.at)[inside]
        self._warn(edge, known, float(slope @ inverse @ slope) ** 0.5)
        return Uncertainty(self.start, covariance, known)

    def _owners(self) -> list[tuple[str, int | None]]:
        return packing.owners(self.start.latent, self.free) + packing.owners(self.start.emission, self.free)

    def _regularised(self) -> Array:
        """The coordinates (C,) of components whose M-step stops at a floor or limit."""
        notes = {k for k, _ in self.start.maximize(self.statistics)[1]}
        own = self.start.emission.values()
        return np.array([name in own and k in notes for name, k in self._owners()], dtype=bool)

    def _warn(self, edge: Array, known: Array, short: float) -> None:
        owners, start = self._owners(), self.start.latent.parameters[0]
        if self.source.ends is not None and self.source.n_sequences == 1:  # of one sequence its start is certain
            edge = edge & np.array([name != start for name, _ in owners], dtype=bool)
            known = known | np.array([name == start for name, _ in owners], dtype=bool)
        for which, text in (
            (edge, "at an edge, where the curvature says nothing"),
            (~known & ~edge, "not identified by these data"),
        ):
            names = dict.fromkeys(n if k is None else f"{n}[{k}]" for (n, k), w in zip(owners, which, strict=True) if w)
            if names:
                warnings.warn(f"standard errors: {', '.join(names)} {text}: NaN", RuntimeWarning, stacklevel=5)
        if short > SHORT:
            warnings.warn(
                f"standard errors: the parameters are {short:.2g} standard errors short of the maximum for these data: "
                "give the data of the fit, or fit with a lower tol",
                RuntimeWarning,
                stacklevel=5,
            )


def _inverse(information: Array) -> tuple[Array, Array]:
    """The inverse where there is one, zero elsewhere, and which coordinates have one."""
    scale = np.sqrt(np.maximum(np.diag(information), 0.0))
    sound = scale > 0
    scale = np.where(sound, scale, 1.0)
    values, vectors = np.linalg.eigh(information / np.outer(scale, scale))
    flat = values <= FLAT * max(values.max(initial=0.0), 1.0)
    sound &= ~(np.abs(vectors[:, flat]) > TOUCHED).any(axis=1)
    inverse = (vectors[:, ~flat] / values[~flat]) @ vectors[:, ~flat].T / np.outer(scale, scale)
    return np.where(np.outer(sound, sound), inverse, 0.0), sound
