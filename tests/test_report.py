"""The report: its numbers, its page in a browser, and the command that writes it."""

import json
import re
import shutil

import numpy as np
import pandas as pd
import pytest

import estep
from estep import Report, report
from test_cli import check_one_line, run

RNG = np.random.default_rng(3)
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


def customers(n=240):
    kind = RNG.integers(0, 3, n)
    return pd.DataFrame({
        "customer": [f"C{i:04d}" for i in range(n)],
        "visits": RNG.poisson(np.array([2, 8, 20])[kind]),
        "spent": RNG.normal(np.array([10, 40, 90])[kind], 5).round(2),
        "plan <b>": np.array(["basic", "</script>", "gold"])[kind],
    })  # fmt: skip


@pytest.fixture(scope="module")
def mixture():
    frame = customers()
    frame.loc[5, "spent"] = np.nan
    model = estep.MixtureModel(
        {"visits": "poisson", "spent": "gaussian", "plan <b>": "categorical"}, 3, n_init=6, random_state=0
    ).fit(frame)
    return frame, model, report(model, frame, name="cust & co", keep=["customer"])


@pytest.fixture(scope="module")
def chain():
    states = np.repeat([0, 1, 0, 1, 0], 60)
    frame = pd.DataFrame({"r": RNG.normal(0, np.array([1.0, 4.0])[states])})
    model = estep.GaussianHMM(2, n_init=4, random_state=0).fit(frame)
    days = np.arange("2020-01-01", "2020-10-27", dtype="datetime64[D]")
    return frame, model, report(model, frame, times=days)


def test_numbers_are_those_of_the_model(mixture):
    frame, model, found = mixture
    n = found.numbers
    assert n["scores"]["log_likelihood"] == pytest.approx(model.score(frame) * len(frame))
    assert n["scores"]["bic"] == pytest.approx(model.bic(frame))
    states = model.predict(frame)
    assert [c["rows"] for c in n["components"]] == np.bincount(states).tolist()
    p = model.predict_proba(frame)
    expected = [p[states == k, k].mean() for k in range(3)]
    assert [c["sure"] for c in n["components"]] == pytest.approx(expected)
    assert sum(c["expected_rows"] for c in n["components"]) == pytest.approx(len(frame))
    assert n["rows"]["component"] == states.tolist() and n["rows"]["kept"][0]["values"][3] == "C0003"
    assert n["data"]["missing"] == {"spent": 1}
    profile = model.profile()
    mean = profile[(profile["column"] == "spent") & (profile["statistic"] == "mean")]["value"]
    spent = next(c for c in n["columns"] if c["name"] == "spent")
    assert spent["mean"] == pytest.approx(mean.tolist())
    residuals = model.to_model().pseudo_residuals(frame.drop(columns="customer"))
    assert n["checks"]["columns"][0]["mean"] == pytest.approx(np.nanmean(residuals[:, 0]))


def test_numbers_of_a_chain(chain):
    frame, model, found = chain
    n = found.numbers
    assert np.array_equal(n["chain"]["transmat"], model.transmat_)
    assert n["chain"]["stays"] == pytest.approx((1 / (1 - model.transmat_.diagonal())).tolist())
    assert n["rows"]["times"][:2] == ["2020-01-01", "2020-01-02"]
    residuals = model.pseudo_residuals(frame)[:, 0]
    apart = residuals - residuals.mean()
    lag = (apart[1:] * apart[:-1]).sum() / (apart**2).sum()
    assert n["checks"]["columns"][0]["autocorrelations"][0] == pytest.approx(lag)


def test_what_to_watch_is_said():
    X = np.concatenate([RNG.normal(0, 1, (150, 2)), [[40.0, 40.0], [40.1, 40.2], [40.2, 40.0]]])
    few = estep.GaussianMixture(2, means_init=[[0, 0], [40, 40]], reg_covar=1e-3, random_state=0).fit(X)
    said = " ".join(report(few, X).alerts)
    assert "Component 1 has 3.0 rows" in said and "One start only" in said
    cut = estep.GaussianMixture(3, max_iter=2, random_state=0)
    with pytest.warns(estep.estimators.base.ConvergenceWarning):
        cut.fit(RNG.normal(size=(200, 1)))
    assert "before it had converged" in " ".join(report(cut, RNG.normal(size=(200, 1))).alerts)
    skewed = RNG.exponential(size=(500, 1))
    assert "distributed otherwise" in " ".join(report(estep.GaussianMixture(1).fit(skewed), skewed).alerts)
    walk = np.cumsum(RNG.normal(size=(400, 1)), axis=0)
    said = " ".join(report(estep.GaussianHMM(2, random_state=0).fit(walk), walk).alerts)
    assert "follow each other correlate" in said
    twins = estep.GaussianMixture(2)
    twins.weights_, twins.means_, twins.covariances_ = np.full(2, 0.5), np.zeros((2, 1)), np.ones((2, 1, 1))
    assert "0 and 1 are identical" in " ".join(report(twins, RNG.normal(size=(50, 1))).alerts)
    X = estep.datasets.load_faithful().X
    assert report(estep.GaussianMixture(2, n_init=10, random_state=0).fit(X), X).alerts == []


def test_rows_stay_out_where_asked(mixture, tmp_path):
    frame, model, _ = mixture
    found = report(model, frame, tmp_path / "r.html", rows=False, keep=["customer"])
    assert found.numbers["rows"] is None
    for text in (json.dumps(found.numbers), (tmp_path / "r.html").read_text()):
        assert "C0003" not in text


def test_a_page_is_made_again_of_its_numbers(mixture, tmp_path):
    _, _, found = mixture
    found.save(tmp_path / "r.json")
    again = Report.load(tmp_path / "r.json")
    assert again.to_html() == found.to_html() and len(found.to_html()) < 5_000_000
    (tmp_path / "bad.json").write_text("{}")
    with pytest.raises(ValueError, match=r"bad\.json does not hold the numbers"):
        Report.load(tmp_path / "bad.json")


def test_large_data_are_thinned():
    X = np.concatenate([RNG.normal(0, 1, (40_000, 1)), RNG.normal(9, 1, (40_000, 1))])
    model = estep.GaussianMixture(2, random_state=0).fit(X)
    found = report(model, X)
    assert found.numbers["rows"]["shown"] <= 2000 and sum(c["rows"] for c in found.numbers["components"]) == 80_000
    assert len(found.to_html()) < 5_000_000


def test_families_without_margins_and_with_covariates():
    X, given = RNG.normal(size=(80, 1)), RNG.normal(size=(80, 2))
    model = estep.MixtureModel("linear_regression", 2, random_state=0).fit(X, given=given)
    found = report(model, X, given=given)
    assert found.numbers["columns"][0]["kind"] is None and "<html" in found.to_html()


def test_columns_in_another_order():
    frame = pd.DataFrame({"n": RNG.poisson(5, 90), "c": RNG.choice(["u", "v"], 90), "g": RNG.normal(100, 1, 90)})
    model = estep.MixtureModel({"n": "poisson", "c": "categorical", "g": "gaussian"}, 2, random_state=0).fit(frame)
    one, other = (report(model, f).numbers for f in (frame, frame[["g", "c", "n"]]))
    for column in other["rows"]["columns"]:
        assert column in one["rows"]["columns"]
        first = frame[column["name"]][0]
        assert column["values"][0] == (first if isinstance(first, str) else pytest.approx(first, rel=1e-5))
    assert [c["name"] for c in one["checks"]["columns"]] == [c["name"] for c in other["checks"]["columns"]]


def test_columns_that_tell_most_are_told_by_their_sign():
    mixture = estep.GaussianMixture(2, covariance_type="diag")
    mixture.weights_, mixture.covariances_ = np.full(2, 0.5), np.ones((2, 9))
    mixture.means_ = np.array([[0.1] * 8 + [5.0], [0.0] * 8 + [-5.0]])
    assert "x8" in [c["name"] for c in report(mixture, RNG.normal(size=(30, 9))).numbers["columns"]]


def test_weights_are_in_shares_and_not_in_residuals():
    X = np.concatenate([RNG.normal(0, 1, (100, 1)), RNG.normal(9, 1, (100, 1))])
    w = np.repeat([9.0, 1.0], 100)
    model = estep.GaussianMixture(2, random_state=0, order_by="mean").fit(X, sample_weight=w)
    found = report(model, X, weights=w).numbers
    assert [c["found"] for c in found["components"]] == pytest.approx([0.9, 0.1], abs=1e-3)
    assert "weights" in found["checks"]["reason"] and not any("otherwise" in a["text"] for a in found["alerts"])


def test_nothing_of_rows_is_told_where_they_stay_out(tmp_path):
    x = np.array([[1.0], [2.5], [7.0], [3.25], [100.0], [42.0]] * 5)
    model = estep.GaussianMixture(1).fit(x)
    told = report(model, x, rows=False).numbers["checks"]["columns"][0]
    values = np.array(told["residual"]) * model.covariances_.ravel()[0] ** 0.5 + model.means_.ravel()[0]
    assert len(values) == 3 and np.abs(values[:, None] - x.ravel()).min() > 1e-6
    estep.save(model, tmp_path / "m.json")
    pd.DataFrame(x, columns=["x"]).to_csv(tmp_path / "x.csv", index=False)
    for words in (("m.json", "x.csv", "--data", "n.txt"), ("n.txt", "--without-rows", "-o", "again.html")):
        done = run("report", *words, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "n.txt").read_text())["rows"]["shown"] == 30
    page = (tmp_path / "again.html").read_text()
    assert '"rows":null' in page
    whole = json.loads((tmp_path / "n.txt").read_text())["checks"]["columns"][0]["residual"]
    assert len(whole) >= 6 and not any(f'"residual":{value!r}' in page for value in whole)
    check_one_line(run("report", "n.txt", "--compare", "m.json", cwd=tmp_path), "give the model file")
    check_one_line(run("report", "m.json", "x.csv", "--keep", "nope", cwd=tmp_path), "no column 'nope'")
    (tmp_path / "short.json").write_text('{"format":"estep-report","version":1}')
    check_one_line(run("report", "short.json", cwd=tmp_path), "lack 'model'")
    done = run("report", "m.json", "x.csv", "--compare", "m.json", "--json", "-o", "c.html", cwd=tmp_path)
    assert json.loads(done.stdout)["rand"] == 1.0


def test_times_and_ids_of_every_kind():
    X = RNG.normal(size=(40, 1))
    model = estep.GaussianHMM(1).fit(X)
    frame = pd.DataFrame({"t": pd.array([None, *map(str, range(39))], dtype="string"), "x": X[:, 0]})
    frame["id"] = pd.array([10**18 + 1, *[None] * 39], dtype="Int64")
    named = estep.GaussianHMM(1).fit(frame[["x"]])
    rows = report(named, frame, keep=["t", "id"]).numbers["rows"]
    assert rows["kept"][0]["values"][:2] == [None, "0"] and rows["kept"][1]["values"][0] == str(10**18 + 1)
    assert report(model, X, times=np.arange(40)).numbers["rows"]["times"][:3] == [0, 1, 2]


# The page in a browser


@pytest.fixture(scope="module")
def browser():
    sync_api = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("no chromium: the page is not opened")
    arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield opened
        opened.close()


def opened(browser, path, width=1200):
    page = browser.new_page(viewport={"width": width, "height": 900})
    said, asked = [], []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(path.as_uri())
    page.wait_for_function("document.body.dataset.ready === 'true'", timeout=30_000)
    assert [text for text in said if "error" in text.lower()] == []
    assert asked == [path.as_uri()], "the page asks for nothing"
    return page


@pytest.fixture(params=["mixture", "chain"])
def paged(request, tmp_path):
    found = request.getfixturevalue(request.param)[2]
    found.save(tmp_path / "r.html")
    return found, tmp_path / "r.html"


def test_charts_are_there_and_picking_filters(browser, paged):
    found, path = paged
    page = opened(browser, path)
    drawn = page.locator("div.chart svg").count()
    assert drawn == page.locator("div.chart").count() >= 7
    n = found.numbers["components"][1]["rows"]
    page.check('input[name="pick"][value="1"]')
    page.wait_for_function(f"document.getElementById('rows-said').textContent.endsWith('of {n} rows')")
    unit = found.numbers["model"]["unit"]
    at = page.locator("thead:has(+ #rows-body) th").all_text_contents().index(unit)
    shown = page.locator(f"#rows-body td:nth-child({at + 1})").all_text_contents()
    assert shown and set(shown) == {"1"}
    assert page.locator("tr[data-component]:visible").count() == 1
    page.select_option("#rows-order", "unsure")
    last = page.locator("#rows-body tr:first-child td:last-child").text_content()
    sure = [s for s, k in zip(found.numbers["rows"]["sure"], found.numbers["rows"]["component"], strict=True) if k == 1]
    assert float(last) == min(sure)
    page.check('input[name="pick"][value="-1"]')
    page.wait_for_function(
        f"document.getElementById('rows-said').textContent.endsWith('of {len(found.numbers['rows']['row'])} rows')"
    )
    assert page.locator("tr[data-component]:visible").count() == len(found.numbers["components"])


def test_a_click_on_a_mark_picks_its_component(browser, mixture, tmp_path):
    mixture[2].save(tmp_path / "r.html")
    page = opened(browser, tmp_path / "r.html")
    page.locator("#chart-shares svg .mark-rect path").nth(2).click(position={"x": 20, "y": 8})
    assert page.locator('input[name="pick"]:checked').get_attribute("value") == "2"
    assert page.locator("text=</script>").count() > 0, "texts of the data are shown as they are"


def test_names_of_every_kind_do_not_break_the_page(browser, tmp_path):
    names = ["a\nb", "back\\slash", "quote'\"", "line\u2028end", "component", "v[0].x"]
    frame = pd.DataFrame(RNG.normal(size=(60, 6)), columns=names)
    report(estep.GaussianMixture(2, random_state=0).fit(frame), frame, tmp_path / "m.html")
    report(estep.GaussianHMM(2, random_state=0).fit(frame), frame, tmp_path / "h.html")
    for name in ("m.html", "h.html"):
        page = opened(browser, tmp_path / name)
        assert page.locator("div.chart svg").count() == page.locator("div.chart").count()
        page.close()


def test_it_reads_on_a_phone_and_prints(browser, paged, tmp_path):
    _, path = paged
    page = opened(browser, path, width=360)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.emulate_media(media="print")
    assert not page.locator("fieldset.pick").is_visible()
    assert page.pdf(path=tmp_path / "r.pdf")[:5] == b"%PDF-"


def test_it_passes_an_accessibility_check(browser, paged):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    _, path = paged
    page = opened(browser, path)
    found = axe.Axe().run(page)
    assert [(v["id"], v["nodes"][0]["html"][:200]) for v in found.response["violations"]] == []
    page.keyboard.press("Tab")
    page.focus('input[name="pick"][value="-1"]')
    page.keyboard.press("ArrowRight")
    assert page.locator('input[name="pick"]:checked').get_attribute("value") == "0"


# The command


def test_the_command_writes_and_compares(browser, tmp_path):
    for k in (2, 3):
        done = run("fit", "hmm", "earthquakes", "-k", k, "--emission", "poisson", "-o", f"m{k}.json", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    done = run("report", "m3.json", "-o", "r.html", "--data", "r.json", "--json", cwd=tmp_path)
    assert done.returncode == 0 and json.loads(done.stdout)["written"] == "r.html", done.stderr
    numbers = json.loads((tmp_path / "r.json").read_text())
    assert numbers["fit"]["command"].startswith("estep fit hmm earthquakes -k 3")
    assert run("report", "r.json", "-o", "again.html", cwd=tmp_path).returncode == 0
    assert (tmp_path / "again.html").read_bytes() == (tmp_path / "r.html").read_bytes()
    done = run("report", "--compare", "m2.json", "m3.json", "-o", "both.html", "--data", "both.json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    both = json.loads((tmp_path / "both.json").read_text())
    assert np.array(both["together"]).sum() == 107 and np.shape(both["together"]) == (3, 2) and 0 < both["rand"] < 1
    page = opened(browser, tmp_path / "both.html")
    assert page.locator("div.chart svg").count() == 1
    check_one_line(run("report", "m3.json", "-o", "r.pdf", cwd=tmp_path), "ends in .html")
    check_one_line(run("report", "m3.json", "earthquakes", "--time", "year", cwd=tmp_path), "no column 'year'")


def test_dates_and_ids_of_a_table(tmp_path):
    frame = customers(60).rename(columns={"plan <b>": "plan"})
    frame["since"] = pd.date_range("2020-01-01", periods=60).strftime("%Y-%m-%d")
    frame.to_csv(tmp_path / "d.csv", index=False)
    words = ("--columns", "visits,spent", "-o", "m.json")
    assert run("fit", "gmm", "d.csv", "-k", 2, *words, cwd=tmp_path).returncode == 0
    assert run("report", "m.json", "d.csv", "-o", "r.html", "--data", "r.json", cwd=tmp_path).returncode == 0
    rows = json.loads((tmp_path / "r.json").read_text())["rows"]
    assert rows["kept"][0]["name"] == "customer" and rows["times"][0] == "2020-01-01"
    assert not re.search("plan", json.dumps(rows["columns"]))


def test_now_next_and_spells(chain):
    frame, model, found = chain
    days = found.numbers["rows"]["times"]
    ahead, table = found.numbers["ahead"], found.numbers["spells"]
    np.testing.assert_allclose(ahead["now"], model.filter(frame)[-1], rtol=1e-9)
    np.testing.assert_allclose(ahead["forecast"]["r_mean"], model.forecast(frame, 5)["r_mean"], rtol=1e-5)
    own = model.spells(frame, times=np.array(days, dtype="datetime64[D]"))
    assert table["state"] == own["state"].tolist() and table["rows"] == own["rows"].tolist()
    assert table["first"] == own["first"].astype(str).tolist() and sum(table["rows"]) == 300
    assert found.numbers["data"]["sequences"] == 1
    page = found.to_html()
    assert "At the last row the series is in state" in page and "When each state was visited" in page
