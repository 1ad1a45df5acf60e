"""Components of many columns: pairs of them, and a panel a column."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np

from estep.inference.listing import telling_columns
from estep.inference.predictive import columns_of, predictive
from estep.inference.profile import profile
from estep.plots.components import ComponentsDisplay, place_of
from estep.plots.display import Display
from estep.plots.figure import as_model, column_names, component_colours, require_matplotlib, source_of
from estep.statistics import Array

THIRDS = (1 / 6, 0.5, 5 / 6)
MOST = 5
"""Columns of which pairs are drawn, unless they are named."""


class PairsDisplay(Display):
    """Each pair of columns of a Gaussian mixture against each other, and each by itself on the diagonal.

    ``frame``: as that of :class:`ComponentsDisplay`; ``parts``: a display for each pair."""

    def __init__(self, names: Sequence[str], parts: dict[tuple[int, int], ComponentsDisplay]):
        self.names, self.parts = list(names), parts
        self.frame = {}
        for part in parts.values():
            self.frame |= part.frame

    @classmethod
    def from_model(
        cls, fitted: Any, X: Any = None, columns: Sequence[Any] | None = None, ax: Any = None, **options: Any
    ) -> Self:
        """Draws the ``columns``, by name or number; else, of more than five, those in which components differ most.

        Raises ValueError for another family, and naming a column that there is none of.
        """
        model = as_model(fitted)
        names = column_names(model)
        chosen = [place_of(c, names) for c in columns] if columns is not None else telling_columns(model, names, MOST)
        if not chosen:
            raise ValueError("columns is empty: name those to draw")
        data = source_of(model, X)
        parts = {}
        for i, row in enumerate(chosen):
            for j, column in enumerate(chosen[: i + 1]):
                pair = [row] if i == j else [column, row]
                parts[i, j] = ComponentsDisplay.of(model, data, pair)
        return cls([names[d] for d in chosen], parts).plot(ax, **options)

    def plot(self, ax: Any = None, title: str = "") -> Self:
        """Draws on axes (n, n), of which those above the diagonal are left empty."""
        n = len(self.names)
        ax = _grid(n, n, 2.3, 2.1) if ax is None else ax
        axes = np.asarray(ax, dtype=object).reshape(n, n)
        for i in range(n):
            for j in range(n):
                one = axes[i, j]
                if j > i:
                    one.set_axis_off()
                    continue
                self.parts[i, j].plot(one)
                one.set(xlabel=self.names[j] if i == n - 1 else "", ylabel=self.names[i] if j == 0 and i else "")
                if i == j and (legend := one.get_legend()) is not None:
                    legend.remove()
        axes[0, 0].figure.suptitle(title)
        return self._drawn(axes.ravel())


class ProfileDisplay(Display):
    """What each component is like: a panel a column, its median and the limits that two thirds of the rows are between,
    or the probabilities of its symbols.

    ``frame``: the profile, as :meth:`estep.Model.profile` gives it; ``quantiles``: those that are drawn, (3, K), by
    column."""

    def __init__(self, frame: dict[str, Any], quantiles: dict[str, Array], columns: Sequence[str], K: int, unit: str):
        self.frame, self.quantiles, self.columns, self.K, self.unit = frame, quantiles, list(columns), K, unit

    @classmethod
    def from_model(cls, fitted: Any, columns: Sequence[Any] | None = None, ax: Any = None, **options: Any) -> Self:
        """Draws the ``columns``, by name or number; else, of more than eight, those in which components differ most.

        Raises ValueError for families that do not say how columns are distributed, and naming a column that there is
        none of.
        """
        model = as_model(fitted)
        names = columns_of(model)[0]
        chosen = [place_of(c, names) for c in columns] if columns is not None else telling_columns(model, names)
        if not chosen:
            raise ValueError("columns is empty: name those to draw")
        shown = [names[d] for d in chosen]
        frame = profile(model)
        found = predictive(model, np.eye(model.n_components)).some(chosen)
        drawn = np.stack([found.quantile(q) for q in THIRDS])
        quantiles = {name: drawn[:, :, d] for d, name in enumerate(shown)}
        return cls(frame, quantiles, shown, model.n_components, model.latent.unit).plot(ax, **options)

    def plot(self, ax: Any = None, title: str = "") -> Self:
        """Draws on axes (n,), one a column."""
        n = len(self.columns)
        wide = min(n, 2)
        ax = _grid(-(-n // wide), wide, 4.2, 0.9 + 0.34 * self.K) if ax is None else ax
        axes = np.ravel(np.asarray(ax, dtype=object))
        for one in axes[n:]:
            one.set_axis_off()
        lines = list(zip(*(self.frame[key] for key in ("component", "column", "statistic", "value")), strict=True))
        for name, one in zip(self.columns, axes, strict=False):
            self._panel(one, [line for line in lines if line[1] == name], self.quantiles[name])
            one.set_title(name, fontsize="medium", loc="left")
            one.set(yticks=range(self.K), ylim=(self.K - 0.4, -0.6))
        axes[0].set_ylabel(self.unit)
        axes[0].figure.suptitle(title)
        return self._drawn(axes)

    def _panel(self, ax: Any, lines: list[tuple[int, str, str, float]], quantiles: Array) -> None:
        from matplotlib import colormaps

        symbols = list(dict.fromkeys(what for _, _, what, _ in lines if what.startswith("probability of ")))
        if symbols:
            left = np.zeros(self.K)
            shades = colormaps["cividis"](np.linspace(0.05, 0.95, len(symbols)))  # not those of components
            for symbol, shade in zip(symbols, shades, strict=True):
                p = np.array([value for _, _, what, value in lines if what == symbol])
                ax.barh(range(self.K), p, left=left, color=shade, edgecolor="white", height=0.7,
                        label=symbol.removeprefix("probability of "))  # fmt: skip
                left += p
            ax.set_xlim(0, 1)
            ax.legend(frameon=False, fontsize="x-small", ncols=4, loc="upper left", bbox_to_anchor=(0, -0.12))
            return
        colours = component_colours(self.K)
        for k in range(self.K):
            low, middle, high = quantiles[:, k]
            ax.errorbar(middle, k, xerr=[[middle - low], [high - middle]], fmt="o", color=colours[k], capsize=3, ms=6)


def _grid(rows: int, columns: int, width: float, height: float) -> Any:
    """Axes (rows, columns) of a new figure."""
    require_matplotlib()
    from estep.plots.figure import new_axes

    return new_axes(width * columns + 0.6, height * rows + 0.6, rows, ncols=columns, squeeze=False)


class ConfusionDisplay(Display):
    """How many rows of each class have each component. ``counts`` (classes, K); ``frame``: a line a pair."""

    def __init__(self, counts: Array, classes: Sequence[Any], unit: str):
        self.counts, self.classes, self.unit = counts, list(classes), unit
        i, k = (a.ravel() for a in np.indices(counts.shape))
        self.frame = {"class": np.array(self.classes, dtype=object)[i], unit: k, "rows": counts.ravel()}

    @classmethod
    def from_model(cls, fitted: Any, X: Any = None, labels: Any = None, ax: Any = None, **options: Any) -> Self:
        """Draws the components of X (of a chain: on its likeliest path) against ``labels`` (n,), classes of any kind
        that are known of the rows. Raises ValueError where they are not as many."""
        model = as_model(fitted)
        states, _ = model.decode(source_of(model, X), on_impossible="skip")
        known = np.asarray(labels)
        if known.shape != states.shape:
            raise ValueError(f"labels has shape {known.shape}: one for each of {len(states)} rows")
        classes, of = np.unique(known.astype(str) if known.dtype.kind == "O" else known, return_inverse=True)
        counts = np.zeros((len(classes), model.n_components), np.int64)
        there = states >= 0
        np.add.at(counts, (of[there], states[there]), 1)
        return cls(counts, classes.tolist(), model.latent.unit).plot(ax, **options)

    def plot(self, ax: Any = None, title: str = "") -> Self:
        """Draws; shades are shares of each class, numbers rows."""
        if ax is None:
            n, K = self.counts.shape
            ax = _grid(1, 1, 2 + 0.6 * K, 1.4 + 0.45 * n)[0, 0]
        shares = self.counts / np.maximum(self.counts.sum(axis=1, keepdims=True), 1)
        ax.imshow(shares, vmin=0, vmax=1, cmap="Blues", aspect="auto")
        for (i, k), count in np.ndenumerate(self.counts):
            ink = "white" if shares[i, k] > 0.55 else "black"
            ax.text(k, i, str(count), ha="center", va="center", color=ink, fontsize="small")
        ax.set_xticks(range(self.counts.shape[1]))
        ax.set_yticks(range(len(self.classes)), [str(c) for c in self.classes])
        ax.set(xlabel=self.unit, ylabel="class")
        ax.set_title(title)
        return self._drawn(ax)
