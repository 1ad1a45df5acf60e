"""Components that have collapsed onto few rows: how fits that have some are compared, and how they go on without."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from estep.fitting.loop import Loop
from estep.fitting.results import RESEEDED, Event, Fit
from estep.fitting.starts.perturb import moved
from estep.fitting.subsample import held
from estep.model import Model


def comparable(fit: Fit, loop: Loop) -> float:
    """The bound by which fits are compared; kept. A variance at its floor would outweigh all else: the likelihood of
    most mixtures is unbounded."""
    if not fit.collapsed:
        return fit.bound
    kept: float | None = fit.__dict__.get("_comparable")
    if kept is None:
        model = fit.model
        wide = model.emission.comparable(loop.source.summary)
        scored = replace(model, emission=wide, prior=None, posterior=None, constraints=None)
        kept = scored.score(loop.source, execute=loop.execute) + model.penalty
        fit.__dict__["_comparable"] = kept
    return kept


def reseed(loop: Loop, fits: dict[int, Fit]) -> None:
    """Puts collapsed components of the fits elsewhere and goes on, as often as the stop rule has it; the best fit of
    each number stays. Raises KeyboardInterrupt where a fit was interrupted."""
    last = dict(fits)
    for _ in range(loop.stop.reseeds):
        models = {}
        for number, fit in last.items():
            if _may_be_reseeded(fit, loop) and not loop.out_of_time:
                with suppress(ValueError):  # impossible from there
                    models[number] = moved(fit.model, held(loop.source), fit.collapsed, None, loop.execute)
        new = _fitted(loop, models)
        for number, fit in new.items():
            fit.trace.events[:0] = [Event(0, k, RESEEDED) for k in last[number].collapsed]
            if comparable(fit, loop) > comparable(fits[number], loop):
                fits[number] = fit
        if any(fit.stop_reason == "interrupted" for fit in new.values()):
            raise KeyboardInterrupt
        last = new


def reseeded(loop: Loop, fit: Fit, number: int) -> Fit:
    """As :func:`reseed`, for one that is in a race with no other; "interrupted" where it was."""
    alone = Loop(loop.source, loop.algorithm, loop.stop, loop.execute, loop.callbacks, loop.groups, loop.checkpoint)
    alone.deadline = loop.deadline
    fits = {number: fit}
    try:
        reseed(alone, fits)
    except KeyboardInterrupt:
        return replace(fits[number], stop_reason="interrupted")
    return fits[number]


def _fitted(loop: Loop, models: dict[int, Model]) -> dict[int, Fit]:
    """The fits of the models by number; of one that is impossible, none."""
    try:
        return loop.run_all(models.values(), models)
    except ValueError:
        fits: dict[int, Fit] = {}
        for number, model in models.items():
            with suppress(ValueError):
                fits |= loop.run_all([model], [number])
        return fits


def _may_be_reseeded(fit: Fit, loop: Loop) -> bool:
    """Whether some of its components have collapsed, and may be put elsewhere."""
    model = fit.model
    plain = model.prior is None and model.constraints is None and not model.emission.shared
    some = 0 < len(fit.collapsed) < model.n_components and fit.stop_reason != "interrupted"
    return plain and some and loop.stop.max_iter > 0
