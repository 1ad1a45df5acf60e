"""Some columns of a mixture given the others, and some by themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from estep.data.columns import frame_like, frame_of, is_frame
from estep.data.frames import codes
from estep.data.source import Source
from estep.emissions._shared.tables import as_table
from estep.inference.impute import fill, likely_values
from estep.inference.predictive import Predictive, columns_of, own_columns, predictive
from estep.inference.prepare import prepared
from estep.inference.sample import covariates, wants_covariates
from estep.inference.smooth import predict_proba
from estep.interface import AnyModel
from estep.statistics import Array
from estep.util.numbers import as_numbers, is_missing, pick


@dataclass(frozen=True, eq=False)
class Conditional(Predictive):
    """The columns ``names`` of a mixture given others, of n rows: mixtures of the ``margins`` with ``probabilities``
    (n, K), those of the components given what is known (Bishop 2006, section 2.3.1 of one component; Ghahramani &
    Jordan 1994 of mixtures)."""

    model: AnyModel
    rows: Array

    def best(self) -> Array:
        """Conditional means (n, D), of symbols the likeliest: the regression of these columns on the others."""
        return likely_values(self)

    def sample(self, random_state: Any = None) -> Array:
        """One draw of these columns together for each row, (n, D)."""
        rng = np.random.default_rng(random_state)
        states = pick(self.probabilities, rng.random(len(self.rows)))
        own = own_columns(self.model)
        places = [own[columns_of(self.model)[0].index(name)] for name in self.names]
        return fill(self.model, states, self.rows, rng)[:, places]

    def to_frame(self, level: float = 0.95) -> Any:
        """A pandas data frame, a line a row: NAME_mean, NAME_lower, NAME_upper; of symbols their probabilities."""
        return frame_like(None, self.columns(level))


def conditional(model: AnyModel, known: Any, given: Any = None) -> Conditional:
    """The other columns given those that are ``known``: a mapping of names (or numbers) of columns to their values,
    numbers or one a row, or a data frame of these columns. ``given`` (n, P): covariates.

    Raises ValueError naming a column that the model does not have, or where none is known or none is left.
    """
    names, symbols = columns_of(model)
    values = _values(known, names)
    if not values or len(values) == len(names):
        which = "no column is known" if not values else "all columns are known, and none is left"
        raise ValueError(f"{which}: give some of {', '.join(names)}")
    texts = dict(zip(names, symbols, strict=True))
    columns = {name: _numbers(name, value, texts[name]) for name, value in values.items()}
    lengths = {len(x) for x in columns.values() if x.ndim}
    P, G = model.emission.n_covariates, None
    if wants_covariates(model.emission, given, "them as given="):
        rows = np.atleast_2d(given) if np.ndim(given) == 1 and P > 1 else given
        G = covariates(model.emission, model.columns, rows, len(rows))
    if G is not None and (len(G) > 1 or not lengths):
        lengths = lengths | {len(G)}
    n = max(lengths | {1})
    if lengths - {n}:
        rows_of = "known has columns" if G is None else "known and given have columns"
        raise ValueError(f"{rows_of} of {' and '.join(map(str, sorted(lengths)))} rows")
    rows = np.full((n, max(len(model.columns), model.emission.n_columns)), np.nan)
    if G is not None:
        rows[:, :P] = G
    own = own_columns(model)
    for name, value in columns.items():
        rows[:, own[names.index(name)]] = value
    source = prepared(as_source_of(model, rows), model.emission)
    p = source.unsorted(predict_proba(model, source, source, None, "raise"))
    left = [d for d, name in enumerate(names) if name not in columns]
    found = predictive(model, p, rows).some(left)
    return Conditional(**{f.name: getattr(found, f.name) for f in fields(Predictive)}, model=model, rows=rows)


def as_source_of(model: AnyModel, rows: Array) -> Source:
    """Rows (n, P + D) in the order of the model's columns."""
    X = np.where(np.isnan(rows), -1, rows).astype(np.int32) if model.emission.rows == "symbols" else rows
    return Source(X, columns=model.columns, symbols=model.symbols, n_given=model.emission.n_covariates)


def _values(known: Any, names: Sequence[str], what: str = "known") -> dict[str, Any]:
    """What is known by name. Raises ValueError naming a column that there is none of."""
    if is_frame(known):
        frame = frame_of(known)
        given = {name: frame[name].to_list() for name in frame.columns}
    elif isinstance(known, Mapping):
        given = dict(known)
    else:
        raise TypeError("known is a mapping of columns to values, such as {'x0': 1.5}, or a data frame of some columns")
    out = {}
    for key, value in given.items():
        number = isinstance(key, int | np.integer) and not isinstance(key, bool) and 0 <= key < len(names)
        name = names[int(key)] if number else str(key)
        if name not in names:
            raise ValueError(f"{what} has a column {key!r}; the model has {', '.join(names)}")
        out[name] = value
    return out


def _numbers(name: str, value: Any, texts: Sequence[str]) -> Array:
    """Values of a column as numbers, NaN where none is known."""
    if len(texts):
        cells = np.asarray(value, dtype=object)
        known = [None if is_missing(cell) else str(cell) for cell in np.atleast_1d(cells)]
        if all(cell is None for cell in known):
            return np.full(cells.shape, np.nan)
        return codes(known, name, tuple(texts))[0].reshape(cells.shape)
    numbers = as_numbers(value, f"known[{name!r}]").astype(np.float64)
    if numbers.ndim > 1:
        raise ValueError(f"known[{name!r}] has shape {numbers.shape}: it is a number, or one for each row")
    return numbers


def marginal(model: Any, columns: Any) -> Any:
    """The model of some columns alone. Raises ValueError naming one that it does not have, or has twice."""
    names, symbols = columns_of(model)
    several = isinstance(columns, Sequence | np.ndarray) and not isinstance(columns, str)
    wanted = list(columns) if several else [columns]
    chosen = list(_values(dict.fromkeys(wanted), names, "columns"))
    if len(chosen) < len(wanted) or not chosen:
        raise ValueError(f"columns is {wanted!r}: give some of {', '.join(names)}, each once")
    emission, P = model.emission, model.emission.n_covariates
    places = [names.index(name) for name in chosen]
    if emission.rows == "table":
        places.sort()
        drawn = as_table(emission, model.columns)  # where each column of the data is in the draws
        new = emission.of_columns(sorted(drawn[d] for d in places))
    else:
        new = emission.of_columns(places)
    kept = tuple(names[d] for d in places)
    texts = {name: text for name, text in zip(names, symbols, strict=True) if name in kept and len(text)}
    by_name = tuple(texts.items()) if emission.rows == "table" else model.symbols
    labelled = (*model.columns[:P], *kept) if any(model.columns) else ()
    return replace(model, emission=new, columns=labelled, symbols=by_name, prior=None, posterior=None, constraints=None)
