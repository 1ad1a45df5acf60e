"""A model: latent x emission. Mixtures and hidden Markov models are the same class with another latent part."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from estep.data.columns import frame_of, is_frame
from estep.data.given import beside
from estep.data.inputs import as_source
from estep.data.prepare import prepared
from estep.data.source import Batch, Source
from estep.emissions._shared.tables import as_table, used_columns
from estep.execution.base import Execute
from estep.execution.serial import Serial
from estep.inference.boundaries import Boundaries, Boundary, same_filter, same_path, same_posterior
from estep.latents import Chain, Independent
from estep.statistics import Array, Statistics, weighted
from estep.steps import LEAF_ROWS, Steps
from estep.util.memory import require_memory

RARE = 1e-20
"""A transition that matters only where much follows."""


@dataclass(frozen=True, eq=False)
class Model(Steps):
    """A latent part and an emission, both with their parameters; immutable.

    ``columns`` names the columns of the data, covariates first (an empty name: it had none), ``roles`` those that are
    no features, as pairs of a role ("sequence", "weight", "labels") and a column; ``symbols`` the symbols of a
    categorical emission, or of the columns of a table, as pairs of column and symbols; all may be empty.
    ``beta``: the power of all densities in the E-step, see :meth:`tempered`. ``prior``: the priors of blocks of
    parameters by name, None for maximum likelihood; ``posterior``: what they have become, for variational Bayes, whose
    latent part and emission hold expected parameters (see :func:`estep.with_prior`). ``constraints``: parameters that
    stay as they are (see :func:`estep.constrained`).
    """

    def source(
        self, data: Any, lengths: Any = None, weights: Any = None, labels: Any = None, given: Any = None
    ) -> Source:
        """Data as this model reads it, validated; ``given``: covariates (n, P), or one array a sequence.

        Columns go by name where both have names; positions count where one has none. Raises ValueError naming what is
        wrong.
        """
        return prepared(self.read(data, lengths, weights, labels, given), self.emission)

    def read(
        self, data: Any, lengths: Any = None, weights: Any = None, labels: Any = None, given: Any = None
    ) -> Source:
        """As :meth:`source`, with the rows as they came."""
        chain, P = not isinstance(self.latent, Independent), self.emission.n_covariates
        if not chain and lengths is not None:
            raise ValueError("a mixture has no sequences: leave lengths out")
        if given is not None and not P:
            self.emission.given_columns(1)
        self._ask_for_sequences(data, lengths)
        used = used_columns(self.emission)
        source = as_source(
            data,
            lengths,
            weights,
            self.emission.rows,
            labels=labels,
            symbols=self.symbols if self.emission.rows == "table" else (),
            only=used,
            given=given,
            wanted=() if used else self.columns[P:],
            wanted_given=self.columns[:P],
            roles=self.roles,
            chain=chain,
            new=False,
        )
        if source.n_given:
            self.emission.given_columns(source.n_given)
        elif P:
            names = f" ({', '.join(self.columns[:P])})" if any(self.columns[:P]) else ""
            raise ValueError(f"the model has {P} covariate{'s' if P > 1 else ''}{names}: give them as given=")
        if source.evidence is not None:
            source.evidence.check(self.n_components)
        return source

    def _ask_for_sequences(self, data: Any, lengths: Any) -> None:
        """Raises ValueError where the data have the column whose values were sequences, and no lengths are given."""
        column = dict(self.roles).get("sequence")
        if column is not None and lengths is None and is_frame(data) and column in map(str, frame_of(data).columns):
            raise ValueError(
                f"the model was fitted to the sequences of column {column!r}, which the data have: give lengths, or "
                "leave the column out where all rows are one sequence"
            )

    def score_units(self, data: Any, lengths: Any = None, execute: Execute | None = None, given: Any = None) -> Array:
        """Log-likelihood of each row (mixture, (n,)) or sequence (chain, (S,)), natural logarithm."""
        source = self.source(data, lengths, given=given).in_double()
        # what is unlikely at a boundary may become likely again where some transitions are next to impossible
        both_ways = isinstance(self.latent, Chain) and bool((np.asarray(self.moving.values()["transmat"]) < RARE).any())

        def leaf(batch: Batch, boundary: Boundary | None) -> Array:
            s = Statistics.zeros(self.latent.layout) if both_ways and boundary is not None else None
            return (
                self.moving.posterior(*self._densities(batch), batch, s, boundary=boundary, prune=True)
                + batch.base_of_units
            )

        loglik = self._units(source, leaf, execute, same_posterior if both_ways else same_filter, backward=both_ways)
        if source.empty is not None:
            loglik[source.empty] = 0.0  # a row without values says nothing, whatever the weights add up to
        return _as_came(data, source, loglik)

    def score(
        self,
        data: Any,
        lengths: Any = None,
        execute: Execute | None = None,
        given: Any = None,
        weights: Any = None,
    ) -> float:
        """Total log-likelihood, weighted; -inf where the data are impossible under the model."""
        source = self.source(data, lengths, weights, given=given)
        return weighted(self.score_units(source, execute=execute), source.weights)

    def predict_proba(
        self,
        data: Any,
        lengths: Any = None,
        execute: Execute | None = None,
        given: Any = None,
        on_impossible: str = "raise",
    ) -> Array:
        """Posterior probabilities of the states, (n, K), given the row (mixture) or the whole sequence (chain).

        Raises ValueError naming the first row or sequence that is impossible under the model; with
        ``on_impossible="skip"`` its probabilities are NaN, and a warning names the first five.
        """
        source = self.source(data, lengths, given=given).in_double()
        out = np.empty((len(source), self.n_components))

        def leaf(batch: Batch, boundary: Boundary | None) -> Array:
            spec, rows = self._densities(batch)
            r = np.empty((len(batch.X), self.n_components))
            loglik = self.moving.posterior(spec, rows, batch, responsibilities=r, boundary=boundary)
            np.minimum(r[batch.own], 1.0, out=out[batch.place])  # rounding may pass 1
            return loglik

        loglik = self._units(source, leaf, execute, same_posterior)
        out[self.impossible_rows(source, loglik, on_impossible)] = np.nan
        return _as_came(data, source, out)

    def decode(
        self,
        data: Any,
        lengths: Any = None,
        algorithm: str = "viterbi",
        execute: Execute | None = None,
        given: Any = None,
        on_impossible: str = "raise",
    ) -> tuple[Array, Array]:
        """States (n,) and log p(rows, states) of each unit.

        ``viterbi``: the most probable path as a whole. ``posterior``: the most probable state of each row by itself;
        as a path it may be less probable, or even impossible (-inf). Raises ValueError naming an impossible row or
        sequence; with ``on_impossible="skip"`` its states are -1, and a warning names the first five.
        """
        if algorithm not in ("viterbi", "posterior"):
            raise ValueError(f"algorithm is {algorithm!r}: it is 'viterbi' or 'posterior'")
        source = self.source(data, lengths, given=given)
        states = np.empty(len(source), np.int64)
        if algorithm == "posterior":
            p = self.predict_proba(source, execute=execute, on_impossible=on_impossible)
            states[:] = p.argmax(axis=1)
            logprob = self.path_log_probability(source, states)
            states[np.isnan(p[:, 0])] = -1
            return _as_came(data, source, states), _as_came(data, source, logprob)

        def leaf(batch: Batch, boundary: Boundary | None) -> Array:
            spec, rows = self._densities(batch)
            states[batch.place], logprob = self.moving.decode(spec, rows, batch, boundary)
            return logprob + batch.base_of_units

        def message_pass(batch: Batch, boundary: Boundary | None, backward: bool) -> None:
            self.moving.decode(*self._densities(batch), batch, boundary)

        logprob = self._units(source, leaf, execute, same_path, message_pass=message_pass)
        states[self.impossible_rows(source, logprob, on_impossible)] = -1
        return _as_came(data, source, states), _as_came(data, source, logprob)

    def path_log_probability(self, source: Source, states: Array) -> Array:
        """log p(rows, states) of each row or sequence of a prepared source."""
        steps = np.empty(len(source))
        for batch in source.row_batches(LEAF_ROWS):
            logb = self.evaluate(batch).log_densities
            chosen = np.take_along_axis(logb, states[batch.place, None], axis=1)[:, 0]
            steps[batch.place] = chosen if batch.base is None else chosen + batch.base
        return self.moving.path_log_probability(steps, states, source.ends)

    def sample(self, n: int, random_state: Any = None, given: Any = None) -> tuple[Array, Array]:
        """Draws n rows, one sequence for a chain: (rows (n, D), states (n,)); ``given``: their covariates (n, P).

        Raises ValueError for a number of rows that no memory holds.
        """
        if not isinstance(n, int | np.integer) or isinstance(n, bool) or n < 1:
            raise ValueError(f"n is {n!r}: the number of rows is a whole number from 1")
        require_memory(f"n is {n}: so many rows", int(n) * 8 * (self.emission.n_columns + 2))
        rng = np.random.default_rng(random_state)
        states = self.latent.sample(int(n), rng)
        if given is not None:
            covariates = self._covariates(given, int(n))
            return self.emission.sample_given(states, covariates, rng), states
        rows = self.emission.sample(states, rng)
        return (rows[:, as_table(self.emission, self.columns)] if self.emission.rows == "table" else rows), states

    def _covariates(self, given: Any, n: int) -> Array:
        """Covariates (n, P) by themselves."""
        P = self.emission.n_covariates
        both = beside(Source(np.zeros((n, 1))), given, wanted=self.columns[:P])
        self.emission.given_columns(both.n_given)
        return both.X[:, : both.n_given]

    def aic(self, log_likelihood: float) -> float:
        """Akaike's criterion, lower is better: 2 parameters - 2 log-likelihood."""
        return 2 * self.n_parameters - 2 * log_likelihood

    def bic(self, log_likelihood: float, n: float) -> float:
        """Schwarz's criterion, lower is better: parameters log n - 2 log-likelihood.

        ``n``: the weight of the rows that have a value (:attr:`estep.Source.weight_of_values`). Raises ValueError where
        that is none.
        """
        if not n > 0:
            raise ValueError("no row has a value: there is nothing to compare models by")
        return float(self.n_parameters * np.log(n) - 2 * log_likelihood)

    def impossible_rows(self, source: Source, loglik: Array, on_impossible: str) -> Array:
        """Numbers of the rows of units with log-likelihood -inf. Raises ValueError where there are any, or warns."""
        if on_impossible not in ("raise", "skip"):
            raise ValueError(f"on_impossible is {on_impossible!r}: it is 'raise' or 'skip'")
        if on_impossible == "raise":
            self.raise_impossible(source, loglik)
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
                stacklevel=4,
            )
        if source.ends is not None:
            impossible = np.repeat(impossible, np.diff(source.ends, prepend=0))
        return np.flatnonzero(impossible)

    def raise_impossible(self, source: Source, loglik: Array) -> None:
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
        step = self._impossible_step(source.some(slice(first, source.ends[unit])))
        raise ValueError(
            f"sequence {unit} is impossible under the model from step {step} on (row {first + step}): "
            "a zero in the start, transition or emission probabilities, or its labels, forbid it"
        )

    def _impossible_step(self, sequence: Source) -> int:
        assert isinstance(self.latent, Chain)
        assert self.latent.startprob is not None and self.latent.transmat is not None
        reached = self.latent.startprob > 0
        for batch in sequence.row_batches(LEAF_ROWS):
            possible = self.evaluate(batch).log_densities > -np.inf
            allowed = batch.allowed(self.n_components)
            possible = possible if allowed is None else possible & (allowed != 0)
            for t, row in enumerate(possible, start=batch.first_row):
                reached = (reached if t == 0 else reached @ (self.latent.transmat > 0)) & row
                if not reached.any():
                    return t
        return len(sequence) - 1

    def _units(
        self,
        source: Source,
        leaf: Callable[[Batch, Boundary | None], Array],
        execute: Execute | None,
        agree: Callable[[Array, Array, bool], bool],
        message_pass: Callable[[Batch, Boundary | None, bool], None] | None = None,
        backward: bool = True,
    ) -> Array:
        """What ``leaf`` finds for each unit; a sequence in chunks has the sum of theirs."""
        self.kernel(source.summary)  # or each thread would make its own
        leaves = source.leaves(self.leaf_rows())
        boundaries = Boundaries(leaves, self.n_components)
        found: list[Any] = [None] * len(leaves)
        how = Serial() if execute is None else execute
        alone = self._message_pass if message_pass is None else message_pass

        def work(i: int) -> None:
            found[i] = leaf(leaves[i], boundaries.of[i])

        with how.running():
            boundaries.run(
                lambda: how.each(work, len(leaves)),
                lambda i, back: alone(leaves[i], boundaries.of[i], back),
                agree,
                backward,
            )
        out = np.zeros(source.n_sequences)
        for batch, values in zip(leaves, found, strict=True):
            first = batch.first_row if batch.ends is None else batch.first_sequence
            out[first : first + len(values)] += values
        return out


def _as_came(data: Any, source: Source, values: Array) -> Array:
    """Values of the rows of ``source`` in the order of ``data``, from which it was made."""
    sorted_before = isinstance(data, Source) and data.order is source.order
    return values if sorted_before else source.unsorted(values)
