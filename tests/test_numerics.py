"""The numerics contract: shift, scale, degenerate shapes, empty and impossible things."""

import warnings

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

import estep
from estep import Model, Stop
from estep.emissions import Categorical, Gaussian, Poisson, Student
from estep.latents import Chain, Independent
from models import draw, make_model

KINDS = ["full", "tied", "diag", "spherical"]


def blobs(seed=0):
    rng = np.random.default_rng(seed)
    return np.concatenate([rng.normal(size=(300, 3)) @ rng.normal(size=(3, 3)), rng.normal(size=(200, 3)) + 4])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("a, b", [(1e-9, 0.0), (1e9, 0.0), (1.0, 1e8), (1e-9, 1e8), (1e9, -1e8)])
def test_shift_and_scale(kind, a, b):
    """A fit of a (x + b) is the fit of x, transformed."""
    X = blobs()
    fit = estep.GaussianMixture(3, covariance_type=kind, random_state=0, max_iter=100, tol=1e-6)
    base = clone_fit(fit, X)
    moved = clone_fit(fit, a * X + a * b)
    np.testing.assert_allclose(moved.means_ / a - b, base.means_, atol=1e-6 if b else 1e-10)
    np.testing.assert_allclose(moved.covariances_ / a**2, base.covariances_, rtol=1e-6, atol=1e-6 if b else 1e-10)
    assert moved.n_iter_ == base.n_iter_


def clone_fit(estimator, X):
    from sklearn.base import clone

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return clone(estimator).fit(X)


@pytest.mark.parametrize("kind", KINDS)
def test_clusters_far_apart_keep_their_covariances(kind):
    """1e4 of their own deviations apart: to 1e-6."""
    rng = np.random.default_rng(1)
    parts = [rng.normal(size=(500, 2)), rng.normal(size=(500, 2)) + 1e4]
    fit = estep.GaussianMixture(2, covariance_type=kind, random_state=0).fit(np.concatenate(parts))
    got = estep.parameters.covariance.full(fit.covariances_, kind, 2, 2)[np.argsort(fit.means_[:, 0])]
    own = [np.cov(p.T, bias=True) for p in parts]
    if kind == "full":
        np.testing.assert_allclose(got, own, atol=1e-6)
    variances = [np.diag(c) for c in own]
    want = {"full": variances, "diag": variances, "tied": [np.mean(variances, 0)] * 2}.get(
        kind, [[v.mean()] * 2 for v in variances]
    )
    np.testing.assert_allclose(np.diagonal(got, axis1=1, axis2=2), want, atol=1e-6)


DEGENERATE = {
    "one row": (np.ones((1, 2)), 1),
    "identical rows": (np.ones((50, 2)), 2),
    "constant column": (np.c_[np.full(50, 3.0), np.random.default_rng(0).normal(size=50)], 2),
    "collinear": (np.outer(np.random.default_rng(0).normal(size=80), [1.0, 2.0]), 2),
    "fewer rows than columns": (np.random.default_rng(0).normal(size=(5, 20)), 2),
    "many duplicates": (np.r_[np.zeros((50, 2)), np.random.default_rng(0).normal(size=(50, 2))], 3),
    "huge": (blobs() * 1e130, 2),
    "tiny": (blobs() * 1e-130, 2),
    "an outlier": (np.r_[blobs(), [[1e8] * 3]], 3),
    "as many components as rows": (np.arange(5.0)[:, None], 5),
}


@pytest.mark.parametrize("name", DEGENERATE)
@pytest.mark.parametrize("kind", KINDS)
def test_no_finite_input_gives_nan(name, kind):
    X, K = DEGENERATE[name]
    for make in (estep.GaussianMixture, estep.GaussianHMM):
        fit = clone_fit(make(K, covariance_type=kind, random_state=0), X)
        for value in (fit.means_, fit.covariances_, fit.predict_proba(X), fit.lower_bounds_):
            assert np.isfinite(value).all()
        assert fit.stop_reason_ in ("converged", "max_iter"), fit.stop_reason_


def test_a_component_at_its_floor_is_told():
    X = DEGENERATE["many duplicates"][0]
    with pytest.warns(Warning, match="component .*: covariance at its floor"):
        estep.GaussianMixture(3, random_state=0).fit(X)


def test_values_that_squares_cannot_hold_are_refused():
    with pytest.raises(ValueError, match=r"column 1.*spans more than 1e\+140"):
        estep.GaussianMixture(1).fit(np.array([[1.0, 1e200], [2.0, -1e200]]))
    with pytest.raises(ValueError, match="spans less than"):
        estep.GaussianMixture(1).fit(np.array([[1e-200], [2e-200]]))


@pytest.mark.parametrize("latent", ["independent", "chain"])
def test_an_empty_component_keeps_its_parameters(latent, level):
    means = np.array([[0.0], [1e7]])
    hidden = Independent([0.5, 0.5]) if latent == "independent" else Chain([0.5, 0.5], [[0.9, 0.1], [0.3, 0.7]])
    model = Model(hidden, Gaussian("diag", means, np.ones((2, 1))))
    X = np.random.default_rng(0).normal(size=(40, 1))
    fit = estep.fit(model, X, stop=Stop(max_iter=5))
    assert np.isfinite(fit.bound)
    assert fit.model.emission.means[1, 0] == 1e7
    assert fit.model.emission.covariances[1, 0] == 1
    if latent == "chain":
        np.testing.assert_allclose(fit.model.latent.transmat[1], [0.3, 0.7])


@pytest.mark.parametrize("family", ["gaussian-full", "poisson", "categorical"])
def test_structural_zeros_stay(family, level):
    trans = np.array([[0.5, 0.5, 0.0], [0.0, 0.5, 0.5], [0.0, 0.0, 1.0]])
    base = make_model(family, "chain", K=3, D=2)
    model = Model(Chain([1.0, 0.0, 0.0], trans), base.emission)
    fit = estep.fit(model, draw(base, 300), stop=Stop(max_iter=10))
    chain = fit.model.latent
    assert (chain.transmat[trans == 0] == 0).all()
    assert (chain.startprob[1:] == 0).all()
    np.testing.assert_allclose(chain.transmat.sum(axis=1), 1, rtol=1e-12)


def test_impossible_sequences(level):
    model = Model(Chain([1.0, 0.0], [[0.5, 0.5], [0.0, 1.0]]), Categorical([[1.0, 0.0], [0.0, 1.0]]))
    good, bad = [[0], [0], [1]], [[0], [1], [1], [0], [1]]
    scores = model.score_units([np.array(good), np.array(bad)])
    assert np.isfinite(scores[0])
    assert scores[1] == -np.inf
    for action in (estep.fit, Model.decode, Model.predict_proba):
        arguments = (model, [np.array(good), np.array(bad)])
        with pytest.raises(ValueError, match=r"sequence 1 is impossible .* step 3 on \(row 6\)"):
            action(*arguments)


@pytest.mark.parametrize("K", [2, 9, 40])
def test_states_out_of_reach_may_be_as_likely_as_they_like(K, level):
    """All rows speak for a state that the chain, or a label, does not allow."""
    means = 20.0 * np.arange(K)[:, None]
    X = np.full((60, 1), 20.0)
    for start, labels in ((np.eye(K)[0], None), (np.full(K, 1 / K), [0] + [-1] * 59)):
        model = Model(Chain(start, np.eye(K)), Gaussian("diag", means, np.ones((K, 1))))
        source = model.source(X, labels=labels)
        np.testing.assert_allclose(model.predict_proba(source), np.eye(K)[np.zeros(60, int)], atol=1e-12)
        fit = estep.fit(model, source, stop=Stop(tol=0, max_iter=1))
        assert np.isfinite(fit.trace.bounds).all() and fit.model.latent.transmat[0, 0] == pytest.approx(1)


def test_weight_zero_is_absence_even_of_the_impossible(level):
    model = Model(Independent([0.5, 0.5]), Categorical([[0.9, 0.1, 0.0], [0.5, 0.5, 0.0]]))
    X = [[0], [1], [0], [2]]
    fit = estep.fit(model, estep.as_source(X, weights=[1, 1, 1, 0], rows="symbols"), stop=Stop(max_iter=3))
    assert fit.bound == pytest.approx(fit.model.score([[0], [1], [0]]))
    with pytest.raises(ValueError, match="row 3 is impossible"):
        estep.fit(model, X)


def test_poisson_with_a_rate_of_zero(level):
    model = Model(Independent([0.5, 0.5]), Poisson([[0.0], [2.0]]))
    np.testing.assert_allclose(model.score_units([[0.0]])[0], np.log(0.5 + 0.5 * np.exp(-2)))
    np.testing.assert_allclose(model.predict_proba([[3.0]]), [[0, 1]])
    dead = Model(Independent([1.0]), Poisson([[0.0]]))
    assert dead.score([[1.0]]) == -np.inf
    fit = estep.fit(model, np.array([[0.0]] * 30 + [[1.0], [2.0]]))
    assert np.isfinite(fit.bound)


def test_float32_never_gives_a_negative_variance():
    X = (np.random.default_rng(0).normal(size=(2000, 3)) * 0.01 + 1000).astype(np.float32)
    for kind in KINDS:
        fit = clone_fit(estep.GaussianMixture(2, covariance_type=kind, random_state=0, max_iter=30, tol=1e-5), X)
        assert (np.linalg.eigvalsh(estep.parameters.covariance.full(fit.covariances_, kind, 2, 3)) > 0).all()
        assert fit.score_samples(X).dtype == np.float32
        assert fit.means_.dtype == np.float32


def test_the_bound_does_not_stop_early():
    """A 25/75 mixture that overlaps: a loose tolerance stops near 41/59 (scikit-learn #10122)."""
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(0, 1, 2500), rng.normal(3, 1, 7500)])[:, None]
    weights = np.sort(estep.GaussianMixture(2, random_state=0).fit(X).weights_)
    np.testing.assert_allclose(weights, [0.25, 0.75], atol=0.02)


@pytest.mark.parametrize(
    "family",
    ["gaussian-full", "gaussian-tied", "poisson", "categorical", "rayleigh", "gamma", "mixture-of-gaussian-diag"],
)
@pytest.mark.parametrize("latent", ["independent", "chain"])
def test_results_do_not_depend_on_threads(family, latent, monkeypatch):
    """Bit for bit, with enough leaves for several threads."""
    for limit, value in (
        ("interface.latent.LEAF_ROWS", 256), ("interface.latent.LEAST_ROWS", 256), ("interface.latent.LEAF_WORK", 1),
        ("latents.chain.CHAIN_ROWS", 256), ("latents.chain.LEAF_WORK", 1),
    ):  # fmt: skip
        monkeypatch.setattr(f"estep.{limit}", value)
    truth = make_model(family, latent, K=3, D=2)
    X = truth.sample(6000, 1)[0]

    def fresh():
        return truth.source(X, np.full(60, 100)) if latent == "chain" else truth.source(X)

    source = fresh()
    assert len(source.leaves(truth.leaf_rows())) > 8
    start = make_model(family, latent, K=3, D=2, seed=5)
    fits = [estep.fit(start, fresh(), stop=Stop(max_iter=5), execute=estep.threads(n)) for n in (1, 2, 3, 4)]
    for other in fits[1:]:
        assert other.trace.bounds == fits[0].trace.bounds
        for part in ("latent", "emission"):
            one, two = getattr(fits[0].model, part), getattr(other.model, part)
            assert all((a == b).all() for a, b in zip(one.values().values(), two.values().values(), strict=True))
    one, two = (fits[0].model.predict_proba(source, execute=estep.threads(n)) for n in (1, 3))
    assert (one == two).all()


@pytest.mark.parametrize(
    "make", [estep.GaussianMixture, lambda K, **a: estep.GMMHMM(K, 2, covariance_type="full", **a)]
)
def test_threads_do_not_change_a_bit_of_a_wide_fit(make):
    """M-steps large enough for BLAS to use threads of its own."""
    X = np.random.default_rng(0).normal(size=(4000, 40)) + 8 * np.random.default_rng(1).integers(0, 3, (4000, 1))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        one, two = (make(4, n_threads=n, random_state=0, max_iter=4, tol=0).fit(X) for n in (1, 2))
    assert one.lower_bounds_ == two.lower_bounds_
    assert (one.covariances_ == two.covariances_).all()


def test_an_ill_conditioned_covariance_does_not_stop_the_fit_early():
    """Two columns that are nearly one: the fit goes on as it does in coordinates that tell them apart."""
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal(0, 1, 1000), rng.normal(3, 1, 3000)])
    z = rng.normal(size=4000)
    labels = (x > 1.5).astype(float)
    means = np.array([[x[labels == k].mean(), 0.0] for k in (0, 1)])
    easy = clone_fit(estep.GaussianMixture(2, means_init=means, weights_init=[0.5, 0.5],
                                           covariances_init=[np.eye(2)] * 2), np.c_[x, z])  # fmt: skip
    T = np.array([[1.0, 0.0], [1.0, 1e-5]])
    hard = clone_fit(estep.GaussianMixture(2, means_init=means @ T.T, weights_init=[0.5, 0.5],
                                           covariances_init=[T @ T.T] * 2), np.c_[x, z] @ T.T)  # fmt: skip
    assert easy.n_iter_ > 50
    assert hard.stop_reason_ == "converged"
    np.testing.assert_allclose(hard.weights_, easy.weights_, atol=1e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_rows_of_weight_zero_do_not_hide_a_constant_column(kind):
    fit = clone_weighted(estep.GaussianMixture(1, covariance_type=kind), [[1.0], [1.0], [1.0], [5.0]], [1, 1, 1, 0])
    assert fit.means_[0, 0] == 1.0
    assert np.isfinite(fit.lower_bound_)


def clone_weighted(estimator, X, weights):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return estimator.fit(np.array(X), sample_weight=weights)


@pytest.mark.parametrize("kind", KINDS)
def test_the_functional_fit_has_floor_and_origin_too(kind):
    X = np.r_[np.random.default_rng(0).normal(size=(50, 2)), [[9.0, 9.0]]]
    tight = {
        "full": np.array([np.eye(2) * 1e-4, np.eye(2)]),
        "tied": np.eye(2),
        "diag": np.array([[1e-4] * 2, [1.0] * 2]),
        "spherical": np.array([1e-4, 1.0]),
    }[kind]
    model = Model(Independent([0.5, 0.5]), Gaussian(kind, [[9.0, 9.0], [0.0, 0.0]], tight))
    fit = estep.fit(model, X)
    assert fit.stop_reason == "converged"
    np.testing.assert_allclose(fit.model.emission.means[0], [9, 9], atol=1e-6)
    far = Model(Independent([0.5, 0.5]), Gaussian(kind, [[0.0, 0.0], [1.0, 1.0]], tight * 1e16))
    moved = estep.fit(far, X + 1e8, stop=Stop(max_iter=20))
    assert np.isfinite(moved.bound)


def test_tied_covariances_stay_symmetric_far_apart():
    for seed in range(5):
        rng = np.random.default_rng(seed)
        X = np.r_[rng.normal(size=(400, 3)), rng.normal(size=(400, 3)) + 1e6]
        fit = clone_fit(estep.GaussianMixture(2, covariance_type="tied", random_state=0), X)
        np.testing.assert_allclose(np.diag(fit.covariances_), 1, atol=0.2)


def test_a_start_below_the_floor_is_raised_to_it():
    X = np.random.default_rng(0).normal(size=(200, 1))
    X[:5] = 1.0
    start = {"means_init": [[1.0], [0.0]], "covariances_init": [[[1e-16]], [[1.0]]], "weights_init": [0.1, 0.9]}
    fit = clone_fit(estep.GaussianMixture(2, **start), X)
    assert fit.stop_reason_ == "converged" and fit.n_iter_ > 0


def test_many_columns_and_few_rows_do_not_make_the_bound_fall():
    X = np.random.default_rng(0).normal(size=(2, 150))
    for seed in range(5):
        fit = clone_fit(estep.GaussianMixture(2, init_params="random", random_state=seed), X)
        assert fit.stop_reason_ == "converged"


@pytest.mark.parametrize("count", [1e8, 1e12, 1e15])
def test_large_counts_do_not_make_the_bound_fall(count):
    rng = np.random.default_rng(0)
    X = np.floor(
        np.r_[rng.normal(count, np.sqrt(count), 300), rng.normal(count + 4 * np.sqrt(count), np.sqrt(count), 300)]
    )
    fit = clone_fit(estep.MixtureModel("poisson", 2, random_state=0), X[:, None])
    assert fit.stop_reason_ == "converged"
    assert fit.weights_.min() > 0.4


def test_tiny_weights_are_weights():
    X = blobs()
    plain = clone_weighted(estep.GaussianMixture(2, random_state=0), X, np.ones(500))
    tiny = clone_weighted(estep.GaussianMixture(2, random_state=0), X, np.full(500, 1e-200))
    np.testing.assert_allclose(tiny.means_, plain.means_, rtol=1e-9)


def test_constant_columns_of_any_size():
    for value in (1e150, 1e-200, -1e150, 0.0):
        X = np.c_[np.full(20, value), np.random.default_rng(0).normal(size=20)]
        fit = clone_fit(estep.GaussianMixture(1, covariance_type="diag"), X)
        assert np.isfinite(fit.lower_bound_)


def test_outliers_on_a_line_do_not_end_the_fit():
    """A component with two rows far outside: its covariance is singular beside its own size, not the data's."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(20000, 2))
    X[:2] = [[1000, 300], [-1000, -300]]
    start = {
        "weights_init": [0.5, 0.5],
        "means_init": [[0, 0], [0.1, 0]],
        "covariances_init": [np.eye(2), 1e6 * np.eye(2)],
    }
    with pytest.warns(ConvergenceWarning, match="covariance at its floor"):
        fit = estep.GaussianMixture(2, **start).fit(X)
    assert np.isfinite(fit.lower_bounds_).all() and fit.stop_reason_ == "converged"
    X = rng.normal(size=(30000, 20))
    X[:10] = rng.normal(size=(10, 20)) * 300
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        wide = estep.GaussianMixture(2, random_state=0, max_iter=10).fit(X)
    assert np.isfinite(wide.lower_bounds_).all()


def test_a_bound_near_zero_does_not_fall_by_rounding():
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(size=(500, 2)), rng.normal(size=(500, 2)) + 4])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        fit = estep.GaussianMixture(2, random_state=0, tol=0, max_iter=300).fit(X)
        scaled = estep.GaussianMixture(2, random_state=0, tol=0, max_iter=300).fit(X * np.exp(fit.lower_bound_ / 2))
    assert abs(scaled.lower_bound_) < 1e-9
    assert (fit.stop_reason_, scaled.stop_reason_) == ("max_iter", "max_iter")


SINGLE = {
    "full": lambda: estep.GaussianMixture(2, random_state=0),
    "diag": lambda: estep.GaussianMixture(2, covariance_type="diag", random_state=0),
    "tied": lambda: estep.GaussianMixture(2, covariance_type="tied", random_state=0),
    "student": lambda: estep.StudentMixture(2, random_state=0, max_iter=20, tol=0),
    "chain": lambda: estep.GaussianHMM(2, random_state=0),
    "gmm-hmm": lambda: estep.GMMHMM(2, 2, random_state=0, max_iter=20, tol=0),
}


@pytest.mark.parametrize("kind", SINGLE)
@pytest.mark.parametrize("gap, scale", [(6, 1e19), (6, 1e-19), (6, 1.0), (150, 1.0), (700, 1e10), (20, 1e-13)])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_single_precision_has_the_likelihood_of_double(kind, gap, scale):
    """Row by row and in the bound, to 1e-5 of a row's or of 1; what float32 cannot hold stays in float64."""
    r = np.random.default_rng(0)
    X = (np.r_[r.normal(0, 1, (300, 2)), r.normal(gap, 1, (300, 2))] * scale).astype(np.float32)
    fit = SINGLE[kind]().fit(X)
    exact = fit.model_.score_units(X.astype(np.float64))
    rows = 1 if len(exact) == len(X) else len(X)
    near = 1e-5 * np.maximum(rows, np.abs(exact))
    assert (np.abs(fit.score_samples(X) - exact) <= near).all()
    assert abs(fit.fit_.bound - exact.sum()) <= 1e-5 * max(len(X), abs(exact.sum()))
    for name, value in fit.model_.emission.values().items():
        now = np.asarray(getattr(fit, fit._attribute(name)))
        assert np.isfinite(now).all()
        np.testing.assert_allclose(now, value, rtol=1e-6)
    if scale == 1e-19:
        assert fit.covariances_.dtype == np.float64 and fit.means_.dtype == np.float32


@pytest.mark.parametrize("dofs", [1.0, 1e3, 1e4, 1e5, 1e6])
def test_many_degrees_of_freedom_in_single_precision(dofs):
    """log(1 + distance / dofs) times dofs keeps its digits."""
    X = blobs().astype(np.float32)
    gaussian = Gaussian("full", np.zeros((1, X.shape[1])), 4 * np.eye(X.shape[1])[None])
    model = Model(Independent([1.0]), Student(gaussian, [dofs]))
    fit = estep.fit(model, X, stop=estep.Stop(max_iter=0))
    exact = model.score(X.astype(np.float64))
    assert abs(fit.log_likelihood - exact) <= 2e-6 * abs(exact)


def test_weights_in_single_precision_may_be_tiny():
    X = blobs().astype(np.float32)
    plain = clone_weighted(estep.GaussianMixture(2, random_state=0), X, np.ones(len(X)))
    for weight in (1e-60, 1e-20, 1e20, 1e60):
        fit = clone_weighted(estep.GaussianMixture(2, random_state=0), X, np.full(len(X), weight))
        np.testing.assert_allclose(fit.means_, plain.means_, rtol=1e-4)


@pytest.mark.parametrize("X, weights, words", [
    (np.full((20, 1), 1e160), None, r"column 0 holds 1e\+160, beyond 1e\+150"),
    (np.arange(20.0)[:, None], np.full(20, 1e-310), "the largest weight, of row 0, is 1e-310: rescale them"),
    (np.arange(20.0)[:, None], np.full(20, 1e300), r"the largest weight, of row 0, is 1e\+300: rescale them"),
    (1e120 * np.arange(20.0)[:, None], np.full(20, 1e100), "sums of squares leave the range"),
])  # fmt: skip
def test_what_leaves_the_range_is_named(X, weights, words):
    for fit in (estep.GaussianMixture(1).fit, estep.StudentMixture(1).fit):
        with pytest.raises(ValueError, match=words):
            fit(X, sample_weight=weights)


def test_drawn_rows_that_no_memory_holds_are_refused():
    fit = estep.GaussianMixture(1).fit(blobs())
    for n in (10**30, 10**13):
        with pytest.raises(ValueError, match=f"n is {n}: so many rows take"):
            fit.sample(n)
    with pytest.raises(ValueError, match="symbols up to 2000000000"):
        estep.CategoricalHMM(2).fit(np.array([[0], [2_000_000_000]]))
