"""The starts of a fit: which kind each is, and how it is made.

Start 0 is k-means. Odd starts are of several kinds by turns; even ones, from 2 on, perturb the best fit so far. The
kind and the random numbers of a start depend on its number alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from estep.algorithms import EM
from estep.data.source import Source
from estep.execution.base import Execute
from estep.execution.serial import Serial
from estep.fitting.loop import fit_together
from estep.fitting.starts.begin import METHODS, begun, check, complete
from estep.fitting.starts.perturb import moved, rearranged, recut, redrawn, shaken
from estep.fitting.stopping import Stop
from estep.interface import Emission, Latent
from estep.model import Model

PORTFOLIO = "portfolio"
SIMPLER = 4  # starts of a family that is contained in the one to be fitted
PERTURBED = "perturbed"
WAYS = {
    False: ("moved", "rearranged"),
    True: ("shaken", "moved", "shaken", "redrawn", "shaken", "rearranged"),
}
IN_ORDER = ("recut", "recut", "shaken", "recut", "rearranged")
"""How perturbed starts are, by turns: of rows by themselves, of sequences, and of states that follow each other."""


@dataclass(frozen=True)
class Starts:
    """The starts of ``n_components`` in prepared data, one a stream. ``method``: "portfolio", or the kind of all.

    ``finish`` makes of a start what is fitted: it adds priors and constraints.
    """

    latent: Latent
    emission: Emission
    source: Source
    n_components: int
    method: str
    streams: Sequence[np.random.Generator]
    finish: Callable[[Model], Model] = lambda model: model

    def __post_init__(self) -> None:
        if self.method not in (PORTFOLIO, *METHODS):
            raise ValueError(f"init_params is {self.method!r}: it is one of {PORTFOLIO}, {', '.join(METHODS)}")
        check(self.latent, self.emission, self.source, self.n_components)

    def __len__(self) -> int:
        alike = self.n_components * self.emission.n_parts == 1 or (complete(self.latent) and complete(self.emission))
        return 1 if alike else len(self.streams)

    @property
    def perturbs(self) -> bool:
        """Whether even starts perturb the best so far."""
        return self.method == PORTFOLIO and self.n_components > 1

    def fresh(self) -> list[int]:
        """The numbers of the starts that are made of the data alone."""
        return [i for i in range(len(self)) if i == 0 or i % 2 or not self.perturbs]

    def kind(self, i: int) -> str:
        """The kind of start ``i``."""
        if self.method != PORTFOLIO:
            return self.method
        if i and i % 2 == 0 and self.perturbs:
            return PERTURBED
        kinds = self._kinds()
        return kinds[0] if i == 0 else kinds[1 + (i // 2) % (len(kinds) - 1)]

    def _kinds(self) -> tuple[str, ...]:
        """The kind of start 0, then those that the odd ones are by turns."""
        if self.emission.rows == "symbols" and not self.latent.ordered:
            return ("random", "random")
        contains = () if self.emission.simpler() is None else ("contained",)
        if self.latent.ordered:
            return ("split", *contains, "cuts", "random", "cuts", "random_from_data")
        if self.latent.sequential:
            return ("kmeans", *contains, "spread", "projection", "short", "random_from_data", "random")
        return (
            "kmeans",
            *contains,
            "ward",
            "short",
            "projection",
            "principal",
            "short",
            "random_from_data",
            "projection",
            "random",
        )

    def start(self, i: int) -> Model:
        """Start ``i``, made of the data alone."""
        kind, rng = self.kind(i), self.streams[i]
        if kind == "contained":
            return self.finish(self._around_simpler(rng))
        model = begun(self.latent, self.emission, self.source, self.n_components, kind, rng)
        return self.finish(model)

    def perturbed(self, i: int, best: Model, execute: Execute) -> Model:
        """Start ``i``, a step away from the best so far; anew where that leads nowhere."""
        rng, plain = self.streams[i], replace(best, prior=None, posterior=None)
        try:
            ways = IN_ORDER if self.latent.ordered else WAYS[self.latent.sequential]
            way = ways[(i // 2 - 1) % len(ways)]
            if way == "recut":
                model = recut(plain, self.source, rng, execute)
            elif way == "shaken":
                model = shaken(plain, self.source, rng, execute)
            elif way == "redrawn":
                model = redrawn(plain, rng)
            elif way == "rearranged":
                model = rearranged(plain, self.source, rng, execute)
            else:
                model = moved(plain, self.source, [int(rng.integers(self.n_components))], rng, execute)
        except ValueError:  # rows that are impossible from there
            kind = "random" if self.emission.rows == "symbols" else "random_from_data"
            model = begun(self.latent, self.emission, self.source, self.n_components, kind, rng)
        return self.finish(model)

    def _around_simpler(self, rng: np.random.Generator) -> Model:
        """The likeliest of the models around a fit of what the family contains."""
        simpler = self.emission.simpler()
        assert simpler is not None
        starts = replace(
            self, emission=simpler, method=PORTFOLIO, streams=rng.spawn(2 * SIMPLER), finish=lambda model: model
        )
        models = [starts.start(i) for i in (0, 1, 3, 5)]
        best = max(fit_together(models, self.source, EM(), Stop(), Serial()), key=lambda f: f.bound).model
        adapted = [e.adapt(self.source.summary) for e in self.emission.around(best.emission)]
        return max((replace(best, emission=e) for e in adapted), key=lambda model: model.score(self.source))


@dataclass(frozen=True, eq=False)
class Beginning:
    """The task of making starts of some groups."""

    groups: Sequence[Starts]

    def run(self, item: tuple[int, int], best: Model | None) -> tuple[Model, None]:
        """Start i of group g, a step away from ``best`` where that is given."""
        g, i = item
        starts = self.groups[g]
        return (starts.start(i) if best is None else starts.perturbed(i, best, Serial())), None
