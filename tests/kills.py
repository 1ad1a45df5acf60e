"""Kills a fit that keeps a checkpoint, at random moments, until it has been killed so often: each ends as the
uninterrupted one.

``python tests/kills.py [--kills 200] [--seed 0]``; half of them a mixture's, half a chain's.
"""

import argparse
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

FIT = """
import sys, numpy as np, estep, warnings
warnings.simplefilter("ignore")
n, rng = 20_000, np.random.default_rng(0)
X = rng.normal(size=(n, 3)) + 3 * rng.normal(size=(4, 3))[np.arange(n) % 4]
kind, file = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else None
make = estep.GaussianMixture if kind == "mixture" else estep.GaussianHMM
fitted = make(5, n_init=4, random_state=0, checkpoint=file, every=0.01, tol=1e-7, max_iter=100).fit(X)
print(fitted.fit_.bound.hex(), fitted.means_.tobytes().hex())
"""


def killed(kind, kills, rng):
    """Kills until there were ``kills``; how many fits have come to their end on the way, all of them right."""
    command, ends, done = [sys.executable, "-c", FIT, kind], 0, 0
    began = time.perf_counter()
    whole = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    longest = time.perf_counter() - began
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "checkpoint"
        while done < kills:
            process = subprocess.Popen([*command, file], stdout=subprocess.PIPE, text=True)
            try:
                out, _ = process.communicate(timeout=longest * rng.uniform(0.3, 0.8))
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
                process.communicate()
                done += 1
                continue
            if process.returncode or out != whole:
                raise SystemExit(f"{kind}: after {done} kills the fit ended otherwise (exit code {process.returncode})")
            ends += 1
            file.unlink()
        out = subprocess.run([*command, file], capture_output=True, text=True, check=True).stdout
        if out != whole:
            raise SystemExit(f"{kind}: after {done} kills the fit ended otherwise")
    return ends + 1


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    for kind in ("mixture", "hmm"):
        ends = killed(kind, options.kills // 2, rng)
        print(f"{kind}: {options.kills // 2} kills, {ends} fits that came to the same end, bit for bit", flush=True)


if __name__ == "__main__":
    main()
