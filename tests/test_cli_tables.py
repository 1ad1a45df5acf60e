"""Which columns of a file the command line reads, as what, and under which names."""

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest

import estep
from test_cli import check_one_line, run

RNG = np.random.default_rng(0)
V = RNG.normal(size=40)


def csv(path, **columns):
    pd.DataFrame(columns).to_csv(path, index=False)
    return path


def fit(*words, cwd):
    done = run("fit", *words, "--json", cwd=cwd)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), done.stderr


def score(*words, cwd):
    done = run("score", *words, "--json", cwd=cwd)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_columns_go_by_name(tmp_path):
    csv(tmp_path / "a.csv", x=V, y=V**2)
    csv(tmp_path / "b.csv", y=V**2, x=V, more=V)
    csv(tmp_path / "c.csv", x=V, z=V**2)
    fit("gmm", "a.csv", "-k", "1", "-o", "m.json", cwd=tmp_path)
    want = score("m.json", "a.csv", cwd=tmp_path)["log_likelihood"]
    assert score("m.json", "b.csv", cwd=tmp_path)["log_likelihood"] == want
    assert score("m.json", "b.csv", "--columns", "y,x", cwd=tmp_path)["log_likelihood"] == want
    check_one_line(run("score", "m.json", "c.csv", cwd=tmp_path), "no column 'y', which the model has")
    check_one_line(
        run("score", "m.json", "b.csv", "--columns", "x,more", cwd=tmp_path), "'more', which the model does not"
    )
    check_one_line(run("score", "m.json", "b.csv", "--columns", "x", cwd=tmp_path), "--columns lacks 'y'")
    check_one_line(run("fit", "gmm", "a.csv", "-k", "1", "--columns", "x,x", cwd=tmp_path), "names 'x' twice")


@pytest.mark.parametrize("ids", [
    ["1000000000000000001", "1000000000000000002"], ["007", "7"], ["a b", "a  b"], ["1.0", "1"], ["TRUE", "true"],
])  # fmt: skip
def test_ids_are_what_they_are(ids, tmp_path):
    (tmp_path / "ids.csv").write_text("who,v\n" + "".join(f"{ids[i // 20]},{v}\n" for i, v in enumerate(V)))
    fit("hmm", "ids.csv", "-k", "1", "--sequence", "who", "-o", "m.json", cwd=tmp_path)
    found = score("m.json", "ids.csv", "--sequence", "who", cwd=tmp_path)
    assert [s["sequence"] for s in found["sequences"]] == ids
    check_one_line(run("score", "m.json", "ids.csv", cwd=tmp_path), "column 'who': say --sequence who")
    csv(tmp_path / "v.csv", v=V)
    alone = run("score", "m.json", "v.csv", cwd=tmp_path)
    assert alone.returncode == 0 and "no column 'who': its rows are one sequence" in alone.stderr
    assert json.loads((tmp_path / "m.json").read_text())["roles"] == {"sequence": "who"}


def test_64_bit_ids_of_parquet(tmp_path):
    ids = pd.array([2**60] * 20 + [2**60 + 1] * 20, dtype="Int64")
    pd.DataFrame({"who": ids, "v": V}).to_parquet(tmp_path / "p.parquet")
    fit("hmm", "p.parquet", "-k", "1", "--sequence", "who", "-o", "m.json", cwd=tmp_path)
    names = [s["sequence"] for s in score("m.json", "p.parquet", "--sequence", "who", cwd=tmp_path)["sequences"]]
    assert names == [str(2**60), str(2**60 + 1)]


def test_rows_of_a_sequence_that_are_apart_are_an_error_at_once(tmp_path):
    (tmp_path / "s.csv").write_text("who,v\n" + "".join(f"{i % 60_000},{i}\n" for i in range(120_000)))
    check_one_line(
        run("fit", "hmm", "s.csv", "-k", "1", "--sequence", "who", cwd=tmp_path), "rows of sequence 0 are not"
    )
    (tmp_path / "n.csv").write_text("who,v\n1,2\n,3\n")
    check_one_line(run("fit", "hmm", "n.csv", "-k", "1", "--sequence", "who", cwd=tmp_path), "row 1 has no value")


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_blank_lines_of_one_column_are_rows(end, tmp_path):
    lines = ["v", *("" if i % 9 == 4 else str(v) for i, v in enumerate(V)), "", "1.5"]
    (tmp_path / "one.csv").write_text(end.join(lines) + end, newline="")
    fit("hmm", "one.csv", "-k", "2", "-o", "m.json", cwd=tmp_path)
    assert run("decode", "m.json", "one.csv", cwd=tmp_path).stdout.count("\n") == 43
    (tmp_path / "two.csv").write_text("a,b\n1,2\n\n3,4\n")
    check_one_line(run("fit", "gmm", "two.csv", "-k", "1", cwd=tmp_path), "line 3 is blank")
    (tmp_path / "quote.csv").write_text('a,b\n1,x\n2,"y\n3,x\n')
    check_one_line(run("fit", "gmm", "quote.csv", "-k", "1", cwd=tmp_path), "a quote not closed")


def test_what_is_no_feature_is_left_out_and_said(tmp_path):
    frame = pd.DataFrame({
        "patient_id": RNG.permutation(10_000)[:40], "serial": np.arange(40) + 500,
        "day": pd.date_range("2020-01-01", periods=40).strftime("%Y-%m-%d"),
        "name": [f"n{i}" for i in range(40)], "v": V, "count": RNG.poisson(3.0, 40),
    })  # fmt: skip
    frame.to_csv(tmp_path / "f.csv")
    found, said = fit("gmm", "f.csv", "-k", "1", cwd=tmp_path)
    assert found["model"]["columns"] == ["v", "count"]
    for what in ("'Unnamed: 0' (an index)", "'patient_id' (ids)", "'serial' (ids)", "'day' (dates)", "'name' (ids)"):
        assert what in said
    found, said = fit("gmm", "f.csv", "-k", "1", "--columns", "serial,v,day", cwd=tmp_path)
    assert found["model"]["columns"] == ["serial", "v", "day"] and "days since 1970-01-01" in said
    assert found["parameters"]["means"][0][2] == pytest.approx(18262 + 19.5)
    frame.set_index(["name", "day"]).to_parquet(tmp_path / "f.parquet")
    assert fit("gmm", "f.parquet", "-k", "1", cwd=tmp_path)[0]["model"]["columns"] == ["v", "count"]


def test_weights_labels_and_covariates_are_columns(tmp_path):
    x, z = RNG.normal(size=(2, 60))
    w, label = RNG.integers(0, 3, 60), np.where(np.arange(60) < 4, 0, -1)
    csv(tmp_path / "a.csv", x=x, z=z, w=w, label=label, y=x - 2 * z + 0.1 * RNG.normal(size=60))
    rows = pd.read_csv(tmp_path / "a.csv")
    found, _ = fit(
        "gmm",
        "a.csv",
        "-k",
        "2",
        "--weight",
        "w",
        "--labels",
        "label",
        "--columns",
        "x,y",
        "-o",
        "m.json",
        cwd=tmp_path,
    )
    assert found["model"]["roles"] == {"weight": "w", "labels": "label"}
    model = estep.load(tmp_path / "m.json")
    want = model.score(rows[["x", "y"]], weights=rows["w"])
    assert score("m.json", "a.csv", "--weight", "w", cwd=tmp_path)["log_likelihood"] == pytest.approx(want, rel=1e-12)
    assert found["bic"] == pytest.approx(model.bic(found["log_likelihood"], w.sum()), rel=1e-12)
    line = ["mixture", "a.csv", "-k", "1", "--emission", "linear_regression"]
    found, _ = fit(*line, "--given", "x,z", "--columns", "y", "-o", "r.json", cwd=tmp_path)
    np.testing.assert_allclose(found["parameters"]["coefficients"], [[[1, -2]]], atol=0.1)
    want = score("r.json", "a.csv", cwd=tmp_path)["log_likelihood"]
    assert score("r.json", "a.csv", "--given", "z,x", cwd=tmp_path)["log_likelihood"] == want
    check_one_line(run("score", "r.json", "a.csv", "--given", "x,w", cwd=tmp_path), "no covariate 'z'")
    check_one_line(run("fit", *line, "--given", "x,y", "--columns", "y", cwd=tmp_path), "cannot be both")
    check_one_line(run("fit", *line, "--given", "x,x", cwd=tmp_path), "names 'x' twice")
    decoded = run("decode", "r.json", "a.csv", cwd=tmp_path)
    assert decoded.returncode == 0 and decoded.stdout.count("\n") == 61


def test_texts_that_the_model_has_no_names_for(tmp_path):
    csv(tmp_path / "n.csv", s=[0] * 20 + [1, 2] * 10)
    csv(tmp_path / "t.csv", s=["b", "c"] * 20)
    fit("mixture", "n.csv", "-k", "1", "--emission", "categorical", "-o", "m.json", cwd=tmp_path)
    check_one_line(run("score", "m.json", "t.csv", cwd=tmp_path), "no names of symbols for it, only numbers")


def test_names_are_text(tmp_path):
    (tmp_path / "tags.csv").write_text(
        "height [m],rate [/min],a\x1b[2J\x1b]0;x\x07\n" + "".join(f"{v},{v**2},{v**3}\n" for v in V)
    )
    done = run("fit", "gmm", "tags.csv", "-k", "2", "-o", "m.json", cwd=tmp_path)
    assert done.returncode == 0 and "[m]" in done.stdout and "[/min]" in done.stdout
    info = run("info", "m.json", cwd=tmp_path)
    assert "\x1b" not in done.stdout + done.stderr + info.stdout + info.stderr and "\\x1b[2J" in info.stdout


def test_formulas_are_escaped_and_come_back(tmp_path):
    csv(tmp_path / "s.csv", s=["=1+1", "-x", "-2", "@a", "b"] * 8)
    fit("mixture", "s.csv", "-k", "1", "--emission", "categorical", "-o", "m.json", cwd=tmp_path)
    done = run("sample", "m.json", "-n", "50", "-o", "drawn.csv", cwd=tmp_path)
    assert "cells begin like a formula" in done.stderr
    cells = {line.split(",")[1] for line in (tmp_path / "drawn.csv").read_text().splitlines()[1:]}
    assert cells == {"'=1+1", "'-x", "-2", "'@a", "b"}
    assert np.isfinite(score("m.json", "drawn.csv", "--columns", "s", cwd=tmp_path)["log_likelihood"])


def test_what_is_impossible_is_skipped_where_asked(tmp_path):
    start = dict(startprob_init=[1.0, 0.0], transmat_init=[[0.5, 0.5], [0.0, 1.0]])
    hmm = estep.PoissonHMM(2, rates_init=[[0.0], [3.0]], max_iter=0, **start).fit(np.array([[0.0], [1.0]]))
    estep.save(hmm, tmp_path / "m.json")
    csv(tmp_path / "d.csv", who=["a", "a", "b", "b"], v=[0, 2, 2, 0])
    check_one_line(
        run("decode", "m.json", "d.csv", "--sequence", "who", "--columns", "v", cwd=tmp_path),
        "sequence 1 is impossible",
    )
    words = ("decode", "m.json", "d.csv", "--sequence", "who", "--columns", "v", "--on-impossible", "skip")
    done = run(*words, cwd=tmp_path)
    assert done.returncode == 0 and done.stdout.splitlines()[3:] == ["b,-1,", "b,-1,"]
    assert "1 sequence is impossible under the model and skipped: sequence 1" in done.stderr


def test_families_of_some_columns_by_name(tmp_path):
    rng = np.random.default_rng(0)
    lines = [f"{i},2020-01-{1 + i % 28:02d},{rng.lognormal(3, 1):.4f},{rng.integers(18, 90)}" for i in range(60)]
    (tmp_path / "t.csv").write_text("id,day,income,age\n" + "\n".join(lines) + "\n")
    done = run("fit", "mixture", "t.csv", "-k", "2", "--family", "age=gamma", "-o", "m.json", cwd=tmp_path)
    assert done.returncode == 0 and "LogNormal" not in done.stderr, done.stderr
    assert "columns left out: 'id' numbers the rows" in done.stderr or "id" in done.stderr
    model = estep.load(tmp_path / "m.json")
    assert {c: f.name for key, f in model.emission.parts for c in key} == {"income": "log_normal", "age": "gamma"}
    for text, said in (("age", "COLUMN=FAMILY"), ("age=beta", "'beta' is unknown"), ("size=gamma", "no column 'size'")):
        wrong = run("fit", "mixture", "t.csv", "-k", "2", "--family", text, cwd=tmp_path)
        assert wrong.returncode == 2 and said in wrong.stderr, wrong.stderr
    both = run("fit", "mixture", "t.csv", "-k", "2", "--family", "age=gamma", "--emission", "poisson", cwd=tmp_path)
    assert both.returncode == 2 and "give one of them" in both.stderr


def test_missing_cells_are_filled_in(tmp_path):
    rng = np.random.default_rng(0)
    kind = rng.choice(["long", "short"], 80)
    wait = np.where(kind == "long", 80.0, 54.0) + rng.normal(0, 3, 80)
    frame = pd.DataFrame({"wait": wait.round(3), "n": rng.poisson(3, 80), "kind": kind})
    frame.to_csv(tmp_path / "whole.csv", index=False)
    gaps = frame.copy()
    gaps.loc[3, "wait"], gaps.loc[5, "kind"], gaps.loc[7, "n"] = np.nan, None, np.nan
    gaps.to_csv(tmp_path / "gaps.csv", index=False)
    families = "wait=gaussian,n=poisson,kind=categorical"
    assert (
        run("fit", "mixture", "whole.csv", "-k", "2", "--family", families, "-o", "m.json", cwd=tmp_path).returncode
        == 0
    )
    done = run("impute", "m.json", "gaps.csv", "-o", "filled.csv", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    filled = pd.read_csv(tmp_path / "filled.csv")
    there = gaps.notna()
    assert list(filled.columns) == list(frame.columns) and filled.notna().all().all()
    for name in frame.columns:
        assert (filled[name][there[name]] == frame[name][there[name]]).all()
    assert filled.loc[5, "kind"] == frame.loc[5, "kind"] and abs(filled.loc[3, "wait"] - frame.loc[3, "wait"]) < 15
    model = estep.load(tmp_path / "m.json")
    expected = estep.estimators.from_model(model).impute(gaps)
    assert filled.loc[3, "wait"] == expected.loc[3, "wait"]
    drawn = [run("impute", "m.json", "gaps.csv", "--draw", seed, cwd=tmp_path).stdout for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_columns_go_along(tmp_path):
    csv(tmp_path / "d.csv", who=["007", "8", None, "10"], x=["1.50", "2", "8", "9.0"], state=["a", "b", "c", "d"])
    model = estep.GaussianMixture(2, means_init=[[1.75], [8.5]], random_state=0).fit(np.array([[1.5], [2], [8], [9]]))
    estep.save(dataclasses.replace(model.to_model(), columns=("x",)), tmp_path / "m.json")
    done = run("decode", "m.json", "d.csv", "--keep", "who,x", cwd=tmp_path)
    assert [line.split(",")[:3] for line in done.stdout.splitlines()] == [
        ["who", "x", "state"], ["007", "1.50", "0"], ["8", "2", "0"], ["", "8", "1"], ["10", "9.0", "1"],
    ]  # fmt: skip
    done = run("decode", "m.json", "d.csv", "--all-columns", "--proba", "all", "-o", "all.parquet", cwd=tmp_path)
    assert "'state' is in 'estep_state'" in done.stderr
    frame = pd.read_parquet(tmp_path / "all.parquet")
    assert frame["who"].fillna("").tolist() == ["007", "8", "", "10"] and frame["x"].tolist() == [1.5, 2, 8, 9]
    assert frame["state"].tolist() == list("abcd") and frame["estep_state"].tolist() == [0, 0, 1, 1]
    p = model.predict_proba(np.array([[1.5], [2], [8], [9]]))
    assert np.array_equal(frame[["state_0", "state_1"]], p)
    blocks = run("decode", "m.json", "d.csv", "--keep", "who,x", "--memory", "500MB", cwd=tmp_path)
    assert blocks.returncode == 0, blocks.stderr
    assert blocks.stdout == run("decode", "m.json", "d.csv", "--keep", "who,x", cwd=tmp_path).stdout
    drawn = json.loads(run("sample", "m.json", "-n", "3", "--json", cwd=tmp_path).stdout)
    assert drawn.keys() == {"state", "x"} and len(drawn["x"]) == 3
    for words, said in ((("--keep", "y"), "no column 'y'"), (("--keep", "x", "--all-columns"), "give one of them")):
        check_one_line(run("decode", "m.json", "d.csv", *words, cwd=tmp_path), said)


def test_models_are_compared(tmp_path):
    words = ("-k", "1-3", "--covariance", "all", "-o", "best.json", "--plot", "bic.svg", "--json")
    result = json.loads(run("select", "gmm", "faithful", *words, cwd=tmp_path).stdout)
    best = result["candidates"][result["chosen_candidate"]]
    assert (best["n_components"], best["covariance_type"]) == (3, "tied") and len(result["candidates"]) == 12
    assert best["bic"] == min(c["bic"] for c in result["candidates"]) == pytest.approx(2314.2957, abs=1e-3)
    assert len(estep.load(tmp_path / "best.json").emission.means) == 3 and (tmp_path / "bic.svg").exists()
    out = run("select", "gmm", "faithful", "-k", "1,2", "--criterion", "icl", cwd=tmp_path).stdout
    assert "the lowest icl of 2" in out and "ICL" in out
    check_one_line(
        run("select", "hmm", "faithful", "--emission", "gaussian,categorical", cwd=tmp_path), "cannot be comp"
    )
    check_one_line(run("select", "gmm", "faithful", "--plot", "bic.txt", cwd=tmp_path), "ends in .png")


def test_a_model_is_adapted(tmp_path):
    rng = np.random.default_rng(0)
    for name, shift in (("all", 0.0), ("ann", 1.0)):
        csv(tmp_path / f"{name}.csv", x=np.concatenate([rng.normal(0, 1, 40), rng.normal(9, 1, 40)]) + shift)
    assert run("fit", "gmm", "all.csv", "-k", 2, "-o", "all.json", cwd=tmp_path).returncode == 0
    done = run("adapt", "all.json", "ann.csv", "-o", "ann.json", "--relevance", 4, cwd=tmp_path)
    assert done.returncode == 0 and "before" in done.stderr
    X = pd.read_csv(tmp_path / "ann.csv")
    expected = estep.adapt(estep.load(tmp_path / "all.json"), X, 4.0)
    assert np.array_equal(estep.load(tmp_path / "ann.json").emission.means, expected.emission.means)
    words = ("adapt", "all.json", "ann.csv", "-o", "b.json", "--parameters", "rates")
    check_one_line(run(*words, cwd=tmp_path), "parameters names 'rates'")


def test_spells_filtered_states_and_orders(tmp_path):
    rng = np.random.default_rng(3)
    days = pd.date_range("2024-01-01", periods=90).strftime("%Y-%m-%d")
    hidden = np.repeat([0, 1, 0], 30)
    csv(tmp_path / "d.csv", date=days, x=rng.normal(5.0 * hidden, 1).round(3))
    words = ("fit", "hmm", "d.csv", "-k", 2, "--order-by", "mean", "-o", "m.json")
    assert run(*words, cwd=tmp_path).returncode == 0
    means = estep.load(tmp_path / "m.json").emission.means
    assert means[0, 0] < means[1, 0]
    lines = run("decode", "m.json", "d.csv", "--spells", cwd=tmp_path).stdout.splitlines()
    assert lines[0] == "state,first,last,rows,probability"
    assert [line.split(",")[:4] for line in lines[1:]] == [
        ["0", days[0], days[29], "30"], ["1", days[30], days[59], "30"], ["0", days[60], days[89], "30"],
    ]  # fmt: skip
    frame = pd.read_csv(tmp_path / "d.csv", usecols=["x"])
    p = estep.load(tmp_path / "m.json").filter(frame)
    done = run(
        "decode", "m.json", "d.csv", "--algorithm", "filtered", "--proba", "all", "-o", "f.parquet", cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    found = pd.read_parquet(tmp_path / "f.parquet")
    assert np.array_equal(found[["state_0", "state_1"]], p) and (found["state"] == p.argmax(axis=1)).all()
    assert (found["probability"] == p.max(axis=1)).all()
    assert run("decode", "m.json", "d.csv", "--spells", "-o", "s.parquet", cwd=tmp_path).returncode == 0
    assert pd.read_parquet(tmp_path / "s.parquet")["first"].dtype.kind == "M"
    check_one_line(
        run("plot", "m.json", "d.csv", "--what", "forecast", "--time", "date", cwd=tmp_path), "--time is for"
    )
    check_one_line(run("fit", "gmm", "faithful", "-k", 2, "--order-by", "size", cwd=tmp_path), "order_by is 'size'")
    assert run("fit", "gmm", "faithful", "-k", 2, "-o", "g.json", cwd=tmp_path).returncode == 0
    check_one_line(run("decode", "g.json", "faithful", "--spells", cwd=tmp_path), "are for hmm")


def test_what_is_asked_of_a_chain_is_what_python_says(tmp_path):
    rng = np.random.default_rng(0)
    hidden = (np.arange(200) // 20) % 2
    frame = pd.DataFrame({"z": np.exp(rng.normal(hidden * 2.0, 0.3))})
    for family in ("log_normal", "gamma"):
        hmm = estep.HMM(family, 2, random_state=0).fit(frame)
        estep.save(hmm, tmp_path / "m.json")
        gaps = frame.copy()
        gaps.iloc[::7, 0] = np.nan
        gaps.to_csv(tmp_path / "gaps.csv", index=False)
        assert run("impute", "m.json", "gaps.csv", "-o", "whole.csv", cwd=tmp_path).returncode == 0
        np.testing.assert_allclose(pd.read_csv(tmp_path / "whole.csv"), hmm.impute(gaps), rtol=1e-12)
        assert run("forecast", "m.json", "gaps.csv", "--steps", 2, "-o", "ahead.csv", cwd=tmp_path).returncode == 0
        np.testing.assert_allclose(pd.read_csv(tmp_path / "ahead.csv"), hmm.forecast(gaps, 2), rtol=1e-10)


def test_ids_stay_what_they_are_in_every_form(tmp_path):
    ids = [9007199254740993 + 2 * i for i in range(40)]
    csv(
        tmp_path / "d.csv",
        customer_id=ids,
        x=V,
        post=[f"{i:05d}" for i in range(997, 1037)],
        state=V,
        estep_state=V + 1,
    )
    done = run("fit", "gmm", "d.csv", "-k", 2, "--exclude", "state,estep_state", "-o", "m.json", cwd=tmp_path)
    assert done.returncode == 0 and "'post' (codes)" in done.stderr, done.stderr
    assert estep.load(tmp_path / "m.json").columns == ("x",)
    done = run("decode", "m.json", "d.csv", "--all-columns", "-o", "o.parquet", cwd=tmp_path)
    frame = pd.read_parquet(tmp_path / "o.parquet")
    assert frame["customer_id"].tolist() == ids and frame["post"].iloc[0] == "00997"
    assert np.array_equal(frame["estep_state"], V + 1) and set(frame["estep_estep_state"]) <= {0, 1}
    shown = json.loads(run("decode", "m.json", "o.parquet", "--keep", "customer_id", "--json", cwd=tmp_path).stdout)
    assert shown["customer_id"] == ids
    check_one_line(run("fit", "gmm", "d.csv", "-k", 2, "--exclude", "y", cwd=tmp_path), "no column 'y'")


def test_texts_that_a_model_does_not_know(tmp_path):
    rng = np.random.default_rng(1)
    csv(tmp_path / "d.csv", plan=rng.choice(["basic", "gold"], 60), x=np.r_[rng.normal(0, 1, 30), rng.normal(9, 1, 30)])
    families = "plan=categorical,x=gaussian"
    assert run("fit", "mixture", "d.csv", "-k", 2, "--family", families, "-o", "m.json", cwd=tmp_path).returncode == 0
    csv(tmp_path / "new.csv", plan=["gold", "platinum"], x=[0.1, 9.2])
    check_one_line(run("decode", "m.json", "new.csv", cwd=tmp_path), "no symbol 'platinum'")
    done = run("decode", "m.json", "new.csv", "--unknown", "missing", "--outliers", cwd=tmp_path)
    lines = [line.split(",") for line in done.stdout.splitlines()]
    assert lines[0] == ["state", "probability", "outlier_probability"] and lines[1][0] != lines[2][0]
    check_one_line(run("score", "m.json", "new.csv", "--unknown", "skip", cwd=tmp_path), "it is 'error' or 'missing'")


def test_codes_from_1_on_have_no_symbol_0(tmp_path):
    rng = np.random.default_rng(2)
    rating = rng.integers(1, 6, 200)
    csv(tmp_path / "d.csv", rating=rating, x=rng.normal(rating, 1))
    csv(tmp_path / "t.csv", rating=[f"{r} stars" for r in rating], x=pd.read_csv(tmp_path / "d.csv")["x"])
    one, other = (
        json.loads(run("fit", "mixture", name, "-k", 2, "--emission", "auto", "--json", cwd=tmp_path).stdout)
        for name in ("d.csv", "t.csv")
    )
    assert one["bic"] == pytest.approx(other["bic"], rel=1e-9)
    out = run("fit", "mixture", "d.csv", "-k", 2, "--emission", "auto", cwd=tmp_path).stdout
    assert "probability of 1" in out and "probability of 0" not in out
    result = json.loads(
        run("select", "mixture", "d.csv", "-k", "1,2", "--emission", "auto", "--json", cwd=tmp_path).stdout
    )
    assert len(result["candidates"]) == 2
