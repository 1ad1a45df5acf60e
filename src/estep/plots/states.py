"""A series with its states: bands under the values, and how probable each state is."""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from estep.data.columns import frame_of, is_frame
from estep.plots.components import place_of
from estep.plots.display import Display
from estep.plots.figure import as_model, column_names, component_colours, new_axes
from estep.statistics import Array

KINDS = {
    "smoothed": "probability given all rows (smoothed)",
    "filtered": "probability given rows up to each (filtered)",
}
WIDE = 0.04
"""The share of the axis from which on a band is wide enough for its number."""


class StatesDisplay(Display):
    """``frame``: time, value, the decoded state and the probabilities of all states, a line a row."""

    def __init__(self, times: Array, values: Array, states: Array, p: Array, name: str, kind: str):
        self.times, self.values, self.states, self.p, self.name, self.kind = times, values, states, p, name, kind
        columns = {"time": times, name: values, "state": states}
        self.frame = columns | {f"state_{k}": p[:, k] for k in range(p.shape[1])}

    @classmethod
    def from_model(
        cls,
        fitted: Any,
        X: Any = None,
        times: Any = None,
        column: Any = 0,
        kind: str = "smoothed",
        ax: Any = None,
        **options: Any,
    ) -> Self:
        """Draws one ``column`` of one sequence X, by name or number, with its Viterbi path and the probabilities of the
        states: "smoothed", which look ahead, or "filtered".

        ``times`` (n,): dates or numbers, or the name of a column of the frame; of a pandas frame with dates as its
        index these, else the numbers of the rows. Raises ValueError for a mixture, for several sequences, and naming
        what is not there.
        """
        model = as_model(fitted)
        if not model.latent.sequential:
            raise ValueError("StatesDisplay draws the states of a chain; of a mixture see ComponentsDisplay")
        if kind not in KINDS:
            raise ValueError(f"kind is {kind!r}: it is 'smoothed', which looks ahead, or 'filtered'")
        source = model.source(X)
        if source.n_sequences != 1:
            raise ValueError(f"{source.n_sequences} sequences: give the one to draw")
        place = place_of(column, column_names(model))
        values = np.asarray(source.X[0 : len(source)])[:, model.emission.n_covariates + place]
        states, _ = model.decode(source)
        p = model.predict_proba(source, kind=kind)
        new = cls(_times(X, times, len(source)), values, states, p, column_names(model)[place], kind)
        return new.plot(ax, **options)

    def plot(self, ax: Any = None, labels: tuple[str, str] | None = None, title: str = "") -> Self:
        """Draws on two axes, ``ax`` (2,): the series over bands of states, and their probabilities; on one the series
        alone."""
        ax = new_axes(9, 5.5, 2, sharex=True, height_ratios=(2.4, 1)) if ax is None else ax
        top, below = (ax[0], ax[1]) if hasattr(ax, "__len__") else (ax, None)
        colours = component_colours(self.p.shape[1])
        self._bands(top, colours)
        top.plot(self.times, self.values, color="0.15", lw=0.9, marker="." if len(self.values) < 400 else None, ms=4)
        names = ("", self.name) if labels is None else labels
        top.set_ylabel(names[1])
        top.set_title(title)
        if below is not None:
            below.stackplot(self.times, np.nan_to_num(self.p).T, colors=colours, linewidth=0)
            below.set(ylim=(0, 1), ylabel="probability")
            below.set_title(KINDS[self.kind], fontsize="small", loc="left")
        (top if below is None else below).set_xlabel(names[0])
        for one in (top, below):
            if one is not None:
                one.margins(x=0)
        return self._drawn(ax)

    def _bands(self, ax: Any, colours: Array) -> None:
        """A band for each stay, with its state's number where there is room."""
        starts = np.flatnonzero(np.diff(self.states, prepend=-2))
        stops, n = np.append(starts[1:], len(self.states)), len(self.states)
        for first, stop in zip(starts, stops, strict=True):
            k, last = int(self.states[first]), min(stop, n - 1)
            if k < 0:
                continue
            ax.axvspan(self.times[first], self.times[last], color=colours[k], alpha=0.28, lw=0)
            if (last - first) / n > WIDE:
                middle = self.times[first] + (self.times[last] - self.times[first]) / 2
                ax.text(middle, 0.985, str(k), color=colours[k] * 0.7, ha="center", va="top", fontweight="bold",
                        transform=ax.get_xaxis_transform())  # fmt: skip


def _times(X: Any, times: Any, n: int) -> Array:
    if isinstance(times, str):
        if not is_frame(X) or times not in frame_of(X).columns:
            raise ValueError(f"times is {times!r}: X has no such column")
        times = frame_of(X)[times].to_numpy()
    elif times is None and hasattr(X, "index") and getattr(X.index, "dtype", np.dtype(int)).kind == "M":
        times = X.index.to_numpy()
    found = np.arange(n) if times is None else np.asarray(times)
    if len(found) != n:
        raise ValueError(f"{len(found)} times are given for {n} rows")
    return found
