"""hmmlearn 0.3's classes over this engine: scripts run with their import changed.

``from estep.compat.hmmlearn import hmm`` stands for ``from hmmlearn import hmm``, and so do ``base``, ``vhmm`` and
``utils``. Names, arguments, units, starts and priors are hmmlearn's; what differs is listed in the documentation under
"Coming from hmmlearn".
"""

from estep.compat.hmmlearn import base, hmm, stats, utils, vhmm
from estep.compat.hmmlearn.hmm import GMMHMM, CategoricalHMM, GaussianHMM, MultinomialHMM, PoissonHMM
from estep.compat.hmmlearn.vhmm import VariationalCategoricalHMM, VariationalGaussianHMM

__all__ = [
    "GMMHMM",
    "CategoricalHMM",
    "GaussianHMM",
    "MultinomialHMM",
    "PoissonHMM",
    "VariationalCategoricalHMM",
    "VariationalGaussianHMM",
    "base",
    "hmm",
    "stats",
    "utils",
    "vhmm",
]
