"""Charts of the rows that a report shows.

Values go by v0, v1 ... in the order of the columns: names of columns may hold what Vega-Lite takes for a path.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from estep.reports.charts.specs import PICKED, Spec, chart, choice, colour, label, lit, name, quantity, tooltip

HOW = "Turn the wheel to zoom, drag to move."
FEW = 500
"""Rows up to which their marks are large."""


def series(report: Spec) -> Spec | None:
    """A chain's rows in their order, in the colours of their states."""
    rows = report["rows"]
    if rows is None or not report["model"]["chain"]:
        return None
    x = _across(rows)
    places = _numeric(rows)
    params, transform, y = [PICKED], [], name("v0", label(rows["columns"][0]["name"]))
    if places:
        params.append(_column_choice(rows, "shown", "Column", places))
        transform.append({"calculate": "datum[shown]", "as": "value"})
        y = quantity("value", scale={"zero": False})
    names = list(dict.fromkeys(rows["sequences"] or ()))
    if len(names) > 1:
        params.append(choice("one", "Sequence", names, names))
        transform.insert(0, {"filter": "datum.sequence == one"})
    line = {
        "mark": {"type": "line", "color": "#888", "strokeWidth": 1},
        "encoding": {"x": x, "y": y},
    }
    points = {
        "mark": {"type": "circle", "size": 36 if rows["shown"] < FEW else 14},
        "params": [{"name": "zoom", "select": {"type": "interval", "encodings": ["x"]}, "bind": "scales"}],
        "encoding": {"x": x, "y": y, "color": colour(report), "opacity": lit(0.95), "tooltip": _told(report)},
    }
    layer = [line, points] if places else [points]
    spec = {"data": {"name": "rows"}, "params": params, "transform": transform, "layer": layer, "height": 320}
    text = f"Each row with its state on the likeliest path. {HOW}{_thinned(rows)}"
    return chart("series", "rows", "The series and its states", text, spec, rows=_records(rows))


def scatter(report: Spec) -> Spec | None:
    """Two columns against each other, in the colours of components."""
    rows, model = report["rows"], report["model"]
    if rows is None or len(places := _numeric(rows)) < (2 if model["chain"] else 1):
        return None
    params = [PICKED, _column_choice(rows, "across", "Across", places)]
    transform = [{"calculate": "datum[across]", "as": "x"}]
    y = name("component", model["unit"])
    if len(places) > 1:
        params.append(_column_choice(rows, "upward", "Upward", places, 1))
        transform.append({"calculate": "datum[upward]", "as": "y"})
        y = quantity("y", scale={"zero": False})
    x = quantity("x", scale={"zero": False})
    layer = {
        "mark": {"type": "circle", "size": 40 if rows["shown"] < FEW else 22},
        "params": [{"name": "zoom", "select": "interval", "bind": "scales"}],
        "encoding": {"x": x, "y": y, "color": colour(report), "opacity": lit(0.75), "tooltip": _told(report)},
    }
    spec = {"data": {"name": "rows"}, "params": params, "transform": transform, "layer": [layer], "height": 360}
    text = f"Each row, in the colour of its likeliest {model['unit']}. {HOW}{_thinned(rows)}"
    return chart("scatter", "rows", "The rows", text, spec, rows=_records(rows))


def _records(rows: Spec) -> list[Spec]:
    """The rows, each by itself."""
    more = {"time": rows["times"], "sequence": rows["sequences"]}
    columns = {f"v{d}": column["values"] for d, column in enumerate(rows["columns"])}
    whole = {key: rows[key] for key in ("row", "component", "sure")} | columns
    whole |= {key: values for key, values in more.items() if values is not None}
    return [dict(zip(whole, row, strict=True)) for row in zip(*whole.values(), strict=True)]


def _numeric(rows: Spec) -> list[int]:
    """The columns that are numbers."""
    return [d for d, c in enumerate(rows["columns"]) if not any(isinstance(v, str) for v in c["values"])]


def _column_choice(rows: Spec, parameter: str, what: str, places: Sequence[int], first: int = 0) -> Spec:
    return choice(parameter, what, [f"v{d}" for d in places], [rows["columns"][d]["name"] for d in places], first)


def _told(report: Spec) -> list[Spec]:
    rows = report["rows"]
    fields = {"row": "row"}
    fields |= {"time": "time"} if rows["times"] is not None else {}
    fields |= {"sequence": "sequence"} if rows["sequences"] is not None else {}
    shown = tooltip(**fields)
    taken = {*fields, report["model"]["unit"], "probability"}
    names = [label(c["name"]) for c in rows["columns"]]
    shown += [{"field": f"v{d}", "title": f"{n} (column)" if n in taken else n} for d, n in enumerate(names)]
    return shown + tooltip(component=report["model"]["unit"], sure="probability|.3f")


def _across(rows: Spec) -> Spec:
    """The channel of time: dates, numbers, or where there are neither the numbers of the rows."""
    times = rows["times"]
    if times is not None and all(isinstance(t, int | float) for t in times):
        return quantity("time", "time", scale={"zero": False}, axis={"format": "~g"})
    return _dates(times) if times is not None and _are_dates(times) else quantity("row", "row")


def _are_dates(times: Sequence[Any]) -> bool:
    if not all(isinstance(t, str) and "-" in t for t in times):
        return False
    try:
        np.array([t or "NaT" for t in times], dtype="datetime64[ms]")
    except ValueError:
        return False
    return True


def _dates(times: Sequence[Any]) -> Spec:
    """A channel of dates, whose labels suit what they span."""
    at = np.array([t or "NaT" for t in times], dtype="datetime64[D]")
    days = int((np.nanmax(at) - np.nanmin(at)).astype(int))
    shown = "%Y" if days > 20 * 365 else "%b %Y" if days > 120 else "%d %b %Y" if days > 3 else "%d %b %H:%M"
    return {"field": "time", "type": "temporal", "title": None, "axis": {"format": shown, "labelOverlap": True}}


def _thinned(rows: Spec) -> str:
    return "" if rows["shown"] == rows["of"] else f" {rows['shown']} of {rows['of']} rows are shown."
