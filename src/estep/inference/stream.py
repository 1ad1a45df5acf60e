"""Filtering as rows come: one at a time, or some."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from estep import kernels
from estep.data.batch import Batch, Halo
from estep.data.forms import as_symbols
from estep.data.source import Source
from estep.data.summary import Summary
from estep.inference.e_step import densities, sound
from estep.inference.prepare import prepared
from estep.interface import AnyModel, Known
from estep.kernels.spec import Spec
from estep.statistics import Array
from estep.util.numbers import as_numbers

FARTHEST = 1e140
"""Rows may be anywhere: kernels take differences, which stay exact."""
KEPT = 4096
"""Rows of whole numbers whose densities are kept, at most."""
FEEBLE = 1e-200
"""Probabilities of a row, beside those of the state it is likeliest in, for which logarithms are taken."""
ONE = np.array([1], dtype=np.int64)


class Stream:
    """The states of a sequence given its rows up to now: Rabiner 1989, eq. 19 and 20, scaled.

    ``n``: rows so far. ``probabilities`` (K,): of the last row, or of the first where there was none. It pickles, and
    another goes on from its :attr:`state` to the same bits.
    """

    def __init__(self, model: AnyModel, state: dict[str, Any] | None = None) -> None:
        """``state``: that of another stream of this model. Raises ValueError where it is none."""
        if not model.latent.sequential:
            raise ValueError("a mixture has no sequences: predict_proba tells of each row by itself")
        self._model, self.n = model, 0
        emission, moving = model.emission, model.moving
        self._moves = np.ascontiguousarray(moving.following(np.eye(moving.n_states)))
        self._P, self._kinds = emission.n_covariates, dict[bool, tuple[Summary, Summary, Spec | None]]()
        self._shape = (emission.n_columns - self._P,)
        self._plain = moving.n_states == model.n_components
        self._whole = emission.tabulated or emission.whole_numbers
        self._logs: dict[Any, Array] = {}
        direct = self._plain and not self._P and not emission.preparation and emission.rows == "real"
        spec = self._read(False)[2] if direct else None
        self._kernel = None if spec is None else kernels.active().stream(spec, self._moves)
        self._reach = np.ascontiguousarray(moving.first)
        self._filtered: Array | None = None
        if self._kernel is not None:
            self._kernel.begin(self._reach)
        if state is not None:
            self._resume(state)

    @property
    def state(self) -> dict[str, Any]:
        """What to go on from, as JSON has it: the number of rows, and the probabilities of the kernels' states."""
        return {"n": self.n, "filtered": None if self._filtered is None else self._filtered.tolist()}

    def __getstate__(self) -> dict[str, Any]:
        return {"model": self._model, "state": self.state}

    def __setstate__(self, kept: dict[str, Any]) -> None:
        self.__init__(kept["model"], kept["state"])  # type: ignore[misc]

    def _resume(self, state: dict[str, Any]) -> None:
        known = state if isinstance(state, Mapping) else {}
        n, kept = known.get("n"), known.get("filtered")
        M = len(self._reach)
        p = None if kept is None else as_numbers(kept, "the state's probabilities").astype(float)
        sound = p is None or (p.shape == (M,) and (p >= 0).all() and abs(p.sum() - 1) < 1e-9)
        if not isinstance(n, int) or isinstance(n, bool) or n < 0 or (n > 0) != (p is not None) or not sound:
            raise ValueError(f"the state is none of a stream of this model, which has {M} states")
        self.n = n
        if p is not None:
            self._keep(p, 0)

    @property
    def probabilities(self) -> Array:
        """Of the states at the last row, (K,)."""
        p = self._reach if self._filtered is None else self._filtered
        return np.asarray(self._model.moving.by_component(p[None])[0])

    def update(self, row: Any, given: Any = None) -> Array:
        """Takes one row (D,), NaN where a cell is missing, and returns the probabilities (K,) of its state; or a block
        (n, D) or data frame of rows, and returns theirs (n, K). ``given``: covariates, (P,) or (n, P).

        Raises ValueError naming a row that the family cannot have produced, or that is impossible given those before;
        the stream is then as it was.
        """
        if self._kernel is not None and _is_doubles(row) and row.shape == self._shape:
            if row.dot(row) < np.inf:  # all cells are known
                p = np.empty(len(self._reach))
                if not self._kernel.update(row, p):
                    raise self._impossible(0)
                self._filtered = p
                self.n += 1
                return p.copy()
        elif hasattr(row, "to_frame"):  # a row of a data frame, by its names
            given = given.to_frame().T if hasattr(given, "to_frame") else given
            return np.asarray(self._block(row.to_frame().T, given)[0])
        elif np.ndim(row) > 1 or (self._model.emission.rows == "symbols" and np.ndim(row) == 1 and len(row) != 1):
            return self._block(row, given)
        elif self._model.emission.rows == "table":
            return np.asarray(self._block(np.asarray(row)[None], given)[0])
        return self._one(row, given)

    def _keep(self, p: Array, rows: int) -> Array:
        """Takes in the filtered probabilities of the last row; a copy of them."""
        self._filtered = p
        if self._kernel is not None:
            self._kernel.resume(p)
        else:
            self._reach = p @ self._moves
        self.n += rows
        return p.copy()

    def _impossible(self, i: int) -> ValueError:
        return ValueError(f"row {self.n + i} of the stream is impossible under the model, given those before")

    def _one(self, row: Any, given: Any) -> Array:
        """A row of any kind, that is not a table's."""
        key: Any = None
        if self._whole and not self._P:
            key = row if type(row) is int else row.tobytes() if _is_doubles(row) else None
        logs = None if key is None else self._logs.get(key)
        if logs is None:
            logs = self._log_densities(row, given)
            if key is not None and len(self._logs) < KEPT:
                self._logs[key] = logs
        reach = self._reach if self._kernel is None or self._filtered is None else self._filtered @ self._moves
        p = reach * np.exp(logs)
        total = p.sum()
        if not total > FEEBLE:  # what is likely cannot be reached
            with np.errstate(divide="ignore"):
                joint = np.log(reach) + logs
            if not joint.max() > -np.inf:
                raise self._impossible(0)
            p = np.exp(joint - joint.max())
            total = p.sum()
        return np.asarray(self._model.moving.by_component(self._keep(p / total, 1)[None])[0])

    def _log_densities(self, row: Any, given: Any) -> Array:
        """Of one row in each of the kernels' states, (M,), less those of the likeliest."""
        batch, spec = self._batch(row, given)
        if spec is None:
            logs = sound(self._model.evaluate(batch).log_densities, batch, self._model.n_components)[0]
        else:
            logs = kernels.log_densities(spec, batch.X)[0]
        logs = logs - logs.max() if logs.max() > -np.inf else logs
        return logs if self._plain else np.asarray(logs[self._model.moving.components(np.arange(len(self._moves)))])

    def _batch(self, row: Any, given: Any) -> tuple[Batch, Spec | None]:
        """One row as the kernels read it, and the kernel. Raises ValueError where it is none of the family's."""
        emission = self._model.emission
        x = np.atleast_1d(as_numbers(row, "row")).astype(np.float64)
        if x.shape != self._shape:
            raise ValueError(f"row has shape {x.shape}, expected {self._shape}")
        finite = x.dot(x) < np.inf
        if not finite and np.isinf(x).any():
            raise ValueError(f"row {self.n} of the stream, column {int(np.argmax(np.isinf(x)))} is infinite")
        missing = not finite and bool(np.isnan(x).any())
        if missing and not emission.allows_missing:
            raise ValueError(f"a cell of row {self.n} is missing: {emission.name} emissions want every cell")
        X = x[None] if given is None and not self._P else np.hstack([self._covariates(given), x])[None]
        X = as_symbols(X) if emission.rows == "symbols" else X
        raw, summary, spec = self._read(missing)
        emission.validate(Batch(X, None, ONE, self.n, 0, raw, n_given=self._P))
        if emission.preparation:
            X = emission.prepare(X, raw)[0]
        if missing and self._P:  # about this row's covariates nothing cancels
            summary = replace(summary, mean=X[0])
        return Batch(X, None, ONE, self.n, 0, summary, n_given=self._P), spec

    def _covariates(self, given: Any) -> Array:
        if given is None and not self._P:
            return np.empty(0)
        found = np.empty(0) if given is None else np.atleast_1d(as_numbers(given, "given")).astype(np.float64)
        if found.shape != (self._P,) or not np.isfinite(found).all():
            raise ValueError(f"given is {given!r}: the model has {self._P} covariates, all of them known")
        return found

    def _block(self, rows: Any, given: Any) -> Array:
        """Some rows at once."""
        source = self._model.source(rows, given=given)
        if source.n_sequences != 1:
            raise ValueError(f"rows are {source.n_sequences} sequences: a stream is one")
        return self._advanced(source.in_double().whole())

    def _advanced(self, batch: Batch) -> Array:
        """The rows of a batch taken in: the probabilities (n, K) of their states."""
        model, left = self._model, None
        if self._filtered is not None:
            with np.errstate(divide="ignore"):
                left = np.log(self._filtered)
        batch = replace(batch, halo=Halo(0, 0, left is None, False))
        p = model.moving.filter(*densities(model, batch), batch, Known(left).boundary(len(self._reach)))
        impossible = np.isnan(p[:, 0])
        if impossible.any():
            raise self._impossible(int(np.argmax(impossible)))
        self._keep(p[-1].copy(), len(p))
        return model.moving.by_component(p)

    def _read(self, missing: bool) -> tuple[Summary, Summary, Spec | None]:
        """The summaries of rows that may be anywhere, as they come and as the kernels read them, and the kernel."""
        if missing not in self._kinds:
            emission, states = self._model.emission, np.repeat(np.arange(self._model.n_components), 2)
            rng = np.random.default_rng(0)
            given = rng.standard_normal((len(states), self._P))
            rows = emission.sample_given(states, given, rng) if self._P else emission.sample(states, rng)
            rows = np.hstack([given, rows])
            rows[0, self._P :] = np.nan if missing else rows[0, self._P :]
            X = as_symbols(rows) if emission.rows == "symbols" else rows
            raw = Source(X, ends=np.array([len(X)]), n_given=self._P)
            read = prepared(raw, emission)
            anywhere = np.full(read.X.shape[1], FARTHEST)
            found = read.summary if emission.preparation else replace(read.summary, low=-anywhere, high=anywhere)
            self._kinds[missing] = raw.summary, found, self._model.kernel(found)
        return self._kinds[missing]


def _is_doubles(row: Any) -> bool:
    return type(row) is np.ndarray and row.dtype == np.float64
