"""Charts of how the fit went, and of how well the model describes the rows."""

from __future__ import annotations

from estep.reports.charts.specs import Spec, chart, name, of_column, quantity, tooltip

EQUAL = 0.1
"""Log-likelihoods that differ by less are shown as the same."""
MARKED = 40
"""Iterations up to which each has a mark."""


def bound(report: Spec) -> Spec | None:
    """The bound by iteration, and where starts ended."""
    how = report["fit"].get("fit", {})
    rows = [{"iteration": i, "bound": b} for i, b in how.get("bounds", ())]
    starts = [s for s in how.get("starts", ()) if s["bound"] is not None]
    if len(rows) < 2:
        return None
    ends = [r["bound"] for r in rows[min(2, len(rows) - 1) :]] + [s["bound"] for s in starts]
    low, top = min(ends), max(ends)
    span = max(top - low, EQUAL)
    y = {"scale": {"domain": [top - 1.15 * span, top + 0.1 * span], "nice": False}}
    line = {
        "data": {"name": "bounds"},
        "mark": {"type": "line", "clip": True, "point": len(rows) < MARKED},
        "encoding": {
            "x": quantity("iteration", "iteration"),
            "y": quantity("bound", "log-likelihood", **y),
            "tooltip": tooltip(iteration="iteration", bound="bound|.4f"),
        },
    }
    ended = {
        "data": {"name": "starts"},
        "mark": {"type": "point", "color": "#a33", "size": 50, "clip": True},
        "encoding": {
            "x": quantity("n_iter", "iteration"),
            "y": quantity("bound", "log-likelihood", **y),
            "tooltip": tooltip(kind="start", n_iter="iterations", bound="bound|.4f", stop_reason="ended"),
        },
    }
    several = len(starts) > 1
    text = "The best start by iteration" + ("; red rings are where all starts ended." if several else ".")
    spec = {"layer": [line, ended] if several else [line]}
    return chart("bound", "fit", "The way of the fit", text, spec, bounds=rows, starts=starts)


def quantiles(report: Spec) -> Spec | None:
    """Residuals against a normal distribution."""
    columns = report["checks"]["columns"]
    rows = [
        {"column": c["name"], "normal": x, "residual": y}
        for c in columns
        for x, y in zip(c["normal"], c["residual"], strict=True)
    ]
    if not rows:
        return None
    encoding = {
        "x": quantity("normal", "normal quantile"),
        "y": quantity("residual", "residual"),
        "color": of_column(columns),
        "shape": name("column", legend=None) if len(columns) == 1 else name("column"),
        "tooltip": tooltip(column="column", normal="normal quantile|.2f", residual="residual|.2f"),
    }
    line = {
        "data": {"values": [{"a": -2.6}, {"a": 2.6}]},
        "mark": {"type": "line", "color": "#888"},
        "encoding": {"x": quantity("a", "normal quantile"), "y": quantity("a", "residual")},
    }
    points = {"data": {"name": "quantiles"}, "mark": {"type": "point", "size": 24}, "encoding": encoding}
    text = "Pseudo-residuals against a normal distribution: on the line where the model is right."
    return chart("quantiles", "checks", "Residuals", text, {"layer": [line, points]}, quantiles=rows)


def lags(report: Spec) -> Spec | None:
    """Correlations of residuals of a chain in time."""
    columns = [c for c in report["checks"]["columns"] if c["autocorrelations"]]
    rows = [
        {"column": c["name"], "lag": lag + 1, "correlation": r, "limit": 1.96 / c["n"] ** 0.5}
        for c in columns
        for lag, r in enumerate(c["autocorrelations"])
    ]
    if not rows:
        return None
    encoding = {
        "x": {"field": "lag", "type": "ordinal", "title": "rows before", "axis": {"labelAngle": 0}},
        "xOffset": {"field": "column"},
        "y": quantity("correlation", "correlation"),
        "color": of_column(columns),
        "tooltip": tooltip(column="column", lag="rows before", correlation="correlation|.3f"),
    }
    dashes = {"type": "rule", "strokeDash": [4, 4], "color": "#666"}
    limits = [
        {"mark": dashes, "encoding": {"y": quantity(field, "correlation", aggregate="max")}}
        for field in ("limit", "below")
    ]
    spec = {
        "data": {"name": "lags"},
        "transform": [{"calculate": "-datum.limit", "as": "below"}],
        "layer": [{"mark": "bar", "encoding": encoding}, *limits],
    }
    text = "Correlations of residuals with those of rows before: 95% of a right model's are within the dashes."
    return chart("lags", "checks", "Residuals in time", text, spec, lags=rows)
