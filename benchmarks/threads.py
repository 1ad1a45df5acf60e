"""An E-step on more and more threads: milliseconds, how many times faster than on the first number, and what is used.

``python benchmarks/threads.py [--counts 1,2,4] [--runs 9] [--only TEXT]``. The numbers of threads alternate; medians
count. What is used is processor time over wall time and threads: under 100% they wait for each other.
"""

import argparse
import time
import warnings

import numpy as np

import estep
from compare import machine
from estep.execution.threads import available_threads
from estep.inference.passes import Passes
from problems import PROBLEMS, Mixture, Path


def steps(problem, counts, runs):
    """Wall and processor seconds of E-steps (runs, counts)."""
    data = problem.data[: 1 if isinstance(problem, Mixture) else 2]  # rows; of a chain, lengths too
    model = problem.model().fit(*data).model_
    source = model.source(*data)
    wall, used = np.empty((runs, len(counts))), np.empty((runs, len(counts)))
    passes = [Passes(source, model.leaf_rows(), estep.threads(n)) for n in counts]
    for r in range(runs):
        for i, one in enumerate(passes):
            with one.execute.running():
                one.expect(model)
                begun = time.perf_counter(), time.process_time()
                one.expect(model)
                wall[r, i], used[r, i] = time.perf_counter() - begun[0], time.process_time() - begun[1]
    return wall, used


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    every = sorted({2**i for i in range(available_threads().bit_length())} | {available_threads()})
    parser.add_argument("--counts", default=",".join(map(str, every)))
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    counts = [int(n) for n in options.counts.split(",")]
    print(machine(), flush=True)
    for problem in [*PROBLEMS, Mixture(5_000_000, 16, 32, "full", 4)]:
        if isinstance(problem, Path) or options.only not in problem.name:
            continue
        wall, used = steps(problem, counts, options.runs)
        times, speedup = np.median(wall, axis=0), np.median(wall[:, :1] / wall, axis=0)
        share = np.median(used / wall, axis=0) / counts
        cells = [f"{n}: {1e3 * times[i]:.2f} ms {speedup[i]:.2f}x {share[i]:.0%}" for i, n in enumerate(counts)]
        print(f"{problem.name:46s} {'   '.join(cells)}", flush=True)
        problem.__dict__.pop("data", None)


if __name__ == "__main__":
    main()
