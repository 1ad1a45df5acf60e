"""EM steps of a small mixture that were made in one call, given out one by one."""

from __future__ import annotations

from collections.abc import Callable

from estep.interface import AnyModel, Climbed
from estep.statistics import Statistics


class Climb:
    """``model``: the one that enters the next step; ``base``: what is added to the log-likelihoods; ``read()`` is
    called for each step that is taken."""

    def __init__(self, model: AnyModel, found: Climbed, base: float, read: Callable[[], None]) -> None:
        self.model, self._found, self._base, self._read, self._at = model, found, base, read, 0

    @property
    def over(self) -> bool:
        """Whether no steps are left."""
        return self._at == len(self._found.loglik)

    def step(self) -> tuple[float, AnyModel]:
        """The bound of the model that enters the next step, and the one that leaves it."""
        i, found = self._at, self._found
        self._at += 1
        self._read()
        latent = self.model.latent.maximize(Statistics(self.model.layouts[1], found.counts[i]))
        self.model = self.model.evolve(latent=latent, emission=found.emission(i))
        return float(found.loglik[i]) + self._base, self.model
