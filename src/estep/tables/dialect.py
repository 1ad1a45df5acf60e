"""How a text file separates columns, and how it writes numbers: what is not said is found in its first lines."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from estep.tables.cells import is_number

SEPARATORS = (",", ";", "\t", "|")
NAMES = {"tab": "\t", "\\t": "\t", "space": " ", "blank": " ", "blanks": " "}
LINES = 50  # that are looked at


@dataclass(frozen=True)
class Dialect:
    """``sep``: the separator, " " for blanks, None to find it; ``decimal`` and ``thousands`` of numbers; ``na``: what a
    cell without a value has, beside nothing and NA; ``header``: whether the first line names the columns, None to see
    whether it is numbers."""

    sep: str | None = None
    decimal: str = "."
    thousands: str | None = None
    na: tuple[str, ...] = ()
    header: bool | None = None

    def __post_init__(self) -> None:
        if self.sep is not None:
            object.__setattr__(self, "sep", NAMES.get(self.sep, self.sep))
        for name in ("sep", "decimal", "thousands"):
            value = getattr(self, name)
            if value is not None and (len(value) != 1 or value.isalnum() or value in '"\n\r'):
                raise ValueError(f"{name} is {value!r}: it is one character, such as ';', or tab")
        if self.decimal in (self.sep, self.thousands) or (self.thousands is not None and self.thousands == self.sep):
            raise ValueError(f"{self.decimal!r} cannot be the decimal sign and separate columns or thousands")

    def found(self, lines: Sequence[str]) -> tuple[Dialect, tuple[str, ...]]:
        """With what is not said found in some lines; and other separators that would do as well."""
        lines = [line for line in lines[:LINES] if line.strip()]
        sep, others = (self.sep, ()) if self.sep is not None else self._separator(lines)
        new = replace(self, sep=sep)
        if self.header is None and lines:
            cells = new.split(lines[0])
            new = replace(new, header=not all(is_number(new.plain(c)) for c in cells))
        return new, others

    def _separator(self, lines: Sequence[str]) -> tuple[str, tuple[str, ...]]:
        fit = []
        for sep in SEPARATORS:
            if sep not in (self.decimal, self.thousands):
                widths = {len(row) for row in csv.reader(lines, delimiter=sep)}
                if len(widths) == 1 and max(widths) > 1:
                    fit.append((-max(widths), SEPARATORS.index(sep), sep))
        if not fit:  # rows that differ in width are named later, if one separator is there at all
            if len({len(line.split()) for line in lines}) == 1 and len((lines or [""])[0].split()) > 1:
                return " ", ()
            there = [s for s in SEPARATORS if lines and s in lines[0] and s not in (self.decimal, self.thousands)]
            return (there or [","])[0], ()
        if any(sep == "," for *_, sep in fit):
            return ",", tuple(sep for *_, sep in fit if sep != ",")
        best, *others = (sep for *_, sep in sorted(fit))
        return best, tuple(others)

    def split(self, line: str) -> list[str]:
        """The cells of a line."""
        if self.sep == " ":
            return line.split()
        return next(csv.reader([line], delimiter=self.sep or ","), [])

    def plain(self, number: str) -> str:
        """A number as Python writes it."""
        number = number.strip()
        groups = rf"[+-]?\d{{1,3}}({re.escape(self.thousands or '')}\d{{3}})+(\D.*)?"
        if self.thousands is not None and re.fullmatch(groups, number):
            number = number.replace(self.thousands, "")
        return number.replace(self.decimal, ".") if self.decimal != "." else number
