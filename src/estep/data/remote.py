"""Data on a Dask cluster: they stay where they are, and leaves are put together there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np

from estep.data.batch import Batch
from estep.data.reading import Reading, rows_of
from estep.data.rows import CHUNK, Prepare, Rows
from estep.statistics import Array
from estep.tables.blocks import Block, Blocks, T
from estep.util.packed import Packed


class Collection(Blocks):
    """A Dask array (n, D), data frame or bag of sequences (arrays), by its partitions."""

    def __init__(self, client: Any, data: Any) -> None:
        import distributed

        try:
            self.client = client or distributed.get_client()
        except ValueError:
            raise ValueError(
                "the data are a collection of Dask: make a distributed.Client, and give execute=estep.Dask(client)"
            ) from None
        self.names, self._texts = _columns_of(data)
        self._parts: list[Any] = self._computed(data)
        self._starts: list[int] = []

    def _computed(self, data: Any) -> list[Any]:
        """A future for each partition, of which the cluster knows how it is made."""
        if hasattr(data, "rechunk"):
            data = data.reshape(-1, 1) if data.ndim == 1 else data
            data = data.rechunk({1: -1})
        if hasattr(data, "dtypes") and any(not isinstance(c, str) for c in data.columns):
            data = data.rename(columns=str)
        delayed = data.to_delayed()
        parts = delayed.ravel().tolist() if hasattr(delayed, "ravel") else list(delayed)
        return list(self.client.compute(parts))

    def is_text(self, column: str) -> bool:
        return column in self._texts

    def each(self, work: Callable[[Block], T], columns: Sequence[str] | None, rows: int) -> Iterator[T]:
        at, self._starts = 0, []
        asked = [self.client.submit(_ask, work, part, columns, pure=False) for part in self._parts]
        for future in asked:
            n, found = future.result()
            self._starts.append(at)
            at += n
            yield found

    def read(self, first: int, columns: Sequence[str] | None, rows: int) -> Iterator[Block]:
        at = 0
        for part in self._parts:
            block = self.client.submit(_block, part, columns, pure=False).result()
            yield Block(at, block.data, block.lengths)
            at += len(block.data)

    def where(self, row: int) -> str:
        part = int(np.searchsorted(self._starts, row, side="right")) - 1
        return f"row {row - self._starts[part]} of {self._called(part)}" if part >= 0 else f"row {row}"

    def _called(self, part: int) -> str:
        return f"partition {part}"

    def rows(self, reading: Reading, columns: Any, starts: list[int], n: int, D: int) -> Remote:
        """Their rows, on the workers."""
        parts = [self.client.submit(_numbers, part, reading, columns, pure=False) for part in self._parts]
        return Remote(self.client, parts, [*starts, n], D, reading.dtype, self.where)


class RemoteFiles(Collection):
    """Files that the workers read, each as a partition."""

    def __init__(self, client: Any, files: Blocks) -> None:
        paths = getattr(files, "paths", None)
        if paths is None:
            raise ValueError("the workers of a cluster read Parquet, NumPy and text files: these are others")
        self.client, self.names, self._files = client, files.names, files
        self._parts = [FilePart(str(Path(path).resolve())) for path in paths]
        self._starts = []

    def is_text(self, column: str) -> bool:
        return self._files.is_text(column)

    def head(self, rows: int) -> Any:
        return self._files.head(rows)

    def check(self, columns: Sequence[str], ids: str | None = None) -> None:
        self._files.check(columns, ids)
        how = {name: getattr(self._files, name, None) for name in ("dialect", "kinds")}
        self._parts = [part._replace(**how) for part in self._parts]

    def _called(self, part: int) -> str:
        return str(self._parts[part].path)


@dataclass(frozen=True, eq=False)
class Part:
    """Rows ``low`` to ``high``, where they are: in partitions that begin at ``starts``."""

    low: int
    high: int
    starts: tuple[int, ...]
    futures: tuple[Any, ...]

    def __len__(self) -> int:
        return self.high - self.low

    def leaf(self, client: Any, batch: Batch) -> Any:
        """A future of the batch with these rows, put together on a worker."""
        plain = replace(batch, X=np.empty((0, 0)))
        return client.submit(_leaf, Packed(plain), self.low, self.high, self.starts, *self.futures, pure=False)


class FilePart(NamedTuple):
    """A file that a worker reads."""

    path: str
    dialect: Any = None
    kinds: Any = None


class Remote(Rows):
    """Rows in partitions, which are futures of ``(X, base)``."""

    remote: ClassVar[bool] = True

    def __init__(
        self, client: Any, parts: list[Any], cuts: list[int], D: int, dtype: Any, where: Callable[[int], str]
    ) -> None:
        super().__init__()
        self._raw: Remote | None = None
        self._client, self._parts, self._cuts, self._where = client, parts, cuts, where
        self.shape, self.dtype = (cuts[-1], D), np.dtype(dtype)

    def where(self, row: int) -> str:
        return self._where(row)

    def part(self, low: int, high: int) -> Part:
        """Some rows where they are."""
        low, high = max(low, 0), min(high, len(self))
        first = int(np.searchsorted(self._cuts, low, side="right")) - 1
        stop = max(int(np.searchsorted(self._cuts, high)), first + 1)
        return Part(low, high, tuple(self._cuts[first:stop]), tuple(self._parts[first:stop]))

    def both(self, first: int, stop: int) -> tuple[Array, Array | None]:
        part = self.part(first, stop)
        found = self._client.submit(_rows, part.low, part.high, part.starts, *part.futures, pure=False).result().value
        return found[0], found[1]

    @property
    def raw(self) -> Rows:
        return self if self._raw is None else self._raw

    def read(self, first: int, stop: int) -> Array:
        return self.both(first, stop)[0]

    def chunks(self, work: Callable[[Array, int], Any]) -> list[Any]:
        there = self._client.submit(_same, Packed(work), pure=False)
        asked = []
        for i in range(0, len(self), CHUNK):
            part = self.part(i, i + CHUNK)
            asked.append(
                self._client.submit(_chunk, there, part.low, part.high, part.starts, *part.futures, pure=False)
            )
        try:
            return [future.result() for future in asked]
        except ValueError as error:
            raise self.placed(error) from None

    def prepared(self, prepare: Prepare, D: int, dtype: np.dtype[Any]) -> Rows:
        there = self._client.submit(_same, Packed(prepare), pure=False)
        parts = [
            self._client.submit(_prepared, there, part, first, pure=False)
            for part, first in zip(self._parts, self._cuts, strict=False)
        ]
        new = Remote(self._client, parts, self._cuts, D, dtype, self._where)
        new._raw = self
        return new


# On the workers


def _same(value: Any) -> Any:
    return value


def _block(part: Any, columns: Sequence[str] | None) -> Block:
    """A partition as a block: a file that is read whole, a list of sequences, an array or a data frame."""
    if isinstance(part, FilePart):
        return _file(part, columns)
    if not hasattr(part, "shape"):  # a list of sequences, or what makes one
        arrays = [np.asarray(x) for x in part]
        arrays = [x.reshape(-1, 1) if x.ndim == 1 else x for x in arrays]
        whole = np.concatenate(arrays) if arrays else np.zeros((0, 1))
        return Block(0, whole, np.array([len(x) for x in arrays], dtype=np.int64))
    return Block(0, part if columns is None or isinstance(part, np.ndarray) else part[list(columns)])


def _file(file: FilePart, columns: Sequence[str] | None) -> Block:
    from estep.tables.stored_files import open_files

    read = open_files([file.path], file.dialect, file.kinds).read(0, columns, CHUNK)
    blocks = [block.data for block in read]
    if blocks and isinstance(blocks[0], np.ndarray):
        return Block(0, np.concatenate(blocks))
    import pyarrow as pa

    return Block(0, pa.concat_tables(blocks) if blocks else pa.table({}))


def _ask(work: Callable[[Block], Any], part: Any, columns: Sequence[str] | None) -> tuple[int, Any]:
    block = _block(part, columns)
    return rows_of(block), work(block)


def _numbers(part: Any, reading: Reading, columns: Sequence[str] | None) -> Packed:
    block = _block(part, columns)
    if not rows_of(block):
        width = len(reading.given) + len(reading.features)
        return Packed((np.zeros((0, width), reading.dtype), None))
    return Packed((reading.numbers(block.data), None))


def _prepared(prepare: Packed, part: Packed, first: int) -> Packed:
    X, _ = part.value
    return Packed(prepare.value(X, first)) if len(X) else part


def _joined(low: int, high: int, starts: Sequence[int], parts: Sequence[Packed]) -> tuple[Array, Array | None]:
    some: list[list[Any]] = []
    for start, part in zip(starts, parts, strict=True):
        rows = slice(max(low - start, 0), max(high - start, 0))
        some.append([None if v is None else v[rows] for v in part.value])
    some = [one for one in some if len(one[0])] or some[:1]
    X = np.require(np.concatenate([X for X, _ in some]), requirements=["C", "A"])
    return X, None if some[0][1] is None else np.concatenate([base for _, base in some])


def _rows(low: int, high: int, starts: Sequence[int], *parts: Packed) -> Packed:
    return Packed(_joined(low, high, starts, parts))


def _chunk(work: Packed, low: int, high: int, starts: Sequence[int], *parts: Packed) -> Any:
    return work.value(_joined(low, high, starts, parts)[0], low)


def _leaf(batch: Packed, low: int, high: int, starts: Sequence[int], *parts: Packed) -> Packed:
    X, base = _joined(low, high, starts, parts)
    return Packed(replace(batch.value, X=X, base=base))


def _columns_of(data: Any) -> tuple[tuple[str, ...], set[str]]:
    """The names of a collection's columns, and those that are texts."""
    if not hasattr(data, "dtypes"):
        return (), set()
    kinds = {str(name): kind for name, kind in data.dtypes.items()}
    return tuple(kinds), {name for name, kind in kinds.items() if getattr(kind, "kind", "O") not in "fiub"}
