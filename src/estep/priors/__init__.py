"""Prior distributions of parameters, and their posteriors, which are of the same kind (conjugate).

A prior takes statistics in and is a posterior then. Its mode is the maximum a posteriori; the posterior itself, kept
whole, is variational Bayes (Bishop 2006, chapter 10). Arrays broadcast against the parameters: one number is the same
for all components and columns, ``(D,)`` the same for each component, ``(K, D)`` its own.
"""

from estep.priors.base import Conjugate, Prior
from estep.priors.matrix_normal_wishart import MatrixNormalInverseWishart
from estep.priors.normal_wishart import NormalInverseWishart
from estep.priors.probabilities import Beta, Dirichlet, DirichletProcess, Sticks, expected_probabilities
from estep.priors.pseudo_rows import PseudoRows
from estep.priors.rates import Gamma

PRIORS: dict[str, type[Prior]] = {
    kind.name: kind
    for kind in (
        Dirichlet,
        DirichletProcess,
        Sticks,
        Beta,
        Gamma,
        NormalInverseWishart,
        MatrixNormalInverseWishart,
        PseudoRows,
    )
}
"""The kinds of priors and posteriors by name."""

__all__ = [
    "PRIORS", "Beta", "Conjugate", "Dirichlet", "DirichletProcess", "Gamma", "MatrixNormalInverseWishart",
    "NormalInverseWishart", "Prior", "PseudoRows", "Sticks", "expected_probabilities",
]  # fmt: skip
