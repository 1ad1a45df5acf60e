"""What each component is like, column by column, in the units of the data."""

from __future__ import annotations

from typing import Any

import numpy as np

from estep.inference.predictive import predictive
from estep.interface import AnyModel, Margin

STATISTICS = ("component", "column", "statistic", "value")


def profile(model: AnyModel) -> dict[str, Any]:
    """A tidy table by column: ``component``, ``column``, ``statistic`` and ``value``.

    The weight of each component (of a chain, its share in the long run; the column is empty), and of each column its
    mean and standard deviation; of angles the mean direction and the mean resultant length; of symbols their
    probabilities, by name. Raises ValueError for a family that does not say how its columns are distributed, and for
    regressions, whose rows depend on covariates.
    """
    if model.emission.n_covariates:
        raise ValueError("a regression's rows depend on covariates: see its coefficients, and conditional(given=)")
    found = predictive(model, np.eye(model.n_components))
    lines: list[tuple[int, str, str, float]] = []
    weights = shares_of(model)
    for k in range(model.n_components):
        lines.append((k, "", "weight", float(weights[k])))
        for name, texts, margin in zip(found.names, found.symbols, found.margins, strict=True):
            lines += [(k, name, what, value) for what, value in _of_column(margin, k, texts)]
    return {what: [line[i] for line in lines] for i, what in enumerate(STATISTICS)}


def shares_of(model: AnyModel) -> Any:
    """Shares (K,); NaN where they depend on where a chain begins."""
    try:
        return model.latent.shares()
    except ValueError:
        return np.full(model.n_components, np.nan)


def _of_column(margin: Margin, k: int, texts: Any) -> list[tuple[str, float]]:
    if margin.table is not None:
        p = margin.table[k]
        known = enumerate(texts) if len(texts) else ((m, m) for m in margin.possible)
        return [(f"probability of {text}", float(p[m])) for m, text in known]
    if margin.kind == "angle":
        mean = margin.mean()[k]
        return [("mean direction", float(np.angle(mean))), ("mean resultant length", float(np.abs(mean)))]
    return [("mean", float(margin.mean()[k])), ("standard deviation", float(margin.variance()[k] ** 0.5))]
