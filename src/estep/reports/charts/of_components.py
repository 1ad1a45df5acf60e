"""Charts of what components are like."""

from __future__ import annotations

from estep.reports.charts.specs import (
    PICKED,
    ROUND,
    Spec,
    chart,
    choice,
    colour,
    label,
    lit,
    name,
    panels,
    quantity,
    tooltip,
)

WIDTH = 260
NUMBERS = ("number", "count")
HEIGHTS = {"number": "density", "angle": "density", "count": "probability"}
BLUES = {"scheme": "blues", "domain": [0, 1]}


def shares(report: Spec) -> Spec:
    """How many rows each has."""
    unit = report["model"]["unit"]
    rows = [
        {"component": c["component"], "rows": c["rows"], "found": c["found"], "expected": c["share"]}
        for c in report["components"]
    ]
    expected = "share in the long run" if report["model"]["chain"] else "weight"
    told = tooltip(
        component=unit, rows="rows", found="share of the rows, by their probabilities|.1%", expected=f"{expected}|.1%"
    )
    x = quantity("found", "share of the rows", axis={"format": "%"})
    bar = {
        "mark": {"type": "bar", "height": {"band": 0.7}},
        "encoding": {"x": x, "color": colour(report, legend=None), "opacity": lit(1.0, 0.25), "tooltip": told},
    }
    tick = {
        "mark": {"type": "tick", "color": "#111", "thickness": 2},
        "encoding": {"x": quantity("expected"), "tooltip": told},
    }
    spec = {
        "data": {"name": "shares"},
        "params": [PICKED],
        "height": {"step": 26 if len(rows) <= 20 else 14},
        "encoding": {"y": name("component", unit)},
        "layer": [bar, tick],
    }
    text = f"How much of the rows each {unit} has; the black mark is its {expected} in the model."
    return chart("shares", "components", "Size", text, spec, shares=rows)


def profile(report: Spec) -> Spec | None:
    """Median and where two thirds of the rows are, a panel a column."""
    rows = [
        {"column": c["name"], "component": k, "median": m, "low": low, "high": high}
        for c in report["columns"]
        if c["kind"] in NUMBERS
        for k, (low, m, high) in enumerate(zip(c["low"], c["median"], c["high"], strict=True))
    ]
    if not rows:
        return None
    near: Spec = {"scale": {"zero": False}}
    unit = report["model"]["unit"]
    encoding = {
        "y": name("component"),
        "color": colour(report, legend=None),
        "opacity": lit(1.0, 0.15),
        "tooltip": tooltip(column="column", component=unit, median="median|.4~g", low="from|.4~g", high="to|.4~g"),
    }
    rule = {
        "mark": {"type": "rule", "strokeWidth": 3},
        "encoding": {"x": quantity("low", **near), "x2": {"field": "high"}},
    }
    point = {"mark": {"type": "point", "filled": True, "size": 70}, "encoding": {"x": quantity("median", **near)}}
    step = {"step": 20 if report["model"]["n_components"] <= 12 else 12}
    spec = {
        "data": {"name": "profile"},
        "params": [PICKED],
        "facet": panels("column"),
        "spec": {"width": WIDTH, "height": step, "encoding": encoding, "layer": [rule, point]},
        "resolve": {"scale": {"x": "independent"}},
    }
    text = f"The median of each column in each {unit}, and the limits that two thirds of its rows are between."
    return chart("profile", "components", f"What each {unit} is like", text, spec, profile=rows)


def curves(report: Spec) -> Spec | None:
    """The density of a column in each."""
    shown = [c for c in report["columns"] if c["kind"] in (*NUMBERS, "angle")]
    rows = [
        {"column": c["name"], "component": k, "value": v, "height": h}
        for c in shown
        for k, heights in enumerate(c["heights"])
        for v, h in zip(c["values"], heights, strict=True)
    ]
    if not rows:
        return None
    names, unit = [c["name"] for c in shown], report["model"]["unit"]
    encoding = {
        "x": quantity("value", None if len(names) > 1 else label(names[0])),
        "y": quantity("height", " or ".join(dict.fromkeys(HEIGHTS[c["kind"]] for c in shown))),
        "color": colour(report),
        "opacity": lit(1.0, 0.1),
        "tooltip": tooltip(component=unit, value=f"value|{ROUND}"),
    }
    spec = {
        "data": {"name": "curves"},
        "params": [PICKED, choice("shown", "Column", names, names)],
        "transform": [{"filter": "datum.column == shown"}],
        "mark": {"type": "line", "strokeWidth": 2},
        "encoding": encoding,
    }
    text = f"How the values of a column are distributed in each {unit}."
    return chart("curves", "components", "Distributions", text, spec, curves=rows)


def symbols(report: Spec) -> Spec | None:
    """How probable each symbol is in each."""
    rows = [
        {"column": c["name"], "component": k, "symbol": s, "p": p}
        for c in report["columns"]
        if c["kind"] == "symbol"
        for k, heights in enumerate(c["heights"])
        for s, p in zip(c["values"], heights, strict=True)
    ]
    if not rows:
        return None
    unit = report["model"]["unit"]
    encoding = {
        "x": name("component", unit, axis={"labelAngle": 0}),
        "y": name("symbol", sort=None),
        "color": quantity("p", "probability", scale=BLUES, legend={"gradientLength": 120}),  # or the rows' height
        "opacity": lit(1.0, 0.3),
        "tooltip": tooltip(column="column", symbol="symbol", component=unit, p="probability|.3~g"),
    }
    spec = {
        "data": {"name": "symbols"},
        "params": [PICKED],
        "facet": panels("column"),
        "spec": {"width": WIDTH, "height": {"step": 20}, "mark": "rect", "encoding": encoding},
        "resolve": {"scale": {"y": "independent"}},
    }
    text = f"How probable each symbol is in each {unit}."
    return chart("symbols", "components", "Symbols", text, spec, symbols=rows)
