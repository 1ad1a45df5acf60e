"""Instructions of an EM iteration (of a Viterbi pass) a row, by Callgrind: what a noisy machine cannot hide.

The difference between a long run and one of 1 iteration, on one thread. Valgrind has no AVX-512, so kernels are v3 at
most. ``python benchmarks/instructions.py [--only TEXT] [--json FILE]``; needs valgrind, a minute or two a workload.
"""

import argparse
import json
import os
import re
import subprocess
import sys
from pathlib import Path

from estep import kernels
from problems import PROBLEMS

MORE = 2  # iterations beyond the first


def count(index, iterations, level):
    """Instructions of a whole process that makes so many iterations."""
    run = f"import problems; problems.PROBLEMS[{index}].ours({iterations})"
    core = min(os.sched_getaffinity(0))
    done = subprocess.run(
        ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", sys.executable, "-W", "ignore", "-c", run],
        cwd=Path(__file__).parent,
        env=os.environ | {"ESTEP_KERNELS": level, "PYTHONHASHSEED": "0"},
        preexec_fn=lambda: os.sched_setaffinity(0, {core}),  # one thread
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    found = re.search(r"Collected : (\d+)", done.stderr)
    if done.returncode or not found:
        raise SystemExit(f"valgrind failed:\n{done.stderr[-2000:]}")
    return int(found[1])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    level = next(x for x in reversed(kernels.levels()) if x != "v4")
    report = {"level": level, "instructions_per_row": {}}
    for i, problem in enumerate(PROBLEMS):
        if options.only not in problem.name:
            continue
        extra = count(i, 1 + MORE, level) - count(i, 1, level)
        each = report["instructions_per_row"][problem.name] = extra / MORE / problem.rows
        problem.__dict__.pop("data", None)
        print(f"{problem.name:52s} {each:10.1f} instructions a row, kernels {level}", flush=True)
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
