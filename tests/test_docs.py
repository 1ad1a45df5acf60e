"""The Python of README.md and the pages runs as it stands there, block after block."""

import re
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.filterwarnings("ignore:.*did not converge")
@pytest.mark.parametrize(
    "page",
    [
        "README.md",
        "docs/start.md",
        "docs/after_fit.md",
        "docs/large_data.md",
        "docs/own_emission.md",
        "docs/priors.md",
        "docs/emissions.md",
        "docs/from_hmmlearn.md",
        "docs/from_scikit_learn.md",
    ],
)
def test_python_blocks_run(page, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # where the pages write
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), re.DOTALL)
    assert blocks
    names = {}
    for block in blocks:
        exec(compile(block, page, "exec"), names)
    if page == "README.md":
        assert names["hmm"].score(names["counts"]) == pytest.approx(-328.5275, abs=1e-4)
        assert names["best"] == 2
        assert np.isfinite(names["robust"].dofs_).all()


def test_recipes_for_sktime_and_aeon_run():
    pytest.importorskip("aeon")
    pytest.importorskip("sktime")
    blocks = re.findall(r"```py\n(.*?)```", (ROOT / "docs/from_scikit_learn.md").read_text(encoding="utf-8"), re.DOTALL)
    names = {}
    for block in blocks:
        exec(compile(block, "recipe", "exec"), names)
    assert np.flatnonzero(np.diff(names["states"])).tolist() == [49, 99]
    assert names["segments"]["ilocs"].tolist()[1].left == 50 and len(names["segments"]) == 3
