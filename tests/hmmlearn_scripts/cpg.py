"""CpG islands: a hand-set model of DNA finds them, and is trained further on what it was given."""

import numpy as np
from hmmlearn.hmm import CategoricalHMM

truth = CategoricalHMM(n_components=2, n_features=4)
truth.startprob_ = np.array([0.5, 0.5])
truth.transmat_ = np.array([[0.99, 0.01], [0.03, 0.97]])
truth.emissionprob_ = np.array([[0.30, 0.20, 0.20, 0.30], [0.15, 0.35, 0.35, 0.15]])  # A C G T
dna, islands = truth.sample(6000, random_state=3)

log_prob, path = truth.decode(dna, algorithm="viterbi")
print(f"{(path == islands).mean():.1%} of the bases are told right; log-probability {log_prob:.1f}")

model = CategoricalHMM(
    n_components=2, n_features=4, n_iter=30, tol=1e-3, init_params="", params="te", emissionprob_prior=2.0,
    transmat_prior=np.array([[90.0, 2.0], [2.0, 90.0]]),
)  # fmt: skip
model.startprob_ = truth.startprob_
model.transmat_ = np.array([[0.9, 0.1], [0.1, 0.9]])
model.emissionprob_ = np.array([[0.27, 0.23, 0.23, 0.27], [0.2, 0.3, 0.3, 0.2]])
model.fit(dna)
print(model.transmat_.round(3), model.emissionprob_.round(3))

RESULTS = {
    "dna": dna,
    "path": path,
    "log_prob": log_prob,
    "transmat": model.transmat_,
    "emissionprob": model.emissionprob_,
    "history": np.array(model.monitor_.history),
    "map": model.decode(dna, algorithm="map")[1],
}
