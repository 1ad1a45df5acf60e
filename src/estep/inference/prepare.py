"""Data as a family reads them: checked cell by cell, sorted by what is missing, and made ready once for a fit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from estep.data.missing import is_missing
from estep.data.source import Source
from estep.interface import Emission

CHUNK = 65536


def prepared_to_fit(source: Source, emission: Emission) -> Source:
    """As :func:`prepared`, once for a fit; raises ValueError naming a column without any value too."""
    if not source.preparation:
        source.summary.require_values()
    return prepared(source, emission)


def prepared(source: Source, emission: Emission) -> Source:
    """``source`` validated and as ``emission`` reads it; checked again where that was done before.

    Raises ValueError naming the first row that the family cannot have produced, by its place when it came.
    """
    if source.preparation:
        if source.preparation != emission.preparation:
            raise ValueError(f"the data were prepared for {source.preparation}; the emission is {emission.name}")
        emission.check_prepared(source.summary)
        return source
    if source.order is None:
        source = emission.reading(source)
    missing = source.summary.missing
    if missing and not emission.allows_missing:
        rows = np.flatnonzero(is_missing(source.X).any(axis=1))
        row = int(rows[0] if source.order is None else rows[np.argmin(source.order[rows])])
        column = int(np.argmax(is_missing(source.X[row])))
        text = f"row {source.place(row)}, column {column} is missing"
        raise ValueError(f"{text}: {emission.name} emissions want every cell; fill it")
    for batch in source.row_batches(CHUNK):
        emission.validate(batch)
    if missing and source.ends is None and source.order is None:
        source = source.by_pattern()
    if not emission.preparation:
        return source
    X, base = emission.prepare(source.X, source.summary)
    return replace(
        source, X=X, base=base, preparation=emission.preparation, missing=missing, valued=source.weight_of_values
    )
