"""Variational inference: states that are not needed are emptied, and the bound tells models apart."""

import numpy as np
from hmmlearn import hmm, vhmm

truth = hmm.GaussianHMM(3, covariance_type="diag")
truth.startprob_ = np.full(3, 1 / 3)
truth.transmat_ = np.array([[0.9, 0.05, 0.05], [0.1, 0.85, 0.05], [0.05, 0.15, 0.8]])
truth.means_ = np.array([[-3.0, 0], [0, 2], [4, -1]])
truth.covars_ = np.full((3, 2), 0.6)
sequences = [truth.sample(120, random_state=i)[0] for i in range(4)]
X, lengths = np.concatenate(sequences), [len(s) for s in sequences]

RESULTS, bounds = {}, {}
for n in (2, 4):
    for kind in ("full", "tied", "diag", "spherical"):
        model = vhmm.VariationalGaussianHMM(n, kind, n_iter=40, tol=1e-4, random_state=1)
        model.fit(X, lengths)
        bounds[n, kind] = model.monitor_.history[-1]
        RESULTS[f"{n} {kind} means"] = model.means_posterior_
        RESULTS[f"{n} {kind} transmat"] = model.transmat_posterior_
        RESULTS[f"{n} {kind} path"] = model.predict(X, lengths)
print("best:", max(bounds, key=bounds.get))
RESULTS["bounds"] = np.array(list(bounds.values()))

symbols = np.random.RandomState(0).choice(3, size=(600, 1), p=[0.5, 0.3, 0.2])
words = vhmm.VariationalCategoricalHMM(4, n_iter=50, random_state=3).fit(symbols)
RESULTS["emissionprob"] = words.emissionprob_posterior_
