"""Ten scripts that use hmmlearn, with hmmlearn and with their import changed: seconds, and whether they agree.

``python benchmarks/scripts.py [--runs 3]``: the best of some runs of each, in turns.
"""

import argparse
import sys
from pathlib import Path

import hmmlearn.hmm
import numpy as np

import estep.compat.hmmlearn

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from peer_scripts import SCRIPTS, run

parser = argparse.ArgumentParser()
parser.add_argument("--runs", type=int, default=3)
runs = parser.parse_args().runs

print(f"hmmlearn {hmmlearn.__version__}, estep {estep.__version__}; tests/hmmlearn_scripts")
print("| script | hmmlearn, s | estep, s | times faster | largest difference |")
print("|---|---|---|---|---|")
run(SCRIPTS[0], ours=True), run(SCRIPTS[0], ours=False)  # imports are done
for script in SCRIPTS:
    known, found = ([run(script, ours) for _ in range(runs)] for ours in (False, True))
    seconds = [min(t for _, t in times) for times in (known, found)]
    apart = 0.0
    for name, value in known[0][0].items():
        value = np.asarray(value)
        apart = max(apart, float(np.abs(found[0][0][name] - value).max() / max(1.0, np.abs(value).max())))
    cells = [f"{s:.3f}" for s in seconds] + [f"{seconds[0] / seconds[1]:.1f}", f"{apart:.0e}"]
    print(f"| {script.stem} | {' | '.join(cells)} |", flush=True)
