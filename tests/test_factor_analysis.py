"""Gaussians of low rank: against scikit-learn's factor analysis and principal components, and what only mixtures do."""

import numpy as np
import pytest
from scipy import stats
from sklearn import datasets, decomposition

import estep
from estep import Stop
from estep.emissions import FactorAnalysis
from estep.emissions.factor_analysis import _near
from estep.latents import Independent

EXACT = Stop(tol=1e-13, max_iter=20_000)


def one(X, emission):
    source = estep.as_source(X)
    start = estep.start_model(Independent(), emission, source, 1, rng=np.random.default_rng(0))
    return estep.fit(start, source, stop=EXACT)


@pytest.mark.parametrize("n_factors", [1, 3])
def test_one_component_is_factor_analysis(n_factors):
    rng = np.random.default_rng(0)
    units = np.logspace(-3, 3, 8)
    X = (rng.normal(size=(400, 3)) @ rng.normal(size=(3, 8)) + rng.normal(size=(400, 8))) * units + 1e4 * units
    peer = decomposition.FactorAnalysis(n_factors, tol=1e-10, max_iter=50_000, svd_method="lapack").fit(X / units)
    fit = one(X, FactorAnalysis(n_factors))
    assert fit.log_likelihood / len(X) == pytest.approx(peer.score(X / units) - np.log(units).sum(), abs=1e-8)
    ours = fit.model.emission.covariances[0] / units / units[:, None]
    np.testing.assert_allclose(ours, peer.get_covariance(), atol=1e-4)
    assert fit.trace.passes[-1] < 10


@pytest.mark.parametrize("data", ["iris", "wine", "breast_cancer"])
def test_it_gets_further_where_a_noise_vanishes(data):
    """Heywood cases, in which EM on the factors creeps."""
    X = getattr(datasets, f"load_{data}")().data
    peer = decomposition.FactorAnalysis(1, tol=1e-8, svd_method="lapack").fit(X / X.std(axis=0))
    fit = one(X, FactorAnalysis(1))
    assert fit.log_likelihood / len(X) > peer.score(X / X.std(axis=0)) - np.log(X.std(axis=0)).sum() - 1e-8
    assert fit.trace.passes[-1] < 100


def test_spherical_noise_is_probabilistic_principal_components():
    X = datasets.load_wine().data
    peer = decomposition.PCA(3).fit(X)
    emission = one(X, FactorAnalysis(3, "spherical")).model.emission
    n = len(X)  # scikit-learn divides by n - 1
    np.testing.assert_allclose(emission.noise_variance[0] * n / (n - 1), peer.noise_variance_, rtol=1e-10)
    np.testing.assert_allclose(emission.covariances[0] * n / (n - 1), peer.get_covariance(), rtol=1e-9, atol=1e-9)
    lengths = np.linalg.norm(emission.loadings[0], axis=0)
    assert (np.diff(lengths) < 0).all()  # the longest first


def test_as_many_factors_as_columns_is_a_full_gaussian():
    X = datasets.load_iris().data[:, :3]
    full = estep.GaussianMixture(1).fit(X)
    assert one(X, FactorAnalysis(3)).log_likelihood / len(X) == pytest.approx(full.score(X), abs=1e-7)


def test_it_finds_the_factors_of_each_component():
    loadings = np.zeros((2, 10, 1))
    loadings[0, :5, 0], loadings[1, 5:, 0] = 2.0, -2.0
    truth = FactorAnalysis(1, "diag", np.zeros((2, 10)), loadings, np.full((2, 10), 0.25))
    X, states = estep.Model(Independent(np.array([0.5, 0.5])), truth).sample(2000, 0)
    mixture = estep.MixtureModel(FactorAnalysis(1), n_components=2, n_init=5, random_state=0).fit(X)
    share = (mixture.predict(X) == states).mean()
    assert max(share, 1 - share) > 0.9
    squares = np.sort(np.abs(mixture.loadings_[:, :, 0]).round(), axis=0)
    np.testing.assert_array_equal(squares, [np.zeros(10), np.full(10, 2.0)])
    full = estep.GaussianMixture(2, n_init=5, random_state=0).fit(X)
    assert mixture.bic(X) < full.bic(X) and mixture.model_.n_parameters == 1 + 2 * 30


@pytest.mark.parametrize("held", [(False, False), (True, False), (False, True)], ids=["none", "loadings", "noise"])
def test_an_m_step_never_lowers_what_it_maximises(held):
    rng = np.random.default_rng(1)
    A = rng.normal(size=(4, 6, 6))
    S, L, noise = A @ A.swapaxes(1, 2), rng.normal(size=(4, 6, 2)), rng.gamma(2.0, 1.0, (4, 6))

    def value(L, noise):
        C = L @ L.swapaxes(1, 2) + noise[:, :, None] * np.eye(6)
        return -np.linalg.slogdet(C)[1] - np.trace(np.linalg.solve(C, S), axis1=1, axis2=2)

    values = [value(L, noise)]
    for _ in range(200):
        L, noise = _near(S, L, noise, np.full(6, 1e-12), "diag", held)
        values.append(value(L, noise))
    assert (np.diff(values, axis=0) >= -1e-9).all() and (values[-1] > values[0]).all()
    scale = 1e-4  # and ends where no direction leads up
    for change in (rng.normal(size=L.shape) * (not held[0]), rng.normal(size=noise.shape) * (not held[1])):
        nearby = value(L + scale * change, noise) if change.ndim == 3 and change.shape[2] == 2 else value(
            L, noise * np.exp(scale * change)
        )  # fmt: skip
        assert (nearby <= values[-1] + 1e-6).all()


def test_missing_cells_and_chains(level):
    rng = np.random.default_rng(2)
    truth = FactorAnalysis(1, "diag", [[0, 0, 0], [4, 4, 4]], rng.normal(size=(2, 3, 1)), np.full((2, 3), 0.5))
    X = estep.Model(Independent(np.array([0.4, 0.6])), truth).sample(400, 1)[0]
    X[rng.random(X.shape) < 0.2] = np.nan
    seen = ~np.isnan(X[0])
    model = estep.Model(Independent(np.array([0.4, 0.6])), truth)
    C = truth.covariances[:, seen][:, :, seen]
    by_hand = [
        np.log(w) + stats.multivariate_normal(m[seen], c).logpdf(X[0, seen])
        for w, m, c in zip([0.4, 0.6], truth.means, C, strict=True)
    ]
    assert model.score_units(X)[0] == pytest.approx(np.logaddexp(*by_hand))
    hmm = estep.HMM(FactorAnalysis(1), n_components=2, random_state=0).fit(X)
    assert (np.diff(hmm.lower_bounds_) > -1e-9 * abs(hmm.lower_bounds_[-1])).all()
    assert hmm.loadings_.shape == (2, 3, 1) and sorted(hmm.means_[:, 0].round()) == [0.0, 4.0]


def test_what_it_refuses():
    X = np.random.default_rng(0).normal(size=(50, 3))
    for emission, message in [
        (FactorAnalysis(4), "n_factors is 4: with 3 columns and diag noise it is at most 3"),
        (FactorAnalysis(3, "spherical"), "with 3 columns and spherical noise it is below 3"),
    ]:
        with pytest.raises(ValueError, match=message):
            estep.MixtureModel(emission, n_components=2).fit(X)
    with pytest.raises(ValueError, match="noise_type is 'x'"):
        FactorAnalysis(1, "x")
    with pytest.raises(ValueError, match="n_factors is 0"):
        FactorAnalysis(0)
    with pytest.raises(ValueError, match=r"noise_variance\[0, 1\] is -1.0: it is above 0"):
        FactorAnalysis(1, "diag", [[0, 0]], [[[1], [1]]], [[1, -1]])
    with pytest.raises(ValueError, match="factor_analysis emission has no conjugate prior"):
        estep.MixtureModel("factor_analysis", n_components=2, estimate="map").fit(X)


def test_few_rows_for_many_columns():
    """Covariances of fewer rows than columns are singular: the likelihood rises all the same, to where it is flat."""
    for seed in range(12):
        rng = np.random.default_rng(seed)
        X = rng.normal(size=(40, 2)) @ rng.normal(size=(2, 8)) + rng.normal(size=(40, 8)) * 0.5
        for kind in (estep.HMM, estep.MixtureModel):
            fit = kind(FactorAnalysis(3), n_components=4, random_state=0, max_iter=100, tol=1e-6).fit(X)
            rises = np.diff(fit.lower_bounds_) * (40 if kind is estep.MixtureModel else 1)
            assert (rises > -1e-2).all()  # where all are at their floor, rounding is of that size
    rng = np.random.default_rng(6)
    X = rng.normal(size=(10, 3)) @ rng.normal(size=(3, 30)) + rng.normal(size=(10, 30)) * rng.uniform(0.1, 1, 30)
    assert one(X, FactorAnalysis(3)).log_likelihood > -245.6


def test_one_column():
    x = np.random.default_rng(0).normal(3.0, 2.0, (100, 1))
    fit = one(x, FactorAnalysis(1))
    assert fit.log_likelihood / 100 == pytest.approx(estep.GaussianMixture(1).fit(x).score(x), abs=1e-9)
    assert fit.model.n_parameters == 2


def test_parameters_are_counted_once(tmp_path):
    X = np.random.default_rng(0).normal(size=(60, 8))
    full = estep.GaussianMixture(1).fit(X).model_.n_parameters
    assert [one(X, FactorAnalysis(R)).model.n_parameters for R in (1, 2, 7, 8)] == [24, 31, full, full]
    model = estep.MixtureModel(FactorAnalysis(np.int64(2)), n_components=2, random_state=0).fit(X[:, :3]).model_
    blocks = ("means", "loadings", "noise_variance")
    assert estep.constrained(model, blocks).n_parameters == 1
    assert estep.constrained(model, ("loadings",)).n_parameters == model.n_parameters - 2 * 3
    estep.save(model, tmp_path / "m.json")
