"""Peak memory of a call over what is resident before it, in a process of its own (Linux)."""

import subprocess
import sys
from pathlib import Path


def growth_of(call):
    """Megabytes that ``call``, the text of a Python call that measures, prints in a fresh process."""
    module = call.split(".")[0]
    command = [sys.executable, "-W", "ignore", "-c", f"import {module}; {call}"]
    here = Path(__file__).parent
    return float(subprocess.run(command, capture_output=True, text=True, check=True, cwd=here).stdout)


def measure(run):
    """Megabytes the peak grows during ``run()``."""
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    before = _resident("VmRSS")
    run()
    return _resident("VmHWM") - before


def _resident(name):
    line = next(x for x in Path("/proc/self/status").read_text().splitlines() if x.startswith(name))
    return int(line.split()[1]) / 1024
