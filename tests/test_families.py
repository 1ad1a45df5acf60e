"""Each family against SciPy's densities and estimates, and what each refuses."""

import numpy as np
import pytest
from scipy import stats
from sklearn.base import clone

import estep
from estep import Model, Stop
from estep.emissions import (
    FAMILIES,
    Bernoulli,
    Exponential,
    FactorAnalysis,
    Gamma,
    Gaussian,
    LogNormal,
    Multinomial,
    NegativeBinomial,
    Poisson,
    Student,
    VonMises,
)
from estep.latents import Chain, Independent

pytestmark = pytest.mark.filterwarnings("ignore:.*did not converge")
RNG = np.random.default_rng(0)
SIGMA = np.array([[2.0, 0.5], [0.5, 1.0]])
DENSITIES = {
    "bernoulli": (Bernoulli([[0.3, 0.9]]), lambda X: stats.bernoulli([0.3, 0.9]).logpmf(X).sum(axis=1)),
    "multinomial": (
        Multinomial([[0.2, 0.5, 0.3]], trials=9),
        lambda X: stats.multinomial(9, [0.2, 0.5, 0.3]).logpmf(X),
    ),
    "poisson": (Poisson([[3.0, 40.0]]), lambda X: stats.poisson([3.0, 40.0]).logpmf(X).sum(axis=1)),
    "negative_binomial": (
        NegativeBinomial([[3.0, 40.0]], [[0.7, 25.0]]),
        lambda X: stats.nbinom([0.7, 25.0], [0.7 / 3.7, 25 / 65]).logpmf(X).sum(axis=1),
    ),
    "exponential": (Exponential([[0.5, 3.0]]), lambda X: stats.expon(scale=[2.0, 1 / 3]).logpdf(X).sum(axis=1)),
    "gamma": (
        Gamma([[0.7, 2000.0]], [[2.0, 10.0]]),
        lambda X: stats.gamma([0.7, 2000.0], scale=[0.5, 0.1]).logpdf(X).sum(axis=1),
    ),
    "log_normal": (
        LogNormal(Gaussian("diag", [[1.0, -2.0]], [[0.25, 4.0]])),
        lambda X: stats.lognorm([0.5, 2.0], scale=np.exp([1.0, -2.0])).logpdf(X).sum(axis=1),
    ),
    "von_mises": (
        VonMises([[1.0, -3.0]], [[2.0, 500.0]]),
        lambda X: stats.vonmises([2.0, 500.0], loc=[1.0, -3.0]).logpdf(X).sum(axis=1),
    ),
    "factor_analysis": (
        FactorAnalysis(1, "diag", [[1.0, 5.0]], [[[1.0], [-2.0]]], [[0.5, 1.0]]),
        lambda X: stats.multivariate_normal([1.0, 5.0], [[1.5, -2.0], [-2.0, 5.0]]).logpdf(X),
    ),
    "student": (
        Student(Gaussian("full", [[1.0, 5.0]], [SIGMA]), [3.5]),
        lambda X: stats.multivariate_t([1.0, 5.0], SIGMA, 3.5).logpdf(X),
    ),
}


@pytest.mark.parametrize("name", DENSITIES)
def test_densities_are_scipy_s(name, level):
    emission, logpdf = DENSITIES[name]
    X = emission.sample(np.zeros(200, int), np.random.default_rng(1))
    got = Model(Independent([1.0]), emission).score_units(X)
    np.testing.assert_allclose(got, logpdf(X), rtol=1e-10, atol=1e-10)
    total = Model(Chain([1.0], [[1.0]]), emission).score(X)
    np.testing.assert_allclose(total, logpdf(X).sum(), rtol=1e-10)


def test_all_are_named():
    assert set(DENSITIES) | {"gaussian", "categorical", "linear_regression"} == set(FAMILIES)


def fitted(name, X):
    return estep.MixtureModel(name, 1, tol=1e-13, max_iter=5000).fit(X)


def test_one_component_is_scipy_s_estimate():
    x = RNG.gamma(3.0, 2.0, 500)
    shape, _, scale = stats.gamma.fit(x, floc=0)
    fit = fitted("gamma", x[:, None])
    np.testing.assert_allclose([fit.shapes_[0, 0], fit.rates_[0, 0]], [shape, 1 / scale], rtol=1e-4)
    assert fit.score(x[:, None]) >= stats.gamma(shape, scale=scale).logpdf(x).mean() - 1e-12
    angles = RNG.vonmises(2.0, 3.0, 500)
    kappa, loc, _ = stats.vonmises.fit(angles, fscale=1)
    fit = fitted("von_mises", angles[:, None])
    np.testing.assert_allclose([fit.concentrations_[0, 0], fit.means_[0, 0]], [kappa, loc], rtol=1e-6)
    t = stats.t(df=4.0, loc=1.0, scale=2.0).rvs(2000, random_state=1)
    df, loc, scale = stats.t.fit(t)
    student = fitted("student", t[:, None])
    found = [student.dofs_[0], student.means_[0, 0], student.covariances_[0, 0, 0] ** 0.5]
    np.testing.assert_allclose(found, [df, loc, scale], rtol=1e-3)
    counts = stats.nbinom(2.5, 0.3).rvs(3000, random_state=1)[:, None].astype(float)
    fit = fitted("negative_binomial", counts)
    size, mean = fit.sizes_[0, 0], fit.means_[0, 0]

    def loglik(r):
        return stats.nbinom(r, r / (r + mean)).logpmf(counts).sum()

    assert mean == pytest.approx(counts.mean()) and size == pytest.approx(2.5, rel=0.15)
    assert loglik(size) > max(loglik(0.999 * size), loglik(1.001 * size))
    assert student.score(t[:, None]) >= stats.t(df, loc, scale).logpdf(t).mean() - 1e-9


def test_outliers_move_a_gaussian_not_a_student():
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(0, 1, (300, 2)), rng.normal(8, 1, (300, 2)), rng.uniform(-30, 30, (15, 2))])
    robust = estep.StudentMixture(2, random_state=0).fit(X)
    means = robust.means_[np.argsort(robust.means_[:, 0])]
    np.testing.assert_allclose(means, [[0, 0], [8, 8]], atol=0.15)
    plain = estep.GaussianMixture(2, random_state=0).fit(X)
    assert plain.covariances_.max() > 10 > 2 > robust.covariances_.max()
    assert robust.bic(X) < plain.bic(X) - 1000


def test_angles_wrap():
    """Clusters on both sides of the cut at pi are one."""
    angles = np.concatenate([RNG.vonmises(np.pi, 20.0, 300), RNG.vonmises(0.5, 20.0, 300)])[:, None]
    fit = estep.MixtureModel("von_mises", 2, random_state=0).fit(angles)
    np.testing.assert_allclose(np.sort(np.abs(fit.means_[:, 0])), [0.5, np.pi], atol=0.1)
    np.testing.assert_allclose(fit.weights_, 0.5, atol=0.02)


@pytest.mark.parametrize(
    "name",
    ["bernoulli", "multinomial", "negative_binomial", "exponential", "gamma", "log_normal", "von_mises", "student"],
)
def test_a_mixture_and_an_hmm_by_name(name):
    emission, _ = DENSITIES[name]
    X = emission.sample(np.zeros(300, int), np.random.default_rng(2))
    mixture = estep.MixtureModel(name, 2, random_state=0).fit(X)
    hmm = estep.HMM(name, 2, random_state=0).fit(X, [100, 200])
    for fit in (mixture, hmm):
        for parameter in fit.model_.emission.values():
            assert np.isfinite(getattr(fit, f"{parameter}_")).all()
        twin = estep.estimators.from_model(fit.model_)
        assert twin.to_model().score(X) == fit.model_.score(X)
        again = clone(twin).set_params(random_state=0, max_iter=3).fit(X)  # the family, without parameters
        assert again.model_.emission.name == name and again.n_iter_ > 0


@pytest.mark.parametrize(
    "name, bad, words",
    [
        ("bernoulli", 2.0, "0 or 1"),
        ("bernoulli", 0.5, "0 or 1"),
        ("multinomial", -1.0, "counts"),
        ("multinomial", 0.5, "counts"),
        ("negative_binomial", -1.0, "counts"),
        ("negative_binomial", 1e6, "counts 0, 1, 2, ... up to 100000"),
        ("exponential", -1e-9, "times, from 0"),
        ("gamma", 0.0, "above 0"),
        ("log_normal", -1.0, "above 0"),
        ("von_mises", np.inf, "inf"),
        ("student", np.inf, "inf"),
    ],
)
def test_cells_they_refuse(name, bad, words):
    X = np.ones((5, 2))
    X[3, 1] = bad
    for kind in (estep.MixtureModel, estep.HMM):
        with pytest.raises(ValueError, match=rf"row 3, column 1 is {bad}.*{words}|row 3, column 1 is {words}"):
            kind(name, 1).fit(X)


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda: Bernoulli([[1.5]]), r"probabilities\[0, 0\] is 1.5: it is from 0 to 1"),
        (lambda: Exponential([[0.0]]), r"rates\[0, 0\] is 0.0: it is above 0"),
        (lambda: Gamma([[1.0]], [[1.0, 2.0]]), "rates has shape"),
        (lambda: VonMises([[0.0]], [[-1.0]]), r"concentrations\[0, 0\] is -1.0"),
        (lambda: Multinomial([[0.5, 0.6]]), "adds up to"),
        (lambda: Multinomial(trials=0), "trials is 0"),
        (lambda: Student(Gaussian(), [0.0]), r"dofs\[0\] is 0.0"),
        (lambda: Student(Poisson()), "family of the scales"),
        (lambda: LogNormal(Poisson()), "family of the logarithms"),
        (lambda: NegativeBinomial([[1.0]], [[0.0]]), r"sizes\[0, 0\] is 0.0"),
        (lambda: Poisson([[-1.0]]), r"rates\[0, 0\] is -1.0"),
        (lambda: Bernoulli(np.zeros((1, 1, 1))), "shape"),
    ],
)
def test_bad_parameters(make, words):
    with pytest.raises(ValueError, match=words):
        make()


@pytest.mark.parametrize("name", ["exponential", "gamma", "von_mises"])
def test_a_component_on_one_point_is_stopped_and_said(name):
    """Rows that are all alike: finite parameters, and a note."""
    X = np.full((50, 1), 0.0 if name == "exponential" else 2.0)
    X[25:] = 3.0
    with pytest.warns(Warning, match="at their limit|re-seeded"):
        fit = estep.MixtureModel(name, 2, random_state=0).fit(X)
    assert np.isfinite(fit.score(X))


def test_gamma_keeps_its_digits_where_the_deviation_is_small():
    x = 1000 + RNG.normal(0, 0.1, (4000, 1))
    fit = fitted("gamma", x)
    np.testing.assert_allclose(fit.shapes_ / fit.rates_, x.mean(), rtol=1e-12)
    np.testing.assert_allclose(fit.shapes_ / fit.rates_**2, x.var(), rtol=1e-3)
    assert fit.score(x) == pytest.approx(estep.GaussianMixture(1).fit(x).score(x), abs=1e-4)


@pytest.mark.parametrize("factor", [1e-9, 1e9])
@pytest.mark.parametrize("name", ["exponential", "gamma", "log_normal", "student"])
def test_units_do_not_matter(name, factor):
    X = RNG.gamma(2.0, np.repeat([[1.0], [30.0]], 200, axis=0), (400, 1))
    options = dict(random_state=0, tol=1e-9)
    a, b = (estep.MixtureModel(name, 2, **options).fit(x) for x in (X, X * factor))
    assert b.score(X * factor) == pytest.approx(a.score(X) - np.log(factor), abs=1e-6)
    np.testing.assert_allclose(a.predict_proba(X), b.predict_proba(X * factor), atol=1e-4)


def test_data_sorted_for_one_model_are_prepared_for_another():
    """A mixture sorts rows by what is missing: another family makes its own of them, and errors name their places."""
    rng = np.random.default_rng(0)
    X = np.exp(rng.normal(size=(200, 2)))
    X[::7, 0] = np.nan
    gaussian = estep.GaussianMixture(2, random_state=0).fit(X).model_
    log_normal = estep.MixtureModel("log_normal", 2, random_state=0).fit(X).model_
    assert log_normal.score(gaussian.source(X)) == log_normal.score(X)
    wrong = X.copy()
    wrong[3, 1] = -1
    with pytest.raises(ValueError, match="row 3, column 1 is -1"):
        log_normal.score(gaussian.source(wrong))
    counts = np.where(np.isnan(X), np.nan, X.round() + 1)
    assert estep.MixtureModel("poisson", 1).fit(counts).model_.score(gaussian.source(counts)) < 0


def test_prepared_data_are_for_one_family():
    source = estep.model.prepared(estep.as_source(np.ones((4, 1))), Gamma())
    fit = estep.fit(Model(Independent([1.0]), Gamma([[1.0]], [[1.0]])), source, stop=Stop(max_iter=2))
    assert np.isfinite(fit.bound)
    with pytest.raises(ValueError, match="prepared for gamma; the emission is bernoulli"):
        Model(Independent([1.0]), Bernoulli([[0.5]])).score(source)


@pytest.mark.parametrize("name", ["bernoulli", "multinomial", "poisson", "negative_binomial", "categorical"])
def test_what_is_rare_is_possible_from_the_start(name):
    """Seeding reads 100 000 rows at most, and misses these."""
    rng = np.random.default_rng(0)
    X = np.zeros((150_000, 3))
    X[:, 0] = rng.random(len(X)) < 0.5
    X[[7, 11], [1, 2]] = 1
    if name == "categorical":
        X = (X @ [1, 2, 3])[:, None].astype(int)
    for seed in range(3):
        fit = estep.MixtureModel(name, 2, random_state=seed, max_iter=2).fit(X)
        assert np.isfinite(fit.lower_bound_)


@pytest.mark.parametrize("low, high", [(1e-3, 1e3), (1e-4, 1e8), (1e-9, 1e9)])
def test_gamma_over_many_decades(low, high):
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.gamma(2, low, 500), rng.gamma(2, high, 500)])[:, None]
    fit = estep.MixtureModel("gamma", 2, random_state=0).fit(X)
    logpdf = stats.gamma.logpdf(X, fit.shapes_[:, 0], scale=1 / fit.rates_[:, 0])
    expected = np.logaddexp.reduce(np.log(fit.weights_) + logpdf, axis=1).sum()
    np.testing.assert_allclose([fit.fit_.bound, fit.stop_reason_ == "converged"], [expected, 1], rtol=1e-11)
    np.testing.assert_allclose(fit.shapes_, 2, rtol=0.15)


def test_a_wide_student_with_few_rows_does_not_fall():
    for n, D, K in ((20, 60, 1), (40, 30, 2), (12, 10, 2)):
        X = np.random.default_rng(0).standard_t(3, (n, D))
        with pytest.warns(Warning):
            fit = estep.StudentMixture(K, random_state=0, max_iter=50).fit(X).fit_
        assert fit.stop_reason != "bound fell"
        assert np.diff(fit.trace.bounds).min() > -0.05


def test_tiny_rates_keep_their_digits():
    model = Model(Independent([1.0]), Poisson([[1e-17]]))
    np.testing.assert_allclose(
        model.score_units([[1.0], [0.0], [2000.0]]), stats.poisson(1e-17).logpmf([1, 0, 2000]), atol=1e-15
    )


def test_parameters_that_float32_cannot_hold():
    X = (1e-39 * np.random.default_rng(0).gamma(2, 1, (50, 1))).astype(np.float32)
    fit = estep.MixtureModel("gamma", 1).fit(X)
    assert fit.shapes_.dtype == np.float32 and np.isfinite(fit.rates_).all()
