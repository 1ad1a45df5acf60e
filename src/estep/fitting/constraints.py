"""Parameters that are held, and emissions that states share: constraints of the M-step.

Overwriting a parameter after a free M-step would lower the likelihood; here the others are the best there are given
those that are held.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from estep.inference.constraints import Constraints
from estep.model import Model
from estep.statistics import Array, Statistics


def constrained(model: Model, fixed: Any = (), emission_groups: Any = None) -> Model:
    """``model`` with parameters that stay as they are, and states that share emissions.

    Parameters
    ----------
    fixed : names of blocks, or mapping of names to components
        ``("transmat", "means")``, or ``{"means": [0, 2], "weights": True}``.
    emission_groups : (K,), optional
        States with the same number share one emission, for example (0, 0, 1); it starts as that of the first of them.

    Raises ValueError for blocks and components that do not exist, and for what a family cannot hold alone.
    """
    values, K = {**model.latent.values(), **model.emission.values()}, model.n_components
    held = {}
    for name, which in _by_name(fixed).items():
        if name not in values:
            raise ValueError(f"fixed names {name!r}, which is none of {', '.join(values)}")
        held[name] = _mask(name, which, K)
    groups = None if emission_groups is None else _groups(emission_groups, K)
    if not held and groups is None:
        return replace(model, constraints=None)
    if model.posterior is not None or (groups is not None and model.prior is not None):
        raise ValueError(f"{'fixed' if held else 'emission_groups'} does not go with estimate={model.estimate!r}")
    emission = model.emission
    derived = [name for name, parameter in model.latent.describe().items() if parameter.derived]
    if derived and set(model.latent.values()) & set(held):
        names = " or ".join(model.latent.values())
        raise ValueError(f"fixed names {names}, which do not go with begins='stationary': {derived[0]} follows")
    for name, mask in held.items() if groups is not None else ():
        if name in emission.values() and name not in emission.shared:
            _check_groups(name, mask, np.asarray(emission.values()[name]), groups)
    if groups is not None:
        emission = Constraints(held, groups).grouped(emission)
        emission.pooled(Statistics.zeros(emission.layout), groups)
    new = replace(model, emission=emission, constraints=Constraints(held, groups))
    own = {name: mask for name, mask in held.items() if name in emission.values()}
    if own:
        emission.check_holding(own, with_prior=model.prior is not None)
    return new


def from_dict(model: Model, entry: Any) -> Model:
    """``model`` with the constraints of a file. Raises ValueError for what does not go with it."""
    if not isinstance(entry, Mapping) or set(entry) != {"fixed", "emission_groups"}:
        raise ValueError("constraints is not an object with fixed and emission_groups")
    if not isinstance(entry["fixed"], Mapping):
        raise ValueError("constraints.fixed is not an object")
    again = constrained(model, entry["fixed"], entry["emission_groups"])
    same = zip(again.emission.values().values(), model.emission.values().values(), strict=True)
    if not all(np.array_equal(np.asarray(a), np.asarray(b)) for a, b in same):
        raise ValueError("emission_groups name states of one group whose emissions are not the same")
    return again


def _by_name(fixed: Any) -> dict[str, Any]:
    if fixed is None:
        return {}
    if isinstance(fixed, Mapping):
        return dict(fixed)
    if isinstance(fixed, str) or not isinstance(fixed, Iterable):
        raise ValueError(f"fixed is {fixed!r}: it is a set of names, or a mapping of names to components")
    return dict.fromkeys(fixed, True)


def _mask(name: str, which: Any, K: int) -> Array:
    if which is True:
        return np.ones(K, bool)
    array = np.atleast_1d(np.asarray(which))
    if array.dtype.kind not in "iu" or (array < 0).any() or (array >= K).any():
        raise ValueError(f"fixed[{name!r}] is {which!r}: it is True, or components from 0 to {K - 1}")
    return np.isin(np.arange(K), array)


def _check_groups(name: str, mask: Array, value: Array, groups: Any) -> None:
    """Raises ValueError where states of one group would hold different things."""
    for group in np.unique(groups):
        mine = groups == group
        if np.ptp(mask[mine].astype(int)):
            raise ValueError(f"fixed holds {name} of some states of a group and not of others: hold all or none")
        if mask[mine].any() and not (value[mine] == value[mine][0]).all():
            raise ValueError(f"fixed holds {name} that are not the same for the states of a group")


def _groups(groups: Any, K: int) -> Array:
    array = np.asarray(groups)
    if array.shape != (K,) or array.dtype.kind not in "iu":
        raise ValueError(f"emission_groups is {groups!r}: it is {K} whole numbers, one for each state")
    return array
