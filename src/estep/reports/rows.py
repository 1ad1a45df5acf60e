"""The rows that a report shows: some of them, with their components."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from estep.data.source import Source
from estep.inference.predictive import columns_of, own_columns, rows_of
from estep.inference.reading import as_read
from estep.model import Model
from estep.statistics import Array
from estep.util.figures import dates
from estep.util.numbers import is_missing

MOST = 2000
"""Rows that are shown of more."""
DIGITS = 6


@dataclass(frozen=True, eq=False)
class About:
    """What is known of the data beside their rows. ``times`` and ``kept``: cells (n,) by row; ``sequences``: names."""

    data: str = "the data"
    provenance: Mapping[str, Any] = field(default_factory=dict)
    times: Array | None = None
    kept: Mapping[str, Array] = field(default_factory=dict)
    sequences: tuple[str, ...] = ()


def shown_rows(
    model: Model, raw: Source, about: About, p: Array, states: Array, columns: Sequence[int]
) -> dict[str, Any]:
    """Some rows by column: their numbers, times, what else is kept of them, values, component and how sure it is.

    Of a chain, sequences from the first on as a whole, where they fit; a longer one evenly thinned, as the rows of a
    mixture are.
    """
    names = columns_of(model)[0]
    which = _which(raw, model.latent.sequential)
    read = as_read(model, raw)  # whose columns are in the order of the data
    (there, symbols), own = columns_of(read), own_columns(read)
    cells = np.stack([rows_of(np.asarray(raw.X[int(i) : int(i) + 1]))[0] for i in which])[:, own]
    at = {name: d for d, name in enumerate(there)}
    order = [at.get(names[d], d) for d in columns]
    chosen, probabilities = np.asarray(states)[which], np.asarray(p)[which]
    sure = np.where(chosen < 0, np.nan, probabilities[np.arange(len(which)), chosen])
    out: dict[str, Any] = {
        "shown": len(which),
        "of": len(raw),
        "row": which.tolist(),
        "component": chosen.tolist(),
        "sure": _rounded(sure),
        "probabilities": [_rounded(row) for row in probabilities] if model.n_components <= 12 else None,
        "columns": [{"name": there[d], "values": _values(cells[:, d], symbols[d])} for d in order],
        "kept": [{"name": name, "values": _texts(np.asarray(cells)[which])} for name, cells in about.kept.items()],
        "times": None if about.times is None else as_cells(np.asarray(about.times)[which]),
        "sequences": None,
    }
    if model.latent.sequential and raw.ends is not None and len(raw.ends) > 1:
        place = np.searchsorted(raw.ends, which, side="right")
        named = about.sequences or tuple(map(str, range(len(raw.ends))))
        out["sequences"] = [named[i] for i in place]
    return out


def _which(raw: Source, chain: bool) -> Array:
    n = len(raw)
    if n <= MOST:
        return np.arange(n)
    if chain and raw.ends is not None and raw.ends[0] <= MOST:
        return np.arange(int(raw.ends[raw.ends <= MOST][-1]))
    last = int(raw.ends[0]) if chain and raw.ends is not None else n
    return np.unique(np.linspace(0, last - 1, MOST).astype(int))


def as_cells(values: Array) -> list[Any]:
    """Numbers and texts as JSON has them."""
    if values.dtype.kind in "iu":
        return [int(v) for v in values]
    if values.dtype.kind == "O" and all(isinstance(v, int | float) or v is None for v in values):
        return [v if isinstance(v, int) or v is None or np.isfinite(v) else None for v in values]
    return _rounded(values) if values.dtype.kind == "f" else _texts(values)


def _values(values: Array, symbols: Sequence[Any]) -> list[Any]:
    if len(symbols):
        return [None if np.isnan(v) else str(symbols[int(v)]) for v in values]
    return _rounded(values)


def _rounded(values: Array) -> list[Any]:
    return [float(f"{v:.{DIGITS}g}") if np.isfinite(v) else None for v in np.asarray(values, float)]


def _texts(cells: Array) -> list[Any]:
    """Cells as texts."""
    return dates(cells) if cells.dtype.kind == "M" else [None if is_missing(c) else str(c) for c in cells]
