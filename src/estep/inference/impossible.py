"""Rows and sequences that are impossible under a model: named, or skipped."""

from __future__ import annotations

import warnings

import numpy as np

from estep.data.source import Source
from estep.interface import AnyModel
from estep.interface.latent import LEAF_ROWS
from estep.statistics import Array


def impossible_rows(model: AnyModel, source: Source, loglik: Array, on_impossible: str) -> Array:
    """Numbers of the rows of units with log-likelihood -inf. Raises ValueError where there are any, or warns."""
    if on_impossible not in ("raise", "skip"):
        raise ValueError(f"on_impossible is {on_impossible!r}: it is 'raise' or 'skip'")
    if on_impossible == "raise":
        raise_impossible(model, source, loglik)
        return np.empty(0, np.int64)
    impossible = loglik == -np.inf
    if impossible.any():
        unit = "row" if source.ends is None else "sequence"
        which = sorted(source.place(int(u)) if source.ends is None else int(u) for u in np.flatnonzero(impossible))
        first = ", ".join(map(str, which[:5])) + (", ..." if len(which) > 5 else "")
        warnings.warn(
            f"{len(which)} {unit}{'s are' if len(which) > 1 else ' is'} impossible under the model and skipped: "
            f"{unit} {first}",
            RuntimeWarning,
            stacklevel=5,
        )
    if source.ends is not None:
        impossible = np.repeat(impossible, np.diff(source.ends, prepend=0))
    return np.flatnonzero(impossible)


def raise_impossible(model: AnyModel, source: Source, loglik: Array) -> None:
    """Raises ValueError where a unit of ``source`` has log-likelihood -inf, naming it and the step it is due to."""
    impossible = loglik == -np.inf
    if source.weights is not None:
        impossible &= source.weights > 0
    if not impossible.any():
        return
    unit = int(np.argmax(impossible))
    if source.ends is None:
        raise ValueError(f"row {source.place(unit)} is impossible under the model: every component gives it 0")
    first = int(source.ends[unit - 1]) if unit else 0
    step = _impossible_step(model, source.some(slice(first, source.ends[unit])))
    raise ValueError(
        f"sequence {unit} is impossible under the model from step {step} on (row {first + step}): "
        "a zero in the start, transition or emission probabilities, or its labels, forbid it"
    )


def _impossible_step(model: AnyModel, sequence: Source) -> int:
    """The first step at which no state can be."""
    reached = None
    for batch in sequence.row_batches(LEAF_ROWS):
        possible = model.evaluate(batch).log_densities > -np.inf
        allowed = batch.allowed(model.n_components)
        possible = possible if allowed is None else possible & (allowed != 0)
        of_states = model.latent.components(np.arange(model.latent.n_states))
        for t, row in enumerate(possible[:, of_states], start=batch.first_row):
            reached = model.latent.reachable(reached) & row
            if not reached.any():
                return t
    return len(sequence) - 1
