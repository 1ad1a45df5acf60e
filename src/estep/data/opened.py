"""Data past memory as a source: files, Arrow data sets, blocks, and what is on a cluster.

What is kept of them are the ends of the sequences and the parameters; weights and labels go to a file of their own.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import Any

import numpy as np

from estep.data import stored
from estep.data.columns import Roles, is_frame
from estep.data.frames import Symbols
from estep.data.given import check_weights, weights_of_rows
from estep.data.labels import Evidence, as_evidence
from estep.data.reading import Index, Reading, symbols_of
from estep.data.remote import Collection, RemoteFiles
from estep.data.rows import CHUNK
from estep.data.source import Source
from estep.statistics import Array
from estep.tables.blocks import Blocks, Iterated
from estep.util.room import on_disk


def is_path(data: Any) -> bool:
    """Whether the data are the name of a file, or several."""
    one = isinstance(data, str | PurePath)
    return one or (isinstance(data, list | tuple) and bool(data) and all(isinstance(d, str | PurePath) for d in data))


def blocks_of(data: Any, dialect: Any = None, execute: Any = None) -> Blocks | None:
    """Data that are read block by block; None for those in memory. ``execute``: a cluster, whose workers read files.

    Raises TypeError for an iterator, which cannot be read again.
    """
    client = getattr(execute, "client", None)
    if isinstance(data, Blocks):
        return data
    if is_path(data):
        from estep.tables.stored_files import open_files

        found = open_files([data] if isinstance(data, str | PurePath) else list(data), dialect)
        return found if client is None else RemoteFiles(client, found)
    if type(data).__module__.startswith("pyarrow._dataset"):
        from estep.tables.stored_files import ArrowDataset

        return ArrowDataset(data)
    if type(data).__module__.split(".")[0] in ("dask", "dask_expr"):
        return Collection(client, data)
    if hasattr(data, "__next__"):
        raise TypeError(
            f"the data are a {type(data).__name__}, which can be read once: give a list of arrays, or a function that "
            "makes one, so that they can be read again"
        )
    if callable(data) and not hasattr(data, "shape") and not is_frame(data):
        return Iterated(data)
    return None


def is_blocks(data: Any) -> bool:
    """Whether the data are read block by block."""
    kind = type(data).__module__
    known = isinstance(data, Blocks) or is_path(data) or kind.startswith("pyarrow._dataset")
    return known or kind.split(".")[0] in ("dask", "dask_expr") or (callable(data) and not hasattr(data, "shape"))


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What is said of the data, and what a model knows of them: see :func:`estep.as_source`."""

    rows: Any = "real"
    columns: Sequence[str] = ()
    sequence: str | None = None
    weights: Any = None
    labels: Any = None
    given: Any = None
    symbols: Any = ()
    only: tuple[str, ...] = ()
    roles: Roles = ()
    wanted: tuple[str, ...] = ()
    wanted_given: tuple[str, ...] = ()
    chain: bool | None = None
    new: bool = True

    def named(self, names: tuple[str, ...]) -> dict[str, Any]:
        """The columns with a role of their own."""
        sequence, known = self.sequence, dict(self.roles)
        if sequence is None and known.get("sequence") in names and self.chain is not False:
            sequence = known["sequence"]
        asked = {"sequence": sequence, "weight": self.weights, "labels": self.labels}
        return {role: name for role, name in asked.items() if name is not None}

    def covariates(self) -> tuple[str, ...]:
        """The columns that are covariates."""
        if self.given is None:
            return self.wanted_given if all(self.wanted_given) else ()
        return (self.given,) if isinstance(self.given, str) else tuple(self.given)

    def features(self, blocks: Blocks, aside: set[str]) -> tuple[str, ...]:
        """The columns that are features, none where they have no names; ``aside``: those with another part.

        Raises ValueError naming one that is not there, or cannot be one.
        """
        has = ", ".join(blocks.names)
        if any(self.wanted) and blocks.names:
            if missing := [w for w in self.wanted if w not in blocks.names]:
                raise ValueError(f"the data have no column {missing[0]!r}, which the model has; they have {has}")
            features = self.wanted
        else:
            aside = aside if self.new else aside | {column for _, column in self.roles}
            features = tuple(self.columns) or tuple(n for n in (self.only or blocks.names) if n not in aside)
        if texts := [c for c in features if self.rows == "real" and blocks.is_text(c)]:
            others = ", ".join(c for c in features if c not in texts)
            raise ValueError(
                f"column {texts[0]!r} is not numeric: name the columns to read, "
                f"estep.as_source(data, columns=[...]) (numeric: {others})"
            )
        if blocks.names and not features:
            raise ValueError(f"the data have no columns beside {', '.join(sorted(aside))}: nothing is left to read")
        return features

    def symbols_of(self, blocks: Blocks, features: tuple[str, ...], piece: int) -> Symbols:
        """The symbols of columns of texts, as pairs of a column and its texts."""
        texts = tuple(c for c in features if blocks.is_text(c))
        if self.rows == "real" or not (texts or self.symbols):
            return ()
        if self.rows == "symbols" and self.symbols:
            return ((features[0], tuple(self.symbols)),) if texts else ()
        return tuple(self.symbols) or symbols_of(blocks, texts, piece)


def opened(blocks: Blocks, asked: Asked, memory: Any) -> Source:
    """A source of blocks, in memory where they take a small part of ``memory``. Raises ValueError naming what is wrong
    with the columns, or too large."""
    most = stored.memory_of(memory)
    named, given = asked.named(blocks.names), asked.covariates()
    for what, name in (*named.items(), *(("given", g) for g in given), *(("columns", c) for c in asked.columns)):
        if not isinstance(name, str):
            raise ValueError(f"{what} is an array: of files and blocks, give the name of a column")
        if name not in blocks.names:
            has = ", ".join(blocks.names) or "columns without names"
            raise ValueError(f"{what} is {name!r}: the data have no such column; they have {has}")
    if both := sorted({*asked.columns} & {*named.values(), *given}):
        raise ValueError(f"column {both[0]!r} is among columns, and asked for as another: it cannot be both")
    features = asked.features(blocks, {*named.values(), *given})
    read = tuple(dict.fromkeys((*given, *features, *named.values())))
    blocks.check(read, named.get("sequence"))
    size, what = blocks.widest(read or None)
    if size > most // 2:
        least = (2 * size + stored.OVERHEAD) / 1e6
        raise ValueError(f"{what} takes {size / 1e6:.4g} MB by itself: memory='{least:.0f}MB' holds it")
    piece = stored.piece_of(most, max(len(read), 1))
    symbols = asked.symbols_of(blocks, features, piece)
    reading = Reading(asked.rows, given, features, symbols, np.float64)
    index = Index(blocks, reading, named, read, piece)
    reading = replace(reading, dtype=index.dtype)
    if isinstance(blocks, Collection):
        X: Any = blocks.rows(reading, read or None, index.starts, index.n, index.D)
    else:
        X = stored.Stored(blocks, reading, index.n, index.D, most)
        X = X[0 : index.n] if index.n * index.D * 8 <= most // stored.SHARE else X
    return _with_index(
        Source(
            X,
            columns=(*given, *features),
            symbols=symbols[0][1] if symbols and asked.rows == "symbols" else symbols,
            roles=tuple(named.items()) or asked.roles,
            n_given=len(given),
            single=index.dtype == np.float32,
        ),
        index,
        asked.chain,
    )


def _with_index(source: Source, index: Index, chain: bool | None) -> Source:
    """With the ends of sequences, weights and labels."""
    n, ends = index.n, index.ends
    if ends is None and index.lengths is not None:
        ends = np.cumsum(index.lengths, dtype=np.int64)
    if ends is None and chain:
        ends = np.array([n], dtype=np.int64)
    source = replace(source, ends=ends)
    if index.labels is not None:
        source = replace(source, evidence=Evidence(labels=_states(index.labels)))
    if index.weights is not None:
        w = index.weights
        source = replace(source, weights=check_weights(w, n, "row") if ends is None else weights_of_rows(w, source))
    return source


def _states(labels: Array) -> Array:
    """Labels (n,) as numbers of states."""
    states = on_disk(len(labels), np.int32)
    for i in range(0, len(labels), CHUNK):
        some = np.asarray(labels[i : i + CHUNK])
        try:
            states[i : i + CHUNK] = as_evidence(some, len(some)).labels
        except ValueError as error:
            text = re.sub(r"labels\[(\d+)\]", lambda found: f"labels[{int(found[1]) + i}]", str(error))  # noqa: B023
            raise ValueError(text) from None
    return states
