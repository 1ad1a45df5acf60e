"""Two models over the same rows, side by side."""

from __future__ import annotations

import numpy as np

from estep.reports.charts.specs import Spec, chart, name, quantity, tooltip
from estep.reports.page import rendered, what
from estep.statistics import Array
from estep.util.figures import figures, finite

MOST = 12
"""Rows that are told on which the two differ."""


def comparison(one: Spec, other: Spec, states: tuple[Array, Array], scores: tuple[Array, Array]) -> Spec:
    """The numbers of both, how their components (n,) go together, and the units that one describes better than the
    other: ``scores`` (S,) are log-likelihoods of rows or sequences."""
    from sklearn.metrics import adjusted_rand_score

    both = (states[0] >= 0) & (states[1] >= 0)
    counts = np.zeros((one["model"]["n_components"], other["model"]["n_components"]), np.int64)
    np.add.at(counts, (states[0][both], states[1][both]), 1)
    out: Spec = {"one": one, "other": other, "together": counts.tolist()}
    out["rand"] = float(adjusted_rand_score(states[0][both], states[1][both])) if both.any() else None
    if len(scores[0]) == len(scores[1]):
        gain = np.asarray(scores[1]) - np.asarray(scores[0])
        order = np.argsort(-np.abs(np.nan_to_num(gain, posinf=1e300, neginf=-1e300)), kind="stable")[:MOST]
        out["apart"] = [[int(i), finite(scores[0][i]), finite(scores[1][i]), finite(gain[i])] for i in order]
    return out


def comparison_page(found: Spec, names: tuple[str, str]) -> str:
    """The page as HTML."""
    one, other = found["one"], found["other"]
    lines = [
        ["Model", what(one), what(other)],
        ["Log-likelihood", *(figures(r["scores"]["log_likelihood"], 8) for r in (one, other))],
        ["Parameters", one["model"]["n_parameters"], other["model"]["n_parameters"]],
        ["AIC", *(figures(r["scores"]["aic"], 8) for r in (one, other))],
        ["BIC", *(figures(r["scores"]["bic"], 8) for r in (one, other))],
        ["Ended", *(r["fit"].get("stop_reason", "") for r in (one, other))],
        ["To watch", *(len(r["alerts"]) for r in (one, other))],
    ]
    units = "sequence" if one["model"]["chain"] and other["model"]["chain"] else "row"
    return rendered(
        "comparison.html",
        [_together(found, names)],
        None,
        title=f"{names[0]} and {names[1]}",
        found=found,
        names=names,
        lines=lines,
        better=_better(found, names),
        units=units,
    )


def _better(found: Spec, names: tuple[str, str]) -> str:
    """Which criterion prefers which, in words."""
    said = []
    for key in ("bic", "aic"):
        values = [found[which]["scores"][key] for which in ("one", "other")]
        if None not in values:
            best = int(values[1] < values[0])
            said.append(f"{key.upper()} prefers {names[best]}, by {figures(abs(values[0] - values[1]))}")
    return "; ".join(said) + "." if said else "One of the models rules out some of the rows."


def _together(found: Spec, names: tuple[str, str]) -> Spec:
    """How many rows each pair of components shares."""
    counts = np.array(found["together"])
    most = max(int(counts.max()), 1)
    rows = [{"one": i, "two": j, "rows": int(n), "dark": bool(n > 0.55 * most)} for (i, j), n in np.ndenumerate(counts)]
    flat = {"axis": {"labelAngle": 0}}
    blues = quantity("rows", legend=None, scale={"scheme": "blues", "domain": [0, most]})
    told = tooltip(one=names[0], two=names[1], rows="rows")
    ink = {"condition": {"test": "datum.dark", "value": "white"}, "value": "#111"}
    spec = {
        "data": {"name": "together"},
        "encoding": {"x": name("two", names[1], **flat), "y": name("one", names[0], **flat)},
        "layer": [
            {"mark": "rect", "encoding": {"color": blues, "tooltip": told}},
            {"mark": {"type": "text", "fontSize": 12}, "encoding": {"text": quantity("rows"), "color": ink}},
        ],
    }
    text = "How many rows have each component of the one and of the other."
    return chart("together", "together", "Components together", text, spec, together=rows)
