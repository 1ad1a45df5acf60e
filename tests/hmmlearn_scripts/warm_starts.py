"""Warm starts: one iteration at a time, some parameters held, and a stop rule of one's own."""

import numpy as np
from hmmlearn import hmm
from hmmlearn.base import ConvergenceMonitor

rng = np.random.RandomState(4)
states = np.repeat([0, 1, 2, 1, 0], 800)
X = rng.normal(np.array([-2.0, 0.0, 3.0])[states, None] * [1, 0.5], 1.0)


class Enough(ConvergenceMonitor):
    """Stops when an iteration gains less than a thousandth of the last score."""

    @property
    def converged(self):
        gained = len(self.history) > 1 and self.history[-1] - self.history[-2] < 1e-3 * abs(self.history[-1])
        return self.iter == self.n_iter or gained


model = hmm.GaussianHMM(3, "diag", n_iter=1, tol=0, random_state=0)
model.fit(X)
model.init_params = ""
scores = [model.score(X)]
for _ in range(15):
    model.fit(X)
    scores.append(model.score(X))

held = hmm.GaussianHMM(3, "diag", n_iter=50, params="mc", init_params="mc", random_state=0)
held.startprob_ = np.full(3, 1 / 3)
held.transmat_ = np.full((3, 3), 0.05) + 0.85 * np.eye(3)
held.monitor_ = Enough(held.monitor_.tol, held.monitor_.n_iter, held.monitor_.verbose)
held.fit(X)
print(f"scores {scores[0]:.1f} ... {scores[-1]:.1f}; held ones took {held.monitor_.iter} iterations")

RESULTS = {
    "scores": np.array(scores),
    "means": model.means_,
    "iterations": held.monitor_.iter,
    "held transmat": held.transmat_,
    "held means": held.means_,
    "held covars": held.covars_,
}
