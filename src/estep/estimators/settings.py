"""What estimators choose: settings, whether two are the same, and the precision they are shown in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import numpy as np

from estep.data.source import Source
from estep.estimators.array_api import to_numpy
from estep.interface import Emission
from estep.parameters.values import Values
from estep.statistics import Array

MOST_STARTS = 1_000_000

DERIVED = ("has_missing", "n_counts", "n_symbols", "n_given")
"""Numbers in families that follow from data and parameters; so do all arrays."""


def choices(family: Emission) -> dict[str, Any]:
    """What was chosen of a family, by name: its own name, and fields such as the covariance type."""
    out: dict[str, Any] = {"emission": family.name}
    for f in fields(family):  # type: ignore[arg-type]
        value = getattr(family, f.name)
        if f.name in family.parameters or f.name in DERIVED:
            continue
        if isinstance(value, Emission):
            out |= {(f.name if n == "emission" else n): v for n, v in choices(value).items()}
        elif f.name == "parts":
            out |= {f"{n} of {columns}": v for columns, part in value for n, v in choices(part).items()}
        elif isinstance(value, str | int | float):
            out[f.name] = value
    return out


def regulated(family: Emission, wanted: Emission) -> Emission:
    """The same with ``reg_covar`` as ``wanted`` has it, and inner families too."""
    changes: dict[str, Any] = {}
    for f in fields(family):  # type: ignore[arg-type]
        value, other = getattr(family, f.name), getattr(wanted, f.name)
        if f.name == "reg_covar":
            changes[f.name] = other
        elif isinstance(value, Emission):
            changes[f.name] = regulated(value, other)
        elif f.name == "parts":
            pairs = zip(value, other, strict=True)
            changes[f.name] = tuple((columns, regulated(one, two)) for (columns, one), (_, two) in pairs)
    return family.evolve(**changes) if changes else family


def alike(one: Any, other: Any) -> bool:
    """Whether settings are the same."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(alike(one[name], other[name]) for name in one)
    if isinstance(one, Values) and isinstance(other, Values):
        return type(one) is type(other) and one.to_dict() == other.to_dict()
    if isinstance(one, list | tuple | np.ndarray) or isinstance(other, list | tuple | np.ndarray):
        return np.array_equal(np.asarray(one), np.asarray(other))
    return one is other or bool(one == other)


def same(attribute: Any, value: Any) -> bool:
    """Whether an attribute still is the parameter, in its precision."""
    now = np.asarray(to_numpy(attribute))
    return np.array_equal(now, np.asarray(value).astype(now.dtype if now.dtype.kind == "f" else np.float64))


def rounded(value: Array, dtype: type[np.floating[Any]]) -> Array:
    """A parameter in that precision, where it can hold it."""
    with np.errstate(over="ignore", under="ignore"):
        narrow = value.astype(dtype)
    underflowed = (np.abs(narrow) < np.finfo(dtype).tiny) & (value != 0)
    return value if underflowed.any() or not np.isfinite(narrow).all() else narrow


def as_dtype(values: Array, source: Source) -> Array:
    """float32 results for float32 data, where these hold them."""
    if not source.single:
        return values
    with np.errstate(over="ignore"):
        narrow = values.astype(np.float32)
    return narrow if np.array_equal(np.isfinite(narrow), np.isfinite(values)) else values
