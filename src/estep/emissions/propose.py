"""Families for the columns of a table, proposed by their types and values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from estep.data.columns import is_frame
from estep.data.forms import unpacked
from estep.data.frames import Symbols, encode
from estep.emissions.bernoulli import Bernoulli
from estep.emissions.categorical import Categorical
from estep.emissions.gaussian import Gaussian
from estep.emissions.poisson import Poisson
from estep.emissions.product import Product
from estep.interface import Emission
from estep.statistics import Array
from estep.util.numbers import as_numbers

LARGE = 20
"""Counts with a larger mean and half of its variance are none: years, sizes."""


def propose(data: Any) -> Product:
    """Families for the columns of a data frame (or a list of them, or an array): by their types and values.

    Texts and true or false with three values and more: categorical; zeros and ones: Bernoulli; counts: Poisson; all
    other numbers: Gaussian, with variances of their own, and so are large whole numbers that vary less than counts do.
    """
    data, _ = unpacked(data, None)
    if is_frame(data):
        return proposed(*encode(data))
    return proposed(as_numbers(data).astype(np.float64), (), ())


def proposed(X: Array, names: tuple[str, ...], symbols: Symbols) -> Product:
    """Families for columns (n, D); with ``names``, those in ``symbols`` were texts."""
    if X.ndim != 2:
        raise ValueError(f"families are proposed for the columns of a table; the data have shape {X.shape}")
    texts = dict(symbols)
    kinds: dict[str, list[Any]] = {"gaussian": [], "poisson": [], "bernoulli": []}
    parts: dict[Any, Emission] = {}
    for d in range(X.shape[1]):
        column: Any = names[d] if names else d
        if column in texts:
            parts[column] = Categorical(n_symbols=len(texts[column]))
        else:
            kinds[_kind(X[:, d])].append(column)
    families: Mapping[str, Emission] = {"gaussian": Gaussian("diag"), "poisson": Poisson(), "bernoulli": Bernoulli()}
    return Product({tuple(columns): families[kind] for kind, columns in kinds.items() if columns} | parts)


def _kind(values: Array) -> str:
    observed = values[~np.isnan(values)]
    if np.isin(observed, (0.0, 1.0)).all():
        return "bernoulli"
    if (observed < 0).any() or (observed != np.floor(observed)).any():
        return "gaussian"
    return "gaussian" if observed.mean() > LARGE and observed.var() < observed.mean() / 2 else "poisson"
