"""A model that is set by hand: sampled, scored and decoded without a fit."""

import numpy as np
from hmmlearn import hmm

model = hmm.GaussianHMM(n_components=4, covariance_type="full")
model.startprob_ = np.array([0.6, 0.3, 0.1, 0.0])
model.transmat_ = np.array([
    [0.7, 0.2, 0.0, 0.1],
    [0.3, 0.5, 0.2, 0.0],
    [0.0, 0.3, 0.5, 0.2],
    [0.2, 0.0, 0.2, 0.6],
])  # fmt: skip
model.means_ = np.array([[0.0, 0.0], [0.0, 11.0], [9.0, 10.0], [11.0, -1.0]])
model.covars_ = np.tile([[1.5, 0.4], [0.4, 1.0]], (4, 1, 1))

X, Z = model.sample(3000, random_state=8)
more, states = model.sample(500, random_state=9, currstate=Z[-1])
log_prob, posteriors = model.score_samples(np.concatenate([X, more]), [3000, 500])
decoded, path = model.decode(X)
print(f"{(path == Z).mean():.2%} of the states are found; log-likelihood {log_prob:.1f}")

RESULTS = {
    "X": X,
    "Z": Z,
    "more": more,
    "states": states,
    "log_prob": log_prob,
    "posteriors": posteriors,
    "decoded": decoded,
    "path": path,
    "stationary": model.get_stationary_distribution(),
}
