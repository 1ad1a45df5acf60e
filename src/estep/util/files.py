"""Files written in one step: what was there stays until the new text is whole."""

from __future__ import annotations

import os
import re
import secrets
import stat
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

KINDS = ((stat.S_ISDIR, "a folder"), (stat.S_ISSOCK, "a socket"), (stat.S_ISBLK, "a disk"))
"""What cannot be written to."""


def _descriptor(path: str | os.PathLike[str]) -> int | None:
    """The open file that a name such as /dev/stdout or /dev/fd/3 stands for."""
    text = os.fspath(path)
    if text in ("/dev/stdout", "/dev/stderr"):
        return 1 if text == "/dev/stdout" else 2
    number = re.fullmatch(r"/(?:dev|proc/self)/fd/(\d{1,6})", text)
    return int(number[1]) if number else None


def check_target(path: str | os.PathLike[str]) -> Path:
    """The file that ``path`` names, through links. Raises OSError or ValueError where it could not be written."""
    descriptor = _descriptor(path)
    if descriptor is not None:
        os.fstat(descriptor)
        return Path(path)
    target = Path(os.path.realpath(path))
    if target.is_symlink():
        raise ValueError(f"{path} is a link that leads back to itself")
    if target.exists():
        mode = target.stat().st_mode
        for holds, what in KINDS:
            if holds(mode):
                raise ValueError(f"{path} is {what}: give a file's name")
        if not mode & 0o222 or not os.access(target, os.W_OK):
            raise ValueError(f"{path} is read-only: give another name, or change its permissions")
        if not stat.S_ISREG(mode):
            return target
    folder = target.parent
    if not folder.is_dir():
        raise ValueError(f"{path}: there is no folder {folder}")
    if not os.access(folder, os.W_OK):
        raise ValueError(f"{path}: the folder {folder} cannot be written to")
    return target


def write_text(path: str | os.PathLike[str], text: str | Iterable[str]) -> None:
    """Writes a file, UTF-8, in one step; an older one keeps its permissions. Devices, pipes and what is open already
    are written to.

    Raises OSError naming the file, or ValueError (see :func:`check_target`); no part of a file is left then.
    """
    parts = [text] if isinstance(text, str) else text
    _write(path, lambda file: file.writelines(parts), {"mode": "w", "encoding": "utf-8", "newline": ""})


def write_into(path: str | os.PathLike[str], fill: Callable[[Any], object]) -> None:
    """As :func:`write_text`, of what ``fill`` writes to an open binary file."""
    _write(path, fill, {"mode": "wb"})


def write_bytes(path: Path, data: bytes) -> None:
    """Writes a file in one step, as :func:`write_text` does. Raises OSError."""
    _replace(path, lambda file: file.write(data), {"mode": "wb"})


def _write(path: str | os.PathLike[str], fill: Callable[[Any], object], how: dict[str, Any]) -> None:
    try:
        target, descriptor = check_target(path), _descriptor(path)
        if descriptor is not None:
            sys.stdout.flush()
            with os.fdopen(os.dup(descriptor), **how) as file:
                fill(file)
        elif target.exists() and not target.is_file():
            with target.open(**how) as file:
                fill(file)
        else:
            _replace(target, fill, how)
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), os.fspath(path)) from None


def _replace(target: Path, fill: Callable[[Any], object], how: dict[str, Any]) -> None:
    temporary = target.parent / f".estep-{secrets.token_hex(8)}"
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)  # as the umask has it
    try:
        with os.fdopen(handle, **how) as file:
            fill(file)
            file.flush()
            os.fsync(file.fileno())
        if target.exists():
            os.chmod(temporary, target.stat().st_mode & 0o7777)
        os.replace(temporary, target)
    except BaseException:
        os.unlink(temporary)
        raise
