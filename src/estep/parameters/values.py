"""Immutable values with named parameters: what emissions, latent parts and priors are made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from functools import cache
from typing import Any, ClassVar, Self

import numpy as np

from estep.statistics import Array
from estep.util.numbers import as_numbers


@cache
def _field_names(kind: type[Any]) -> tuple[str, ...]:
    return tuple(f.name for f in fields(kind))


def _plain(value: Any) -> Any:
    """A value as JSON has it."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value.to_dict() if isinstance(value, Values) else value


class Values:
    """Base of the frozen dataclasses that hold parameters: read-only arrays, and dictionaries for model files."""

    name: ClassVar[str]
    parameters: ClassVar[tuple[str, ...]]
    """The fields that are estimated; component k is row k of each, unless the field is shared."""

    def freeze(self, name: str, shape: tuple[int, ...] | None) -> Array | None:
        """Stores the field as a read-only float64 array; raises ValueError unless it is finite and of that shape."""
        value = getattr(self, name)
        if value is None:
            return None
        array = np.array(as_numbers(value, name), dtype=np.float64, order="C")
        if shape is not None and array.shape != shape:
            raise ValueError(f"{name} has shape {array.shape}, expected {shape}")
        if not np.isfinite(array).all():
            where = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
            raise ValueError(f"{name}{list(where)} is {array[where]}: parameters are finite")
        array.flags.writeable = False
        object.__setattr__(self, name, array)
        return array

    def freeze_probabilities(self, name: str, shape: tuple[int, ...] | None) -> Array | None:
        """As :meth:`freeze`, for rows of probabilities: not negative, each row adding up to 1 (to 1e-6)."""
        array = self.freeze(name, shape)
        if array is None:
            return None
        if (array < 0).any():
            where = [int(i) for i in np.argwhere(array < 0)[0]]
            raise ValueError(f"{name}{where} is {array[tuple(where)]}: probabilities are not negative")
        totals = np.atleast_1d(array.sum(axis=-1))
        if (np.abs(totals - 1) > 1e-6).any():
            row = int(np.argmax(np.abs(totals - 1)))
            place = f"row {row} of {name}" if array.ndim > 1 else name
            raise ValueError(f"{place} adds up to {totals[row]}, not to 1")
        return array

    def values(self) -> dict[str, Array | None]:
        """The parameters by name; None where they are not known yet."""
        return {name: getattr(self, name) for name in self.parameters}

    def with_values(self, **values: Any) -> Self:
        """The same with other parameters. Raises ValueError for wrong shapes or values."""
        return replace(self, **values)  # type: ignore[type-var]

    def evolve(self, **values: Any) -> Self:
        """The same with other parameters, right by construction: they are kept as they are and not checked."""
        new = object.__new__(type(self))
        new.__dict__.update({name: self.__dict__[name] for name in _field_names(type(self))}, **values)  # type: ignore[arg-type]
        for value in values.values():
            if isinstance(value, np.ndarray):
                value.flags.writeable = False
        return new

    def to_dict(self) -> dict[str, Any]:
        """Fields by name, arrays as nested lists; ``type(self).from_dict`` reads it back to the same bits."""
        out: dict[str, Any] = {"name": self.name}
        for f in fields(self):  # type: ignore[arg-type]
            value = getattr(self, f.name)
            if f.metadata.get("transient") or (f.metadata.get("optional") and value == f.default):
                continue
            out[f.name] = _plain(value)
        return out

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The reverse of :meth:`to_dict`. Raises ValueError for unknown fields and wrong shapes or values."""
        known = {f.name for f in fields(cls) if not f.metadata.get("transient")}  # type: ignore[arg-type]
        given = {k: v for k, v in values.items() if k != "name"}
        if unknown := sorted(set(given) - known):
            raise ValueError(f"{cls.name} has no field {unknown[0]!r}; it has {sorted(known)}")
        try:
            return cls(**given)
        except TypeError as error:
            raise ValueError(f"{cls.name}: {error}") from None
