"""Fits of models and of starts: which of several fits is the best."""

from __future__ import annotations

import copy
import logging
import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from estep.algorithms import make_algorithm
from estep.data.source import Source
from estep.execution.base import Execute
from estep.execution.serial import Serial
from estep.fitting.batched import initialised
from estep.fitting.checkpoint import Checkpoint, made_for
from estep.fitting.loop import Loop
from estep.fitting.remarks import of_one_value, remarks
from estep.fitting.reseeding import comparable, reseed, reseeded
from estep.fitting.results import Callback, Fit, Restart
from estep.fitting.starts.portfolio import Beginning, Starts
from estep.fitting.stopping import Stop, dominated
from estep.inference.prepare import prepared_to_fit
from estep.inference.reading import read
from estep.interface import Algorithm
from estep.model import Model

LOG = logging.getLogger("estep")
ROUND = 3  # perturbed starts that go together, where they are the columns of one model


def fit(
    model: Model,
    data: Any,
    algorithm: Algorithm | str | None = None,
    stop: Stop | None = None,
    execute: Execute | None = None,
    callbacks: Sequence[Callback] = (),
    checkpoint: str | os.PathLike[str] | None = None,
    every: float = 60.0,
    memory: Any = None,
) -> Fit:
    """Fits ``model``, from its parameters on, to data of any form :func:`estep.as_source` takes; ``memory``: what files
    and blocks may take of it ("500MB").

    ``checkpoint``: a file that is written ``every`` so many seconds, from which the same call goes on to the same end,
    whatever cut it off; one that had come to its end returns at once.

    An interrupt (Ctrl-C) ends the fit and returns the last good model with the reason "interrupted". Raises ValueError
    where the data are invalid or impossible under the model.
    """
    if not isinstance(model, Model):
        raise TypeError(f"fit takes a Model, not a {type(model).__name__}: an estimator has a fit of its own")
    how, rule, run = ways(algorithm, stop, execute)
    source = prepared_to_fit(read(model, data, memory=memory, execute=run), model.emission)
    return fit_prepared(model, source, how, rule, run, callbacks, checkpoint, every)


def fit_prepared(
    model: Model,
    source: Source,
    algorithm: Algorithm,
    stop: Stop,
    execute: Execute,
    callbacks: Sequence[Callback] = (),
    checkpoint: str | os.PathLike[str] | None = None,
    every: float = 60.0,
) -> Fit:
    """As :func:`fit`, to data that are prepared for the model."""
    file = _checkpoint(checkpoint, every, source, (model, _plain(stop), algorithm), [model])
    if file is not None and file.result is not None:
        return file.result[0]
    loop = Loop(source, algorithm, stop, execute, callbacks, [0], file)
    fit = _told(reseeded(loop, loop.run([model], [0])[0], 0), loop)
    if file is not None:
        file.finish({0: fit})
    return fit


def _plain(stop: Stop) -> Stop:
    """A stop rule without the time it is given, which may be more when it goes on."""
    return replace(stop, max_time=None)


def _checkpoint(
    path: Any, every: float, source: Source, settings: Any, parts: Sequence[Any], streams: Any = None
) -> Checkpoint | None:
    """The checkpoint at ``path``, where one is asked for; ``parts`` hold families, maybe of one's own."""
    if path is None:
        return None
    modules = {type(family).__module__ for part in parts for family in part.emission.families}
    return Checkpoint(path, every, made_for(source, settings), modules, copy.deepcopy(streams))  # they move on


def ways(algorithm: Any, stop: Any, execute: Any) -> tuple[Algorithm, Stop, Execute]:
    """What a fit is given, or its defaults. Raises TypeError naming what is of another kind."""
    for name, value, kind in (("stop", stop, Stop), ("execute", execute, Execute)):
        if value is not None and not isinstance(value, kind):
            way = "estep.Stop(tol, max_iter)" if kind is Stop else "estep.threads(n)"
            raise TypeError(f"{name} is {value!r}: give one made by {way}")
    return make_algorithm("em" if algorithm is None else algorithm), stop or Stop(), execute or Serial()


def fit_starts(
    groups: Sequence[Starts],
    source: Source,
    algorithm: Algorithm,
    stop: Stop,
    execute: Execute,
    callbacks: Sequence[Callback] = (),
    checkpoint: str | os.PathLike[str] | None = None,
    every: float = 60.0,
    settings: Any = None,
) -> dict[int, Fit]:
    """The best fit of each group of starts to prepared data; an interrupt keeps the best so far.

    Mixtures run at the same time, as the columns of one model. A start that is :func:`estep.fitting.stopping.dominated`
    by the best so far of its group is dropped; ``restarts`` says how far each got. Perturbed starts come last, some at
    a time. An interrupt, or the end of the time, may leave groups without a fit. ``checkpoint``: see :func:`fit`;
    ``settings``: what else must be the same to go on from it.
    """
    known = [[s.latent, s.emission, s.n_components, s.method, len(s)] for s in groups], _plain(stop), algorithm
    streams = [starts.streams for starts in groups]
    file = _checkpoint(checkpoint, every, source, (known, settings), groups, streams)
    if file is not None and file.result is not None:
        return file.result
    if file is not None:
        kept = copy.deepcopy(file.saved.streams)
        groups = [replace(starts, streams=own) for starts, own in zip(groups, kept, strict=True)]
    offsets = np.cumsum([0, *(len(starts) for starts in groups)]).tolist()
    of_number = [g for g, starts in enumerate(groups) for _ in range(len(starts))]
    loop = Loop(source, algorithm, stop, execute, callbacks, of_number, file)
    fits: dict[int, Fit] = {}
    with execute.running():
        try:
            _fresh(groups, offsets, loop, fits)
            _perturbed(groups, offsets, loop, fits)
        except KeyboardInterrupt:
            if not fits:
                raise
    out: dict[int, Fit] = {}
    for g, starts in enumerate(groups):
        own = {n - offsets[g]: f for n, f in fits.items() if of_number[n] == g}
        if not own:
            continue
        best = _best(own.values(), loop)
        lacking = len(own) < len(starts) and not loop.out_of_time
        reason = "interrupted" if lacking or any(f.stop_reason == "interrupted" for f in own.values()) else None
        tried = tuple(Restart(f.bound, f.n_iter, f.stop_reason, starts.kind(i)) for i, f in sorted(own.items()))
        best = reseeded(loop, replace(best, stop_reason=reason or best.stop_reason), offsets[g])
        out[g] = _told(replace(best, restarts=tried), loop)
    if file is not None:
        file.finish(out)
    return out


def _told(fit: Fit, loop: Loop) -> Fit:
    """The fit with its remarks, which go to the log as well."""
    fit = replace(fit, one_value=of_one_value(fit, loop.source, loop.execute))
    fit = replace(fit, remarks=remarks(fit, loop.source))
    LOG.info("bound %.6f after %d iterations: %s", fit.bound, fit.n_iter, fit.stop_reason)
    for text in (*fit.notes, *fit.remarks):
        LOG.info("%s", text)
    return fit


def _fresh(groups: Sequence[Starts], offsets: list[int], loop: Loop, fits: dict[int, Fit]) -> None:
    """Fits the starts that are made of the data alone, all groups together."""
    todo = [(g, i) for g, starts in enumerate(groups) for i in starts.fresh()]
    numbers = [offsets[g] + i for g, i in todo]
    models = initialised(Beginning(groups), [(item, None) for item in todo], loop.execute)
    fits |= loop.run_all(models, numbers)
    _resumed(loop, fits)
    if len(fits) > 1:  # of one start it is done at the end
        reseed(loop, fits)
        _resumed(loop, fits)


def _perturbed(groups: Sequence[Starts], offsets: list[int], loop: Loop, fits: dict[int, Fit]) -> None:
    """Fits perturbed starts, ROUND of each group at a time, each from the best of its group so far."""
    waiting = {g: sorted(set(range(len(starts))) - set(starts.fresh())) for g, starts in enumerate(groups)}
    while any(waiting.values()) and not loop.out_of_time:
        size = ROUND if groups[0].latent.batches else 1
        todo = [(g, i) for g, numbers in waiting.items() for i in numbers[:size]]
        waiting = {g: numbers[size:] for g, numbers in waiting.items()}
        best = {}
        for g, starts in enumerate(groups):
            own = [fits[offsets[g] + i] for i in range(len(starts)) if offsets[g] + i in fits]
            best[g] = _best(own, loop).model if own else None
        todo = [(g, i) for g, i in todo if best[g] is not None]
        numbers = [offsets[g] + i for g, i in todo]
        models = initialised(Beginning(groups), [((g, i), best[g]) for g, i in todo], loop.execute)
        fits |= loop.run_all(models, numbers)
        _resumed(loop, fits)


def _resumed(loop: Loop, fits: dict[int, Fit]) -> None:
    """Goes on with starts that were dropped because of one that has collapsed since: its bound means nothing. Raises
    KeyboardInterrupt where a fit was interrupted."""
    while True:
        if any(f.stop_reason == "interrupted" for f in fits.values()):
            raise KeyboardInterrupt
        values = {number: comparable(f, loop) for number, f in fits.items()}
        best: dict[int, float] = {}
        for number, value in values.items():
            best[loop.groups[number]] = max(best.get(loop.groups[number], -np.inf), value)
        again = [
            number
            for number, f in fits.items()
            if f.stop_reason == "dropped"
            and not dominated(f.trace.bounds, best[loop.groups[number]], loop.weight)
            and not loop.out_of_time
        ]
        for number, value in values.items():
            loop.highest[loop.groups[number]][number] = value
        if not again:
            return
        for number, new in loop.run_all([fits[n].model for n in again], again).items():
            fits[number] = fits[number].followed_by(new)


def _best(fits: Iterable[Fit], loop: Loop) -> Fit:
    """The fit with the highest bound, where variances at their floor are as wide as components usually are."""
    some = list(fits)
    return some[0] if len(some) == 1 else max(some, key=lambda f: comparable(f, loop))
