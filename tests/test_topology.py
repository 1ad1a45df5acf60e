"""Transitions by name, stationary starts, and starts from parts of sequences."""

import numpy as np
import pytest

import estep
from estep import Model, Stop, start_model, with_prior
from estep.emissions import Gaussian, Poisson
from estep.latents import TOPOLOGIES, Chain
from estep.latents.topology import allowed_moves, maximize_stationary, stationary


@pytest.mark.parametrize(
    "name, rows",
    [
        ("ergodic", ["1111", "1111", "1111", "1111"]),
        ("left-right", ["1111", "0111", "0011", "0001"]),
        ("bakis", ["1110", "0111", "0011", "0001"]),
        ("banded", ["1100", "1110", "0111", "0011"]),
    ],
)
def test_names(name, rows):
    mask = np.array([[c == "1" for c in row] for row in rows])
    np.testing.assert_array_equal(allowed_moves(name, 4), mask)
    hmm = estep.GaussianHMM(4, topology=name, random_state=0, max_iter=5, tol=1e-3)
    X = np.random.default_rng(0).normal(size=(200, 1)).cumsum(axis=0)
    hmm.fit(X, [50] * 4)
    assert (hmm.transmat_[~mask] == 0).all()
    if name in ("left-right", "bakis"):
        np.testing.assert_array_equal(hmm.startprob_, [1, 0, 0, 0])
    assert set(TOPOLOGIES) == {"ergodic", "left-right", "bakis", "banded"}


def test_a_matrix_with_zeros():
    mask = [[1, 1, 0], [0, 1, 1], [1, 0, 1]]
    X = np.random.default_rng(0).poisson(3.0, (100, 1))
    hmm = estep.PoissonHMM(3, topology=mask, random_state=0, max_iter=20, tol=1e-3).fit(X)
    assert ((hmm.transmat_ == 0) == (np.array(mask) == 0)).all()


def left_right(n):
    """Sequences that go through three levels, in order."""
    transmat = [[0.9, 0.1, 0.0], [0.0, 0.9, 0.1], [0.0, 0.0, 1.0]]
    truth = Model(Chain([1.0, 0.0, 0.0], transmat), Gaussian("diag", [[0.0], [4.0], [1.0]], [[1.0], [1.0], [1.0]]))
    return truth, [truth.sample(40, i)[0] for i in range(n)]


@pytest.mark.parametrize("method", ["kmeans", "split"])
def test_left_right_chains_start_in_order(method):
    truth, X = left_right(20)
    hmm = estep.GaussianHMM(3, topology="left-right", init_params=method, random_state=0).fit(X)
    assert hmm.score(X) >= truth.score(X)
    np.testing.assert_allclose(hmm.means_[:, 0], [0, 4, 1], atol=0.5)


def test_short_runs_find_what_one_start_misses():
    """Five clusters in a row, one far off: a start from random rows is often stuck, the best of ten runs seldom."""
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(m, 0.3, (60, 1)) for m in (0.0, 2.0, 4.0, 6.0, 40.0)])
    ends = {}
    for method in ("random_from_data", "short"):
        fits = [estep.GaussianMixture(5, init_params=method, random_state=i).fit(X).score(X) for i in range(12)]
        ends[method] = np.sum(np.array(fits) > max(fits) - 1e-3)
    assert ends["short"] > ends["random_from_data"] + 2
    again = estep.GaussianMixture(5, init_params="short", random_state=3)
    assert again.fit(X).score(X) == again.fit(X).score(X)
    hmm = estep.PoissonHMM(2, init_params="short", random_state=0).fit(estep.datasets.load_earthquakes().X)
    assert hmm.score(estep.datasets.load_earthquakes().X) == pytest.approx(-341.8787, abs=1e-3)
    given = estep.GaussianMixture(5, init_params="short", means_init=[[0], [2], [4], [6], [40]], random_state=0).fit(X)
    assert given.score(X) > max(fits) - 1e-3


def test_segmental_starts_are_viterbi_training():
    truth, X = left_right(20)
    source = truth.source(X)
    start = start_model(Chain(topology="left-right"), Gaussian("diag"), source, 3, "segmental")
    states, _ = start.decode(source)
    means = [source.X[states == k].mean() for k in range(3)]
    np.testing.assert_allclose(start.emission.means[:, 0], means, atol=1e-6)
    mixture = estep.GaussianMixture(2, init_params="segmental", random_state=0).fit(estep.datasets.load_faithful().X)
    assert mixture.score(estep.datasets.load_faithful().X) == pytest.approx(-1130.26396 / 272, abs=1e-5)


def test_stationary_distributions():
    A = np.array([[0.9, 0.1], [0.3, 0.7]])
    np.testing.assert_allclose(stationary(A), [0.75, 0.25])
    np.testing.assert_allclose(stationary(np.array([[0.5, 0.5], [0.0, 1.0]])), [0, 1], atol=1e-12)
    with pytest.raises(ValueError, match="more than one stationary distribution"):
        stationary(np.eye(2))


@pytest.mark.parametrize("K", [2, 3, 5])
def test_the_m_step_with_a_stationary_start_is_a_maximum(K):
    rng = np.random.default_rng(K)
    start, moves = rng.gamma(1.0, 20.0, K), rng.gamma(1.0, 10.0, (K, K))

    def objective(A):
        return (moves * np.log(A)).sum() + start @ np.log(stationary(A))

    old = rng.dirichlet(np.ones(K), size=K)
    best = maximize_stationary(start, moves, old)
    plain = moves / moves.sum(axis=1, keepdims=True)
    assert objective(best) >= max(objective(old), objective(plain))
    for _ in range(200):
        near = best * np.exp(1e-3 * rng.normal(size=(K, K)))
        assert objective(near / near.sum(axis=1, keepdims=True)) <= objective(best) + 1e-6


def test_many_short_sequences_with_a_stationary_start(tmp_path):
    """Starts tell about transitions then: the likelihood never falls, and the truth is nearer."""
    A = np.array([[0.95, 0.05], [0.2, 0.8]])
    truth = Model(Chain(None, A, "stationary"), Poisson([[1.0], [8.0]]))
    np.testing.assert_allclose(truth.latent.startprob, [0.8, 0.2])
    X = [truth.sample(3, i)[0] for i in range(300)]
    hmm = estep.PoissonHMM(2, begins="stationary", rates_init=[[1.0], [8.0]], random_state=0, tol=1e-10).fit(X)
    assert (np.diff(hmm.lower_bounds_) >= -1e-9 * abs(hmm.lower_bound_)).all()
    np.testing.assert_allclose(hmm.startprob_, stationary(hmm.transmat_))
    assert hmm.score(X) >= truth.score(X) and hmm.model_.n_parameters == 4
    estep.save(hmm, tmp_path / "m.json")
    again = estep.load(tmp_path / "m.json")
    assert again.latent.begins == "stationary" and again.score(X) == hmm.score(X)
    assert estep.estimators.from_model(again).begins == "stationary"
    squarem = estep.fit(truth, X, estep.algorithms.Squarem(), Stop(tol=1e-11))
    assert squarem.bound >= hmm.score(X) - 1e-4


def test_what_is_wrong_is_named():
    X = np.zeros((20, 1))
    for options, message in [
        ({"topology": "circle"}, "topology is 'circle': it is one of ergodic, left-right, bakis, banded"),
        ({"topology": np.eye(3)}, r"topology has shape \(3, 3\), expected \(2, 2\)"),
        ({"topology": [[0, 0], [1, 1]]}, "state 0 has no transition"),
        ({"begins": "first"}, "begins is 'first'"),
        ({"begins": "stationary", "transmat_init": np.eye(2)}, "more than one stationary distribution"),
        ({"begins": "stationary", "estimate": "map"}, "startprob follows from the others and has no conjugate prior"),
    ]:
        with pytest.raises(ValueError, match=message):
            estep.PoissonHMM(2, **options).fit(X)
    with pytest.raises(ValueError, match="no conjugate prior"):
        with_prior(Model(Chain(None, [[0.5, 0.5], [0.5, 0.5]], "stationary"), Poisson([[1.0], [2.0]])), X, "vb")
