"""Files as blocks: Parquet, Arrow and NumPy ones, text; and Arrow data sets."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from estep.tables.blocks import Block, Blocks
from estep.tables.csv_file import COMPRESSED
from estep.tables.dialect import Dialect
from estep.tables.text_blocks import TextFiles

KINDS = {".parquet": "Parquet", ".pq": "Parquet", ".arrow": "Arrow", ".feather": "Arrow", ".npy": "NumPy"}
BUFFER = 2**16
"""Bytes of each column that are read at once."""


def open_files(
    paths: Sequence[str | os.PathLike[str]], dialect: Dialect | None = None, kinds: dict[str, str] | None = None
) -> Blocks:
    """The table of one or more files, folders or patterns such as ``part-*.parquet``, in the order of their names.
    ``kinds``: of the columns of text files, where they are known.

    Raises ValueError or OSError naming what is no table, or where files do not go together.
    """
    files = [file for path in paths for file in _files_of(path)]
    if len({kind_of(file) for file in files}) > 1:
        odd = next(file for file in files if kind_of(file) != kind_of(files[0]))
        raise ValueError(f"{files[0]} is {kind_of(files[0])}, {odd} is {kind_of(odd)}: give files of one kind")
    kind = kind_of(files[0])
    if kind == "Parquet":
        return ParquetFiles(files)
    if kind == "NumPy":
        return NumpyFiles(files)
    if kind == "Arrow":
        return ArrowDataset(_arrow(files))
    return TextFiles(files, dialect or Dialect(), kinds)


def _arrow(files: Sequence[Path]) -> Any:
    """The data set of Arrow files, of which all have the columns of the first, in the widest of their types."""
    import pyarrow as pa
    import pyarrow.dataset as ds

    schemas = []
    for file in files:
        try:
            schemas.append(ds.dataset(str(file), format="ipc").schema)
        except (pa.ArrowException, OSError) as error:
            raise ValueError(f"{file} cannot be read as an Arrow file: {error}") from None
        if missing := [name for name in schemas[0].names if name not in schemas[-1].names]:
            has = ", ".join(schemas[-1].names)
            raise ValueError(f"{file} has no column {missing[0]!r}, which {files[0]} has; it has {has}")
    try:
        schema = pa.unify_schemas(schemas, promote_options="permissive")
    except pa.ArrowException as error:
        raise ValueError(f"{files[0]} and others have columns of types that do not go together: {error}") from None
    return ds.dataset(list(map(str, files)), schema=schema, format="ipc")


def kind_of(path: Path) -> str:
    """What a file is, by its name; all others are text."""
    return KINDS.get(path.suffix.lower(), "text")


def _files_of(path: str | os.PathLike[str]) -> list[Path]:
    here = Path(path)
    if not here.exists() and glob.has_magic(str(path)):
        found = [Path(name) for name in sorted(glob.glob(str(path), recursive=True))]
        if "**" in str(path):  # which names what is in folders by itself
            found = [file for file in found if file.is_file()]
        if not found:
            raise ValueError(f"{path}: no file has such a name")
        return [file for one in found for file in _files_of(one)]
    if not here.is_dir():
        if not here.exists() and str(here) != "-":
            raise ValueError(f"{path}: no such file or folder. Texts that are symbols come in an array: np.array(X)")
        return [here]
    suffixes = {*KINDS, ".csv", ".tsv", ".txt", *COMPRESSED}
    inside = []
    for file in sorted(here.rglob("*")):
        parts = file.relative_to(here).parts
        if file.suffix.lower() in suffixes and file.is_file() and not any(p.startswith(("_", ".")) for p in parts):
            if named := [p for p in parts[:-1] if "=" in p]:
                raise ValueError(
                    f"{path} has folders that are values of a column ({named[0]}): give "
                    f"pyarrow.dataset.dataset({str(path)!r}, partitioning='hive'), which reads them"
                )
            inside.append(file)
    if not inside:
        raise ValueError(f"{path} is a folder without Parquet, Arrow, NumPy or CSV files")
    return inside


class _File(NamedTuple):
    """A file, the number of its first row, and what tells whether it has been changed."""

    path: Path
    first: int
    rows: int
    signature: tuple[int, int]

    def require_unchanged(self) -> None:
        """Raises ValueError where the file is another than when it was first read."""
        try:
            now = signature_of(self.path)
        except OSError as error:
            raise ValueError(f"{self.path} is gone while the data are read: {error.strerror}") from None
        if now != self.signature:
            raise ValueError(f"{self.path} was changed while the data are read: leave files alone until the end")


def signature_of(path: Path) -> tuple[int, int]:
    """Size and time of the last change."""
    found = path.stat()
    return found.st_size, found.st_mtime_ns


class _Files(Blocks):
    """Files with known numbers of rows."""

    files: list[_File]

    @property
    def paths(self) -> list[Path]:
        """Their names."""
        return [file.path for file in self.files]

    def where(self, row: int) -> str:
        file = self._at(row)
        return f"row {row - file.first} of {file.path}"

    def _at(self, row: int) -> _File:
        return next((f for f in self.files if f.first <= row < f.first + f.rows), self.files[-1])


class _Group(NamedTuple):
    """A row group: its rows, and the bytes of its columns as they are in the file."""

    rows: int
    sizes: tuple[int, ...]

    @classmethod
    def of(cls, meta: Any) -> _Group:
        """What a file says of it."""
        return cls(meta.num_rows, tuple(meta.column(c).total_compressed_size for c in range(meta.num_columns)))


class ParquetFiles(_Files):
    """Parquet files with the same columns."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self.files, self._schemas = [], []
        self._groups: list[list[_Group]] = []
        at = 0
        for path in paths:
            meta, schema = _parquet(path)
            self.files.append(_File(path, at, meta.num_rows, signature_of(path)))
            self._groups.append([_Group.of(meta.row_group(g)) for g in range(meta.num_row_groups)])
            self._schemas.append(schema)
            at += meta.num_rows
        self.n = at
        names = self._schemas[0].names
        if len(set(names)) < len(names):
            twice = next(n for n in names if names.count(n) > 1)
            raise ValueError(f"{paths[0]} has two columns of one name, {twice!r}")
        index = _index_of(self._schemas[0])
        self.names = tuple(n for n in names if n not in index)

    def is_text(self, column: str) -> bool:
        return not _numeric(self._schemas[0].field(column).type)

    def check(self, columns: Sequence[str], ids: str | None = None) -> None:
        for file, schema in zip(self.files, self._schemas, strict=True):
            for column in columns:
                if column not in schema.names:
                    has = ", ".join(schema.names)
                    raise ValueError(f"{file.path} has no column {column!r}; it has {has}")
                kind, first = schema.field(column).type, self._schemas[0].field(column).type
                if _numeric(kind) != _numeric(first):
                    raise ValueError(f"column {column!r} is {kind} in {file.path}, {first} in {self.files[0].path}")

    def widest(self, columns: Sequence[str] | None) -> tuple[int, str]:
        most, what = 0, ""
        for file, groups, schema in zip(self.files, self._groups, self._schemas, strict=True):
            wanted = range(len(schema.names)) if columns is None else [schema.names.index(c) for c in columns]
            for g, group in enumerate(groups):
                flat = len(group.sizes) == len(schema.names)
                size = sum(group.sizes[c] for c in wanted) if flat else sum(group.sizes)
                if size > most:
                    most, what = size, f"row group {g} of {file.path}"
        return most, what

    def read(self, first: int, columns: Sequence[str] | None, rows: int) -> Iterator[Block]:
        import pyarrow as pa
        import pyarrow.parquet as pq

        for file, groups in zip(self.files, self._groups, strict=True):
            if first >= file.first + file.rows:
                continue
            file.require_unchanged()
            at, begin = file.first, 0
            while begin < len(groups) and at + groups[begin].rows <= first:
                at, begin = at + groups[begin].rows, begin + 1
            names = list(columns or self.names)
            try:
                with pq.ParquetFile(file.path, buffer_size=BUFFER, pre_buffer=False) as parquet:
                    for batch in parquet.iter_batches(rows, range(begin, len(groups)), names):
                        yield Block(at, pa.Table.from_batches([batch]).select(names))
                        at += batch.num_rows
            except (pa.ArrowException, OSError) as error:
                file.require_unchanged()
                raise ValueError(f"{file.path} cannot be read to its end: {error}") from None


def _parquet(path: Path) -> tuple[Any, Any]:
    """What the end of a Parquet file says of it."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            return file.metadata, file.schema_arrow
    except pa.ArrowException as error:
        raise ValueError(f"{path} cannot be read as Parquet: {error}") from None


def _index_of(schema: Any) -> set[str]:
    """The columns that are the index of a data frame of pandas."""
    found = (schema.pandas_metadata or {}).get("index_columns", ()) if hasattr(schema, "pandas_metadata") else ()
    levels = {name for name in schema.names if name.startswith("__index_level_")}
    return {name for name in found if isinstance(name, str)} | levels


def _numeric(kind: Any) -> bool:
    import pyarrow.types as types

    return any(
        test(kind) for test in (types.is_integer, types.is_floating, types.is_boolean, types.is_decimal, types.is_null)
    )


class NumpyFiles(_Files):
    """Arrays (n, D) or (n,) in ``.npy`` files, one after the other."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self.files = []
        self._maps: list[tuple[int, Any, int]] = []
        at = 0
        for path in paths:
            try:
                with open(path, "rb") as file:
                    version = np.lib.format.read_magic(file)
                    read = (
                        np.lib.format.read_array_header_1_0
                        if version == (1, 0)
                        else np.lib.format.read_array_header_2_0
                    )
                    shape, fortran, dtype = read(file)
                    offset = file.tell()
            except (ValueError, OSError) as error:
                raise ValueError(f"{path} cannot be read as a NumPy file: {error}") from None
            if len(shape) not in (1, 2) or dtype.kind not in "fiub" or (fortran and len(shape) == 2 and shape[1] > 1):
                raise ValueError(f"{path} holds an array {shape} of {dtype}: numbers (n, D) by rows are wanted")
            D = shape[1] if len(shape) == 2 else 1
            if not D:
                raise ValueError(f"{path} holds an array {shape}: it has no columns")
            if self._maps and self._maps[0][0] != D:
                raise ValueError(f"{path} has {D} columns, {paths[0]} has {self._maps[0][0]}")
            self.files.append(_File(path, at, shape[0], signature_of(path)))
            self._maps.append((D, dtype, offset))
            at += shape[0]
        self.n = at

    def read(self, first: int, columns: Sequence[str] | None, rows: int) -> Iterator[Block]:
        for file, (D, dtype, offset) in zip(self.files, self._maps, strict=True):
            if first >= file.first + file.rows:
                continue
            file.require_unchanged()
            begin = max(first - file.first, 0)
            with open(file.path, "rb") as stream:
                stream.seek(offset + begin * D * dtype.itemsize)
                for i in range(begin, file.rows, rows):
                    count = min(rows, file.rows - i) * D
                    found = np.fromfile(stream, dtype, count)
                    if len(found) < count:
                        file.require_unchanged()
                        raise ValueError(f"{file.path} ends before its last row")
                    yield Block(file.first + i, found.reshape(-1, D))


class ArrowDataset(Blocks):
    """A ``pyarrow.dataset.Dataset``, with its row filter where it has one."""

    def __init__(self, dataset: Any) -> None:
        self._dataset = dataset
        index = _index_of(dataset.schema)
        self.names = tuple(n for n in dataset.schema.names if n not in index)
        self._files: list[tuple[int, str]] = []

    def is_text(self, column: str) -> bool:
        return not _numeric(self._dataset.schema.field(column).type)

    def read(self, first: int, columns: Sequence[str] | None, rows: int) -> Iterator[Block]:
        import pyarrow as pa

        names, at, files = list(columns or self.names), 0, list[tuple[int, str]]()
        try:
            scanner = self._dataset.scanner(columns=names, batch_size=rows, batch_readahead=2, fragment_readahead=1)
            for tagged in scanner.scan_batches():
                batch, path = tagged.record_batch, str(getattr(tagged.fragment, "path", "the data set"))
                if not files or files[-1][1] != path:
                    files.append((at, path))
                    self._files = files if len(files) > len(self._files) else self._files
                if batch.num_rows:
                    yield Block(at, pa.Table.from_batches([batch]))
                at += batch.num_rows
        except (pa.ArrowException, OSError) as error:
            raise ValueError(f"{files[-1][1] if files else 'the data set'} cannot be read: {error}") from None

    def where(self, row: int) -> str:
        found = [(first, path) for first, path in self._files if first <= row]
        return f"row {row - found[-1][0]} that is read of {found[-1][1]}" if found else f"row {row}"
