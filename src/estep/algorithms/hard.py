"""Hard EM: the E-step puts all weight on the most probable states.

For mixtures that is classification EM (Celeux & Govaert 1992), for chains Viterbi training, or segmental k-means
(Juang & Rabiner 1990). It climbs the likelihood of data and states together, in few steps, and is biased towards
components that do not overlap.
"""

from __future__ import annotations

from typing import Any, ClassVar

from estep.inference.passes import Best
from estep.interface import Algorithm, AnyModel, Data, Step


class Hard(Algorithm):
    """Hard EM; the bound is log p(rows, states) of the most probable states, and never falls."""

    name: ClassVar[str] = "hard"

    def init(self, model: AnyModel) -> None:
        return None

    def step(self, model: AnyModel, data: Data, state: Any) -> Step:
        total = data.expect(model, Best())
        proposal, notes = model.maximize(total)
        return Step(proposal, state, total["loglik"], notes)
