"""What a cluster costs beside the work: a local one with two workers against two threads, an iteration each.

python benchmarks/cluster.py
"""

import pickle
import time

import numpy as np

import estep

PASSES = 12


def model_of(K, D):
    rng = np.random.default_rng(1)
    family = estep.emissions.Gaussian("full", rng.normal(0, 4, (K, D)), np.tile(4 * np.eye(D), (K, 1, 1)))
    return estep.Model(estep.latents.Independent(np.full(K, 1 / K)), family)


def seconds_of(model, data, execute):
    """The median seconds of an iteration."""
    at = []
    stop = estep.Stop(tol=0, max_iter=PASSES - 1)
    estep.fit(model, data, stop=stop, execute=execute, callbacks=[lambda it: at.append(time.perf_counter())])
    return float(np.median(np.diff(at)))


def main():
    from distributed import Client, LocalCluster

    how = dict(n_workers=2, threads_per_worker=1, dashboard_address=None)
    with LocalCluster(**how) as cluster, Client(cluster) as client:
        print(
            f"{'rows':>10}{'K':>4}{'D':>4}{'leaves':>8}{'threads':>11}{'cluster':>11}{'beside':>11}{'task':>10}{'sums':>10}"
        )
        for n, K, D in ((100_000, 4, 8), (1_000_000, 4, 8), (1_000_000, 16, 16), (4_000_000, 4, 8)):
            rng = np.random.default_rng(0)
            X = rng.normal(size=(n, D)) + 3 * rng.integers(4, size=(n, 1))
            model = model_of(K, D)
            source = estep.as_source(X)
            here = seconds_of(model, source, estep.threads(2))
            there = seconds_of(model, source, estep.Dask(client))
            leaves = len(source.leaves(model.leaf_rows()))
            sizes = len(pickle.dumps(model)), 8 * model.layout.size
            times = "".join(f"{1e3 * t:>8.1f} ms" for t in (here, there, there - here))
            bytes_sent = "".join(f"{size / 1e3:>7.1f} kB" for size in sizes)
            print(f"{n:>10}{K:>4}{D:>4}{leaves:>8}{times}{bytes_sent}", flush=True)


if __name__ == "__main__":
    main()
