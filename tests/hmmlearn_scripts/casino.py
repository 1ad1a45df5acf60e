"""The dishonest casino (Durbin et al. 1998): which rolls were made with the loaded die?"""

import numpy as np
from hmmlearn import hmm

casino = hmm.CategoricalHMM(n_components=2, random_state=99)
casino.startprob_ = np.array([1.0, 0.0])
casino.transmat_ = np.array([[0.95, 0.05], [0.1, 0.9]])
casino.emissionprob_ = np.array([[1 / 6] * 6, [1 / 10] * 5 + [1 / 2]])
rolls, states = casino.sample(4000)

train, validate = rolls[:2000], rolls[2000:]
best_score, best = -np.inf, None
for seed in range(6):
    model = hmm.CategoricalHMM(n_components=2, random_state=seed, n_iter=50, init_params="se")
    model.transmat_ = np.array([np.random.RandomState(seed).dirichlet([0.9, 0.1]) for _ in range(2)])
    model.fit(train)
    score = model.score(validate)
    if score > best_score:
        best_score, best = score, model

path = best.predict(rolls)
print(f"log-likelihood {best_score:.2f}; transitions {best.transmat_.round(3).tolist()}")

RESULTS = {
    "rolls": rolls,
    "states": states,
    "score": best_score,
    "emissionprob": best.emissionprob_,
    "transmat": best.transmat_,
    "path": path,
    "stationary": casino.get_stationary_distribution(),
}
