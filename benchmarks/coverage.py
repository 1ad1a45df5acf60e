"""How often 95% intervals hold the truth: fits to data of a mixture and of a hidden Markov model.

    python benchmarks/coverage.py [--fits 2000] [--workers 2]

Each fit begins at the truth, so that components keep their numbers. Printed are the share of intervals of each
parameter that hold it, with the standard error of that share, and their mean. Starts of a single sequence have no
interval.
"""

import argparse
import warnings
from concurrent.futures import ProcessPoolExecutor
from functools import partial

import numpy as np

import estep
from estep.emissions import Gaussian
from estep.fitting.standard_errors import uncertainty
from estep.latents import Chain, Independent

TRUTHS = {
    "mixture of 2 Gaussians in 2 columns, 1000 rows": (
        estep.Model(
            Independent([0.4, 0.6]),
            Gaussian("full", [[0.0, 0.0], [3.0, 1.0]], [[[1.0, 0.3], [0.3, 0.5]], [[1.5, -0.4], [-0.4, 1.0]]]),
        ),
        1000,
    ),
    "HMM of 2 Gaussian states, 1000 rows": (
        estep.Model(Chain([0.5, 0.5], [[0.9, 0.1], [0.2, 0.8]]), Gaussian("diag", [[0.0], [2.0]], [[1.0], [0.5]])),
        1000,
    ),
}


def values(model):
    return {**model.latent.values(), **model.emission.values()}


def holds(name, seed):
    """Whether each interval holds the truth, by parameter; NaN where there is none."""
    truth, n = TRUTHS[name]
    X, _ = truth.sample(n, seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = estep.fit(truth, X, stop=estep.Stop(1e-10, 5000)).model
        found = uncertainty(model, X).intervals(0.95)
    out = {}
    for parameter, true in values(truth).items():
        low, high = found[parameter]
        out[parameter] = np.where(np.isnan(low), np.nan, (low <= true) & (true <= high))
    return out


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fits", type=int, default=2000)
    parser.add_argument("--workers", type=int, default=2)
    asked = parser.parse_args()
    for name in TRUTHS:
        with ProcessPoolExecutor(asked.workers) as pool:
            results = list(pool.map(partial(holds, name), range(asked.fits), chunksize=50))
        print(f"\n{name}, {asked.fits} fits")
        shares = []
        for parameter in results[0]:
            kept = np.array([r[parameter] for r in results])
            share = np.nanmean(kept, axis=0) if not np.isnan(kept).all() else None
            if share is None:
                print(f"  {parameter}: no intervals")
                continue
            for place in np.ndindex(share.shape):
                n = (~np.isnan(kept[(slice(None), *place)])).sum()
                error = 100 * (share[place] * (1 - share[place]) / max(n, 1)) ** 0.5
                print(f"  {parameter}{list(place)}: {100 * share[place]:.1f}% +- {error:.1f} of {n}")
                shares.append(share[place])
        print(f"  mean {100 * np.mean(shares):.2f}%")


if __name__ == "__main__":
    main()
