"""What notebooks show of models: their parameters as a table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from estep.inference.listing import listing
from estep.interface import AnyModel
from estep.util.figures import figures


def model_html(model: AnyModel) -> str:
    """A line a parameter, a column a component."""
    found, unit = listing(model), model.latent.unit
    head = ["parameter", "of", *(f"{unit} {k}" for k in range(model.n_components))]
    rows = [[line.what, line.of, *(figures(v if isinstance(v, str) else float(v), probability=line.probability)
                                   for v in line.values)] for line in found.lines]  # fmt: skip
    left = f"; left out: {'; '.join(found.left_out)}" if found.left_out else ""
    return table_html(head, rows, f"{model.emission.name} {model.latent.kind}{left}")


def table_html(head: Sequence[str], rows: Iterable[Sequence[str]], caption: str) -> str:
    """A table."""
    heads = "".join(f"<th>{escape(h)}</th>" for h in head)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><caption>{escape(caption)}</caption><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>"
