"""An emission of your own: exponential waiting times, in a mixture and in a hidden Markov model."""

from dataclasses import dataclass

import numpy as np

import estep


@dataclass(frozen=True, eq=False)
class Exponential(estep.Emission):
    """Rates (K, D): log p(x | k) = sum over d of log(rate) - rate x."""

    rates: np.ndarray | None = None

    name = "exponential"
    parameters = ("rates",)

    def __post_init__(self):
        self.freeze("rates", None)

    @property
    def n_components(self):
        return len(self.rates)

    @property
    def n_parameters(self):
        return self.rates.size

    @property
    def layout(self):
        K, D = self.rates.shape
        return estep.Layout.of(mass=(K,), total=(K, D))

    def start(self, n_components, summary):
        return Exponential(np.tile(1 / summary.mean, (n_components, 1)))

    def evaluate(self, batch):
        log_densities = np.log(self.rates).sum(axis=1) - batch.X @ self.rates.T

        def accumulate(r, s):
            s["mass"] += r.sum(axis=0)
            s["total"] += r.T @ batch.X

        return estep.Evaluation(log_densities, accumulate)

    def maximize(self, s):
        seen = (s["mass"] > 0)[:, None] & (s["total"] > 0)
        rates = s["mass"][:, None] / np.where(seen, s["total"], 1)
        return Exponential(np.where(seen, rates, self.rates)), ()

    def sample(self, states, rng):
        return rng.exponential(1 / self.rates[states])


if __name__ == "__main__":
    rng = np.random.default_rng(0)
    waits = np.concatenate([rng.exponential(1.0, 300), rng.exponential(8.0, 300), rng.exponential(1.0, 300)])[:, None]
    print(estep.MixtureModel(Exponential(), 2, random_state=0).fit(waits).rates_.round(2))
    print(estep.HMM(Exponential(), 2, n_init=5, random_state=0).fit(waits).rates_.round(2))
