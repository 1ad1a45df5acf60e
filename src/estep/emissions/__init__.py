"""How an observation comes from a hidden state: one family a file."""

from collections.abc import Mapping
from typing import Any

from estep.emissions.bernoulli import Bernoulli
from estep.emissions.categorical import Categorical
from estep.emissions.exponential import Exponential
from estep.emissions.factor_analysis import FactorAnalysis
from estep.emissions.gamma import Gamma
from estep.emissions.gaussian import Gaussian
from estep.emissions.linear_regression import LinearRegression
from estep.emissions.log_normal import LogNormal
from estep.emissions.mixture_of import MixtureOf
from estep.emissions.multinomial import Multinomial
from estep.emissions.negative_binomial import NegativeBinomial
from estep.emissions.poisson import Poisson
from estep.emissions.product import Product
from estep.emissions.student import Student
from estep.emissions.von_mises import VonMises
from estep.interface import Emission

FAMILIES: dict[str, type[Emission]] = {
    family.name: family
    for family in (
        Gaussian, Categorical, Poisson, Bernoulli, Multinomial, NegativeBinomial, Exponential, Gamma, LogNormal,
        Student, VonMises, FactorAnalysis, LinearRegression,
    )
}  # fmt: skip
"""The built-in families by name: those that need no other."""
COMPOSED: dict[str, type[Emission]] = {family.name: family for family in (MixtureOf, Product)}
"""Those that are made of others."""


def make_emission(emission: Emission | str | Mapping[Any, Any]) -> Emission:
    """A family by name or as an (unfitted) value; of a mapping of columns to families their product."""
    if isinstance(emission, Mapping):
        return Product({columns: make_emission(family) for columns, family in emission.items()})
    if isinstance(emission, str):
        if emission not in FAMILIES:
            raise ValueError(f"emission is {emission!r}: it is one of {', '.join(FAMILIES)}, or an Emission")
        return FAMILIES[emission]()
    if not isinstance(emission, Emission):
        raise TypeError(f"emission is {emission!r}: give a family's name or an Emission such as Poisson()")
    return emission


__all__ = [
    "COMPOSED", "FAMILIES", "Bernoulli", "Categorical", "Exponential", "FactorAnalysis", "Gamma", "Gaussian",
    "LinearRegression", "LogNormal", "MixtureOf", "Multinomial", "NegativeBinomial", "Poisson", "Product", "Student",
    "VonMises", "make_emission",
]  # fmt: skip
