"""Known and partly known states: exact evidence in every E-step, on every kernel level."""

from dataclasses import replace

import numpy as np
import pytest

import estep
from brute import enumerate_chain
from estep import Model, Stop, as_source, with_prior
from estep.algorithms import ALGORITHMS
from estep.emissions import Gaussian
from estep.execution.threads import Threads
from estep.inference.e_step import densities
from estep.inference.sample import draw_paths
from estep.latents import Independent
from models import make_model

FAMILIES = [
    "gaussian-full",
    "gaussian-tied",
    "poisson",
    "categorical",
    "student-diag",
    "mixture-of-gaussian-diag",
    "rayleigh",
]
families = pytest.mark.parametrize("family", FAMILIES)
latents = pytest.mark.parametrize("latent", ["independent", "chain"])


def some_labels(states, share, K, seed=0):
    rng = np.random.default_rng(seed)
    return np.where(rng.random(len(states)) < share, states, -1)


@families
def test_a_chain_with_evidence_is_enumerated(family, level):
    model = make_model(family, "chain", K=3, D=2, seed=2)
    X, _ = model.sample(6, 1)
    rng = np.random.default_rng(3)
    mask = rng.random((6, 3)) < 0.6
    mask[~mask.any(axis=1), 0] = True
    source = model.source(X, labels=mask)
    plain = model.source(X)
    logb = model.emission.evaluate(plain.whole()).log_densities + (0 if plain.base is None else plain.base[:, None])
    logb = np.where(mask, logb, -np.inf)
    chain = model.latent
    loglik, gamma, xi, best = enumerate_chain(chain.startprob, chain.transmat, logb)
    assert model.score(source) == pytest.approx(loglik, rel=1e-11)
    np.testing.assert_allclose(model.predict_proba(source), gamma, atol=1e-11)
    path, logprob = model.decode(source)
    assert logprob[0] == pytest.approx(best, rel=1e-11) and mask[np.arange(6), path].all()
    transitions = model.expect(source.whole())["latent"][3:].reshape(3, 3)
    np.testing.assert_allclose(transitions, xi, atol=1e-10)
    drawn = draw_paths(model, source, 0, None)
    assert mask[np.arange(6), drawn].all()


@families
def test_a_mixture_with_evidence(family, level):
    model = make_model(family, "independent", K=3, D=2, seed=2)
    X, states = model.sample(300, 1)
    labels = some_labels(states, 0.5, 3)
    source = model.source(X, labels=labels)
    r = model.predict_proba(source)
    np.testing.assert_allclose(r.sum(axis=1), 1)
    known = labels >= 0
    assert (r[known, labels[known]] == 1).all()
    np.testing.assert_allclose(r[~known], model.predict_proba(X)[~known], atol=1e-12)
    joint = [model.path_log_probability(model.source(X), np.full(300, k)) for k in range(3)]
    np.testing.assert_allclose(model.score_units(source)[known], np.array(joint)[labels[known], np.flatnonzero(known)])
    chosen = model.decode(source)[0]
    assert (chosen[known] == labels[known]).all()


@families
@latents
def test_all_labels_are_the_complete_data(family, latent):
    """With every state known, one step is the estimate from complete data, on any number of threads."""
    truth = make_model(family, latent, K=2, D=2, seed=1)
    X, states = truth.sample(400, 0)
    start = make_model(family, latent, K=2, D=2, seed=5)
    fit = estep.fit(start, start.source(X, labels=states), stop=Stop(tol=0, max_iter=3))
    if "mixture" not in family and "student" not in family:
        np.testing.assert_allclose(fit.trace.bounds[2], fit.trace.bounds[1], rtol=1e-9)
    threaded = estep.fit(start, start.source(X, labels=states), stop=Stop(tol=0, max_iter=3), execute=Threads(2))
    assert threaded.bound == fit.bound
    if latent == "independent":
        np.testing.assert_allclose(fit.model.latent.weights, np.bincount(states, minlength=2) / 400, rtol=1e-12)
    else:
        moves = np.bincount(states[:-1] * 2 + states[1:], minlength=4).reshape(2, 2)
        np.testing.assert_allclose(fit.model.latent.transmat, moves / moves.sum(axis=1, keepdims=True), rtol=1e-9)


@latents
@pytest.mark.parametrize("name", ALGORITHMS)
def test_every_algorithm_obeys(latent, name):
    truth = make_model("gaussian-full", latent, K=2, D=2, seed=1)
    X, states = truth.sample(400, 0)
    source = truth.source(X, labels=some_labels(states, 0.3, 2))
    start = make_model("gaussian-full", latent, K=2, D=2, seed=2)
    fit = estep.fit(start, source, ALGORITHMS[name](), Stop(tol=1e-8, max_iter=300))
    bounds = np.array(fit.trace.bounds)
    known = bounds[np.isfinite(bounds)]
    assert (np.diff(known) >= -1e-9 * np.abs(known[1:])).all()
    if name != "hard":
        np.testing.assert_allclose(fit.bound, fit.model.score(source), rtol=1e-10)
    assert ((fit.model.decode(source)[0] == source.evidence.labels) | (source.evidence.labels < 0)).all()


@pytest.mark.parametrize("estimate", ["map", "vb"])
@latents
def test_with_priors_and_gaps(latent, estimate):
    truth = make_model("gaussian-full", latent, K=2, D=3, seed=1)
    X, states = truth.sample(300, 0)
    X[np.random.default_rng(0).random(X.shape) < 0.2] = np.nan
    source = truth.source(X, labels=some_labels(states, 0.3, 2))
    fit = estep.fit(with_prior(truth, source, estimate), source, stop=Stop(tol=1e-9, max_iter=60))
    bounds = np.array(fit.trace.bounds)
    assert (np.diff(bounds) >= -1e-10 * np.abs(bounds[1:])).all()
    expected = np.where(source.evidence.labels < 0, -1, fit.model.decode(source)[0])
    assert (expected == source.evidence.labels).all()


def test_a_long_sequence_in_stretches():
    model = make_model("gaussian-diag", "chain", K=3, D=2)
    X, states = model.sample(150_000, 0)
    labels = some_labels(states, 0.1, 3)
    whole, cut = as_source(X, labels=labels).chained(), model.source(X, labels=labels)
    assert len(cut.leaves(model.leaf_rows())) > 1
    one = model.latent.posterior(*densities(model, whole.whole()), whole.whole())
    np.testing.assert_allclose(model.score(cut), one[0], rtol=1e-12)
    r = model.predict_proba(cut)
    known = labels >= 0
    assert (r[known, labels[known]] > 1 - 1e-12).all()


def test_labels_give_states_their_names():
    """A few labels decide which component is which, whatever the seed."""
    rng = np.random.default_rng(0)
    means = np.array([[0.0, 0.0], [2.0, 0.0], [0.0, 2.0]])
    truth = Model(Independent([0.4, 0.3, 0.3]), Gaussian("spherical", means, [1.0, 1.0, 1.0]))
    X, states = truth.sample(900, 0)
    prune = np.full(900, -1)
    for k in range(3):
        prune[rng.choice(np.flatnonzero(states == k), 30, replace=False)] = k
    for seed in range(3):
        mixture = estep.GaussianMixture(3, covariance_type="spherical", random_state=seed).fit(X, labels=prune)
        assert np.abs(mixture.means_ - means).max() < 0.5
    hmm = estep.GaussianHMM(3, covariance_type="spherical", random_state=0, max_iter=20, tol=1e-4).fit(X, labels=prune)
    assert np.abs(hmm.means_ - means).max() < 0.6
    gmm = estep.GMMHMM(3, 2, random_state=0, max_iter=5, tol=1e-3).fit(X, labels=states)
    assert (gmm.model_.decode(gmm.model_.source(X, labels=states))[0] == states).all()
    symbols = rng.integers(0, 4, (200, 1))
    estep.CategoricalHMM(3, random_state=0, max_iter=5, tol=1e-2).fit(symbols, labels=prune[:200])


@pytest.mark.filterwarnings("ignore:.*did not converge")
def test_restarts_with_labels():
    X = estep.datasets.load_faithful().X
    labels = np.where(X[:, 0] < 2.2, 0, np.where(X[:, 0] > 4.2, 1, -1))
    mixture = estep.GaussianMixture(2, n_init=3, init_params="random", random_state=0).fit(X, labels=labels)
    assert mixture.means_[0, 0] < mixture.means_[1, 0] and len(mixture.fit_.restarts) == 3


def test_inconsistent_labels_are_named():
    X = np.random.default_rng(0).normal(size=(6, 1))
    for labels, message in [
        ([0, 1, 2, -1, 0, 0], r"labels\[2\] is 2: states are 0 to 1"),
        ([0, 1, -2, -1, 0, 0], r"labels\[2\] is -2"),
        ([0, 1], "labels are of 2 rows; the data have 6"),
        (0, "labels are of 1 rows"),
        ([0.5] * 6, "whole numbers"),
        (np.ones((6, 3), bool), "masks of 3 states; the model has 2"),
        (np.array([[1, 0]] * 5 + [[0, 0]]), "whole numbers"),
        (np.array([[1, 0]] * 5 + [[0, 0]]).astype(bool), r"labels\[5\] allows no state"),
    ]:
        for kind in (estep.GaussianMixture, estep.GaussianHMM):
            with pytest.raises(ValueError, match=message):
                kind(2).fit(X, labels=labels)
    hmm = estep.GaussianHMM(2, transmat_init=[[1.0, 0.0], [0.0, 1.0]], random_state=0)
    with pytest.raises(ValueError, match="sequence 0 is impossible .* its labels, forbid it"):
        hmm.fit(X, labels=[0, -1, 1, -1, -1, -1])
    source = as_source(X, labels=[0] * 6)
    assert source.some(np.array([1, 2])).evidence.labels.tolist() == [0, 0]
    assert replace(source, evidence=None).evidence is None


def test_labels_of_a_list_of_sequences_and_huge_ones():
    X = np.random.default_rng(0).normal(size=(80, 1))
    labels = [np.zeros(40, int), np.ones(40, int)]
    hmm = estep.GaussianHMM(2, random_state=0, tol=1e-3).fit([X[:40], X[40:]], labels=labels)
    np.testing.assert_allclose(hmm.means_[:, 0], [X[:40].mean(), X[40:].mean()], rtol=1e-9)
    with pytest.raises(ValueError, match="there are not so many states"):
        estep.GaussianMixture(2).fit(X, labels=np.full(80, 2**32))
