"""A column of a table as its file has it."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from estep.statistics import Array
from estep.util.cached import cached_property
from estep.util.numbers import is_missing

EMPTY = ("", "NA")
"""What a cell without a value has."""
MISSING = ("N/A", "null", "NULL", "None", "nan", "NaN", "?", ".", "-", "#N/A")
"""What stands for no value in a column that is numbers otherwise."""
DATE = re.compile(
    r"(\d{4}[-/]\d{1,2}[-/]\d{1,2}|\d{1,2}[/.]\d{1,2}[/.]\d{2,4})"
    r"([ T]\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?( ?(Z|[+-]\d{2}:?\d{2}))?)?|\d{1,2}:\d{2}:\d{2}"
)
ID = re.compile(r"(?i)^(id|ids|uuid|guid|index|idx|key|rowid)$|[_\s.-](id|uuid|guid|key)$|(?-i:[a-z]I[dD]$)")
EXACT = 2.0**53
"""Whole numbers below it are all different as floats."""
PADDED = re.compile(r"0\d+")
FEW = 20
"""Rows up to which numbers that follow each other may be anything."""


@dataclass(frozen=True, eq=False)
class Column:
    """One column: ``cells`` are texts, None where empty, or an array of numbers or as a Parquet file has it.

    ``as_texts()``: the cells of a column of numbers as the file shows them.
    """

    name: str
    cells: list[str | None] | Array
    as_texts: Callable[[], list[str | None]] | None = None

    @cached_property
    def tokens(self) -> tuple[str, ...]:
        """What stands for no value beside numbers: of MISSING."""
        if isinstance(self.cells, np.ndarray):
            return ()
        return tuple(sorted({c for c in self.cells if c in MISSING}))

    @cached_property
    def numbers(self) -> Array | None:
        """The column as numbers, NaN where empty; true and false are 1 and 0; None where it holds texts."""
        if isinstance(self.cells, np.ndarray):
            if self.cells.dtype.kind in "fiub":
                return self.cells.astype(np.float64)
            if self.cells.dtype.kind == "O" and all(c is None or isinstance(c, bool | int | float) for c in self.cells):
                return np.array([np.nan if c is None else float(c) for c in self.cells])
            return None
        cells = [None if c in MISSING else c for c in self.cells] if self.tokens else self.cells
        lower = {c.lower() for c in cells if c is not None}
        if lower and lower <= {"true", "false"}:
            return np.array([np.nan if c is None else float(c.lower() == "true") for c in cells])
        if (not lower and self.tokens) or any("_" in c for c in lower):  # which Python reads as digits' separators
            return None
        try:
            return np.array([np.nan if c is None else float(c) for c in cells])
        except ValueError:
            return None

    @cached_property
    def texts(self) -> list[str | None]:
        """The cells as the file shows them, None for empty ones."""
        if self.as_texts is not None:
            return self.as_texts()
        if not isinstance(self.cells, np.ndarray):
            return self.cells
        values = self.cells.tolist() if self.cells.dtype.kind != "M" else self.cells.astype(str).tolist()
        if any(isinstance(v, list | dict | np.ndarray) for v in values):
            raise ValueError(f"column {self.name!r} holds lists: leave it out")
        whole = [str(int(v)) if isinstance(v, float) and v.is_integer() else v for v in values]
        return [None if is_missing(v) or str(v).strip() in (*EMPTY, "NaT") else str(v).strip() for v in whole]

    def text_of(self, row: int) -> str:
        """The cell for a message."""
        return repr(str(self.texts[row])[:40])

    @cached_property
    def days(self) -> Array | None:
        """Dates as days since 1970, NaN where empty; None where the column holds others, or not year, month and day."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of time zones: what is meant is universal time
                dates = np.array([t if t else "NaT" for t in self.texts], dtype="datetime64[ms]")
        except ValueError:
            return None
        return np.where(np.isnat(dates), np.nan, dates.astype(np.int64) / 86_400_000)

    @cached_property
    def kept_out(self) -> str:
        """What makes it no feature by itself: "an index", "ids", "codes" or "dates"; else empty."""
        if re.fullmatch(r"Unnamed: \d+", self.name):
            return "an index"
        if self.padded:
            return "codes"
        if self.numbers is not None:
            return self._index_of_numbers(self.numbers[~np.isnan(self.numbers)])
        if isinstance(self.cells, np.ndarray) and self.cells.dtype.kind in "mM":
            return "dates"
        observed = [t for t in self.texts if t is not None]
        if observed and all(DATE.fullmatch(t) for t in observed):
            return "dates"
        if len(observed) < 2 or len(set(observed)) < len(observed):
            return ""
        return "ids" if len(observed) >= FEW or ID.search(self.name) else ""

    @cached_property
    def padded(self) -> bool:
        """Whether these are codes of digits, some with a 0 in front, which numbers would lose."""
        if self.numbers is None or (isinstance(self.cells, np.ndarray) and self.as_texts is None):
            return False
        whole = self.numbers[~np.isnan(self.numbers)]
        if not len(whole) or (whole != np.floor(whole)).any() or whole.min() < 0:
            return False
        return any(t is not None and PADDED.fullmatch(t) for t in self.texts)

    def _index_of_numbers(self, values: Array) -> str:
        """Whether numbers that are there (n,) are ids: whole ones of which none comes twice."""
        if len(values) < 2 or (values != np.floor(values)).any():
            return ""
        exact = np.abs(values).max() < EXACT
        different = len(np.unique(values)) if exact else len({t for t in self.texts if t is not None})
        if different < len(values):
            return ""
        follow = len(values) > FEW and values.max() - values.min() == len(values) - 1
        return "ids" if ID.search(self.name) or follow else ""
