"""E-steps that look closely at few components alone: of clusters apart they give what looking at all gives."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from estep import Model, Source, kernels
from estep.emissions import Gaussian
from estep.execution.serial import Serial
from estep.fitting.batched import Batched
from estep.inference.passes import TRUST, Passes
from estep.latents import Independent
from estep.latents.independent import SURE
from models import covariances, use

COMPILED = [k for k in kernels.levels() if k != "reference"]
pytestmark = pytest.mark.skipif(not COMPILED, reason="installed without a compiler")


def apart(kind, K, D, n, apart=20.0, seed=0):
    """A mixture of clusters whose means are that far apart, and rows of it."""
    rng = np.random.default_rng(seed)
    means, C = rng.normal(0, apart, (K, D)), covariances(kind, K, D, rng)
    L = np.linalg.cholesky(C) if kind == "full" else np.sqrt(C)
    z, e = rng.integers(K, size=n), rng.normal(size=(n, D))
    X = means[z] + (np.einsum("nij,nj->ni", L[z], e) if kind == "full" else L[z] * e)
    started = means + 0.3 * rng.normal(size=means.shape)
    return Model(Independent(rng.dirichlet(np.full(K, 5.0))), Gaussian(kind, started, C)), X


def step(level, model, X, weights=None, ends=None, sure=SURE):
    """Counts, statistics (K, F), log-likelihoods and their sums."""
    K, models = model.n_components, 1 if ends is None else len(ends)
    spec = model.kernel(Source(X, weights=weights).summary)
    counts, stats, totals = np.zeros(K), np.zeros(spec.statistics_size), np.zeros(models)
    loglik = np.empty((len(X), models) if models > 1 else len(X))
    run, logweights = kernels.load(level).mixture, np.log(model.latent.weights)
    run(spec, logweights, X, weights, counts, stats, totals, loglik, None, ends, sure=sure)
    return counts, stats.reshape(K, -1), loglik, totals


def assert_same(got, want, tolerance=1e-10):
    """Counts and statistics to that part of each component's own."""
    np.testing.assert_allclose(got[0], want[0], rtol=10 * tolerance)
    scale = np.abs(want[1]).max(axis=1, keepdims=True)
    scale[scale == 0] = 1
    np.testing.assert_allclose(got[1] / scale, want[1] / scale, atol=tolerance)
    np.testing.assert_allclose(got[2], want[2], rtol=tolerance)
    np.testing.assert_allclose(got[3], want[3], rtol=tolerance)


SHAPES = [("full", 8, 8), ("full", 8, 16), ("full", 32, 16), ("full", 11, 41), ("diag", 20, 9), ("diag", 70, 40)]


@pytest.mark.parametrize("kind, K, D", SHAPES)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("ends", [None, (3, -1)])
@pytest.mark.parametrize("level", COMPILED)
def test_few_are_as_good_as_all(kind, K, D, weighted, ends, level):
    model, X = apart(kind, K, D, 1900)
    weights = np.random.default_rng(1).integers(0, 3, len(X)) * 0.7 if weighted else None
    ends = None if ends is None else np.array([e % (K + 1) for e in ends])
    assert_same(step(level, model, X, weights, ends), step("reference", model, X, weights, ends))


@pytest.mark.parametrize("kind, K, D", SHAPES)
@pytest.mark.parametrize("level", COMPILED)
def test_it_is_done_where_it_pays_alone(kind, K, D, level):
    """The forms round differently: equal bits show that all components were looked at. So they are where one block of
    AVX-512's takes all columns."""
    for distance, pays in ((20.0, (level, D) != ("v4", 8)), (0.1, False)):
        model, X = apart(kind, K, D, 1900, distance)
        prune, every = step(level, model, X)[2], step(level, model, X, sure=0)[2]
        assert np.array_equal(prune, every) != pays


def with_far_components(kind, near=9, D=10):
    """Some components more, a third as many, are far from all rows."""
    rng, far = np.random.default_rng(2), near // 3
    means, away = rng.normal(0, 20, (near + far, D)), rng.normal(size=(far, D))
    means[near:] = means[:far] + 20 * away / np.linalg.norm(away, axis=1, keepdims=True)
    X = means[rng.integers(near, size=2500)] + rng.normal(size=(2500, D))
    C = np.ones(means.shape) if kind == "diag" else np.tile(np.eye(D), (near + far, 1, 1))
    return means, C, X


@pytest.mark.parametrize("kind", ["full", "diag"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("level", COMPILED)
def test_components_of_little_weight_keep_their_digits(kind, weighted, level):
    means, C, X = with_far_components(kind)
    model = Model(Independent(np.r_[np.full(9, 1 / 9 - 3e-6), np.full(3, 9e-6)]), Gaussian(kind, means, C))
    weights = np.where(np.arange(len(X)) % 3 == 0, 0.0, 1e-4) if weighted else None
    want = step("reference", model, X, weights)
    assert (want[0][9:] < 1e-30).all() and (want[0] > 0).all()
    assert_same(step(level, model, X, weights), want)


@pytest.mark.parametrize("kind, near, D", [("full", 9, 10), ("diag", 9, 10), ("full", 4, 16), ("diag", 15, 4)])
@pytest.mark.parametrize("together", [False, True])
@pytest.mark.parametrize("level", COMPILED)
def test_components_that_prove_to_be_far_from_all_rows_keep_their_digits(kind, near, D, together, level, monkeypatch):
    """An E-step that left them out is done again."""
    means, C, X = with_far_components(kind, near, D)
    K = len(means)
    model, source = Model(Independent(np.full(K, 1 / K)), Gaussian(kind, means, C)), Source(X)
    several = Batched.of([model, model]) if together else model
    got = {}
    for name in (level, "reference"):
        use(monkeypatch, name)
        got[name] = Passes(source, 1000, Serial()).expect(several)
    counts = got["reference"]["latent"]
    assert (counts[near:K] < 1e-30).all() and (counts > 0).all()
    np.testing.assert_allclose(got[level]["latent"], counts, rtol=1e-9)
    rows = got["reference"]["emission"].reshape(len(counts), -1)
    scale = np.abs(rows).max(axis=1, keepdims=True)
    np.testing.assert_allclose(got[level]["emission"].reshape(rows.shape) / scale, rows / scale, atol=1e-10)


@pytest.mark.parametrize("kind", ["full", "diag"])
@pytest.mark.parametrize("distance", [5.0, 5.7, 6.0])
def test_moments_of_a_component_with_hardly_any_rows_keep_their_digits(kind, distance, monkeypatch):
    """The last component has a little of the rows of the first, and next to nothing of those of the second: but these
    are far out in the last column."""
    rng, K, D, far = np.random.default_rng(0), 12, 10, 1e4
    means, C = rng.normal(0, 20, (K, D)), np.ones((K, D))
    C[:, -1], means[:, -1] = far**2, 0
    means[-1] = means[0]
    means[-1, 0] += distance
    means[1] = means[-1]
    means[1, 1] += np.sqrt(2 * 46.7)
    z = rng.integers(K - 1, size=4000)
    X = means[z] + np.where((z < 2)[:, None], 0.05, 1) * rng.normal(size=(4000, D))
    X[:, -1] = np.where(z == 0, 1, far) * rng.normal(size=4000)
    C = np.stack([np.diag(c) for c in C]) if kind == "full" else C
    model = Model(Independent(np.full(K, 1 / K)), Gaussian(kind, means, C, origin=means[0]))
    got = {}
    for name in (COMPILED[-1], "reference"):
        use(monkeypatch, name)
        got[name] = Passes(Source(X), 1000, Serial()).expect(model)
    assert got["reference"]["latent"][-1] < 1e-2
    want = got["reference"]["emission"].reshape(K, -1)
    scale = np.abs(want).max(axis=1, keepdims=True)
    np.testing.assert_allclose(got[COMPILED[-1]]["emission"].reshape(K, -1) / scale, want / scale, atol=1e-10)


def test_what_has_to_be_done_again_and_again_is_done_with_all_at_once(monkeypatch):
    means, C, X = with_far_components("diag")
    model, asked, expect = Model(Independent(np.full(12, 1 / 12)), Gaussian("diag", means, C)), [], Model.expect

    def watched(self, batch, boundary=None, prune=False):
        asked.append(prune)
        return expect(self, batch, boundary, prune)

    monkeypatch.setattr(Model, "expect", watched)
    passes = Passes(Source(X), 4096, Serial())
    bounds = {float(passes.expect(model)["loglik"]) for _ in range(5)}
    assert asked == [True, False] * TRUST + [False] * 2
    assert len(bounds) == 1


def test_rows_in_the_order_of_their_clusters(monkeypatch):
    """Of most components a leaf then has no row."""
    model, X = apart("diag", 20, 12, 6000)
    X = X[np.argsort(model.predict_proba(X).argmax(axis=1), kind="stable")]
    got = {}
    for name in (COMPILED[-1], "reference"):
        use(monkeypatch, name)
        got[name] = Passes(Source(X), 1000, Serial()).expect(model).vector
    np.testing.assert_allclose(got[COMPILED[-1]], got["reference"], rtol=1e-9, atol=1e-9 * np.abs(X).max() ** 2)


@pytest.mark.parametrize("kind", ["full", "diag"])
@pytest.mark.parametrize("level", COMPILED)
def test_single_precision(kind, level):
    model, X = apart(kind, 24, 12, 2500)
    X = X.astype(np.float32)
    assert model.kernel(Source(X).summary).single
    assert_same(step(level, model, X), step("reference", model, X), 1e-4)


@pytest.mark.parametrize("kind", ["full", "diag"])
@pytest.mark.parametrize("level", COMPILED)
@pytest.mark.parametrize("size", [1e3, 1e8, 1e25])
def test_rows_out_of_all_proportion(kind, level, size):
    """Bounds in single precision cannot tell components apart there."""
    model, X = apart(kind, 12, 10, 2500)
    X[[5, 1200, 1201, 2499]] *= size
    assert_same(step(level, model, X), step("reference", model, X), 1e-9)


@given(
    kind=st.sampled_from(["full", "diag"]),
    level=st.sampled_from(COMPILED),
    K=st.integers(8, 40),
    D=st.integers(8, 20),
    n=st.integers(512, 2000),
    distance=st.floats(0.3, 300),
    scale=st.sampled_from([1e-9, 1.0, 1e9]),
    shift=st.sampled_from([0.0, 1e3]),
    models=st.integers(1, 3),
    seed=st.integers(0, 2**20),
)
def test_any_shape(kind, level, K, D, n, distance, scale, shift, models, seed):
    model, X = apart(kind, K, D, n, distance, seed)
    e = model.emission
    model = Model(model.latent, Gaussian(kind, (e.means + shift) * scale, e.covariances * scale**2))
    ends = None if models == 1 else np.arange(1, models + 1) * K // models
    X = (X + shift) * scale
    assert_same(step(level, model, X, None, ends), step("reference", model, X, None, ends), 1e-8)
