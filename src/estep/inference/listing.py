"""The parameters of a model as a list: a line for each number that every component has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from estep.emissions import MixtureOf
from estep.emissions._shared.tables import label_of
from estep.inference.predictive import columns_of, predictive
from estep.interface import AnyModel
from estep.latents import Chain
from estep.parameters.covariance import full
from estep.parameters.domains import Covariances, Parameter, Probabilities
from estep.statistics import Array
from estep.util.cached import cached_property

MOST = 8
"""Columns, symbols and states up to which all are listed where a summary is asked for."""
NAMES = (
    (("covariance", "variance"), ("covariance", "standard deviation")),
    (("scale matrix", "squared scale"), ("scale matrix", "scale")),
)
"""What the diagonal of a matrix is called and its roots: of covariances, and of Student's, which are none."""


@dataclass(frozen=True, eq=False)
class Line:
    """One number, or text, of each component, ``values`` (K,): ``what`` it is, and of which ``columns``."""

    what: str
    columns: tuple[str, ...]
    values: Sequence[Any] | Array
    probability: bool = False

    @property
    def of(self) -> str:
        """The columns as a text."""
        return ", ".join(self.columns)


@dataclass(frozen=True)
class Listing:
    """Lines, and what was left out of them, in words."""

    lines: tuple[Line, ...]
    left_out: tuple[str, ...] = ()


def listing(model: AnyModel, whole: bool = False) -> Listing:
    """All parameters, variances with standard deviations and correlations; unless it is the ``whole``, of more than
    ``MOST`` columns, symbols or states those that tell most."""
    names, symbols = columns_of(model)
    most = len(names) if whole else MOST
    kept = [names[d] for d in telling_columns(model, names, most)]
    list_of = _Lister(model, dict(zip(names, symbols, strict=True)), whole, [])
    if len(kept) < len(names):
        list_of.out.append(f"{len(names) - len(kept)} of {len(names)} columns, in which components differ less")
    of_latent = list(list_of.latent())
    found = [line for name, value in model.emission.values().items() for line in list_of.parameter(name, value)]
    place: dict[tuple[str, ...], int] = {(name,): d for d, name in enumerate(names)} | {(): -1}
    shown = [line for line in found if set(line.columns) <= set(kept)]
    shown.sort(key=lambda line: place.get(line.columns, len(names)))
    return Listing((*of_latent, *shown), tuple(dict.fromkeys(list_of.out)))


def telling_columns(model: AnyModel, names: Sequence[str], most: int = MOST) -> list[int]:
    """The ``most`` columns in which components differ most: by the variance of their means over the mean of their
    variances."""
    D = len(names)
    if most >= D:
        return list(range(D))
    if model.emission.n_covariates:
        return list(range(most))
    try:
        margins = predictive(model, np.eye(model.n_components)).margins
    except ValueError:
        return list(range(most))
    apart = [_apart(margin) for margin in margins]
    return sorted(np.argsort(apart, kind="stable")[::-1][:most].tolist())


def _apart(margin: Any) -> float:
    if margin.table is not None:
        return float(np.ptp(margin.table, axis=0).max())
    spread = 1 - np.abs(margin.mean()) if margin.kind == "angle" else margin.variance()
    return float(np.var(margin.mean()) / max(float(np.mean(spread)), 1e-300))


@dataclass(frozen=True, eq=False)
class _Lister:
    """``columns``: their symbols by name. ``out``: what is left out, in words."""

    model: AnyModel
    columns: Mapping[str, Sequence[Any]]
    whole: bool
    out: list[str]

    def latent(self) -> Iterator[Line]:
        latent = self.model.latent
        if not isinstance(latent, Chain) or latent.transmat is None or latent.startprob is None:
            for name, value in latent.shown():
                yield from _rows(name, (), np.asarray(value), True)
            return
        P = np.asarray(latent.transmat)
        yield Line("start", (), np.asarray(latent.startprob), True)
        if self.whole or len(P) <= MOST:
            yield from (Line(f"goes to {j}", (), P[:, j], True) for j in range(len(P)))
        else:
            self.out.append("transitions but to stay and to the likeliest next state")
            yield Line("stays", (), P.diagonal(), True)
            others = np.where(np.eye(len(P), dtype=bool), -1.0, P)
            yield Line("likeliest next", (), [f"{j} ({P[k, j]:.2g})" for k, j in enumerate(others.argmax(axis=1))])
        yield Line("expected stay (rows)", (), latent.expected_durations())
        with suppress(ValueError):  # where it depends on how the chain begins
            yield Line("share in the long run", (), latent.shares(), True)

    @cached_property
    def _parts(self) -> dict[str, list[str]]:
        """The columns of each part of a table, by what its parameters are called by."""
        if self.model.emission.rows != "table":
            return {}
        product: Any = getattr(self.model.emission, "inner", self.model.emission)
        names = self.model.columns
        keys = [key for key, _ in product.parts]
        return {label_of(key): [names[c] if names and isinstance(c, int) else str(c) for c in key] for key in keys}

    def parameter(self, name: str, value: Any) -> Iterator[Line]:
        """The lines of a parameter of the emission; of a table's, the name of its columns comes before its own."""
        emission, K = self.model.emission, self.model.n_components
        about, (label, _, own) = emission.describe()[name], name.rpartition(".")
        called = about.one or own.removeprefix("mix_").removesuffix("s")
        columns = self._parts.get(label, list(self.columns))
        array = np.asarray(value)
        if name in emission.shared:
            array, called = np.broadcast_to(array, (K, *array.shape)), f"shared {called}"
        if isinstance(emission, MixtureOf) and name not in emission.inner.shared:
            for m in range(array.shape[1]):
                for line in self._lines(about, called, array[:, m], columns):
                    yield replace(line, what=f"part {m}: {line.what}")
        else:
            yield from self._lines(about, called, array, columns)

    def _lines(self, about: Parameter, called: str, value: Array, columns: Sequence[str]) -> Iterator[Line]:
        probability = isinstance(about.domain, Probabilities) or called == "probability"
        if isinstance(about.domain, Covariances):
            yield from self._covariances(about.domain.kind, called, value, columns)
        elif probability and len(columns) == 1 and value.ndim == 2 and value.shape[1] > 1:
            yield from self._symbols(value, columns[0])
        elif value.ndim > 1 and value.shape[1] == len(columns):
            for d, column in enumerate(columns):
                yield from _rows(called, (column,), value[:, d], probability)
        else:
            yield from _rows(called, (), value, probability)

    def _symbols(self, p: Array, column: str) -> Iterator[Line]:
        texts = [str(t) for t in self.columns.get(column, ())]
        some = list(range(p.shape[1])) if texts else np.flatnonzero(p.max(axis=0) > 0).tolist()
        M = len(some)
        if not self.whole and M > MOST:
            some = sorted(np.argsort(-p.max(axis=0), kind="stable")[:MOST].tolist())
            self.out.append(f"{M - len(some)} of {M} symbols, which are less probable")
        yield from (Line(f"probability of {texts[m] if texts else m}", (column,), p[:, m], True) for m in some)

    def _covariances(self, kind: str, called: str, value: Array, columns: Sequence[str]) -> Iterator[Line]:
        """Variances, standard deviations and, of whole matrices, correlations."""
        D, square, root = len(columns), *NAMES["scale matrix" in called]
        C = value if value.ndim == 3 else full(value, kind, len(value), D)
        deviations = np.sqrt(np.diagonal(C, axis1=1, axis2=2))
        for d, column in enumerate(columns):
            yield Line(called.replace(*square), (column,), C[:, d, d])
            yield Line(called.replace(*root), (column,), deviations[:, d])
        pairs = [(i, j) for i in range(D) for j in range(i + 1, D)] if kind in ("full", "tied") else []
        if pairs and not self.whole and D > MOST // 2:
            self.out.append("correlations")
            return
        for i, j in pairs:
            values = C[:, i, j] / (deviations[:, i] * deviations[:, j])
            yield Line(called.replace(square[0], "correlation"), (columns[i], columns[j]), values)


def _rows(name: str, of: tuple[str, ...], value: Array, probability: bool) -> Iterator[Line]:
    """A line for each place beyond the first axis."""
    for place in np.ndindex(*value.shape[1:]):
        yield Line(name + (f" {list(place)}" if place else ""), of, value[(slice(None), *place)], probability)
