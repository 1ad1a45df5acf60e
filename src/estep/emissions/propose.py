"""Families for the columns of a table, proposed by their types and values."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from estep.data.columns import is_frame
from estep.data.forms import unpacked
from estep.data.frames import Symbols, encode
from estep.emissions.bernoulli import Bernoulli
from estep.emissions.categorical import Categorical
from estep.emissions.gaussian import Gaussian
from estep.emissions.log_normal import LogNormal
from estep.emissions.poisson import Poisson
from estep.emissions.product import Product
from estep.interface import Emission
from estep.statistics import Array
from estep.util.numbers import as_numbers

LARGE = 20
"""Whole numbers with a larger mean are no counts: years, ages, sizes."""
SKEWED = 1.0
"""Positive numbers with a larger skewness are log-normal, if their logarithms have less than half of it."""
MOST_CODES = 10
"""Whole numbers from 1 with so few values are codes of categories."""
MOST_SYMBOLS = 50
FEW = 20
"""With fewer rows nothing is told of ids, codes and skewness."""
DATE = re.compile(r"(\d{4}-\d{1,2}-\d{1,2}|\d{1,2}[./]\d{1,2}[./]\d{2,4})([T ]\d{1,2}:\d{2}.*)?")
ID = re.compile(r"(^|_)(id|uuid|key|index|nr)$", re.IGNORECASE)


def propose(data: Any) -> Product:
    """Families for the columns of a data frame (or a list of them, or an array): by their types and values.

    Texts, true or false with three values and more, and small sets of whole numbers from 1: categorical. Zeros and
    ones: Bernoulli. Counts: Poisson. Skewed positive numbers: log-normal. All other numbers, large whole ones too:
    Gaussian, with variances of their own. Ids, dates and texts that differ from row to row are left out, with a warning
    that names them.

    Raises ValueError for texts with more than 50 values, and where no column is left.
    """
    data, _ = unpacked(data, None)
    if is_frame(data):
        product, left_out = proposed(*encode(data))
    else:
        product, left_out = proposed(as_numbers(data).astype(np.float64), (), ())
    if left_out:
        warnings.warn(said(left_out), UserWarning, stacklevel=2)
    return product


def with_families(product: Product, chosen: Mapping[str, Emission], names: Sequence[str]) -> Product:
    """A product in which some columns have other families. Raises ValueError for a column that is none of ``names``."""
    for column in chosen:
        if column not in names:
            raise ValueError(f"there is no column {column!r}: they are {', '.join(names)}")
    kept = [(tuple(c for c in key if c not in chosen), family) for key, family in product.parts]
    return Product([(key, family) for key, family in kept if key] + [((c,), f) for c, f in chosen.items()])


def said(left_out: dict[str, str]) -> str:
    """What is left out, and why."""
    return "columns left out: " + "; ".join(f"{column!r} {why}" for column, why in left_out.items())


def proposed(X: Array, names: tuple[str, ...], symbols: Symbols) -> tuple[Product, dict[str, str]]:
    """Families for columns (n, D), and why columns are left out; with ``names``, those in ``symbols`` were texts."""
    if X.ndim != 2:
        raise ValueError(f"families are proposed for the columns of a table; the data have shape {X.shape}")
    texts, left_out = dict(symbols), dict[str, str]()
    kinds: dict[str, list[Any]] = {"gaussian": [], "log_normal": [], "poisson": [], "bernoulli": []}
    parts: dict[Any, Emission] = {}
    for d in range(X.shape[1]):
        column: Any = names[d] if names else d
        observed = X[:, d][~np.isnan(X[:, d])]
        why = _no_feature(observed, str(column) if names else "", texts.get(column))
        if why:
            left_out[str(column)] = why
        elif column in texts:
            parts[column] = Categorical(n_symbols=len(texts[column]))
        elif (kind := _kind(observed)) == "categorical":
            parts[column] = Categorical(first=1)  # as codes are counted
        else:
            kinds[kind].append(column)
    families: dict[str, Emission] = {
        "gaussian": Gaussian("diag"), "log_normal": LogNormal(Gaussian("diag")), "poisson": Poisson(),
        "bernoulli": Bernoulli(),
    }  # fmt: skip
    found = {tuple(columns): families[kind] for kind, columns in kinds.items() if columns} | parts
    if not found:
        raise ValueError(f"no column is left: {said(left_out)}")
    return Product(found), left_out


def _no_feature(observed: Array, name: str, texts: tuple[str, ...] | None) -> str:
    """Why a column says nothing of the rows; empty: it may. Raises ValueError for too many texts."""
    n = len(observed)
    if texts is None:
        whole = n > FEW and bool((observed == np.floor(observed)).all()) and len(np.unique(observed)) == n
        running = whole and observed.max() - observed.min() == n - 1
        return "numbers the rows" if running or (whole and ID.search(name)) else ""
    if all(map(DATE.fullmatch, texts)):
        return "has dates"
    if len(texts) > max(FEW, n / 2):
        return "has another text in almost every row"
    if len(texts) > MOST_SYMBOLS:
        raise ValueError(
            f"column {name!r} has {len(texts)} texts, more than {MOST_SYMBOLS}: leave it out, group them, or name its "
            "family, Categorical()"
        )
    return ""


def _kind(observed: Array) -> str:
    if np.isin(observed, (0.0, 1.0)).all():
        return "bernoulli"
    whole = (observed >= 0).all() and (observed == np.floor(observed)).all()
    if whole and observed.mean() <= LARGE:
        codes = len(observed) > FEW and observed.min() >= 1 and observed.max() <= MOST_CODES
        return "categorical" if codes else "poisson"
    return "log_normal" if len(observed) > FEW and (observed > 0).all() and _skewed(observed) else "gaussian"


def _skewed(values: Array) -> bool:
    raw, logs = _skewness(values), _skewness(np.log(values))
    return raw > SKEWED and abs(logs) < raw / 2


def _skewness(values: Array) -> float:
    apart = values - values.mean()
    deviation = apart.std()
    return float(((apart / deviation) ** 3).mean()) if deviation > 0 else 0.0
