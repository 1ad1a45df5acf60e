"""From maximum likelihood to maximum a posteriori and variational Bayes: a model with priors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from estep.emissions._shared.conjugate import ConjugateEmission
from estep.model import Model
from estep.priors import Conjugate, Prior
from estep.statistics import Statistics

ESTIMATES = ("ml", "map", "vb")


def with_prior(
    model: Model,
    data: Any,
    estimate: str = "map",
    prior: Prior | Mapping[str, Prior] | None = None,
    lengths: Any = None,
    given: Any = None,
) -> Model:
    """``model`` to be fitted to ``data`` by another way of estimating.

    Parameters
    ----------
    estimate : {"map", "vb", "ml"}
        The mode of the posterior (the bound is the log-likelihood and the log-prior), the posterior itself by
        variational Bayes (the bound is the complete evidence lower bound, Bishop 2006, eq. 10.3), or no prior.
    prior : Prior, or mapping of names of blocks to priors
        ``{"weights": Dirichlet(1), "rates": Gamma(2, 1)}``; one alone is that of the only block it fits. Blocks left
        out have weak priors, worth about one observation.

    The model starts as if so many rows as ``data`` have had been seen from its parameters; components of a Dirichlet
    process in the order of their weights. Raises ValueError where the family has no conjugate prior, for unknown
    blocks, and for priors of the wrong kind or shape.
    """
    if estimate not in ESTIMATES:
        raise ValueError(f"estimate is {estimate!r}: it is one of {', '.join(ESTIMATES)}")
    if estimate == "ml":
        if prior is not None:
            raise ValueError("a prior is given: it is for estimate='map' or 'vb'")
        return replace(model, prior=None, posterior=None)
    source = model.source(data, lengths, given=given)
    latent, emission = model.latent, model.emission.adapt(source.summary)
    if not (isinstance(latent, Conjugate) and isinstance(emission, ConjugateEmission) and emission.blocks):
        raise ValueError(f"the {emission.name} emission has no conjugate prior: its estimate is 'ml'")
    if derived := [name for name, parameter in latent.describe().items() if parameter.derived]:
        raise ValueError(f"{derived[0]} follows from the others and has no conjugate prior: its estimate is 'ml'")
    if not emission.unregularised:
        raise ValueError("reg_covar is for estimate='ml': a larger scale of the prior does its work")
    given = _by_name(prior, {**latent.blocks, **emission.blocks})
    resolved: dict[str, Prior] = {}
    for part in (latent, emission):
        defaults = part.default_prior(source.summary, estimate == "vb")
        resolved |= part.check_prior(defaults | {name: one for name, one in given.items() if name in defaults})
    if any(one.by_size for one in resolved.values()):
        order = np.argsort(-latent.expected_statistics(1.0, 1)[1], kind="stable")
        latent, emission = latent.permuted(order), emission.some(order)
        model = replace(model, latent=latent)
    if estimate == "map":
        for name, one in resolved.items():
            one.check_mode(name)
    seen, mass = latent.expected_statistics(source.summary.weight, source.n_sequences)
    start = replace(model, emission=emission, prior=resolved, posterior={} if estimate == "vb" else None)
    s = Statistics.zeros(start.layout)
    s["latent"], s["emission"] = seen.vector, emission.expected_statistics(mass).vector
    return start.maximize(s)[0]


def _by_name(prior: Any, blocks: Mapping[str, tuple[type[Prior], ...]]) -> dict[str, Prior]:
    """The given priors by block. Raises ValueError naming one that no block takes."""
    if isinstance(prior, Prior):
        names = [name for name, kinds in blocks.items() if isinstance(prior, kinds)]
        if len(names) != 1:
            which = f"is for one of {', '.join(names)}: say which" if names else f"fits none of {', '.join(blocks)}"
            raise ValueError(f"a {prior.name} prior {which}, as prior={{name: ...}}")
        return {names[0]: prior}
    if prior is not None and not isinstance(prior, Mapping):
        raise ValueError(f"prior is {prior!r}: it is a Prior, or a mapping of names of blocks to priors")
    given = dict(prior or {})
    for name, one in given.items():
        if name not in blocks:
            raise ValueError(f"prior is given for {name!r}, which is none of {', '.join(blocks)}")
        if not isinstance(one, blocks[name]):
            kinds = " or ".join(kind.__name__ for kind in blocks[name])
            raise ValueError(f"the prior of {name} is {one!r}: it is a {kinds}")
    return given
