"""What a fitted mixture answers: conditional distributions and imputation against integration, outliers, merging."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy import stats

import estep
from estep import Model
from estep.emissions import Bernoulli, Categorical, Gaussian, Poisson, Product, Student
from estep.estimators import from_model
from estep.fitting.merging import merge
from estep.latents import Independent
from models import FAMILIES, asked, make_model, rows_of

REAL = [
    name for name in FAMILIES
    if name.split("-")[0] not in ("rayleigh", "categorical", "multinomial", "product") and "mixture-of-r" not in name
    and "categorical" not in name and "multinomial" not in name and "product" not in name
]  # fmt: skip


def scored(model, X, known):
    """Densities of rows, with their covariates."""
    return np.exp(model.score_units(X, **known))


@pytest.mark.parametrize("family", REAL)
def test_conditional_distributions_are_ratios_of_densities(family):
    """The second column given the first, by sums over a fine grid."""
    model = make_model(family, "independent", 3, D=2, seed=3)
    X, known = asked(model, rows_of(model, 4, 1))
    first, given = float(X[0, 0]), {name: value[:1] for name, value in known.items()}
    found = from_model(model).conditional({"x0": first}, **given)
    assert found.names == ("x1",)
    drawn = rows_of(model, 4000, 2)[:, -1]
    (margin,) = found.margins
    if margin.kind == "count":
        grid = np.arange(0.0, 2 if "bernoulli" in family else 400)
    elif margin.kind == "angle":
        grid = np.linspace(-np.pi, np.pi, 20_001)[:-1]
    else:
        spread = 40 * drawn.std()
        low = 1e-9 if (drawn > 0).all() else drawn.mean() - spread
        grid = np.linspace(low, drawn.mean() + spread, 400_001)
        if "log-normal" in family or "gamma" in family or "exponential" in family:
            grid = np.exp(np.linspace(-25, 30, 400_001))
    rows = np.stack([np.full(len(grid), first), grid], axis=1)
    many = {name: np.repeat(value, len(grid), axis=0) for name, value in given.items()}
    density = scored(model, rows, many)
    step = 1.0 if margin.kind == "count" else np.gradient(grid)
    weight = density * step
    total = weight.sum()
    wide = "student" in family  # whose tails reach beyond the grid
    if margin.kind == "angle":
        np.testing.assert_allclose(found.mean()[0, 0], np.angle((weight * np.exp(1j * grid)).sum()), atol=1e-6)
    else:
        np.testing.assert_allclose(found.mean()[0, 0], (weight * grid).sum() / total, rtol=1e-2 if wide else 1e-4)
        if not wide:
            variance = (weight * grid**2).sum() / total - ((weight * grid).sum() / total) ** 2
            np.testing.assert_allclose(found.variance()[0, 0], variance, rtol=1e-3)
        for q in (0.1, 0.5, 0.9):
            upto = (weight * (grid <= found.quantile(q)[0, 0])).sum() / total
            if margin.kind == "count":
                below = (weight * (grid < found.quantile(q)[0, 0])).sum() / total
                assert below < q + 1e-9 and upto >= q - 1e-9
            else:
                np.testing.assert_allclose(upto, q, atol=1e-3)
    marginal = from_model(model).marginal(["x0"])
    np.testing.assert_allclose(np.exp(marginal.score_samples([[first]], **given)), total, rtol=5e-2 if wide else 1e-4)


@pytest.mark.parametrize("family", [n for n in FAMILIES if "rayleigh" not in n and "multinomial" not in n])
def test_imputed_cells_are_drawn_from_what_the_means_are_of(family):
    model = make_model(family, "independent", 3, D=2, seed=1)
    rows = rows_of(model, 300, 0).astype(float)
    rows[0, -1] = np.nan
    X, known = asked(model, rows)
    mixture = from_model(model)
    filled = mixture.impute(X, **known)
    there = ~np.isnan(X)
    np.testing.assert_array_equal(filled[there], X[there])
    assert not np.isnan(filled).any() and filled.shape == X.shape
    first = {name: np.repeat(value[:1], 6000, axis=0) for name, value in known.items()}
    (draws,) = mixture.impute(np.repeat(X[:1], 6000, axis=0), 1, random_state=0, **first)
    cells = draws[:, -1]
    if family.endswith("von-mises"):
        assert abs(np.angle(np.exp(1j * (cells - filled[0, -1])).mean())) < 0.1
    elif family.endswith("categorical"):
        counts = np.bincount(cells.astype(int))
        assert counts[int(filled[0, -1])] > counts.max() - 3 * np.sqrt(6000)  # or as likely
    elif "student" in family:
        assert abs(np.median(cells) - filled[0, -1]) < 1.0
    else:
        assert abs(cells.mean() - filled[0, -1]) < 5 * cells.std() / np.sqrt(6000) + 1e-9
    np.testing.assert_array_equal(
        mixture.impute(X[:5], 2, random_state=3, **{n: v[:5] for n, v in known.items()})[1][1:], X[1:5]
    )


def test_gaussian_draws_have_the_conditional_covariance():
    model = make_model("gaussian-full", "independent", 1, D=4, seed=2)
    x = rows_of(model, 1, 0)
    x[0, [1, 3]] = np.nan
    (draws,) = from_model(model).impute(np.repeat(x, 40_000, axis=0), 1, random_state=0)
    C = np.asarray(model.emission.covariances[0])
    o, m = [0, 2], [1, 3]
    left = C[np.ix_(m, m)] - C[np.ix_(m, o)] @ np.linalg.solve(C[np.ix_(o, o)], C[np.ix_(o, m)])
    np.testing.assert_allclose(np.cov(draws[:, m].T), left, atol=0.05 * np.abs(left).max())


def test_imputation_beats_means_and_iterative_imputation_on_a_mixtures_own_data():
    from sklearn.experimental import enable_iterative_imputer  # noqa: F401
    from sklearn.impute import IterativeImputer

    rng = np.random.default_rng(0)
    model = Model(
        Independent([0.4, 0.3, 0.3]),
        Gaussian("full", [[0, 0, 0], [5, -5, 3], [-5, -4, 6]], [np.eye(3) + 0.7 * (1 - np.eye(3))] * 3),
    )
    X = model.sample(3000, 0)[0]
    holes = rng.random(X.shape) < 0.15
    holes[holes.all(axis=1), 0] = False
    gaps = np.where(holes, np.nan, X)
    filled = estep.GaussianMixture(3, n_init=5, random_state=0).fit(gaps).impute(gaps)

    def error(other):
        return float(((other - X)[holes] ** 2).mean())

    means = np.where(holes, np.nanmean(gaps, axis=0), X)
    assert error(filled) < 0.7 * error(IterativeImputer(random_state=0).fit_transform(gaps)) < 0.7 * error(means)


def table(n=200, seed=0):
    rng = np.random.default_rng(seed)
    kind = rng.random(n) < 0.4
    return pd.DataFrame(
        {
            "age": np.where(kind, rng.normal(25, 3, n), rng.normal(60, 5, n)).round(1),
            "plan": np.where(kind ^ (rng.random(n) < 0.05), "basic", "gold"),
            "calls": rng.poisson(np.where(kind, 9, 1)),
        },
        index=pd.RangeIndex(100, 100 + n),
    )


def test_tables_keep_their_form():
    frame = table()
    family = Product({"age": Gaussian(), "plan": Categorical(), "calls": Poisson()})
    mixture = estep.MixtureModel(family, 2, random_state=0).fit(frame)
    gaps = frame.copy()
    gaps["calls"] = gaps["calls"].astype("Float64")
    gaps.iloc[3, 0] = gaps.iloc[5, 1] = gaps.iloc[7, 2] = None
    gaps["name"] = [f"n{i}" for i in range(len(gaps))]
    filled = mixture.impute(gaps)
    assert isinstance(filled, pd.DataFrame) and list(filled.columns) == list(gaps.columns)
    assert (filled.index == gaps.index).all() and filled["plan"].iloc[5] in ("basic", "gold")
    assert filled[["age", "calls", "plan"]].notna().all().all() and (filled["name"] == gaps["name"]).all()
    same = gaps[["age", "plan"]].notna().all(axis=1)
    pd.testing.assert_frame_equal(filled.loc[same, ["age", "plan"]], gaps.loc[same, ["age", "plan"]])
    other = mixture.impute(pl.DataFrame(gaps.drop(columns="name")))
    assert isinstance(other, pl.DataFrame) and other["plan"][5] == filled["plan"].iloc[5]
    np.testing.assert_allclose(other["age"][3], filled["age"].iloc[3])
    found = mixture.conditional({"plan": "basic"})
    assert found.names == ("age", "calls") and found.mean().shape == (1, 2)
    both = mixture.conditional(pd.DataFrame({"age": [25.0, 60.0, None], "calls": [9, None, None]}))
    np.testing.assert_allclose(both.to_frame().filter(regex="plan_").sum(axis=1), 1)
    assert both.best()[0, 0] == 0 and both.best()[1, 0] == 1  # basic, gold
    np.testing.assert_allclose(both.probabilities[2], mixture.weights_, atol=1e-12)
    assert set(both.sample(0)[:, 0]) <= {0.0, 1.0}
    small = mixture.marginal(["calls", "plan"])
    assert np.isfinite(small.score_samples(frame[["plan", "calls"]])).all()
    np.testing.assert_allclose(
        mixture.score_samples(frame.assign(age=np.nan)), small.score_samples(frame[["plan", "calls"]]), atol=1e-10
    )


def test_other_forms_of_data_come_back_in_theirs():
    chain = make_model("gaussian-diag", "chain", 2, D=2)
    hmm, X = from_model(chain), rows_of(chain, 30, 0)
    X[4, 1] = X[20] = np.nan
    whole = hmm.impute(X, None, [10, 20])
    parts = hmm.impute([X[:10], X[10:]])
    np.testing.assert_array_equal(np.vstack(parts), whole)
    pair = hmm.impute((X, [10, 20]))
    np.testing.assert_array_equal(pair[0], whole)
    cube = np.stack([X[:15], X[15:]])
    assert hmm.impute(cube).shape == cube.shape
    p = hmm.predict_proba(X, [10, 20])
    np.testing.assert_allclose(whole[20], p[20] @ hmm.means_, rtol=1e-10)
    assert (
        from_model(make_model("gaussian-diag", "independent", 2, D=2)).impute(X.astype(np.float32)).dtype == np.float32
    )
    symbols = from_model(make_model("categorical", "chain", 2, D=2))
    filled = symbols.impute(np.array([0, 1, np.nan, 2]))
    assert filled.shape == (4,) and filled[2] in (0, 1, 2, 3)
    frame = pd.DataFrame(X)
    assert list(hmm.impute(frame).columns) == [0, 1] and hmm.impute(frame).notna().all().all()


def test_what_cannot_be_known():
    mixture = from_model(make_model("gaussian-full", "independent", 2, D=2))
    for known, text in (
        ({"x7": 1.0}, "known has a column 'x7'; the model has x0, x1"),
        ({5: 1.0}, "known has a column 5"),
        ({}, "no column is known: give some of x0, x1"),
        ({"x0": 1.0, "x1": 2.0}, "all columns are known"),
        ({"x0": np.inf}, "inf"),
        ({"x0": [[1.0]]}, "is a number, or one for each row"),
    ):
        with pytest.raises(ValueError, match=text):
            mixture.conditional(known)
    with pytest.raises(TypeError, match="known is a mapping"):
        mixture.conditional([1.0, np.nan])
    three = from_model(make_model("gaussian-full", "independent", 2, D=3))
    with pytest.raises(ValueError, match="columns of 2 and 3 rows"):
        three.conditional({"x0": [1.0, 2.0], "x1": [1.0, 2.0, 3.0]})
    with pytest.raises(ValueError, match="n_draws is 0"):
        mixture.impute([[1.0, np.nan]], 0)
    for columns in ([], ["x0", "x0"], ["y"]):
        with pytest.raises(ValueError, match=r"x0, x1"):
            mixture.marginal(columns)
    with pytest.raises(ValueError, match="number of trials"):
        from_model(make_model("multinomial", "independent", 2, D=2)).marginal(["x0"])


def test_outliers_are_as_rare_as_they_seem():
    model = make_model("gaussian-full", "independent", 3, D=2)
    mixture, X = from_model(model), rows_of(model, 2000, 1)
    p = mixture.outlier_probability(X)
    assert stats.kstest(p, "uniform").pvalue > 1e-3
    X[0], X[1, 1], X[2] = [40.0, 40.0], np.nan, np.nan
    p = mixture.outlier_probability(X, 5000)
    assert p[0] == 1 / 5001 and 0 < p[1] <= 1 and p[2] == 1
    one = Model(Independent([1.0]), Gaussian("full", [[1.0, 2.0]], [np.diag([4.0, 9.0])]))
    X = one.sample(500, 3)[0]
    exact = stats.chi2(2).sf((((X - [1, 2]) / [2, 3]) ** 2).sum(axis=1))
    np.testing.assert_allclose(from_model(one).outlier_probability(X, 50_000), exact, atol=0.01)
    gaps = X.copy()
    gaps[:, 1] = np.nan
    exact = stats.chi2(1).sf(((X[:, 0] - 1) / 2) ** 2)
    np.testing.assert_allclose(from_model(one).outlier_probability(gaps, 50_000), exact, atol=0.01)
    with pytest.raises(ValueError, match="covariates cannot be compared"):
        from_model(make_model("regression-diag", "independent", 2, D=1)).outlier_probability([[1.0]])


def test_entropy_and_certainty():
    mixture = from_model(make_model("poisson", "independent", 3, D=2))
    X = mixture.sample(100)[0]
    r = mixture.predict_proba(X)
    np.testing.assert_allclose(mixture.entropy(X), stats.entropy(r, axis=1), atol=1e-12)
    np.testing.assert_allclose(mixture.certainty(X), r.max(axis=1))
    labels = np.full(100, -1)
    labels[3] = 2
    assert mixture.predict(X, labels=labels)[3] == 2 and mixture.predict_proba(X, labels=labels)[3, 2] == 1
    assert mixture.aicc(X) == pytest.approx(mixture.aic(X) + 2 * 8 * 9 / (100 - 9))
    assert mixture.aicc(X[:9]) == np.inf


def test_components_of_one_cluster_merge():
    """A cluster that is no Gaussian, of three components, and two that are (Baudry et al. 2010, section 4.1)."""
    rng = np.random.default_rng(0)
    bar = rng.uniform([0, 0], [8, 1], (1500, 2))
    X = np.vstack([bar, rng.normal([4, 12], 0.5, (400, 2)), rng.normal([-8, 6], 0.5, (400, 2))])
    mixture = estep.GaussianMixture(6, n_init=5, random_state=0).fit(X)
    merging = mixture.merge(X)
    assert (np.diff(merging.entropies) <= 1e-9).all() and merging.entropies[-1] < 1e-9
    assert merging.suggested == 3
    p = merging.predict_proba(mixture.predict_proba(X), 3)
    np.testing.assert_allclose(p.sum(axis=1), 1)
    clusters = p.argmax(axis=1)
    for part in (slice(0, 1500), slice(1500, 1900), slice(1900, None)):
        assert len(set(clusters[part])) == 1
    assert merging.of(6).tolist() == list(range(6)) and set(merging.of(1)) == {0}
    for n in (0, 7, 1.5):
        with pytest.raises(ValueError, match="n_clusters is"):
            merging.of(n)


def test_merging_takes_the_pair_with_the_most_entropy():
    rng = np.random.default_rng(1)
    r, w = rng.dirichlet(np.ones(4), 50), rng.random(50)
    merging = merge(r, w)

    def entropy(p):
        return float(-(w[:, None] * p * np.log(p)).sum())

    options = {}
    for a in range(4):
        for b in range(a + 1, 4):
            p = np.delete(r, b, axis=1)
            p[:, a] += r[:, b]
            options[entropy(p)] = (a, b)
    np.testing.assert_allclose(merging.entropies[:2], [entropy(r), min(options)])
    a, b = options[min(options)]
    assert merging.of(3)[a] == merging.of(3)[b]
    np.testing.assert_allclose(merging.merged[0], w @ (r[:, a] + r[:, b]))


def test_student_scale_of_the_known_columns():
    """Two columns of one Student: the second given the first is a Student with one more degree of freedom."""
    student = Student(Gaussian("full", [[0.0, 0.0]], [[[1.0, 0.5], [0.5, 2.0]]]), [3.0])
    found = from_model(Model(Independent([1.0]), student)).conditional({"x0": 4.0})
    wanted = stats.t(df=4, loc=2.0, scale=np.sqrt((3 + 16) / 4 * 1.75))
    np.testing.assert_allclose(found.quantile(0.9)[0, 0], wanted.ppf(0.9))


def test_bernoulli_columns_are_ones_with_their_probability():
    mixture = from_model(Model(Independent([0.5, 0.5]), Bernoulli([[0.9, 0.8], [0.2, 0.1]])))
    found = mixture.conditional({"x0": 1})
    np.testing.assert_allclose(found.mean(), [[(0.45 * 0.8 + 0.1 * 0.1) / 0.55]])


def test_counts_that_come_again_are_as_rare_as_they_are():
    """Ties: the mode of a Poisson is no outlier at all."""
    model = Model(Independent([0.3, 0.7]), Poisson([[3.0], [9.0]]))
    x = np.arange(25.0)[:, None]
    p = np.exp(model.score_units(x))
    exact = np.array([p[p <= q + 1e-15].sum() for q in p])
    np.testing.assert_allclose(from_model(model).outlier_probability(x, 100_000), exact, atol=6e-3)


def test_covariates_of_conditionals_are_checked():
    mixture = from_model(make_model("regression-diag", "independent", 2, D=2))
    assert mixture.conditional({"x0": [1.0, 2.0, 3.0]}, given=[[0.5, 1.0]]).mean().shape == (3, 1)
    assert mixture.conditional({"x0": 1.0}, given=np.ones((4, 2))).mean().shape == (4, 1)
    for given, text in (
        (None, "give them as given="),
        (np.ones((4, 3)), "given has 3 columns; the model has 2"),
        ([[np.nan, 1.0]], "covariates are finite"),
        (np.ones((3, 2)), "known and given have columns of 2 and 3 rows"),
    ):
        with pytest.raises(ValueError, match=text):
            mixture.conditional({"x0": [1.0, 2.0]}, given=given)
    with pytest.raises(ValueError, match="take no covariates"):
        from_model(make_model("poisson", "independent", 2, D=2)).conditional({"x0": 1}, given=[[1.0]])


def test_profiles_are_tidy_and_in_the_units_of_the_data():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({
        "income": rng.lognormal(3, 0.5, 300), "visits": rng.poisson(3, 300), "job": rng.choice(["nurse", "smith"], 300),
    })  # fmt: skip
    kinds = {"job": "categorical", "income": "log_normal", "visits": "poisson"}
    mixture = estep.MixtureModel(kinds, 2, random_state=0).fit(frame)
    found = mixture.profile()
    assert list(found.columns) == ["component", "column", "statistic", "value"]
    values = found.set_index(["component", "column", "statistic"])["value"]
    for k in range(2):
        assert values[k, "", "weight"] == mixture.weights_[k]
        assert values[k, "visits", "mean"] == pytest.approx(mixture.visits_rates_[k, 0])
        assert values[k, "visits", "standard deviation"] == pytest.approx(mixture.visits_rates_[k, 0] ** 0.5)
        assert values[k, "job", "probability of nurse"] == pytest.approx(mixture.job_emissionprob_[k, 0])
        drawn = mixture.model_.emission.sample(np.full(200_000, k), rng)
        assert values[k, "income", "mean"] == pytest.approx(drawn[:, 1].mean(), rel=0.02)  # parts are in their order
    chain = estep.PoissonHMM(2, random_state=0).fit(estep.datasets.load_earthquakes().X)
    shares = chain.profile().query("statistic == 'weight'")["value"]
    np.testing.assert_allclose(shares, chain.stationary_)
    angles = estep.MixtureModel("von_mises", 1).fit(rng.vonmises(1, 4, (200, 1))).profile()
    assert angles["statistic"].tolist() == ["weight", "mean direction", "mean resultant length"]
    regression = estep.MixtureModel("linear_regression", 1).fit(frame[["visits"]], given=frame[["income"]])
    with pytest.raises(ValueError, match="depend on covariates"):
        regression.profile()
