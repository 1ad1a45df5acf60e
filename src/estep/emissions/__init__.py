"""How an observation comes from a hidden state: one family a file."""

from estep.emissions.categorical import Categorical
from estep.emissions.gaussian import Gaussian
from estep.emissions.mixture_of import MixtureOf
from estep.emissions.poisson import Poisson

FAMILIES = {family.name: family for family in (Gaussian, Categorical, Poisson)}
"""The built-in families by name: those that need no other."""

__all__ = ["FAMILIES", "Categorical", "Gaussian", "MixtureOf", "Poisson"]
