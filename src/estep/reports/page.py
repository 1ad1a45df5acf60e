"""The page of a report: one file that needs nothing beside it."""

from __future__ import annotations

import json
from importlib.resources import files
from importlib.util import find_spec
from typing import Any

from estep.reports.charts import charts, hex_colours
from estep.util.figures import figures

Spec = dict[str, Any]
ESTIMATES = {"ml": "maximum likelihood", "map": "mode of the posterior", "vb": "variational Bayes"}
SAID = 6
"""Columns of which a sentence tells."""
NAMED = 6
"""Columns that the first sentence names."""


def page(report: Spec) -> str:
    """The page as HTML. Raises ModuleNotFoundError where the libraries it is made with are missing."""
    return rendered(
        "report.html",
        charts(report),
        report["rows"],
        title=f"{report['data']['name']}: {what(report)}",
        report=report,
        colours=hex_colours(report["model"]["n_components"]),
        unit=report["model"]["unit"],
        sentence=_sentence(report),
        short=_short(report),
        components=_components(report),
        parameters=_parameters(report),
        row_head=_row_head(report),
        checks=_checks(report),
        now=_now(report),
        words=_words(report),
        spells=_spells(report),
        settings=[[k, str(report["fit"][k])] for k in ("data", "rows", "estep", "adapted") if report["fit"].get(k)],
        sections=_sections(report),
    )


def rendered(template: str, drawn: list[Spec], rows: Spec | None, **more: Any) -> str:
    """A page with charts and what its script reads."""
    require_libraries()
    import vl_convert
    from jinja2 import Environment, PackageLoader
    from markupsafe import Markup

    scripts = vl_convert.javascript_bundle()  # type: ignore[call-arg]  # its stub wants what it does not
    data = {name: rows for chart in drawn for name, rows in chart["data"].items()}
    loader = PackageLoader("estep.reports", "assets")
    environment = Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters["figures"] = figures
    return environment.get_template(template).render(
        charts=drawn,
        numbers=Markup(_json({"rows": rows, "datasets": data})),
        specs=Markup(_json([{"id": c["id"], "spec": c["spec"], "data": list(c["data"])} for c in drawn])),
        css=Markup(_asset("report.css")),
        vega=Markup(scripts.replace("</script", "<\\/script")),
        script=Markup(_asset("report.js")),
        **more,
    )


def require_libraries() -> None:
    """Raises ModuleNotFoundError saying what to install where what a page is made with is missing."""
    if any(find_spec(name) is None for name in ("vl_convert", "jinja2")):
        raise ModuleNotFoundError('a report needs Jinja2 and vl-convert-python: pip install "estep[report]"')


def _asset(name: str) -> str:
    return (files("estep.reports") / "assets" / name).read_text(encoding="utf-8")


def _json(value: Any) -> str:
    """JSON inside a page, which nothing in it can end."""
    return json.dumps(value, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")


def what(report: Spec) -> str:
    """What was fitted."""
    model = report["model"]
    kind = f", {model['covariance_type']} covariances" if model["covariance_type"] else ""
    parts = f" of {model['parts']} parts" if model["parts"] > 1 else ""
    units = model["unit"] if model["n_components"] == 1 else f"{model['unit']}s"
    if model["family"].startswith("product of"):
        return f"{model['kind']} of a table, {model['n_components']} {units}"
    return f"{model['family']} {model['kind']}{parts}, {model['n_components']} {units}{kind}"


def _sentence(report: Spec) -> str:
    data, columns, text = report["data"], report["model"]["columns"], what(report)
    rows = f"{data['rows']} rows"
    if data["sequences"] and data["sequences"] > 1:
        rows += f" in {data['sequences']} sequences"
    names = ", ".join(columns[:NAMED]) + (f" and {len(columns) - NAMED} more" if len(columns) > NAMED else "")
    return f"{text[0].upper()}{text[1:]}, over {rows} of {names}."


def _sections(report: Spec) -> dict[str, str]:
    """The titles of the sections that there are."""
    full = {chart["section"] for chart in charts(report)} | {"components", "settings"}
    full |= {"checks"} if report["checks"]["columns"] else set()
    full |= {"now"} if report["ahead"] is not None else set()
    full |= {"rows"} if report["rows"] is not None else set()
    titles = {
        "now": "Now, and next",
        "components": f"{report['model']['unit'].capitalize()}s",
        "rows": "Rows",
        "chain": "How states follow each other",
        "fit": "How the fit went",
        "checks": "How well the model describes the rows",
        "settings": "Settings to repeat it",
    }
    return {section: title for section, title in titles.items() if section in full}


def _short(report: Spec) -> list[tuple[str, str]]:
    """The first table."""
    model, scores, fit, data = report["model"], report["scores"], report["fit"], report["data"]
    ended, starts = "", fit.get("fit", {}).get("n_starts", 1)
    if fit.get("stop_reason"):
        n = fit.get("n_iter")
        ended = f"{fit['stop_reason']} after {n} iteration{'' if n == 1 else 's'}"
        ended += f", the best of {starts} starts" if starts > 1 else ""
    likelihood, criteria = "", ""
    if scores["log_likelihood"] is not None:
        likelihood = f"{figures(scores['log_likelihood'], 8)} ({figures(scores['per_row'])} a row)"
        criteria = f"{figures(scores['aic'], 7)} and {figures(scores['bic'], 7)} ({model['n_parameters']} parameters)"
    return [
        ("Model", what(report)),
        ("Families", model["family"].removeprefix("product of ") if "product" in model["family"] else ""),
        ("Estimate", ESTIMATES[model["estimate"]]),
        ("Data", f"{data['name']}, {data['rows']} rows"),
        ("Log-likelihood", likelihood),
        ("AIC and BIC", criteria),
        ("Ended", ended),
    ]


def _components(report: Spec) -> Spec:
    unit, stays = report["model"]["unit"], (report["chain"] or {}).get("stays")
    rows = [
        [c["component"], c["rows"], c["share"], c["sure"], "" if c["like"] is None else str(c["like"])]
        + ([stays[c["component"]]] if stays else [])
        for c in report["components"]
    ]
    head = [unit, "rows", "share in the long run" if stays else "weight", "mean probability of its rows", "most like"]
    head += ["expected stay, rows"] if stays else []
    caption = f"How many rows each {unit} has, how surely they are its own, and which other it is most like"
    return {"head": head, "rows": rows, "caption": caption}


def _parameters(report: Spec) -> Spec:
    found, unit = report["parameters"], report["model"]["unit"]
    rows = [
        [line["what"], line["of"], *(figures(v, probability=line["probability"]) for v in line["values"])]
        for line in found["lines"]
    ]
    left = f" (left out: {'; '.join(found['left_out'])})" if found["left_out"] else ""
    head = ["parameter", "of", *(f"{unit} {k}" for k in range(report["model"]["n_components"]))]
    return {"head": head, "rows": rows, "caption": f"Parameters{left}"}


def _words(report: Spec) -> list[str]:
    """What each component is like, in a sentence."""
    unit, stays = report["model"]["unit"], (report["chain"] or {}).get("stays")
    out = []
    for c in report["components"]:
        k, parts = c["component"], []
        for column in report["columns"][:SAID]:
            if column["kind"] in ("number", "count"):
                low, middle, high = (figures(column[q][k], 3) for q in ("low", "median", "high"))
                parts.append(f"{column['name']} about {middle} ({low} to {high})")
            elif column["kind"] == "symbol":
                p = [heights or 0.0 for heights in column["heights"][k]]
                most = max(range(len(p)), key=p.__getitem__)
                parts.append(f"{column['name']} mostly {column['values'][most]} ({p[most]:.0%})")
        share = f"{unit.capitalize()} {k}, {c['found']:.0%} of the rows" if c["found"] is not None else f"{unit} {k}"
        lasts = f", {figures(stays[k], 3)} rows at a time" if stays and stays[k] is not None else ""
        out.append(f"{share}{lasts}: {'; '.join(parts)}." if parts else f"{share}{lasts}.")
    return out


def _now(report: Spec) -> Spec | None:
    """The state of the last row, and a line a step to come."""
    if report["ahead"] is None:
        return None
    now, ahead = report["ahead"]["now"], report["ahead"]["forecast"]
    likeliest = max(range(len(now)), key=now.__getitem__)
    others = ", ".join(f"state {k} {p:.3f}" for k, p in enumerate(now))
    rows = [list(row) for row in zip(*ahead.values(), strict=True)]
    caption = (
        "What comes next: probabilities of the states, and of each column the mean and limits that 95% are between"
    )
    text = f"At the last row the series is in state {likeliest}, from what was known then ({others})."
    return {"text": text, "head": [name.replace("_", " ") for name in ahead], "rows": rows, "caption": caption}


def _spells(report: Spec) -> Spec | None:
    found = report["spells"]
    if found is None:
        return None
    rows = [list(row) for row in zip(*found.values(), strict=True)]
    return {"head": list(found), "rows": rows[::-1], "caption": "When each state was visited, the last stay first"}


def _row_head(report: Spec) -> list[str]:
    rows = report["rows"]
    if rows is None:
        return []
    more = (["time"] if rows["times"] else []) + (["sequence"] if rows["sequences"] else [])
    known = [c["name"] for c in rows["kept"]] + more + [c["name"] for c in rows["columns"]]
    return ["row", *known, report["model"]["unit"], "probability"]


def _checks(report: Spec) -> Spec:
    columns = report["checks"]["columns"]
    lags = bool(columns) and bool(columns[0]["autocorrelations"])
    rows = [
        [c["name"], c["n"], c["mean"], c["deviation"], f"{c['far']:.1%}", c["distance"]]
        + ([c["autocorrelations"][0]] if lags else [])
        for c in columns
    ]
    head = ["column", "values", "mean", "standard deviation", "beyond 2.58 (1% expected)", "largest distance"]
    head += ["correlation with the row before"] if lags else []
    caption = "Pseudo-residuals: mean 0 and standard deviation 1 where the model is right"
    return {"head": head, "rows": rows, "caption": caption}
