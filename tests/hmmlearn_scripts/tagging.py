"""Tagging of words: counts of a tagged corpus set the model, sentences without tags refine its words."""

import numpy as np
from hmmlearn import hmm

TAGS, WORDS = ("DET", "NOUN", "VERB", "ADJ"), 40
rng = np.random.RandomState(0)
moves = np.array([[0.02, 0.6, 0.03, 0.35], [0.1, 0.15, 0.65, 0.1], [0.55, 0.2, 0.05, 0.2], [0.02, 0.83, 0.05, 0.1]])
words = rng.dirichlet(np.full(WORDS, 0.15), size=4)


def sentence(length):
    tags = [rng.choice(4, p=[0.6, 0.2, 0.1, 0.1])]
    while len(tags) < length:
        tags.append(rng.choice(4, p=moves[tags[-1]]))
    return np.array(tags), np.array([rng.choice(WORDS, p=words[t]) for t in tags])


tagged = [sentence(rng.randint(4, 15)) for _ in range(150)]
start, trans, emit = np.ones(4), np.ones((4, 4)), np.full((4, WORDS), 0.1)
for tags, sequence in tagged:
    start[tags[0]] += 1
    np.add.at(trans, (tags[:-1], tags[1:]), 1)
    np.add.at(emit, (tags, sequence), 1)

tagger = hmm.CategoricalHMM(4, n_features=WORDS, init_params="", params="e", n_iter=20, implementation="scaling")
tagger.startprob_ = start / start.sum()
tagger.transmat_ = trans / trans.sum(axis=1, keepdims=True)
tagger.emissionprob_ = emit / emit.sum(axis=1, keepdims=True)

test = [sentence(rng.randint(4, 15)) for _ in range(300)]
X, lengths = np.concatenate([s for _, s in test])[:, None], [len(s) for _, s in test]
tags = np.concatenate([t for t, _ in test])
before = (tagger.predict(X, lengths) == tags).mean()
tagger.fit(X, lengths)
after = (tagger.predict(X, lengths) == tags).mean()
print(f"right: {before:.1%} before, {after:.1%} after {tagger.monitor_.iter} iterations")

RESULTS = {
    "before": before,
    "after": after,
    "emissionprob": tagger.emissionprob_,
    "score": tagger.score(X, lengths),
    "transmat": tagger.transmat_,
}
