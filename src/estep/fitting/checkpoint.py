"""A fit that goes on where it was cut off: what has been done so far, in a file that is replaced in one step.

A fit of several starts is a fixed course of calls of the loop, given their results. The file keeps the results of those
that have ended and the state of the one under way; a fit that is begun again takes the same course, is given what is
there, and goes on to the same end, bit for bit.
"""

from __future__ import annotations

import hashlib
import io
import os
import pickle
import time
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from estep import kernels
from estep.data.rows import in_memory
from estep.data.source import Source
from estep.fitting.results import Fit
from estep.util.files import check_target, write_bytes

MAGIC = b"estep checkpoint 1\n"
DIGEST = 32  # bytes
PLAIN = {
    "builtins": {"set", "frozenset", "slice", "complex", "bytearray", "range"},
    "collections": {"OrderedDict"},
    "numpy": {"ndarray", "dtype"},
    "numpy._core.multiarray": {"_reconstruct", "scalar"},
    "numpy.core.multiarray": {"_reconstruct", "scalar"},
    "numpy._core.numeric": {"_frombuffer"},
    "numpy.core.numeric": {"_frombuffer"},
    "numpy.random._pickle": {"__generator_ctor", "__bit_generator_ctor"},
    "numpy.random.bit_generator": {"SeedSequence", "__pyx_unpickle_SeedSequence"},
    "numpy.random._pcg64": {"PCG64"},
    "numpy.random._philox": {"Philox"},
    "numpy.random._mt19937": {"MT19937"},
    "numpy.random._sfc64": {"SFC64"},
}
"""What a checkpoint may name beside classes of estep and of families of one's own: nothing else is made when it is
read."""


@dataclass
class Saved:
    """What a file has. ``made_for``: what must be the same to go on, by name. ``calls``: of each call of the loop that
    has ended, its fits and the highest bounds; ``progress``: the state of the one under way; ``result``: all of it."""

    made_for: dict[str, str]
    streams: Any = None
    calls: list[tuple[list[Fit], dict[int, dict[int, float]]]] = field(default_factory=list)
    progress: Any = None
    result: dict[int, Fit] | None = None


class Checkpoint:
    """``path``: the file; ``every``: seconds between two writes, at least.

    Raises ValueError where the file is there and is none, is damaged, or was made for other data or settings.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        every: float,
        made_for: dict[str, str],
        modules: Iterable[str] = (),
        streams: Any = None,
    ) -> None:
        if not isinstance(every, int | float) or isinstance(every, bool) or not every >= 0:
            raise ValueError(f"every is {every!r}: it is seconds between checkpoints, from 0")
        self._path, self._every, self._last = check_target(path), every, time.perf_counter()
        self._at, self._open, self._warned = 0, True, False
        self.saved = Saved(made_for, streams)
        if self._path.exists() and self._path.stat().st_size:
            found = read(self._path, modules)
            for name, value in made_for.items():
                if found.made_for.get(name) != value:
                    raise ValueError(
                        f"{path} is the checkpoint of a fit with other {name}: give another file, or delete it"
                    )
            self.saved = found

    @property
    def result(self) -> dict[int, Fit] | None:
        """The fits, where they had come to their end."""
        return self.saved.result

    def ended(self) -> tuple[list[Fit], dict[int, dict[int, float]]] | None:
        """The fits and highest bounds of the next call of the loop, where it had ended."""
        if self._at >= len(self.saved.calls):
            return None
        self._at += 1
        fits, highest = self.saved.calls[self._at - 1]
        return fits, copied(highest)

    def under_way(self) -> Any:
        """The state of the next call of the loop, where it was under way; None: it begins."""
        progress, self.saved.progress = self.saved.progress, None
        return progress

    def offer(self, state: Any) -> None:
        """Writes the state of the call under way, where it is time."""
        if self._open and time.perf_counter() - self._last >= self._every:
            self._write(state)

    def end(self, fits: list[Fit], highest: dict[int, dict[int, float]], last: Any) -> None:
        """A call of the loop has ended; of one that was cut off, the ``last`` state it can go on from is written."""
        if self._open and _cut_off(fits):
            if last is not None:
                self._write(last)
            self._open = False
        if self._open:
            self.saved.calls.append((fits, copied(highest)))
            self._at += 1
            if time.perf_counter() - self._last >= self._every:
                self._write(None)

    def finish(self, result: dict[int, Fit]) -> None:
        """All is done: the file says what came of it; of what was cut off, where it goes on."""
        if self._open and not _cut_off(result.values()):
            self.saved = Saved(self.saved.made_for, self.saved.streams, result=result)
            self._write(None)

    def _write(self, progress: Any) -> None:
        self.saved.progress = progress
        data = pickle.dumps(self.saved, protocol=5)
        self.saved.progress = None
        try:
            write_bytes(self._path, MAGIC + hashlib.blake2b(data, digest_size=DIGEST).digest() + data)
        except OSError as error:
            if not self._warned:
                text = f"checkpoint {self._path}: {error.strerror or error}; the fit goes on, the last one stays"
                warnings.warn(text, RuntimeWarning, stacklevel=2)
            self._warned = True
        self._last = time.perf_counter()


def copied(highest: dict[int, dict[int, float]]) -> dict[int, dict[int, float]]:
    """The bounds by group, which go on changing."""
    return {group: dict(bounds) for group, bounds in highest.items()}


def _cut_off(fits: Iterable[Fit]) -> bool:
    return any(f.stop_reason in ("interrupted", "max_time") for f in fits)


class _Reader(pickle.Unpickler):
    """Makes values of numpy's and our own classes alone, and of ``modules``."""

    def __init__(self, file: io.BytesIO, modules: Iterable[str]) -> None:
        super().__init__(file)
        self._modules = set(modules)

    def find_class(self, module: str, name: str) -> Any:
        """The class of that name. Raises ValueError for any that a checkpoint does not have."""
        if name in PLAIN.get(module, ()):
            return super().find_class(module, name)
        if module.split(".")[0] == "estep" or module in self._modules:
            found = super().find_class(module, name)
            if isinstance(found, type) and found.__module__ == module:  # not what a module imports
                return found
        raise ValueError(f"it names {module}.{name}, which no checkpoint has")


def read(path: Path, modules: Iterable[str] = ()) -> Saved:
    """What a checkpoint file has; ``modules``: those of families of one's own. Raises ValueError where it is none."""
    data = path.read_bytes()
    if not data.startswith(MAGIC):
        raise ValueError(f"{path} is not a checkpoint that this version reads: give another file")
    digest, body = data[len(MAGIC) : len(MAGIC) + DIGEST], data[len(MAGIC) + DIGEST :]
    if hashlib.blake2b(body, digest_size=DIGEST).digest() != digest:
        raise ValueError(f"{path} is damaged: it has been cut off or changed since it was written")
    try:
        saved = _Reader(io.BytesIO(body), modules).load()
    except (ValueError, AttributeError, ImportError, pickle.UnpicklingError) as error:
        raise ValueError(f"{path} is not a checkpoint that this version reads: {error}") from None
    assert isinstance(saved, Saved)
    return saved


def digest_of(*values: Any) -> str:
    """A digest of arrays, numbers, texts, and lists and dicts of them."""
    digest = hashlib.blake2b(digest_size=16)

    def take(value: Any) -> None:
        if isinstance(value, np.ndarray) and value.dtype != object:
            digest.update(f"{value.dtype}{value.shape}".encode())
            for first in range(0, len(value), 1 << 20) if value.ndim else ():
                digest.update(np.ascontiguousarray(value[first : first + (1 << 20)]).tobytes())
            digest.update(b"" if value.ndim else value.tobytes())
        elif isinstance(value, dict):
            take(sorted(value.items(), key=lambda item: str(item[0])))
        elif isinstance(value, Sequence) and not isinstance(value, str | bytes):
            digest.update(f"[{len(value)}".encode())
            for one in value:
                take(one)
        elif hasattr(value, "to_dict"):
            take(value.to_dict())
        elif hasattr(value, "__dict__") and not callable(value):
            take([type(value).__name__, {k: v for k, v in vars(value).items() if not k.startswith("_")}])
        else:
            digest.update(repr(value).encode())
        digest.update(b";")

    for value in values:
        take(value)
    return digest.hexdigest()


def made_for(source: Source, settings: Any) -> dict[str, str]:
    """What a fit must have the same to go on from a checkpoint, by what an error calls it."""
    evidence = None if source.evidence is None else vars(source.evidence)
    X: Any = source.X
    if not in_memory(X):
        found = source.summary
        X = [len(X), found.weight, found.mean, found.variance, found.low, found.high, found.bulk.median]
    data = digest_of(X, source.ends, source.weights, source.columns, source.order, evidence)
    return {"data": data, "settings": digest_of(settings), "kernels": kernels.active().level}
