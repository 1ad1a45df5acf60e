"""A model moved towards new data as far as these go: maximum a posteriori around the model itself.

Reynolds, Quatieri & Dunn 2000, "Speaker verification using adapted Gaussian mixture models", eq. 11 to 14: a parameter
that n rows speak of goes n / (n + relevance) of the way to what they say.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from estep.data.source import Source
from estep.emissions import MixtureOf
from estep.emissions._shared.conjugate import ConjugateEmission
from estep.execution.base import Execute
from estep.inference.passes import Passes
from estep.interface import Emission
from estep.model import Model
from estep.statistics import Array, Statistics


def adapted(
    model: Model, source: Source, relevance: Any, parameters: Iterable[str], n_iter: int, execute: Execute
) -> Model:
    """``model`` after ``n_iter`` steps towards prepared data, each with ``relevance`` rows of the model as it was given
    beside those of the data, for every component (of mixtures in a chain: every part); ``parameters`` that are not
    named stay as they are.

    Raises ValueError for parameters the model does not have, a relevance that is no number from 0, and families whose
    rows cannot be told by statistics.
    """
    if isinstance(relevance, bool) or not isinstance(relevance, int | float | np.number) or not 0 <= relevance < np.inf:
        raise ValueError(f"relevance is {relevance!r}: it is a number of rows, from 0")
    names, known = _names(parameters), {**model.latent.values(), **model.emission.values()}
    if unknown := [name for name in names if name not in known]:
        raise ValueError(f"parameters names {unknown[0]!r}, which is none of {', '.join(known)}")
    base = replace(model, emission=model.emission.adapt(source.summary), prior=None, posterior=None, constraints=None)
    passes, now = Passes(source, base.leaf_rows(), execute), base
    with execute.running():
        for _ in range(n_iter):
            s = passes.expect(now)
            _, of_latent, of_emission = now.layouts
            hidden, seen = Statistics(of_latent, s["latent"]), Statistics(of_emission, s["emission"])
            emission = _emission(base.emission, now.emission, seen, float(relevance), names)
            latent = base.latent.with_values(
                **{
                    name: _shares(np.asarray(base.latent.values()[name]), counts, float(relevance))
                    for name, counts in base.latent.counts_of(hidden).items()
                    if name in names
                }
            )
            now = replace(base, latent=latent.with_supports(base.latent.supports()), emission=emission)
    return replace(now, prior=model.prior) if model.prior is not None else now


def _names(parameters: Any) -> set[str]:
    if isinstance(parameters, str) or not isinstance(parameters, Iterable):
        raise ValueError(f"parameters is {parameters!r}: it is a set of names, such as ('means',)")
    names = set(parameters)
    if not names:
        raise ValueError("parameters is empty: name what is to be adapted, such as ('means',)")
    return names


def _shares(old: Array, counts: Array, relevance: float) -> Array:
    """Probabilities (..., M) that go as far towards the shares of counts as the rows behind these say (eq. 11)."""
    total = counts.sum(axis=-1, keepdims=True)
    whole = counts.ndim == 1  # of a mixture's weights each component has its own way to go
    rows = counts if whole else total
    way = rows / np.maximum(rows + relevance, 1e-300)
    new = way * counts / np.where(total > 0, total, 1.0) + (1 - way) * old
    return np.asarray(new / new.sum(axis=-1, keepdims=True))


def _emission(base: Emission, now: Emission, s: Statistics, relevance: float, names: set[str]) -> Emission:
    """The emission from statistics under ``now``, with as many rows of ``base``."""
    if isinstance(base, MixtureOf) and isinstance(now, MixtureOf):
        inner = Statistics(now.inner.layout, s["inner"])
        parts = _emission(base.inner, now.inner, inner, relevance, names)
        weights = np.asarray(base.mix_weights)
        if "mix_weights" in names:
            weights = np.stack([_shares(w, n, relevance) for w, n in zip(weights, s["parts"], strict=True)])
        return base.evolve(inner=parts, mix_weights=weights)
    mine = names & base.values().keys()
    if not mine:
        return base
    if not isinstance(base, ConjugateEmission):
        raise ValueError(f"{base.name} emissions cannot be adapted: rows of theirs have no statistics in closed form")
    held: Mapping[str, Array] = {n: np.ones(base.n_components, bool) for n in base.values() if n not in mine}
    total = Statistics(s.layout, s.vector.copy())
    total.vector[:] += base.expected_statistics(np.full(base.n_components, relevance)).vector
    plain = _without_reg_covar(base)  # which the model has in it already
    new, _ = plain.maximize_holding(total, held) if held else plain.maximize(total)
    return base.with_values(**{name: new.values()[name] for name in mine}).with_supports(base.supports())


def _without_reg_covar(family: ConjugateEmission) -> ConjugateEmission:
    if getattr(family, "reg_covar", None):
        return family.evolve(reg_covar=None)
    logs = getattr(family, "logs", None)
    return family if logs is None else family.evolve(logs=_without_reg_covar(logs))
