"""What hmmlearn's models answer."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from sklearn.utils import check_array, check_random_state
from sklearn.utils.validation import check_is_fitted

from estep import kernels
from estep.compat.hmmlearn.hooks import Hooks
from estep.kernels.spec import dense
from estep.statistics import Array
from estep.util.numbers import as_whole

DECODER_ALGORITHMS = frozenset(("viterbi", "map"))
"""The most probable path, and the most probable state of each row."""


class Questions(Hooks):
    """Each takes rows X (n, D) of all sequences, and ``lengths`` (S,): how many rows each has."""

    def score(self, X: Any, lengths: Any = None) -> float:
        """The log-likelihood of X (n, D), all sequences together."""
        logs, ends = self._read(X, lengths)
        return float(self._chain_pass(self._chain(), logs, ends)[0].sum())

    def score_samples(self, X: Any, lengths: Any = None) -> tuple[float, Array]:
        """The log-likelihood of all, and the probabilities (n, K) of the states given the whole sequences.

        They are NaN in a sequence that is impossible under the model.
        """
        logs, ends = self._read(X, lengths)
        posteriors = np.empty(logs.shape)
        loglik, _, _ = self._chain_pass(self._chain(), logs, ends, posteriors)
        posteriors[np.repeat(loglik == -np.inf, np.diff(ends, prepend=0))] = np.nan
        return float(loglik.sum()), posteriors

    def predict_proba(self, X: Any, lengths: Any = None) -> Array:
        """The probabilities (n, K) of the states given the whole sequences."""
        return self.score_samples(X, lengths)[1]

    def predict(self, X: Any, lengths: Any = None) -> Array:
        """The states (n,) that :meth:`decode` finds."""
        return self.decode(X, lengths)[1]

    def decode(self, X: Any, lengths: Any = None, algorithm: str | None = None) -> tuple[float, Array]:
        """States (n,), and with "viterbi" the log-probability of path and rows together.

        With "map" each row has its own most probable state, and the number is the sum of the rows' probabilities of
        these states: hmmlearn's, which is no log-probability. Raises ValueError for another algorithm.
        """
        algorithm = algorithm or self.algorithm
        if algorithm not in DECODER_ALGORITHMS:
            raise ValueError(f"Unknown decoder {algorithm!r}: it is one of {', '.join(sorted(DECODER_ALGORITHMS))}")
        if algorithm == "map":
            posteriors = self.predict_proba(X, lengths)
            return float(posteriors.max(axis=1).sum()), posteriors.argmax(axis=1)
        logs, ends = self._read(X, lengths)
        path, found, chain = np.empty(len(logs), np.int32), np.empty(len(ends)), self._chain()
        spec, rows = dense(logs)
        known = np.asarray(chain.startprob), np.asarray(chain.transmat)
        kernels.active().viterbi(spec, *known, ends, rows, path, found)
        return float(found.sum()), path.astype(np.int64)

    def sample(self, n_samples: int = 1, random_state: Any = None, currstate: int | None = None) -> tuple[Array, Array]:
        """Draws rows (n, D) and their states (n,), one sequence; ``currstate``: the state of the first row.

        The draws are hmmlearn's, number by number. ``random_state``: None is the model's own.
        """
        check_is_fitted(self, "startprob_")
        self._check()
        rng = check_random_state(self.random_state if random_state is None else random_state)
        moves, states, rows = np.cumsum(self.transmat_, axis=1), [], []
        draw = self._drawing(rng)
        state = int((np.cumsum(self.startprob_) > rng.rand()).argmax()) if currstate is None else currstate
        for t in range(as_whole("n_samples", n_samples)):
            if t:
                state = int((moves[state] > rng.rand()).argmax())
            states.append(state)
            rows.append(draw(state))
        return np.atleast_2d(rows), np.array(states, dtype=int)

    def _drawing(self, rng: np.random.RandomState) -> Callable[[int], Any]:
        """What draws a row of a state."""
        return partial(self._generate_sample_from_state, random_state=rng)

    def _read(self, X: Any, lengths: Any) -> tuple[Array, Array]:
        """Log-densities (n, K) of rows, and the ends of the sequences."""
        check_is_fitted(self, "startprob_")
        self._check()
        X = check_array(X, input_name="X")
        X, ends = self._rows(X, ends_of(lengths, len(X)))
        return np.asarray(self._compute_log_likelihood(X), dtype=float), ends

    def _rows(self, X: Array, ends: Array) -> tuple[Array, Array]:
        """Rows as the model reads them."""
        return X, ends


def ends_of(lengths: Any, n: int) -> Array:
    """The ends of the sequences. Raises ValueError where they are not those of n rows."""
    if lengths is None:
        return np.array([n], dtype=np.int64)
    known = np.atleast_1d(lengths)
    ends = np.cumsum(known).astype(np.int64)
    if not len(ends) or ends[-1] != n or (known < 1).any():
        raise ValueError(f"lengths array {lengths} doesn't sum to {n} samples: it says how many rows each sequence has")
    return ends
