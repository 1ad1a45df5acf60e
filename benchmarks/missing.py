"""What missing cells cost: full-covariance mixtures, 100 000 rows of 16 columns in 1000 patterns, against no gaps.

python benchmarks/missing.py
"""

import statistics
import time

import numpy as np

import estep
from estep import Model, Stop
from estep.emissions import Gaussian
from estep.latents import Independent

N, D, PATTERNS = 100_000, 16, 1000


def seconds(start, data, execute, iterations=20):
    """Of an iteration; the validating pass and the sorting by pattern are not counted."""
    source, times = start.source(data), []
    for _ in range(5):
        begun = time.perf_counter()
        estep.fit(start, source, stop=Stop(tol=0, max_iter=2), execute=execute)
        middle = time.perf_counter()
        estep.fit(start, source, stop=Stop(tol=0, max_iter=2 + iterations), execute=execute)
        times.append((2 * middle - begun - time.perf_counter()) / -iterations)
    return statistics.median(times)


def main():
    rng, execute = np.random.default_rng(0), estep.threads(None)
    patterns = rng.permutation(np.unique(rng.random((4 * PATTERNS, D)) < 0.2, axis=0))[:PATTERNS]
    print("components  complete ms  with gaps ms  ratio")
    for K in (4, 8, 16, 32):
        means, A = rng.normal(0, 2, (K, D)), rng.normal(size=(K, D, D))
        covariances = A @ A.swapaxes(1, 2) + 0.5 * np.eye(D)
        truth = Model(Independent(np.full(K, 1 / K)), Gaussian("full", means, covariances))
        X = truth.sample(N, 0)[0]
        gaps = X.copy()
        gaps[patterns[rng.integers(0, PATTERNS, N)]] = np.nan
        start = Model(truth.latent, Gaussian("full", means + rng.normal(0, 0.3, means.shape), covariances))
        whole, some = seconds(start, X, execute), seconds(start, gaps, execute)
        print(f"{K:10d}  {whole * 1e3:11.2f}  {some * 1e3:12.2f}  {some / whole:5.2f}")


if __name__ == "__main__":
    main()
