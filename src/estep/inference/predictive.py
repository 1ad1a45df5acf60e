"""How rows that are not there are distributed: each column a mixture of the components' margins."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from estep.data.columns import frame_like
from estep.data.frames import named
from estep.data.missing import is_missing
from estep.emissions._shared.tables import as_table, place_in
from estep.interface import AnyModel, Margin
from estep.statistics import Array
from estep.util.numbers import as_share

HALVINGS = 100
"""Of the bracket of a quantile, at most: more change nothing."""


@dataclass(frozen=True, eq=False)
class Predictive:
    """Columns of n rows, each a mixture of ``margins`` with ``probabilities`` (n, K) of the components.

    ``names`` of the columns, and of their symbols ``symbols``, () where these are numbers.
    """

    names: tuple[str, ...]
    margins: Sequence[Margin]
    probabilities: Array
    symbols: Sequence[Sequence[Any]]

    def some(self, columns: Sequence[int]) -> Predictive:
        """Some of the columns."""
        names, margins = tuple(self.names[d] for d in columns), [self.margins[d] for d in columns]
        return Predictive(names, margins, self.probabilities, [self.symbols[d] for d in columns])

    def _mixed(self, values: Array) -> Array:
        """Values (n,) from those of the components (..., K)."""
        return np.asarray((self.probabilities * values).sum(axis=-1))

    def mean(self) -> Array:
        """Means (n, D): of angles the mean direction; of symbols, which have none, NaN."""
        return self._columns(self._mean)

    def _mean(self, margin: Margin) -> Array:
        if margin.kind == "symbol":
            return np.full(len(self.probabilities), np.nan)
        mean = self._mixed(margin.mean())
        return np.angle(mean) if margin.kind == "angle" else mean

    def variance(self) -> Array:
        """Variances (n, D); of angles, one less the length of the mean of exp(i x); of symbols NaN."""
        return self._columns(self._variance)

    def _variance(self, margin: Margin) -> Array:
        if margin.kind == "symbol":
            return np.full(len(self.probabilities), np.nan)
        if margin.kind == "angle":
            return 1 - np.abs(self._mixed(margin.mean()))
        means, whole = margin.mean(), self._mixed(margin.mean())
        return self._mixed(margin.variance() + (means - whole[:, None]) ** 2)

    def symbol_probabilities(self, d: int) -> Array:
        """The probabilities (n, M) of the symbols of column d."""
        table = self.margins[d].table
        assert table is not None
        return np.asarray((self.probabilities[:, :, None] * table).sum(axis=1))

    def likeliest(self, d: int) -> Array:
        """The most probable symbol (n,) of column d."""
        return np.asarray(self.symbol_probabilities(d).argmax(axis=1))

    def cdf(self, X: Array) -> tuple[Array, Array]:
        """P(x < X) and P(x <= X), (n, D) each; angles are counted from opposite the mean direction, symbols in their
        order. NaN where X is."""
        pairs = [self._between(d, X[:, d]) for d in range(len(self.margins))]
        below, upto = (np.stack(x, axis=1) for x in zip(*pairs, strict=True))
        return np.where(np.isnan(X), np.nan, below), np.where(np.isnan(X), np.nan, upto)

    def _between(self, d: int, x: Array) -> tuple[Array, Array]:
        margin = self.margins[d]
        if margin.kind == "symbol":
            sums = np.cumsum(self.symbol_probabilities(d), axis=1)
            sums = np.hstack([np.zeros((len(sums), 1)), sums / sums[:, -1:]])
            at = np.nan_to_num(x).astype(np.int64)[:, None]
            return np.take_along_axis(sums, at, 1)[:, 0], np.take_along_axis(sums, at + 1, 1)[:, 0]
        if margin.kind == "angle":
            turn, low = self._from_opposite(margin)
            p = turn(low + np.remainder(x - low, 2 * np.pi))
            return p, p
        return self._mixed(margin.below(x)), self._mixed(margin.cdf(x))

    def _from_opposite(self, margin: Margin) -> tuple[Any, Array]:
        """The distribution function of angles from opposite their mean direction on, and that point (n,)."""
        low = self._mean(margin) - np.pi
        start = margin.cdf(low)
        return (lambda x: self._mixed(margin.cdf(x) - start)), low

    def quantile(self, q: float) -> Array:
        """Quantiles (n, D), the least value with a probability of ``q`` up to it; of angles about the mean direction,
        perhaps beyond pi; of symbols NaN. Raises ValueError where q is not between 0 and 1."""
        share = as_share(q, "quantile")
        return self._columns(lambda margin: self._quantile(margin, share))

    def _quantile(self, margin: Margin, q: float) -> Array:
        n = len(self.probabilities)
        if margin.kind == "symbol":
            return np.full(n, np.nan)
        if margin.kind == "angle":
            turn, low = self._from_opposite(margin)
            return _bisected(turn, low, low + 2 * np.pi, q, False)
        low, high = (np.broadcast_to(x, (n,)).astype(float) for x in margin.around(q))
        whole = margin.kind == "count"
        return _bisected(lambda x: self._mixed(margin.cdf(x)), low - whole, high, q, whole)

    def interval(self, level: float) -> tuple[Array, Array]:
        """Quantiles (n, D) with as much below them as above: between them is the ``level``."""
        inside = as_share(level, "level")
        return self.quantile((1 - inside) / 2), self.quantile((1 + inside) / 2)

    def columns(self, level: float, quantiles: Sequence[float] = (), taken: Collection[str] = ()) -> dict[str, Array]:
        """What a table shows of each column: NAME_mean, NAME_lower, NAME_upper and NAME_q for each of ``quantiles``; of
        symbols, NAME_SYMBOL, their probabilities. A name that is ``taken`` already is written NAME[...]."""
        mean, (lower, upper) = self.mean(), self.interval(level)
        shares = [as_share(q, "quantile") for q in np.atleast_1d(np.array(quantiles)).tolist()]
        more = [(f"q{q:g}", self.quantile(q)) for q in shares]
        out: dict[str, Array] = {}
        for d, (name, margin) in enumerate(zip(self.names, self.margins, strict=True)):
            if margin.kind == "symbol":
                p = self.symbol_probabilities(d)
                known = enumerate(self.symbols[d]) if len(self.symbols[d]) else ((m, m) for m in margin.possible)
                own = [(str(s), p[:, m]) for m, s in known]
            else:
                shown = [("mean", mean), ("lower", lower), ("upper", upper), *more]
                own = [(what, x[:, d]) for what, x in shown]
            for what, values in own:
                plain = f"{name}_{what}"
                out[f"{name}[{what}]" if plain in out or plain in taken else plain] = values
        return out

    def _columns(self, of_one: Any) -> Array:
        n = len(self.probabilities)
        return np.stack([np.broadcast_to(of_one(margin), (n,)) for margin in self.margins], axis=1)


def _bisected(cdf: Any, low: Array, high: Array, q: float, whole: bool) -> Array:
    """The least x (n,) with cdf(x) >= q, between low, which has less, and high; a ``whole`` number."""
    for _ in range(HALVINGS):
        middle = np.floor((low + high) / 2) if whole else low + (high - low) / 2
        if ((middle <= low) | (middle >= high)).all():
            break
        enough = cdf(middle) >= q
        low, high = np.where(enough, low, middle), np.where(enough, middle, high)
    return high


def predictive(model: AnyModel, probabilities: Array, rows: Array | None = None) -> Predictive:
    """Of n rows with these probabilities (n, K) of components; ``rows`` (n, P + D): what is known of them, covariates
    first, else NaN. Raises ValueError where the family does not say how its columns are distributed."""
    emission, (names, symbols) = model.emission, columns_of(model)
    order = list(range(len(names)))
    if emission.rows == "table":
        order = as_table(emission, model.columns)
        rows = None if rows is None else rows[:, place_in(emission, model.columns)]
    margins = emission.margins(rows)
    if margins is None:
        raise ValueError(f"{emission.name} emissions do not say how columns are distributed: they need margins()")
    return Predictive(names, [margins[d] for d in order], probabilities, symbols)


def columns_of(model: AnyModel) -> tuple[tuple[str, ...], list[Sequence[Any]]]:
    """The names of the columns that the emission draws, in the order of the data, and of their symbols."""
    emission, P = model.emission, model.emission.n_covariates
    names = model.columns[P:]
    if emission.rows == "table":
        places = place_in(emission, model.columns)
        names = tuple(model.columns[d] for d in sorted(places)) if model.columns else tuple(map(str, places))
    if not any(names):
        names = tuple(f"x{d}" for d in range(emission.n_columns - P))
    texts = {names[0]: model.symbols} if emission.rows == "symbols" else dict(model.symbols)
    return names, [texts.get(name, ()) for name in names]


def with_names(model: AnyModel, X: Array) -> Any:
    """Rows that were drawn with the names of symbols: texts (n, 1), or of a table a data frame; as they are where the
    model has none."""
    if not model.symbols:
        return X
    names, symbols = columns_of(model)
    columns = {name: named(X[:, d], texts) for d, (name, texts) in enumerate(zip(names, symbols, strict=True))}
    return frame_like(None, columns) if model.emission.rows == "table" else columns[names[0]][:, None]


def own_columns(model: AnyModel) -> Array:
    """Where the columns that the emission draws are in the rows of a source, covariates first."""
    if model.emission.rows == "table":
        return np.array(sorted(place_in(model.emission, model.columns)))
    return np.arange(model.emission.n_covariates, model.emission.n_columns)


def rows_of(X: Array) -> Array:
    """Rows in double, NaN where a cell is missing."""
    return np.where(is_missing(X), np.nan, X).astype(np.float64)
