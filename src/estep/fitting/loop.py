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

from estep.algorithms import make_algorithm
from estep.data.prepare import prepared_to_fit
from estep.data.source import Source
from estep.execution.base import Execute
from estep.execution.serial import Serial
from estep.fitting.batched import Batched, grouped, initialised
from estep.fitting.reseeding import reseeded
from estep.fitting.stopping import ROUNDING, Stop, dominated
from estep.inference.passes import Passes
from estep.interface import Algorithm, Notes
from estep.model import Model

ROUNDING_SINGLE = 1e-5
"""As ROUNDING, for data in single precision."""
RESEEDED = "re-seeded where the rows were explained worst"


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
    """How far one start got; ``stop_reason`` "dropped": it was far behind and seemed to stay there."""

    bound: float
    n_iter: int
    stop_reason: str


@dataclass(frozen=True)
class Fit:
    """A fitted model with how it came about. ``bound`` is the total log-likelihood of ``model``; with priors, the
    log-likelihood and the log-prior, or the evidence lower bound.

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
    def log_likelihood(self) -> float:
        """The bound without the model's penalty: the log-likelihood, or that of expected densities."""
        return self.bound - self.model.penalty

    @property
    def notes(self) -> tuple[str, ...]:
        """What the M-steps had to regularise, and what was re-seeded, each once."""
        return tuple(dict.fromkeys(f"component {e.component}: {e.text}" for e in self.trace.events))

    @property
    def collapsed(self) -> tuple[int, ...]:
        """The components that the last M-step had to regularise: they have shrunk onto few rows."""
        last = len(self.trace.bounds) - 1 - (self.stop_reason == "bound fell")
        return tuple(sorted({e.component for e in self.trace.events if e.iteration == last and e.text != RESEEDED}))


def fit(
    model: Model,
    data: Any,
    algorithm: Algorithm | str | None = None,
    stop: Stop | None = None,
    execute: Execute | None = None,
    callbacks: Sequence[Callback] = (),
) -> Fit:
    """Fits ``model``, from its parameters on, to data of any form :func:`estep.data.inputs.as_source` takes.

    An interrupt (Ctrl-C) ends the fit and returns the last good model with the reason "interrupted". Raises ValueError
    where the data are invalid or impossible under the model.
    """
    if not isinstance(model, Model):
        raise TypeError(f"fit takes a Model, not a {type(model).__name__}: an estimator has a fit of its own")
    how, rule, run = ways(algorithm, stop, execute)
    loop = _Loop(model.source(data), how, rule, run, callbacks, [0])
    return _repaired(loop, loop.run([model], 0)[0])


def ways(algorithm: Any, stop: Any, execute: Any) -> tuple[Algorithm, Stop, Execute]:
    """What a fit is given, or its defaults. Raises TypeError naming what is of another kind."""
    for name, value, kind in (("stop", stop, Stop), ("execute", execute, Execute)):
        if value is not None and not isinstance(value, kind):
            way = "estep.Stop(tol, max_iter)" if kind is Stop else "estep.threads(n)"
            raise TypeError(f"{name} is {value!r}: give one made by {way}")
    return make_algorithm("em" if algorithm is None else algorithm), stop or Stop(), execute or Serial()


def fit_restarts(
    start: Callable[[int], Model],
    groups: Sequence[int],
    source: Source,
    algorithm: Algorithm,
    stop: Stop,
    execute: Execute,
    callbacks: Sequence[Callback] = (),
) -> dict[int, Fit]:
    """The best fit of each race, ``start(i)`` giving a start for race ``races[i]``; an interrupt keeps the best so far.

    Mixtures run at the same time, as the columns of one model. A start that is :func:`dominated` beside the best so far
    of its race is dropped; ``restarts`` says how far each got. An interrupt may leave races without a fit.
    """
    loop, fits = _Loop(source, algorithm, stop, execute, callbacks, groups), list[Fit]()
    with execute.running():
        try:
            starts = initialised(start, len(groups), execute)
            for models in grouped(starts, algorithm.batched and source.evidence is None):
                fits += loop.run(models, len(fits))
                if any(f.stop_reason == "interrupted" for f in fits):
                    break
        except KeyboardInterrupt:
            if not fits:
                raise
    by_group: dict[int, list[Fit]] = {}
    for group, one in zip(groups, fits, strict=False):
        by_group.setdefault(group, []).append(one)
    return {group: _repaired(loop, _best(some, groups.count(group))) for group, some in by_group.items()}


def _repaired(loop: _Loop, fit: Fit) -> Fit:
    """The fit, or one without its collapsed components: see :class:`Stop`."""
    model, tries = fit.model, [fit]
    plain = model.prior is None and model.constraints is None and not model.emission.shared
    for _ in range(loop.stop.reseeds if plain and model.n_components > 1 and loop.stop.max_iter else 0):
        last = tries[-1]
        if not last.collapsed or last.stop_reason == "interrupted":
            break
        start = reseeded(last.model, loop.source, last.collapsed, loop.execute)
        again = _Loop(loop.source, loop.algorithm, loop.stop, loop.execute, loop.callbacks, [0])
        try:
            new = again.run([start], 0)[0]
        except ValueError:  # impossible from there
            break
        new.trace.events[:0] = [Event(0, k, RESEEDED) for k in last.collapsed]
        tries.append(new)
    best = min(tries, key=lambda f: (len(f.collapsed), -f.bound))
    return replace(best, restarts=fit.restarts)


def _best(fits: Sequence[Fit], n_starts: int) -> Fit:
    """The fit with the fewest collapsed components, of those that with the highest bound."""
    interrupted = len(fits) < n_starts or any(f.stop_reason == "interrupted" for f in fits)
    best = min(fits, key=lambda f: (len(f.collapsed), -f.bound))
    restarts = tuple(Restart(f.bound, f.n_iter, f.stop_reason) for f in fits)
    return replace(best, restarts=restarts, stop_reason="interrupted" if interrupted else best.stop_reason)


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

    def settled(self, stop: Stop) -> bool:
        """Whether no parameter has changed by more than ``stop.tol``."""
        if len(self.seen) < 2:
            return False
        before, after = (_pick(*seen) for seen in self.seen)
        pairs = zip((before.latent, before.emission), (after.latent, after.emission), strict=True)
        return all(
            bool((np.abs(now - was) <= stop.tol * np.maximum(np.abs(was), 1.0)).all())
            for old, new in pairs
            for was, now in zip(map(np.asarray, old.values().values()), new.values().values(), strict=True)
        )

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


class _Loop:
    """The only loop: any algorithm, one model or several at once."""

    def __init__(
        self,
        source: Source,
        algorithm: Algorithm,
        stop: Stop,
        execute: Execute,
        callbacks: Sequence[Callback],
        groups: Sequence[int],
    ) -> None:
        self.source, self.algorithm, self.stop, self.execute = source, algorithm, stop, execute
        self.callbacks, self.groups = callbacks, groups
        self.highest: dict[int, dict[int, float]] = {group: {} for group in groups}  # bounds of the runs of each race
        self.weight = source.weight_of_values or 1.0
        self.relative = ROUNDING_SINGLE if source.summary.single else ROUNDING

    def run(self, models: Sequence[Model], first: int) -> list[Fit]:
        """Fits the models, the starts from number ``first`` on, together."""
        self.source = prepared_to_fit(self.source, models[0].emission)
        models = [replace(m, emission=m.emission.adapt(self.source.summary)) for m in models]
        data = Passes(self.source, min(m.leaf_rows() for m in models), models[0].n_components, self.execute)
        runs = [_Run(first + i) for i in range(len(models))]
        active, begun = runs, time.perf_counter()
        current: Any = Batched.of(models) if len(models) > 1 else models[0]
        state = self.algorithm.init(current)
        with self.execute.running():
            while active:
                try:
                    step = self.algorithm.step(current, data, state)
                    current, bounds = step.entered or current, np.atleast_1d(step.bound).tolist()
                    self._enter(active, current, bounds, time.perf_counter() - begun, data.count)
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
        return [run.fit(self.weight) for run in runs]

    def _enter(
        self, active: Sequence[_Run], current: Any, bounds: Sequence[float], seconds: float, passes: float
    ) -> None:
        for i, (run, bound) in enumerate(zip(active, bounds, strict=True)):
            run.entered(current, i, bound, seconds, passes)
            highest = self.highest[self.groups[run.number]]
            highest[run.number] = max(highest.get(run.number, -np.inf), bound)
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
            if by_change and run.reason in (None, "max_iter") and run.settled(stop):
                run.reason = "converged"
            if run.reason is None and dominated(bounds, self._rival(run), self.weight):
                run.reason = "dropped"
        return [i for i, run in enumerate(active) if run.reason is None]

    def _rival(self, run: _Run) -> float:
        """The highest bound of the other runs of its race."""
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
