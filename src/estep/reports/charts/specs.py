"""What the charts of a report are made of: Vega-Lite specifications (https://vega.github.io/vega-lite).

The parameter ``picked`` is the component that a reader picks, -1 for all.
"""

from __future__ import annotations

from typing import Any

from estep.plots.figure import component_colours

Spec = dict[str, Any]
PICKED: Spec = {"name": "picked", "value": -1}
HEIGHT = 280
WIDE = ("rows",)
"""Sections whose charts take all of the page's width."""
CONFIG: Spec = {
    "font": "system-ui, sans-serif",
    "axis": {"labelFontSize": 12, "titleFontSize": 12, "labelColor": "#333", "titleColor": "#333", "gridColor": "#eee"},
    "legend": {"labelFontSize": 12, "titleFontSize": 12},
    "view": {"stroke": "#ccc"},
} | {mark: {"aria": False} for mark in ("bar", "circle", "line", "point", "rect", "rule", "text", "tick")}
"""Marks have no names of their own: a screen reader is told what a chart shows, and its numbers are in tables."""
PANEL: Spec = {"labelAngle": 0, "labelAlign": "left", "labelOrient": "top", "labelFontSize": 12}
ROUND = ".4~g"


def label(text: str) -> str:
    """A name of the data as a title: what an expression of Vega cannot hold is a blank."""
    return "".join(c if c.isprintable() and c not in "\\\u2028\u2029" else " " for c in text)


def chart(id: str, section: str, title: str, text: str, spec: Spec, **data: Any) -> Spec:
    """A chart, its place on the page, and the rows of its ``data`` by name."""
    whole: Spec = {"$schema": "https://vega.github.io/schema/vega-lite/v6.json", "description": f"{title}. {text}"}
    if "facet" not in spec:
        whole |= {"width": "container", "height": HEIGHT}
    whole |= {**spec, "config": CONFIG}
    wide = section in WIDE
    return {"id": id, "section": section, "wide": wide, "title": title, "text": text, "spec": whole, "data": data}


def quantity(field: str, title: str | None = None, **more: Any) -> Spec:
    """A channel of numbers."""
    return {"field": field, "type": "quantitative", "title": title, **more}


def name(field: str, title: str | None = None, **more: Any) -> Spec:
    """A channel of names."""
    return {"field": field, "type": "nominal", "title": title, **more}


def tooltip(**fields: str) -> list[Spec]:
    """What the pointer shows: fields with their titles, after a | a format."""
    parts = {field: text.partition("|") for field, text in fields.items()}
    return [{"field": f, "title": title} | ({"format": kind} if kind else {}) for f, (title, _, kind) in parts.items()]


def panels(field: str) -> Spec:
    """A panel a value, below each other."""
    return {"row": name(field, sort=None, header=PANEL)}


def choice(parameter: str, what: str, options: list[str], labels: list[str], first: int = 0) -> Spec:
    """A parameter that a reader chooses from a list, where there is more than one."""
    if len(options) == 1:
        return {"name": parameter, "value": options[0]}
    bind = {"input": "select", "options": options, "labels": list(map(label, labels)), "name": f"{what} "}
    return {"name": parameter, "value": options[first], "bind": bind}


def lit(on: float, off: float = 0.08) -> Spec:
    """Opacity: full for what is picked."""
    return {"condition": {"test": "picked < 0 || datum.component == picked", "value": on}, "value": off}


def hex_colours(K: int) -> list[str]:
    """The colours of components, as pages have them."""
    return ["#" + "".join(f"{round(255 * c):02x}" for c in rgb) for rgb in component_colours(K)]


def colour(report: Spec, **more: Any) -> Spec:
    """The colour of each component."""
    K = report["model"]["n_components"]
    return name("component", report["model"]["unit"], scale={"domain": list(range(K)), "range": hex_colours(K)}, **more)


def of_column(columns: list[Spec]) -> Spec:
    """The colour of each column."""
    legend = {} if len(columns) > 1 else {"legend": None}
    return name("column", scale={"range": hex_colours(len(columns))}, **legend)
