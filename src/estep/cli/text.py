"""What the command line shows of texts that are not its own: names of columns and files, provenance, symbols."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Iterable, Sequence
from typing import Any

FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""How a cell begins that a spreadsheet would run."""


def plain(text: str) -> str:
    """A text on one line in which a terminal finds nothing to obey."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def csv_text(header: Sequence[Any], rows: Iterable[Sequence[Any]]) -> str:
    """CSV. Cells that begin like a formula and are no numbers get a ' in front, which is said on standard error."""
    out, escaped = io.StringIO(newline=""), 0

    def safe(cell: Any) -> Any:
        nonlocal escaped
        if isinstance(cell, str) and cell.startswith(FORMULA) and not _is_number(cell):
            escaped += 1
            return f"'{cell}"
        return cell

    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([safe(cell) for cell in header])
    for row in rows:
        writer.writerow([safe(cell) for cell in row])
    if escaped:
        print(f"estep: {escaped} cells begin like a formula: they are written with a ' in front", file=sys.stderr)
    return out.getvalue()


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
