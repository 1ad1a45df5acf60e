"""The same start and number of iterations give what scikit-learn and hmmlearn give, their priors and floors off."""

import warnings

import numpy as np
import pytest
from sklearn import mixture as sk

import estep
from estep.estimators.precisions import to_covariances
from models import covariances

hmmlearn = pytest.importorskip("hmmlearn.hmm")
KINDS = ["full", "tied", "diag", "spherical"]


def data(seed=0, n=500, D=3):
    rng = np.random.default_rng(seed)
    means = rng.normal(0, 3, (3, D))
    return means[rng.integers(3, size=n)] + rng.normal(size=(n, D)), means + rng.normal(0, 0.3, (3, D)), rng


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("iterations", [1, 7])
def test_gaussian_mixture(kind, iterations):
    X, means, rng = data()
    shape_as_covariances = covariances(kind, 3, 3, rng)
    start = {"weights_init": [0.5, 0.2, 0.3], "means_init": means, "precisions_init": shape_as_covariances}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = sk.GaussianMixture(3, covariance_type=kind, tol=0, reg_covar=0, max_iter=iterations, **start).fit(X)
        ours = estep.GaussianMixture(3, covariance_type=kind, tol=0, max_iter=iterations, **start).fit(X)
    assert ours.n_iter_ == iterations
    for name in ("weights_", "means_", "covariances_", "precisions_", "precisions_cholesky_"):
        np.testing.assert_allclose(getattr(ours, name), getattr(theirs, name), rtol=1e-8, atol=1e-10, err_msg=name)
    np.testing.assert_allclose(ours.lower_bounds_[-2], theirs.lower_bound_, rtol=1e-8)  # theirs lags a step
    for method in ("score_samples", "predict_proba", "predict", "score", "aic", "bic"):
        a, b = getattr(ours, method)(X), getattr(theirs, method)(X)
        np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-10, err_msg=method)


def test_reg_covar_is_scikit_learns():
    X, means, _ = data()
    start = {"weights_init": [0.5, 0.2, 0.3], "means_init": means, "precisions_init": np.tile(np.eye(3), (3, 1, 1))}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = sk.GaussianMixture(3, tol=0, reg_covar=0.1, max_iter=5, **start).fit(X)
        ours = estep.GaussianMixture(3, tol=0, reg_covar=0.1, max_iter=5, **start).fit(X)
    np.testing.assert_allclose(ours.covariances_, theirs.covariances_, rtol=1e-8)


def test_precisions_start_is_the_covariances_start():
    precisions = np.array([[[2.0, 0.5], [0.5, 1.0]]])
    np.testing.assert_allclose(to_covariances(precisions, "full", 1) @ precisions, np.eye(2)[None], atol=1e-14)
    with pytest.raises(ValueError, match="not positive definite"):
        to_covariances(np.array([[[1.0, 2.0], [2.0, 1.0]]]), "full", 1)


def chain_start(K, rng):
    return rng.dirichlet(np.full(K, 5.0)), rng.dirichlet(np.full(K, 3.0), size=K)


LENGTHS = [200, 1, 99, 180, 20]


@pytest.mark.parametrize("kind", KINDS)
def test_gaussian_hmm(kind):
    X, means, rng = data()
    start, trans = chain_start(3, rng)
    C = covariances(kind, 3, 3, rng)
    theirs = hmmlearn.GaussianHMM(
        3, kind, min_covar=0, startprob_prior=1, transmat_prior=1, means_prior=0, means_weight=0, covars_prior=0,
        covars_weight={"full": 3, "tied": 3, "diag": 1, "spherical": 1}[kind], n_iter=6, tol=-np.inf,
        init_params="", implementation="log",
    )  # fmt: skip
    theirs.startprob_, theirs.transmat_, theirs.means_, theirs.covars_ = start, trans, means, C
    theirs.fit(X, LENGTHS)
    ours = estep.GaussianHMM(
        3, covariance_type=kind, startprob_init=start, transmat_init=trans, means_init=means, covariances_init=C,
        max_iter=6, tol=0,
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ours.fit(X, LENGTHS)
    for name in ("startprob_", "transmat_", "means_"):
        np.testing.assert_allclose(getattr(ours, name), getattr(theirs, name), rtol=1e-8, atol=1e-9, err_msg=name)
    full = estep.parameters.covariance.full(ours.covariances_, kind, 3, 3)
    covars = theirs.covars_[::3] if kind == "spherical" else theirs.covars_  # spherical: one a column
    np.testing.assert_allclose(full, covars, rtol=1e-8, atol=1e-9)
    compare_hmm(ours, theirs, X)


def test_gmm_hmm():
    """hmmlearn's covariances are about the means before the M-step, so its way there differs; the end is the same."""
    rng = np.random.default_rng(4)
    start, trans = chain_start(2, rng)
    means = np.array([[[0.0, 0.0], [3.0, 1.0]], [[6.0, 0.0], [9.0, -3.0]]])
    truth = estep.Model(
        estep.latents.Chain(start, trans),
        estep.emissions.MixtureOf(
            estep.emissions.Gaussian("diag", means.reshape(4, 2), np.ones((4, 2))), 2, [[0.5, 0.5], [0.3, 0.7]]
        ),
    )
    X, _ = truth.sample(500, 0)
    theirs = hmmlearn.GMMHMM(
        2, 2, min_covar=0, covars_weight=0, n_iter=300, tol=1e-9, init_params="", implementation="log"
    )
    theirs.startprob_, theirs.transmat_ = start, trans
    theirs.weights_, theirs.means_, theirs.covars_ = np.full((2, 2), 0.5), means.copy(), np.ones((2, 2, 2))
    theirs.fit(X, LENGTHS)
    ours = estep.GMMHMM(
        2, 2, startprob_init=start, transmat_init=trans, weights_init=np.full((2, 2), 0.5), means_init=means,
        covariances_init=np.ones((2, 2, 2)), tol=1e-12,
    ).fit(X, LENGTHS)  # fmt: skip
    for name in ("startprob_", "transmat_", "weights_", "means_"):
        np.testing.assert_allclose(getattr(ours, name), getattr(theirs, name), rtol=2e-4, atol=1e-5, err_msg=name)
    np.testing.assert_allclose(ours.covariances_, theirs.covars_, rtol=1e-3)
    np.testing.assert_allclose(ours.score(X, LENGTHS), theirs.score(X, LENGTHS), rtol=1e-8)


def compare_hmm(ours, theirs, X):
    np.testing.assert_allclose(ours.score(X, LENGTHS), theirs.score(X, LENGTHS), rtol=1e-8)
    np.testing.assert_allclose(ours.predict_proba(X, LENGTHS), theirs.predict_proba(X, LENGTHS), atol=1e-8)
    logprob, states = ours.decode(X, LENGTHS)
    their_logprob, their_states = theirs.decode(X, LENGTHS)
    np.testing.assert_allclose(logprob, their_logprob, rtol=1e-8)
    assert (states == their_states).all()


def test_categorical_hmm():
    rng = np.random.default_rng(0)
    X = rng.integers(0, 5, size=(500, 1))
    start, trans = chain_start(3, rng)
    emit = rng.dirichlet(np.ones(5), size=3)
    theirs = hmmlearn.CategoricalHMM(3, n_iter=6, tol=-np.inf, init_params="", implementation="scaling")
    theirs.startprob_, theirs.transmat_, theirs.emissionprob_ = start, trans, emit
    theirs.fit(X, LENGTHS)
    ours = estep.CategoricalHMM(3, startprob_init=start, transmat_init=trans, emissionprob_init=emit, max_iter=6, tol=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ours.fit(X, LENGTHS)
    for name in ("startprob_", "transmat_", "emissionprob_"):
        np.testing.assert_allclose(getattr(ours, name), getattr(theirs, name), rtol=1e-8, atol=1e-9, err_msg=name)
    compare_hmm(ours, theirs, X)


def test_poisson_hmm():
    rng = np.random.default_rng(0)
    X = rng.poisson(rng.choice([2.0, 9.0], size=(500, 1)), size=(500, 2))
    start, trans = chain_start(2, rng)
    rates = np.array([[1.5, 3.0], [8.0, 7.0]])
    theirs = hmmlearn.PoissonHMM(2, lambdas_prior=0, lambdas_weight=0, n_iter=6, tol=-np.inf, init_params="")
    theirs.startprob_, theirs.transmat_, theirs.lambdas_ = start, trans, rates
    theirs.fit(X, LENGTHS)
    ours = estep.PoissonHMM(2, startprob_init=start, transmat_init=trans, rates_init=rates, max_iter=6, tol=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ours.fit(X, LENGTHS)
    for name, theirs_name in (("startprob_", "startprob_"), ("transmat_", "transmat_"), ("rates_", "lambdas_")):
        np.testing.assert_allclose(getattr(ours, name), getattr(theirs, theirs_name), rtol=1e-8, atol=1e-9)
    compare_hmm(ours, theirs, X)


@pytest.mark.parametrize("kind", ["full", "tied", "diag", "spherical"])
@pytest.mark.parametrize("reg_covar", [1e-3, 0.5])
def test_the_fixed_point_of_reg_covar_is_scikit_learns(kind, reg_covar):
    """There the plain likelihood may have fallen: that is no failure, and the fit goes on until nothing changes."""
    from sklearn.mixture import GaussianMixture

    r = np.random.default_rng(1)
    X = np.r_[r.normal(0, 1, (150, 2)), r.normal(2.5, 1, (150, 2))]
    precisions = {
        "full": np.stack([np.eye(2)] * 2),
        "tied": np.eye(2),
        "diag": np.ones((2, 2)),
        "spherical": np.ones(2),
    }
    start = dict(weights_init=[0.5, 0.5], means_init=[[0.0, 0.0], [2.0, 2.0]], precisions_init=precisions[kind])
    ours = estep.GaussianMixture(2, covariance_type=kind, reg_covar=reg_covar, tol=1e-13, max_iter=20_000, **start).fit(
        X
    )
    theirs = GaussianMixture(2, covariance_type=kind, reg_covar=reg_covar, tol=1e-14, max_iter=20_000, **start).fit(X)
    assert ours.converged_ and ours.stop_reason_ == "converged" and ours.n_iter_ > 3
    np.testing.assert_allclose(ours.means_, theirs.means_, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(ours.covariances_, theirs.covariances_, rtol=1e-4, atol=1e-4)


def test_a_regularised_fit_does_not_race_itself():
    for seed in range(6):
        r = np.random.default_rng(seed)
        X = r.normal(size=(74, 4)) * 2 + r.integers(0, 2, 74)[:, None] * 2
        for kind in (estep.GaussianMixture, estep.StudentMixture, estep.GaussianHMM):
            fit = kind(2, covariance_type="diag", reg_covar=1.0, random_state=0, max_iter=400).fit(X)
            assert fit.stop_reason_ in ("converged", "max_iter")
