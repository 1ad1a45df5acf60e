"""What to watch, in plain words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

UNSURE = 0.75
"""The mean probability of a component's own rows below which it is not told apart well."""
FEW_ROWS = 5
FEW_EXITS = 4
SELDOM = 0.01
ROWS_A_PARAMETER = 5
"""At least."""
FAR = 0.02
"""The share of residuals beyond the limits of 1 in 100 that is too many."""
OFF = 0.05
"""The distance of distributions of residuals (Kolmogorov and Smirnov) from which on they are another."""
CERTAIN = 1.63
"""Times the root of n, so large a distance comes by chance once in 100 times."""
CORRELATED = 0.1
REACHED = 1e-3

ENDS = {
    "max_iter": "The fit stopped at its largest number of iterations, before it had converged: let it go on (max_iter)",
    "max_time": "The fit stopped when its time was over, before it had converged: give it more (max_time)",
    "interrupted": "The fit was interrupted before it had converged: this is the best model so far",
    "bound fell": "The fit stopped because the likelihood fell: the model before that step is kept",
}


def alerts(report: dict[str, Any]) -> list[dict[str, str]]:
    """Texts with a level ("warning" or "note") and the section they are about; the warnings first."""
    said = [*_of_fit(report), *_of_data(report), *_of_components(report), *_of_chain(report), *_of_checks(report)]
    said.sort(key=lambda alert: alert[0] != "warning")
    return [{"level": level, "about": about, "text": text} for level, about, text in said]


Alert = tuple[str, str, str]


def _of_fit(report: dict[str, Any]) -> Iterator[Alert]:
    fit = report["fit"]
    if fit.get("stop_reason") in ENDS:
        yield "warning", "fit", f"{ENDS[fit['stop_reason']]}."
    how = fit.get("fit", {})
    starts = [s for s in how.get("starts", ()) if s["bound"] is not None]
    if how.get("n_starts") == 1:
        yield "note", "fit", "One start only: others may end in a better optimum (--n-init 20, or n_init=20)."
    elif starts:
        best = max(s["bound"] for s in starts)
        reached = sum(s["bound"] > best - REACHED for s in starts)
        if reached == 1 and len(starts) > 2:
            text = f"Only 1 of {how['n_starts']} starts reached the best optimum: more starts may find a better one."
            yield "warning", "fit", text
        elif reached < len(starts):
            yield "note", "fit", f"{reached} of {how['n_starts']} starts reached the best optimum; others ended lower."
    for note in how.get("notes", ()):
        if "starts reached" not in note and "identical" not in note and "one optimum" not in note:
            yield "warning", "components", f"{note[:1].upper()}{note[1:]}."


def _of_data(report: dict[str, Any]) -> Iterator[Alert]:
    data, scores, fit = report["data"], report["scores"], report["fit"]
    if scores["impossible"]:
        what = "sequences" if report["model"]["chain"] else "rows"
        yield "warning", "data", f"{scores['impossible']} {what} are impossible under the model and have no component."
    cells = data["rows"] * max(len(report["model"]["columns"]), 1)
    if data["missing"]:
        most = max(data["missing"], key=data["missing"].__getitem__)
        share = sum(data["missing"].values()) / cells
        yield "note", "data", f"{share:.1%} of the cells are missing, most in {most} ({data['missing'][most]})."
    if report["model"]["n_parameters"] * ROWS_A_PARAMETER > data["rows"]:
        yield (
            "warning",
            "data",
            (
                f"{report['model']['n_parameters']} parameters for {data['rows']} rows: fewer components, or simpler "
                "covariances, would be found more surely."
            ),
        )
    if fit.get("rows") not in (None, data["rows"]):
        yield (
            "note",
            "data",
            f"The model was fitted to {fit['rows']} rows of {fit.get('data')}: these are {data['rows']}.",
        )
    elif fit.get("log_likelihood") is not None and scores["log_likelihood"] is not None:
        then, now = fit["log_likelihood"], scores["log_likelihood"]
        if abs(then - now) > 1e-6 * max(abs(then), 1) and not data["weighted"]:
            yield "note", "data", "These are other rows than those the model was fitted to: the log-likelihood differs."


def _of_components(report: dict[str, Any]) -> Iterator[Alert]:
    unit, n = report["model"]["unit"], max(report["data"]["rows"], 1)
    for text in report["identical"]:
        yield "warning", "components", f"{text[:1].upper()}{text[1:]}: one of them is not needed."
    for c in report["components"]:
        name, rows = f"{unit.capitalize()} {c['component']}", c["expected_rows"]
        if rows < FEW_ROWS:
            yield "warning", "components", f"{name} has {rows:.1f} rows: it may describe nothing but these."
        elif rows < SELDOM * n:
            yield "note", "components", f"{name} is seldom visited: {rows / n:.2%} of the rows."
        if c["sure"] is not None and c["sure"] < UNSURE and c["rows"] >= FEW_ROWS:
            text = f"its rows have a mean probability of {c['sure']:.0%}; {unit} {c['like']} is most like it."
            yield "note", "components", f"{name} is not told apart well: {text}"


def _of_chain(report: dict[str, Any]) -> Iterator[Alert]:
    seldom = [c for c in report["components"] if c["visits"] is not None and c["visits"] < FEW_EXITS and c["rows"]]
    if seldom and len(report["components"]) > 1:
        said = ", ".join(f"{c['component']} ({c['visits']})" for c in seldom)
        yield "note", "chain", f"States that were left a few times only: {said}. How long they last is hardly known."


def _of_checks(report: dict[str, Any]) -> Iterator[Alert]:
    if reason := report["checks"]["reason"]:
        yield "note", "checks", f"Residuals were not taken: {reason}."
    for column in report["checks"]["columns"]:
        name, n = column["name"], column["n"]
        if column["distance"] > max(OFF, CERTAIN / n**0.5):
            text = "another family, or more components, may describe them better."
            yield "warning", "checks", f"The values of {name} are distributed otherwise than the model says: {text}"
        elif column["far"] > FAR and column["far"] * n >= FEW_ROWS:
            yield "note", "checks", f"{column['far']:.1%} of the values of {name} are far out, where 1% is expected."
        first = column["autocorrelations"][:1]
        if first and abs(first[0]) > max(CORRELATED, 2.58 / n**0.5):
            text = "the chain does not say all of how rows hang together."
            yield "warning", "checks", f"Residuals of {name} that follow each other correlate ({first[0]:+.2f}): {text}"
