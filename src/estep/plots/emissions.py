"""How a column is distributed in each component or state, and how long states last."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np

from estep.inference.curves import curves
from estep.inference.predictive import predictive
from estep.inference.profile import shares_of
from estep.latents import Moving
from estep.plots.components import place_of
from estep.plots.display import Display
from estep.plots.figure import as_model, component_colours, new_axes
from estep.statistics import Array

STYLES = ("-", "--", "-.", ":")


class EmissionsDisplay(Display):
    """``frame``: values of a column, and their density or probability in each component."""

    def __init__(self, name: str, values: Array, heights: Array, margin: str, symbols: Sequence[str], unit: str):
        self.name, self.values, self.heights, self.margin = name, values, heights, margin
        self.symbols, self.unit = tuple(symbols), unit
        shown = np.array(symbols, dtype=object) if len(symbols) else values
        self.frame = {name: shown} | {f"{unit}_{k}": heights[:, k] for k in range(heights.shape[1])}

    @classmethod
    def from_model(cls, fitted: Any, column: Any = 0, ax: Any = None, **options: Any) -> Self:
        """Draws the distributions of a ``column``, by name or number, in each component or state.

        Raises ValueError for a family that does not say how its columns are distributed, or with covariates, and naming
        a column that there is none of.
        """
        model = as_model(fitted)
        if model.emission.n_covariates:
            raise ValueError("a regression's rows depend on covariates: there is no one distribution to draw")
        found = predictive(model, np.eye(model.n_components))
        place = place_of(column, found.names)
        margin, symbols = found.margins[place], found.symbols[place]
        values, heights = curves(margin, shares_of(model), len(symbols) > 0)
        new = cls(found.names[place], values, heights, margin.kind, symbols, model.latent.unit)
        return new.plot(ax, **options)

    def plot(self, ax: Any = None, title: str = "") -> Self:
        """Draws curves of densities, steps of probabilities of counts, bars of those of symbols."""
        ax = new_axes(7, 4.2) if ax is None else ax
        K = self.heights.shape[1]
        for k, colour in enumerate(component_colours(K)):
            if self.margin == "symbol":
                at = np.arange(len(self.values)) + (k - (K - 1) / 2) * 0.8 / K
                ax.bar(at, self.heights[:, k], 0.8 / K, color=colour, edgecolor="black", linewidth=0.3, label=str(k))
            elif self.margin == "count":
                ax.plot(
                    self.values, self.heights[:, k], STYLES[k % 4], marker=".", ms=3.5, lw=1, color=colour, label=str(k)
                )
            else:
                ax.plot(self.values, self.heights[:, k], STYLES[k % 4], color=colour, lw=1.8, label=str(k))
        if self.margin == "symbol":
            ax.set_xticks(range(len(self.values)), self.symbols or [str(int(v)) for v in self.values])
        ax.set(xlabel=self.name, ylabel="density" if self.margin in ("number", "angle") else "probability")
        ax.set_ylim(bottom=0)
        ax.set_title(title)
        ax.legend(frameon=False, title=self.unit, ncols=1 + K // 9)
        return self._drawn(ax)


class DurationsDisplay(Display):
    """``frame``: how probable it is that a stay in each state lasts so many rows; ``expected`` (K,): the mean."""

    def __init__(self, p: Array, expected: Array):
        self.p, self.expected = p, expected
        self.frame = {"rows": np.arange(1, p.shape[1] + 1)} | {f"state_{k}": row for k, row in enumerate(p)}

    @classmethod
    def from_model(cls, fitted: Any, longest: int | None = None, ax: Any = None, **options: Any) -> Self:
        """Draws how long stays last, up to ``longest`` rows. Raises ValueError for a mixture."""
        model = as_model(fitted)
        if not isinstance(model.latent, Moving):
            raise ValueError(f"a {model.latent.kind} has no stays")
        expected = model.latent.expected_durations()
        finite = expected[np.isfinite(expected)]
        n = longest or int(np.clip(3 * finite.max(initial=3), 5, 2000))
        return cls(model.latent.dwell_times(n), expected).plot(ax, **options)

    def plot(self, ax: Any = None, title: str = "") -> Self:
        """Draws."""
        ax = new_axes(7, 4) if ax is None else ax
        for k, colour in enumerate(component_colours(len(self.p))):
            mean = f"{self.expected[k]:.3g} rows" if np.isfinite(self.expected[k]) else "never left"
            ax.step(self.frame["rows"], self.p[k], STYLES[k % 4], where="mid", color=colour, label=f"state {k}: {mean}")
        ax.set(xlabel="rows in the state", ylabel="probability", ylim=(0, None))
        ax.set_title(title)
        ax.legend(frameon=False, title="mean stay")
        return self._drawn(ax)
