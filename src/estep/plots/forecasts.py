"""What comes after a series, and how well the model describes what came."""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from estep.inference.forecast import forecast_columns
from estep.inference.reading import known_columns
from estep.inference.residuals import against_normal, autocorrelations
from estep.plots.components import place_of
from estep.plots.display import Display
from estep.plots.figure import COLOURS, GREY, as_model, column_names, new_axes, source_of
from estep.statistics import Array

NORMAL = 1.96


class ForecastDisplay(Display):
    """``frame``: the forecast, a line a step, as ``forecast`` gives it; ``seen``: the last rows before it."""

    def __init__(self, frame: dict[str, Array], seen: Array, name: str, level: float):
        self.frame, self.seen, self.name, self.level = frame, seen, name, level

    @classmethod
    def from_model(
        cls,
        fitted: Any,
        X: Any = None,
        steps: int = 10,
        level: float = 0.95,
        column: Any = 0,
        seen: int = 60,
        ax: Any = None,
        **options: Any,
    ) -> Self:
        """Draws the ``steps`` rows after one sequence X: the mean of a ``column`` and the limits that ``level`` of the
        observations are between, after the last rows that were ``seen``. Raises ValueError for a mixture, for several
        sequences, and for symbols, which have no mean."""
        model = as_model(fitted)
        if not model.latent.sequential:
            raise ValueError("ForecastDisplay is of a chain: the rows of a mixture are independent")
        source, names = source_of(model, X), column_names(model)
        if source.n_sequences != 1:
            raise ValueError(f"{source.n_sequences} sequences: give the one to go on from")
        place = place_of(column, names)
        frame = forecast_columns(model, source, steps, level)
        if f"{names[place]}_mean" not in frame:
            raise ValueError(f"column {names[place]!r} has symbols, which have no mean: see forecast")
        past = np.asarray(source.X[max(len(source) - seen, 0) : len(source)])[:, model.emission.n_covariates + place]
        return cls(frame, past, names[place], level).plot(ax, **options)

    def plot(self, ax: Any = None, title: str = "") -> Self:
        """Draws."""
        ax = new_axes(8, 4) if ax is None else ax
        mean, low, high = (self.frame[f"{self.name}_{what}"] for what in ("mean", "lower", "upper"))
        ahead = self.frame["step"]
        ax.plot(np.arange(len(self.seen)) - len(self.seen) + 1, self.seen, color="0.15", lw=1, marker=".", ms=4)
        ax.fill_between(ahead, low, high, color=COLOURS[0], alpha=0.25, lw=0, label=f"{self.level:.0%} of observations")
        ax.plot(ahead, mean, color=COLOURS[0], lw=1.8, label="mean")
        ax.axvline(0.5, color=GREY, lw=0.8, ls="--")
        ax.set(xlabel="rows after the last one", ylabel=self.name)
        ax.set_title(title)
        ax.legend(frameon=False)
        return self._drawn(ax)


class ResidualsDisplay(Display):
    """``frame``: the pseudo-residuals of a column in their order, beside the quantiles of a normal distribution;
    ``autocorrelations``: of lags 0, 1, ..."""

    def __init__(self, residuals: Array, lags: int):
        normal, known = against_normal(residuals)
        self.frame = {"normal": normal, "residual": known}
        self.autocorrelations = autocorrelations(residuals, lags)
        self.n = len(residuals)

    @classmethod
    def from_model(
        cls, fitted: Any, X: Any = None, column: Any = 0, lags: int = 20, ax: Any = None, **options: Any
    ) -> Self:
        """Draws the pseudo-residuals of a ``column`` of one sequence: normal and without correlation where the model is
        right (Zucchini & MacDonald 2009, section 6.2). Raises ValueError naming a column that there is none of."""
        model = as_model(fitted)
        found = model.pseudo_residuals(known_columns(model, X))
        return cls(found[:, place_of(column, column_names(model))], lags).plot(ax, **options)

    def plot(self, ax: Any = None, title: str = "") -> Self:
        """Draws on two axes, ``ax`` (2,): quantiles, and autocorrelations with the limits of 95% of white noise."""
        ax = new_axes(7, 6.5, 2) if ax is None else ax
        top, below = ax[0], ax[1]
        ends = np.array([self.frame["normal"][0], self.frame["normal"][-1]])
        top.plot(ends, ends, color=GREY, lw=1)
        top.plot(self.frame["normal"], self.frame["residual"], ".", ms=4, color=COLOURS[0])
        top.set(xlabel="normal quantile", ylabel="pseudo-residual")
        top.set_title(title)
        at, limit = np.arange(len(self.autocorrelations)), NORMAL / np.sqrt(self.n)
        below.vlines(at[1:], 0, self.autocorrelations[1:], color=COLOURS[0], lw=3)
        below.axhline(0, color="black", lw=0.8)
        below.axhspan(-limit, limit, color=GREY, alpha=0.3, lw=0)
        below.set(xlabel="lag", ylabel="autocorrelation")
        below.xaxis.get_major_locator().set_params(integer=True)
        return self._drawn(ax)
