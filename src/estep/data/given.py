"""What comes beside the rows: covariates, weights, labels; of sequences, one array each."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from estep.data.columns import frame_numbers, frame_of, is_frame, match, names_of
from estep.data.forms import joined
from estep.data.rows import CHUNK
from estep.data.source import Source
from estep.data.summary import weights_at
from estep.statistics import Array
from estep.util.numbers import as_numbers

LEAST_WEIGHT, MOST_WEIGHT = 1e-290, 1e290
"""Of the largest weight: sums stay in range, and keep their digits."""


def given_names(data: Any, given: Any, wanted: tuple[str, ...]) -> tuple[str, ...]:
    """The columns that are covariates, named now or by the model, where the data have them; else none."""
    if isinstance(given, str):
        return (given,)
    if isinstance(given, list | tuple) and given and all(isinstance(g, str) for g in given):
        return tuple(given)
    if given is None and wanted and all(wanted) and is_frame(data):
        observed = set(map(str, frame_of(data).columns))
        return tuple(wanted) if set(wanted) <= observed else ()
    return ()


def beside(source: Source, given: Any, names: tuple[str, ...] = (), wanted: tuple[str, ...] = ()) -> Source:
    """Rows with their covariates (n, P), which come first. Raises ValueError naming what is wrong with these."""
    parts = _parts_of(given, source.ends, "given")
    if parts is not None and any(map(is_frame, parts)):
        given, _ = joined(parts, None)
        parts = None
    if is_frame(given):
        frame = frame_of(given)
        given, names = frame_numbers(frame), names_of(frame)
    arrays = [as_numbers(p, "covariates") for p in ([given] if parts is None else parts)]
    if any(a.ndim not in (1, 2) for a in arrays):
        shape = next(a.shape for a in arrays if a.ndim not in (1, 2))
        raise ValueError(f"given has shape {shape}, expected (n, P), or one array a sequence")
    arrays = [a.reshape(-1, 1) if a.ndim == 1 else a for a in arrays]
    if len({a.shape[1] for a in arrays}) > 1:
        raise ValueError(f"given has {arrays[0].shape[1]} columns in one sequence and others in another")
    G = np.concatenate(arrays)
    G = G.astype(np.float64, copy=False)
    if len(G) != len(source):
        raise ValueError(f"given has {len(G)} rows; the data have {len(source)}")
    if not np.isfinite(G).all():
        row, p = (int(i) for i in np.argwhere(~np.isfinite(G))[0])
        raise ValueError(f"given[{row}, {p}] is {G[row, p]}: covariates are finite numbers")
    place = match(names, wanted, G.shape[1], "covariate")
    G, names = (G, names) if place is None else (G[:, place], wanted)
    both = (names or ("",) * G.shape[1], source.columns or ("",) * source.X.shape[1])
    columns = (*both[0], *both[1]) if names or source.columns else ()
    return replace(source, X=np.hstack([G, source.X]), columns=columns, n_given=G.shape[1])


def labels_of(labels: Any, ends: Array | None) -> Any:
    """Labels of all rows, as one array where they came by sequence."""
    parts = _parts_of(labels, ends, "labels")
    return labels if parts is None else np.concatenate([as_numbers(part, "labels") for part in parts])


def _parts_of(values: Any, ends: Array | None, what: str) -> list[Any] | None:
    """The arrays of sequences, one each, of values that come so, whose lengths are checked; None: one of all rows."""
    if isinstance(values, np.ndarray) and values.ndim == 3 and ends is not None:
        values = list(values)
    if not isinstance(values, list | tuple) or not len(values):
        return None
    arrays = all(hasattr(v, "shape") and np.ndim(v) > 0 for v in values)
    lists = ends is not None and len(values) == len(ends) and all(isinstance(v, list | tuple) for v in values)
    if ends is None or not (arrays or lists):
        return None
    lengths = np.diff(ends, prepend=0).tolist()
    if lists and [len(v) for v in values] != lengths and len(values) == ends[-1]:
        return None  # rows, as many as there are sequences
    if len(values) != len(lengths):
        if len(values) == ends[-1]:
            return None
        raise ValueError(f"{what} is a list of {len(values)} arrays; the data have {len(lengths)} sequences")
    for s, (part, length) in enumerate(zip(values, lengths, strict=True)):
        if len(part) != length:
            raise ValueError(f"{what} of sequence {s} has {len(part)} rows; the sequence has {length}")
    return list(values)


def weights_of_rows(weights: Array, source: Source) -> Array:
    """Weights of rows or sequences from those of the rows (n,), which are the same in all of a sequence."""
    if source.ends is None:
        return check_weights(weights, len(source), "row")
    lengths = np.diff(source.ends, prepend=0)
    if (lengths == 0).any():
        raise ValueError("a sequence without rows has no weight in a column: give weights (S,)")
    firsts = weights[source.ends - lengths]
    for i in range(0, len(weights), CHUNK):
        some = weights[i : i + CHUNK]
        if (odd := some != weights_at(firsts, source.ends, slice(i, i + len(some)))).any():
            row = i + int(np.argmax(odd))
            raise ValueError(f"row {row} has another weight than the first of its sequence: a sequence has one weight")
    return check_weights(firsts, len(lengths), "sequence")


def check_weights(weights: Any, n: int, unit: str) -> Array:
    """Weights as float64 (n,). Raises ValueError where one is negative, NaN or infinite, or all are zero."""
    w = as_numbers(weights, "weights").astype(np.float64, copy=False)
    if w.ndim == 0:
        w = np.full(n, float(w))
    if w.ndim != 1:
        raise ValueError(f"Sample weights must be 1D array or scalar, got {w.ndim}D array")
    if w.shape != (n,):
        raise ValueError(f"sample_weight.shape == {w.shape}, expected {(n,)}: one weight for each {unit}")
    if not np.isfinite(w).all() or (w < 0).any():
        i = int(np.argmax(~np.isfinite(w) | (w < 0)))
        raise ValueError(f"the weight of {unit} {i} is {w[i]}: weights are finite and not negative")
    if not w.any():
        raise ValueError(f"all weights are zero: at least one {unit} must count")
    if not LEAST_WEIGHT <= w.max() <= MOST_WEIGHT:
        i = int(np.argmax(w))
        raise ValueError(
            f"the largest weight, of {unit} {i}, is {w[i]:g}: rescale them to one from {LEAST_WEIGHT:g} to "
            f"{MOST_WEIGHT:g}"
        )
    return np.require(w, requirements=["C", "A"])
