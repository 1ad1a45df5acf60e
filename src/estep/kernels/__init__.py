"""The kernels: one leaf of data in, statistics out. ``reference`` is NumPy, the definition of right."""

from estep.kernels.backend import LEVELS, Kernels, active, levels, load, log_densities, prepare
from estep.kernels.spec import Spec, dense

__all__ = ["LEVELS", "Kernels", "Spec", "active", "dense", "levels", "load", "log_densities", "prepare"]
