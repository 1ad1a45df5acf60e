"""Charts of how a chain moves."""

from __future__ import annotations

from estep.reports.charts.specs import PICKED, Spec, chart, colour, lit, name, quantity, tooltip
from estep.util.figures import share

MOST_NUMBERS = 12
"""States of a matrix that is still written in numbers."""


def transitions(report: Spec) -> Spec | None:
    """The transition matrix."""
    chain = report["chain"]
    if chain is None or "transmat" not in chain:
        return None
    rows = [
        {"component": i, "to": j, "p": p, "dark": (p or 0) > 0.55, "text": share(p or 0.0)}
        for i, row in enumerate(chain["transmat"])
        for j, p in enumerate(row)
    ]
    flat = {"axis": {"labelAngle": 0}}
    blues = quantity("p", legend=None, scale={"scheme": "blues", "domain": [0, 1]})
    told = tooltip(component="from", to="to", p="probability|.4~g")
    cells = {"mark": "rect", "encoding": {"color": blues, "opacity": lit(1.0, 0.3), "tooltip": told}}
    ink = {"condition": {"test": "datum.dark", "value": "white"}, "value": "#111"}
    written = {"mark": {"type": "text", "fontSize": 12}, "encoding": {"text": {"field": "text"}, "color": ink}}
    spec = {
        "data": {"name": "transitions"},
        "params": [PICKED],
        "encoding": {"x": name("to", "to", **flat), "y": name("component", "from", **flat)},
        "layer": [cells, written] if len(chain["transmat"]) <= MOST_NUMBERS else [cells],
    }
    text = "How probable it is to go from one state to another at the next row."
    return chart("transitions", "chain", "Transitions", text, spec, transitions=rows)


def stays(report: Spec) -> Spec | None:
    """How probable stays of each length are."""
    chain = report["chain"]
    if chain is None:
        return None
    rows = [
        {"component": k, "rows": n, "p": p}
        for k, lengths in enumerate(chain["lengths"])
        for n, p in zip(chain["rows"], lengths, strict=True)
        if p is not None
    ]
    encoding = {
        "x": quantity("rows", "rows in the state"),
        "y": quantity("p", "probability"),
        "color": colour(report),
        "opacity": lit(1.0, 0.1),
        "tooltip": tooltip(component="state", rows="rows", p="probability|.3~g"),
    }
    mark = {"type": "line", "strokeWidth": 2}
    spec = {"data": {"name": "stays"}, "params": [PICKED], "mark": mark, "encoding": encoding}
    return chart("stays", "chain", "How long states last", "How probable stays of each length are.", spec, stays=rows)
