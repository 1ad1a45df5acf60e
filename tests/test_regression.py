"""Linear regression emissions: the observation given covariates; autoregressive chains."""

import numpy as np
import pytest
from scipy import stats

import estep
from estep import Model, lagged
from estep.data.given import beside
from estep.emissions import LinearRegression
from estep.latents import Chain, Independent
from estep.parameters import covariance
from estep.priors import MatrixNormalInverseWishart
from models import make_model


def lines(n=400, seed=0):
    """Two lines that cross."""
    rng = np.random.default_rng(seed)
    x, z = rng.uniform(-3, 3, (n, 1)), (rng.random(n) < 0.4).astype(int)
    y = np.where(z == 0, 1.0 + 2.0 * x[:, 0], -1.0 - 1.0 * x[:, 0]) + rng.normal(0, 0.5, n)
    return x, y[:, None], z


def test_one_component_is_least_squares():
    rng = np.random.default_rng(0)
    given, weights = rng.normal(3.0, [1.0, 1e-3, 1e4], (60, 3)), rng.random(60)
    Y = given @ rng.normal(size=(3, 2)) + rng.normal(size=(60, 2)) + 1e3
    for shift in (0.0, 1e6):
        moved = given + shift  # rounded as it is
        one = estep.MixtureModel(LinearRegression(), 1).fit(Y, sample_weight=weights, given=moved)
        design = np.column_stack([np.ones(60), moved - moved.mean(axis=0)])
        root = np.sqrt(weights)[:, None]
        solved, *_ = np.linalg.lstsq(root * design, root * Y, rcond=None)
        np.testing.assert_allclose(one.coefficients_[0], solved[1:].T, rtol=1e-4 if shift else 1e-9)
        left = Y - design @ solved
        np.testing.assert_allclose(one.covariances_[0], (left * weights[:, None]).T @ left / weights.sum(), atol=1e-7)


def test_crossing_lines():
    x, y, z = lines()
    mixture = estep.MixtureModel(LinearRegression(), 2, n_init=5, random_state=0).fit(y, given=x)
    order = np.argsort(mixture.coefficients_[:, 0, 0])
    np.testing.assert_allclose(mixture.coefficients_[order, 0, 0], [-1, 2], atol=0.1)
    np.testing.assert_allclose(mixture.intercepts_[order, 0], [-1, 1], atol=0.15)
    found = mixture.predict(y, given=x)
    assert max((found == z).mean(), (found != z).mean()) > 0.85
    assert mixture.score(y, given=x) == pytest.approx(mixture.lower_bound_, rel=1e-9)
    assert mixture.n_features_in_ == 1 and np.isfinite(mixture.bic(y, given=x))
    drawn, states = mixture.sample(400, given=x)
    assert drawn.shape == (400, 1) and states.shape == (400,)


@pytest.mark.parametrize("kind", ["full", "diag", "spherical", "tied"])
def test_densities(kind, level):
    """log N(y | b + W x, C) of each component."""
    from scipy import stats

    rng = np.random.default_rng(1)
    W, b = rng.normal(size=(2, 2, 3)), rng.normal(size=(2, 2))
    C = {
        "full": np.array([[[1.0, 0.3], [0.3, 2.0]], [[0.5, 0.0], [0.0, 0.5]]]), "spherical": np.array([1.0, 0.5]),
        "tied": np.array([[1.0, 0.3], [0.3, 2.0]]), "diag": np.array([[1.0, 2.0], [0.5, 0.5]]),
    }[kind]  # fmt: skip
    model = Model(Independent([0.3, 0.7]), LinearRegression(kind, 3, W, b, C))
    matrices, G, Y = covariance.full(C, kind, 2, 2), rng.normal(size=(20, 3)), rng.normal(size=(20, 2))
    logs = np.log([[0.3], [0.7]]).repeat(20, 1)
    for k in (0, 1):
        logs[k] += stats.multivariate_normal(cov=matrices[k]).logpdf(Y - b[k] - G @ W[k].T)
    np.testing.assert_allclose(model.score_units(model.source(Y, given=G)), np.logaddexp(*logs), rtol=1e-10)


def test_an_autoregressive_chain(tmp_path):
    """Two regimes of an AR(1) that differ in nothing but their memory; save and load."""
    truth = Model(
        Chain([0.5, 0.5], [[0.98, 0.02], [0.02, 0.98]]),
        LinearRegression("full", 1, [[[0.95]], [[-0.8]]], [[0.0], [0.0]], [[[1.0]], [[1.0]]]),
    )
    rng = np.random.default_rng(3)
    states, y = truth.latent.sample(3000, rng), np.zeros((3000, 1))
    for t in range(1, 3000):
        y[t] = truth.emission.sample_given(states[t : t + 1], y[t - 1 : t], rng)[0]
    X, given, lengths = lagged(y)
    hmm = estep.HMM(LinearRegression(), 2, n_init=3, random_state=0).fit(X, lengths, given=given)
    order = np.argsort(hmm.coefficients_[:, 0, 0])
    np.testing.assert_allclose(hmm.coefficients_[order, 0, 0], [-0.8, 0.95], atol=0.06)
    found = hmm.predict(X, lengths, given=given)
    assert max((found == states[1:]).mean(), (found != states[1:]).mean()) > 0.9
    assert hmm.score(X, lengths, given=given) >= truth.score(truth.source(X, lengths, given=given))
    estep.save(hmm, tmp_path / "m.json")
    again = estep.estimators.from_model(estep.load(tmp_path / "m.json"))
    assert again.score(X, lengths, given=given) == hmm.score(X, lengths, given=given)
    assert hmm.predict_proba(X, lengths, given=given).shape == (2999, 2)


def test_lags():
    X = np.arange(10.0)[:, None]
    Y, given, lengths = lagged(X, [4, 6], order=2)
    np.testing.assert_array_equal(Y[:, 0], [2, 3, 6, 7, 8, 9])
    np.testing.assert_array_equal(given, [[1, 0], [2, 1], [5, 4], [6, 5], [7, 6], [8, 7]])
    assert lengths.tolist() == [2, 4]
    with pytest.raises(ValueError, match="sequence 0 has no more than 4 steps"):
        lagged(X, [4, 6], order=4)


def test_covariates_that_say_nothing():
    """Constant and doubled covariates get no coefficients of their own, and the fit is that without them."""
    x, y, _ = lines()
    plain = estep.MixtureModel(LinearRegression(), 1).fit(y, given=x)
    more = np.column_stack([x, x * 2, np.full(len(x), 7.0)])
    again = estep.MixtureModel(LinearRegression(), 1).fit(y, given=more)
    assert again.score(y, given=more) == pytest.approx(plain.score(y, given=x))


def test_what_is_wrong_is_named():
    x, y, _ = lines(50)
    for kind in (lambda: estep.MixtureModel(LinearRegression(), 2), lambda: estep.HMM("linear_regression", 2)):
        with pytest.raises(ValueError, match="given has 49 rows; the data have 50"):
            kind().fit(y, given=x[:-1])
        with pytest.raises(ValueError, match=r"given\[3, 0\] is nan: covariates are finite"):
            kind().fit(y, given=np.where(np.arange(50)[:, None] == 3, np.nan, x))
        with pytest.raises(ValueError, match="want covariates: fit\\(X, given=...\\)"):
            kind().fit(y)
        fitted = kind().fit(y, given=x)
        with pytest.raises(ValueError, match="given has 2 columns; the model has 1"):
            fitted.predict(y, given=np.hstack([x, x])) if hasattr(fitted, "transmat_") else fitted.model_.source(
                y, given=np.hstack([x, x])
            )
        with pytest.raises(ValueError, match="the model has 1 covariate: give them as given="):
            fitted.score(y)
        with pytest.raises(ValueError, match=r"draw given covariates: model.sample\(n, given=...\)"):
            fitted.model_.sample(3)
    with pytest.raises(ValueError, match="poisson emissions take no covariates"):
        estep.PoissonHMM(1).fit(np.ones((50, 1)), given=x)
    with pytest.raises(ValueError, match=r"given\[2, 0\] is nan: covariates are finite"):
        estep.MixtureModel(LinearRegression(), 1).fit(y, given=np.where(np.arange(50)[:, None] == 2, np.nan, x))
    with pytest.raises(ValueError, match="n_given is 0"):
        LinearRegression(n_given=0)


@pytest.mark.parametrize("kind", ["full", "tied", "diag", "spherical"])
@pytest.mark.parametrize("shift", [0.0, 1e6])
def test_missing_observations(kind, shift):
    """The observations that are there have their marginal given the covariates."""
    rng = np.random.default_rng(0)
    model = make_model(f"regression-{kind}", "independent", K=2, D=2, seed=3)
    x = rng.normal(1.0, 2.0, (60, 2))
    y, _ = model.sample(60, 1, given=x)
    y[::3, 0], y[::5, 1] = np.nan, np.nan
    e = model.emission
    moved = e.with_values(intercepts=e.intercepts - e.coefficients @ np.full(2, shift))
    found = Model(model.latent, moved).score_units(beside(estep.as_source(y), x + shift))
    C = covariance.full(model.emission.covariances, kind, 2, 2)
    for i in (0, 1, 3, 5):
        there = ~np.isnan(y[i])
        each = [
            np.log(model.latent.weights[k])
            + (
                stats.multivariate_normal(
                    (model.emission.intercepts[k] + model.emission.coefficients[k] @ x[i])[there],
                    C[k][np.ix_(there, there)],
                ).logpdf(y[i, there])
                if there.any()
                else 0.0
            )
            for k in range(2)
        ]
        assert found[i] == pytest.approx(np.logaddexp(*each), rel=1e-11 if shift == 0 else 1e-6, abs=1e-11)


def test_rows_without_an_observation_say_nothing():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(80, 2))
    y = x @ [[1.0], [2.0]] + rng.normal(size=(80, 1))
    lost = rng.random(80) < 0.3
    some = estep.MixtureModel(LinearRegression(), 1, tol=1e-13).fit(np.where(lost[:, None], np.nan, y), given=x)
    rest = estep.MixtureModel(LinearRegression(), 1).fit(y[~lost], given=x[~lost])
    for name in ("coefficients_", "intercepts_", "covariances_"):
        np.testing.assert_allclose(getattr(some, name), getattr(rest, name), rtol=1e-4, atol=1e-5)
    assert some.score(y, given=x) == pytest.approx(rest.score(y, given=x), abs=1e-6)


def test_priors_keep_slopes_small():
    rng = np.random.default_rng(2)
    x = rng.normal(size=(12, 10))
    y = x[:, :1] + 0.1 * rng.normal(size=(12, 1))
    precision = np.full(11, 10.0)
    prior = MatrixNormalInverseWishart(np.zeros((1, 11)), precision, 3.0, 0.1)
    for estimate in ("map", "vb"):
        ridge = estep.MixtureModel(LinearRegression(), 1, estimate=estimate, prior={"coefficients": prior})
        ridge.fit(y, given=x)
        design = np.column_stack([np.ones(12), x])
        wanted = np.linalg.solve(design.T @ design + np.diag(precision), design.T @ y)[:, 0]
        np.testing.assert_allclose(ridge.coefficients_[0, 0], wanted[1:], rtol=1e-9)
        np.testing.assert_allclose(ridge.intercepts_[0, 0], wanted[0], rtol=1e-9)


@pytest.mark.parametrize("covariance_type", ["tied", "full"])
def test_components_of_one_row_have_no_slope(covariance_type):
    """What rounding leaves of the squares of one row's covariates, below zero too, is no variance."""
    r = np.random.default_rng(0)
    for _ in range(50):
        given, y = r.normal(0, 1, (6, 2)), r.normal(0, 1e4, (6, 1))
        family = LinearRegression(covariance_type).given_columns(2)
        source = estep.as_source(y, weights=r.random(6), given=given, labels=np.arange(6))
        begun = estep.start_model(Independent(), family, source, 6, "random", r)
        coefficients = estep.fit(begun, source, stop=estep.Stop(max_iter=1)).model.emission.coefficients
        assert (coefficients == 0).all()
