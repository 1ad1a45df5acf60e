"""Data as a family reads them: checked cell by cell, sorted by what is missing, and made ready once for a fit."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from estep.data.batch import Batch
from estep.data.missing import is_missing
from estep.data.rows import chunks, in_memory
from estep.data.source import Source
from estep.data.summary import Summary
from estep.interface import Emission
from estep.statistics import Array


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
    if type(emission).validate is not Emission.validate or (missing and not emission.allows_missing):
        key = emission.name, emission.symbols_read
        if in_memory(source.X) or key not in source.X.passed:
            chunks(source.X, _Check(emission, source.summary, source.order))
            if not in_memory(source.X):
                source.X.passed.add(key)
    if missing and source.ends is None and source.order is None and source.empty is None:
        source = source.by_pattern()
    if not emission.preparation:
        return source
    done = replace(source, preparation=emission.preparation, missing=missing, valued=source.weight_of_values)
    if in_memory(source.X):
        X, base = emission.prepare(source.X, source.summary)
        return replace(done, X=X, base=base)
    prepare = _Prepare(emission, source.summary)
    some, _ = prepare(source.X.read(0, 1), 0)
    return replace(done, X=source.X.prepared(prepare, some.shape[1], some.dtype))


@dataclass(frozen=True, eq=False)
class _Prepare:
    """What a family makes of rows."""

    emission: Emission
    summary: Summary

    def __call__(self, X: Array, first: int) -> tuple[Array, Array | None]:
        return self.emission.prepare(X, self.summary)


@dataclass(frozen=True, eq=False)
class _Check:
    """Whether the family can have produced rows."""

    emission: Emission
    summary: Summary
    order: Array | None

    def __call__(self, X: Array, first: int) -> None:
        emission = self.emission
        order = None if self.order is None else self.order[first : first + len(X)]
        if self.summary.missing and not emission.allows_missing and (odd := is_missing(X)).any():
            rows = np.flatnonzero(odd.any(axis=1))
            i = int(rows[0] if order is None else rows[np.argmin(order[rows])])
            place = first + i if order is None else int(order[i])
            text = f"row {place}, column {int(np.argmax(odd[i]))} is missing"
            raise ValueError(f"{text}: {emission.name} emissions want every cell; fill it")
        emission.validate(Batch(X, None, None, first, 0, self.summary, order=order))
