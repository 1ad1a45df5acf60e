"""The loop: the only one. Any algorithm, any model, any data; stop rules, a trace, restarts.

The bound belongs to the model returned: ``fit`` returns the model that entered the last E-step, after n M-steps and
n + 1 E-steps.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from estep.algorithms import EM
from estep.data import Source
from estep.execute import Execute, Serial
from estep.interface import Algorithm
from estep.model import Model
from estep.statistics import Statistics
from estep.stretches import Joints

ROUNDING = 1e-11
"""A fall of the bound by less than this, relative to its size, is rounding."""
ROUNDING_SINGLE = 1e-5
"""The same for data in single precision."""


@dataclass(frozen=True)
class Stop:
    """When to stop: a gain of the bound below ``tol`` a row (of weight 1), or ``max_iter`` M-steps.

    ``tol=0`` makes all ``max_iter`` M-steps, as scikit-learn's does.
    """

    tol: float = 1e-8
    max_iter: int = 1000

    def __post_init__(self) -> None:
        if not (np.isfinite(self.tol) and self.tol >= 0):
            raise ValueError(f"tol is {self.tol!r}: it is a number from 0")
        if not isinstance(self.max_iter, int | np.integer) or isinstance(self.max_iter, bool) or self.max_iter < 0:
            raise ValueError(f"max_iter is {self.max_iter!r}: it is a whole number from 0")

    def reason(
        self, bounds: Sequence[float], weight: float, rounding: float = 0.0, relative: float = ROUNDING
    ) -> str | None:
        """Why to stop after these bounds, None to go on.

        Rounding: ``rounding`` of each row's log-density, and ``relative`` to the bound.
        """
        if len(bounds) > 1:
            gain = bounds[-1] - bounds[-2]
            if gain < -relative * abs(bounds[-1]) - (self.tol + rounding) * weight:
                return "bound fell"
            if self.tol > 0 and gain <= self.tol * weight:
                return "converged"
        return "max_iter" if len(bounds) > self.max_iter else None


@dataclass
class Trace:
    """What happened: the bound (a total) and the seconds since the start at each E-step, and notes by iteration."""

    bounds: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    events: list[tuple[int, str]] = field(default_factory=list)


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
    """How far one start got."""

    bound: float
    n_iter: int
    stop_reason: str


@dataclass(frozen=True)
class Fit:
    """A fitted model with how it came about. ``bound`` is the total log-likelihood of ``model``.

    ``stop_reason``: "converged", "max_iter", "bound fell" or "interrupted".
    """

    model: Model
    bound: float
    n_iter: int
    stop_reason: str
    weight: float
    trace: Trace
    restarts: tuple[Restart, ...] = ()

    @property
    def converged(self) -> bool:
        """Whether the gain fell below the tolerance."""
        return self.stop_reason == "converged"

    @property
    def notes(self) -> tuple[str, ...]:
        """What the M-steps had to regularise, each once."""
        return tuple(dict.fromkeys(text for _, text in self.trace.events))


def fit(
    model: Model,
    data: Any,
    algorithm: Algorithm | None = None,
    stop: Stop | None = None,
    execute: Execute | None = None,
    callbacks: Sequence[Callback] = (),
) -> Fit:
    """Fits ``model``, from its parameters on, to data of any form :func:`estep.data.as_source` takes.

    An interrupt (Ctrl-C) ends the fit and returns the last good model with the reason "interrupted". Raises ValueError
    where the data are invalid or impossible under the model.
    """
    return _loop(
        model, model.source(data), algorithm or EM(), stop or Stop(), execute or Serial(), callbacks, restart=(0, 1)
    )


def fit_best(
    start: Callable[[int], Model],
    n_starts: int,
    source: Source,
    algorithm: Algorithm,
    stop: Stop,
    execute: Execute,
    callbacks: Sequence[Callback] = (),
) -> Fit:
    """The best of several fits, ``start(i)`` giving the i-th start; an interrupt keeps the best so far."""
    best: Fit | None = None
    done: list[Restart] = []
    with execute.running():
        for i in range(n_starts):
            try:
                result = _loop(start(i), source, algorithm, stop, execute, callbacks, restart=(i, n_starts))
            except KeyboardInterrupt:
                if best is None:
                    raise
                best = replace(best, stop_reason="interrupted")
                break
            done.append(Restart(result.bound, result.n_iter, result.stop_reason))
            interrupted = result.stop_reason == "interrupted"
            if best is None or result.bound > best.bound:
                best = result
            elif interrupted:
                best = replace(best, stop_reason="interrupted")
            if interrupted:
                break
    assert best is not None
    return replace(best, restarts=tuple(done))


def _loop(
    model: Model,
    source: Source,
    algorithm: Algorithm,
    stop: Stop,
    execute: Execute,
    callbacks: Sequence[Callback],
    restart: tuple[int, int],
) -> Fit:
    model = replace(model, emission=model.emission.adapt(source.summary))
    leaves = source.leaves(model.leaf_rows())
    joints = Joints(leaves, model.n_components)
    trace, state, begun, weight = Trace(), algorithm.init(model), time.perf_counter(), source.summary.weight
    relative = ROUNDING_SINGLE if source.summary.single else ROUNDING
    seen: list[tuple[Model, float]] = []  # the models that entered an E-step, with their bounds: the last two

    def expect(m: Model) -> Statistics:
        return m.expect_all(leaves, joints, execute)

    reason = None
    with execute.running():
        while reason is None:
            try:
                step = algorithm.step(model, expect, state)
                if step.bound == -np.inf:
                    model.raise_impossible(source, model.score_units(source))
                seen = [*seen[-1:], (model, step.bound)]
                trace.bounds.append(step.bound)
                trace.seconds.append(time.perf_counter() - begun)
                gain = step.bound - seen[0][1] if len(seen) > 1 else float("nan")
                for callback in callbacks:
                    callback(Iteration(*restart, len(trace.bounds) - 1, step.bound, gain, model))
                rounding = model.emission.rounding if gain < 0 else 0.0
                reason = stop.reason(trace.bounds, weight, rounding, relative)
                if reason is None:
                    trace.events += [(len(trace.bounds), note) for note in step.notes]
                    model, state = step.model, step.state
            except KeyboardInterrupt:
                if not seen:
                    raise
                reason = "interrupted"
    good, bound = seen[0] if reason == "bound fell" else seen[-1]
    n_iter = max(len(trace.bounds) - 1, 0) - (reason == "bound fell")
    return Fit(good, bound, n_iter, reason, weight, trace)
