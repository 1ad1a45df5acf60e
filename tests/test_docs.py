"""The Python of README.md and the pages runs as it stands there, block after block."""

import inspect
import logging
import re
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

import estep
from estep.estimators.attributes import Attributes

ROOT = Path(__file__).parents[1]


GENERATED = "options.md"
PAGES = ("README.md", *(f"docs/{path.name}" for path in sorted((ROOT / "docs").glob("*.md")) if path.name != GENERATED))


def blocks(page, kind=r"(?:python|\{code-cell\} python)"):
    text = (ROOT / page).read_text(encoding="utf-8")
    return [re.sub(r"^:.*\n", "", b) for b in re.findall(rf"```{kind}\n(.*?)```", text, re.DOTALL)]


@pytest.mark.filterwarnings("ignore:.*did not converge")
@pytest.mark.filterwarnings("ignore:.*at its floor")
@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page)])
def test_python_blocks_run(page, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # where the pages write
    names, level = {}, logging.getLogger("estep").level
    try:
        with warnings.catch_warnings():
            for block in blocks(page):
                exec(compile(block, page, "exec"), names)
    finally:
        logging.getLogger("estep").setLevel(level)  # which a page sets
    if page == "README.md":
        assert names["hmm"].score(names["counts"]) == pytest.approx(-328.5275, abs=1e-4)
        assert names["best"] == 2
        assert np.isfinite(names["robust"].dofs_).all()
    if page == "docs/theory.md":
        assert names["by_hand"] == pytest.approx(names["after"].emission.means)
        assert np.log(names["total"]) == pytest.approx(names["prison"].model.score(names["seen"]))
        assert names["found"].transmat_ == pytest.approx(names["true"].latent.transmat, abs=0.1)


@pytest.mark.parametrize("page", PAGES)
def test_code_fits_the_page(page):
    most = 120 if page == "README.md" else 88
    text = (ROOT / page).read_text(encoding="utf-8")
    lines = [line for b in re.findall(r"```[^\n]*\n(.*?)```", text, re.DOTALL) for line in b.splitlines()]
    assert [line for line in lines if len(line) > most] == []


def test_every_public_name_is_in_the_reference():
    text = (ROOT / "docs/api.rst").read_text(encoding="utf-8")
    assert [
        name for name in estep.__all__ if name not in estep.ROOMS and not re.search(rf"\.{name}$", text, re.M)
    ] == []
    shown = [name for name in estep.plots.__all__ if name.endswith("Display")]
    assert [name for name in shown if name not in text] == []


ESTIMATORS = [
    getattr(estep, name) for name in estep.__all__ if isinstance(getattr(estep, name), type)
    and issubclass(getattr(estep, name), Attributes)
]  # fmt: skip


def test_every_setting_is_explained_with_its_default():
    text = (ROOT / "docs/settings.md").read_text(encoding="utf-8")
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| `")]
    told = {name.strip(): row[1] for row in rows for name in row[0].replace("`", "").split(",")}
    taken = {p.name: p.default for e in ESTIMATORS for p in inspect.signature(e).parameters.values()}
    assert taken.keys() == told.keys() and len(ESTIMATORS) == 10
    for estimator in ESTIMATORS:
        for name, parameter in inspect.signature(estimator).parameters.items():
            assert f"`{parameter.default!r}`" in told[name], f"{estimator.__name__}.{name}"


def test_every_option_is_documented_with_an_example():
    sys.path.insert(0, str(ROOT / "docs"))
    try:
        from command_line import page
    finally:
        sys.path.remove(str(ROOT / "docs"))
    for section in page().split("\n## ")[1:]:
        name, _, rest = section.partition("\n")
        assert rest.count(name + " ") >= (1 if name == "estep info" else 2) or name == "estep demo", (
            f"{name} has no example"
        )
        rows = [line.split(" | ") for line in rest.splitlines() if line.startswith("| `")]
        assert rows and all(len(row[1].strip()) > 3 for row in rows), name


def test_recipes_for_sktime_and_aeon_run():
    pytest.importorskip("aeon")
    pytest.importorskip("sktime")
    names = {}
    for block in blocks("docs/from_scikit_learn.md", "py"):
        exec(compile(block, "recipe", "exec"), names)
    assert np.flatnonzero(np.diff(names["states"])).tolist() == [49, 99]
    assert names["segments"]["ilocs"].tolist()[1].left == 50 and len(names["segments"]) == 3
