"""What the command line shows of texts that are not its own: names of columns and files, provenance, symbols."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

from estep.tables.cells import FORMULA, is_number

ROWS = 10_000  # written at a time


def plain(text: str) -> str:
    """A text on one line in which a terminal finds nothing to obey."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def say(message: str) -> None:
    """One line on standard error; where that cannot be written, the work goes on."""
    with suppress(OSError):
        print(plain(f"estep: {message}"), file=sys.stderr, flush=True)


def written(path: Path, message: str, as_json: bool, **more: Any) -> None:
    """Says what was written: in words on standard error, or as JSON on standard output."""
    if as_json:
        print(json.dumps({"written": str(path), **more}))
    else:
        say(message)


def csv_text(header: Sequence[Any], rows: Iterable[Sequence[Any]], shown: bool = False) -> Iterator[str]:
    """CSV, some rows at a time. Cells that begin like a formula and are no numbers get a ' in front, which is said.

    ``shown``: a terminal gets it, and is to find nothing to obey.
    """
    escaped = 0

    def safe(cell: Any) -> Any:
        nonlocal escaped
        if not isinstance(cell, str):
            return cell
        if cell.startswith(FORMULA) and not is_number(cell):
            escaped += 1
            cell = f"'{cell}"
        return plain(cell) if shown else cell

    remaining = iter(rows)
    some: list[Sequence[Any]] = [header]
    while some:
        out = io.StringIO(newline="")
        csv.writer(out, lineterminator="\n").writerows([safe(cell) for cell in row] for row in some)
        yield out.getvalue()
        some = list(islice(remaining, ROWS))
    if escaped:
        say(f"{escaped} cells begin like a formula: they are written with a ' in front")
