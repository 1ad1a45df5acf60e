"""Immutable values with named parameters: what emissions, latent parts and priors are made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from functools import cache
from typing import Any, ClassVar, Self

import numpy as np

from estep.parameters.domains import Numbers, Parameter, Probabilities
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
        if array is not None:
            Probabilities().check(name, array)
            self._keep_support({name: array > 0})
        return array

    def _keep_support(self, masks: Mapping[str, Array]) -> None:
        for mask in masks.values():
            mask.flags.writeable = False
        object.__setattr__(self, "_support", {**self.__dict__.get("_support", {}), **masks})

    def describe(self) -> dict[str, Parameter]:
        """What each parameter is: numbers, unless a class says otherwise."""
        return {name: Parameter(Numbers()) for name in self.values()}

    def supports(self) -> dict[str, Array]:
        """Of each parameter that is probabilities, which entries may be other than zero; the shape of the values.

        A zero is structural where a parameter is given or started, and stays so; an estimate that is zero is none.
        """
        found = {}
        for name, value in self.values().items():
            if value is not None and name in self.__dict__.get("_support", {}):
                found[name] = self.__dict__["_support"][name]
        return found

    def blank(self) -> Self:
        """The same family without parameters."""
        return self.with_values(**dict.fromkeys(self.values()))

    def with_supports(self, masks: Mapping[str, Array]) -> Self:
        """The same with the supports given, for those that it has. Raises ValueError for values outside them."""
        own = {name: np.array(masks[name], dtype=bool) for name in self.supports() if name in masks}
        if not own:
            return self
        values = self.values()
        for name, mask in own.items():
            value = np.asarray(values[name])
            if mask.shape != value.shape:
                raise ValueError(f"the support of {name} has shape {mask.shape}, expected {value.shape}")
            if (value[~mask] != 0).any():
                where = [int(i) for i in np.argwhere((value != 0) & ~mask)[0]]
                raise ValueError(f"{name}{where} is {value[tuple(where)]}, outside its support")
        new = self.evolve()
        new._keep_support(own)
        return new

    def values(self) -> dict[str, Array | None]:
        """The parameters by name; None where they are not known yet."""
        return {name: getattr(self, name) for name in self.parameters}

    def with_values(self, **values: Any) -> Self:
        """The same with other parameters, whose zeros are structural. Raises ValueError for wrong shapes or values."""
        new: Self = replace(self, **values)  # type: ignore[type-var]
        was = self.values()

        def kept(name: str) -> bool:
            return name not in values or np.array_equal(np.asarray(values[name]), np.asarray(was[name]))

        return new.with_supports({n: mask for n, mask in self.supports().items() if kept(n)})

    def evolve(self, **values: Any) -> Self:
        """The same with other parameters, right by construction: they are kept as they are and not checked."""
        new = object.__new__(type(self))
        new.__dict__.update({name: self.__dict__[name] for name in _field_names(type(self))}, **values)  # type: ignore[arg-type]
        if "_support" in self.__dict__:
            new.__dict__["_support"] = self.__dict__["_support"]
        for value in values.values():
            if isinstance(value, np.ndarray):
                value.flags.writeable = False
        return new

    def release(self) -> None:
        """Lets go of what is kept beside the fields, and is found again when it is asked for."""
        kept = _field_names(type(self))  # type: ignore[arg-type]
        for name in [name for name in self.__dict__ if name not in kept and name != "_support"]:
            self.__dict__.pop(name, None)

    def to_dict(self) -> dict[str, Any]:
        """Fields by name, arrays as nested lists; ``type(self).from_dict`` reads it back to the same bits."""
        out: dict[str, Any] = {"name": self.name}
        for f in fields(self):  # type: ignore[arg-type]
            value = getattr(self, f.name)
            if f.metadata.get("transient") or (f.metadata.get("optional") and value == f.default):
                continue
            out[f.name] = _plain(value)
        own = self.__dict__.get("_support", {})
        estimated = {n: mask for n, mask in own.items() if (mask != (getattr(self, n) > 0)).any()}
        if estimated:  # zeros that are not structural
            out["support"] = {name: mask.astype(int).tolist() for name, mask in estimated.items()}
        return out

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The reverse of :meth:`to_dict`. Raises ValueError for unknown fields and wrong shapes or values."""
        known = {f.name for f in fields(cls) if not f.metadata.get("transient")}  # type: ignore[arg-type]
        given = {k: v for k, v in values.items() if k not in ("name", "support")}
        if unknown := sorted(set(given) - known):
            raise ValueError(f"{cls.name} has no field {unknown[0]!r}; it has {sorted(known)}")
        try:
            return cls(**given)._with_own_supports(values.get("support", {}))
        except TypeError as error:
            raise ValueError(f"{cls.name}: {error}") from None

    def _with_own_supports(self, entry: Any) -> Self:
        """With the supports of a file. Raises ValueError for what is none."""
        own = self.__dict__.get("_support", {})
        if not isinstance(entry, Mapping) or set(entry) - set(own):
            raise ValueError(f"{self.name}: support is not an object of {', '.join(own) or 'nothing'}")
        masks = {}
        for name, rows in entry.items():
            mask, value = np.asarray(rows), np.asarray(getattr(self, name))
            if mask.shape != value.shape or not np.isin(mask, (0, 1)).all() or (value[mask == 0] != 0).any():
                raise ValueError(f"{self.name}: support.{name} is not 0 or 1 for each entry, 1 where it is not zero")
            masks[name] = mask.astype(bool)
        new = self.evolve()
        new._keep_support(masks)
        return new
