"""The conjugate prior of an exponential family whose posterior has no closed form: rows that might have been seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from estep.priors.base import Prior
from estep.statistics import Array


@dataclass(frozen=True, eq=False)
class PseudoRows(Prior):
    """As if ``rows`` rows had been seen whose sufficient statistics have the means ``statistics`` (F, D).

    For gamma emissions these are the means of x and of log x, for von Mises those of cos x and sin x. Arrays with K in
    front are components' own, (K,) and (K, F, D). The density has no closed normaliser, which is left out: the bound
    of a fit is up to a constant. Only for estimate="map" (Bishop 2006, eq. 2.229).
    """

    rows: Any
    statistics: Any

    name: ClassVar[str] = "pseudo_rows"

    def __post_init__(self) -> None:
        self.positive("rows")
        self.freeze("statistics", None)

    def shaped(self, block: str, K: int, F: int, D: int) -> PseudoRows:
        """For K components: rows (K, 1), statistics (K, F, D). Raises ValueError where that cannot be."""
        rows = np.asarray(self.rows)
        try:
            rows = np.broadcast_to(rows.reshape(-1, 1) if rows.ndim == 1 else rows, (K, 1))
            return PseudoRows(rows, np.broadcast_to(self.statistics, (K, F, D)))
        except ValueError:
            shapes, wanted = f"{np.shape(self.rows)} and {np.shape(self.statistics)}", f"{(K,)} and {(K, F, D)} or less"
            raise ValueError(
                f"rows and statistics of the prior of {block} have shapes {shapes}, expected {wanted}"
            ) from None

    def learn(self, mass: Array, sums: Array) -> PseudoRows:
        """With ``mass`` (K, 1 or D) more rows, whose statistics have these sums (K, F, D)."""
        rows = self.rows + mass
        return self.evolve(rows=rows, statistics=(self.rows[:, None] * self.statistics + sums) / rows[:, None])
