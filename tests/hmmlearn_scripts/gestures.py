"""Gestures: a left-right model of each class; new ones go to the model they are most likely under."""

import numpy as np
from hmmlearn import hmm

rng = np.random.RandomState(5)
CLASSES = ("circle", "wave", "push")


def gesture(kind):
    n = rng.randint(25, 45)
    t = np.linspace(0, 1, n)
    paths = {
        "circle": np.column_stack([np.cos(6.28 * t), np.sin(6.28 * t)]),
        "wave": np.column_stack([t, np.sin(12.6 * t)]),
        "push": np.column_stack([t**2, np.zeros(n)]),
    }
    return paths[kind] + rng.normal(0, 0.15, (n, 2))


STATES = 6
startprob = np.zeros(STATES)
startprob[0] = 1.0
transmat = np.diag(np.full(STATES, 0.8)) + np.diag(np.full(STATES - 1, 0.2), 1)
transmat[-1, -1] = 1.0

models = {}
for kind in CLASSES:
    train = [gesture(kind) for _ in range(30)]
    model = hmm.GaussianHMM(STATES, "diag", n_iter=20, init_params="mc", params="mct", random_state=0, min_covar=1e-2)
    model.startprob_, model.transmat_ = startprob.copy(), transmat.copy()
    models[kind] = model.fit(np.concatenate(train), [len(g) for g in train])

tests = [(kind, gesture(kind)) for kind in CLASSES for _ in range(10)]
scores = np.array([[models[kind].score(g) for kind in CLASSES] for _, g in tests])
right = np.mean([CLASSES[i] == kind for i, (kind, _) in zip(scores.argmax(axis=1), tests)])  # noqa: B905
print(f"right: {right:.1%}")

RESULTS = {
    "right": right,
    "scores": scores,
    "transmat": models["wave"].transmat_,
    "means": models["wave"].means_,
}
