"""The numbers of a report: one document that JSON holds, from which the page is made."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import numpy as np

from estep.data.missing import is_missing
from estep.data.source import Source
from estep.data.summary import weights_at
from estep.execution.base import Execute
from estep.fitting.remarks import identical
from estep.inference.curves import curves
from estep.inference.forecast import forecast_columns
from estep.inference.listing import listing, telling_columns
from estep.inference.predictive import columns_of, predictive
from estep.inference.profile import shares_of
from estep.inference.spells import spells
from estep.latents import Chain, Moving
from estep.model import Model
from estep.reports.alerts import alerts
from estep.reports.checks import checks
from estep.reports.rows import About, as_cells, shown_rows
from estep.statistics import Array, weighted
from estep.util.figures import finite

FORMAT, VERSION = "estep-report", 1
KEYS = (
    "model", "data", "fit", "scores", "components", "identical", "parameters", "columns", "chain", "spells", "ahead",
    "checks", "alerts", "rows",
)  # fmt: skip
LONGEST = 1000
"""Rows of a stay up to which its length is drawn."""
QUANTILES = {"low": 1 / 6, "median": 0.5, "high": 5 / 6}
"""Two thirds of the rows are between the outer ones."""
STEPS = 5
"""Rows to come that are foretold."""
MOST_SPELLS = 300
"""Stays that are listed, the last ones."""
POINTS = 120
"""Of each curve."""


def document(model: Model, raw: Source, about: About, execute: Execute | None, rows: bool = True) -> dict[str, Any]:
    """All numbers of the report of a model over rows as they came; ``rows``: whether some of these are in it."""
    from estep import __version__

    p = model.predict_proba(raw, execute=execute, on_impossible="skip")
    states, _ = model.decode(raw, execute=execute, on_impossible="skip")
    units = model.score_units(raw, execute=execute)
    names = columns_of(model)[0]
    telling = telling_columns(model, names)
    out: dict[str, Any] = {
        "format": FORMAT,
        "version": VERSION,
        "estep": __version__,
        "made": datetime.now().isoformat(timespec="seconds"),
        "model": _of_model(model, names),
        "data": _of_data(model, raw, about),
        "fit": dict(about.provenance),
        "scores": _scores(model, raw, units),
        "components": _components(model, p, states, raw),
        "identical": identical(model),
        "parameters": _parameters(model),
        "columns": [_column(model, d) for d in telling],
        "chain": _chain(model),
        "spells": _spells(model, raw, about, p, states) if rows else None,
        "ahead": _ahead(model, raw, execute),
        "checks": checks(model, raw, telling, execute, rows),
    }
    out["alerts"] = alerts(out)
    out["rows"] = shown_rows(model, raw, about, p, states, telling) if rows else None
    return out


def numbers(values: Any) -> list[float | None]:
    """Numbers as JSON has them."""
    return [finite(x) for x in np.ravel(values)]


def _of_model(model: Model, names: tuple[str, ...]) -> dict[str, Any]:
    family = getattr(model.emission, "inner", model.emission)
    types = [getattr(family, name, None) for name in ("covariance_type",)]
    return {
        "kind": model.latent.kind,
        "family": family.preparation if model.emission.rows == "table" else family.name,
        "parts": getattr(model.emission, "n_mix", 1),
        "covariance_type": types[0],
        "chain": model.latent.sequential,
        "unit": model.latent.unit,
        "n_components": model.n_components,
        "n_parameters": model.n_parameters,
        "columns": list(names),
        "covariates": list(model.columns[: model.emission.n_covariates]),
        "estimate": model.estimate,
    }


def _of_data(model: Model, raw: Source, about: About) -> dict[str, Any]:
    names, P = columns_of(model)[0], raw.n_given
    gaps = np.zeros(raw.X.shape[1], np.int64)
    for first in range(0, len(raw), 65536):
        gaps += is_missing(np.asarray(raw.X[first : first + 65536])).sum(axis=0)
    columns = raw.columns or (*[f"given {i}" for i in range(P)], *names)
    used = [(c, int(n)) for c, n in zip(columns, gaps, strict=False) if c in names or not raw.columns]
    return {
        "name": about.data,
        "rows": len(raw),
        "sequences": raw.n_sequences if model.latent.sequential else None,
        "missing": {str(c): n for c, n in used if n},
        "weighted": raw.weights is not None,
    }


def _scores(model: Model, raw: Source, units: Array) -> dict[str, Any]:
    total, n = weighted(np.asarray(units), raw.weights), raw.weight_of_values
    sound = bool(np.isfinite(total)) and n > 0
    return {
        "log_likelihood": finite(total),
        "per_row": finite(total / n) if sound else None,
        "aic": model.aic(total) if sound else None,
        "bic": model.bic(total, n) if sound else None,
        "impossible": int(np.isneginf(np.asarray(units)).sum()),
    }


def _components(model: Model, p: Array, states: Array, raw: Source) -> list[dict[str, Any]]:
    K, n = model.n_components, np.zeros(model.n_components, np.int64)
    expected, together, mass = np.zeros(K), np.zeros((K, K)), np.zeros(K)
    for first in range(0, len(states), 65536):
        some, mine = np.nan_to_num(np.asarray(p[first : first + 65536])), np.asarray(states[first : first + 65536])
        expected += some.sum(axis=0)
        weights = weights_at(raw.weights, raw.ends, slice(first, first + len(some)))
        mass += some.sum(axis=0) if weights is None else np.asarray(weights) @ some
        for k in range(K):
            n[k] += (mine == k).sum()
            together[k] += some[mine == k].sum(axis=0)
    try:
        shares = model.latent.shares()
    except ValueError:  # where they depend on how a chain begins
        shares = np.full(K, np.nan)
    visits = _visits(states, raw) if model.latent.sequential else [None] * K
    out: list[dict[str, Any]] = []
    for k in range(K):
        mean = together[k] / max(n[k], 1)
        others = np.delete(mean, k)
        out.append({
            "component": k,
            "visits": visits[k],
            "share": finite(shares[k]),
            "found": finite(mass[k] / mass.sum()),
            "rows": int(n[k]),
            "expected_rows": float(expected[k]),
            "sure": finite(mean[k]) if n[k] else None,
            "like": int(np.delete(np.arange(K), k)[others.argmax()]) if K > 1 and n[k] else None,
        })  # fmt: skip
    return out


def _visits(states: Array, raw: Source) -> list[int]:
    """How often each state was left for another, on the path."""
    left = np.asarray(states)[:-1][(np.diff(states) != 0) & ~np.isin(np.arange(1, len(states)), raw.all_ends)]
    return [int((left == k).sum()) for k in range(int(np.max(states, initial=-1)) + 1)]


def _spells(model: Model, raw: Source, about: About, p: Array, states: Array) -> dict[str, list[Any]] | None:
    """When each state was visited: the last of the stays on the likeliest path."""
    if not model.latent.sequential:
        return None
    path = np.asarray(states)
    sure = np.asarray(p)[np.arange(len(path)), np.maximum(path, 0)]
    found = spells(path, raw.all_ends, about.times, sure)
    if "sequence" in found and about.sequences:
        found["sequence"] = np.array(about.sequences, dtype=object)[found["sequence"]]
    return {name: as_cells(np.asarray(values)[-MOST_SPELLS:]) for name, values in found.items()}


def _ahead(model: Model, raw: Source, execute: Execute | None) -> dict[str, Any] | None:
    """Of one series: the states of the last row from what was known then, and what comes next."""
    if not model.latent.sequential or raw.n_sequences != 1 or model.emission.n_covariates:
        return None
    try:
        now = model.filter(raw, execute=execute)[-1]
        found = forecast_columns(model, model.source(raw), STEPS, 0.95, execute=execute)
    except ValueError:  # impossible rows, or a family that does not say how columns are distributed
        return None
    return {"now": numbers(now), "forecast": {name: as_cells(values) for name, values in found.items()}}


def _parameters(model: Model) -> dict[str, Any]:
    found = listing(model)
    lines = [
        {
            "what": line.what,
            "of": line.of,
            "values": [v if isinstance(v, str) else finite(v) for v in line.values],
            "probability": line.probability,
        }
        for line in found.lines
    ]
    return {"lines": lines, "left_out": list(found.left_out)}


def _column(model: Model, d: int) -> dict[str, Any]:
    """How a column is distributed in each component: curves, means and deviations, or probabilities of symbols."""
    names, symbols = columns_of(model)
    out: dict[str, Any] = {"name": names[d], "kind": None}
    if model.emission.n_covariates:
        return out
    try:
        found = predictive(model, np.eye(model.n_components)).some([d])
    except ValueError:  # a family that does not say
        return out
    margin = found.margins[0]
    values, heights = curves(margin, shares_of(model), len(symbols[d]) > 0)
    some = np.unique(np.linspace(0, len(values) - 1, min(len(values), POINTS)).astype(int))
    out |= {"kind": margin.kind, "heights": [numbers(h) for h in heights[some].T]}
    if margin.kind == "symbol":
        return out | {"values": [str(s) for s in (symbols[d] or values)][: len(some)]}
    mean = np.angle(margin.mean()) if margin.kind == "angle" else margin.mean()
    deviation = np.full(len(mean), np.nan) if margin.kind == "angle" else np.sqrt(margin.variance())
    out |= {"values": numbers(values[some]), "mean": numbers(mean), "deviation": numbers(deviation)}
    if margin.kind == "angle":
        return out
    return out | {name: numbers(found.quantile(q)) for name, q in QUANTILES.items()}


def _chain(model: Model) -> dict[str, Any] | None:
    latent = model.latent
    if not isinstance(latent, Moving):
        return None
    stays = latent.expected_durations()
    finite = stays[np.isfinite(stays)]
    longest = int(np.clip(3 * finite.max(initial=3), 5, LONGEST))
    some = np.unique(np.linspace(0, longest - 1, min(longest, POINTS)).astype(int))
    lengths = [numbers(r[some]) for r in latent.dwell_times(longest)]
    out: dict[str, Any] = {"stays": numbers(stays), "lengths": lengths, "rows": (some + 1).tolist()}
    if isinstance(latent, Chain) and latent.transmat is not None:
        out["transmat"] = [numbers(row) for row in latent.transmat]
    return out
