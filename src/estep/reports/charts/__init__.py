"""The charts of a report, over its numbers."""

from __future__ import annotations

from estep.reports.charts.of_chains import stays, transitions
from estep.reports.charts.of_components import curves, profile, shares, symbols
from estep.reports.charts.of_fit import bound, lags, quantiles
from estep.reports.charts.of_rows import scatter, series
from estep.reports.charts.specs import Spec, hex_colours

MAKERS = (shares, profile, curves, symbols, series, scatter, transitions, stays, bound, quantiles, lags)


def charts(report: Spec) -> list[Spec]:
    """Those that suit the model: each with ``id``, ``section``, ``title``, ``text``, ``spec`` and ``data``."""
    return [made for make in MAKERS if (made := make(report)) is not None]


__all__ = ["charts", "hex_colours"]
