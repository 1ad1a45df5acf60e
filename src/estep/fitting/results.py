"""What a fit returns: the model, how it came about, and how far each start got."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from estep.data.columns import frame_like
from estep.inference.html import model_html, table_html
from estep.model import Model
from estep.util.figures import figures

RESEEDED = "re-seeded where the rows were explained worst"
REACHED = 1e-3
"""Starts whose bounds are this near, in nats, have reached the same optimum."""


@dataclass(frozen=True)
class Event:
    """What had to be done about a component by the M-step after so many E-steps."""

    iteration: int
    component: int
    text: str


@dataclass
class Trace:
    """What happened by iteration: the bound (a total; nan where it was not found), the seconds since the start, how
    often the data had been read, and notes."""

    bounds: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    passes: list[float] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)

    def to_frame(self) -> Any:
        """A pandas data frame, a line an iteration: bound, gain, seconds, passes, and what was done (``note``)."""
        n, notes = len(self.bounds), {e.iteration: f"component {e.component}: {e.text}" for e in self.events}
        columns = {
            "iteration": np.arange(n),
            "bound": np.array(self.bounds),
            "gain": np.diff(np.array(self.bounds), prepend=np.nan),
            "seconds": np.array(self.seconds),
            "passes": np.array(self.passes),
            "note": np.array([notes.get(i, "") for i in range(n)], dtype=object),
        }
        return frame_like(None, columns)


@dataclass(frozen=True)
class Iteration:
    """What a callback sees after each E-step."""

    restart: int
    n_restarts: int
    iteration: int
    bound: float
    gain: float
    model: Model


Callback = Callable[[Iteration], object]


@dataclass(frozen=True)
class Restart:
    """How far one start of a kind got; ``stop_reason`` "dropped": it was far behind and seemed to stay there."""

    bound: float
    n_iter: int
    stop_reason: str
    kind: str = "given"


@dataclass(frozen=True)
class Fit:
    """A fitted model with how it came about. ``bound`` is the total log-likelihood of ``model``; with priors, the
    log-likelihood and the log-prior, or the evidence lower bound.

    ``stop_reason``: "converged", "max_iter", "max_time", "bound fell" or "interrupted". ``remarks``: what is to be
    said of the model and the starts as a whole. ``one_value``: the rows, all alike, of components that are clusters of
    these.
    """

    model: Model
    bound: float
    n_iter: int
    stop_reason: str
    weight: float
    trace: Trace
    restarts: tuple[Restart, ...] = ()
    remarks: tuple[str, ...] = ()
    one_value: Mapping[int, int] = field(default_factory=dict)

    def followed_by(self, other: Fit) -> Fit:
        """This fit and the one that went on from its model, as one."""
        one, two, last = self.trace, other.trace, len(self.trace.bounds) - 1
        trace = Trace(
            one.bounds + two.bounds[1:],
            one.seconds + [one.seconds[-1] + s for s in two.seconds[1:]],
            one.passes + [one.passes[-1] + p for p in two.passes[1:]],
            one.events + [replace(e, iteration=e.iteration + last) for e in two.events],
        )
        return replace(other, n_iter=self.n_iter + other.n_iter, trace=trace)

    @property
    def converged(self) -> bool:
        """Whether the gain fell below the tolerance."""
        return self.stop_reason == "converged"

    @property
    def log_likelihood(self) -> float:
        """The bound without the model's penalty: the log-likelihood, or that of expected densities."""
        return self.bound - self.model.penalty

    def _repr_html_(self) -> str:
        lines = [
            ("log-likelihood", figures(self.log_likelihood, 8)),
            ("iterations", str(self.n_iter)),
            ("ended", self.stop_reason),
            ("starts", str(max(len(self.restarts), 1))),
            *(("note", text) for text in (*self.notes, *self.remarks)),
        ]
        return table_html(("fit", ""), lines, "How the fit went") + model_html(self.model)

    @property
    def notes(self) -> tuple[str, ...]:
        """What the M-steps had to regularise, and what was re-seeded, each once."""
        return tuple(dict.fromkeys(f"component {e.component}: {e.text}" for e in self.trace.events))

    @property
    def collapsed(self) -> tuple[int, ...]:
        """The components that the last M-step had to regularise: they have shrunk onto few rows."""
        last = len(self.trace.bounds) - 1 - (self.stop_reason == "bound fell")
        return tuple(sorted({e.component for e in self.trace.events if e.iteration == last and e.text != RESEEDED}))
