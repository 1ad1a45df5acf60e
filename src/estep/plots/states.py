"""A series with its states: bands under the values, and how probable each state is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np

from estep.data.columns import times_of
from estep.plots.components import place_of
from estep.plots.display import Display, beside
from estep.plots.figure import as_model, column_names, component_colours, new_axes, source_of
from estep.statistics import Array

KINDS = {
    "smoothed": "probability given all rows (smoothed)",
    "filtered": "probability given rows up to each (filtered)",
}
WIDE = 0.04
"""The share of the axis from which on a band is wide enough for its number."""


class StatesDisplay(Display):
    """``frame``: time, value, the decoded state and the probabilities of all states, a line a row."""

    def __init__(self, times: Array, values: Array, states: Array, p: Array, names: Sequence[str], kind: str):
        self.times, self.values, self.states, self.p, self.kind = times, values, states, p, kind
        self.names = list(names)
        own = {"time": times, "state": states} | {f"state_{k}": p[:, k] for k in range(p.shape[1])}
        self.frame = beside({name: values[:, d] for d, name in enumerate(names)}, own)

    @classmethod
    def from_model(
        cls,
        fitted: Any,
        X: Any = None,
        times: Any = None,
        column: Any = 0,
        kind: str = "smoothed",
        lengths: Any = None,
        sequence: int | None = None,
        ax: Any = None,
        **options: Any,
    ) -> Self:
        """Draws a ``column`` of X, by name or number, or several, with its Viterbi path and the probabilities of the
        states: "smoothed", which look ahead, or "filtered". Of several sequences (``lengths``) the one with the number
        ``sequence``.

        ``times`` (n,): dates or numbers, or the name of a column of the frame; of a pandas frame with dates as its
        index these, else the numbers of the rows. Raises ValueError for a mixture, for several sequences of which none
        is chosen, and naming what is not there.
        """
        model = as_model(fitted)
        if not model.latent.sequential:
            raise ValueError("StatesDisplay draws the states of a chain; of a mixture see ComponentsDisplay")
        if kind not in KINDS:
            raise ValueError(f"kind is {kind!r}: it is 'smoothed', which looks ahead, or 'filtered'")
        source = source_of(model, X, lengths)
        ends = source.all_ends
        if sequence is None and len(ends) > 1:
            raise ValueError(f"{len(ends)} sequences: say which to draw, sequence=0")
        one = sequence or 0
        if not 0 <= one < len(ends):
            raise ValueError(f"sequence is {sequence!r}: they are numbered from 0 to {len(ends) - 1}")
        own = slice(int(ends[one - 1]) if one else 0, int(ends[one]))
        names = column_names(model)
        places = [place_of(c, names) for c in (column if isinstance(column, list | tuple) else [column])]
        values = np.asarray(source.X[0 : len(source)])[:, [model.emission.n_covariates + d for d in places]]
        states, _ = model.decode(source)
        p = model.predict_proba(source, kind=kind)
        at = times_of(X, times, len(source))
        at = np.arange(own.stop - own.start) if at is None else at[own]
        new = cls(at, values[own], np.asarray(states)[own], np.asarray(p)[own], [names[d] for d in places], kind)
        return new.plot(ax, **options)

    def plot(self, ax: Any = None, labels: tuple[str, str] | None = None, title: str = "") -> Self:
        """Draws on an axis for each column and one more, ``ax`` (n + 1,): the series over bands of states, and their
        probabilities; on as many as there are columns the series alone. ``labels``: of time, and of one column."""
        n = len(self.names)
        if ax is None:
            ax = new_axes(9, 3.2 + 2.3 * n, n + 1, sharex=True, height_ratios=(*[2.4] * n, 1 + 0.4 * (n - 1)))
        axes = list(ax) if hasattr(ax, "__len__") else [ax]
        if len(axes) not in (n, n + 1):
            raise ValueError(f"{len(axes)} axes are given: {n} column(s) want {n}, or {n + 1} with the probabilities")
        colours = component_colours(self.p.shape[1])
        marker = "." if len(self.values) < 400 else None
        for d, one in enumerate(axes[:n]):
            self._bands(one, colours)
            one.plot(self.times, self.values[:, d], color="0.15", lw=0.9, marker=marker, ms=4)
            one.set_ylabel(self.names[d] if labels is None else labels[1])
        axes[0].set_title(title)
        if len(axes) > n:
            axes[n].stackplot(self.times, np.nan_to_num(self.p).T, colors=colours, linewidth=0)
            axes[n].set(ylim=(0, 1), ylabel="probability")
            axes[n].set_title(KINDS[self.kind], fontsize="small", loc="left")
        axes[-1].set_xlabel("" if labels is None else labels[0])
        for one in axes:
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
