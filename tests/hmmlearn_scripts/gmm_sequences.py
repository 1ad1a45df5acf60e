"""Mixtures of Gaussians as states, from many sequences, with each type of covariance."""

import numpy as np
from hmmlearn import hmm

rng = np.random.RandomState(2)
sequences = []
for _ in range(12):
    states = np.repeat(rng.randint(0, 3, 6), 15)
    parts = rng.randint(0, 2, len(states))
    centres = np.array([[[0, 0, 0], [2, 2, 0]], [[6, 0, 2], [6, 4, 2]], [[0, 7, -3], [3, 7, -3]]])
    sequences.append(rng.normal(centres[states, parts], 0.6))
X, lengths = np.concatenate(sequences), [len(s) for s in sequences]

RESULTS = {}
for kind in ("spherical", "diag", "full", "tied"):
    model = hmm.GMMHMM(n_components=3, n_mix=2, covariance_type=kind, n_iter=10, random_state=0)
    model.fit(X, lengths)
    print(kind, round(model.score(X, lengths), 2), "iterations", model.monitor_.iter)
    RESULTS |= {
        f"{kind} score": model.score(X, lengths),
        f"{kind} weights": model.weights_,
        f"{kind} means": model.means_,
        f"{kind} covars": model.covars_,
        f"{kind} proba": model.predict_proba(X, lengths),
    }
