"""When to stop: rules for a fit, and the guess that a start has no hope."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from numbers import Real

import numpy as np

from estep.model import Model
from estep.util.numbers import as_whole

ROUNDING = 1e-11
"""A fall of the bound by less than this, relative to its size or to one a row, is rounding."""
RECENT, MARGIN = 15, 100.0
"""Bounds that must agree that gains shrink, and how wrong the estimate of those to come may be, to drop a start."""
BEHIND = 0.01
"""How far behind a start must be to be dropped, in nats a row."""


@dataclass(frozen=True)
class Stop:
    """When to stop: a gain of the bound below ``tol`` a row (of weight 1), or ``max_iter`` M-steps.

    ``rule="aitken"`` asks for the same of all gains to come, estimated as if each were the same fraction of the one
    before (Aitken; McLachlan & Krishnan 2008, section 4.9): a fit that crawls is not stopped for crawling.
    ``rule="parameters"`` asks that no parameter changes by more than ``tol``, relative to it or to 1. ``tol=0``
    makes all ``max_iter`` M-steps, as scikit-learn's does. Where M-steps do not maximise (``reg_covar``), the bound may
    fall towards their fixed point: both rules of gains then ask that it changes by ``tol`` a row at most, twice.

    Where a fit ends with components that have collapsed onto few rows, these are put where the rows are explained worst
    and the fit goes on, ``reseeds`` times at most; that fit is kept whose likelihood is higher where variances at the
    floor are taken as wide as components usually are. ``max_time`` (seconds): a fit ends then with the best so far.
    """

    tol: float = 1e-8
    max_iter: int = 1000
    rule: str = "gain"
    reseeds: int = 3
    max_time: float | None = None

    def __post_init__(self) -> None:
        if not (isinstance(self.tol, Real) and np.isfinite(self.tol) and self.tol >= 0):
            raise ValueError(f"tol is {self.tol!r}: it is a number from 0")
        as_whole("max_iter", self.max_iter, 0)
        as_whole("reseeds", self.reseeds, 0)
        if self.max_time is not None and not (isinstance(self.max_time, Real) and self.max_time > 0):
            raise ValueError(f"max_time is {self.max_time!r}: it is None or seconds above 0")
        if self.rule not in ("gain", "aitken", "parameters"):
            raise ValueError(f"the stop rule is {self.rule!r}: it is 'gain', 'aitken' or 'parameters'")

    def reason(
        self,
        bounds: Sequence[float],
        weight: float,
        rounding: float = 0.0,
        relative: float = ROUNDING,
        maximizes: bool = True,
    ) -> str | None:
        """Why to stop after these bounds, None to go on.

        Rounding: ``rounding`` of each row's log-density, and ``relative`` to the bound. ``maximizes``: whether M-steps
        do.
        """
        if not maximizes:
            last = [abs(after - before) for before, after in pairwise(bounds[-3:])]
            if self.tol > 0 and self.rule != "parameters" and len(last) == 2 and max(last) <= self.tol * weight:
                return "converged"
        elif len(bounds) > 1:
            gain = bounds[-1] - bounds[-2]
            if gain < -relative * max(abs(bounds[-1]), weight) - (self.tol + rounding) * weight:
                return "bound fell"
            if self.tol > 0 and self.rule != "parameters":
                left = gain if self.rule == "gain" else _to_come(bounds)
                if left <= self.tol * weight:
                    return "converged"
        return "max_iter" if len(bounds) > self.max_iter else None


def _to_come(bounds: Sequence[float]) -> float:
    """Aitken's estimate of the gains after the last one; infinite where gains do not shrink."""
    if len(bounds) < 3:
        return float("inf")
    before, gain = bounds[-2] - bounds[-3], bounds[-1] - bounds[-2]
    if gain <= 0:
        return 0.0
    return gain * gain / (before - gain) if before > gain else float("inf")


def settled(last: Sequence[Model], tol: float) -> bool:
    """Whether no parameter of the last two models differs by more than ``tol``, relative to it or to 1."""
    if len(last) < 2:
        return False
    before, after = last
    pairs = zip((before.latent, before.emission), (after.latent, after.emission), strict=True)
    return all(
        bool((np.abs(now - was) <= tol * np.maximum(np.abs(was), 1.0)).all())
        for old, new in pairs
        for was, now in zip(map(np.asarray, old.values().values()), new.values().values(), strict=True)
    )


def dominated(bounds: Sequence[float], rival: float, weight: float) -> bool:
    """Whether a fit with these bounds, of rows of this weight, will probably stay below ``rival``.

    The gain still to come is estimated as if gains went on shrinking at their last rate (Aitken; McLachlan & Krishnan
    2008, section 4.9); MARGIN times that is not enough. Gains that have grown of late say nothing, and ``rival``
    must be ahead by BEHIND a row: a guess it remains, for gains may grow again after a plateau.
    """
    if len(bounds) < RECENT or bounds[-1] >= rival - BEHIND * weight:
        return False
    gains = [after - before for before, after in pairwise(bounds[-RECENT:])]
    if gains[-1] <= 0 or any(after >= before for before, after in pairwise(gains)):
        return False
    rate = gains[-1] / gains[-2]
    return bounds[-1] + MARGIN * gains[-1] * rate / (1 - rate) < rival
