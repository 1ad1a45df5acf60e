"""What is seen: how an observation comes from a hidden state."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

import numpy as np

from estep.data.batch import Batch
from estep.data.source import Source
from estep.data.summary import Summary
from estep.interface.margin import Margin
from estep.kernels.spec import Spec
from estep.parameters import packing
from estep.parameters.values import Values
from estep.statistics import Array, Layout, Statistics

Notes = tuple[tuple[int, str], ...]
"""Components, and what had to be done about them."""


@dataclass(frozen=True)
class Evaluation:
    """What one batch needs twice: densities for the E-step, then the same rows again for the statistics.

    log_densities
        (n, K), log p(x_i | state k) less the base measure, if there is one; -inf where impossible.
    accumulate
        ``accumulate(r, s)`` adds the statistics of the rows under responsibilities ``r`` (n, K), weights included,
        to ``s``. Additive over rows; ``r = 0`` adds nothing.
    """

    log_densities: Array
    accumulate: Callable[[Array, Statistics], None]


@dataclass(frozen=True)
class Climbed:
    """EM steps of a mixture that were made in one call: of each the log-likelihood (steps,) and the masses of the
    components (steps, K) of the model that entered it, and the emission of the one that left."""

    loglik: Array
    counts: Array
    emission: Callable[[int], Any]


class Emission(Values, ABC):
    """How an observation comes from a hidden state: the parameters of all K components, an immutable value.

    Subclasses are frozen dataclasses whose parameters default to None: ``Poisson()`` names a family without
    parameters, ``Poisson(rates=...)`` has them, and :meth:`start` fills in what is missing.
    """

    @property
    @abstractmethod
    def n_components(self) -> int:
        """K. Raises ValueError while parameters are missing."""

    @property
    @abstractmethod
    def layout(self) -> Layout:
        """The blocks of the statistics."""

    @abstractmethod
    def start(self, n_components: int, summary: Summary) -> Self:
        """All K components as the one that fits the whole data; statistics of any assignments can then be taken."""

    @abstractmethod
    def evaluate(self, batch: Batch) -> Evaluation:
        """Log-densities of the rows, less the base measure, and how to accumulate their statistics."""

    def accumulate(self, batch: Batch, r: Array, s: Statistics) -> None:
        """Adds the statistics of the rows under responsibilities ``r`` (n, K), weights included, to ``s``."""
        spec = self.kernel(batch.summary)
        if spec is None:
            self.evaluate(batch).accumulate(r, s)
        else:
            batch.accumulate(spec, r, s.vector)

    @abstractmethod
    def maximize(self, s: Statistics) -> tuple[Self, Notes]:
        """The M-step: the parameters that maximise the expected log-likelihood, a function of ``s`` alone.

        A component without mass keeps its parameters. Notes say what had to be regularised.
        """

    @abstractmethod
    def sample(self, states: Array, rng: np.random.Generator) -> Array:
        """Draws one row for each state (n,): (n, D)."""

    def maximize_holding(self, s: Statistics, held: Mapping[str, Array]) -> tuple[Self, Notes]:
        """The M-step where the parameters ``held`` by name keep those of some components, (K,) each.

        Here for components that hold all parameters; see :meth:`alone`.
        """
        new, notes = self.maximize(s)
        mask = next(iter(held.values()))
        return new.keeping(self, mask), tuple(note for note in notes if not mask[note[0]])

    def keeping(self, old: Self, mask: Array) -> Self:
        """These parameters, with those of ``old`` for the components of the mask (K,)."""
        values, was = self.values(), old.values()
        kept = {}
        for name, value in values.items():
            now = np.asarray(value)
            kept[name] = np.where(mask.reshape(-1, *[1] * (now.ndim - 1)), np.asarray(was[name]), now)
        return self.with_values(**kept).with_supports(self.supports())

    def some(self, components: Any) -> Self:
        """Some components alone, by a slice or an array of their numbers."""
        common = self.shared
        values = {n: v if n in common else np.asarray(v)[components] for n, v in self.values().items()}
        plain = type(self).with_values is Values.with_values  # then they are right as they are
        new = self.evolve(**values) if plain else self.with_values(**values)
        supports = {n: mask if n in common else mask[components] for n, mask in self.supports().items()}
        return new.with_supports(supports)

    def check_holding(self, held: Mapping[str, Array], with_prior: bool) -> None:
        """Raises ValueError where the parameters ``held`` cannot be held."""
        for name in self.shared:
            if name in held and not held[name].all():
                raise ValueError(f"{name} are shared by all components: hold all or none")
        whole = len(held) == len(self.values()) and all((m == next(iter(held.values()))).all() for m in held.values())
        if (not whole and (with_prior or not self.can_fix_subset)) or (with_prior and self.shared):
            names = " and ".join(self.values())
            raise ValueError(
                f"{self.name} emissions cannot hold {' and '.join(held)} alone here: hold {names} together"
            )

    def pooled(self, s: Statistics, groups: Array) -> Statistics:
        """Statistics in which states of one group have the same, those of all of them."""
        K, out = self.n_components, Statistics(s.layout, s.vector.copy())
        same = (groups[:, None] == groups).astype(float)
        if self.shared or any(shape[:1] != (K,) for _, shape in s.layout.blocks):
            raise ValueError(f"{self.name} emissions with shared parameters cannot be shared by states as well")
        for name, _ in s.layout.blocks:
            out[name] = np.tensordot(same, s[name], axes=1)
        return out

    @property
    def n_parameters(self) -> int:
        """Free parameters, for AIC and BIC: those that :meth:`describe` says are."""
        return packing.count(self)

    # Where fits start.

    @property
    def n_parts(self) -> int:
        """Parts of a component, for mixtures of another family: a start finds them as well."""
        return 1

    def of_parts(self) -> Emission:
        """The family of all parts; itself where components have none."""
        return self

    def from_parts(self, parts: Emission, mass: Array) -> Emission:
        """With these parts, and as weights that are not known what their ``mass`` (K, M) says."""
        return parts

    def centres(self) -> Array | None:
        """Where the components lie as :meth:`clustering_features` has it, (K, D), if that is given; else None."""
        return None

    def simpler(self) -> Emission | None:
        """A family that this one contains, whose fit is a start; None: there is none. Parameters given stay."""
        return None

    def around(self, simpler: Emission) -> Sequence[Self]:
        """This family around a fitted :meth:`simpler` one, in ways of which the likeliest is a start."""
        return ()

    @property
    def keeps_place(self) -> bool:
        """Whether what :meth:`comparable` widens stays where it lies, so that fits may start from there."""
        return True

    def comparable(self, summary: Summary) -> Self:
        """The same with what has shrunk onto single values as wide as a component usually is, so that fits compare."""
        return self

    # Hooks that a family may leave as they are.

    def margins(self, rows: Array | None = None) -> Sequence[Margin] | None:
        """How each column beside the covariates is distributed in each component, as :meth:`sample` has the columns.

        ``rows`` (n, P + D), covariates first: what is known of each row, NaN where nothing is; columns that are known
        have no part in the answer. None: the family does not say.
        """
        return None

    def fill(self, rows: Array, states: Array, rng: np.random.Generator) -> Array:
        """Rows (n, P + D) whose missing cells (NaN) are drawn given those that are known and the states (n,).

        Here for rows that are missing as a whole. Raises ValueError for others.
        """
        if not (np.isnan(rows).all(axis=1) | ~np.isnan(rows).any(axis=1)).all():
            raise ValueError(f"{self.name} emissions do not say how columns hang together: they need a method fill")
        return self.fill_apart(rows, states, rng)

    def slopes(self, s: Statistics) -> dict[str, Array]:
        """The derivatives of the expected log-density of rows with these statistics by the parameters, each in its
        shape; of covariances symmetric. Raises NotImplementedError where the family does not say."""
        raise NotImplementedError(f"{self.name} emissions do not say how their densities depend on parameters")

    def check_draws(self, rows: Array) -> None:
        """Raises ValueError where rows (n, P + D) are of a kind that :meth:`sample` does not draw."""

    def of_columns(self, columns: Sequence[int]) -> Self:
        """The family of some of the columns that :meth:`sample` has. Raises ValueError where these have none."""
        raise ValueError(f"{self.name} emissions do not say how some of their columns are distributed")

    def fill_apart(self, rows: Array, states: Array, rng: np.random.Generator) -> Array:
        """As :meth:`fill`, of columns that are independent given the state."""
        missing = np.isnan(rows)
        out, some = rows.copy(), missing.any(axis=1)
        out[missing] = self.sample(states[some], rng)[missing[some]] if some.any() else 0.0
        return out

    @property
    def rows(self) -> Literal["real", "symbols", "table"]:
        """What the rows are: numbers in D columns, symbols 0, 1, ... in one column, or columns of several kinds."""
        return "real"

    @property
    def n_columns(self) -> int:
        """D."""
        return 1 if self.rows == "symbols" else int(np.shape(np.asarray(self.values()[self.parameters[0]]))[-1])

    @property
    def shared(self) -> tuple[str, ...]:
        """The parameters that all components have in common."""
        return tuple(name for name, parameter in self.describe().items() if parameter.shared)

    allows_missing: ClassVar[bool] = False
    """Whether cells may be missing: NaN, or a symbol below 0."""

    can_fix_subset: ClassVar[bool] = False
    """Whether :meth:`maximize_holding` can hold some parameters of a component and not others."""

    tabulated: ClassVar[bool] = False
    """Whether prepared rows are whole numbers, rows of a table of densities."""

    whole_numbers: ClassVar[bool] = False
    """Whether cells are counts or symbols, which come again and again."""

    smoothed: ClassVar[tuple[str, ...]] = ()
    """Parameters that a start keeps a little towards those of the whole data, so that nothing seen is impossible."""

    @property
    def counts_missing(self) -> bool:
        """Whether missing cells have statistics of their own, for which :meth:`adapt` makes room."""
        return False

    @property
    def rounding(self) -> float:
        """The error of a log-density that rounding of the parameters may cause; falls below it are no falls."""
        return 0.0

    @property
    def work(self) -> int:
        """Multiply-adds of a row's E-step, about."""
        return self.layout.size

    def adapt(self, summary: Summary) -> Self:
        """The same parameters, made ready for a fit to (prepared) data with this summary: origins, floors."""
        return self

    @property
    def n_covariates(self) -> int:
        """P, the covariates beside each row; 0 where the family takes none."""
        return 0

    @property
    def maximizes(self) -> bool:
        """Whether the M-step maximises; where it adds to what does, the bound may fall towards its fixed point."""
        return True

    @property
    def unregularised(self) -> bool:
        """Whether nothing is asked to be added to what the M-step finds."""
        return True

    def given_columns(self, n: int) -> Self:
        """The same family with ``n`` covariates. Raises ValueError where it takes none."""
        raise ValueError(f"{self.name} emissions take no covariates: leave given out")

    def sample_given(self, states: Array, given: Array, rng: np.random.Generator) -> Array:
        """Draws one row for each state (n,) and its covariates (n, P): (n, D)."""
        raise ValueError(f"{self.name} emissions take no covariates: leave given out")

    @property
    def preparation(self) -> str:
        """The name of what :meth:`prepare` makes of the rows; empty where they are read as they are."""
        return ""

    def prepare(self, X: Array, summary: Summary) -> tuple[Array, Array | None]:
        """The rows as kernel and ``evaluate`` read them, done once for a fit, and their base measure.

        The base measure (n,) is what all components have in common in a row's log-density; None: nothing.
        """
        return X, None

    def reading(self, source: Source) -> Source:
        """The source with the columns alone that the family reads. Raises ValueError naming one that it cannot read."""
        return source

    @property
    def families(self) -> Sequence[Emission]:
        """The families it is made of, itself where that is of no others."""
        return (self,)

    @property
    def symbols_read(self) -> int | None:
        """How many symbols it knows; None where rows are none."""
        return None

    @property
    def takes_unknown(self) -> bool:
        """Whether texts that are none of its symbols are missing cells; else they are an error."""
        return False

    def check_names(self, columns: Sequence[str], symbols: Sequence[Any]) -> None:
        """Raises ValueError unless a model's names of columns and symbols name what is read, each once."""
        M = self.symbols_read
        if symbols and (len(symbols) != M or len(set(symbols)) < len(symbols)):
            raise ValueError(f"{len(set(symbols))} symbols are named, the model has {M}")
        if columns and len(columns) != self.n_columns:
            raise ValueError(f"{len(columns)} columns are named, the model has {self.n_columns}")

    def n_prepared(self, columns: int, missing: bool) -> int:
        """Columns that :meth:`prepare` makes of so many; ``missing``: where cells are."""
        return columns

    def clustering_features(self, X: Array, summary: Summary) -> Array:
        """Prepared rows as k-means sees them: cells that are missing are the column's mean."""
        return np.where(np.isnan(X), summary.mean, X) if summary.missing else X

    def climb(self, batch: Batch, weights: Array, steps: int, sure: float, hardly: float) -> Climbed | None:
        """Some EM steps in one call, of a mixture with these mixing ``weights`` (K,) whose rows are one batch; None:
        they are made one by one. They end before one in which a component of at least the weight ``sure`` (0: none)
        has less than ``hardly`` of all rows."""
        return None

    def kernel(self, summary: Summary) -> Spec | None:
        """What the compiled kernels need to do a leaf in one call; None: ``evaluate`` and NumPy do it."""
        return None

    def validate(self, batch: Batch) -> None:
        """Raises ValueError naming the first row, as it was given, that the family cannot have produced."""

    def check_prepared(self, summary: Summary) -> None:
        """Raises ValueError where prepared rows with this summary, of this :attr:`preparation`, have another shape."""
