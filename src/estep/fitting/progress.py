"""How far a fit is, and how long it may take: for a line on a terminal, or a bar in a notebook."""

from __future__ import annotations

import time
from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np

from estep.fitting.results import Iteration
from estep.util.figures import duration

BEGIN = 2.0
"""Seconds after which it is said how many may be left."""
SMOOTH = 0.7
"""The weight of what was known of the rate at which gains fall."""


class Course:
    """What callbacks have seen of a fit. ``target``: the gain at which it stops, None where that is not known."""

    def __init__(self, target: float | None = None) -> None:
        self.target, self.begun = target, time.perf_counter()
        self.last: Iteration | None = None
        self.rates: dict[int, float] = {}
        self.gains: dict[int, float] = {}
        self.iterations = 0

    def take(self, it: Iteration) -> None:
        """Takes an iteration in."""
        before = self.gains.get(it.restart, np.nan)
        if it.gain > 0 and before > 0:
            rate, own = min(it.gain / before, 0.9999), self.rates.get(it.restart)
            self.rates[it.restart] = rate if own is None else SMOOTH * own + (1 - SMOOTH) * rate
        self.gains[it.restart] = it.gain
        self.last, self.iterations = it, self.iterations + 1

    @property
    def share(self) -> float | None:
        """How much of the fit is done, from 0 to 1; None where nothing tells."""
        if self.last is None:
            return 0.0
        n, own = self.last.n_restarts, self._of_start(self.last)
        if n == 1:
            return own
        return min((max(self.gains) + (0.5 if own is None else own)) / n, 1.0)

    def _of_start(self, it: Iteration) -> float | None:
        """How much of one start is done, if its gains go on to fall as they do."""
        rate = self.rates.get(it.restart)
        if rate is None or not self.target or not it.gain > 0:
            return None
        left = max(np.log(self.target / it.gain) / np.log(rate), 0.0)
        return float(it.iteration / max(it.iteration + left, 1))

    @property
    def left(self) -> str:
        """The time that may be left, in words; empty at first, and where nothing tells."""
        elapsed, share = time.perf_counter() - self.begun, self.share
        if elapsed < BEGIN or share is None or not 0.02 < share < 1:
            return ""
        return f"about {duration(elapsed * (1 - share) / share)} left"

    def text(self) -> str:
        """A line that says how far it is."""
        it = self.last
        if it is None:
            return "making starts"
        start = f"start {it.restart + 1}/{it.n_restarts}  " if it.n_restarts > 1 else ""
        gain = f"  gain {it.gain:.3g}" if it.iteration else ""
        left = f"  {self.left}" if self.left else ""
        return f"{start}iteration {it.iteration}  bound {it.bound:.6f}{gain}{left}"


class Progress:
    """A callback that shows how far a fit is: ``GaussianMixture(8, n_init=20, callbacks=[estep.Progress()])``.

    In a notebook a bar, on a terminal a line on standard error, elsewhere nothing. ``every``: seconds between two
    looks. ``tol``: the fit's, times the rows, where the time of a single start is to be foretold.
    """

    def __init__(self, every: float = 0.2, tol: float | None = None) -> None:
        self.every, self.tol = every, tol
        self._shown = 0.0
        self._course: Course | None = None
        self._display: Callable[[Course], object] | None = None

    def __call__(self, it: Iteration) -> None:
        """Takes an iteration in; one of another fit begins anew."""
        course = self._course
        if course is None or (it.restart == 0 and it.iteration == 0 and course.iterations):
            course = self._course = Course(self.tol)
            self._display = _display()
        course.take(it)
        now = time.perf_counter()
        if self._display is not None and (now - self._shown >= self.every or it.iteration == 0):
            self._shown = now
            self._display(course)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_course": None, "_display": None}


def _display() -> Any:
    """What shows a course here: a function of it; None: nothing does."""
    import sys

    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    if shell is not None and hasattr(shell, "kernel"):
        notebook: Any = import_module("IPython.display")
        HTML, display = notebook.HTML, notebook.display
        handle = display(HTML("<progress></progress>"), display_id=True)
        return lambda course: handle.update(HTML(bar(course)))
    if sys.stderr is not None and sys.stderr.isatty():
        return lambda course: print(f"\r\033[K{course.text()}", end="", file=sys.stderr, flush=True)
    return None


def bar(course: Course) -> str:
    """A bar and its line as HTML."""
    value = "" if course.share is None else f' value="{course.share:.3f}"'
    return f'<progress{value} max="1" style="width:20em"></progress> <code>{course.text()}</code>'
