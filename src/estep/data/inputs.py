"""Data of every form as rows: arrays, sequences, data frames, files; what is wrong with them is named.

``as_source`` takes an array ``(n, D)``, ``(X, lengths)``, a list of arrays (one a sequence), a 3-D array ``(S, T, D)``,
data frames (pandas, polars, pyarrow), or what :mod:`estep.data.opened` reads block by block, and raises ValueError
naming the row, column or sequence that is wrong. NaN, None, NA, NaT and what is masked are missing cells.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import numpy as np

from estep.data.columns import Roles, choose, column, drop, frame_of, is_frame, match
from estep.data.forms import as_rows, features, unpacked
from estep.data.given import beside, check_weights, given_names, labels_of, weights_of_rows
from estep.data.labels import as_evidence
from estep.data.opened import Asked, blocks_of, opened
from estep.data.rows import in_memory
from estep.data.sequences import Runs, Sequences
from estep.data.source import Source
from estep.statistics import Array
from estep.util.numbers import as_whole


def as_source(
    data: Any,
    lengths: Any = None,
    weights: Any = None,
    rows: Literal["real", "symbols", "table"] = "real",
    columns: tuple[str, ...] = (),
    labels: Any = None,
    symbols: tuple[Any, ...] = (),
    only: tuple[str, ...] = (),
    *,
    given: Any = None,
    wanted: tuple[str, ...] = (),
    wanted_given: tuple[str, ...] = (),
    roles: Roles = (),
    chain: bool | None = None,
    new: bool = True,
    sequence: str | None = None,
    memory: Any = None,
    execute: Any = None,
) -> Source:
    """Data of any accepted form as a validated :class:`Source`.

    ``lengths``: rows of each sequence. ``weights``: (n,) for independent rows, (S,) for sequences. ``rows``: "symbols"
    reads whole numbers 0, 1, ... in one column. ``columns``: their names, where ``data`` has none. ``labels``: what is
    known of the states, (n,) with -1 for unknown, or a mask (n, K) of those allowed. ``given``: covariates (n, P), or
    one array a sequence. Weights, labels and covariates may be names of columns of a data frame, which are no features
    then. A "table" may be a data frame with columns of texts, which become symbols in the order of their names, or of
    the ``symbols`` given; of a frame it may read some columns ``only``.

    Data past memory: the name of a file, folder or pattern (Parquet, Arrow, NumPy, text), a list of names, a
    ``pyarrow.dataset.Dataset``, or a function that gives an iterator of blocks (arrays, data frames, ``(X, lengths)``)
    each time it is called; a collection of Dask. They are read some rows at a time, within ``memory`` ("500MB";
    default "1GB"), and into memory where they are small; ``columns`` are then those to read. ``sequence``: the column
    of which equal values, one after the other, are a sequence, of a data frame too. ``execute``: an
    :class:`estep.Dask` whose workers read files.

    What a model knows: the names of its columns (``wanted``) and covariates (``wanted_given``), by which those of the
    data go where both have names, and columns in ``roles``, which may be there or not. ``chain``: True makes rows
    without lengths one sequence, False makes rows of sequences independent. ``new``: no model knows the symbols yet.

    Raises ValueError or TypeError naming what is wrong and where.
    """
    if isinstance(data, Source):
        if any(x is not None for x in (lengths, weights, labels, given)):
            raise ValueError("a Source has its lengths, weights, labels and covariates already")
        return _chained(_again(data, rows, wanted, wanted_given), chain)
    blocks = blocks_of(data, execute=execute)
    if blocks is not None:
        if lengths is not None:
            raise ValueError("lengths are given: of files and blocks, sequence= names the column of their ids")
        asked = Asked(
            rows=rows,
            columns=columns,
            sequence=sequence,
            weights=weights,
            labels=labels,
            given=given,
            symbols=symbols,
            only=only,
            roles=roles,
            wanted=wanted,
            wanted_given=wanted_given,
            chain=chain,
            new=new,
        )
        source = _chained(opened(blocks, asked, memory), chain)
        source.summary  # noqa: B018
        return source
    data, lengths = unpacked(data, lengths)
    if sequence is not None:
        if lengths is not None:
            raise ValueError("the sequences are given twice: by lengths and by sequence=")
        data, lengths, roles = _by_ids(data, sequence, roles)
    named, weights_by_row = dict(roles), isinstance(weights, str)
    for role, value, what in (("weight", weights, "sample_weight"), ("labels", labels, "labels")):
        if isinstance(value, str):
            if value in wanted or value in wanted_given:
                raise ValueError(f"{what} is {value!r}, which the model reads as a column of its own")
            named[role] = value
            values = column(data, value, what)
            weights, labels = (values, labels) if role == "weight" else (weights, values)
    by_name = given_names(data, given, wanted_given)
    if len(set(by_name)) < len(by_name) or set(by_name) & set(wanted):
        raise ValueError(f"given is {list(by_name)}: name columns that are no features, each once")
    if by_name:
        given = np.column_stack([column(data, name, "given") for name in by_name])
    aside = {name for name in (*named.values(), *by_name) if name not in wanted}
    if is_frame(data) and aside:
        data = drop(data, tuple(aside))
    if is_frame(data) and columns:
        data = choose(data, columns)
    X, names, symbols = features(data, rows, symbols, only, new)
    names = names or columns
    place = match(names, wanted, X.shape[1]) if X.ndim == 2 else None
    X = as_rows(X if place is None else X[:, place], rows)
    names = names if place is None else wanted
    ends = None if lengths is None else check_lengths(lengths, len(X))
    if ends is None and chain:
        ends = np.array([len(X)], dtype=np.int64)
    known = None if labels is None else as_evidence(labels_of(labels, ends), len(X))
    single = X.dtype == np.float32
    source = Source(X, ends, None, names, evidence=known, symbols=symbols, roles=tuple(named.items()), single=single)
    if given is not None:
        source = beside(source, given, by_name, wanted_given)
    if weights is not None:
        unit = "row" if source.ends is None else "sequence"
        by_row = weights_by_row and source.ends is not None
        checked = weights_of_rows(weights, source) if by_row else check_weights(weights, source.n_sequences, unit)
        source = replace(source, weights=checked)
    source = _chained(source, chain)
    source.summary  # noqa: B018  (the validating pass: errors come before anything is changed)
    return source


def _by_ids(data: Any, sequence: str, roles: Roles) -> tuple[Any, Array, Roles]:
    """A data frame without its column of ids, and the lengths of the runs of equal ones."""
    if not is_frame(data):
        raise ValueError(f"sequence is {sequence!r}, the name of a column: the data have no names, give lengths")
    frame = frame_of(data)
    if sequence not in frame.columns:
        raise ValueError(
            f"sequence is {sequence!r}: the data have no such column; they have {', '.join(frame.columns)}"
        )
    ids = Sequences(sequence, lambda row: f"row {row}")
    ids.add(Runs.of(frame[sequence]), 0)
    ends = ids.ends(len(frame))
    named = dict(roles) | {"sequence": sequence}
    return drop(data, (sequence,)), np.diff(ends, prepend=0), tuple(named.items())


def _again(source: Source, rows: str, wanted: tuple[str, ...], wanted_given: tuple[str, ...]) -> Source:
    """A Source as a model with these columns and covariates reads it."""
    P, D = source.n_given, source.X.shape[1] - source.n_given
    if not in_memory(source.X) and (
        match(source.columns[:P], wanted_given, P, "covariate") or match(source.columns[P:], wanted, D)
    ):
        raise ValueError(f"the data were opened with the columns {', '.join(source.columns)}: open them for this model")
    given, own = source.columns[:P], source.columns[P:]
    places = match(given, wanted_given, P, "covariate") if P else None, match(own, wanted, D)
    if any(place is not None for place in places):
        if source.preparation or source.order is not None:
            raise ValueError(f"the data were prepared for other columns, {', '.join(source.columns)}")
        first, then = (range(n) if place is None else place for n, place in zip((P, D), places, strict=True))
        X = np.ascontiguousarray(source.X[:, [*first, *(P + d for d in then)]])
        names = (*(wanted_given if places[0] is not None else given), *(wanted if places[1] is not None else own))
        source = replace(source, X=X, columns=names)
    if source.preparation or (rows == "symbols" and source.X.dtype == np.int32):
        return source
    X = as_rows(source.X, rows) if in_memory(source.X) else source.X
    return source if X is source.X else replace(source, X=X)


def _chained(source: Source, chain: bool | None) -> Source:
    return source if chain is None else source.chained() if chain else source.independent()


def lagged(X: Any, lengths: Any = None, order: int = 1) -> tuple[Array, Array, Array]:
    """Observations, their ``order`` predecessors as covariates, and the lengths that are left: an autoregression.

    ``(X (n', D), given (n', D order), lengths)``, the latest predecessor first. Raises ValueError where a sequence is
    not longer than ``order``.
    """
    order = as_whole("order", order)
    source = as_source(X, lengths)
    ends = source.all_ends
    if (short := np.diff(ends, prepend=0) <= order).any():
        raise ValueError(f"sequence {int(np.argmax(short))} has no more than {order} steps")
    starts = np.concatenate([[0], ends[:-1]])
    rows = np.concatenate([np.arange(a + order, b) for a, b in zip(starts, ends, strict=True)])
    given = np.hstack([source.X[rows - lag] for lag in range(1, order + 1)])
    return source.X[rows], given, ends - starts - order


def check_lengths(lengths: Any, n: int) -> Array:
    """The ends of sequences of these lengths, of n rows in all. Raises ValueError where they are not so."""
    array = np.asarray(lengths)
    if array.ndim != 1 or array.dtype.kind not in "iu" or (array < 0).any() or np.ma.is_masked(lengths):
        raise ValueError(f"lengths is {_short(lengths)}: they are whole numbers, the rows of each sequence")
    total = float(array.sum(dtype=np.float64))  # does not wrap
    if (array > n).any() or total != n:
        labels = ": one for each row? known states are passed as labels=" if len(array) == n > 1 else ""
        raise ValueError(f"the lengths add up to {total:.0f}, but the data have {n} rows{labels}")
    return np.cumsum(array, dtype=np.int64)


def _short(value: Any) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) <= 60 else f"{text[:57]}..."
