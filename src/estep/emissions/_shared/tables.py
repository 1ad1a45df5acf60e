"""The columns of a table that a product of families reads: by name or number, and what its parameters are called."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from estep.interface import Emission

Key = tuple[Any, ...]


def place_in(emission: Emission, names: Sequence[str]) -> list[Any]:
    """The places of the columns that an emission of tables reads, part after part; their keys where none are named."""
    product: Any = getattr(emission, "inner", emission)
    if names:
        return [d for place in product.places(names, len(names)) for d in place]
    return [c for columns, _ in product.parts for c in columns]


def as_table(emission: Emission, names: Sequence[str]) -> list[int]:
    """Where the columns that an emission of tables reads are in its draws, in the order of the data."""
    keys = place_in(emission, names)
    named = any(isinstance(c, str) for c in keys)  # by a model that has never seen the order
    return list(range(len(keys))) if named else np.argsort(keys).tolist()


def used_columns(emission: Emission) -> tuple[str, ...]:
    """The columns that an emission reads, where all of them are named; else none."""
    product: Any = getattr(emission, "inner", emission)
    columns = [c for key, _ in product.parts for c in key] if emission.rows == "table" else []
    return tuple(columns) if all(isinstance(c, str) for c in columns) else ()


def as_key(columns: Any) -> Key:
    """The columns of a part, as a tuple. Raises ValueError where they are neither names nor numbers."""
    key = tuple(columns) if isinstance(columns, tuple | list) else (columns,)
    if not key or not all(isinstance(c, str | int | np.integer) and not isinstance(c, bool) for c in key):
        raise ValueError(f"columns are {columns!r}: names or numbers, or a tuple of them")
    return tuple(c if isinstance(c, str) else int(c) for c in key)


def label_of(columns: Key) -> str:
    """What the parameters of a part are called by."""
    return "+".join(map(str, columns))


def of_part(label: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Those of one part, under their own names."""
    split = ((*name.rpartition("."), value) for name, value in values.items())
    return {name: value for part, _, name, value in split if part == label}
