"""What a fitted chain answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.utils.validation import validate_data

from estep.data.columns import dates_ahead, frame_like, times_of
from estep.data.given import labels_of
from estep.data.labels import as_evidence
from estep.data.source import Source
from estep.estimators.features import AsFeatures
from estep.estimators.imputation import imputed
from estep.inference.forecast import forecast_columns
from estep.inference.predictive import with_names
from estep.inference.reading import read
from estep.inference.spells import spells
from estep.inference.stream import Stream
from estep.latents import Moving
from estep.model import Model
from estep.statistics import Array, weighted
from estep.util.memory import require_memory
from estep.util.numbers import as_whole
from estep.util.streams import as_seed


class ChainAnswers(AsFeatures):
    """Questions to a chain. Each takes data as ``fit`` does, and beside them, as ``known``, what is known of the rows:
    ``labels``, ``given`` and ``sequence``, by their names there.

    Each raises ValueError naming a sequence that is impossible under the model; where ``on_impossible="skip"`` may be
    given, its states are -1 and its probabilities NaN, and a warning names it.
    """

    def _ask(self, X: Any, lengths: Any, known: dict[str, Any], sample_weight: Any = None) -> tuple[Model, Source]:
        self._check_known(known)
        model = self.to_model()
        self._check_features(X)
        return model, model.source(X, lengths, sample_weight, memory=self.memory, execute=self.execute, **known)

    def _check_features(self, X: Any) -> None:
        """Raises ValueError, in scikit-learn's words, for an array of another number of columns than the fit's."""
        if hasattr(self, "n_features_in_") and isinstance(X, np.ndarray) and X.ndim == 2:
            validate_data(self, X, reset=False, skip_check_array=True)

    # Likelihoods

    def score(self, X: Any, y: Any = None, *, lengths: Any = None, sample_weight: Any = None, **known: Any) -> float:
        """Total log-likelihood, natural logarithm; -inf where a sequence is impossible.

        Lengths may be given by position, where scikit-learn has y. ``sample_weight`` (S,): one weight a sequence.
        """
        model, source = self._ask(X, one_of(y, lengths), known, sample_weight)
        return model.score(source, execute=self._execute())

    def score_samples(self, X: Any, lengths: Any = None, **known: Any) -> Array:
        """Log-likelihood of each sequence, (S,)."""
        model, source = self._ask(X, lengths, known)
        return model.score_units(source, execute=self._execute())

    def path_log_likelihood(self, X: Any, states: Any, lengths: Any = None, **known: Any) -> Array:
        """log p(X, states) of each sequence, (S,), of known states (n,); -inf where they are impossible."""
        model, source = self._ask(X, lengths, known)
        path = as_evidence(labels_of(states, source.ends), len(source))
        path.check(model.n_components)
        if path.labels is None or (path.labels < 0).any():
            raise ValueError("states are those of all rows, (n,): score(labels=) takes some that are known")
        return model.path_log_probability(source, path.labels, self._execute())

    def aic(self, X: Any, lengths: Any = None, *, sample_weight: Any = None, **known: Any) -> float:
        """Akaike's criterion on X, lower is better."""
        model, source = self._ask(X, lengths, known, sample_weight)
        return model.aic(model.score(source, execute=self._execute()))

    def bic(self, X: Any, lengths: Any = None, *, sample_weight: Any = None, **known: Any) -> float:
        """Schwarz's criterion on X, lower is better; its n is the weight of the rows that have a value."""
        model, source = self._ask(X, lengths, known, sample_weight)
        return model.bic(model.score(source, execute=self._execute()), source.weight_of_values)

    def aicc(self, X: Any, lengths: Any = None, *, sample_weight: Any = None, **known: Any) -> float:
        """Akaike's criterion with a term for few rows (Hurvich & Tsai 1989), lower is better; infinite where there are
        no more rows than parameters and one."""
        model, source = self._ask(X, lengths, known, sample_weight)
        return model.aicc(model.score(source, execute=self._execute()), source.weight_of_values)

    def icl(self, X: Any, lengths: Any = None, *, sample_weight: Any = None, **known: Any) -> float:
        """Integrated completed likelihood on X, lower is better: BIC of rows and the most probable path of states."""
        model, source = self._ask(X, lengths, known, sample_weight)
        _, completed = model.decode(source, execute=self._execute())
        return model.bic(weighted(completed, source.weights), source.weight_of_values)

    # States

    def decode(
        self, X: Any, lengths: Any = None, algorithm: str = "viterbi", *, on_impossible: str = "raise", **known: Any
    ) -> tuple[float, Array]:
        """(log p(X, states), states (n,)), by "viterbi" (the best path) or "posterior" (each row's best state).

        Rabiner 1989, section III.B.
        """
        model, source = self._ask(X, lengths, known)
        states, logprob = model.decode(source, None, algorithm, self._execute(), on_impossible=on_impossible)
        return float(logprob.sum()), states

    def spells(self, X: Any, times: Any = None, lengths: Any = None, **known: Any) -> Any:
        """When each state was visited: a data frame, a line a stay on the most probable path.

        Columns: ``state``; ``first`` and ``last``, numbers of rows from 0, or ``times`` (n,), of a pandas frame with
        dates as its index these; ``rows``; ``probability``, the mean of the state's, given all rows. Of several
        sequences ``sequence``, its number, comes first.
        """
        model, source = self._ask(X, lengths, known)
        states, _ = model.decode(source, execute=self._execute())
        sure = model.state_probability(states, source, execute=self._execute())
        return frame_like(X, spells(states, source.all_ends, times_of(X, times, len(states)), sure))

    def predict(self, X: Any, lengths: Any = None, *, on_impossible: str = "raise", **known: Any) -> Array:
        """States (n,) of the most probable path."""
        return self.decode(X, lengths, on_impossible=on_impossible, **known)[1]

    def predict_proba(
        self, X: Any, lengths: Any = None, *, kind: str = "smoothed", on_impossible: str = "raise", **known: Any
    ) -> Array:
        """Probabilities of the states, (n, K): "smoothed" ones look ahead, "filtered" ones do not.

        Given the whole sequence (smoothed: Rabiner 1989, eq. 27), or its rows up to each (filtered).
        """
        model, source = self._ask(X, lengths, known)
        return model.predict_proba(source, execute=self._execute(), on_impossible=on_impossible, kind=kind)

    def transform(self, X: Any, lengths: Any = None, **known: Any) -> Array:
        """Probabilities of the states given the whole sequence, (n, K), as features of what comes next in a
        pipeline."""
        return self.predict_proba(X, lengths, **known)

    def filter(self, X: Any, lengths: Any = None, *, on_impossible: str = "raise", **known: Any) -> Array:
        """Probabilities of the states given the rows up to each, (n, K): they do not look ahead.

        As :meth:`predict_proba` with ``kind="filtered"``.
        """
        return self.predict_proba(X, lengths, kind="filtered", on_impossible=on_impossible, **known)

    def smooth(
        self, X: Any, lag: int | None = None, lengths: Any = None, *, on_impossible: str = "raise", **known: Any
    ) -> Array:
        """Probabilities of the states given the rows up to ``lag`` later, (n, K); None: given the whole sequence.

        They look ahead, as far as the lag.
        """
        model, source = self._ask(X, lengths, known)
        return model.smooth(source, lag, execute=self._execute(), on_impossible=on_impossible)

    def k_best(self, X: Any, k: int, lengths: Any = None, **known: Any) -> Any:
        """The ``k`` most probable paths: (log p(X, states) (k,), the highest first, and states (k, n)).

        Fewer where fewer are possible. Of several sequences, a list of such pairs.
        """
        model, source = self._ask(X, lengths, known)
        found = model.k_best(source, k, execute=self._execute())
        return found[0] if len(found) == 1 else found

    def sample_paths(self, X: Any, n: int = 1, lengths: Any = None, *, random_state: Any = None, **known: Any) -> Array:
        """States (n, rows) of ``n`` paths drawn from their posterior given X."""
        model, source = self._ask(X, lengths, known)
        return model.sample_paths(source, n, self._seed(random_state), execute=self._execute())

    def stream(self, state: dict[str, Any] | None = None) -> Stream:
        """A filter for rows as they come: ``stream.update(row)`` gives the probabilities (K,) of the state.

        ``stream.state`` is what a later ``stream(state)`` goes on from, and JSON holds it.
        """
        return self.to_model().stream(state)

    # What comes next

    def forecast(
        self,
        X: Any,
        steps: int,
        level: float = 0.95,
        lengths: Any = None,
        *,
        quantiles: Sequence[float] = (),
        ahead: Any = None,
        **known: Any,
    ) -> Any:
        """A data frame of what comes after X, given all of it: a line a step.

        Columns: ``step`` (1 to ``steps``); ``state_0`` ..., the probabilities of the states; and of each column of X
        ``NAME_mean``, ``NAME_lower`` and ``NAME_upper`` (of an array ``x0_mean`` ...), between which the observation is
        with probability ``level`` if the model is right, and ``NAME_q0.1`` ... for each of ``quantiles``. Of symbols,
        their probabilities ``NAME_SYMBOL``; of angles the mean direction, and limits about it. Of several sequences
        ``sequence``, its number, comes first. ``ahead`` (S * steps, P): the covariates of the rows to come. What the
        parameters' own uncertainty adds is not in it.

        The frame is of X's kind, of pandas for arrays; where a pandas frame has dates that follow each other regularly
        as its index, so has the forecast. Raises ValueError for a wrong number of steps or level, and
        ModuleNotFoundError where pandas is wanted and not there.
        """
        model, source = self._ask(X, lengths, known)
        frame = frame_like(X, forecast_columns(model, source, steps, level, quantiles, ahead, self._execute()))
        dates = dates_ahead(X, steps)
        return frame if dates is None or len(frame) != steps else frame.set_axis(dates, axis=0)

    def simulate(
        self,
        X: Any,
        steps: int,
        n: int = 1,
        lengths: Any = None,
        *,
        random_state: Any = None,
        ahead: Any = None,
        **known: Any,
    ) -> tuple[Array, Array]:
        """Draws ``n`` futures of each sequence given all of it: (X (S, n, steps, D), states (S, n, steps)).

        ``ahead`` (S * steps, P): the covariates of the rows to come.
        """
        model, source = self._ask(X, lengths, known)
        return model.simulate(source, steps, n, self._seed(random_state), execute=self._execute(), ahead=ahead)

    def sample(self, n: int = 1, random_state: Any = None, given: Any = None) -> tuple[Any, Array]:
        """Draws one sequence of ``n`` steps: (X (n, D), states (n,)); ``given``: their covariates.

        Symbols that have names are texts; a table with columns of texts is a data frame.
        """
        model = self.to_model()
        X, states = model.sample(n, self._seed(random_state), given)
        return with_names(model, X), states

    def _seed(self, random_state: Any) -> Any:
        return as_seed(self.random_state if random_state is None else random_state)

    def impute(
        self, X: Any, n_draws: int | None = None, lengths: Any = None, *, random_state: Any = None, **known: Any
    ) -> Any:
        """X with its missing cells filled in given all of it, in the form in which it came; see
        :meth:`estep.GaussianMixture.impute`."""
        model = self.to_model()
        raw = read(model, X, lengths, memory=self.memory, execute=self.execute, **known)
        return imputed(model, raw, X, lengths, n_draws, random_state, self._execute())

    # What the model says of itself, and how it fits

    @property
    def stationary_(self) -> Array:
        """The distribution of states (K,) that the transition matrix settles into. Raises ValueError where there are
        several."""
        return self._moving().shares()

    @property
    def expected_durations_(self) -> Array:
        """The mean number of rows that the chain stays in each state, (K,), 1 / (1 - transmat_[k, k])."""
        return self._moving().expected_durations()

    def dwell_times(self, n: int) -> Array:
        """The probabilities that a stay in each state lasts 1, 2, ... n rows, (K, n)."""
        n = as_whole("n", n)
        require_memory(f"n is {n}: so many probabilities of each state", 8 * n * self.n_components)
        return self._moving().dwell_times(n)

    def _moving(self) -> Moving:
        latent = self.to_model().latent
        assert isinstance(latent, Moving)
        return latent

    def pseudo_residuals(
        self,
        X: Any,
        lengths: Any = None,
        *,
        random_state: Any = 0,
        on_impossible: str = "raise",
        **known: Any,
    ) -> Array:
        """How far out each cell is in its distribution given the rows before it, (n, D): standard normal, and
        independent in time, where the model is right (Zucchini & MacDonald 2009, section 6.2.3).

        Of counts and symbols they are drawn within their step (Dunn & Smyth 1996), by ``random_state``; NaN for missing
        cells. Of several columns each is taken by itself.
        """
        model = self.to_model()
        raw = read(model, X, lengths, memory=self.memory, execute=self.execute, **known)
        return model.pseudo_residuals(
            raw, random_state=as_seed(random_state), execute=self._execute(), on_impossible=on_impossible
        )


def one_of(y: Any, lengths: Any) -> Any:
    """Lengths, by position or by name. Raises ValueError where both are given."""
    if y is not None and lengths is not None:
        raise ValueError("lengths are given twice, by position and by name; known states are passed as labels=")
    return lengths if y is None else y
