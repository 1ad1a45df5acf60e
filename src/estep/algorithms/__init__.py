"""Ways of estimating: one a file, each for every model."""

from estep.algorithms.annealed import Annealed
from estep.algorithms.em import EM
from estep.algorithms.hard import Hard
from estep.algorithms.incremental import Incremental
from estep.algorithms.online import Online
from estep.algorithms.squarem import Squarem
from estep.algorithms.stochastic import Stochastic
from estep.interface import Algorithm

ALGORITHMS: dict[str, type[Algorithm]] = {
    kind.name: kind for kind in (EM, Squarem, Incremental, Online, Annealed, Hard, Stochastic)
}
"""The algorithms by name."""


def make_algorithm(algorithm: Algorithm | str) -> Algorithm:
    """An algorithm by name or as an object."""
    if isinstance(algorithm, Algorithm):
        return algorithm
    if algorithm not in ALGORITHMS:
        raise ValueError(f"algorithm is {algorithm!r}: it is one of {', '.join(ALGORITHMS)}, or an Algorithm")
    return ALGORITHMS[algorithm]()


__all__ = ["ALGORITHMS", "EM", "Annealed", "Hard", "Incremental", "Online", "Squarem", "Stochastic", "make_algorithm"]
