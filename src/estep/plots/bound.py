"""The way of a fit: its bound by iteration, and where other starts ended."""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from estep.fitting.results import Fit
from estep.plots.display import Display
from estep.plots.figure import COLOURS, GREY, new_axes

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
        """Draws the best start as a line, others where they ended."""
        ax = new_axes(7, 4.2) if ax is None else ax
        ax.plot(self.frame["iteration"], self.frame["bound"], color=COLOURS[0], lw=1.8, label="best start")
        ends = [(n, bound) for bound, n, _, _ in self.restarts if np.isfinite(bound)]
        if len(ends) > 1:
            ax.scatter(
                *np.array(ends).T, s=26, facecolors="white", edgecolors=GREY, zorder=3, label="where starts ended"
            )
            ax.legend(frameon=False, loc="lower right")
        low, top = self._limits([b for _, b in ends])
        ax.set(xlabel="iteration", ylabel="bound (log-likelihood)", ylim=(low, top))
        ax.set_title(title)
        ax.ticklabel_format(axis="y", useOffset=False)
        return self._drawn(ax)

    def _limits(self, ends: list[float]) -> tuple[float, float]:
        """Of the axis: the first steps climb far, and differences of less than ``EQUAL`` are none."""
        bounds = self.frame["bound"]
        shown = [float(bounds[min(3, len(bounds) - 1)]), float(bounds.max()), *ends]
        low, top = min(shown), max(shown)
        span = max(top - low, EQUAL)
        return top - 1.1 * span, top + 0.1 * span
