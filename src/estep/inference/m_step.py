"""The M-step of a model: of maximum likelihood, with constraints, or of the posterior that prior and statistics are."""

from __future__ import annotations

from typing import Any, cast

from estep.interface import AnyModel, Notes
from estep.priors import Conjugate
from estep.statistics import Statistics


def maximize(model: AnyModel, s: Statistics) -> tuple[Any, Notes]:
    """The model that maximises the bound, given the statistics, and what had to be done about components."""
    _, of_latent, of_emission = model.layouts
    hidden, seen = Statistics(of_latent, s["latent"]), Statistics(of_emission, s["emission"])
    if model.prior is not None:
        return _learn(model, hidden, seen)
    if model.constraints is None:
        emission, notes = model.emission.maximize(seen)
        return model.evolve(latent=model.latent.maximize(hidden), emission=emission), notes
    emission, notes = model.constraints.emission(model.emission, seen)
    latent = model.constraints.latent(model.latent, model.latent.maximize(hidden))
    return model.evolve(latent=latent, emission=emission), notes


def _learn(model: AnyModel, hidden: Statistics, seen: Statistics) -> tuple[Any, Notes]:
    """Prior and statistics are a posterior: its mode, or all of it."""
    assert model.prior is not None
    of_latent, of_emission = cast(Conjugate, model.latent), cast(Conjugate, model.emission)
    q = {**of_latent.update(model.prior, hidden), **of_emission.update(model.prior, seen)}
    if model.posterior is None:
        (latent, _), (emission, notes) = of_latent.mode(q), of_emission.mode(q)
        new = model.evolve(latent=latent, emission=emission)
        return new if model.constraints is None else new.held_as(model), notes
    (latent, _), (emission, notes) = of_latent.mean(q), of_emission.mean(q)
    return model.evolve(latent=latent, emission=emission, posterior=q), notes
