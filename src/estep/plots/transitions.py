"""The transitions of a chain: as a matrix, or as a graph."""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from estep.latents import Chain
from estep.latents.topology import stationary
from estep.plots.display import Display
from estep.plots.figure import as_model, component_colours, new_axes
from estep.statistics import Array
from estep.util.figures import share

KINDS = ("graph", "matrix")
LEAST = 0.001
"""Transitions below this are not drawn in a graph."""
MOST_NUMBERS = 12
"""States of a matrix that is still written in numbers."""


class TransitionsDisplay(Display):
    """``frame``: a line for each pair of states, with the probability to go from one to the other; ``stationary`` (K,):
    how often each is visited in the long run, NaN where that depends on the start."""

    def __init__(self, transmat: Array, kind: str = "graph"):
        self.transmat, self.kind, K = transmat, kind, len(transmat)
        try:
            self.stationary = stationary(transmat)
        except ValueError:
            self.stationary = np.full(K, np.nan)
        source, target = (a.ravel() for a in np.indices((K, K)))
        self.frame = {"from": source, "to": target, "probability": transmat.ravel()}

    @classmethod
    def from_model(cls, fitted: Any, kind: str = "graph", ax: Any = None, **options: Any) -> Self:
        """Draws the states of a chain as nodes, sized by how often they are visited, with arrows by their probability,
        or as a "matrix". Raises ValueError for a mixture and for another kind."""
        model = as_model(fitted)
        if not isinstance(model.latent, Chain) or model.latent.transmat is None:
            raise ValueError(f"a {model.latent.kind} has no transitions")
        if kind not in KINDS:
            raise ValueError(f"kind is {kind!r}: it is one of {', '.join(KINDS)}")
        return cls(np.array(model.latent.transmat), kind).plot(ax, **options)

    def plot(self, ax: Any = None, title: str = "") -> Self:
        """Draws."""
        ax = new_axes(5.5, 5) if ax is None else ax
        (self._graph if self.kind == "graph" else self._matrix)(ax)
        ax.set_title(title)
        return self._drawn(ax)

    def _matrix(self, ax: Any) -> None:
        K = len(self.transmat)
        ax.imshow(self.transmat, vmin=0, vmax=1, cmap="Blues")
        ax.set(xlabel="to", ylabel="from", xticks=range(K), yticks=range(K))
        for i, j in np.ndindex(K, K) if K <= MOST_NUMBERS else ():
            p = float(self.transmat[i, j])
            ax.text(j, i, share(p), ha="center", va="center", color="white" if p > 0.55 else "black", fontsize="small")

    def _graph(self, ax: Any) -> None:
        from matplotlib.patches import FancyArrowPatch

        K = len(self.transmat)
        angle = np.pi / 2 - 2 * np.pi * np.arange(K) / K
        at = np.stack([np.cos(angle), np.sin(angle)], axis=1) if K > 1 else np.zeros((1, 2))
        visited = np.nan_to_num(self.stationary, nan=1 / K)
        radius = 0.09 + 0.16 * np.sqrt(visited)
        colours = component_colours(K)
        for i, j in np.argwhere(self.transmat >= LEAST):
            p = self.transmat[i, j]
            if i == j:
                self._stay(ax, at[i], radius[i], p)
                continue
            apart = (at[j] - at[i]) / np.linalg.norm(at[j] - at[i])
            begin, end = at[i] + apart * radius[i], at[j] - apart * (radius[j] + 0.02)
            style = {"arrowstyle": "-|>", "mutation_scale": 9 + 8 * p, "lw": 0.7 + 3.5 * p, "color": "0.35"}
            ax.add_patch(FancyArrowPatch(begin, end, connectionstyle="arc3,rad=0.18", **style))
            middle = begin + 0.36 * (end - begin) + np.array([apart[1], -apart[0]]) * 0.15 * np.linalg.norm(end - begin)
            ax.text(*middle, share(p), ha="center", va="center", fontsize="small",
                    bbox={"fc": "white", "ec": "none", "pad": 0.6, "alpha": 0.85})  # fmt: skip
        for k in range(K):
            from matplotlib.patches import Circle

            ax.add_patch(Circle(at[k], radius[k], fc=colours[k], ec="black", lw=0.8, alpha=0.85, zorder=3))
            ax.text(*at[k], str(k), ha="center", va="center", color="white", fontweight="bold", zorder=4)
        ax.set(xlim=(-1.75, 1.75), ylim=(-1.75, 1.75), aspect="equal")
        ax.axis("off")

    def _stay(self, ax: Any, at: Array, radius: float, p: float) -> None:
        from matplotlib.patches import Arc

        out = at / max(np.linalg.norm(at), 1e-9) if np.any(at) else np.array([0.0, 1.0])
        centre = at + out * (radius + 0.1)
        ax.add_patch(Arc((float(centre[0]), float(centre[1])), 0.3, 0.3, lw=0.7 + 3.5 * p, color="0.35", zorder=1))
        ax.text(*(centre + out * 0.29), share(p), ha="center", va="center", fontsize="small")
