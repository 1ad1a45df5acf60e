"""Runs a peer's own tests against this library: hmmlearn's and scikit-learn's, from where they are installed.

``python tools/peer_tests.py hmmlearn|sklearn [pytest's arguments]``: a copy of the tests is run with the peer's public
names bound to ours. Tests that are left out are named in ``peer_tests_left_out.toml`` beside this file, each with its
reason; the run fails where any other test fails, or where one that is left out passes.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
import xml.etree.ElementTree as ET
from fnmatch import fnmatch
from pathlib import Path

LEFT_OUT = Path(__file__).with_name("peer_tests_left_out.toml")

SETTINGS = {"HMMLEARN_SEED": "0", "SCIPY_ARRAY_API": "1", "SKLEARN_RUN_FLOAT32_TESTS": "1"}
"""One seed for hmmlearn's tests, which have none; all of scikit-learn's."""

HMMLEARN = '''"""hmmlearn, as the tests see it: public modules are ours, private helpers the peer's own."""
import importlib.util, sys
from pathlib import Path
from estep.compat import hmmlearn as ours
__path__ = [str(Path(__file__).parent), {peer!r}]  # private modules of the peer: _hmmc, _kl_divergence, _utils
for name in ("base", "hmm", "vhmm", "utils"):
    globals()[name] = sys.modules[f"hmmlearn.{{name}}"] = getattr(ours, name)
'''

SKLEARN = '''"""scikit-learn's mixture, as the tests see it: public classes are ours."""
import sys
import sklearn.mixture, sklearn.mixture._gaussian_mixture, sklearn.mixture._bayesian_mixture
import estep
for module in (sklearn.mixture, sklearn.mixture._gaussian_mixture, sklearn.mixture._bayesian_mixture):
    for name in ("GaussianMixture", "BayesianGaussianMixture"):
        if hasattr(module, name):
            setattr(module, name, getattr(estep, name))
'''


def of_hmmlearn(home: Path, peer: Path) -> Path:
    """A package ``hmmlearn`` whose tests are the peer's."""
    package = home / "hmmlearn"
    shutil.copytree(peer / "tests", package / "tests", ignore=shutil.ignore_patterns("__pycache__"))
    (package / "__init__.py").write_text(HMMLEARN.format(peer=str(peer)))
    return package / "tests"


def of_sklearn(home: Path, peer: Path) -> Path:
    """The tests of ``sklearn.mixture``, with its classes bound to ours."""
    tests = home / "mixture_tests"
    shutil.copytree(peer / "mixture" / "tests", tests, ignore=shutil.ignore_patterns("__pycache__"))
    (tests / "conftest.py").write_text(SKLEARN + (peer / "conftest.py").read_text())
    return tests


def main() -> int:
    """Exit status 0 where all is as expected."""
    name, *arguments = sys.argv[1:]
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        print(f"{name} is not installed")
        return 2
    left_out = tomllib.loads(LEFT_OUT.read_text())[name]
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        tests = {"hmmlearn": of_hmmlearn, "sklearn": of_sklearn}[name](home, Path(spec.origin).parent)
        report = home / "report.xml"
        command = [sys.executable, "-m", "pytest", str(tests), "-p", "no:cacheprovider", "-q", "-W", "ignore"]
        command += [
            "--rootdir",
            folder,
            "-o",
            "addopts=",
            f"--junitxml={report}",
            "-o",
            "junit_family=xunit1",
            *arguments,
        ]
        environment = {**SETTINGS, **os.environ, "PYTHONPATH": folder}
        subprocess.run(command, cwd=folder, env=environment, check=False)
        return judged(report, **left_out)


def functions(passed: list[str], failed: list[str]) -> tuple[set[str], set[str]]:
    """Tests all of whose cases pass, and others."""
    bad = {case.split("[")[0] for case in failed}
    return {case.split("[")[0] for case in passed} - bad, bad


def judged(report: Path, private: dict[str, str], failing: dict[str, str]) -> int:
    """Compares what failed with what may."""
    passed, failed, skipped, hidden = [], [], 0, 0
    for case in ET.parse(report).getroot().iter("testcase"):
        test = f"{case.get('classname', '').split('tests.')[-1]}::{case.get('name')}"
        if any(fnmatch(test, glob) for glob in private):
            hidden += 1
        elif case.find("skipped") is not None:
            skipped += 1
        elif case.find("failure") is not None or case.find("error") is not None:
            failed.append(test)
        else:
            passed.append(test)
    unexpected = [test for test in failed if not any(fnmatch(test, glob) for glob in failing)]
    idle = [glob for glob in failing if not any(fnmatch(test, glob) for test in failed)]
    for what, good, bad in (("cases", passed, failed), ("tests", *functions(passed, failed))):
        total = len(good) + len(bad)
        print(f"{len(good)} of {total} {what} pass ({100 * len(good) / max(total, 1):.1f}%)")
    print(f"not counted: {skipped} skipped or expected to fail by the peer, {hidden} of private helpers")
    for glob, why in private.items():
        print(f"  private: {glob}: {why}")
    for glob, why in failing.items():
        print(f"  left out: {sum(fnmatch(test, glob) for test in failed):3d}  {glob}: {why}")
    for test in unexpected:
        print(f"  FAILED: {test}")
    for glob in idle:
        print(f"  left out, but nothing of it failed: {glob}")
    return 1 if unexpected or idle or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
