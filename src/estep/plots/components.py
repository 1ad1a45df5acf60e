"""Data with the components of a Gaussian mixture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np

from estep.data.source import Source
from estep.emissions import Gaussian
from estep.fitting.subsample import held
from estep.model import Model
from estep.parameters.covariance import full
from estep.plots.display import Display, beside
from estep.plots.figure import GREY, as_model, column_names, component_colours, mark_size, new_axes, source_of
from estep.statistics import Array

MOST = 20_000
"""Marks that are drawn; of more rows a sample."""
DEVIATIONS = (1, 2)
GRID = 160
"""Points of a density's contours, each way."""


class ComponentsDisplay(Display):
    """Two columns: rows in the mixture of their components' colours (so that doubt shows, as in Bishop 2006, figure
    9.5), ellipses at 1 and 2 standard deviations. One column: a histogram with the density and its parts.

    ``frame``: the rows that are drawn and their responsibilities; ``means`` (K, D), ``covariances`` (K, D, D) and
    ``weights`` (K,) of the columns that are drawn.
    """

    def __init__(self, names: Sequence[str], rows: Array, r: Array, means: Array, covariances: Array, weights: Array):
        self.names, self.rows, self.r = list(names), rows, r
        self.means, self.covariances, self.weights = means, covariances, weights
        columns = {name: rows[:, d] for d, name in enumerate(self.names)}
        self.frame = beside(columns, {f"component_{k}": r[:, k] for k in range(r.shape[1])})

    @classmethod
    def from_model(
        cls, fitted: Any, X: Any = None, columns: Sequence[Any] | None = None, ax: Any = None, **options: Any
    ) -> Self:
        """Draws the components of a Gaussian mixture over X, of which ``columns`` are shown, by name or number: one or
        two, the first two unless told otherwise.

        Raises ValueError for another family, and naming a column that there is none of.
        """
        model = as_model(fitted)
        if X is None:
            raise ValueError("X is missing: the rows to draw")
        names = column_names(model)
        places = [place_of(c, names) for c in (columns if columns is not None else range(min(len(names), 2)))]
        if len(places) not in (1, 2):
            raise ValueError(f"{len(places)} columns are asked for: one or two are drawn")
        return cls.of(model, source_of(model, X), places).plot(ax, **options)

    @classmethod
    def of(cls, model: Model, source: Source, places: Sequence[int]) -> Self:
        """The display of some columns of prepared rows, not drawn yet."""
        emission = model.emission
        if not isinstance(emission, Gaussian) or emission.means is None:
            raise ValueError(f"{cls.__name__} draws Gaussian components, not {emission.name} ones")
        names, some_rows = column_names(model), held(source)
        r = model.predict_proba(some_rows)
        some = np.linspace(0, len(some_rows) - 1, min(len(some_rows), MOST)).astype(int)
        rows = np.asarray(some_rows.X)[some]
        C = full(np.asarray(emission.covariances), emission.covariance_type, *emission.means.shape)
        pair = np.ix_(range(len(C)), places, places)
        weights = model.latent.shares()
        return cls([names[d] for d in places], rows[:, places], r[some], emission.means[:, places], C[pair], weights)

    def plot(
        self, ax: Any = None, labels: Sequence[str] | None = None, title: str = "", contours: bool = False
    ) -> Self:
        """Draws; ``labels``: of the axes, the columns' names unless given; ``contours``: of the density of two columns,
        each with as much of the probability between it and the next."""
        ax = new_axes(7, 5) if ax is None else ax
        labels = list(self.names if labels is None else labels)
        colours = component_colours(len(self.weights))
        (self._plane if len(self.names) == 2 else self._line)(ax, colours)
        if contours:
            self._contours(ax)
        ax.set_xlabel(labels[0])
        ax.set_ylabel(labels[1] if len(self.names) == 2 else "density")
        ax.set_title(title)
        return self._drawn(ax)

    def _plane(self, ax: Any, colours: Array) -> None:
        colour = np.clip(np.nan_to_num(self.r) @ colours, 0, 1)
        size = mark_size(len(self.rows))
        ax.scatter(*self.rows.T, c=colour, s=size, alpha=0.8, linewidths=0, rasterized=len(self.rows) > 5000)
        for k, (mean, C) in enumerate(zip(self.means, self.covariances, strict=True)):
            for deviations in DEVIATIONS:
                ax.plot(*ellipse(mean, C, deviations), color=colours[k], lw=2.2 if deviations == 1 else 1.1)
            ax.annotate(
                str(k), mean, color="black", fontsize="small", fontweight="bold", ha="center", va="center",
                bbox={"boxstyle": "circle,pad=0.15", "fc": "white", "ec": colours[k], "alpha": 0.85},
            )  # fmt: skip

    def _contours(self, ax: Any) -> None:
        """Lines of equal density about 10, 30, 50, 70 and 90% of the rows that are drawn."""
        if len(self.names) != 2:
            raise ValueError("contours are of two columns; one has its density drawn")
        (x0, x1), (y0, y1) = ax.get_xlim(), ax.get_ylim()
        at = np.stack(np.meshgrid(np.linspace(x0, x1, GRID), np.linspace(y0, y1, GRID)), axis=-1)
        of_rows = self._density(self.rows[~np.isnan(self.rows).any(axis=1)])
        levels = np.unique(np.quantile(of_rows, (0.1, 0.3, 0.5, 0.7, 0.9)))
        density = self._density(at.reshape(-1, 2)).reshape(GRID, GRID)
        ax.contour(at[..., 0], at[..., 1], density, levels=levels, colors="0.25", linewidths=0.8)

    def _density(self, rows: Array) -> Array:
        """The density (n,) of two columns."""
        apart = rows[:, None] - self.means
        inverse = np.linalg.inv(self.covariances)
        squares = np.einsum("nkd,kde,nke->nk", apart, inverse, apart)
        parts = np.exp(-0.5 * squares) / (2 * np.pi * np.sqrt(np.linalg.det(self.covariances)))
        return np.asarray(parts @ self.weights)

    def _line(self, ax: Any, colours: Array) -> None:
        x = self.rows[:, 0]
        x = x[~np.isnan(x)]
        ax.hist(x, bins="auto", density=True, color="0.85", edgecolor="white", linewidth=0.4)
        at = np.linspace(x.min(), x.max(), 400)
        deviations = np.sqrt(self.covariances[:, 0, 0])
        parts = self.weights[:, None] * np.exp(-0.5 * ((at - self.means) / deviations[:, None]) ** 2)
        parts /= np.sqrt(2 * np.pi) * deviations[:, None]
        for k, part in enumerate(parts):
            style = ("-", "--", "-.", ":")[k % 4]
            ax.plot(at, part, style, color=colours[k], lw=1.8, label=f"component {k}: {self.weights[k]:.2f}")
        ax.plot(at, parts.sum(axis=0), color=GREY, lw=1.2, label="all", zorder=0)
        ax.legend(frameon=False)


def place_of(column: Any, names: Sequence[str]) -> int:
    """The number of a column, by name or number. Raises ValueError naming one that there is none of."""
    if isinstance(column, str) and column in names:
        return list(names).index(column)
    if isinstance(column, int | np.integer) and 0 <= column < len(names):
        return int(column)
    raise ValueError(f"there is no column {column!r}: they are {', '.join(names)}")


def ellipse(mean: Array, covariance: Array, deviations: float) -> Array:
    """Points (2, 181) so many standard deviations away from a mean."""
    angle = np.linspace(0, 2 * np.pi, 181)
    circle = np.stack([np.cos(angle), np.sin(angle)])
    return np.asarray(mean[:, None] + deviations * np.linalg.cholesky(covariance) @ circle)
