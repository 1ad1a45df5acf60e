"""What the command line writes, and where it cannot; streams that are closed; what asks for too much."""

import os
import stat
import subprocess
import sys
import time

import numpy as np
import pytest

import estep
from test_cli import check_one_line, run

FIT = ("fit", "gmm", "faithful", "-k", "2")
ESTEP = f"{sys.executable} -m estep"


def shell(command, cwd, within=60, **environment):
    return subprocess.run(
        ["bash", "-c", command], cwd=cwd, capture_output=True, text=True, timeout=within, env=os.environ | environment
    )


def test_a_link_keeps_leading_to_its_target(tmp_path):
    (tmp_path / "real.json").write_text("{}")
    (tmp_path / "link.json").symlink_to("real.json")
    (tmp_path / "dangling.json").symlink_to("new.json")
    for name, target in (("link.json", "real.json"), ("dangling.json", "new.json")):
        assert run(*FIT, "-o", name, cwd=tmp_path).returncode == 0
        assert (tmp_path / name).is_symlink() and estep.load(tmp_path / target).n_components == 2
    (tmp_path / "l1").symlink_to("l2")
    (tmp_path / "l2").symlink_to("l1")
    check_one_line(run(*FIT, "-o", "l1", cwd=tmp_path), "leads back to itself")


def test_devices_pipes_and_streams_are_written_to(tmp_path):
    run(*FIT, "-o", "m.json", cwd=tmp_path)
    before = stat.S_IFMT(os.stat("/dev/null").st_mode)
    assert run(*FIT, "-o", "/dev/null", cwd=tmp_path).returncode == 0
    assert stat.S_IFMT(os.stat("/dev/null").st_mode) == before == stat.S_IFCHR
    (tmp_path / "log").write_text("KEEP\n")
    done = shell(f"{ESTEP} sample m.json -n 2 -o /dev/stdout >> log", tmp_path)
    assert done.returncode == 0 and (tmp_path / "log").read_text().startswith("KEEP\nstate,")
    done = shell(
        f"{ESTEP} sample m.json -n 2 -o /dev/fd/1 | cat; {ESTEP} sample m.json -n 2 -o >(cat > f); sleep 0.3", tmp_path
    )
    assert done.stdout.count("\n") == 3 and (tmp_path / "f").read_text().count("\n") == 3
    os.mkfifo(tmp_path / "fifo")
    done = shell(f"cat fifo > got & {ESTEP} {' '.join(FIT)} -o fifo; wait", tmp_path)
    assert done.returncode == 0 and (tmp_path / "got").read_text().startswith("{")
    assert stat.S_ISFIFO(os.stat(tmp_path / "fifo").st_mode)


def test_what_cannot_be_written_is_refused_before_the_fit(tmp_path):
    (tmp_path / "fixed.json").write_text("old")
    os.chmod(tmp_path / "fixed.json", 0o444)
    (tmp_path / "folder").mkdir()
    for out, words in (("fixed.json", "read-only"), ("folder", "is a folder"), ("none/m.json", "there is no folder")):
        check_one_line(run(*FIT, "-o", out, cwd=tmp_path), words)
        check_one_line(run("sample", "m.json", "-n", "1", "-o", out, cwd=tmp_path), words)
    assert (tmp_path / "fixed.json").read_text() == "old"


def test_permissions_are_those_of_the_umask_or_of_before(tmp_path):
    done = shell(f"umask 027; {ESTEP} {' '.join(FIT)} -o m.json", tmp_path)
    assert done.returncode == 0 and (tmp_path / "m.json").stat().st_mode & 0o777 == 0o640
    os.chmod(tmp_path / "m.json", 0o606)
    assert run(*FIT, "-o", "m.json", cwd=tmp_path).returncode == 0
    assert (tmp_path / "m.json").stat().st_mode & 0o777 == 0o606


def test_a_save_that_fails_loses_nothing(tmp_path):
    done = run(*FIT, "-o", "/dev/full", cwd=tmp_path)
    assert done.returncode == 2 and "component" in done.stdout and "Traceback" not in done.stderr
    assert "/dev/full: No space left on device; the model is in " in done.stderr
    kept = done.stderr.strip().split("the model is in ")[1]
    assert estep.load(kept).n_components == 2
    os.unlink(kept)


@pytest.mark.parametrize("redirect, status", [
    (">&-", 0), ("2>&-", 0), (">&- 2>&-", 0), ("> /dev/full", 2), ("2> /dev/full", 0), ("| head -1", 0),
])  # fmt: skip
def test_streams_that_cannot_be_written(redirect, status, tmp_path):
    run(*FIT, "-o", "m.json", cwd=tmp_path)
    for words in (" ".join(FIT), "info m.json", "decode m.json faithful"):
        done = shell(f"set -o pipefail; {ESTEP} {words} {redirect}", tmp_path)
        assert done.returncode == status and "Traceback" not in done.stderr + done.stdout, (words, done.stderr)


@pytest.mark.parametrize("environment", [
    {"COLUMNS": "0"}, {"COLUMNS": "1"}, {"COLUMNS": "²"}, {"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "C"},
    {"TERM": "dumb"},
])  # fmt: skip
def test_terminals_of_every_kind(environment, tmp_path):
    (tmp_path / "é.csv").write_text("größe,b\n" + "".join(f"{i % 7},{i % 3}\n" for i in range(30)))
    for words in ("fit gmm é.csv -k 2 -o m.json", "info m.json", "score nothing.json é.csv", "--help"):
        done = shell(f"{ESTEP} {words}", tmp_path, **environment)
        assert "Traceback" not in done.stderr, done.stderr
        assert done.returncode == (2 if "nothing" in words else 0)


@pytest.mark.parametrize("words, said", [
    (("fit", "gmm", "faithful", "-k", "1-3000000"), "components want at least as many rows; DATA has 272"),
    (("fit", "gmm", "faithful", "-k", "9" * 30), "components want at least as many rows"),
    (("fit", "gmm", "faithful", "-k", "3-1"), "the smaller first"),
    (("sample", "m.json", "-n", str(10**30)), "so many rows take"),
    (("sample", "m.json", "-n", str(10**10)), "so many rows take"),
    (("fit", "gmm", "faithful", "-k", "2", "--n-init", str(10**20)), "n-init"),
    (("info", "/dev/zero"), "it is a device"),
])  # fmt: skip
def test_what_asks_for_too_much_is_refused_at_once(words, said, tmp_path):
    run(*FIT, "-o", "m.json", cwd=tmp_path)
    begun = time.perf_counter()
    check_one_line(run(*words, cwd=tmp_path), said)
    assert time.perf_counter() - begun < 20


def test_an_interrupted_write_leaves_no_half_file(tmp_path):
    import signal

    run(*FIT, "-o", "m.json", cwd=tmp_path)
    before = (tmp_path / "m.json").read_bytes()
    ours = "import estep.cli; print(flush=True); estep.cli.main()"  # the clock begins when Python runs what is ours
    for after in (0.1, 0.3, 0.5):
        command = [sys.executable, "-c", ours, "sample", "m.json", "-n", "300000", "-o", "drawn.csv"]
        began = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        began.stdout.readline()
        time.sleep(after)
        began.send_signal(signal.SIGINT)
        _, errors = began.communicate(timeout=60)
        assert began.returncode in (130, 0, -signal.SIGINT) and "Traceback" not in errors
        drawn = tmp_path / "drawn.csv"
        assert not drawn.exists() or drawn.read_text().count("\n") == 300_001
    assert (tmp_path / "m.json").read_bytes() == before
    assert {p.name for p in tmp_path.iterdir()} <= {"m.json", "drawn.csv"}


def test_files_that_python_writes(tmp_path, monkeypatch):
    """The umask is never changed, not even for a moment; a name may be as long as the system lets it."""
    monkeypatch.setattr(os, "umask", lambda mask: pytest.fail("the umask was changed"))
    model = estep.GaussianMixture(1).fit(np.eye(3))
    path = tmp_path / ("ü" * 125 + ".json")
    estep.save(model, path)
    assert estep.load(path).n_components == 1
    with pytest.raises(ValueError, match="is a folder"):
        estep.save(model, tmp_path)
