"""The way of a fit: its bound by iteration, and where other starts ended."""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from estep.fitting.results import Fit
from estep.plots.display import Display
from estep.plots.figure import COLOURS, MARKS, component_colours, new_axes

EQUAL = 0.1
"""Log-likelihoods that differ by less are shown as the same."""


class BoundDisplay(Display):
    """``frame``: the bound after each iteration of the best start; ``restarts``: bound, iterations and kind of each."""

    def __init__(self, fit: Fit):
        self.fit = fit
        bounds = np.asarray(fit.trace.bounds)
        self.frame = {"iteration": np.arange(len(bounds)), "bound": bounds}
        self.restarts = [(r.bound, r.n_iter, r.kind, r.stop_reason) for r in fit.restarts]

    @classmethod
    def from_model(cls, fitted: Any, ax: Any = None, **options: Any) -> Self:
        """Draws a Fit, or that of a fitted estimator. Raises TypeError for what has none."""
        fit = fitted if isinstance(fitted, Fit) else getattr(fitted, "fit_", None)
        if not isinstance(fit, Fit):
            raise TypeError(f"a {type(fitted).__name__} has no fit: give a Fit, or a fitted estimator")
        return cls(fit).plot(ax, **options)

    def plot(self, ax: Any = None, title: str = "") -> Self:
        """Draws the best start as a line, and where all starts ended, a mark for each kind of start; those that were
        dropped are hollow."""
        ax = new_axes(7, 4.2) if ax is None else ax
        ax.plot(self.frame["iteration"], self.frame["bound"], color=COLOURS[0], lw=1.8, label="best start")
        ends = [(n, bound, kind, why) for bound, n, kind, why in self.restarts if np.isfinite(bound)]
        if len(ends) > 1:
            self._ends(ax, ends)
        low, top = self._limits([bound for _, bound, _, _ in ends])
        ax.set(xlabel="iteration", ylabel="bound (log-likelihood)", ylim=(low, top))
        ax.set_title(title)
        ax.ticklabel_format(axis="y", useOffset=False)
        return self._drawn(ax)

    def _ends(self, ax: Any, ends: list[tuple[int, float, str, str]]) -> None:
        kinds = list(dict.fromkeys(kind for _, _, kind, _ in ends))
        for i, (kind, colour) in enumerate(zip(kinds, component_colours(len(kinds)), strict=True)):
            own = [(n, bound, why) for n, bound, of, why in ends if of == kind]
            faces = ["white" if why == "dropped" else colour for _, _, why in own]
            at = np.array([(n, bound) for n, bound, _ in own], dtype=float).T
            style = {"s": 30, "marker": MARKS[i % len(MARKS)], "edgecolors": [colour], "zorder": 3}
            ax.scatter(*at, facecolors=faces, label=f"{kind}: {len(own)}", **style)
        ax.legend(frameon=False, loc="lower right", fontsize="small", title="starts, where they ended")

    def _limits(self, ends: list[float]) -> tuple[float, float]:
        """Of the axis: the first steps climb far, and differences of less than ``EQUAL`` are none."""
        bounds = self.frame["bound"]
        shown = [float(bounds[min(3, len(bounds) - 1)]), float(bounds.max()), *ends]
        low, top = min(shown), max(shown)
        span = max(top - low, EQUAL)
        return top - 1.1 * span, top + 0.1 * span
