"""Cost of growth: nanoseconds a row as rows, components, columns and steps grow; memory beyond the data.

``python benchmarks/growth.py [--json FILE] [--picture FILE]``.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np

import workloads
from compare import machine
from estep import Model, Stop, emissions, fit, kernels, latents, threads
from memory import growth_of, measure


def mixture(n, D, K):
    X, means = workloads.gmm(n, D, K)
    return Model(latents.Independent(np.full(K, 1 / K)), emissions.Gaussian("diag", means, np.ones((K, D)))), X


def categorical(n, K, M=32):
    rng = np.random.default_rng(0)
    A = np.full((K, K), 0.3 / K) + 0.7 * np.eye(K)
    model = Model(latents.Chain(np.full(K, 1 / K), A), emissions.Categorical(rng.dirichlet(np.ones(M), size=K)))
    return model, rng.integers(0, M, (n, 1), dtype=np.int32)


def iteration(model, X):
    """Seconds an EM iteration takes: the median of several."""
    source = model.source(X)
    rough = fit(model, source, stop=Stop(tol=0, max_iter=2), execute=threads()).trace.seconds
    n = int(min(max(0.5 / (rough[-1] - rough[-2]), 3), 200))
    return float(np.median(np.diff(fit(model, source, stop=Stop(tol=0, max_iter=n), execute=threads()).trace.seconds)))


CURVES = {
    "rows (8 columns, 8 components)": [(n, mixture, (n, 8, 8)) for n in (10**4, 10**5, 10**6, 10**7)],
    "components (16 columns)": [(K, mixture, (50_000, 16, K)) for K in (2, 8, 32, 128, 512)],
    "columns (8 components)": [(D, mixture, (50_000, D, 8)) for D in (2, 8, 32, 128, 256)],
    "steps (8 states)": [(n, categorical, (n, 8)) for n in (10**3, 10**4, 10**5, 10**6, 10**7)],
}


def path(n, K):
    """Seconds and rows of Viterbi of one sequence whose states are not told apart, so that none is left out."""
    r = np.random.default_rng(0)
    A = 0.5 * r.dirichlet(np.ones(K), size=K) + 0.5 * np.eye(K)
    chain = latents.Chain(np.full(K, 1 / K), A / A.sum(axis=1, keepdims=True))
    model = Model(chain, emissions.Gaussian("diag", r.normal(0, 2, (K, 1)), np.ones((K, 1))))
    X = model.sample(n, 0)[0]
    source = model.source(X)
    spec, ends, states, total = model.kernel(source.summary), np.array([n]), np.empty(n, np.int32), np.empty(1)
    best = np.inf
    for _ in range(max(3, min(200, int(3e7 / (n * K * K))))):
        begun = time.perf_counter()
        kernels.active().viterbi(spec, chain.startprob, chain.transmat, ends, X, states, total)
        best = min(best, time.perf_counter() - begun)
    return best


def paths():
    """Nanoseconds a row of Viterbi by length, for several numbers of states."""
    for K in (3, 16, 64, 256):
        lengths = (500, 2000, 8000, 20_000, 100_000)
        print(f"Viterbi, {K} states: " + "  ".join(f"{n} {1e9 * path(n, K) / n:.1f} ns" for n in lengths), flush=True)


def memory_mixture():
    model, X = mixture(5_000_000, 16, 8)
    return lambda source: fit(model, source, stop=Stop(tol=0, max_iter=2), execute=threads()), model.source(X)


def memory_chain():
    model, X = categorical(10**7, 16)
    return lambda source: fit(model, source, stop=Stop(tol=0, max_iter=2), execute=threads()), model.source(X)


def memory_path():
    model, X = categorical(10**8, 4)
    return lambda source: model.decode(source, execute=threads()), model.source(X)


MEMORY = {
    "mixture, 5M x 16": (memory_mixture, 0, 100),
    "Baum-Welch, one sequence of 1e7 steps, K=16": (memory_chain, 0, 200),
    "Viterbi, one sequence of 1e8 steps, K=4": (memory_path, 800, 300),
}


def measure_peak(name):
    """Prints the peak growth of a case beyond its results."""
    make, output, _ = MEMORY[name]
    run, source = make()
    print(measure(lambda: run(source)) - output)


def picture(report, file):
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, len(report["curves"]), figsize=(14, 3.2), layout="constrained", sharey=True)
    for axis, (name, curve) in zip(axes, report["curves"].items(), strict=True):
        axis.loglog([x for x, _ in curve], [y for _, y in curve], "o-", color="#1f6f8b")
        axis.set(xlabel=name, ylabel="ns a row" if axis is axes[0] else None)
        axis.set_ylim(10, 2000)
        axis.grid(alpha=0.3)
    figure.savefig(file, dpi=120)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--picture", type=Path)
    options = parser.parse_args()
    report = {"machine": machine(), "curves": {}, "memory_mb": {}}
    print(report["machine"])
    for name, points in CURVES.items():
        curve = []
        for x, make, arguments in points:
            model, X = make(*arguments)
            curve.append((x, 1e9 * iteration(model, X) / len(X)))
        report["curves"][name] = curve
        print(f"{name:34s} " + "  ".join(f"{x}: {ns:.1f}" for x, ns in curve), "ns a row", flush=True)
    paths()
    for name, (_, _, most) in MEMORY.items():
        megabytes = growth_of(f"growth.measure_peak({name!r})")
        report["memory_mb"][name] = megabytes
        print(f"{name:46s} +{megabytes:.0f} MB (<= {most})", flush=True)
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + "\n")
    if options.picture:
        picture(report, options.picture)


if __name__ == "__main__":
    main()
