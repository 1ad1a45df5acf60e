"""Numbers from the literature and from other programs; the source is named beside each."""

import csv
from pathlib import Path

import numpy as np
import pytest

import estep
from estep import Model, Stop, datasets
from estep.emissions import Categorical, Gaussian, Poisson
from estep.latents import Chain, Independent

DATA = Path(__file__).parent / "data"


def table(name, *columns):
    with (DATA / f"{name}.csv").open() as file:
        return np.array([[float(row[c]) for c in columns] for row in csv.DictReader(file)])


def total(mixture, X):
    return mixture.score(X) * len(X)


def fit_mixture(X, K, kind, **options):
    return estep.GaussianMixture(K, covariance_type=kind, random_state=0, n_init=20, **options).fit(X)


def test_faithful_tied():
    """mclust 6 EEE,3 prints -1126.326; a long run reaches -1126.31593."""
    X = datasets.load_faithful().X
    assert total(fit_mixture(X, 3, "tied"), X) >= -1126.3160
    assert total(fit_mixture(X, 3, "tied", tol=1e-12), X) >= -1126.31593
    assert fit_mixture(X, 3, "tied").model_.n_parameters == 11


def test_faithful_one_component():
    """mclust's BIC of one full component: 2 loglik - df log n = -2607.6225."""
    X = datasets.load_faithful().X
    assert -fit_mixture(X, 1, "full").bic(X) == pytest.approx(-2607.6225, abs=5e-5)


def test_galaxies():
    """mclust V,3 in units of 1000 km/s: -203.1792; higher values shrink a component onto a few points."""
    X = datasets.load_galaxies().X / 1000
    fits = [estep.GaussianMixture(3, covariance_type="full", random_state=s).fit(X) for s in range(20)]
    proper = [f for f in fits if (f.weights_ * len(X)).min() > 2.5]
    assert any(total(f, X) == pytest.approx(-203.1792, abs=1e-4) for f in proper)
    assert proper[0].model_.n_parameters == 8


def test_acidity():
    """mclust E,2."""
    X = table("acidity", "acidity")
    assert total(fit_mixture(X, 2, "tied"), X) >= -185.9493
    assert fit_mixture(X, 2, "tied").model_.n_parameters == 4


def test_diabetes():
    """mclust VVV,3 stops at -2295.118; a long run reaches -2295.09346. Row 104 has insulin 455 in mclust's data."""
    X = table("diabetes", "glucose", "insulin", "sspg")
    X[103, 1] = 455
    start = [np.flatnonzero(table("diabetes", "class")[:, 0] == c) for c in np.unique(table("diabetes", "class"))]
    means = np.array([X[rows].mean(axis=0) for rows in start])
    fit = estep.GaussianMixture(3, means_init=means, tol=1e-12, max_iter=20000).fit(X)
    assert total(fit, X) >= -2295.09346
    assert fit.model_.n_parameters == 29


def test_iris():
    """mclust's BIC of one full component."""
    X = table("iris", "Sepal.Length", "Sepal.Width", "Petal.Length", "Petal.Width")
    assert -fit_mixture(X, 1, "full").bic(X) == pytest.approx(-829.9782, abs=5e-5)


def test_hasselblad():
    """Counts of deaths, two Poissons (Hasselblad 1969); turboEM's optimum."""
    counts = [162, 267, 271, 185, 111, 61, 27, 8, 3, 1]
    X = np.arange(10.0)[:, None]
    start = Model(Independent([0.3599, 0.6401]), Poisson([[1.256], [2.663]]))
    source = estep.as_source(X, weights=counts)
    fit = estep.fit(start, source, stop=Stop(tol=0, max_iter=3000))
    assert fit.bound == pytest.approx(-1989.945859883, abs=2e-9)
    np.testing.assert_allclose(fit.model.latent.weights, [0.3598853970, 0.6401146030], atol=1e-4)
    np.testing.assert_allclose(fit.model.emission.rates[:, 0], [1.2560951006, 2.6634043571], atol=1e-4)


@pytest.mark.parametrize(
    "K, loglik, rates",
    [
        (1, -391.918928165, None),
        (2, -341.878701013, [15.42074, 26.01818]),
        (3, -328.527483381, [13.13376, 19.71317, 29.70974]),
    ],
)
def test_earthquakes(K, loglik, rates):
    """Zucchini & MacDonald's series, Poisson emissions, free start."""
    X = datasets.load_earthquakes().X
    hmm = estep.PoissonHMM(K, n_init=20, random_state=0, tol=1e-12).fit(X)
    assert hmm.score(X) == pytest.approx(loglik, abs=1e-7)
    if rates:
        np.testing.assert_allclose(np.sort(hmm.rates_[:, 0]), rates, atol=1e-4)  # theirs: a general optimiser


def test_earthquakes_four_states():
    """Many optima: the best seen in 200 random starts is -326.2850, others -326.4106, -326.4635."""
    X = datasets.load_earthquakes().X
    hmm = estep.PoissonHMM(4, n_init=20, random_state=0).fit(X)
    assert -326.4636 <= hmm.score(X) <= -326.2849
    start = np.array([[11.873], [13.479], [19.827], [29.773]])
    best = estep.PoissonHMM(4, rates_init=start, n_init=20, random_state=0, tol=1e-11).fit(X)
    assert best.score(X) == pytest.approx(-326.2850, abs=1e-4)


def test_earthquakes_mixture():
    """Zucchini & MacDonald: an independent mixture of three Poissons."""
    X = datasets.load_earthquakes().X
    fit = estep.MixtureModel("poisson", 3, n_init=5, random_state=0, tol=1e-12, max_iter=20000).fit(X)
    assert total(fit, X) == pytest.approx(-356.8489, abs=1e-4)
    order = np.argsort(fit.rates_[:, 0])
    np.testing.assert_allclose(fit.rates_[order, 0], [12.73573, 19.78515, 31.62940], atol=2e-3)
    np.testing.assert_allclose(fit.weights_[order], [0.2775329, 0.5928037, 0.1296634], atol=3e-4)


def test_speed():
    """depmixS4: response times as one series and as three."""
    speed = datasets.load_speed()
    one = estep.GaussianHMM(1).fit(speed.X)
    assert one.score(speed.X) == pytest.approx(-305.3309404110, abs=1e-8)
    two = estep.GaussianHMM(2, random_state=0, n_init=3, tol=1e-12).fit(speed.X)
    assert two.score(speed.X) == pytest.approx(-88.7305844836, abs=1e-6)
    order = np.argsort(-two.means_[:, 0])
    np.testing.assert_allclose(two.means_[order, 0], [6.385, 5.510], atol=1e-3)
    np.testing.assert_allclose(np.sqrt(two.covariances_[order, 0]), [0.244, 0.192], atol=1e-3)
    three = estep.GaussianHMM(2, random_state=0, n_init=3, tol=1e-12).fit(speed.X, speed.lengths)
    assert three.score(speed.X, speed.lengths) == pytest.approx(-84.3417142834, abs=1e-6)


def test_umbrella():
    """Russell & Norvig's umbrella world: u u n u u."""
    model = Model(Chain([0.5, 0.5], [[0.7, 0.3], [0.3, 0.7]]), Categorical([[0.9, 0.1], [0.2, 0.8]]))
    X = [[0], [0], [1], [0], [0]]
    assert model.score(X) == pytest.approx(-3.3725, abs=5e-5)
    np.testing.assert_allclose(model.predict_proba(X)[:, 0], [0.8673, 0.8204, 0.3075, 0.8204, 0.8673], atol=5e-5)
    path, logprob = model.decode(X)
    assert path.tolist() == [0, 0, 1, 0, 0]
    assert logprob[0] == pytest.approx(-4.4590, abs=5e-5)


def test_old_faithful_hmm_beats_its_mixture():
    """The geyser's record in time order: a chain explains it better than independent draws."""
    X = datasets.load_geyser().X
    chain = estep.GaussianHMM(3, covariance_type="full", n_init=5, random_state=0).fit(X)
    mixture = estep.GaussianMixture(3, n_init=5, random_state=0).fit(X)
    assert chain.bic(X) < mixture.bic(X)
    assert isinstance(chain.model_.emission, Gaussian)
