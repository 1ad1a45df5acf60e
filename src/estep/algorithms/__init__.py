"""Ways of estimating: one a file, each for every model."""

from estep.algorithms.em import EM
from estep.interface import Algorithm

ALGORITHMS: dict[str, type[Algorithm]] = {"em": EM}
"""The algorithms by name."""

__all__ = ["ALGORITHMS", "EM"]
