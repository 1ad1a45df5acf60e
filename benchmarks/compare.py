"""Ours and the peers, side by side in one process: seconds an EM iteration from the same start, and the ratio.

An iteration is the difference between a long fit and one of 1 iteration, so that starts, set-up and compilation cancel;
runs alternate, medians count, and likelihoods must agree. Memory is the growth of the peak over that with the data
loaded, in a process of its own. Peers that are not installed are left out.
``python benchmarks/compare.py [--runs 5] [--only TEXT] [--json FILE] [--markdown FILE] [--picture FILE]``.
``python benchmarks/compare.py --against PYTHON [--pairs 15]``: with no peers but the version in the environment of that
interpreter; the exit code is 1 where a row is slower than there (see :mod:`against`).
"""

import argparse
import json
import os
import platform
import time
import warnings
from importlib.util import find_spec
from pathlib import Path

import numpy as np

import estep
from against import against
from estep import kernels
from memory import growth_of, measure
from problems import PROBLEMS, SINGLE
from whole import WHOLE

MODULES = {"scikit-learn": "sklearn", "oneDAL": "daal4py"}
UNCOMPARED = ("pomegranate",)  # single precision, other conventions


def iteration(run, n):
    """Seconds an iteration takes, and the likelihood after n."""
    time.sleep(0.5)  # threads of the run before stop spinning
    begun = time.perf_counter()
    run(1)
    between = time.perf_counter()
    value = run(n)
    return (time.perf_counter() - between - (between - begun)) / (n - 1), value


def long_iteration(problem):
    """An iteration of ours, from runs of about a second: a processor takes a while to wake up."""
    begun = time.perf_counter()
    problem.ours(problem.long)
    rough = (time.perf_counter() - begun) / problem.long
    return iteration(problem.ours, max(problem.long, int(1 / rough)))


def compare(problem, runs):
    """One row of the table: our seconds, and those of each peer that is there."""
    peers = {name: run for name, run in problem.peers().items() if find_spec(MODULES.get(name, name))}
    times = {name: [] for name in ("ours", *peers)}
    for run in (problem.ours, *peers.values()):
        run(1)  # imports and caches are nobody's
    mine = problem.ours(problem.long)
    for _ in range(runs):
        times["ours"].append(long_iteration(problem)[0])
        for name, run in peers.items():
            few = name in UNCOMPARED or name == "dynamax"
            seconds, theirs = iteration(run, min(5, problem.long) if few else problem.long)
            times[name].append(seconds)
            if not few:
                np.testing.assert_allclose(mine, theirs, rtol=1e-7, err_msg=f"{problem.name}: {name}")
            elif name == "dynamax":  # whose bounds hold its priors' constants: the fitted models are compared
                theirs = problem.dynamax_score()
                tolerance = 1e-7 if problem.kind == "categorical" else 1e-2  # where it has priors
                np.testing.assert_allclose(problem.ours(6), theirs, rtol=tolerance, err_msg=f"{problem.name}: {name}")
    medians = {name: float(np.median(t)) for name, t in times.items()}
    row = {"workload": problem.name, "seconds": medians, "ns_per_row": 1e9 * medians["ours"] / problem.rows}
    row["ratios"] = {name: medians[name] / medians["ours"] for name in peers}
    row["targets"] = problem.targets
    if problem.flops:
        row["gflops"] = problem.flops / medians["ours"] / 1e9
    return row


def dgemm_peak(runs=7, n=2000):
    """GFLOP/s of NumPy's matrix product, all threads."""
    a = np.random.default_rng(0).random((n, n))
    times = []
    for _ in range(runs):
        begun = time.perf_counter()
        a @ a
        times.append(time.perf_counter() - begun)
    return 2e-9 * n**3 / min(times)


def measure_peak(index):
    """Prints the peak growth of our run of a problem."""
    problem = PROBLEMS[index]
    assert problem.data is not None
    _ = estep.GaussianMixture, estep.GaussianHMM  # the import is not the fit's
    print(measure(lambda: problem.ours(3)))


def machine():
    """The processor, cores, and kernels in a line."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        model = next(
            (x.split(":")[1].strip() for x in cpuinfo.read_text().splitlines() if x.startswith("model name")), model
        )
    return f"{model}, {len(os.sched_getaffinity(0))} cores, kernels {kernels.active().level}, NumPy {np.__version__}"


def text(row):
    """A row of the printed table."""
    ratios = "  ".join(
        f"{name} {ratio:.1f}x" + (f" (>= {row['targets'][name]})" if name in row["targets"] else "")
        for name, ratio in row["ratios"].items()
    )
    extra = f"  {row['gflops']:.0f} GFLOP/s" if "gflops" in row else ""
    return (
        f"{row['workload']:52s} {row['seconds']['ours'] * 1e3:9.2f} ms {row['ns_per_row']:8.1f} ns/row  {ratios}{extra}"
    )


def markdown(report):
    """The table of the documentation."""
    lines = [f"Machine: {report['machine']}; dgemm {report['dgemm_gflops']:.0f} GFLOP/s.", ""]
    lines += [
        "| workload | estep, ms an iteration | ns a row | times faster than | peak memory |",
        "|---|---|---|---|---|",
    ]
    for row in report["rows"]:
        ratios = ", ".join(f"{name} {ratio:.{0 if ratio >= 10 else 1}f}x" for name, ratio in row["ratios"].items())
        memory = f"+{row['peak_growth_mb']:.0f} MB" if "peak_growth_mb" in row else ""
        ours = f"{row['seconds']['ours'] * 1e3:.2f} | {row['ns_per_row']:.1f}"
        lines.append(f"| {row['workload']} | {ours} | {ratios} | {memory} |")
    return "\n".join(lines) + "\n"


def picture(report, path):
    """One line a workload: how many times faster than each peer, on a logarithmic scale."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    colours = {"scikit-learn": "tab:orange", "oneDAL": "tab:blue", "hmmlearn": "tab:green", "dynamax": "tab:red"}
    colours |= {"pomegranate": "tab:purple", "estep float64": "tab:gray"}
    rows = report["rows"][::-1]
    fig, ax = plt.subplots(figsize=(9, 0.32 * len(rows) + 1.2), layout="constrained")
    for y, row in enumerate(rows):
        ax.hlines(y, 1, max(row["ratios"].values(), default=1), color="0.85", zorder=1)
        for name, ratio in row["ratios"].items():
            ax.plot(ratio, y, "o", color=colours[name], zorder=2)
    ax.axvline(1, color="0.3", linewidth=1)
    ax.set(xscale="log", xlabel="times faster", yticks=range(len(rows)), yticklabels=[row["workload"] for row in rows])
    ax.xaxis.set_major_formatter("{x:g}x")
    ax.tick_params(axis="y", labelsize=8)
    names = [name for name in colours if any(name in row["ratios"] for row in rows)]
    handles = [plt.Line2D([], [], marker="o", linestyle="", color=colours[name], label=name) for name in names]
    fig.legend(handles=handles, fontsize=8, loc="outside upper center", ncols=len(names), frameon=False)
    ax.spines[["top", "right"]].set_visible(False)
    fig.savefig(path, dpi=130)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--only", default="")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--markdown", type=Path)
    parser.add_argument("--picture", type=Path)
    parser.add_argument("--against", metavar="PYTHON")
    parser.add_argument("--pairs", type=int, default=15)
    options = parser.parse_args()
    if options.against:
        raise SystemExit(against(options.against, options.pairs, options.only) > 0)
    warnings.simplefilter("ignore")
    report = {"machine": machine(), "dgemm_gflops": dgemm_peak(), "rows": []}
    print(report["machine"], f"dgemm {report['dgemm_gflops']:.0f} GFLOP/s", flush=True)
    for i, problem in enumerate(PROBLEMS):
        if options.only not in problem.name:
            continue
        row = compare(problem, options.runs) | {"peak_growth_mb": growth_of(f"compare.measure_peak({i})")}
        problem.__dict__.pop("data", None)
        report["rows"].append(row)
        print(text(row), f" +{row['peak_growth_mb']:.0f} MB", flush=True)
    for double, single in SINGLE:
        if options.only not in single.name:
            continue
        a, b = [], []
        for _ in range(options.runs):
            a.append(long_iteration(double)[0])
            b.append(long_iteration(single)[0])
        seconds = {"ours": float(np.median(b)), "estep float64": float(np.median(a))}
        row = {"workload": single.name, "seconds": seconds, "ns_per_row": 1e9 * seconds["ours"] / single.rows}
        row |= {
            "ratios": {"estep float64": seconds["estep float64"] / seconds["ours"]},
            "targets": {"estep float64": 1.6},
        }
        report["rows"].append(row)
        print(text(row), flush=True)
    for whole in WHOLE:
        if options.only not in whole.name:
            continue
        row = whole.compare(options.runs)
        report["rows"].append(row)
        print(text(row), flush=True)
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + "\n")
    if options.markdown:
        options.markdown.write_text(markdown(report))
    if options.picture:
        picture(report, options.picture)


if __name__ == "__main__":
    main()
