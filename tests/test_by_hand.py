"""Attributes that are set by hand, and settings that change between fits."""

import pickle
import warnings

import numpy as np
import pytest

import estep
from estep.emissions import Gaussian, Poisson
from estep.priors import Dirichlet

RNG = np.random.default_rng(0)
X = np.r_[RNG.normal(0, 1, (150, 2)), RNG.normal(6, 2, (150, 2))]


def set_by_hand(h):
    h.startprob_, h.transmat_ = [0.5, 0.5], [[0.9, 0.1], [0.1, 0.9]]
    h.means_, h.covariances_ = [[5.5, 5.5], [0.5, 0.5]], [[1.0, 1.0], [1.0, 1.0]]
    return h


@pytest.mark.parametrize("fitted", [False, True])
def test_warm_starts_go_on_from_what_is_set(fitted):
    h = estep.GaussianHMM(2, max_iter=0, warm_start=True, random_state=0)
    h = set_by_hand(h.fit(X) if fitted else h)
    before = h.score(X)
    assert h.fit(X).score(X) == pytest.approx(before) and h.means_[0, 0] == 5.5
    assert h.set_params(max_iter=50).fit(X).score(X) > before


def test_some_attributes_are_starts_of_a_warm_start():
    h = estep.GaussianHMM(2, max_iter=0, warm_start=True, random_state=0)
    h.means_ = [[5.5, 5.5], [0.5, 0.5]]
    np.testing.assert_array_equal(h.fit(X).means_, [[5.5, 5.5], [0.5, 0.5]])


def test_streams_go_on_from_what_is_set():
    plain = estep.GaussianMixture(2, random_state=0, max_iter=1, tol=0)
    plain.weights_, plain.means_, plain.covariances_ = [0.5, 0.5], [[6.0, 6.0], [0.0, 0.0]], [np.eye(2)] * 2
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert plain.partial_fit(X).means_[0, 0] > plain.means_[1, 0]  # the order that was set
    stream = estep.GaussianMixture(2, random_state=0).partial_fit(X)
    stream.means_ = stream.means_[::-1].copy()
    turned = pickle.loads(pickle.dumps(stream)).partial_fit(X)
    assert not np.array_equal(
        turned.means_, estep.GaussianMixture(2, random_state=0).partial_fit(X).partial_fit(X).means_
    )


REFUSED = [
    (estep.GaussianMixture(2), dict(n_components=3), "n_components is 3; .* n_components 2"),
    (estep.GaussianMixture(2), dict(covariance_type="tied"), "covariance_type is 'tied'; .* 'full'"),
    (estep.GaussianHMM(2, covariance_type="diag"), dict(covariance_type="tied"), "covariance_type is 'tied'"),
    (estep.GMMHMM(2, 2), dict(n_mix=3), "n_mix is 3"),
    (estep.MixtureModel("gaussian", 2), dict(emission="exponential"), "emission is 'exponential'"),
    (estep.HMM(Gaussian("diag"), 2), dict(emission=Gaussian("full")), "covariance_type is 'full'"),
    (estep.GaussianHMM(2), dict(topology="left-right"), "transitions that the topology 'left-right' does not allow"),
]


@pytest.mark.parametrize("estimator, change, words", REFUSED)
def test_settings_that_do_not_go_with_the_parameters_are_refused(estimator, change, words):
    rows = np.abs(X) + 0.1
    estimator = estimator.set_params(random_state=0, max_iter=5, tol=0, warm_start=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        before = estimator.fit(rows).means_
        for again in (estimator.fit, estimator.partial_fit):
            estimator.set_params(**change)
            with pytest.raises(ValueError, match=words):
                again(rows)
        assert estimator.means_ is before


def test_settings_that_can_be_obeyed_are():
    mixture = estep.GaussianMixture(2, random_state=0, warm_start=True).fit(X)
    tight = np.linalg.det(mixture.covariances_)
    assert (np.linalg.det(mixture.set_params(reg_covar=5.0).fit(X).covariances_) > tight).all()
    h = estep.PoissonHMM(2, random_state=0, warm_start=True).fit(estep.datasets.load_earthquakes().X)
    h.set_params(begins="stationary").fit(estep.datasets.load_earthquakes().X)
    np.testing.assert_allclose(h.startprob_ @ h.transmat_, h.startprob_, atol=1e-12)
    prior = {"weights": Dirichlet(1e6)}
    mixture = estep.GaussianMixture(2, random_state=0, warm_start=True, estimate="map").fit(X[:200])
    apart = abs(mixture.weights_[0] - 0.5)
    assert abs(mixture.set_params(prior=prior).fit(X[:200]).weights_[0] - 0.5) < apart / 10


def test_precisions_and_covariances_cannot_disagree():
    for kind in ("full", "tied", "diag", "spherical"):
        g = estep.GaussianMixture(2, covariance_type=kind, random_state=0).fit(X)
        twice = g.covariances_ * 2
        g.covariances_ = twice
        full = kind in ("full", "tied")
        np.testing.assert_allclose(g.precisions_, np.linalg.inv(twice) if full else 1 / twice, rtol=1e-10)
        U = g.precisions_cholesky_
        np.testing.assert_allclose(U @ np.swapaxes(U, -1, -2) if full else U**2, g.precisions_, rtol=1e-10)
        score = g.score(X)
        g.precisions_cholesky_ = U  # the same model, from the other side
        np.testing.assert_allclose(g.covariances_, twice, rtol=1e-10)
        np.testing.assert_allclose(g.score(X), score, rtol=1e-10)
        g.precisions_ = g.precisions_ / 2
        np.testing.assert_allclose(g.covariances_, 2 * twice, rtol=1e-10)
    with pytest.raises(ValueError, match=r"precisions_ has shape \(2, 2\), expected \(2,\)"):
        g.precisions_ = np.eye(2)
    with pytest.raises(AttributeError, match="before it is fitted"):
        estep.GaussianMixture(2).precisions_  # noqa: B018


def test_a_cold_fit_says_what_it_passes_over():
    h = set_by_hand(estep.GaussianHMM(2, random_state=0))
    with pytest.warns(UserWarning, match="means_ was set by hand, and this fit begins anew: give it as means_init"):
        h.fit(X)
    h.means_ = h.means_ + 1
    with pytest.warns(UserWarning, match="means_ was set by hand") as caught:
        h.fit(X)
    assert len(caught) == 1 and caught[0].filename == __file__
    other = estep.HMM(Poisson(), 2, random_state=0)
    other.rates_ = [[1.0], [2.0]]
    with pytest.warns(UserWarning, match="rates_ was set by hand.*give it in the emission"):
        other.fit(estep.datasets.load_earthquakes().X)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        h.fit(X.astype(np.float32)).fit(X)  # nothing was set
        other.fit(estep.datasets.load_earthquakes().X)
