"""
Spoken digits
=============

A left-right GMM-HMM for each, the likeliest one wins; and speakers that no model has
heard.

With a folder, ``python spoken_digits.py DIR``, it holds recordings called
{digit}_{speaker}_{index}.wav, such as those of the Free Spoken Digit Dataset; without
it, tones are recognised. Recordings 0 to 4 of each digit and speaker are the test.
"""

import sys
import tempfile
import time

import matplotlib.pyplot as plt
import numpy as np
from cepstra import recordings, write_tones

import estep

ROUNDS, MOVED = 4, ("means", "covariances", "weights")  # of adaptation to a speaker


def pick(sequences, mask):
    return [sequences[i] for i in np.flatnonzero(mask)]


def digits_of(states, parts):
    """A model for each digit; the prior keeps parts with few rows from collapsing."""
    word = estep.GMMHMM(
        states, parts, topology="left-right", estimate="map", tol=1e-4, random_state=0
    )
    return estep.SequenceClassifier(word, priors="uniform")


def adapted(classifier, sequences):
    """Models moved towards a new speaker, who says what they take it for, anew."""
    trained = classifier.models_
    for _ in range(ROUNDS):
        said = classifier.predict(sequences)
        classifier.models_ = [
            estep.adapt(model, pick(sequences, said == digit), 16, parameters=MOVED)
            if (said == digit).any()
            else model
            for model, digit in zip(trained, classifier.classes_, strict=True)
        ]
    return classifier


def main(folder):
    begun = time.perf_counter()
    X, digits, speakers, indices = recordings(folder)
    test = indices < 5
    took = time.perf_counter() - begun
    print(f"{len(X)} recordings of {len(set(speakers))} speakers, {took:.1f} s to read")

    begun = time.perf_counter()
    known = digits_of(8, 3).fit(pick(X, ~test), digits[~test])
    print(f"{len(known.classes_)} models, {time.perf_counter() - begun:.1f} s to train")
    found, said = known.predict(pick(X, test)), digits[test]
    print(f"speaker-dependent accuracy {100 * (found == said).mean():.1f}%")

    plain, moved = [], []
    scale = {s: np.vstack(pick(X, speakers == s)) for s in np.unique(speakers)}
    Z = [
        (x - scale[s].mean(axis=0)) / scale[s].std(axis=0)
        for x, s in zip(X, speakers, strict=True)
    ]
    for speaker in np.unique(speakers):
        new = speakers == speaker
        others = digits_of(5, 3).fit(pick(Z, ~new), digits[~new])
        plain.append(others.score(pick(Z, new), digits[new]))
        moved.append(adapted(others, pick(Z, new)).score(pick(Z, new), digits[new]))
    plain, moved = 100 * np.mean(plain), 100 * np.mean(moved)
    print(f"leave-one-speaker-out accuracy {plain:.1f}%, adapted {moved:.1f}%")

    names = known.classes_
    confusion = np.array(
        [[((said == a) & (found == b)).sum() for b in names] for a in names]
    )
    plt.matshow(confusion, cmap="Blues")
    for (i, j), n in np.ndenumerate(confusion):
        plt.text(
            j,
            i,
            n or "",
            ha="center",
            va="center",
            color="white" if n > confusion.max() / 2 else "black",
        )
    plt.xticks(range(len(names)), names), plt.yticks(range(len(names)), names)
    plt.xlabel("recognised as"), plt.ylabel("said")
    plt.savefig("spoken_digits.png", dpi=120, bbox_inches="tight")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as tones:
        main(sys.argv[1] if len(sys.argv) > 1 else write_tones(tones))
