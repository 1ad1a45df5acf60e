"""The parameters of a model as tables, as wide as the terminal is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.console import Group
from rich.table import Table as RichTable
from rich.text import Text

from estep.cli.text import plain
from estep.emissions import MixtureOf
from estep.inference.listing import Line, Listing, listing
from estep.model import Model
from estep.util.figures import figures

BETWEEN = 2
"""Blanks between columns."""
WIDEST = 24
"""Of the names of columns of the data, which go on on a new line."""


def parameter_table(model: Model, width: int, whole: bool = False) -> Group:
    """A line a parameter, a column a component: below each other where the terminal is narrow."""
    found = listing(model, whole)
    family = model.emission
    name = f"mixtures of {family.inner.name}" if isinstance(family, MixtureOf) else family.name
    title = f"{name} {model.latent.kind}, {model.n_components} {model.latent.unit}s"
    parts: list[Any] = [Text(plain(title), style="bold"), *_tables(found, model.n_components, width)]
    if found.left_out:
        parts.append(Text(f"left out: {'; '.join(found.left_out)}. --full lists all", style="italic"))
    return Group(*parts)


def _tables(found: Listing, K: int, width: int) -> Iterator[RichTable]:
    lines = [(line, [_cell(line, k) for k in range(K)]) for line in found.lines]
    of = min(max(len(plain(line.of)) for line in found.lines), WIDEST)
    room = width - of - max(len(plain(line.what)) for line in found.lines) - 2 * BETWEEN
    widths = [max(len(cells[k]) for _, cells in lines) + BETWEEN for k in range(K)]
    first = 0
    while first < K:
        last = first + 1
        while last < K and sum(widths[first : last + 1]) <= room:
            last += 1
        yield _table(lines, range(first, last), of)
        first = last


def _table(lines: list[tuple[Line, list[str]]], components: range, of: int) -> RichTable:
    table = RichTable(box=None, padding=(0, BETWEEN, 0, 0), pad_edge=False)
    table.add_column("", max_width=of or None, overflow="fold")
    table.add_column("", overflow="fold")
    for k in components:
        table.add_column(str(k), justify="right", no_wrap=True)
    before = ""
    for line, cells in lines:
        shown = "" if line.of == before else plain(line.of)
        table.add_row(Text(shown), Text(plain(line.what)), *(Text(cells[k]) for k in components))
        before = line.of
    return table


def _cell(line: Line, k: int) -> str:
    value = line.values[k]
    return plain(value) if isinstance(value, str) else figures(float(value), probability=line.probability)
