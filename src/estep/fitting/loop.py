"""The loop: the only one. Any algorithm, any model, any data; stop rules, a trace, several models at once.

The bound belongs to the model returned: a fit ends with the model that entered the last E-step, after n M-steps and
n + 1 E-steps.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from estep.data.source import Source
from estep.execution.base import Execute
from estep.fitting.batched import Batched, grouped
from estep.fitting.checkpoint import Checkpoint, copied
from estep.fitting.results import Callback, Event, Fit, Iteration, Trace
from estep.fitting.stopping import ROUNDING, Stop, dominated, settled
from estep.inference.passes import Passes
from estep.interface import Algorithm, Notes
from estep.model import Model

LOG = logging.getLogger("estep")
ROUNDING_SINGLE = 1e-5
"""As ROUNDING, for data in single precision."""


def fit_together(
    models: Sequence[Model],
    source: Source,
    algorithm: Algorithm,
    stop: Stop,
    execute: Execute,
    callbacks: Sequence[Callback] = (),
) -> list[Fit]:
    """The fits of some models to prepared data, from their parameters on, in a race with each other (see
    :func:`dominated`).

    Nothing is repaired. Raises KeyboardInterrupt where one was interrupted: they are no fits, but on the way to one.
    """
    loop = Loop(source, algorithm, stop, execute, callbacks, [0] * len(models))
    fits = list(loop.run_all(models, range(len(models))).values())
    if any(f.stop_reason == "interrupted" for f in fits):
        raise KeyboardInterrupt
    return fits


@dataclass
class _Run:
    """A start on its way; ``seen``: the models that entered its last two E-steps, as (models, which of them)."""

    number: int
    trace: Trace = field(default_factory=Trace)
    seen: list[tuple[Model | Batched, int]] = field(default_factory=list)
    reason: str | None = None

    def entered(self, models: Model | Batched, i: int, bound: float, seconds: float, passes: float) -> None:
        for before, _ in self.seen[-1:]:
            before.release()
        self.seen = [*self.seen[-1:], (models, i)]
        self.trace.bounds.append(bound)
        self.trace.seconds.append(seconds)
        self.trace.passes.append(passes)

    def copy(self) -> _Run:
        """The same, which does not go on."""
        t = self.trace
        trace = Trace([*t.bounds], [*t.seconds], [*t.passes], [*t.events])
        return _Run(self.number, trace, [*self.seen], self.reason)

    @property
    def collapsed(self) -> bool:
        """Whether the M-step before the last E-step had to regularise a component."""
        return bool(self.trace.events) and self.trace.events[-1].iteration >= len(self.trace.bounds) - 1

    def complete(self, data: Passes) -> None:
        """Finds the bound of the last model, where its step did not."""
        if np.isnan(self.trace.bounds[-1]):
            self.trace.bounds[-1] = float(data.expect(_pick(*self.seen[-1]))["loglik"])
            self.trace.passes[-1] = data.count

    def fit(self, weight: float) -> Fit:
        fell = self.reason == "bound fell"
        bounds = self.trace.bounds
        models, i = self.seen[0 if fell else -1]
        n_iter = max(len(bounds) - 1, 0) - fell
        assert self.reason is not None
        return Fit(_pick(models, i), bounds[-2 if fell else -1], n_iter, self.reason, weight, self.trace)


def _pick(models: Model | Batched, i: int) -> Model:
    return models.model(i) if isinstance(models, Batched) else models


class Loop:
    """The only loop: any algorithm, one model or several at once, of data that are prepared for them."""

    def __init__(
        self,
        source: Source,
        algorithm: Algorithm,
        stop: Stop,
        execute: Execute,
        callbacks: Sequence[Callback],
        groups: Sequence[int],
        checkpoint: Checkpoint | None = None,
    ) -> None:
        self.checkpoint = checkpoint
        self.source, self.algorithm, self.stop, self.execute = source, algorithm, stop, execute
        self.callbacks, self.groups = callbacks, groups
        self.highest: dict[int, dict[int, float]] = {group: {} for group in groups}  # bounds of the runs of each race
        self.deadline = time.perf_counter() + stop.max_time if stop.max_time is not None else np.inf
        self.weight = source.weight_of_values or 1.0
        self.relative = ROUNDING_SINGLE if source.summary.single else ROUNDING

    @property
    def out_of_time(self) -> bool:
        """Whether the time of the stop rule is over."""
        return time.perf_counter() >= self.deadline

    def run_all(self, models: Iterable[Model], numbers: Iterable[int]) -> dict[int, Fit]:
        """Fits the models, the starts of these numbers, those together that may be; none begins when time is over."""
        fits, numbers = dict[int, Fit](), list(numbers)
        with self.execute.running():
            for some in grouped(models, self.algorithm.batched and self.source.evidence is None):
                own = numbers[len(fits) : len(fits) + len(some)]
                new = self.run(some, own)
                fits |= dict(zip(own, new, strict=True))
                if any(f.stop_reason == "interrupted" for f in new) or self.out_of_time:
                    break
        return fits

    def run(self, models: Sequence[Model], numbers: Sequence[int]) -> list[Fit]:
        """Fits the models, the starts of these numbers, together; or takes what the checkpoint has of that."""
        ended = None if self.checkpoint is None else self.checkpoint.ended()
        if ended is not None:
            fits, self.highest = ended
            return fits
        models = [replace(m, emission=m.emission.adapt(self.source.summary)) for m in models]
        data = Passes(self.source, min(m.leaf_rows() for m in models), self.execute)
        runs = [_Run(number) for number in numbers]
        active, began = runs, time.perf_counter()
        current: Any = Batched.of(models) if len(models) > 1 else models[0]
        state, here = self.algorithm.init(current), None
        progress = None if self.checkpoint is None else self.checkpoint.under_way()
        if progress is not None:
            runs, active, current, state, self.highest, data.learned, spent = progress
            began -= spent
            self.deadline -= spent
        with self.execute.running():
            while active:
                try:
                    if self.checkpoint is not None and self.algorithm.resumable(state):
                        here = self._progress(runs, active, current, state, data.learned, time.perf_counter() - began)
                        self.checkpoint.offer(here)
                    step = self.algorithm.step(current, data, state)
                    current, bounds = step.entered or current, np.atleast_1d(step.bound).tolist()
                    self._enter(active, current, bounds, time.perf_counter() - began, data.count)
                    going = self._judge(active, current)
                    self._note(active, step.notes, current)
                    current, state = _keep(step.model, going, len(active)), step.state
                    active = [active[i] for i in going]
                except KeyboardInterrupt:
                    if not all(run.seen for run in active):
                        raise
                    for run in active:
                        run.reason = run.reason or "interrupted"
                    break
            for run in runs:
                run.complete(data)
        fits = [run.fit(self.weight) for run in runs]
        if self.checkpoint is not None:
            self.checkpoint.end(fits, self.highest, here)
        return fits

    def _progress(
        self, runs: Sequence[_Run], active: Sequence[_Run], current: Any, state: Any, learned: Any, spent: float
    ) -> Any:
        """What the fit goes on from, between two steps: what a step begins to change is copied."""
        kept = {run.number: run.copy() for run in runs}
        every, going = ([kept[run.number] for run in some] for some in (runs, active))
        return every, going, current, state, copied(self.highest), learned, spent

    def _enter(
        self, active: Sequence[_Run], current: Any, bounds: Sequence[float], seconds: float, passes: float
    ) -> None:
        for i, (run, bound) in enumerate(zip(active, bounds, strict=True)):
            run.entered(current, i, bound, seconds, passes)
            highest = self.highest[self.groups[run.number]]
            if run.collapsed:
                highest.pop(run.number, None)
            else:
                highest[run.number] = max(highest.get(run.number, -np.inf), bound)
            LOG.debug("start %d iteration %d bound %.6f", run.number, len(run.trace.bounds) - 1, bound)
        for i, run in enumerate(active if self.callbacks else ()):
            for callback in self.callbacks:
                callback(self._iteration(run, _pick(current, i)))

    def _iteration(self, run: _Run, model: Model) -> Iteration:
        bounds = run.trace.bounds
        gain = bounds[-1] - bounds[-2] if len(bounds) > 1 else float("nan")
        return Iteration(run.number, len(self.groups), len(bounds) - 1, bounds[-1], gain, model)

    def _judge(self, active: Sequence[_Run], current: Any) -> list[int]:
        """Those that go on; the others have a reason."""
        stop, by_change = self.stop, self.stop.rule == "parameters"
        for run in active:
            bounds = run.trace.bounds
            emission = current.emission
            rounding = emission.rounding if len(bounds) > 1 and bounds[-1] < bounds[-2] else 0.0
            run.reason = stop.reason(bounds, self.weight, rounding, self.relative, emission.maximizes)
            if by_change and run.reason in (None, "max_iter") and settled([_pick(*s) for s in run.seen], stop.tol):
                run.reason = "converged"
            if run.reason is None and self.out_of_time:
                run.reason = "max_time"
            if run.reason is None and dominated(bounds, self._rival(run), self.weight):
                run.reason = "dropped"
        return [i for i, run in enumerate(active) if run.reason is None]

    def _rival(self, run: _Run) -> float:
        """The highest bound of the other runs of its group that have not collapsed: a spike has no bound."""
        highest = self.highest[self.groups[run.number]]
        return max((bound for number, bound in highest.items() if number != run.number), default=-np.inf)

    def _note(self, active: Sequence[_Run], notes: Notes, current: Any) -> None:
        for component, text in notes:
            i, k = current.place(component) if isinstance(current, Batched) else (0, component)
            if active[i].reason is None:
                active[i].trace.events.append(Event(len(active[i].trace.bounds), k, text))


def _keep(models: Any, which: Sequence[int], n: int) -> Any:
    if len(which) in (0, n):
        return models
    return models.keep(which) if len(which) > 1 else models.model(which[0])
