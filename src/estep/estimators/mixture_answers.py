"""What a fitted mixture answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from sklearn.base import DensityMixin

from estep.data.forms import unpacked
from estep.data.opened import is_blocks
from estep.data.rows import room
from estep.data.source import Source
from estep.estimators.features import AsFeatures
from estep.estimators.imputation import imputed
from estep.estimators.settings import as_dtype
from estep.fitting.merging import Merging, merge
from estep.inference.conditional import Conditional, conditional, marginal
from estep.inference.outliers import outlier_probabilities
from estep.inference.predictive import with_names
from estep.inference.reading import read
from estep.interface.latent import LEAF_ROWS
from estep.model import Model
from estep.statistics import Array, weighted
from estep.util.streams import as_seed


class MixtureAnswers(DensityMixin, AsFeatures):  # type: ignore[misc]
    """Questions to a mixture. ``given`` (n, P): covariates; ``labels``: components that are known, as for ``fit``."""

    def _check_names(self, X: Any, *named: Any, model: Model | None = None) -> None:
        raise NotImplementedError

    def _ask(self, X: Any, given: Any = None, sample_weight: Any = None, labels: Any = None) -> tuple[Model, Source]:
        model = self.to_model()
        if not is_blocks(X) and unpacked(X, None)[1] is not None:
            raise ValueError("a mixture has no sequences: give one array or frame, without lengths")
        if hasattr(self, "n_features_in_"):
            self._check_names(X, sample_weight, labels, given, model=model)
        reading = {"labels": labels, "given": given, "memory": self.memory, "execute": self.execute}
        return model, model.source(X, None, sample_weight, **reading)

    def score_samples(self, X: Any, given: Any = None, labels: Any = None) -> Array:
        """Log-likelihood of each row, (n,), natural logarithm."""
        model, source = self._ask(X, given, labels=labels)
        return as_dtype(source.unsorted(model.score_units(source, execute=self._execute())), source)

    def score(
        self, X: Any, y: Any = None, *, sample_weight: Any = None, given: Any = None, labels: Any = None
    ) -> float:
        """Mean log-likelihood of a row, weighted, of those that have a value."""
        model, source = self._ask(X, given, sample_weight, labels)
        return model.score(source, execute=self._execute()) / (source.weight_of_values or 1.0)

    def predict_proba(self, X: Any, given: Any = None, labels: Any = None, on_impossible: str = "raise") -> Array:
        """Responsibilities (n, K): the probability of each component given the row (Bishop 2006, eq. 9.13).

        Raises ValueError naming a row that is impossible; with ``on_impossible="skip"`` its responsibilities are NaN,
        and a warning names it.
        """
        model, source = self._ask(X, given, labels=labels)
        r = model.predict_proba(source, execute=self._execute(), on_impossible=on_impossible)
        return as_dtype(source.unsorted(r), source)

    def transform(self, X: Any, given: Any = None) -> Array:
        """Responsibilities (n, K), as features of what comes next in a pipeline."""
        return self.predict_proba(X, given)

    def predict(self, X: Any, given: Any = None, labels: Any = None, on_impossible: str = "raise") -> Array:
        """The most probable component of each row, (n,); -1 for an impossible one with ``on_impossible="skip"``."""
        model, source = self._ask(X, given, labels=labels)
        return source.unsorted(model.decode(source, execute=self._execute(), on_impossible=on_impossible)[0])

    def sample(self, n_samples: int = 1, given: Any = None) -> tuple[Any, Array]:
        """Draws rows: (X (n, D), components (n,)), grouped by component as scikit-learn does.

        With covariates ``given`` (n, P) rows are in their order. A table with columns of texts is a data frame.
        """
        rng = self.random_state
        rng = rng if isinstance(rng, np.random.Generator) or rng is None else np.random.default_rng(as_seed(rng))
        model = self.to_model()
        if isinstance(n_samples, int | np.integer) and n_samples < 1:
            raise ValueError(f"Invalid value for 'n_samples': {n_samples}: at least one row is drawn")
        X, states = model.sample(n_samples, rng, given)
        order = np.argsort(states, kind="stable") if given is None else np.arange(len(states))
        return with_names(model, X[order]), states[order]

    def _n_parameters(self) -> int:
        """Free parameters, by scikit-learn's name."""
        return self.to_model().n_parameters

    def aic(self, X: Any, *, sample_weight: Any = None, given: Any = None, labels: Any = None) -> float:
        """Akaike's criterion on X, lower is better."""
        model, source = self._ask(X, given, sample_weight, labels)
        return model.aic(model.score(source, execute=self._execute()))

    def bic(self, X: Any, *, sample_weight: Any = None, given: Any = None, labels: Any = None) -> float:
        """Schwarz's criterion on X, lower is better; its n is the weight of the rows that have a value."""
        model, source = self._ask(X, given, sample_weight, labels)
        return model.bic(model.score(source, execute=self._execute()), source.weight_of_values)

    def aicc(self, X: Any, *, sample_weight: Any = None, given: Any = None, labels: Any = None) -> float:
        """Akaike's criterion with a term for few rows (Hurvich & Tsai 1989), lower is better; infinite where there are
        no more rows than parameters and one."""
        model, source = self._ask(X, given, sample_weight, labels)
        return model.aicc(model.score(source, execute=self._execute()), source.weight_of_values)

    def icl(self, X: Any, *, sample_weight: Any = None, given: Any = None, labels: Any = None) -> float:
        """Integrated completed likelihood on X, lower is better: BIC of rows and their most probable components.

        The labels are those of the highest responsibility (Biernacki, Celeux & Govaert 2000, section 3.2).
        """
        model, source = self._ask(X, given, sample_weight, labels)
        _, completed = model.decode(source, execute=self._execute())
        if source.empty is not None:
            completed[source.empty] = 0.0
        return model.bic(weighted(completed, source.weights), source.weight_of_values)

    # How sure

    def entropy(self, X: Any, *, given: Any = None) -> Array:
        """The entropy of the responsibilities of each row, (n,), in nats: 0 where its component is certain."""
        return self._of_responsibilities(X, given, lambda r: -(r * np.log(np.where(r > 0, r, 1.0))).sum(axis=1))

    def certainty(self, X: Any, *, given: Any = None) -> Array:
        """The responsibility of the most probable component of each row, (n,); mclust's uncertainty is 1 less it."""
        return self._of_responsibilities(X, given, lambda r: r.max(axis=1))

    def _of_responsibilities(self, X: Any, given: Any, of_rows: Any) -> Array:
        model, source = self._ask(X, given)
        r = model.predict_proba(source, execute=self._execute())
        out = room(len(r), float, source.X)
        for i in range(0, len(r), LEAF_ROWS):
            out[i : i + LEAF_ROWS] = of_rows(r[i : i + LEAF_ROWS])
        return source.unsorted(out)

    def merge(self, X: Any, sample_weight: Any = None, *, given: Any = None) -> Merging:
        """Which components together are one cluster of X: merged by pairs where that lowers the entropy most.

        Baudry et al. 2010. ``merging.of(n)`` is the cluster of each component, ``merging.suggested`` the number at the
        bend of ``merging.entropies``, and ``merging.predict_proba(mixture.predict_proba(X), n)`` that of the rows.
        """
        model, source = self._ask(X, given, sample_weight)
        return merge(model.predict_proba(source, execute=self._execute()), source.weights)

    def outlier_probability(self, X: Any, n_draws: int = 20_000, *, random_state: Any = 0) -> Array:
        """The probability that a row of the mixture has a density as low as each row of X, (n,): small is unusual.

        By the ranks of ``n_draws`` draws, so that the least is 1 / (n_draws + 1); rows with missing cells are compared
        with draws that lack the same ones. Rows of the mixture itself have all values from 0 to 1 equally often.
        """
        if self.to_model().emission.n_covariates:
            raise ValueError("densities given covariates cannot be compared: a row's depends on its own")
        model, raw = self._raw(X, None)
        return outlier_probabilities(model, raw, n_draws, as_seed(random_state), self._execute())

    # Columns from others

    def conditional(self, known: Any, *, given: Any = None) -> Conditional:
        """The other columns given those that are known: regression by a mixture.

        ``known``: a mapping of columns, by name or number, to their value, or to one for each of n rows; or a data
        frame of these columns. What comes back has ``mean()``, ``variance()``, ``quantile(q)`` and ``interval(level)``
        of the other columns, (n, D) each, ``sample(random_state)``, ``to_frame(level)`` and the ``probabilities``
        (n, K) of the components. Raises ValueError naming a column that the mixture does not have.
        """
        return conditional(self.to_model(), known, given)

    def marginal(self, columns: Sequence[Any]) -> Self:
        """The mixture of some columns alone, by name or number, as an estimator."""
        model, arguments = marginal(self.to_model(), columns), self.get_params(deep=False)
        arguments |= {name: None for name in arguments if name.endswith("_init") and name != "n_init"}
        if "emission" in arguments:
            arguments["emission"] = model.emission.blank()
        new = type(self)(**arguments)
        new._set_model(model)
        new._remember_names(model)
        return new

    def impute(self, X: Any, n_draws: int | None = None, *, random_state: Any = None, given: Any = None) -> Any:
        """X with its missing cells filled in, in the form in which it came; cells that are there stay as they are.

        By conditional means given what is there in the row, of symbols the likeliest one; with ``n_draws``, a list of
        so many copies, whose cells are drawn, for multiple imputation (Little & Rubin 2002, chapter 10). Of files and
        collections the columns as an array (n, D).
        """
        model, raw = self._raw(X, given)
        return imputed(model, raw, X, None, n_draws, random_state, self._execute())

    def _raw(self, X: Any, given: Any) -> tuple[Model, Source]:
        model = self.to_model()
        if hasattr(self, "n_features_in_"):
            self._check_names(X, None, None, given, model=model)
        return model, read(model, X, given=given, memory=self.memory, execute=self.execute)
