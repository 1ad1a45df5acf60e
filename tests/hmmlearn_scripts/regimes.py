"""Market regimes: how many states a series of daily returns has, and which one today is."""

import numpy as np
from hmmlearn import hmm

rng = np.random.RandomState(1)
states = np.repeat([0, 1, 0, 2, 0, 1], [200, 150, 250, 80, 250, 150])
X = np.column_stack([
    rng.normal(np.array([0.0008, -0.0004, -0.003])[states], np.array([0.006, 0.014, 0.03])[states]),
    np.abs(rng.normal(0, np.array([0.5, 1.0, 2.2])[states])),
])  # fmt: skip
X[:, 0] *= 100

criteria = {}
for n in (1, 2, 3, 4):
    scores, models = [], []
    for seed in range(2):
        model = hmm.GaussianHMM(n, covariance_type="full", n_iter=30, random_state=seed)
        models.append(model.fit(X))
        scores.append(model.score(X))
    best = models[int(np.argmax(scores))]
    criteria[n] = (best.aic(X), best.bic(X))
    if n == 3:
        chosen = best

print(f"BIC by number of states: { {n: round(b, 1) for n, (_, b) in criteria.items()} }")
log_prob, path = chosen.decode(X)
today = chosen.predict_proba(X)[-1]
print("means:", chosen.means_.round(2).tolist(), "today:", today.round(3))

RESULTS = {
    "criteria": np.array(list(criteria.values())),
    "means": chosen.means_,
    "covars": chosen.covars_,
    "transmat": chosen.transmat_,
    "log_prob": log_prob,
    "path": path,
    "today": today,
    "stationary": chosen.get_stationary_distribution(),
}
