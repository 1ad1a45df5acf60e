"""How an observation comes from a hidden state: one family a file."""

from estep.emissions.bernoulli import Bernoulli
from estep.emissions.categorical import Categorical
from estep.emissions.exponential import Exponential
from estep.emissions.gamma import Gamma
from estep.emissions.gaussian import Gaussian
from estep.emissions.log_normal import LogNormal
from estep.emissions.mixture_of import MixtureOf
from estep.emissions.multinomial import Multinomial
from estep.emissions.negative_binomial import NegativeBinomial
from estep.emissions.poisson import Poisson
from estep.emissions.student import Student
from estep.emissions.von_mises import VonMises

FAMILIES = {
    family.name: family
    for family in (
        Gaussian, Categorical, Poisson, Bernoulli, Multinomial, NegativeBinomial, Exponential, Gamma, LogNormal,
        Student, VonMises,
    )
}  # fmt: skip
"""The built-in families by name: those that need no other."""

__all__ = [
    "FAMILIES", "Bernoulli", "Categorical", "Exponential", "Gamma", "Gaussian", "LogNormal", "MixtureOf", "Multinomial",
    "NegativeBinomial", "Poisson", "Student", "VonMises",
]  # fmt: skip
