"""Cells of a CSV file that are numbers, and those that a spreadsheet would take for formulas."""

from __future__ import annotations

FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""How a cell begins that a spreadsheet would run."""


def is_number(text: str) -> bool:
    """Whether a text is a number, as Python writes them."""
    try:
        float(text)
    except ValueError:
        return False
    return "_" not in text


def unescaped(cell: str) -> str:
    """A cell as it was before :func:`csv_text` put a ' in front."""
    return cell[1:] if cell.startswith("'") and cell[1:].startswith(FORMULA) else cell
