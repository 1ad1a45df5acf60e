"""What is asked of a model: each question's answer is in a file of its own."""

from __future__ import annotations

from typing import Any

from estep.data.source import Source
from estep.execution.base import Execute
from estep.inference import (
    decode,
    filter,
    forecast,
    html,
    k_best,
    profile,
    residuals,
    sample,
    score,
    smooth,
    smooth_lag,
)
from estep.inference.reading import read
from estep.inference.stream import Stream
from estep.interface import AnyModel
from estep.statistics import Array, weighted

KINDS = ("smoothed", "filtered")


class Questions:
    """The questions of :class:`estep.Model`. Beside data and lengths all take, as ``reading``, what its ``source``
    does: labels, given, sequence, memory."""

    def score_units(
        self: AnyModel, data: Any, lengths: Any = None, execute: Execute | None = None, **reading: Any
    ) -> Array:
        """Log-likelihood of each row (mixture, (n,)) or sequence (chain, (S,)), natural logarithm."""
        return score.score_units(self, data, self.source(data, lengths, execute=execute, **reading), execute)

    def score(
        self: AnyModel,
        data: Any,
        lengths: Any = None,
        execute: Execute | None = None,
        weights: Any = None,
        **reading: Any,
    ) -> float:
        """Total log-likelihood, weighted; -inf where the data are impossible under the model."""
        source = self.source(data, lengths, weights, execute=execute, **reading)
        return weighted(score.score_units(self, source, source, execute), source.weights)

    def predict_proba(
        self: AnyModel,
        data: Any,
        lengths: Any = None,
        execute: Execute | None = None,
        on_impossible: str = "raise",
        kind: str = "smoothed",
        **reading: Any,
    ) -> Array:
        """Probabilities of the states, (n, K): "smoothed" ones look ahead, "filtered" ones do not.

        Given the row (mixture), the whole sequence (smoothed: Rabiner 1989, eq. 27) or its rows up to there (filtered).
        Raises ValueError naming the first row or sequence that is impossible under the model; with
        ``on_impossible="skip"`` its probabilities are NaN, and a warning names the first five.
        """
        if kind not in KINDS:
            raise ValueError(f"kind is {kind!r}: it is 'smoothed', which looks ahead, or 'filtered'")
        source = self.source(data, lengths, execute=execute, **reading)
        how = smooth.predict_proba if kind == "smoothed" else filter.filtered
        return how(self, data, source, execute, on_impossible)

    def filter(self: AnyModel, data: Any, lengths: Any = None, execute: Execute | None = None, **more: Any) -> Array:
        """Probabilities of the states given the rows up to each, (n, K): they do not look ahead.

        As :meth:`predict_proba` with ``kind="filtered"`` (Rabiner 1989, eq. 19 and 20, scaled).
        """
        return Questions.predict_proba(self, data, lengths, execute, kind="filtered", **more)

    def smooth(
        self: AnyModel,
        data: Any,
        lag: int | None = None,
        lengths: Any = None,
        execute: Execute | None = None,
        on_impossible: str = "raise",
        **reading: Any,
    ) -> Array:
        """Probabilities of the states given the rows up to ``lag`` later, (n, K); None: given the whole sequence."""
        if lag is None:
            return Questions.predict_proba(self, data, lengths, execute, on_impossible, **reading)
        source = self.source(data, lengths, execute=execute, **reading)
        return smooth_lag.fixed_lag(self, data, source, lag, execute, on_impossible)

    def stream(self: AnyModel, state: dict[str, Any] | None = None) -> Stream:
        """A filter that takes rows as they come: ``stream.update(row)``; ``state``: where another one stood."""
        return Stream(self, state)

    def forecast(
        self: AnyModel, data: Any, steps: int, lengths: Any = None, execute: Execute | None = None, **reading: Any
    ) -> Array:
        """Probabilities of the states in the ``steps`` rows after each sequence, (S, steps, K), given all of it.

        Raises ValueError for a number of steps that is none, and where a sequence is impossible.
        """
        return forecast.state_probabilities(
            self, self.source(data, lengths, execute=execute, **reading), steps, execute
        )

    def simulate(
        self: AnyModel,
        data: Any,
        steps: int,
        n: int = 1,
        random_state: Any = None,
        lengths: Any = None,
        execute: Execute | None = None,
        ahead: Any = None,
        **reading: Any,
    ) -> tuple[Array, Array]:
        """Draws ``n`` futures of each sequence: rows (S, n, steps, D) and states (S, n, steps), given all of it.

        ``ahead`` (S * steps, P): the covariates of the rows to come.
        """
        source = self.source(data, lengths, execute=execute, **reading)
        return forecast.simulate(self, source, steps, n, random_state, ahead, execute)

    def decode(
        self: AnyModel,
        data: Any,
        lengths: Any = None,
        algorithm: str = "viterbi",
        execute: Execute | None = None,
        on_impossible: str = "raise",
        **reading: Any,
    ) -> tuple[Array, Array]:
        """States (n,) and log p(rows, states) of each unit.

        ``viterbi``: the most probable path as a whole. ``posterior``: the most probable state of each row by itself;
        as a path it may be less probable, or even impossible (-inf). Raises ValueError naming an impossible row or
        sequence; with ``on_impossible="skip"`` its states are -1, and a warning names the first five.
        """
        if algorithm not in ("viterbi", "posterior"):
            raise ValueError(f"algorithm is {algorithm!r}: it is 'viterbi' or 'posterior'")
        return decode.decode(
            self, data, self.source(data, lengths, execute=execute, **reading), algorithm, execute, on_impossible
        )

    def k_best(
        self: AnyModel, data: Any, k: int, lengths: Any = None, execute: Execute | None = None, **reading: Any
    ) -> list[tuple[Array, Array]]:
        """The k most probable paths of each sequence: log p(rows, states) (k,), the highest first, and states (k, n).

        Fewer where fewer are possible. Where states of a latent part share a component, two paths may show the same.
        """
        return k_best.k_best(self, self.source(data, lengths, execute=execute, **reading), k, execute)

    def sample_paths(
        self: AnyModel,
        data: Any,
        n: int = 1,
        random_state: Any = None,
        lengths: Any = None,
        execute: Execute | None = None,
        **reading: Any,
    ) -> Array:
        """States (n, rows) of ``n`` paths drawn from their posterior given the data (Fruhwirth-Schnatter 1994).

        Raises ValueError for a number of paths that is none, and naming a row or sequence that is impossible.
        """
        source = self.source(data, lengths, execute=execute, **reading)
        return sample.sample_paths(self, data, source, n, random_state, execute)

    def pseudo_residuals(
        self: AnyModel,
        data: Any,
        lengths: Any = None,
        random_state: Any = 0,
        execute: Execute | None = None,
        on_impossible: str = "raise",
        **reading: Any,
    ) -> Array:
        """How far out each cell is given the rows before it, (n, D), standard normal where the model is right; see
        :func:`estep.inference.residuals.pseudo_residuals`."""
        raw = read(self, data, lengths, execute=execute, **reading)
        return residuals.pseudo_residuals(self, raw, random_state, execute, on_impossible)

    def state_probability(
        self: AnyModel, states: Array, data: Any, lengths: Any = None, execute: Execute | None = None
    ) -> Array:
        """The probability (n,) of the states of rows given all data; NaN for state -1."""
        return decode.state_probability(self, states, data, self.source(data, lengths, execute=execute), execute)

    def path_log_probability(self: AnyModel, source: Source, states: Array, execute: Execute | None = None) -> Array:
        """log p(rows, states) of each row or sequence of a prepared source."""
        return score.path_log_probability(self, source, states, execute)

    def profile(self: AnyModel) -> dict[str, Any]:
        """What each component is like, column by column: see :func:`estep.inference.profile.profile`."""
        return profile.profile(self)

    def _repr_html_(self: AnyModel) -> str:
        return html.model_html(self)

    def sample(self: AnyModel, n: int, random_state: Any = None, given: Any = None) -> tuple[Array, Array]:
        """Draws n rows, one sequence for a chain: (rows (n, D), states (n,)); ``given``: their covariates (n, P).

        Raises ValueError for a number of rows that no memory holds.
        """
        return sample.sample(self, self.columns, n, random_state, given)
