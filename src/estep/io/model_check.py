"""Whether a model read from a file can be computed with: its names, its posteriors, its densities."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from estep.data.inputs import as_source
from estep.emissions import FAMILIES, MixtureOf, Product
from estep.emissions._shared.tables import as_table
from estep.interface import Emission
from estep.model import Model
from estep.statistics import Statistics


def check_names(model: Model) -> None:
    """Raises ValueError unless columns and symbols name what the model reads, each once."""
    emission, named = model.emission, [c for c in model.columns if c]
    if twice := [c for c in named if named.count(c) > 1]:
        raise ValueError(f"columns names {twice[0]!r} twice")
    if emission.rows == "table":
        return _check_table(model)
    M = getattr(emission, "n_symbols", None)
    if model.symbols and (len(model.symbols) != M or len(set(model.symbols)) < len(model.symbols)):
        raise ValueError(f"{len(set(model.symbols))} symbols are named, the model has {M}")
    if model.columns and len(model.columns) != emission.n_columns:
        raise ValueError(f"{len(model.columns)} columns are named, the model has {emission.n_columns}")


def _check_table(model: Model) -> None:
    """Raises ValueError unless columns and symbols are those that a table's families read."""
    product = getattr(model.emission, "inner", model.emission)
    assert isinstance(product, Product)
    families: dict[str, Emission] = {}
    if model.columns:
        places = product.places(model.columns, len(model.columns))
        families = {model.columns[d]: f for (_, f), place in zip(product.parts, places, strict=True) for d in place}
    columns = [column for column, _ in model.symbols]
    if len(set(columns)) < len(columns):
        raise ValueError("symbols names a column twice")
    for column, texts in model.symbols:
        M = getattr(families.get(column), "n_symbols", None)
        if column not in families or M is None:
            raise ValueError(f"symbols names column {column!r}, which has none")
        if len(texts) != M or len(set(texts)) < len(texts):
            raise ValueError(f"column {column!r} has {len(set(texts))} names of symbols, the model has {M}")


def check_posterior(part: Any, prior: Mapping[str, Any], posterior: Mapping[str, Any]) -> None:
    """Raises ValueError where a posterior is of another kind or shape than those that the priors become."""
    for name, like in part.update(prior, Statistics.zeros(part.layout)).items():
        one = posterior[name]
        if type(one) is not type(like):
            raise ValueError(f"the posterior of {name} is a {one.name}, expected a {like.name}")
        for field_name, value in vars(like).items():
            if isinstance(value, np.ndarray) and np.shape(getattr(one, field_name)) != value.shape:
                found = np.shape(getattr(one, field_name))
                raise ValueError(f"{field_name} of the posterior of {name} has shape {found}, expected {value.shape}")


def check_works(model: Model) -> None:
    """Raises ValueError where densities of rows that the components themselves draw are not numbers."""
    rng, K = np.random.default_rng(0), model.n_components
    P, states = model.emission.n_covariates, np.arange(K)
    given = np.zeros((K, P)) if P else None
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            rows = (
                model.emission.sample(states, rng) if given is None else model.emission.sample_given(states, given, rng)
            )
            if model.emission.rows == "table":
                rows = rows[:, as_table(model.emission, model.columns)]
            chain = model.latent.sequential
            names = model.columns if rows.shape[1] + P == len(model.columns) else ()
            source = as_source(rows, None, None, model.emission.rows, names[P:], given=given, chain=chain)
            units = model.score_units(source)
    except (ValueError, FloatingPointError, OverflowError, np.linalg.LinAlgError) as error:
        raise ValueError(f"its parameters are none that can be computed with ({error})") from None
    if not (units < np.inf).all():
        raise ValueError("its parameters are none that can be computed with: densities are not numbers")


def builtin(emission: Emission) -> bool:
    """Whether all families are the package's own."""
    if isinstance(emission, Product):
        return all(map(builtin, emission.families))
    if isinstance(emission, MixtureOf):
        return builtin(emission.inner)
    return type(emission) in FAMILIES.values()
