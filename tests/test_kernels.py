"""Every compiled level equals the reference: 1e-12 in log-densities, 1e-10 in statistics."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import estep
from estep import Model, Stop, kernels
from estep.data.inputs import as_source
from estep.emissions import Categorical, Gaussian, Poisson
from estep.interface import Path
from estep.kernels.reference import gaussian as reference
from estep.latents import Chain, Independent
from estep.statistics import Statistics
from models import FAMILIES, draw, make_model, use

NATIVE = [f for f in FAMILIES if "rayleigh" not in f]
COMPILED = [k for k in kernels.levels() if k != "reference"]
needs_core = pytest.mark.skipif(not COMPILED, reason="installed without a compiler")


def outputs(level, model, source):
    """Everything the four functions of a level can give."""
    k, batch = kernels.load(level), source.whole()
    spec, X, K, n = model.kernel(source.summary), source.X, model.n_components, len(source)
    out = {"log_densities": np.empty((n, K))}
    k.log_densities(spec, X, out["log_densities"])
    stats, resp = np.zeros(spec.statistics_size), np.empty((n, K))
    out["accumulated"], given = np.zeros(spec.statistics_size), np.random.default_rng(n).random((n, K))
    k.accumulate(spec, X, given * (given > 0.5), out["accumulated"])
    if isinstance(model.latent, Independent):
        loglik, counts, total = np.empty(n), np.zeros(K), np.zeros(1)
        k.mixture(spec, np.log(model.latent.weights), X, source.weights, counts, stats, total, loglik, resp)
        out |= {"counts": counts, "total": total}
    else:
        S = len(source.ends)
        loglik, start, trans = np.empty(S), np.zeros(K), np.zeros((K, K))
        chain = (model.latent.startprob, model.latent.transmat, batch.ends, X)
        k.chain(spec, *chain, source.weights, loglik, start, trans, stats, resp)
        path, logprob = np.empty(n, np.int32), np.empty(S)
        k.viterbi(spec, *chain, path, logprob)
        scores = model.latent.path_log_probability(
            out["log_densities"][np.arange(n), path], Path(path, source.ends)
        )  # paths may tie
        out |= {"start": start, "trans": trans, "path": scores, "logprob": logprob}
    return out | {"loglik": loglik, "stats": stats, "resp": resp}


def assert_levels_agree(model, source):
    wanted = outputs("reference", model, source)
    for level in COMPILED:
        for name, value in outputs(level, model, source).items():
            want = wanted[name]
            tolerance = 1e-12 if name == "log_densities" else 1e-10
            scale = max(1.0, float(np.abs(want[np.isfinite(want)]).max(initial=0.0)))
            np.testing.assert_allclose(value, want, rtol=tolerance, atol=tolerance * scale, err_msg=f"{level} {name}")


SHAPES = [(1, 1, 1), (2, 1, 400), (3, 2, 700), (8, 3, 900), (9, 5, 100), (33, 4, 150), (12, 9, 800), (5, 33, 900)]
EACH = [  # each family with each shape, each latent part with every second of these, by turns
    (family, latent, *shape)
    for f, family in enumerate(NATIVE)
    for s, shape in enumerate(SHAPES)
    for latent in [("independent", "chain")[(f + s) % 2]]
]


@needs_core
@pytest.mark.parametrize("family, latent, K, D, n", EACH)
def test_levels_agree(family, latent, K, D, n):
    model = make_model(family, latent, K, D)
    assert_levels_agree(model, draw(model, n))


@needs_core
@given(
    family=st.sampled_from(NATIVE),
    latent=st.sampled_from(["independent", "chain"]),
    K=st.integers(1, 40),
    D=st.integers(1, 7),
    n=st.integers(1, 500),
    seed=st.integers(0, 2**20),
)
def test_levels_agree_on_any_shape(family, latent, K, D, n, seed):
    model = make_model(family, latent, K, D, seed)
    assert_levels_agree(model, draw(model, n, seed))


@needs_core
@pytest.mark.parametrize("kind", ["full", "tied", "diag", "spherical"])
@pytest.mark.parametrize("latent", ["independent", "chain"])
def test_differences_take_over_where_features_cancel(kind, latent):
    """Thin clusters far apart: the whitened form, equal to the reference and to the densities themselves."""
    from scipy.stats import multivariate_normal

    model = make_model(f"gaussian-{kind}", latent, K=3, D=2)
    emission = model.emission
    means = emission.means * 1e6
    far = Model(model.latent, Gaussian(kind, means, emission.covariances))
    source = draw(far, 300)
    assert far.kernel(source.summary).whitened
    assert_levels_agree(far, source)
    full = estep.parameters.covariance.full(emission.covariances, kind, 3, 2)
    expected = np.stack([multivariate_normal(means[k], full[k]).logpdf(source.X) for k in range(3)], axis=1)
    got = kernels.log_densities(far.kernel(source.summary), source.X)
    own = np.abs(expected - expected.max(axis=1, keepdims=True)) < 100
    np.testing.assert_allclose(got[own], expected[own], rtol=1e-7)


@needs_core
@pytest.mark.parametrize("kind", ["full", "diag"])
@pytest.mark.parametrize("weights", [None, 1e-30])
def test_moments_of_the_rows_that_matter(kind, weights):
    """Separated clusters: most rows are left out, and each component's moments keep their digits, also those of a
    component far from all rows."""
    rng = np.random.default_rng(0)
    means = rng.normal(0, 5, (9, 8))
    X = means[rng.integers(8, size=2000)] + rng.normal(size=(2000, 8))
    means[8] = means[0] + 5.5
    C = np.tile(np.eye(8) if kind == "full" else np.ones(8), (9,) + (1,) * (1 + (kind == "full")))
    model = Model(Independent(np.full(9, 1 / 9)), Gaussian(kind, means, C))
    w = None if weights is None else np.where(np.arange(2000) < 1000, 1.0, weights)
    source = estep.Source(X, weights=w)
    spec = model.kernel(source.summary)
    found = {}
    for level in ("reference", *COMPILED):
        counts, stats = np.zeros(9), np.zeros(spec.statistics_size)
        kernels.load(level).mixture(spec, np.log(np.full(9, 1 / 9)), X, w, counts, stats, None, None, None)
        found[level] = counts, stats.reshape(9, -1)
    counts, stats = found["reference"]
    assert 0 < counts[8] < 1e-20
    for level in COMPILED:
        np.testing.assert_allclose(found[level][0], counts, rtol=1e-9)
        scale = np.abs(stats).max(axis=1, keepdims=True)
        np.testing.assert_allclose(found[level][1] / scale, stats / scale, atol=1e-10)


def test_features_equal_scipy(level):
    from scipy.stats import multivariate_normal, poisson

    model = make_model("gaussian-full", "independent", K=2, D=3)
    source = draw(model, 50)
    e = model.emission
    expected = [multivariate_normal(e.means[k], e.covariances[k]).logpdf(source.X) for k in range(2)]
    np.testing.assert_allclose(kernels.log_densities(e.kernel(source.summary), source.X).T, expected, rtol=1e-10)
    counts = Model(Independent([1.0]), Poisson([[3.5, 1e4]]))
    X = np.array([[0.0, 1e4], [4.0, 9.9e3], [40.0, 0.0], [33.0, 1e6]])
    np.testing.assert_allclose(counts.score_units(X), poisson([3.5, 1e4]).logpmf(X).sum(axis=1), rtol=1e-11)


@pytest.mark.parametrize("kind", ["full", "tied", "diag", "spherical"])
@pytest.mark.parametrize("latent", ["independent", "chain"])
@pytest.mark.parametrize("K, D, n", [(1, 1, 60), (3, 2, 3000), (17, 9, 2000), (40, 3, 12000)])
def test_single_precision_agrees_with_double(kind, latent, K, D, n, level):
    """The log-likelihood to 1e-5, statistics to 1e-4 of their size; sums are in double."""
    if level == "reference":
        n = min(n, 500)
    model = make_model(f"gaussian-{kind}", latent, K, D)
    source = draw(model, n)
    X = source.X.astype(np.float32)
    ends = None if source.ends is None else np.diff(source.ends, prepend=0)
    rough, exact = model.source(X, ends), model.source(X.astype(np.float64), ends)
    adapted = Model(model.latent, model.emission.adapt(rough.summary))
    assert adapted.kernel(rough.summary).single
    a, b = adapted.expect(rough.whole()), adapted.expect(exact.whole())
    np.testing.assert_allclose(a["loglik"], b["loglik"], rtol=1e-5)
    for part in ("latent", "emission"):
        np.testing.assert_allclose(a[part], b[part], atol=1e-4 * np.abs(b[part]).max())


def test_single_precision_resolves_clusters_or_leaves_them_to_double(level):
    """100 deviations apart: covariances to 1e-3; 1e4 apart, single precision steps aside."""
    rng = np.random.default_rng(0)
    for gap, single, tolerance in [(100.0, True, 1e-3), (1e4, False, 1e-3)]:
        X = np.concatenate([rng.normal(size=(500, 2)), rng.normal(size=(500, 2)) + gap])
        model = Model(Independent([0.5, 0.5]), Gaussian("full", [[0, 0], [gap, gap]], [np.eye(2)] * 2))
        rough = model.source(X.astype(np.float32))
        assert model.kernel(rough.summary).single == single
        fit = estep.fit(model, rough, stop=Stop(tol=0, max_iter=2)).model.emission.covariances
        parts = X[:500], X[500:]
        np.testing.assert_allclose(fit, [np.cov(x.T, bias=True) for x in parts], atol=tolerance)


def test_what_single_precision_loses_is_done_in_double(level):
    """States that underflow in single precision and come back; transitions it cannot hold."""
    model = left_right(4, gap=30.0)
    rng = np.random.default_rng(0)
    X = np.array([0, 0, 60, 60, 30, 30, 90, 90, 0.0])[:, None] + rng.normal(size=(9, 1))
    X = X.astype(np.float32)
    np.testing.assert_allclose(model.score([X] * 5), model.score([X.astype(float)] * 5), rtol=1e-5)
    a, b = model.predict_proba([X] * 5), model.predict_proba([X.astype(float)] * 5)
    np.testing.assert_allclose(a, b, atol=1e-3)
    s = model.expect(model.source([X] * 5).whole()).vector
    t = model.expect(model.source([X.astype(float)] * 5).whole()).vector
    np.testing.assert_allclose(s, t, atol=1e-4 * np.abs(t).max())
    rare = Model(Chain([1.0, 0.0], [[1.0, 1e-44], [0.0, 1.0]]), Gaussian("diag", [[0.0], [8.0]], np.ones((2, 1))))
    X = np.array([[0.0], [8.0], [8.0], [8.0], [8.0], [8.0]], np.float32)
    np.testing.assert_allclose(rare.score(X), rare.score(X.astype(float)), rtol=1e-5)


def test_impossible_rows_have_no_responsibility(level):
    model = Model(Independent([0.5, 0.5]), Categorical([[1.0, 0.0, 0.0], [0.5, 0.5, 0.0]]))
    source = model.source([[0], [1], [2]])
    r, loglik = np.empty((3, 2)), np.empty(3)
    spec = model.kernel(source.summary)
    kernels.active().mixture(spec, np.log([0.5, 0.5]), source.X, None, None, None, None, loglik, r)
    np.testing.assert_allclose(r, [[2 / 3, 1 / 3], [0, 1], [0, 0]])
    assert loglik[2] == -np.inf
    assert np.isfinite(loglik[:2]).all()


def left_right(K, gap):
    trans = np.eye(K) * 0.5 + np.eye(K, k=1) * 0.5
    trans[-1, -1] = 1
    start = np.eye(K)[0]
    return Model(Chain(start, trans), Gaussian("diag", gap * np.arange(K)[:, None], np.ones((K, 1))))


def test_states_that_underflow_come_back(level):
    """Evidence of exp(-1e5) against every reachable state is scored as log space scores it, and can be revived."""
    model = left_right(4, gap=400.0)
    rng = np.random.default_rng(0)
    X = np.array([0, 0, 800, 800, 400, 400, 1200, 1200, 0.0])[:, None] + rng.normal(size=(9, 1))
    logb = model.emission.evaluate(model.source(X).whole()).log_densities
    with np.errstate(divide="ignore"):
        a = np.log(model.latent.startprob) + logb[0]
        for row in logb[1:]:
            a = np.logaddexp.reduce(a[:, None] + np.log(model.latent.transmat), axis=0) + row
    np.testing.assert_allclose(model.score([X] * 5), 5 * np.logaddexp.reduce(a), rtol=1e-13)
    assert model.score(X) < -1e5
    gamma = model.predict_proba([X] * 5)
    assert np.isfinite(gamma).all()
    np.testing.assert_allclose(gamma.sum(axis=1), 1, atol=1e-12)


def test_lanes_fail_one_after_the_other(compiled):
    """One sequence vanishes going forward; without it, another is found to have lost what counts going back."""
    model = left_right(3, gap=20.0)
    vanishes = np.array([0.0, 80.0, 80.0, 0.0, 0.0])[:, None]
    revives = np.array([20.0, 30.0, 35.0, 10.0, 0.0, 0.0, 25.0])[:, None]
    sequences = [vanishes, revives, np.zeros((4, 1)), np.array([0.0, 0.0, 20.0, 40.0])[:, None]]
    source = model.source(sequences)
    assert_levels_agree(model, source)
    for x, score in zip(sequences, model.score_units(source), strict=True):
        np.testing.assert_allclose(score, model.score(x), rtol=1e-12)


def test_best_state_unreachable(level):
    """The reachable states are still told apart where another explains the row far better."""
    start, trans = [0.5, 0.5, 0.0], [[0.5, 0.5, 0.0], [0.5, 0.5, 0.0], [0.0, 0.0, 1.0]]
    model = Model(Chain(start, trans), Gaussian("diag", [[0.0], [1.0], [1000.0]], np.ones((3, 1))))
    gamma = model.predict_proba([[1000.0], [0.4], [1000.0]])
    assert np.isfinite(gamma).all()
    assert gamma[0, 1] > 1 - 1e-12 and gamma[0, 2] == 0


def test_long_sequences_do_not_underflow(level):
    n = 2000 if level == "reference" else 200_000
    model = Model(Chain([0.5, 0.5], [[0.9, 0.1], [0.2, 0.8]]), Categorical(np.full((2, 1000), 1e-3)))
    X = np.zeros((n, 1), np.int32)
    np.testing.assert_allclose(model.score(X), n * np.log(1e-3), rtol=1e-12)


def test_unknown_level_is_refused(monkeypatch):
    monkeypatch.setenv("ESTEP_KERNELS", "v9")
    with pytest.raises(ValueError, match="v9.*reference, baseline, v3, v4"):
        kernels.active.__wrapped__()


def test_without_a_core_the_reference_serves_and_says_so():
    code = (
        "import importlib.abc, sys, warnings\n"
        "class Gone(importlib.abc.MetaPathFinder):\n"
        "    def find_spec(self, name, path, target=None):\n"
        "        if name == 'estep.kernels._core': raise ModuleNotFoundError('gone', name=name)\n"
        "sys.meta_path.insert(0, Gone())\n"
        "from estep import kernels\n"
        "with warnings.catch_warnings(record=True) as seen:\n"
        "    warnings.simplefilter('always'); levels = [kernels.active().level for _ in range(3)]\n"
        "print(levels[0], len(seen), seen[0].category.__name__)\n"
    )
    environment = {k: v for k, v in __import__("os").environ.items() if k != "ESTEP_KERNELS"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.split() == ["reference", "1", "RuntimeWarning"]


def test_a_state_that_a_symbol_almost_forbids_is_not_forbidden(level):
    """Symbol probabilities of 1e-310 beside 1 underflow in linear space, and may be what counts later."""
    model = Model(Chain([0.5, 0.5], np.eye(2)), Categorical([[1e-310, 1.0], [1.0, 0.0]]))
    X = np.array([[0], [1], [1], [1]])
    np.testing.assert_allclose(model.score(X), np.log(0.5) + np.log(1e-310), rtol=1e-12)
    np.testing.assert_allclose(model.predict_proba(X), [[1, 0]] * 4, atol=1e-12)


def test_subnormal_transitions_are_no_zeros(level):
    model = Model(Chain([1.0, 0.0], [[1.0, 1e-320], [0.0, 1.0]]), Categorical([[1.0, 0.0], [0.5, 0.5]]))
    np.testing.assert_allclose(model.score([[0], [1]]), np.log(1e-320) + np.log(0.5), rtol=1e-12)


@pytest.mark.parametrize("rate", [1e-3, 0.5, 7.0, 1e3, 1e8, 1e12, 1e15])
def test_poisson_of_any_size(rate, level):
    """Densities at and around the rate keep their digits, however large the counts."""
    import math
    from fractions import Fraction

    x = np.floor(rate + np.array([-2, 0, 1, 3]) * np.sqrt(rate))
    x = np.maximum(x, 0)[:, None]
    model = Model(Independent([1.0]), Poisson([[rate]]))

    def exact(k):  # log p(k) = log p(m) + sum of log steps; at the mode by Stirling's series
        if k < 1000:
            return k * math.log(rate) - rate - math.lgamma(k + 1)
        d = float((Fraction(k) - Fraction(rate)) / Fraction(rate))
        deviance = rate * sum((-d) ** j / (j * (j - 1)) for j in range(2, 40))
        return -deviance - 1 / (12 * k) - 0.5 * math.log(2 * math.pi * k)

    np.testing.assert_allclose(
        model.score_units(x), [exact(k) for k in x[:, 0]], rtol=1e-11, atol=1e-11 + 1e-16 * rate**0.5
    )


def test_a_row_far_from_all_is_shared_not_counted_twice(level):
    model = Model(Independent([0.5, 0.5]), Gaussian("diag", [[-1.0], [1.0]], np.ones((2, 1))))
    X = np.array([[0.0], [1e12]])
    r = model.predict_proba(X)
    np.testing.assert_allclose(r.sum(axis=1), 1, rtol=1e-12)
    np.testing.assert_allclose(model.expect(model.source(X).whole())["latent"].sum(), 2, rtol=1e-12)


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int32])
@pytest.mark.parametrize("D", [1, 3, 64])
@pytest.mark.parametrize("weighted", [False, True])
def test_survey_equals_the_reference(dtype, D, weighted, level):
    rng = np.random.default_rng(D)
    X = (rng.normal(size=(777, D)) * 9 + 1000).astype(dtype)
    weight = rng.integers(0, 3, 777).astype(float) if weighted else None
    if weighted:
        weight[:300] = 0  # a whole part that does not count
    got, expected = np.zeros((6, D)), np.zeros((6, D))
    assert kernels.load(level).survey(X, weight, got) == (True, 777.0 if weight is None else weight.sum())
    kernels.load("reference").survey(X, weight, expected)
    np.testing.assert_array_equal(got[:4], expected[:4])
    np.testing.assert_allclose(got[4:], expected[4:], rtol=1e-12)


@pytest.mark.parametrize("where", [(0, 0), (775, 1), (776, 2)])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_survey_sees_what_is_not_finite(where, value, level):
    X = np.ones((777, 3))
    X[where] = value
    with np.errstate(invalid="ignore"):
        assert not kernels.load(level).survey(X, np.zeros(777), np.zeros((6, 3)))[0]


def test_survey_keeps_digits_far_from_zero_and_beside_an_outlier(level):
    x = np.random.default_rng(0).normal(size=(5000, 1))
    out = np.zeros((6, 1))
    kernels.load(level).survey(x + 1e8, None, out)
    assert out[5, 0] / 5000 == pytest.approx(np.var((x + 1e8) - 1e8), rel=1e-7)
    x[0] = 1e7  # the first row, about which the first part is summed
    kernels.load(level).survey(x, None, np.zeros((6, 1)))
    kernels.load(level).survey(x, (np.arange(5000) > 0).astype(float), out := np.zeros((6, 1)))
    assert out[5, 0] / 4999 == pytest.approx(np.var(x[1:]), rel=1e-10)


@pytest.mark.parametrize("D", [1, 2, 5, 16])
def test_small_factors_are_lapack_s(D, level):
    rng = np.random.default_rng(D)
    A = rng.normal(size=(4, D, D + 2)) * np.logspace(-4, 4, D)[:, None]
    C = A @ A.swapaxes(1, 2)
    (inverse, logdet), (wanted, sizes) = (np.empty_like(C), np.empty(4)), (np.empty_like(C), np.empty(4))
    assert kernels.load(level).factorise(C, inverse, logdet) and reference.factorise(C, wanted, sizes)
    np.testing.assert_allclose(inverse, wanted, rtol=1e-9, atol=1e-12 * np.abs(wanted).max())
    np.testing.assert_allclose(logdet, sizes, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(inverse @ C @ inverse.swapaxes(1, 2), np.broadcast_to(np.eye(D), C.shape), atol=1e-9)
    for bad in (-1.0, 0.0, np.nan):
        C[1, 0, 0] = bad
        assert not kernels.load(level).factorise(C, inverse, logdet)
    if D > 1:
        C[1] = 1.0  # of rank 1
        assert not kernels.load(level).factorise(C, inverse, logdet)


@pytest.mark.parametrize("kind", ["full", "diag"])
@pytest.mark.parametrize("D", [1, 3, 16])
def test_gaussians_at_once_are_those_of_many_steps(kind, D, monkeypatch):
    rng = np.random.default_rng(D)
    X, r = rng.normal(size=(300, D)) @ rng.normal(size=(D, D)) + 3, rng.dirichlet(np.ones(4), 300)
    shape = (4, D, D) if kind == "full" else (4, D)
    start = np.tile(np.eye(D), (4, 1, 1)) if kind == "full" else np.ones(shape)
    source = as_source(X)
    family = Gaussian(kind, np.zeros((4, D)), start).adapt(source.summary)
    s = Statistics.zeros(family.layout)
    family.evaluate(source.whole()).accumulate(r, s)
    counts = []

    def fitted():
        new, notes = family.maximize(s)
        counts.append(len(notes))
        spec = new.kernel(source.summary)
        return new.means, new.covariances, *new.factors, spec.weights

    for lost in (None, 1):  # a component without rows is left to NumPy
        if lost is not None:
            s["moments"][lost] = 0
        use(monkeypatch, COMPILED[-1] if COMPILED else "reference")
        at_once = fitted()
        use(monkeypatch, "reference")
        for got, want in zip(at_once, fitted(), strict=True):
            np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-11 * np.abs(want).max())
    assert counts == [0, 0, 0, 0]


@pytest.mark.parametrize("kind", ["full", "diag"])
def test_what_is_at_its_floor_is_left_to_numpy(kind, level):
    run, D = kernels.load(level).normals, 2
    second = [1.0, 0.0, 1e-14] if kind == "full" else [1.0, 1e-14]
    moments = np.array([[1.0, 0.0, 0.0, *second]]) * 5
    shape = (1, D, D) if kind == "full" else (1, D)
    out = np.empty((1, D)), np.empty(shape), np.empty(shape), np.empty(1)
    for floor, rows in ((np.full(D, 1e-12), 5.0), (np.full(D, 1e-16), 0.0)):
        assert not run(moments, np.array([rows]), 1e-100, np.zeros(D), floor, 1e-12, *out)
    if level != "reference":
        moments[0, -1] = 5e-3
        assert run(moments, np.array([5.0]), 1e-100, np.zeros(D), np.full(D, 1e-12), 1e-12, *out)
        np.testing.assert_allclose(out[1].ravel()[-1], 1e-3)


@needs_core
def test_the_stub_says_what_the_compiled_module_has():
    import ast
    import re
    from pathlib import Path

    from estep.kernels.native import core

    stub = ast.parse((Path(kernels.__file__).parent / "_core.pyi").read_text())
    said = {f.name: [a.arg for a in f.args.args] for f in stub.body if isinstance(f, ast.FunctionDef)}
    classes = {c.name: {f.name for f in c.body} for c in stub.body if isinstance(c, ast.ClassDef)}
    there = {name for name in vars(core) if not name.startswith("_")}
    assert set(said) | set(classes) == there
    methods = {name for name in vars(core.Stream) if not name.startswith("_")} | {"__init__"}
    assert classes["Stream"] == methods
    for name, arguments in said.items():
        text = getattr(core, name).__nb_signature__[0][0]
        found = re.findall(r"(\w+): ", text[text.index("(") : text.rindex("->")])
        assert found == arguments, name
