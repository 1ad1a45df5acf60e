"""
Who is speaking?
================

A mixture of everybody's cepstra, moved towards each speaker: a universal background
model.

With a folder, ``python speaker_recognition.py DIR``, it holds recordings called
{digit}_{speaker}_{index}.wav, such as those of the Free Spoken Digit Dataset; without
it, tones of different pitch. Recordings 0 to 4 of each word are the test, one word at a
time.
"""

import sys
import tempfile

import matplotlib.pyplot as plt
import numpy as np
from cepstra import CEPSTRA, recordings, write_tones

import estep


def main(folder):
    X, _, speakers, indices = recordings(folder)
    X = [x[:, : 2 * CEPSTRA] for x in X]  # cepstra and slopes
    test, names = indices < 5, np.unique(speakers)

    def of(mask):
        return [X[i] for i in np.flatnonzero(mask)]

    background = estep.GaussianMixture(
        32, covariance_type="diag", tol=1e-4, random_state=0
    )
    background.fit(np.vstack(of(~test)))
    models = [
        estep.adapt(background, of(~test & (speakers == name)), relevance=16)
        for name in names
    ]

    ratios = np.stack(
        [estep.log_likelihood_ratios(model, background, of(test)) for model in models],
        axis=1,
    )
    own = speakers[test][:, None] == names
    print(f"{len(X)} recordings of {len(names)} speakers")
    right = ratios.argmax(axis=1) == own.argmax(axis=1)
    print(f"identification accuracy {100 * right.mean():.1f}%")
    rate, threshold = estep.equal_error_rate(ratios[own], ratios[~own])
    print(f"equal error rate {100 * rate:.1f}% at {threshold:.2f} nats a frame")

    bins = np.linspace(ratios.min(), ratios.max(), 40)
    plt.hist(ratios[~own], bins, density=True, alpha=0.6, label="others")
    plt.hist(ratios[own], bins, density=True, alpha=0.6, label="the speaker")
    plt.axvline(threshold, color="black", linestyle="--", label="equal errors")
    (
        plt.xlabel("log-likelihood ratio, nats a frame"),
        plt.ylabel("density"),
        plt.legend(),
    )
    plt.savefig("speaker_recognition.png", dpi=120, bbox_inches="tight")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as tones:
        main(sys.argv[1] if len(sys.argv) > 1 else write_tones(tones))
