"""The three abstract ideas: what is hidden (Latent), what is seen (Emission), how to estimate (Algorithm).

A model is latent x emission. Neither knows the other: they meet in the log-densities ``(n, K)`` of a batch of rows and
in the responsibilities ``(n, K)`` that come back. An algorithm knows neither: it does arithmetic on statistics. What
works on models knows them as :class:`AnyModel`.
"""

from estep.interface.algorithm import Algorithm, Data, Step
from estep.interface.emission import Climbed, Emission, Evaluation, Notes
from estep.interface.latent import Boundary, Latent, Path
from estep.interface.margin import Margin
from estep.interface.model import AnyModel
from estep.interface.task import Known, Task

__all__ = [
    "Algorithm", "AnyModel", "Boundary", "Climbed", "Data", "Emission", "Evaluation", "Known",
    "Latent", "Margin", "Notes", "Path", "Step", "Task",
]  # fmt: skip
