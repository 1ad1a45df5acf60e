"""Numbers as people read them."""

from __future__ import annotations

from typing import Any

import numpy as np

from estep.statistics import Array

DIGITS = 4
LEAST = 1e-6
"""Probabilities below it are not written out."""


def figures(x: Any, digits: int = DIGITS, probability: bool = False) -> str:
    """Some digits, whole thousands without an exponent; nothing for None; texts and whole numbers as they are."""
    if x is None or isinstance(x, str | int):
        return "" if x is None else str(x)
    if probability and 0 < x < LEAST:
        return f"< {LEAST:.0e}".replace("e-0", "e-")
    return f"{x:.0f}" if 10**digits <= abs(x) < 1e7 else f"{x:.{digits}g}"


def share(p: float) -> str:
    """A probability of a matrix: next to none and next to all are told apart from none and all."""
    if p in (0.0, 1.0):
        return f"{p:.0f}"
    return "<.001" if p < 0.001 else f"{p:.3f}".lstrip("0") if p < 0.01 or p > 0.99 else f"{p:.2f}".lstrip("0")


def finite(x: Any) -> float | None:
    """A number as JSON has it, which knows no infinity: None for what is none."""
    return float(x) if np.isfinite(x) else None


def dates(times: Array) -> list[str | None]:
    """Dates as texts, None where there is none: the day alone where none has a time of the day."""
    there = times[~np.isnat(times)]
    days = bool((there == there.astype("datetime64[D]")).all())
    shown = times.astype("datetime64[D]" if days else "datetime64[s]")
    return [None if np.isnat(t) else str(t) for t in shown]


def duration(seconds: float) -> str:
    """Seconds in words: 8 s, 3 min, 2.5 h."""
    if seconds < 90:
        return f"{max(round(seconds), 1)} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
