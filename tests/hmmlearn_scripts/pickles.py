"""Earthquakes a year, as states with rates of their own: fitted, stored, loaded and asked."""

import pickle

import numpy as np
from hmmlearn import hmm
from sklearn.base import clone

rng = np.random.RandomState(7)
counts = rng.poisson(np.array([15, 20, 30])[np.repeat([1, 0, 2, 1, 2, 0], 300)])[:, None]

scores, models = [], []
for n in range(1, 4):
    for seed in range(4):
        model = hmm.PoissonHMM(n_components=n, random_state=seed, n_iter=30)
        model.fit(counts)
        models.append(model)
        scores.append(model.bic(counts))
best = models[int(np.argmin(scores))]

loaded = pickle.loads(pickle.dumps(best))
again = clone(best).set_params(random_state=int(np.argmin(scores)) % 4).fit(counts)
trials = hmm.MultinomialHMM(2, n_trials=6, n_iter=20, random_state=0)
trials.fit(rng.multinomial(6, [0.2, 0.3, 0.5], size=300))
print("rates:", best.lambdas_.ravel().round(2), "BIC", round(min(scores), 2))

RESULTS = {
    "scores": np.array(scores),
    "lambdas": loaded.lambdas_,
    "path": loaded.predict(counts),
    "posteriors": loaded.predict_proba(counts),
    "again": again.lambdas_,
    "emissionprob": trials.emissionprob_,
}
