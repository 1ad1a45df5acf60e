"""Ours and the peers, side by side in one process: seconds an EM iteration from the same start, and the ratio.

An iteration is the difference between a long fit and one of 1 iteration, so that starts and set-up cancel;
runs alternate, the median counts, and likelihoods must agree. Memory is the growth of the peak over that with the data
loaded, each in a process of its own. ``python benchmarks/compare.py [--runs 5] [--json FILE]``.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np

import estep
from estep import kernels
from workloads import cat_hmm, gmm

SHORT = 1


class MixtureWorkload:
    """300k x 16, 32 full components, against scikit-learn."""

    name, peer_name, long = "GMM full 300k x 16, K=32", "scikit-learn", 4

    def __init__(self):
        self.X, self.means = gmm(300_000, 16, 32)
        self.start = dict(
            weights_init=np.full(32, 1 / 32), means_init=self.means, precisions_init=np.tile(np.eye(16), (32, 1, 1))
        )

    def ours(self, iterations):
        fit = estep.GaussianMixture(32, tol=0, max_iter=iterations, **self.start).fit(self.X)
        return fit.lower_bounds_[iterations - 1]  # scikit-learn's bound is of the model before the last M-step

    def peer(self, iterations):
        from sklearn.mixture import GaussianMixture

        fit = GaussianMixture(32, tol=0, reg_covar=0, max_iter=iterations, init_params="random_from_data", **self.start)
        return fit.fit(self.X).lower_bound_


class CategoricalWorkload:
    """1000 sequences of 200 steps, 8 states, 64 symbols, against hmmlearn's scaling implementation."""

    name, peer_name, long = "categorical HMM 1000 x 200, K=8, M=64", "hmmlearn scaling", 21

    def __init__(self):
        self.X, self.lengths, self.A, self.B = cat_hmm(1000, 200, 8, 64)

    def ours(self, iterations):
        start = dict(startprob_init=np.full(8, 1 / 8), transmat_init=self.A, emissionprob_init=self.B)
        fit = estep.CategoricalHMM(8, tol=0, max_iter=iterations, **start).fit(self.X, self.lengths)
        return fit.lower_bounds_[iterations - 1]

    def peer(self, iterations):
        from hmmlearn.hmm import CategoricalHMM

        fit = CategoricalHMM(8, n_iter=iterations, tol=-np.inf, init_params="", implementation="scaling")
        fit.startprob_, fit.transmat_, fit.emissionprob_ = np.full(8, 1 / 8), self.A, self.B
        return fit.fit(self.X, self.lengths).monitor_.history[-1]


WORKLOADS = (MixtureWorkload, CategoricalWorkload)


def seconds(run, iterations):
    begun = time.perf_counter()
    value = run(iterations)
    return time.perf_counter() - begun, value


def iteration(run, n):
    short, _ = seconds(run, SHORT)
    long, value = seconds(run, n)
    return (long - short) / (n - SHORT), value


def compare(workload, runs):
    ours, peers = [], []
    for _ in range(runs):
        t, mine = iteration(workload.ours, workload.long)
        ours.append(t)
        t, theirs = iteration(workload.peer, workload.long)
        peers.append(t)
    np.testing.assert_allclose(mine, theirs, rtol=1e-8)
    a, b = float(np.median(ours)), float(np.median(peers))
    return {"workload": workload.name, "peer": workload.peer_name, "ours_s": a, "peer_s": b, "ratio": b / a}


def peak_growth(index):
    """Megabytes the peak grows during a fit over what is resident with the data loaded (Linux)."""
    code = f"import compare; compare.measure_peak({index})"
    here = Path(__file__).parent
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=here)
    return float(done.stdout)


def measure_peak(index):
    warnings.simplefilter("ignore")
    workload = WORKLOADS[index]()
    _ = estep.GaussianMixture  # the import is not the fit's
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    before = resident("VmRSS")
    workload.ours(3)
    print(resident("VmHWM") - before)


def resident(name):
    line = next(x for x in Path("/proc/self/status").read_text().splitlines() if x.startswith(name))
    return int(line.split()[1]) / 1024


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    machine = f"{platform.machine()}, {len(os.sched_getaffinity(0))} cores, kernels {kernels.active().level}"
    print(machine)
    rows = []
    for i, kind in enumerate(WORKLOADS):
        row = compare(kind(), options.runs) | {"peak_growth_mb": peak_growth(i)}
        rows.append(row)
        times = f"ours {row['ours_s'] * 1e3:9.2f} ms   {row['peer']:18s} {row['peer_s'] * 1e3:9.2f} ms"
        print(f"{row['workload']:40s} {times}   ratio {row['ratio']:6.1f}   peak +{row['peak_growth_mb']:.0f} MB")
    if options.json:
        options.json.write_text(json.dumps({"machine": machine, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
