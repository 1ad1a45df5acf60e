"""
An emission of your own
=======================

Rayleigh wave heights, in a mixture and in a hidden Markov model.
"""

from dataclasses import dataclass

import numpy as np

import estep


@dataclass(frozen=True, eq=False)
class Rayleigh(estep.Emission):
    """Scales (K, D): log p(x) = sum of log x - 2 log scale - x^2 / (2 scale^2)."""

    scales: np.ndarray | None = None

    name = "rayleigh"
    parameters = ("scales",)

    def __post_init__(self):
        self.freeze("scales", None)

    @property
    def n_components(self):
        return len(self.scales)

    @property
    def n_parameters(self):
        return self.scales.size

    @property
    def layout(self):
        K, D = self.scales.shape
        return estep.Layout.of(mass=(K,), squares=(K, D))

    def start(self, n_components, summary):
        return Rayleigh(np.tile(summary.mean, (n_components, 1)))

    def evaluate(self, batch):
        squares = batch.X**2
        common = np.log(batch.X).sum(axis=1, keepdims=True)
        log_densities = (
            common
            - 2 * np.log(self.scales).sum(axis=1)
            - squares @ (0.5 / self.scales**2).T
        )

        def accumulate(r, s):
            s["mass"] += r.sum(axis=0)
            s["squares"] += r.T @ squares

        return estep.Evaluation(log_densities, accumulate)

    def maximize(self, s):
        seen = (s["mass"] > 0)[:, None] & (s["squares"] > 0)
        scales = np.sqrt(s["squares"] / np.where(seen, 2 * s["mass"][:, None], 1))
        return Rayleigh(np.where(seen, scales, self.scales)), ()

    def sample(self, states, rng):
        return rng.rayleigh(self.scales[states])


if __name__ == "__main__":
    rng = np.random.default_rng(0)
    waves = np.concatenate(
        [rng.rayleigh(1.0, 300), rng.rayleigh(4.0, 300), rng.rayleigh(1.0, 300)]
    )[:, None]
    print(estep.MixtureModel(Rayleigh(), 2, random_state=0).fit(waves).scales_.round(2))
    print(
        estep.HMM(Rayleigh(), 2, n_init=5, random_state=0).fit(waves).scales_.round(2)
    )
