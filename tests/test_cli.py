"""The command line."""

import contextlib
import csv
import io
import json
import os
import signal
import subprocess
import sys
import time
from unittest import mock

import numpy as np
import pandas as pd
import pytest

import estep
from estep.cli.app import main


def run(*arguments, cwd=".", **options):
    """The command's exit code and texts: in this process, or with ``options`` in one of its own."""
    words = [str(a) for a in arguments]
    if options:
        command = [sys.executable, "-m", "estep", *words]
        return subprocess.run(command, capture_output=True, text=True, cwd=cwd, timeout=120, **options)
    out, err = io.StringIO(), io.StringIO()
    with contextlib.ExitStack() as changed:
        changed.enter_context(contextlib.chdir(cwd))
        changed.enter_context(contextlib.redirect_stdout(out))
        changed.enter_context(contextlib.redirect_stderr(err))
        changed.enter_context(mock.patch.object(sys, "argv", ["estep", *words]))
        with pytest.raises(SystemExit) as end:
            main()
    return subprocess.CompletedProcess(words, end.value.code, out.getvalue(), err.getvalue())


def ok(*arguments, **options):
    done = run(*arguments, **options)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def table(tmp_path):
    def write(text, name="data.csv"):
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


def test_fit_with_empty_cells(table, tmp_path):
    rng = np.random.default_rng(0)
    lines = [f"{x:.6f},{'' if i % 5 == 0 else format(y, '.6f')}" for i, (x, y) in enumerate(rng.normal(size=(60, 2)))]
    data, out = table("a,b\n" + "\n".join(lines) + "\n"), tmp_path / "model.json"
    ok("fit", "gmm", data, "-k", 1, "-o", out)
    states = ok("decode", out, data).splitlines()
    assert len(states) == 61 and len(ok("score", out, data).splitlines()) > 0


@pytest.mark.parametrize("estimate", ["map", "vb"])
def test_fit_with_priors(estimate, tmp_path):
    out = tmp_path / "model.json"
    done = run("fit", "gmm", "faithful", "-k", 2, "--estimate", estimate, "-o", out, "--json")
    result = json.loads(done.stdout)
    assert result["bound"] < result["log_likelihood"] < -1130.26  # that of maximum likelihood
    assert estep.load(out).estimate == estimate
    assert "bound, with priors" in run("fit", "gmm", "faithful", "-k", 2, "--estimate", estimate).stdout
    refused = run("fit", "hmm", "earthquakes", "--emission", "student", "-k", 2, "--estimate", estimate)
    assert refused.returncode == 2 and "the student emission has no conjugate prior" in refused.stderr


def test_fit_earthquakes():
    done = run("fit", "hmm", "earthquakes", "--emission", "poisson", "-k", 3, "--n-init", 20, "--json")
    result = json.loads(done.stdout)
    assert done.stderr == "estep: all 20 starts reached one optimum\n" and result["notes"] == [done.stderr[7:-1]]
    assert result["log_likelihood"] == pytest.approx(-328.52748, abs=1e-5)
    assert result["converged"] is True and result["stop_reason"] == "converged"
    assert set(result) == {"log_likelihood", "n_iter", "converged", "stop_reason", "aic", "bic", "parameters",
                           "model", "seconds", "notes"}  # fmt: skip
    assert np.shape(result["parameters"]["transmat"]) == (3, 3)
    assert result["model"]["format"] == "estep-model"
    two = json.loads(ok("fit", "hmm", "earthquakes", "--emission", "poisson", "-k", 2, "--json"))
    assert two["log_likelihood"] == pytest.approx(-341.87870, abs=1e-5)


def test_fit_a_range_of_components(tmp_path):
    model = tmp_path / "m.json"
    result = json.loads(ok("fit", "gmm", "faithful", "-k", "1-3,5", "-o", model, "--json"))
    assert [c["n_components"] for c in result["candidates"]] == [1, 2, 3, 5]
    assert result["criterion"] == "bic" and result["chosen"] == 2
    assert min(c["bic"] for c in result["candidates"]) == result["bic"] == pytest.approx(2322.191743, abs=1e-5)
    assert len(result["parameters"]["means"]) == len(estep.load(model).emission.means) == 2
    table = ok("fit", "hmm", "earthquakes", "--emission", "poisson", "-k", "1-3", "--criterion", "aic")
    assert "the lowest aic kept" in table and "-391.919" in table and "<" in table


def test_other_families():
    out = ok("fit", "mixture", "faithful", "--emission", "student", "-k", 2, "--covariance", "diag")
    assert "degrees of freedom" in out and "squared scale" in out and "converged" in out
    assert "shape" in ok("fit", "hmm", "faithful", "--emission", "gamma", "-k", 2)
    done = run("fit", "mixture", "faithful", "--emission", "bernoulli", "-k", 2)
    assert done.returncode == 2 and "row 0, column 0 is 3.6; bernoulli emissions want 0 or 1" in done.stderr
    done = run("fit", "mixture", "faithful", "--emission", "gamma", "-k", 2, "--covariance", "full")
    assert done.returncode == 2 and "gaussian, student, log_normal" in done.stderr


def test_a_table_of_mixed_columns(tmp_path):
    rows = ["height,visits,job,smokes,person"]
    for i in range(40):
        tall = i % 4 == 0
        job = "" if i == 7 else "smith" if tall else "nurse"
        rows.append(f"{(185 if tall else 170) + i % 7},{i % 3 + 5 * tall},{job},{int(tall)},{i // 10}")
    data, model = tmp_path / "people.csv", tmp_path / "m.json"
    data.write_text("\n".join(rows) + "\n")
    columns = ("--columns", "height,visits,job,smokes")
    done = run("fit", "mixture", data, "-k", 2, "--emission", "auto", *columns, "-o", model)
    assert done.returncode == 0, done.stderr
    assert "height: gaussian, visits: poisson, smokes: bernoulli, job: categorical" in done.stderr
    states = [line.split(",")[0] for line in ok("decode", model, data).splitlines()[1:]]
    assert [s == states[0] for s in states] == [i % 4 == 0 for i in range(40)]
    assert {line.split(",")[3] for line in ok("sample", model, "-n", 50).splitlines()[1:]} == {"nurse", "smith"}
    assert "total" in ok("score", model, data)
    out = ok("fit", "hmm", data, "-k", 2, "--emission", "auto", "--sequence", "person")
    assert "product hidden Markov model" in out
    done = run("fit", "gmm", data, "-k", 2, "--emission", "auto")
    assert done.returncode == 2 and "gmm is a Gaussian mixture" in done.stderr


def test_symbols_keep_their_names(tmp_path):
    data, model, new = tmp_path / "m.csv", tmp_path / "m.json", tmp_path / "new.csv"
    data.write_text("\n".join(["code,n", *(f"{c},{i}" for i, c in enumerate("12B2BB1BB12"))]) + "\n")
    new.write_text("code,n\n" + "1,0\n" * 5)
    for emission, columns in (("categorical", "code"), ("auto", "code,n")):
        ok("fit", "hmm", data, "-k", 1, "--emission", emission, "--columns", columns, "-o", model)
        total = float(ok("score", model, new).split()[-1])
        if emission == "categorical":
            assert total == pytest.approx(5 * np.log(3 / 11))
    data.write_text("code,n\n,0\n" + data.read_text()[7:])
    out = ok("fit", "hmm", data, "-k", 1, "--emission", "categorical", "--columns", "code")
    assert [f"probability of {symbol}" in out for symbol in "12B3"] == [True, True, True, False]
    done = run("score", model, tmp_path / "new.csv", "--columns", "n")
    assert done.returncode == 2


def test_truths_are_numbers(tmp_path):
    data, model = tmp_path / "m.csv", tmp_path / "m.json"
    data.write_text("flag\n" + "True\nFalse\n,\n".replace(",", "") * 1 + "true\nfalse\ntrue\n")
    ok("fit", "mixture", data, "-k", 1, "--emission", "bernoulli", "-o", model)
    assert estep.load(model).emission.probabilities[0, 0] == pytest.approx(0.6)


def test_criteria_count_rows_that_say_something(tmp_path):
    data = tmp_path / "m.csv"
    data.write_text("a,b\n" + "".join(f"{i % 7},{i % 5 + 0.5}\n" for i in range(59)) + ",\n")
    result = json.loads(ok("fit", "mixture", data, "-k", "1-2", "--json"))
    assert result["bic"] == min(c["bic"] for c in result["candidates"])


def test_rows_with_empty_cells_stay_in_order(tmp_path):
    data, model = tmp_path / "x.csv", tmp_path / "m.json"
    rows = [f"{10 * (i % 2)},{10 * (i % 2) + i / 100}" for i in range(40)]
    rows[4], rows[11] = "0,", ",10.5"
    data.write_text("\n".join(["a,b", *rows]) + "\n")
    ok("fit", "mixture", data, "-k", 2, "-o", model)
    states = [line.split(",")[0] for line in ok("decode", model, data).splitlines()[1:]]
    assert [s == states[0] for s in states] == [i % 2 == 0 for i in range(40)]


def test_factors():
    out = ok("fit", "mixture", "faithful", "--emission", "factor_analysis", "--factors", 2, "-k", 1)
    assert "loading" in out and "-1289.79674" in out  # as many factors as columns: a Gaussian


def test_fit_by_another_algorithm():
    command = ("fit", "gmm", "faithful", "-k", 3, "--covariance", "tied", "--json")
    em, fast = (json.loads(ok(*command, *more)) for more in ((), ("--algorithm", "squarem", "--stop-rule", "aitken")))
    assert fast["n_iter"] < em["n_iter"] and fast["log_likelihood"] >= em["log_likelihood"] - 1e-4


@pytest.mark.parametrize("k", ["0", "x", "3-1", "1-", "", "2.5", "-3"])
def test_what_is_not_a_number_of_components(k):
    done = run("fit", "gmm", "faithful", "-k", k)
    assert done.returncode == 2 and "-k" in done.stderr and len(done.stderr.splitlines()) == 1


def test_fit_faithful_and_what_follows(tmp_path):
    model = tmp_path / "m.json"
    out = ok("fit", "gmm", "faithful", "-k", 3, "--covariance", "tied", "--n-init", 20, "-o", model)
    for text in (
        "log-likelihood",
        "-1126.3159",
        "AIC",
        "BIC",
        "iterations",
        "converged",
        "eruptions",
        "shared variance",
    ):
        assert text in out
    assert ok("score", model, "faithful").startswith("total\t-1126.3159")
    assert json.loads(ok("score", model, "faithful", "--json"))["log_likelihood"] >= -1126.3160
    rows = list(csv.DictReader(ok("decode", model, "faithful").splitlines()))
    assert len(rows) == 272 and set(rows[0]) == {"state", "probability"}
    drawn = list(csv.DictReader(ok("sample", model, "-n", 5).splitlines()))
    assert len(drawn) == 5 and set(drawn[0]) == {"state", "eruptions", "waiting"}
    assert ok("sample", model, "-n", 5) == ok("sample", model, "-n", 5)
    assert ok("sample", model, "-n", 5) != ok("sample", model, "-n", 5, "--seed", 1)
    assert "gaussian mixture" in ok("info", model)


def test_sequences_and_symbols(table, tmp_path):
    rng = np.random.default_rng(0)
    rows = [f"{who},{rng.choice(['hot', 'cold'])}" for who in ("ann", "bob", "cy") for _ in range(20)]
    path, model = table("\n".join(["who,weather", *rows])), tmp_path / "m.json"
    ok("fit", "hmm", path, "--emission", "categorical", "-k", 2, "--sequence", "who", "-o", model, "--tol", 1e-5)
    assert estep.load(model).symbols == ("cold", "hot")
    lines = ok("score", model, path, "--sequence", "who").splitlines()
    assert [line.split("\t")[0] for line in lines] == ["sequence ann", "sequence bob", "sequence cy", "total"]
    values = [float(line.split("\t")[1]) for line in lines]
    assert sum(values[:3]) == pytest.approx(values[3])
    decoded = list(csv.DictReader(ok("decode", model, path, "--sequence", "who").splitlines()))
    assert [r["sequence"] for r in decoded[::20]] == ["ann", "bob", "cy"]
    drawn = list(csv.DictReader(ok("sample", model, "-n", 9).splitlines()))
    assert {r["weather"] for r in drawn} <= {"hot", "cold"}
    other = table("who,weather\nann,warm\n", "other.csv")
    assert "no symbol 'warm'" in run("score", model, other, "--sequence", "who").stderr


def test_gmm_hmm(tmp_path):
    model = tmp_path / "m.json"
    out = ok("fit", "hmm", "faithful", "-k", 2, "--mix", 2, "-o", model, "--tol", 1e-5)
    assert "part 1: weight" in out and "part 1: standard deviation" in out and estep.load(model).emission.n_mix == 2
    assert len(ok("decode", model, "faithful").splitlines()) == 273
    assert "more components (-k)" in run("fit", "gmm", "faithful", "-k", 2, "--mix", 2).stderr


def test_parquet(tmp_path):
    pq = pytest.importorskip("pyarrow.parquet")
    import pyarrow as pa

    X = estep.datasets.load_faithful().X
    pq.write_table(pa.table({"a": X[:, 0], "b": X[:, 1]}), tmp_path / "f.parquet")
    result = json.loads(ok("fit", "gmm", tmp_path / "f.parquet", "-k", 2, "--json"))
    assert result["log_likelihood"] == pytest.approx(-1130.26396, abs=1e-4)


def test_a_file_wins_over_a_dataset(tmp_path):
    (tmp_path / "faithful").write_text("x\n1\n2\n3\n")
    result = json.loads(ok("fit", "gmm", "faithful", "-k", 1, "--json", cwd=tmp_path))
    assert result["parameters"]["means"] == [[2.0]]


def test_info_and_kernels():
    assert "kernels: " in ok("info")
    out = ok("info", env={**os.environ, "ESTEP_KERNELS": "reference"})
    assert "kernels: reference" in out


def test_threads_do_not_change_the_result():
    results = [json.loads(ok("fit", "gmm", "faithful", "-k", 2, "--json", "--threads", n)) for n in (1, 2)]
    assert results[0]["parameters"] == results[1]["parameters"]


def test_demo(tmp_path):
    pytest.importorskip("matplotlib")
    out = ok("demo", "-o", tmp_path / "pictures")
    assert "-328.527" in out
    for name in ("faithful.png", "earthquakes.png"):
        data = (tmp_path / "pictures" / name).read_bytes()
        assert data.startswith(b"\x89PNG") and len(data) > 10_000
    page = (tmp_path / "pictures" / "earthquakes.html").read_text()
    assert "Earthquakes of magnitude 7" in page and "vegaEmbed" in page
    assert estep.load(tmp_path / "pictures" / "earthquakes.json").n_components == 3


FIT = ("fit", "gmm")
BAD_DATA = [
    ("", FIT, "is empty"),
    ("a,b\n", FIT, "no rows"),
    ("a,b\n1,2\n3\n", FIT, "row 1 has 1 fields, the header 2"),
    ("a,b\n1,x\n2,y\n", FIT, "column 'b' of .* is text"),
    ("a,b\n1,inf\n2,3\n", FIT, r"row 0, column 1 \(b\) is inf"),
    ("a,b\nnan,1\n,2\n", FIT, r"column 0 \(a\) has no values"),
    ("a\ninf\n1\n", FIT, r"row 0, column 0 \(a\) is inf"),
    ("a\n1\n", FIT, "2 components want at least as many rows"),
    ("a\n-1\n2\n", ("fit", "hmm", "--emission", "poisson"), "-1.0; poisson emissions want counts"),
    ("a\n1.5\n2\n", ("fit", "mixture", "--emission", "poisson"), "1.5; poisson emissions want counts"),
    ("a\n1.5\n2\n", ("fit", "hmm", "--emission", "categorical"), "symbols are whole numbers"),
    ("a,b\n1,2\n2,3\n", ("fit", "hmm", "--emission", "categorical"), "symbols come in one column"),
    ("s,a\n1,2\n2,3\n1,4\n", ("fit", "hmm", "--sequence", "s"), "sequence 1 are not together"),
    ("s,a\n1,2\n2,3\n", ("fit", "hmm", "--sequence", "t"), "no column 't'"),
    ("s,a\n1,2\n2,3\n", ("fit", "gmm", "--columns", "q"), "no column 'q'; it has s, a"),
    ("s,a\n1,2\n2,3\n", ("fit", "gmm", "--sequence", "s"), "--sequence is for hmm"),
    ("a,a\n1,2\n", FIT, "two columns of one name"),
]


def check_one_line(done, message):
    import re

    assert done.returncode == 2, (done.returncode, done.stderr)
    assert done.stdout == ""
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("estep: ")
    assert re.search(message, lines[0]), lines[0]


@pytest.mark.parametrize("text, command, message", BAD_DATA)
def test_bad_data_is_one_line(text, command, message, table):
    check_one_line(run(*command[:2], table(text), "-k", 2, *command[2:]), message)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (("fit", "gmm", "nowhere.csv", "-k", 2), "nowhere.csv: no such file.*faithful"),
        (("fit", "tree", "faithful", "-k", 2), "'tree' is not a kind"),
        (("fit", "gmm", "faithful", "-k", 2, "--emission", "poisson"), "mixture --emission poisson"),
        (("fit", "mixture", "faithful", "-k", 2, "--emission", "beta"), "'beta' is unknown"),
        (("fit", "gmm", "faithful", "-k", 2, "--covariance", "round"), "covariance_type is 'round'"),
        (("fit", "hmm", "earthquakes", "-k", 2, "--emission", "poisson", "--covariance", "full"), "is for gaussian"),
        (("fit", "gmm", "faithful", "-k", 2, "--tol", "nan"), "tol"),
        (("fit", "gmm", "faithful", "-k", 2, "-o", "no/such/folder/m.json"), "there is no folder"),
        (("fit", "gmm", ".", "-k", 2), "is a folder"),
        (("fit", "gmm", "faithful", "-k", 2, "-o", "."), "is a folder: give a file's name"),
        (("score", "nowhere.json", "faithful"), "nowhere.json: No such file"),
        (("decode", "nowhere.json", "faithful"), "nowhere.json"),
        (("fit", "gmm", "faithful", "-k", 0), "-k"),
        (("fit", "gmm", "faithful"), "components"),
        (("fit", "gmm", "faithful", "-k", 2, "--wrong"), "--wrong"),
        (("fit", "gmm", "faithful", "-k", "two"), "-k.*number"),
        (("unknown",), "unknown"),
        (("fit", "gmm", "faithful", "-k", "2", "--algorithm", "newton"), "newton.*squarem"),
    ],
)
def test_bad_usage_is_one_line(arguments, message, tmp_path):
    check_one_line(run(*arguments, cwd=tmp_path), message)


def test_damaged_model_file(table):
    check_one_line(run("score", table("{", "m.json"), "faithful"), "m.json is not a model .* not JSON")


def test_impossible_sequence(table, tmp_path):
    from estep.emissions import Categorical
    from estep.latents import Chain

    model = estep.Model(Chain([1, 0], [[1, 0], [0, 1]]), Categorical([[1, 0], [0, 1]]))
    estep.save(model, tmp_path / "m.json")
    data = table("x\n0\n1\n")
    assert ok("score", tmp_path / "m.json", data).splitlines()[-1] == "total\t-inf"
    check_one_line(run("decode", tmp_path / "m.json", data), "sequence 0 is impossible under the model from step 1")


def test_wrong_kernels():
    check_one_line(run("info", env={**os.environ, "ESTEP_KERNELS": "v9"}), "no kernels 'v9'")


def test_ctrl_c_keeps_the_best_model(tmp_path):
    """Exit 130, the best model so far saved where -o says, and a line that says so."""
    model = tmp_path / "m.json"
    command = [sys.executable, "-m", "estep", "fit", "hmm", "balls", "--emission", "categorical", "-k", "3",
               "--tol", "0", "--max-iter", "1000000", "-o", str(model)]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    time.sleep(4)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    assert "interrupted after" in err and str(model) in err
    assert "Traceback" not in err
    assert "interrupted: this is the best model so far" in out
    assert estep.load(model).n_components == 3


def test_a_closed_pipe_is_no_error():
    done = subprocess.run(
        f"{sys.executable} -m estep decode <({sys.executable} -c pass) faithful | head -1; exit 0",
        shell=True, executable="/bin/bash", capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert "Traceback" not in done.stderr


def test_it_starts_without_what_takes_long_to_import():
    text = (
        "import sys, estep.cli.app; print({'sklearn', 'scipy.optimize', 'matplotlib', 'pandas'} & sys.modules.keys())"
    )
    assert subprocess.run([sys.executable, "-c", text], capture_output=True, text=True).stdout.strip() == "set()"


def test_version_and_what_is_in_a_model_as_json(tmp_path):
    done = run("--version")
    assert done.returncode == 0 and done.stdout == f"estep {estep.__version__}\n"
    ok("fit", "gmm", "faithful", "-k", 2, "-o", tmp_path / "m.json")
    known = json.loads(ok("info", tmp_path / "m.json", "--json"))
    assert known == json.loads((tmp_path / "m.json").read_text())
    machine = json.loads(ok("info", "--json"))
    assert machine["estep"] == estep.__version__ and machine["kernels"] in machine["levels"]


def test_probabilities_of_all_states(tmp_path):
    ok("fit", "hmm", "earthquakes", "-k", 3, "--emission", "poisson", "-o", tmp_path / "m.json")
    rows = list(csv.DictReader(io.StringIO(ok("decode", tmp_path / "m.json", "earthquakes", "--proba", "all"))))
    p = np.array([[float(row[f"state_{k}"]) for k in range(3)] for row in rows])
    X = estep.datasets.load_earthquakes().X
    np.testing.assert_allclose(p, estep.load(tmp_path / "m.json").predict_proba(X), rtol=1e-12)
    np.testing.assert_allclose(
        [float(row["probability"]) for row in rows], p[range(107), [int(r["state"]) for r in rows]]
    )
    assert "--proba 'some'" in run("decode", tmp_path / "m.json", "earthquakes", "--proba", "some").stderr


def test_forecasts(tmp_path):
    ok("fit", "hmm", "earthquakes", "-k", 3, "--emission", "poisson", "-o", tmp_path / "m.json")
    found = list(csv.DictReader(io.StringIO(ok("forecast", tmp_path / "m.json", "earthquakes", "--steps", 4))))
    hmm = estep.estimators.from_model(estep.load(tmp_path / "m.json"))
    frame = hmm.forecast(pd.DataFrame({"count": estep.datasets.load_earthquakes().X[:, 0]}), steps=4)
    assert list(found[0]) == list(frame.columns) and len(found) == 4
    for name in frame.columns:
        np.testing.assert_allclose([float(row[name]) for row in found], frame[name], rtol=1e-12)
    as_json = json.loads(ok("forecast", tmp_path / "m.json", "earthquakes", "--json"))
    assert as_json["step"] == [1] and as_json["state_0"] == [frame["state_0"][0]]
    ok("fit", "gmm", "faithful", "-k", 2, "-o", tmp_path / "g.json")
    assert "forecast is for hmm" in run("forecast", tmp_path / "g.json", "faithful").stderr
