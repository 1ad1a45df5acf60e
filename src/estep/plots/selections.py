"""A grid of models by their criterion."""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from estep.plots.display import Display
from estep.plots.emissions import STYLES
from estep.plots.figure import MARKS, component_colours, new_axes


class SelectionDisplay(Display):
    """``frame``: number of components, family and type of each candidate, and its criterion."""

    def __init__(self, selection: Any, criterion: str):
        self.criterion, self.unit = criterion, selection.best.fit.model.latent.unit
        candidates = selection.candidates
        kinds = [c.label.partition(" ")[2] for c in candidates]
        self.frame = {
            "n_components": np.array([c.n_components for c in candidates]),
            "kind": np.array(kinds, dtype=object),
            criterion: np.array([getattr(c, criterion) for c in candidates]),
        }

    @classmethod
    def from_model(cls, fitted: Any, criterion: str | None = None, ax: Any = None, **options: Any) -> Self:
        """Draws what :func:`estep.select` found, by the ``criterion`` it chose by or another of its own.

        Raises TypeError for what is no selection, ValueError for a criterion that was not taken.
        """
        if not hasattr(fitted, "candidates") or not hasattr(fitted, "best"):
            raise TypeError(f"a {type(fitted).__name__} is no selection: give what estep.select returns")
        new = cls(fitted, criterion or fitted.criterion)
        if not np.isfinite(new.frame[new.criterion].astype(float)).any():
            raise ValueError(f"criterion is {criterion!r}: the selection did not take it")
        return new.plot(ax, **options)

    def plot(self, ax: Any = None, title: str = "") -> Self:
        """Draws a line for each family and type, the best one marked."""
        ax = new_axes(7, 4.4) if ax is None else ax
        kinds = list(dict.fromkeys(self.frame["kind"]))
        n, values = self.frame["n_components"], self.frame[self.criterion]
        for i, (kind, colour) in enumerate(zip(kinds, component_colours(len(kinds)), strict=True)):
            own = np.flatnonzero(self.frame["kind"] == kind)
            own = own[np.argsort(n[own])]
            style = {"color": colour, "lw": 1.5, "marker": MARKS[i % len(MARKS)], "ms": 5}
            ax.plot(n[own], values[own], STYLES[i % 4], label=kind, **style)
        best = int(np.nanargmin(values))
        ax.plot(n[best], values[best], "o", ms=13, mfc="none", mec="black", mew=1.5, label=f"lowest: {n[best]}")
        ax.set(xlabel=f"{self.unit}s", ylabel=self.criterion.upper(), xticks=np.unique(n))
        ax.set_title(title)
        ax.legend(frameon=False)
        return self._drawn(ax)
