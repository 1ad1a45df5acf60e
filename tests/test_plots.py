"""Displays: the numbers they hold, and that they draw what they hold."""

import numpy as np
import pandas as pd
import pytest

import estep
from estep import plots
from estep.plots import (
    BoundDisplay,
    ComponentsDisplay,
    DurationsDisplay,
    EmissionsDisplay,
    ForecastDisplay,
    ResidualsDisplay,
    SelectionDisplay,
    StatesDisplay,
    TransitionsDisplay,
    component_colours,
)
from test_cli import run

FAITHFUL = estep.datasets.load_faithful().X
QUAKES = estep.datasets.load_earthquakes().X
MIXTURE = estep.GaussianMixture(2, random_state=0, n_init=3).fit(
    pd.DataFrame(FAITHFUL, columns=["eruptions", "waiting"])
)
CHOSEN = estep.select(FAITHFUL, [1, 2, 3], covariance_type=["tied", "full"], random_state=0)
CHAIN = estep.PoissonHMM(3, random_state=0).fit(QUAKES)


def written(display, tmp_path):
    path = tmp_path / "picture.pdf"
    display.figure_.savefig(path)
    return path.stat().st_size


def test_components_hold_their_rows_and_responsibilities(tmp_path):
    shown = ComponentsDisplay.from_estimator(MIXTURE, FAITHFUL)
    assert list(shown.frame) == ["eruptions", "waiting", "component_0", "component_1"]
    np.testing.assert_array_equal(shown.frame["waiting"], FAITHFUL[:, 1])
    np.testing.assert_allclose(shown.frame["component_0"], MIXTURE.predict_proba(FAITHFUL)[:, 0])
    assert shown.ax_.get_xlabel() == "eruptions" and written(shown, tmp_path) > 5000
    colours = shown.ax_.collections[0].get_facecolors()[:, :3]
    np.testing.assert_allclose(colours, MIXTURE.predict_proba(FAITHFUL) @ component_colours(2), atol=1e-6)
    one = ComponentsDisplay.from_model(MIXTURE.model_, FAITHFUL, columns=["waiting"])
    total = next(line for line in one.ax_.lines if line.get_label() == "all")
    assert np.trapezoid(*total.get_data()[::-1]) == pytest.approx(1, abs=0.05)
    assert isinstance(shown.to_frame(), pd.DataFrame)


def test_components_of_many_rows_and_many_components(tmp_path):
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(m, 1, (2000, 3)) for m in rng.normal(0, 20, (12, 3))])
    mixture = estep.GaussianMixture(12, random_state=0, max_iter=20, covariance_type="tied").fit(X)
    shown = ComponentsDisplay.from_model(mixture, X, columns=[2, 0])
    assert len(shown.rows) == 20_000 and shown.covariances.shape == (12, 2, 2)
    assert written(shown, tmp_path) < 2_000_000  # marks are one picture, not so many shapes
    colours = component_colours(20)
    apart = np.abs(colours[:, None] - colours).sum(axis=2) + np.eye(20)
    assert apart.min() > 0.1


def test_what_cannot_be_drawn_is_named():
    for make, text in (
        (lambda: ComponentsDisplay.from_model(CHAIN, QUAKES), "not poisson ones"),
        (lambda: ComponentsDisplay.from_model(MIXTURE), "X is missing"),
        (lambda: ComponentsDisplay.from_model(MIXTURE, FAITHFUL, columns=["size"]), "no column 'size'"),
        (lambda: ComponentsDisplay.from_model(MIXTURE, FAITHFUL, columns=[]), "0 columns are asked for"),
        (lambda: StatesDisplay.from_model(MIXTURE, FAITHFUL), "see ComponentsDisplay"),
        (lambda: StatesDisplay.from_model(CHAIN, QUAKES, kind="all"), "kind is 'all'"),
        (lambda: StatesDisplay.from_model(CHAIN, [QUAKES, QUAKES]), "2 sequences: say which to draw"),
        (lambda: StatesDisplay.from_model(CHAIN, QUAKES, times=[1, 2]), "2 times are given for 107 rows"),
        (lambda: StatesDisplay.from_model(CHAIN, QUAKES, times="day"), "no such column"),
        (lambda: TransitionsDisplay.from_model(MIXTURE), "has no transitions"),
        (lambda: TransitionsDisplay.from_model(CHAIN, kind="tree"), "kind is 'tree'"),
        (lambda: DurationsDisplay.from_model(MIXTURE), "has no stays"),
        (lambda: ForecastDisplay.from_model(MIXTURE, FAITHFUL), "is of a chain"),
        (lambda: EmissionsDisplay.from_model(CHAIN, column="size"), "no column 'size'"),
        (lambda: SelectionDisplay.from_model(CHOSEN, criterion="cv"), "criterion is 'cv'"),
    ):
        with pytest.raises(ValueError, match=text):
            make()
    with pytest.raises(TypeError, match="a dict is no fitted model"):
        TransitionsDisplay.from_model({})
    with pytest.raises(TypeError, match="has no fit"):
        BoundDisplay.from_model(MIXTURE.model_)


@pytest.mark.parametrize("kind", ["smoothed", "filtered"])
def test_states_hold_their_path_and_probabilities(kind, tmp_path):
    frame = pd.DataFrame({"count": QUAKES[:, 0]}, index=pd.date_range("1900-01-01", periods=107, freq="YS"))
    shown = StatesDisplay.from_model(CHAIN, frame, kind=kind)
    np.testing.assert_array_equal(shown.frame["state"], CHAIN.decode(QUAKES)[1])
    np.testing.assert_allclose(shown.frame["state_2"], CHAIN.predict_proba(QUAKES, kind=kind)[:, 2])
    assert (shown.frame["time"] == frame.index.to_numpy()).all() and written(shown, tmp_path) > 5000
    assert kind in shown.ax_[1].get_title(loc="left")
    stays = 1 + np.count_nonzero(np.diff(shown.states))
    assert len(shown.ax_[0].patches) == stays


def test_transitions_hold_pairs_and_the_long_run(tmp_path):
    for kind in ("graph", "matrix"):
        shown = TransitionsDisplay.from_model(CHAIN, kind=kind, title="moves")
        np.testing.assert_array_equal(shown.frame["probability"].reshape(3, 3), CHAIN.transmat_)
        np.testing.assert_allclose(shown.stationary, CHAIN.stationary_)
        assert shown.ax_.get_title() == "moves" and written(shown, tmp_path) > 3000
    apart = estep.GaussianHMM(2, random_state=0).fit(FAITHFUL)
    apart.transmat_ = np.eye(2)
    assert np.isnan(TransitionsDisplay.from_model(apart).stationary).all()


def test_the_bound_by_iteration(tmp_path):
    shown = BoundDisplay.from_estimator(MIXTURE)
    np.testing.assert_array_equal(shown.frame["bound"], MIXTURE.fit_.trace.bounds)
    assert len(shown.restarts) == 3 and written(shown, tmp_path) > 3000
    assert BoundDisplay.from_model(MIXTURE.fit_).frame["iteration"][-1] == MIXTURE.n_iter_


def test_axes_that_are_given_are_drawn_on():
    from matplotlib.figure import Figure

    ax = Figure().subplots(1, 2)
    assert ComponentsDisplay.from_model(MIXTURE, FAITHFUL, ax=ax[0]).ax_ is ax[0]
    assert StatesDisplay.from_model(CHAIN, QUAKES, ax=ax[1]).figure_ is ax[1].figure


def test_distributions_of_components(tmp_path):
    from scipy import stats

    counts = EmissionsDisplay.from_model(CHAIN)
    for k in range(3):
        np.testing.assert_allclose(
            counts.frame[f"state_{k}"], stats.poisson(CHAIN.rates_[k, 0]).pmf(counts.frame["x0"]), atol=1e-12
        )
    waits = EmissionsDisplay.from_estimator(MIXTURE, "waiting")
    density = stats.norm(MIXTURE.means_[0, 1], MIXTURE.covariances_[0, 1, 1] ** 0.5).pdf(waits.frame["waiting"])
    np.testing.assert_allclose(waits.frame["component_0"], density, atol=2e-4)
    table = pd.DataFrame({"a": FAITHFUL[:, 0], "kind": np.where(FAITHFUL[:, 1] > 70, "long", "short")})
    mixed = estep.MixtureModel({"kind": "categorical", "a": "gaussian"}, 2, random_state=0).fit(table)
    symbols = EmissionsDisplay.from_model(mixed, "kind")
    assert list(symbols.frame["kind"]) == ["long", "short"]
    np.testing.assert_allclose(symbols.heights.T, mixed.kind_emissionprob_)
    angles = estep.MixtureModel("von_mises", 2, random_state=0).fit(np.random.default_rng(0).vonmises(0, 2, (80, 1)))
    turn = EmissionsDisplay.from_model(angles)
    np.testing.assert_allclose(np.trapezoid(turn.heights, turn.values, axis=0), 1, atol=1e-3)
    for shown in (counts, waits, symbols, turn):
        assert written(shown, tmp_path) > 3000
    regression = estep.MixtureModel("linear_regression", 1).fit(FAITHFUL[:, 1:], given=FAITHFUL[:, :1])
    with pytest.raises(ValueError, match="depend on covariates"):
        EmissionsDisplay.from_model(regression)


def test_how_long_states_last(tmp_path):
    shown = DurationsDisplay.from_model(CHAIN, longest=40)
    np.testing.assert_allclose(shown.p, CHAIN.dwell_times(40))
    np.testing.assert_allclose(shown.expected, CHAIN.expected_durations_)
    assert written(shown, tmp_path) > 3000


def test_forecasts_are_drawn_after_what_was_seen(tmp_path):
    shown = ForecastDisplay.from_model(CHAIN, QUAKES, steps=6, level=0.8, seen=20)
    frame = CHAIN.forecast(QUAKES, steps=6, level=0.8)
    for name in frame.columns:
        np.testing.assert_allclose(shown.frame[name], frame[name])
    np.testing.assert_array_equal(shown.seen, QUAKES[-20:, 0])
    assert written(shown, tmp_path) > 3000


def test_residuals_and_their_autocorrelations(tmp_path):
    shown = ResidualsDisplay.from_model(CHAIN, QUAKES, lags=5)
    found = CHAIN.model_.pseudo_residuals(QUAKES)[:, 0]
    np.testing.assert_array_equal(shown.frame["residual"], np.sort(found))
    centred = found - found.mean()
    assert shown.autocorrelations[2] == pytest.approx(centred[2:] @ centred[:-2] / (centred @ centred))
    assert written(shown, tmp_path) > 3000


def test_a_selection_by_its_criterion(tmp_path):
    shown = SelectionDisplay.from_model(CHOSEN)
    np.testing.assert_array_equal(shown.frame["bic"], [c.bic for c in CHOSEN.candidates])
    assert set(shown.frame["kind"]) == {"gaussian, tied", "gaussian, full"} and written(shown, tmp_path) > 3000
    assert list(SelectionDisplay.from_model(CHOSEN, criterion="aic").frame["aic"]) == [c.aic for c in CHOSEN.candidates]
    with pytest.raises(TypeError, match="is no selection"):
        SelectionDisplay.from_model(CHAIN)


def test_what_suits_is_drawn(tmp_path):
    assert isinstance(CHAIN.plot(QUAKES), StatesDisplay) and isinstance(CHAIN.plot(), EmissionsDisplay)
    assert isinstance(MIXTURE.plot(FAITHFUL), ComponentsDisplay)
    assert isinstance(estep.MixtureModel("poisson", 2, random_state=0).fit(QUAKES).plot(QUAKES), EmissionsDisplay)
    for what, kind in estep.plots.DISPLAYS.items():
        fitted, X = (MIXTURE, FAITHFUL) if what in ("components", "pairs") else (CHAIN, QUAKES)
        assert type(estep.plots.draw(fitted, X, what)) is kind
    with pytest.raises(ValueError, match="what is 'all'"):
        CHAIN.plot(QUAKES, "all")
    with pytest.raises(ValueError, match="states are drawn of data"):
        CHAIN.plot(what="states")


def test_pictures_from_the_command_line(tmp_path):
    estep.save(CHAIN, tmp_path / "m.json")
    estep.save(MIXTURE, tmp_path / "g.json")
    for words, name in (
        (("m.json", "earthquakes"), "states.png"), (("m.json", "--what", "transitions"), "moves.svg"),
        (("m.json", "earthquakes", "--what", "forecast"), "ahead.pdf"),
        (("g.json", "faithful", "--what", "components", "--column", "waiting"), "one.png"),
    ):  # fmt: skip
        done = run("plot", *words, "-o", name, cwd=tmp_path)
        assert done.returncode == 0 and f"picture written to {name}" in done.stderr, done.stderr
        assert (tmp_path / name).stat().st_size > 3000
    for words, said in (
        (("m.json", "-o", "x.txt"), "ends in .png, .pdf, .svg"), (("m.json", "--what", "tree"), "--what 'tree'"),
        (("m.json", "--what", "states", "-o", "x.png"), "states are drawn of data"),
    ):  # fmt: skip
        wrong = run("plot", *words, cwd=tmp_path)
        assert wrong.returncode == 2 and said in wrong.stderr


def test_a_film_shows_each_iteration_of_the_best_start(tmp_path):
    from PIL import Image

    film = estep.plots.Film()
    mixture = estep.GaussianMixture(2, init_params="random", random_state=0, n_init=3, max_iter=8, callbacks=[film])
    mixture.fit(FAITHFUL)
    assert film.best[-1].bound == max(own[-1].bound for own in film.starts.values())
    assert [it.iteration for it in film.best] == list(range(len(film.best)))
    path = film.write(tmp_path / "em.gif", FAITHFUL, rate=10, dpi=40)
    assert Image.open(path).n_frames == len(film.shown()) <= estep.plots.film.MOST_FRAMES
    np.testing.assert_allclose([it.bound for it in film.best], mixture.fit_.trace.bounds[: len(film.best)], rtol=1e-12)
    with pytest.raises(ValueError, match="ends in .gif, .mp4, .html"):
        film.write(tmp_path / "em.avi", FAITHFUL)
    with pytest.raises(ValueError, match="no frames"):
        estep.plots.Film().write(tmp_path / "em.gif", FAITHFUL)
    other = estep.plots.Film()
    estep.MixtureModel("poisson", 2, random_state=0, callbacks=[other]).fit(QUAKES)
    with pytest.raises(ValueError, match="not of poisson mixtures"):
        other.write(tmp_path / "em.gif", QUAKES)


def test_a_long_film_has_fewer_of_its_later_frames():
    film = estep.plots.Film()
    estep.GaussianMixture(4, init_params="random", random_state=0, tol=0, max_iter=300, callbacks=[film]).fit(FAITHFUL)
    shown = [it.iteration for it in film.shown()]
    assert len(shown) <= estep.plots.film.MOST_FRAMES and shown[:5] == [0, 1, 2, 3, 4]


def test_films_from_the_command_line(tmp_path):
    for words, name in (
        (("faithful", "-k", "2", "--max-iter", "4"), "em.gif"),
        (("earthquakes", "-k", "2", "--kind", "hmm", "--emission", "poisson", "--max-iter", "3"), "em.html"),
    ):
        done = run("animate", *words, "-o", name, cwd=tmp_path)
        assert done.returncode == 0 and f"frames written to {name}" in done.stderr, done.stderr
        assert (tmp_path / name).stat().st_size > 10_000
    assert "<img" in (tmp_path / "em.html").read_text() and "http://" not in (tmp_path / "em.html").read_text()[:2000]
    for words, said in (
        (("-k", "2", "-o", "x.txt"), "ends in .gif"),
        (("-k", "2", "-o", "x.gif", "--kind", "tree"), "'tree'"),
    ):
        wrong = run("animate", "faithful", *words, cwd=tmp_path)
        assert wrong.returncode == 2 and said in wrong.stderr


def test_pairs_and_panels_of_many_columns():
    X = np.random.default_rng(0).normal(size=(200, 7))
    X[:100, [2, 5]] += 6
    mixture = estep.GaussianMixture(2, random_state=0).fit(X)
    pairs = mixture.plot(X)
    assert type(pairs) is plots.PairsDisplay and {"x2", "x5"} <= set(pairs.names) and len(pairs.names) == 5
    assert len(pairs.parts) == 15 and np.array_equal(pairs.frame["x2"], X[:, 2])
    own = plots.PairsDisplay.from_model(mixture, X, columns=["x2", 5])
    assert own.names == ["x2", "x5"] and len(own.figure_.axes) == 4
    means = own.parts[1, 0].means
    assert np.array_equal(means, mixture.means_[:, [2, 5]])
    panels = mixture.plot()
    assert type(panels) is plots.ProfileDisplay and len(panels.columns) == 7
    frame = pd.DataFrame({"a": X[:, 2], "kind": np.where(X[:, 2] > 3, "high", "low")})
    table = estep.MixtureModel({"a": "gaussian", "kind": "categorical"}, 2, random_state=0).fit(frame)
    display = table.plot(frame)
    texts = [t.get_text() for t in display.ax_[1].get_legend().get_texts()] if len(display.ax_) > 1 else []
    assert texts == ["high", "low"]
    assert display.to_frame().equals(table.profile())


def test_confusion_and_contours():
    labels = np.where(FAITHFUL[:, 0] > 3, "long", "short")
    display = plots.ConfusionDisplay.from_model(MIXTURE, FAITHFUL, labels)
    states = MIXTURE.predict(FAITHFUL)
    expected = [[((labels == c) & (states == k)).sum() for k in range(2)] for c in ("long", "short")]
    assert np.array_equal(display.counts, expected) and display.counts.sum() == 272
    with pytest.raises(ValueError, match="one for each of 272 rows"):
        plots.ConfusionDisplay.from_model(MIXTURE, FAITHFUL, labels[:9])
    drawn = plots.ComponentsDisplay.from_model(MIXTURE, FAITHFUL, contours=True)
    assert any(len(c.get_paths()) == 5 for c in drawn.ax_.collections)
    density = drawn._density(FAITHFUL)
    np.testing.assert_allclose(np.log(density), MIXTURE.score_samples(FAITHFUL), rtol=1e-9)
    with pytest.raises(ValueError, match="contours are of two columns"):
        plots.ComponentsDisplay.from_model(MIXTURE, FAITHFUL, columns=[0], contours=True)


def test_one_of_several_sequences(tmp_path):
    X, lengths = np.concatenate([QUAKES[:60], QUAKES]), [60, 107]
    with pytest.raises(ValueError, match="2 sequences: say which to draw, sequence=0"):
        CHAIN.plot(X, lengths=lengths)
    display = CHAIN.plot(X, lengths=lengths, sequence=1)
    assert np.array_equal(display.frame["state"], CHAIN.predict(QUAKES)) and len(display.times) == 107
    np.testing.assert_allclose(display.p, CHAIN.predict_proba(QUAKES), atol=1e-12)
    estep.save(CHAIN, tmp_path / "m.json")
    frame = pd.DataFrame({"who": ["ann"] * 60 + ["bob"] * 107, "x0": X[:, 0]})
    frame.to_csv(tmp_path / "d.csv", index=False)
    words = ("plot", "m.json", "d.csv", "--sequence", "who", "--columns", "x0", "-o", "p.png")
    assert run(*words, "--only", "bob", cwd=tmp_path).returncode == 0
    assert "no such sequence" in run(*words, "--only", "cy", cwd=tmp_path).stderr


def test_states_of_several_columns():
    X = np.column_stack([QUAKES[:, 0], -QUAKES[:, 0]]).astype(float)
    chain = estep.GaussianHMM(2, random_state=0).fit(X)
    display = plots.StatesDisplay.from_model(chain, X, column=[0, 1])
    assert len(display.ax_) == 3 and np.array_equal(display.frame["x1"], X[:, 1])
    with pytest.raises(ValueError, match="1 axes are given"):
        display.plot(display.ax_[:1])
