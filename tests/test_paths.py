"""Most probable paths of many states, most of which are left out, are those of the reference, ties and all."""

import numpy as np
import pytest

from estep import Model, kernels
from estep.emissions import Gaussian, Poisson
from estep.kernels.spec import dense
from estep.latents import Chain
from models import use

LEVELS = [k for k in kernels.levels() if k != "reference"]
pytestmark = pytest.mark.skipif(not LEVELS, reason="installed without a compiler")


def problem(K, n, apart, seed, concentration=0.3):
    """Log-densities that differ by about ``apart`` from state to state, and a chain."""
    rng = np.random.default_rng(seed)
    logb = rng.normal(0, apart, (n, K))
    return rng, logb, rng.dirichlet(np.full(K, 0.5)), rng.dirichlet(np.full(K, concentration), K)


def decode(level, logb, start, trans, ends, chunk=()):
    path, logprob = np.full(len(logb), -1, np.int32), np.empty(len(ends))
    scores = np.empty((2, len(start)))
    more = (*chunk, scores) if chunk else ()
    spec, X = dense(logb)
    kernels.load(level).viterbi(spec, start, trans, np.asarray(ends, np.int64), X, path, logprob, *more)
    return path, logprob, scores


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("K", [32, 45, 64, 131])
@pytest.mark.parametrize("apart", [0.1, 3.0, 30.0, 3000.0])
@pytest.mark.parametrize("kind", ["any", "impossible cells", "ties", "left-right", "next to nothing"])
def test_paths_of_many_states(level, K, apart, kind):
    rng, logb, start, trans = problem(K, 600, apart, K)
    ends = [0, 3, 260, 260, 261, 600]
    if kind == "impossible cells":
        logb[:, 1:][rng.random((600, K - 1)) < 0.5] = -np.inf
    if kind == "ties":
        logb, start, trans = np.round(logb / apart), np.full(K, 1 / K), np.full((K, K), 1 / K)
    if kind == "left-right":
        trans = np.triu(np.ones((K, K))) * np.tri(K, k=2)
        trans /= trans.sum(axis=1, keepdims=True)
    if kind == "next to nothing":
        trans = trans ** rng.choice([1, 40], (K, K)) + 1e-300
        trans /= trans.sum(axis=1, keepdims=True)
    path, logprob, _ = decode(level, logb, start, trans, ends)
    want, best, _ = decode("reference", logb, start, trans, ends)
    assert np.array_equal(path, want)
    np.testing.assert_allclose(logprob, best, rtol=1e-13)
    assert len(set(want.tolist())) > 1


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("halo", [(0, 0), (200, 0), (0, 250), (200, 250), (3, 1)])
@pytest.mark.parametrize("begins", [True, False])
@pytest.mark.parametrize("left, following", [(False, -1), (True, -1), (False, 7), (True, 7)])
def test_stretches_of_many_states(level, halo, begins, left, following):
    """Messages given or guessed: the path, its log-probability, and the scores at both ends."""
    K, n = 40, 800
    rng, logb, start, trans = problem(K, n, 5.0, 1, concentration=2.0)
    before = np.log(rng.dirichlet(np.ones(K))) if left else None
    chunk = ((*halo, begins, False), before, following)
    path, logprob, scores = decode(level, logb, start, trans, [n], chunk)
    want, best, expected = decode("reference", logb, start, trans, [n], chunk)
    own = slice(halo[0], n - halo[1] + (1 if halo[1] and following < 0 else 0))  # and the state after it
    assert np.array_equal(path[own], want[own])
    np.testing.assert_allclose(logprob, best, rtol=1e-12)
    up_to_a_constant = [x - x.max(axis=1, keepdims=True) for x in (scores, expected)]
    np.testing.assert_allclose(*up_to_a_constant, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("level", LEVELS)
def test_a_path_that_is_settled_late(level):
    """Two halves that never meet, with the same densities until the last row, which tells them apart."""
    K, n = 64, 400
    rng, half, start, _ = problem(K // 2, n, 20.0, 2)
    logb = np.tile(half, 2)
    part = rng.dirichlet(np.full(K // 2, 0.3), K // 2)
    trans = np.block([[part, np.zeros_like(part)], [np.zeros_like(part), part]])
    logb[-1, : K // 2] -= 50.0
    chunk = ((0, 300, True, False), None, -1)
    start = np.tile(start, 2) / 2
    path, logprob, _ = decode(level, logb, start, trans, [n], chunk)
    want, best, _ = decode("reference", logb, start, trans, [n], chunk)
    assert np.array_equal(path[:101], want[:101])
    assert (want >= K // 2).all()
    np.testing.assert_allclose(logprob, best, rtol=1e-12)


@pytest.mark.parametrize("level", LEVELS)
def test_sequences_that_are_impossible(level):
    """Their paths are those of the reference too; -inf on the way is not taken for a number."""
    K, n = 40, 130
    _, logb, start, trans = problem(K, n, 5.0, 3)
    logb[[20, 99]] = -np.inf
    trans = np.triu(trans) + np.eye(K) * 1e-3
    trans /= trans.sum(axis=1, keepdims=True)
    ends = [10, 50, 90, n]
    path, logprob, _ = decode(level, logb, start, trans, ends)
    want, best, _ = decode("reference", logb, start, trans, ends)
    assert np.array_equal(path, want)
    assert np.array_equal(logprob == -np.inf, [False, True, False, True])
    np.testing.assert_allclose(logprob, best, rtol=1e-13)


@pytest.mark.parametrize(
    "level, family", [(LEVELS[i % max(len(LEVELS), 1)], f) for i, f in enumerate(["tied", "poisson", "diag"]) if LEVELS]
)
def test_rows_so_wide_that_few_are_read_at_a_time(level, family, monkeypatch):
    rng, K = np.random.default_rng(4), 32
    if family == "poisson":
        emission = Poisson(rng.gamma(2.0, 1.0, (K, 3000)))
    elif family == "tied":
        emission = Gaussian("tied", rng.normal(0, 0.3, (K, 100)), np.eye(100))
    else:
        emission = Gaussian("diag", rng.normal(0, 0.1, (K, 1500)), np.ones((K, 1500)))
    model = Model(Chain(np.full(K, 1 / K), np.full((K, K), 1 / K)), emission)
    X, states = model.sample(70, 5)
    use(monkeypatch, level)
    path, logprob = model.decode(X)
    use(monkeypatch, "reference")
    want, best = model.decode(X)
    assert np.array_equal(path, want)
    assert (path == states).mean() > 0.5
    np.testing.assert_allclose(logprob, best, rtol=1e-9)
