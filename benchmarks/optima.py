"""Optima found with 20 starts: ours, mclust's (hierarchical start), and the peer's with as many starts; and the time.

``python benchmarks/optima.py [--seeds 1] [--peers]``. Mixtures of the data sets of ``data/mclust.csv`` in four
covariance types; four Poisson states of the earthquakes over ten seeds; twelve simulated left-right chains against EM
from the truth. The exit code is 1 where something is missed.
"""

import argparse
import csv
import sys
import time
import warnings
from pathlib import Path

import numpy as np

import estep
from estep import Model, Stop
from estep.emissions import Categorical, Gaussian, Poisson
from estep.latents import Chain

DATA = Path(__file__).parent / "data"
KINDS = {"VII": "spherical", "VVI": "diag", "EEE": "tied", "VVV": "full", "E": "tied", "V": "full"}
STARTS, SHORT = 20, 1e-3


def load(name):
    if name == "faithful":
        return estep.datasets.load_faithful().X
    columns = range(4) if name == "iris" else None
    X = np.genfromtxt(DATA / f"{name}.csv", delimiter=",", skip_header=1, usecols=columns)
    return X.reshape(len(X), -1)


def mixtures(seeds, peers):
    """How many fits are short of mclust's."""
    missed = 0
    print("mixtures: ours - mclust (ours - scikit-learn), nats; seconds")
    for row in csv.DictReader((DATA / "mclust.csv").open()):
        X, K, want = load(row["data"]), int(row["components"]), float(row["log_likelihood"])
        for seed in range(seeds):
            options = dict(covariance_type=KINDS[row["model"]], n_init=STARTS, random_state=seed)
            begun = time.perf_counter()
            fit = estep.GaussianMixture(K, max_iter=5000, **options).fit(X)
            seconds = time.perf_counter() - begun
            got = fit.score(X) * len(X)
            text = f"{row['data']:9} {row['model']:3} {K} {got:12.3f} {got - want:+10.3f}"
            if peers:
                from sklearn.mixture import GaussianMixture

                begun = time.perf_counter()
                other = GaussianMixture(K, max_iter=5000, tol=1e-8, **options).fit(X)
                text += f" ({got - other.score(X) * len(X):+10.3f}, {time.perf_counter() - begun:6.2f} s)"
            short = got < want - SHORT
            missed += short
            print(f"{text} {seconds:6.2f} s{'  SHORT' if short else ''}", flush=True)
    return missed


def earthquakes():
    """Seeds that miss the best four states; one of ten may."""
    X = estep.datasets.load_earthquakes().X
    begun = time.perf_counter()
    found = [estep.PoissonHMM(4, n_init=STARTS, random_state=seed).fit(X).score(X) for seed in range(10)]
    missed = sum(value < -326.2850 - SHORT for value in found)
    print(f"earthquakes, 4 states: {10 - missed} of 10 seeds at -326.2850, {time.perf_counter() - begun:.1f} s")
    return max(missed - 1, 0)


def simulated(i):
    """A left-right chain of 3 to 6 states, its emission, and ten sequences."""
    r = np.random.default_rng(100 + i)
    K = int(r.integers(3, 7))
    lengths = r.integers(5, 60, K)
    states = np.repeat(np.arange(K), lengths)
    A = np.diag(1 - 1 / lengths) + np.diag(1 / lengths[:-1], 1)
    A[-1, -1] = 1
    emission = (
        Gaussian("diag", r.normal(0, 3, (K, 1)), r.uniform(0.5, 1.5, (K, 1))),
        Poisson(r.gamma(2, 4, (K, 1)) + 0.5),
        Categorical(r.dirichlet(np.full(6, 0.7), size=K)),
    )[i % 3]
    return K, A, emission, [emission.sample(states, r) for _ in range(10)]


def left_right():
    """Chains that end more than 0.1 nats below EM from the truth."""
    missed = 0
    for i in range(12):
        K, A, emission, X = simulated(i)
        full = np.triu(np.ones((K, K)))
        truth = Model(Chain(np.eye(K)[0], 0.99 * A + 0.01 * full / full.sum(axis=1, keepdims=True)), emission)
        best = estep.fit(truth, X, stop=Stop(max_iter=5000)).bound
        blank = {"gaussian": Gaussian("diag"), "poisson": Poisson(), "categorical": Categorical(n_symbols=6)}
        begun = time.perf_counter()
        hmm = estep.HMM(
            blank[emission.name], K, topology="left-right", n_init=STARTS, random_state=0, max_iter=5000
        ).fit(X)
        got, seconds = hmm.score(X), time.perf_counter() - begun
        short = got < best - 0.1
        missed += short
        print(f"left-right, {K} {emission.name:11} {got:12.3f} {got - best:+9.3f} {seconds:6.2f} s{'  SHORT' * short}")
    return missed


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--peers", action="store_true")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    begun = time.perf_counter()
    missed = mixtures(options.seeds, options.peers) + earthquakes() + left_right()
    print(f"{missed} missed, {time.perf_counter() - begun:.0f} s")
    return missed > 0


if __name__ == "__main__":
    sys.exit(main())
