"""Which algorithm when: passes over the data, seconds and likelihoods of each on easy and hard problems.

All start from the same parameters (rows as means) and stop by Aitken's rule at 1e-8 a row.
``python benchmarks/algorithms.py`` prints the table of docs/algorithms.md.
"""

import time

import numpy as np

import estep
from estep import Model, Stop
from estep.algorithms import ALGORITHMS
from estep.emissions import Gaussian, Poisson
from estep.latents import Chain, Independent

MAX_ITER = 20_000


def clusters(separation, K, D=4, n=30_000):
    rng = np.random.default_rng(0)
    means = rng.normal(size=(K, D)) * separation
    return estep.as_source(np.concatenate([rng.normal(size=(n // K, D)) + m for m in means]))


def mixture(separation, K, fitted):
    source = clusters(separation, K)
    rng = np.random.default_rng(1)
    return estep.start_model(Independent(), Gaussian("full"), source, fitted, "random_from_data", rng), source


def hasselblad():
    counts = [162, 267, 271, 185, 111, 61, 27, 8, 3, 1]
    X = np.repeat(np.arange(10.0), counts)[:, None]
    return Model(Independent([0.5, 0.5]), Poisson([[1.0], [3.0]])), estep.as_source(X)


def chain():
    rng = np.random.default_rng(0)
    transmat = np.full((4, 4), 0.02) + 0.92 * np.eye(4)
    truth = Model(Chain(np.full(4, 0.25), transmat), Gaussian("diag", rng.normal(0, 1.5, (4, 2)), np.ones((4, 2))))
    X, _ = truth.sample(40_000, 1)
    source = estep.as_source(X, np.full(40, 1000))
    start = estep.start_model(Chain(), Gaussian("diag"), source, 4, "random_from_data", np.random.default_rng(2))
    return start, source


PROBLEMS = {
    "easy: 6 clusters far apart": lambda: mixture(4, 6, 6),
    "overlapping: 6 clusters": lambda: mixture(1.2, 6, 6),
    "over-specified: 3 clusters, 6 components": lambda: mixture(3, 3, 6),
    "HMM: 4 states, 40 x 1000": chain,
    "Hasselblad's two Poissons": hasselblad,
}


def main():
    print("| problem | algorithm | passes | seconds | log-likelihood |")
    print("|---|---|---|---|---|")
    for problem, make in PROBLEMS.items():
        model, source = make()
        for name, kind in ALGORITHMS.items():
            begun = time.perf_counter()
            stop = Stop(tol=1e-8, max_iter=MAX_ITER, rule="aitken")
            fit = estep.fit(model, source, kind(), stop, estep.threads())
            seconds = time.perf_counter() - begun
            loglik = fit.model.score(source)
            print(f"| {problem} | {name} | {fit.trace.passes[-1]:.0f} | {seconds:.2f} | {loglik:.3f} |", flush=True)


if __name__ == "__main__":
    main()
