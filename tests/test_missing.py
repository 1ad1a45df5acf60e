"""Missing cells: exact marginal densities and conditional expectations, for every family that takes them."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

import estep
import independent
from brute import enumerate_chain
from estep import Model, Stop, with_prior
from estep.emissions import Categorical, Gaussian, LinearRegression, Multinomial, NegativeBinomial, Poisson, Student
from estep.execution.threads import Threads
from estep.latents import Independent
from estep.parameters import covariance
from estep.statistics import Statistics
from laws import (
    law_integer_weight_is_repetition,
    law_order_of_units_does_not_matter,
    law_posterior_rows_sum_to_the_weight,
    law_statistics_add_over_batches,
)
from models import FAMILIES, asked, make_model, read, rows_of

TAKE_GAPS = [name for name in FAMILIES if "rayleigh" not in name]
families = pytest.mark.parametrize("family", TAKE_GAPS)
latents = pytest.mark.parametrize("latent", ["independent", "chain"])
KINDS = ["full", "tied", "diag", "spherical"]


def punch(X, share=0.25, seed=0, whole=False):
    """A copy without some of its cells; of all cells of a row at once where ``whole``."""
    rng, X = np.random.default_rng(seed), X.astype(np.float64)
    lost = rng.random((len(X), 1 if whole else X.shape[1])) < share
    X[np.broadcast_to(lost, X.shape)] = np.nan
    return X


def gappy(model, n, seed=0, share=0.25):
    """A model with room for gaps, and rows of it with some, a chain's in a few sequences."""
    whole = isinstance(getattr(model.emission, "inner", model.emission), Multinomial)
    rows = rows_of(model, n, seed)
    X = punch(rows, share, seed, whole)
    if "egression" in repr(model.emission):
        X[:, :2] = rows[:, :2]  # covariates are not missing
    source = read(model, X, None if isinstance(model.latent, Independent) else [n // 3, 1, n - n // 3 - 1])
    return replace(model, emission=model.emission.adapt(source.summary)), source, X


@families
@latents
def test_laws(family, latent, level):
    model, source, _ = gappy(make_model(family, latent, K=3, D=2), 200)
    law_statistics_add_over_batches(model, source)
    law_order_of_units_does_not_matter(model, source)
    law_integer_weight_is_repetition(model, replace(source, weights=None), np.random.default_rng(0))
    law_posterior_rows_sum_to_the_weight(model, source)


@families
@latents
def test_em_never_falls(family, latent):
    """The bound is that of the model, on any number of threads, and belongs to the rows that are there."""
    _, source, X = gappy(make_model(family, latent, K=2, D=3, seed=1), 300)
    start = make_model(family, latent, K=2, D=3, seed=2)
    fit = estep.fit(start, source, stop=Stop(tol=1e-9, max_iter=100))
    bounds = np.array(fit.trace.bounds)
    assert (np.diff(bounds) >= -1e-10 * np.abs(bounds[1:])).all() and bounds[-1] > bounds[0]
    np.testing.assert_allclose(fit.bound, fit.model.score(source), rtol=1e-11)
    lengths = None if latent == "independent" else np.diff(source.ends, prepend=0)
    rows, given = asked(start, X)
    np.testing.assert_allclose(fit.bound, fit.model.score(rows, lengths, **given), rtol=1e-11)
    assert estep.fit(start, source, stop=Stop(tol=1e-9, max_iter=100), execute=Threads(2)).bound == fit.bound


def marginal(model, x, k):
    """log p(x | k) of the cells of one row that are there, by SciPy."""
    there, emission = ~np.isnan(x), model.emission
    if not there.any():
        return 0.0
    gaussian = emission.gaussian if isinstance(emission, Student) else emission
    K, D = gaussian.means.shape
    C = covariance.full(gaussian.covariances, gaussian.covariance_type, K, D)[k][np.ix_(there, there)]
    if isinstance(emission, Student):
        return stats.multivariate_t(gaussian.means[k, there], C, df=emission.dofs[k]).logpdf(x[there])
    return stats.multivariate_normal(gaussian.means[k, there], C).logpdf(x[there])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["gaussian", "student"])
def test_densities_are_marginals(name, kind, level):
    model, _, X = gappy(make_model(f"{name}-{kind}", "independent", K=3, D=4), 80, share=0.4)
    logs = np.array([[marginal(model, x, k) for k in range(3)] for x in X]) + np.log(model.latent.weights)
    np.testing.assert_allclose(model.score_units(X), np.logaddexp.reduce(logs, axis=1), rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(
        model.predict_proba(X), np.exp(logs - np.logaddexp.reduce(logs, axis=1, keepdims=True)), atol=1e-10
    )
    states, logprob = model.decode(X)
    assert (states == logs.argmax(axis=1)).all()
    np.testing.assert_allclose(logprob, logs.max(axis=1), rtol=1e-10, atol=1e-10)


DISCRETE = [name for name in TAKE_GAPS if any(w in name for w in ("poisson", "bernoulli", "categorical", "negative"))]


@pytest.mark.parametrize("family", DISCRETE)
def test_a_missing_cell_is_summed_over(family):
    """The density of a row without one cell is the sum over its values."""
    model = make_model(family, "independent", K=2, D=2, seed=3)
    x = model.sample(1, 0)[0].astype(float)
    values = np.arange(2 if "bernoulli" in family else 4 if "categorical" in family else 400)
    rows = np.tile(x, (len(values), 1))
    rows[:, -1] = values
    x[0, -1] = np.nan
    np.testing.assert_allclose(model.score_units(x), np.logaddexp.reduce(model.score_units(rows)), atol=1e-8)


@pytest.mark.parametrize(
    "family", ["gaussian-full", "gaussian-tied", "gaussian-spherical", "factor-analysis-diag", "student-full",
               "poisson", "gamma", "negative-binomial", "categorical", "mixture-of-gaussian-full", "regression-full",
               "regression-diag"],
)  # fmt: skip
def test_the_end_is_a_maximum(family):
    """No nearby parameters have a higher likelihood of the cells that are there."""
    truth = make_model(family, "independent", K=2, D=2, seed=5)
    _, source, _ = gappy(truth, 150)
    end = estep.fit(truth, source, estep.algorithms.Squarem(), Stop(tol=1e-14, max_iter=1000)).model
    top, rng = end.score(source), np.random.default_rng(0)
    for name, value in end.emission.values().items():
        for _ in range(10):
            step = 2e-4 * rng.normal(size=value.shape) * np.abs(value)
            if name == "covariances" and value.ndim > 1:
                step = (step + step.swapaxes(-1, -2)) / 2
            moved = value + step
            if name in ("emissionprob", "mix_weights"):
                moved = moved / moved.sum(axis=1, keepdims=True)
            if name == "sizes":
                moved = np.clip(moved, 1e-6, 1e8)
            near = replace(end, emission=end.emission.with_values(**{name: moved}))
            assert near.score(source) <= top + 2e-8 * abs(top), name


def test_means_are_nearer_than_after_imputation():
    """A fifth of the cells missing at random, full covariances: at most half the squared error of the means."""
    errors = []
    for seed in range(5):
        rng = np.random.default_rng(seed)
        means = rng.normal(0, 3, (3, 4))
        A = rng.normal(size=(3, 4, 4))
        truth = Model(Independent([0.5, 0.3, 0.2]), Gaussian("full", means, A @ A.swapaxes(1, 2) + 0.3 * np.eye(4)))
        X = punch(truth.sample(3000, seed)[0], 0.2, seed)
        filled = np.where(np.isnan(X), np.nanmean(X, axis=0), X)
        errors.append([((estep.fit(truth, data).model.emission.means - means) ** 2).mean() for data in (X, filled)])
    ours, imputed = np.mean(errors, axis=0)
    assert ours <= imputed / 2


def test_rows_without_values_change_nothing():
    truth = make_model("gaussian-full", "independent", K=2, D=2)
    X = punch(truth.sample(200, 0)[0])
    empty = np.isnan(X).all(axis=1)
    assert empty.any()
    fits = [estep.fit(truth, rows, stop=Stop(max_iter=20, tol=0)) for rows in (X, X[~empty])]
    np.testing.assert_allclose(fits[0].model.emission.means, fits[1].model.emission.means, rtol=1e-12)
    np.testing.assert_allclose(fits[0].model.latent.weights, fits[1].model.latent.weights, rtol=1e-12)
    assert fits[0].weight == (~empty).sum()
    np.testing.assert_allclose(truth.predict_proba(X)[empty], truth.latent.weights[None].repeat(empty.sum(), 0))


@pytest.mark.parametrize("family", ["gaussian-full", "poisson", "categorical", "student-diag", "gamma"])
def test_a_chain_bridges_what_is_missing(family):
    model = make_model(family, "chain", K=3, D=2)
    X = model.sample(6, 1)[0].astype(float)
    whole = read(model, X)
    logb = model.emission.evaluate(whole.whole()).log_densities + (0 if whole.base is None else whole.base[:, None])
    X[[1, 2, 5]] = np.nan
    logb[[1, 2, 5]] = 0.0
    loglik, gamma, _, best = enumerate_chain(model.latent.startprob, model.latent.transmat, logb)
    np.testing.assert_allclose(model.score(X), loglik, rtol=1e-10)
    np.testing.assert_allclose(model.predict_proba(X), gamma, atol=1e-10)
    np.testing.assert_allclose(model.decode(X)[1], best, rtol=1e-10)


@families
def test_rows_come_back_in_their_order(family):
    model, source, X = gappy(make_model(family, "independent", K=2, D=3), 60)
    there = ~np.isnan(X).all(axis=1)
    rows, given = asked(model, X)
    each = [asked(model, X[i : i + 1]) for i in np.flatnonzero(there)]
    alone = np.concatenate([model.score_units(row, **more) for row, more in each])
    np.testing.assert_allclose(model.score_units(rows, **given)[there], alone, rtol=1e-10, atol=1e-12)
    r = np.concatenate([model.predict_proba(row, **more) for row, more in each])
    np.testing.assert_allclose(model.predict_proba(rows, **given)[there], r, atol=1e-10)
    states, _ = model.decode(rows, algorithm="posterior", **given)
    assert (states[there] == r.argmax(axis=1)).all()
    np.testing.assert_array_equal(source.unsorted(source.X), read(model, X).X[np.argsort(read(model, X).order)])


@pytest.mark.parametrize("family", ["gaussian-full", "gaussian-tied", "poisson", "mixture-of-gaussian-diag"])
@latents
@pytest.mark.parametrize("name", estep.algorithms.ALGORITHMS)
def test_every_algorithm(family, latent, name):
    _, source, _ = gappy(make_model(family, latent, K=2, D=2, seed=1), 300)
    start = make_model(family, latent, K=2, D=2, seed=2)
    fit = estep.fit(start, source, estep.algorithms.ALGORITHMS[name](), Stop(tol=1e-8, max_iter=300))
    if name != "hard":
        np.testing.assert_allclose(fit.bound, fit.model.score(source), rtol=1e-11)
    assert np.isfinite(fit.bound) and fit.bound > start.score(source)


@pytest.mark.parametrize("family", ["gaussian-full", "gaussian-tied", "gaussian-diag", "gaussian-spherical", "poisson",
                                    "bernoulli", "exponential", "categorical", "multinomial", "log-normal",
                                    "mixture-of-gaussian-full", "mixture-of-poisson", "regression-full",
                                    "regression-diag", "regression-spherical"])  # fmt: skip
@latents
@pytest.mark.parametrize("estimate", ["map", "vb"])
def test_with_priors(family, latent, estimate):
    _, source, _ = gappy(make_model(family, latent, K=2, D=2, seed=1), 200)
    start = with_prior(make_model(family, latent, K=2, D=2, seed=2), source, estimate)
    fit = estep.fit(start, source, stop=Stop(tol=1e-9, max_iter=100))
    bounds = np.array(fit.trace.bounds)
    assert (np.diff(bounds) >= -1e-10 * np.abs(bounds[1:])).all() and bounds[-1] > bounds[0]
    scores = fit.model.score_units(source)
    if latent == "independent":
        scores = scores[~np.isnan(source.X).all(axis=1)] if source.weights is None else scores[source.weights > 0]
    np.testing.assert_allclose(fit.bound, scores.sum() + fit.model.penalty, rtol=1e-11)


@pytest.mark.parametrize("kind", KINDS)
def test_single_precision_and_shift(kind):
    model = make_model(f"gaussian-{kind}", "independent", K=2, D=3)
    X = punch(model.sample(400, 0)[0]).astype(np.float32)
    mixtures = [
        estep.GaussianMixture(2, covariance_type=kind, random_state=0, tol=1e-7).fit(x)
        for x in (X, X.astype(np.float64), X.astype(np.float64) * 8 + 1e6)
    ]
    assert mixtures[0].means_.dtype == np.float32
    assert mixtures[0].score(X) == pytest.approx(mixtures[1].score(X), rel=1e-5)
    np.testing.assert_allclose(mixtures[2].means_, mixtures[1].means_ * 8 + 1e6, rtol=1e-9)


def test_starts_weights_and_frames():
    """Restarts, k-means starts, weights and data frames with empty cells."""
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(estep.datasets.load_faithful().X, columns=["eruption", "waiting"])
    frame.loc[::7, "waiting"] = np.nan
    mixture = estep.GaussianMixture(2, n_init=3, random_state=0).fit(frame)
    assert sorted(mixture.means_[:, 0].round(1)) == [2.0, 4.3]
    weights = np.tile([1.0, 2.0], 136)
    twice = pandas.concat([frame, frame[1::2]])
    one = estep.GaussianMixture(2, random_state=0, means_init=mixture.means_).fit(frame, sample_weight=weights)
    two = estep.GaussianMixture(2, random_state=0, means_init=mixture.means_).fit(twice)
    np.testing.assert_allclose(one.means_, two.means_, rtol=1e-5)
    best = estep.select(frame.to_numpy(), range(1, 4)).best
    assert best.n_components == 2


@pytest.mark.parametrize(
    "name", ["gaussian", "poisson", "gamma", "bernoulli", "negative_binomial", "von_mises", "student"]
)
def test_starts_of_families_with_gaps(name):
    model = make_model({"gaussian": "gaussian-full", "student": "student-full"}.get(name, name.replace("_", "-")),
                       "independent", K=2, D=2)  # fmt: skip
    X = punch(model.sample(300, 0)[0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for kind in (estep.MixtureModel, estep.HMM):
            fitted = kind(name, 2, random_state=0, n_init=2, max_iter=50).fit(X)
            assert np.isfinite(fitted.score(X))


def test_symbols_and_counts_may_be_missing():
    X = np.array([[0.0], [1.0], [np.nan], [1.0], [2.0], [np.nan]] * 20)
    hmm = estep.CategoricalHMM(2, random_state=0, max_iter=20, tol=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        hmm.fit(X)
    assert hmm.emissionprob_.shape == (2, 3) and np.isfinite(hmm.score(X))
    assert hmm.score(X[:3]) == pytest.approx(hmm.score(X[:2]))  # what follows and is missing says nothing
    one = Model(Independent([1.0]), NegativeBinomial([[2.0]], [[1.5]]))
    counts = np.array([[0.0], [3.0], [np.nan], [7.0]])
    fit = estep.fit(one, counts)
    assert fit.model.emission.means[0, 0] == pytest.approx(10 / 3)


def test_partial_fit_takes_gaps():
    truth = make_model("gaussian-full", "independent", K=2, D=2)
    X = punch(truth.sample(900, 0)[0])
    mixture = estep.GaussianMixture(2, random_state=0)
    for i in range(3):
        mixture.partial_fit(X[i::3])
    assert np.isfinite(mixture.score(X))


def test_refusals():
    X = np.random.default_rng(0).random((10, 2)) + 0.1
    X[4, 1] = np.nan
    rayleigh = FAMILIES["rayleigh"](1, 2, np.random.default_rng(0))
    with pytest.raises(ValueError, match="row 4, column 1 is missing: rayleigh emissions want every cell"):
        estep.MixtureModel(rayleigh, 1).fit(X)
    with pytest.raises(ValueError, match="row 4, column 1 is nan; multinomial emissions want .* all of a row or none"):
        estep.MixtureModel("multinomial", 1).fit(np.where(np.isnan(X), np.nan, 1.0))
    with pytest.raises(ValueError, match="row 2, column 0 is inf"):
        estep.GaussianMixture(1).fit(np.where(np.arange(20).reshape(10, 2) == 4, np.inf, X))
    with pytest.raises(ValueError, match="column 1 has no values"):
        estep.GaussianMixture(1).fit(np.column_stack([X[:, 0], np.full(10, np.nan)]))
    with pytest.raises(ValueError, match="is -1"):
        estep.CategoricalHMM(1).fit(np.array([[0], [-1]], dtype=np.int32))
    assert Categorical([[0.5, 0.5]]).allows_missing and Poisson([[1.0]]).allows_missing


def test_the_bound_is_the_score_with_rows_without_values():
    X = np.random.default_rng(0).normal(size=(100, 2))
    X[:30] = np.nan
    mixture = estep.GaussianMixture(1).fit(X)
    assert mixture.lower_bound_ == pytest.approx(mixture.score(X), rel=1e-12)
    assert mixture.bic(X) == pytest.approx(estep.select(X, [1]).best.bic, rel=1e-12)
    whole = estep.GaussianMixture(2, estimate="vb", random_state=0).fit(X)
    assert whole.fit_.bound == pytest.approx(whole.model_.score(X) + whole.model_.penalty, rel=1e-12)


@pytest.mark.parametrize("name", ["poisson", "log_normal", "gamma", "gaussian", "student", "exponential"])
def test_values_without_weight_are_none(name):
    X = np.abs(np.random.default_rng(0).normal(size=(80, 2))) + 1
    X = np.round(X) if name == "poisson" else X
    X[:40, 1] = np.nan
    weights = np.r_[np.ones(40), np.zeros(40)]
    with pytest.raises(ValueError, match="column 1 has no values"):
        estep.MixtureModel(name, 1).fit(X, sample_weight=weights)


def test_gaps_that_come_and_go_in_a_stream():
    X = np.random.default_rng(0).poisson(3.0, (200, 2)).astype(float)
    gaps = punch(X)
    for first, then in ((X, gaps), (gaps, X)):
        for family in ("poisson", "exponential", NegativeBinomial(n_counts=40)):
            stream = estep.MixtureModel(family, 2, random_state=0).partial_fit(first).partial_fit(then)
            assert np.isfinite(stream.score(gaps))
    one = estep.GaussianMixture(2, random_state=0).partial_fit(X).partial_fit([[3.0, np.nan]])
    assert np.isfinite(one.means_).all()
    symbols = np.where(np.arange(60)[:, None] % 7 == 0, np.nan, np.arange(60)[:, None] % 3)
    hmm = estep.CategoricalHMM(2, random_state=0, tol=1e-2).partial_fit(symbols[1:7]).partial_fit(symbols)
    assert np.isfinite(hmm.score(symbols))


def test_an_empty_sequence_after_one_with_gaps():
    X = punch(np.random.default_rng(0).normal(size=(80, 2)))
    for lengths in ([80, 0], [0, 80], [40, 0, 40]):
        assert np.isfinite(estep.GaussianHMM(2, random_state=0, tol=1e-3).fit(X, lengths).score(X, lengths))


def test_bayesian_mixtures_take_gaps():
    X = punch(estep.datasets.load_faithful().X)
    mixture = estep.BayesianGaussianMixture(n_components=2, random_state=0).fit(X)
    assert sorted(mixture.means_[:, 0].round()) == [2.0, 4.0]


def ill_conditioned(D, condition, seed):
    r = np.random.default_rng(seed)
    Q = np.linalg.qr(r.normal(size=(D, D)))[0]
    C = (Q * np.geomspace(1, 1 / condition, D)) @ Q.T
    return (C + C.T) / 2 * np.outer(s := 10.0 ** r.uniform(-2, 2, D), s)


def conditional(x, mean, C):
    """Mean and covariance of a whole row given the cells that are there, in long double (Bishop 2006, eq. 2.81)."""
    there, out, left = ~np.isnan(x), x.astype(independent.LONG), np.zeros(C.shape, independent.LONG)
    C, mean = C.astype(independent.LONG), mean.astype(independent.LONG)
    L = independent.cholesky(C[np.ix_(there, there)])
    half = np.concatenate([(x - mean)[there][:, None], C[np.ix_(there, ~there)]], axis=1)
    for i in range(len(L)):
        half[i] = (half[i] - L[i, :i] @ half[:i]) / L[i, i]
    out[~there] = mean[~there] + half[:, 1:].T @ half[:, 0]
    left[np.ix_(~there, ~there)] = C[np.ix_(~there, ~there)] - half[:, 1:].T @ half[:, 1:]
    return out, left


@pytest.mark.parametrize("D, condition", [(3, 1e5), (8, 1e9), (8, 1e11), (20, 1e11)])
@pytest.mark.parametrize("kind", ["full", "tied"])
def test_missing_cells_at_high_condition(D, condition, kind, level):
    """Densities, and what is filled in, are as exact as the parameters are."""
    r = np.random.default_rng(D)
    C = ill_conditioned(D, condition, D)
    means = r.normal(size=(2, D)) * np.sqrt(C.diagonal())
    X = r.multivariate_normal(means[0], C, 12, method="eigh")
    X[r.random(X.shape) < 0.6] = np.nan
    X[np.isnan(X).all(axis=1), 0] = means[0, 0]
    emission = Gaussian(kind, means, C if kind == "tied" else np.stack([C, C]))
    model = Model(Independent([0.5, 0.5]), emission)
    joint = independent.log_densities(emission, X) + np.log(0.5)
    want = independent.logsumexp(joint, axis=1)
    near = 1e-13 * condition * np.maximum(1, np.abs(want))
    assert (np.abs(model.score_units(X) - want) <= near).all()
    share = np.exp(joint - want[:, None])
    filled = [[conditional(x, m, C) for m in means] for x in X]
    mean = np.einsum("nk,nkd->kd", share, np.array([[f[0] for f in row] for row in filled]))
    source = model.source(X)
    s = Statistics(emission.layout, model.expect(source.whole())["emission"])
    origin, mass = np.asarray(emission.origin), share.sum(axis=0)
    first = s["moments"][:, 1 : 1 + D] + mass[:, None] * origin
    scale = np.sqrt(C.diagonal()) + np.abs(means).max(axis=0)
    assert (np.abs(first - mean) <= 1e-13 * condition * scale * mass.max()).all()


def test_regressions_whose_lines_leave_little(level):
    """What is missing beside a line that explains nearly all: the line costs no digits."""
    r = np.random.default_rng(0)
    emission = LinearRegression("full", 1, [[[1e6], [2e6]]], [[0.0, 1.0]], [np.eye(2)])
    X = r.normal(size=(20, 1))
    Y = X @ [[1e6, 2e6]] + [0.0, 1.0] + r.normal(size=(20, 2))
    Y[::3, 0] = np.nan
    want = independent.log_densities(emission, np.hstack([X, Y]))[:, 0]
    got = Model(Independent([1.0]), emission).score_units(Y, given=X)
    np.testing.assert_allclose(got, want.astype(float), rtol=1e-8)
