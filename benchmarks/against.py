"""Two versions of ours, in turns: is any workload slower than before?

Each version runs in a process of its own, with the interpreter of its environment; a pair is one measurement of each,
the first one changing from pair to pair. The mean of the logarithms of their ratios has an interval of 2.14 standard
errors (Student, 15 pairs, 95%).
"""

import math
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np

SECONDS = 0.4  # of a measurement, about
CRITICAL = 2.14
SLOWER = 1.03
"""A row whose interval lies wholly above this is slower."""


def problems():
    """Name and run(n) of every row, and whether n are fits: else iterations of one."""
    from problems import PROBLEMS, SINGLE
    from whole import WHOLE

    def fits(whole, n):
        for _ in range(n):
            whole.fit(0)

    iterations = [(p.name, p.ours, False) for p in [*PROBLEMS, *(single for _, single in SINGLE)]]
    return iterations + [(w.name, partial(fits, w), True) for w in WHOLE]


def work():
    """A worker: reads a row's number and how many iterations to time (0: about how many it takes), says seconds."""
    import warnings

    warnings.simplefilter("ignore")
    rows = problems()
    for line in sys.stdin:
        row, n = map(int, line.split())
        _, run, fits = rows[row]
        if not n:
            run(1)
        once = 0.0 if fits else clock(run, 1)
        seconds = clock(run, (n or 2) + (not fits)) - once
        print(seconds / n if n else max(1, int(2 * SECONDS / seconds)), flush=True)


def clock(run, n):
    begun = time.perf_counter()
    run(n)
    return time.perf_counter() - begun


class Worker:
    """A version in its process."""

    def __init__(self, python):
        command = [python, Path(__file__).name]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parent
        )

    def ask(self, row, n):
        self.process.stdin.write(f"{row} {n}\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def against(python, pairs, only):
    """Prints each row's ratio of now to before, with its interval; how many rows are slower."""
    slower = 0
    for row, (name, _, _) in enumerate(problems()):
        if only not in name:
            continue
        now, before = Worker(sys.executable), Worker(python)  # each row begins with an empty memory
        n = max(int(before.ask(row, 0)), int(now.ask(row, 0)))
        logs, times = [], []
        for pair in range(pairs):
            order = (now, before) if pair % 2 else (before, now)
            seconds = {worker: worker.ask(row, n) for worker in order}
            logs.append(math.log(seconds[now] / seconds[before]))
            times.append(seconds[now])
        now.close(), before.close()
        mean, error = float(np.mean(logs)), CRITICAL * float(np.std(logs, ddof=1)) / math.sqrt(pairs)
        low, middle, high = (math.exp(x) for x in (mean - error, mean, mean + error))
        bad = low > SLOWER
        slower += bad
        mark = "  SLOWER" if bad else ""
        print(
            f"{name:52s} {np.median(times) * 1e3:9.3f} ms  now/before {middle:.3f} [{low:.3f}, {high:.3f}]{mark}",
            flush=True,
        )
    print(f"{slower} rows slower than before")
    return slower


if __name__ == "__main__":
    work()
