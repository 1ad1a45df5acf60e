"""Priors, maximum a posteriori and variational Bayes: laws for every conjugate family, exact answers, scikit-learn."""

import warnings

import numpy as np
import pytest
import sklearn.mixture
from scipy import stats
from scipy.special import betaln, gammaln, multigammaln

import estep
from brute import enumerate_chain
from estep import Model, Stop, with_prior
from estep.emissions import (
    Bernoulli,
    Categorical,
    Exponential,
    Gaussian,
    LinearRegression,
    Multinomial,
    Poisson,
)
from estep.execution.threads import Threads
from estep.latents import Chain, Independent
from estep.parameters import covariance
from estep.priors import (
    Beta,
    Dirichlet,
    DirichletProcess,
    Gamma,
    MatrixNormalInverseWishart,
    NormalInverseWishart,
    PseudoRows,
    Sticks,
)
from laws import law_never_falls, law_round_trips
from models import FAMILIES, draw, make_model, read

CONJUGATE = [
    "gaussian-full", "gaussian-tied", "gaussian-diag", "gaussian-spherical", "poisson", "categorical", "bernoulli",
    "multinomial", "exponential", "log-normal", "regression-full", "regression-tied", "regression-diag",
    "regression-spherical", "mixture-of-gaussian-diag", "mixture-of-poisson",
]  # fmt: skip
MODES = ["gamma", "von-mises", "mixture-of-gamma"]  # posteriors without a closed form
families = pytest.mark.parametrize("family", CONJUGATE)
either = pytest.mark.parametrize(
    "family, estimate", [(f, e) for f in CONJUGATE for e in ("map", "vb")] + [(f, "map") for f in MODES]
)
latents = pytest.mark.parametrize("latent", ["independent", "chain"])
estimates = pytest.mark.parametrize("estimate", ["map", "vb"])


@either
@latents
def test_laws(family, latent, estimate, tmp_path):
    truth = make_model(family, latent, K=2, D=2, seed=1)
    source = draw(truth, 300)
    start = with_prior(make_model(family, latent, K=2, D=2, seed=2), source, estimate)
    stop = Stop(tol=1e-9, max_iter=300)
    fit = estep.fit(start, source, stop=stop)
    assert fit.model.estimate == estimate
    law_never_falls(fit)
    law_round_trips(fit.model, source, tmp_path, [])
    np.testing.assert_allclose(fit.bound, fit.model.score(source) + fit.model.penalty, rtol=1e-12)
    path = tmp_path / "again.json"
    estep.save(fit.model, path)
    assert estep.load(path).penalty == fit.model.penalty
    assert estep.fit(start, source, stop=stop, execute=Threads(2)).bound == fit.bound


@either
@pytest.mark.parametrize("name", ["squarem", "incremental", "online", "annealed", "hard", "stochastic"])
def test_every_algorithm_ends_at_a_maximum_of_the_bound(family, name, estimate):
    truth = make_model(family, "independent", K=2, D=2, seed=1)
    source = draw(truth, 300)
    start = with_prior(truth, source, estimate)
    fit = estep.fit(start, source, estep.algorithms.ALGORITHMS[name](), Stop(tol=1e-9, max_iter=2000))
    after = estep.fit(fit.model, source, stop=Stop(tol=0, max_iter=2))
    assert np.isfinite(fit.bound)
    if name != "hard":
        np.testing.assert_allclose(after.bound, fit.bound, rtol=1e-5)


@pytest.mark.parametrize("family", [*CONJUGATE, *MODES])
def test_the_mode_is_a_mode(family):
    """No nearby parameters have a higher posterior: the M-step of the bound is checked by differences."""
    model = make_model(family, "independent", K=2, D=2, seed=4)
    source = draw(model, 60)
    end = estep.fit(with_prior(model, source, "map"), source, stop=Stop(tol=1e-14, max_iter=3000)).model
    top, rng = end.score(source) + end.penalty, np.random.default_rng(0)
    for name, value in end.emission.values().items():
        for _ in range(10):
            step = 3e-4 * rng.normal(size=value.shape) * np.abs(value)
            if name == "covariances" and value.ndim > 1 and value.shape[-1] == value.shape[-2]:
                step = (step + step.swapaxes(-1, -2)) / 2
            moved = value + step
            if name in ("emissionprob", "mix_weights"):
                moved = moved / moved.sum(axis=1, keepdims=True)
            if name == "probabilities":
                moved = np.clip(moved, 0, 1)
            near = Model(end.latent, end.emission.with_values(**{name: moved}), prior=end.prior)
            assert near.score(source) + near.penalty <= top + 1e-9 * abs(top)


@families
@latents
def test_no_divergence_from_itself(family, latent):
    model = make_model(family, latent, K=3, D=2)
    source = draw(model, 100)
    vb = with_prior(model, source, "vb")
    assert all(q.divergence(q) == pytest.approx(0, abs=1e-9) for q in vb.posterior.values())
    assert vb.penalty < 0


def exact(emission, prior, X):
    """The bound of variational Bayes with one component, where nothing is hidden: it is the log evidence."""
    model = Model(Independent([1.0]), emission)
    source = read(model, np.asarray(X))
    return estep.fit(with_prior(model, source, "vb", prior), source).bound


rng = np.random.default_rng(5)


def test_evidence_of_counts():
    X = rng.poisson(3.0, (40, 1)).astype(float)
    a, b, n, total = 2.0, 0.7, 40, X.sum()
    evidence = a * np.log(b) - gammaln(a) + gammaln(a + total) - (a + total) * np.log(b + n) - gammaln(X + 1).sum()
    assert exact(Poisson([[1.0]]), Gamma(a, b), X) == pytest.approx(evidence, rel=1e-12)


def test_evidence_of_waiting_times():
    X = rng.exponential(2.0, (40, 1))
    a, b = 2.0, 0.7
    evidence = a * np.log(b) - gammaln(a) + gammaln(a + 40) - (a + 40) * np.log(b + X.sum())
    assert exact(Exponential([[1.0]]), Gamma(a, b), X) == pytest.approx(evidence, rel=1e-12)


def test_evidence_of_zeros_and_ones():
    X = (rng.random((40, 2)) < [0.2, 0.7]).astype(float)
    ones = X.sum(axis=0)
    evidence = (betaln(0.5 + ones, 2.0 + 40 - ones) - betaln(0.5, 2.0)).sum()
    assert exact(Bernoulli([[0.5, 0.5]]), Beta(0.5, 2.0), X) == pytest.approx(evidence, rel=1e-12)


@pytest.mark.parametrize("kind", [Categorical, Multinomial])
def test_evidence_of_symbols(kind):
    symbols = rng.integers(0, 3, 40)
    X = symbols[:, None] if kind is Categorical else np.eye(3)[symbols]
    a, counts = np.array([0.5, 1.0, 2.0]), np.bincount(symbols, minlength=3)
    evidence = gammaln(a.sum()) - gammaln(a).sum() + gammaln(a + counts).sum() - gammaln(a.sum() + 40)
    prior = {"emissionprob": Dirichlet(a)}
    assert exact(kind(np.full((1, 3), 1 / 3)), prior, X) == pytest.approx(evidence, rel=1e-12)


def wishart_evidence(X, m0, k0, v0, S0):
    """Murphy 2007, "Conjugate Bayesian analysis of the Gaussian distribution", eq. 266."""
    n, D = X.shape
    mean = X.mean(axis=0)
    k, v = k0 + n, v0 + n
    S = S0 + (X - mean).T @ (X - mean) + k0 * n / k * np.outer(mean - m0, mean - m0)
    return float(
        -n * D / 2 * np.log(np.pi) + multigammaln(v / 2, D) - multigammaln(v0 / 2, D)
        + v0 / 2 * np.linalg.slogdet(S0)[1] - v / 2 * np.linalg.slogdet(S)[1] + D / 2 * np.log(k0 / k)
    )  # fmt: skip


@pytest.mark.parametrize("kind", ["full", "tied", "diag", "spherical"])
@pytest.mark.parametrize("shift", [0.0, 1e6])
def test_evidence_of_gaussians(kind, shift):
    X = rng.normal(size=(30, 2)) @ [[1.0, 0.4], [0.0, 2.0]]
    m0, k0, v0 = np.array([0.3, -0.2]), 0.5, 3.5
    matrix = np.array([[2.0, 0.3], [0.3, 1.0]])
    scale = {"full": matrix, "tied": matrix, "diag": np.array([2.0, 1.0]), "spherical": 1.5}[kind]
    start = Gaussian(
        kind,
        X[:1] + shift,
        {"full": np.eye(2)[None], "tied": np.eye(2)}.get(kind, np.ones((1, 2)) if kind == "diag" else [1.0]),
    )
    found = exact(start, NormalInverseWishart(m0 + shift, k0, v0, scale), X + shift)
    if kind in ("full", "tied"):
        evidence = wishart_evidence(X, m0, k0, v0, matrix)
    elif kind == "diag":
        evidence = sum(wishart_evidence(X[:, d : d + 1], m0[d : d + 1], k0, v0, scale[d] * np.eye(1)) for d in (0, 1))
    else:  # one variance of all columns: v0 + n D degrees of freedom
        k, v, mean = k0 + 30, v0 + 60, X.mean(axis=0)
        S = 1.5 + ((X - mean) ** 2).sum() + k0 * 30 / k * ((mean - m0) ** 2).sum()
        evidence = (
            -30 * np.log(np.pi) + gammaln(v / 2) - gammaln(v0 / 2) + v0 / 2 * np.log(1.5) - v / 2 * np.log(S)
            + np.log(k0 / k)
        )  # fmt: skip
    assert found == pytest.approx(evidence, rel=1e-11 if shift == 0 else 1e-7)


def line_evidence(X, Y, M, L0, v0, S0):
    """Of a regression with errors of one Wishart (Minka 2000), and of one column by its Student-t predictions."""
    n, D = Y.shape
    design = np.column_stack([np.ones(n), X])
    L = L0 + design.T @ design
    Mn = np.linalg.solve(L, L0 @ M.T + design.T @ Y).T
    S = S0 + (Y - design @ Mn.T).T @ (Y - design @ Mn.T) + (Mn - M) @ L0 @ (Mn - M).T
    v = v0 + n
    logdet = [np.linalg.slogdet(x)[1] for x in (L0, L, S0, S)]
    gammas = multigammaln(v / 2, D) - multigammaln(v0 / 2, D)
    return gammas - n * D / 2 * np.log(np.pi) + D / 2 * (logdet[0] - logdet[1]) + v0 / 2 * logdet[2] - v / 2 * logdet[3]


@pytest.mark.parametrize("kind", ["full", "tied", "diag", "spherical"])
@pytest.mark.parametrize("shift", [0.0, 1e5])
def test_evidence_of_regressions(kind, shift):
    """With one component nothing is hidden; priors are in the units of the data, wherever these are."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 2)) + shift
    Y = (X - shift) @ rng.normal(size=(2, 2)) + rng.normal(0, 0.5, (40, 2)) + shift
    M = np.array([[shift - shift * 0.5, 0.5, 0.0], [shift, 0.0, 0.0]])
    root, move = rng.normal(size=(3, 3)), np.eye(3)
    move[1:, 0] = shift  # (1, x) = move (1, x - shift)
    at_data = root @ root.T + np.eye(3)
    L0, v0, scale = move @ at_data @ move.T, 5.0, np.array([0.7, 1.5])
    S0 = {"full": np.diag(scale), "tied": np.diag(scale), "diag": scale, "spherical": 0.7}[kind]
    given = MatrixNormalInverseWishart(M, L0, v0, S0)
    emission = LinearRegression(kind, 2, np.zeros((1, 2, 2)), np.full((1, 2), shift), {"full": [np.eye(2)],
        "tied": np.eye(2), "diag": [[1.0, 1.0]], "spherical": [1.0]}[kind])  # fmt: skip
    rows = np.hstack([X, Y])
    bound = exact(emission, {"coefficients": given}, rows)
    centred, m0 = X - shift, M @ move
    m0[:, 0] -= shift
    y = Y - shift
    if kind in ("full", "tied"):
        wanted = line_evidence(centred, y, m0, at_data, v0, np.diag(scale))
    elif kind == "diag":
        wanted = sum(line_evidence(centred, y[:, [d]], m0[[d]], at_data, v0, scale[[d]][None]) for d in (0, 1))
    else:  # one variance: the columns are rows of one column, with a design for each
        double = np.kron(np.eye(2), np.column_stack([np.ones(40), centred]))
        L = np.kron(np.eye(2), at_data) + double.T @ double
        flat, m = y.T.ravel(), m0.ravel()
        mean = np.linalg.solve(L, np.kron(np.eye(2), at_data) @ m + double.T @ flat)
        s = 0.7 + ((flat - double @ mean) ** 2).sum() + (mean - m) @ np.kron(np.eye(2), at_data) @ (mean - m)
        v = v0 + 80
        wanted = gammaln(v / 2) - gammaln(v0 / 2) - 40 * np.log(np.pi) + v0 / 2 * np.log(0.7)
        wanted += np.linalg.slogdet(at_data)[1] - np.linalg.slogdet(L)[1] / 2 - v / 2 * np.log(s)
    assert bound == pytest.approx(wanted, rel=1e-10 if shift == 0 else 1e-6)


def test_evidence_of_a_line_is_the_product_of_its_predictions():
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=20), rng.normal(size=20)
    L, m, v, s, total = np.diag([0.5, 2.0]), np.array([0.3, -0.2]), 3.0, 1.4, 0.0
    for xi, yi in zip(x, y, strict=True):
        phi = np.array([1.0, xi])
        width = np.sqrt(s / v * (1 + phi @ np.linalg.solve(L, phi)))
        total += stats.t(v, m @ phi, width).logpdf(yi)
        before, L = L, L + np.outer(phi, phi)
        old, m = m, np.linalg.solve(L, before @ m + phi * yi)
        s += yi**2 + old @ before @ old - m @ L @ m
        v += 1
    emission = LinearRegression("full", 1, [[[0.0]]], [[0.0]], [[[1.0]]])
    given = MatrixNormalInverseWishart([[0.3, -0.2]], [0.5, 2.0], 3.0, 1.4)
    assert exact(emission, {"coefficients": given}, np.column_stack([x, y])) == pytest.approx(total, rel=1e-11)


@pytest.mark.parametrize("kind", ["full", "tied", "diag", "spherical"])
def test_log_density_of_means_and_covariances(kind):
    model = make_model(f"gaussian-{kind}", "independent", K=2, D=2)
    means, C = model.emission.means, model.emission.covariances
    scale = {"full": np.eye(2) * 2, "tied": np.eye(2) * 2, "diag": [2.0, 1.0], "spherical": 2.0}[kind]
    prior = NormalInverseWishart([0.5, 1.0], 0.3, 4.0, scale).shaped(kind, 2, 2)
    matrix = covariance.full(C, kind, 2, 2)
    want = sum(stats.multivariate_normal([0.5, 1.0], matrix[k] / 0.3).logpdf(means[k]) for k in (0, 1))
    if kind in ("full", "tied"):
        want += sum(stats.invwishart(4.0, np.eye(2) * 2).logpdf(c) for c in (C if kind == "full" else [C]))
    else:
        scales = np.broadcast_to(scale, C.shape)
        want += stats.invgamma(2.0, scale=scales / 2).logpdf(C).sum()
    assert prior.log_density(means, C) == pytest.approx(want, rel=1e-11)


def test_expectations_against_draws():
    """Expected logarithms and densities by drawing from the posterior."""
    draws = np.random.default_rng(0)
    q = NormalInverseWishart([[1.0, -1.0]], [4.0], [9.0], np.array([[[3.0, 0.5], [0.5, 2.0]]])).shaped("full", 1, 2)
    x, C = np.array([0.3, 0.4]), stats.invwishart(9.0, q.scale[0]).rvs(20000, random_state=draws)
    mu = np.array([draws.multivariate_normal(q.mean[0], c / 4.0) for c in C])
    logs = [stats.multivariate_normal(m, c).logpdf(x) for m, c in zip(mu[:4000], C[:4000], strict=True)]
    expected = stats.multivariate_normal(q.mean[0], q.scale[0] / 9.0).logpdf(x) + q.offset()[0]
    assert np.mean(logs) == pytest.approx(expected, abs=5 * np.std(logs) / 4000**0.5)
    sticks = Sticks([3.0, 1.0, 2.0], [2.0, 4.0, 1.0])
    v = draws.beta(sticks.a, sticks.b, (200000, 3))
    w = v * np.hstack([np.ones((200000, 1)), np.cumprod(1 - v, axis=1)[:, :-1]])
    np.testing.assert_allclose(sticks.expected_log(), np.log(w).mean(axis=0), atol=0.02)
    np.testing.assert_allclose(sticks.mean(), w.mean(axis=0) / w.mean(axis=0).sum(), atol=0.005)


def test_the_bound_of_a_chain_by_enumeration():
    """log of the sum over all paths of the exponentials of expected logarithms, less the divergences."""
    model = make_model("categorical", "chain", K=3, D=2)
    X, _ = model.sample(6, 0)
    vb = estep.fit(with_prior(model, X, "vb"), X, stop=Stop(max_iter=5, tol=0)).model
    q = vb.posterior
    logb = q["emissionprob"].expected_log()[:, X[:, 0]].T
    start, trans = np.exp(q["startprob"].expected_log()), np.exp(q["transmat"].expected_log())
    loglik, gamma, _, _ = enumerate_chain(start, trans, logb)
    assert vb.score(X) == pytest.approx(loglik, rel=1e-12)
    np.testing.assert_allclose(vb.predict_proba(X), gamma, atol=1e-12)
    assert vb.penalty == pytest.approx(-sum(q[name].divergence(vb.prior[name]) for name in q), rel=1e-12)


@estimates
def test_structural_zeros_stay(estimate):
    transmat = np.array([[0.8, 0.2, 0.0], [0.0, 0.7, 0.3], [0.0, 0.0, 1.0]])
    emissionprob = np.array([[0.5, 0.5, 0.0], [0.2, 0.3, 0.5], [0.0, 0.5, 0.5]])
    truth = Model(Chain([1.0, 0.0, 0.0], transmat), Categorical(emissionprob))
    X = [truth.sample(15, i)[0] for i in range(20)]
    hmm = estep.CategoricalHMM(
        3, startprob_init=[1.0, 0, 0], transmat_init=transmat, emissionprob_init=emissionprob, estimate=estimate,
        max_iter=20, tol=0,
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        hmm.fit(X)
    assert ((hmm.transmat_ == 0) == (transmat == 0)).all() and ((hmm.startprob_ == 0) == [False, True, True]).all()
    assert ((hmm.emissionprob_ == 0) == (emissionprob == 0)).all()
    assert np.isfinite(hmm.lower_bound_) and np.isfinite(hmm.score(X))


def blobs():
    draws = np.random.RandomState(0)
    return np.r_[draws.randn(500, 2) @ [[0.0, -0.1], [1.7, 0.4]], 0.7 * draws.randn(500, 2) + [-6, 3]]


@pytest.mark.parametrize("kind", ["dirichlet_process", "dirichlet_distribution"])
def test_bayesian_mixtures_agree_with_scikit_learn(kind):
    """The data of scikit-learn's example of variational mixtures; full covariances, where its formulas are exact."""
    X = blobs()
    arguments = {"n_components": 5, "weight_concentration_prior_type": kind, "random_state": 0}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        peer = sklearn.mixture.BayesianGaussianMixture(tol=1e-12, max_iter=5000, reg_covar=0, **arguments).fit(X)
        ours = estep.BayesianGaussianMixture(tol=1e-13, max_iter=5000, **arguments).fit(X)
    one, two = np.argsort(-peer.weights_)[:2], np.argsort(-ours.weights_)[:2]
    np.testing.assert_allclose(ours.weights_[two], peer.weights_[one], rtol=1e-5)
    np.testing.assert_allclose(ours.means_[two], peer.means_[one], rtol=1e-5)
    np.testing.assert_allclose(ours.covariances_[two], peer.covariances_[one], rtol=1e-5)
    np.testing.assert_allclose(ours.mean_precision_[two], peer.mean_precision_[one], rtol=1e-5)
    np.testing.assert_allclose(ours.degrees_of_freedom_[two], peer.degrees_of_freedom_[one], rtol=1e-5)
    np.testing.assert_allclose(ours.predict_proba(X)[:, two], peer.predict_proba(X)[:, one], atol=1e-6)
    assert ours.score(X) == pytest.approx(peer.score(X), abs=1e-9)
    for name in ("mean_prior_", "mean_precision_prior_", "degrees_of_freedom_prior_", "covariance_prior_"):
        np.testing.assert_allclose(getattr(ours, name), getattr(peer, name), rtol=1e-9)
    assert np.shape(ours.weight_concentration_) == np.shape(peer.weight_concentration_)


def test_a_prior_prevents_collapse():
    """Rows that are all alike: likelihood sends a variance to its floor, a prior does not; both are reported."""
    X = np.r_[np.zeros((10, 1)), np.random.default_rng(0).normal(5, 1, (40, 1))]
    start = estep.start_model(Independent(), Gaussian(), estep.as_source(X), 2, rng=np.random.default_rng(0))
    ml, best = estep.fit(start, X), estep.fit(with_prior(start, X), X)
    assert ml.notes and not best.notes
    assert best.model.emission.covariances.min() > 1e-3 > ml.model.emission.covariances.min()
    assert best.log_likelihood == pytest.approx(best.model.score(X)) and best.bound != best.log_likelihood


@estimates
def test_a_component_without_rows_has_its_prior(estimate):
    X = np.random.default_rng(0).poisson(2.0, (50, 1)).astype(float)
    model = Model(Independent([1.0, 0.0]), Poisson([[2.0], [3.0]]))
    fit = estep.fit(with_prior(model, X, estimate, {"rates": Gamma(3.0, 0.5)}), X, stop=Stop(max_iter=50))
    rate = fit.model.emission.rates[1, 0]
    assert rate == pytest.approx(4.0 if estimate == "map" else 6.0)


def test_partial_fit_keeps_the_prior():
    X = blobs()
    mixture = estep.GaussianMixture(2, estimate="map", random_state=0)
    for i in range(5):
        mixture.partial_fit(X[i::5])
    assert mixture.model_.estimate == "map" and np.isfinite(mixture.score(X))
    whole = estep.GaussianMixture(2, estimate="map", random_state=0).fit(X)
    assert mixture.score(X) == pytest.approx(whole.score(X), abs=0.02)


@pytest.mark.parametrize("name, values", [("gamma", [0.5, 1.0, 4.0, 2.5]), ("von_mises", [0.3, 1.0, -0.5, 2.0])])
@pytest.mark.parametrize("gap", [False, True])
def test_pseudo_rows_are_rows(name, values, gap):
    """The mode with a prior worth 40 rows is the maximum of the likelihood of the data and those rows."""
    rng = np.random.default_rng(3)
    X = rng.gamma(3.0, 1.0, (60, 2))
    if gap:
        X[::7, 0] = np.nan
    more = np.array(values)[:, None]
    t = [more, np.log(more)] if name == "gamma" else [np.cos(more), np.sin(more)]
    prior = PseudoRows(40.0, np.stack([x.mean(axis=0) for x in t]))
    mode = estep.MixtureModel(name, 1, estimate="map", prior={("shapes" if name == "gamma" else "means"): prior}).fit(X)
    both = np.vstack([X, np.repeat(np.hstack([more, more]), 10, axis=0)])
    pooled = estep.MixtureModel(name, 1).fit(both)
    for parameter, value in pooled.model_.emission.values().items():
        np.testing.assert_allclose(mode.model_.emission.values()[parameter], value, rtol=1e-9)


@pytest.mark.parametrize(
    "family, estimate, prior, message",
    [
        ("gamma", "vb", None, "gamma emissions have no posterior in closed form: estimate is 'ml' or 'map'"),
        ("gamma", "map", PseudoRows(1.0, [[1.0], [0.5]]), "mean logarithms at most their logs"),
        ("gamma", "map", PseudoRows(1.0, [1.0, 2.0, 3.0]), r"have shapes \(\) and \(3,\), expected \(2,\)"),
        ("von-mises", "map", PseudoRows(1.0, [[0.9], [0.9]]), "within the unit circle"),
        ("negative-binomial", "map", None, "the negative_binomial emission has no conjugate prior"),
        ("student-full", "vb", None, "the student emission has no conjugate prior"),
        ("mixture-of-gamma", "vb", None, "gamma emissions have no posterior in closed form"),
        ("mixture-of-student-full", "vb", None, "the mixture_of emission has no conjugate prior"),
        ("poisson", "bayes", None, "estimate is 'bayes'"),
        ("poisson", "ml", Gamma(1.0, 1.0), "it is for estimate='map' or 'vb'"),
        ("poisson", "map", Gamma(0.5, 1.0), "shape of the prior of rates is from 1"),
        ("poisson", "map", Beta(1.0, 1.0), "a beta prior fits none of weights, rates"),
        ("poisson", "map", {"rate": Gamma(1.0, 1.0)}, "'rate', which is none of weights, rates"),
        ("poisson", "map", {"rates": Beta(1.0, 1.0)}, "the prior of rates is .*: it is a Gamma"),
        ("poisson", "map", Gamma(np.ones(3), 1.0), r"shape of the prior of rates has shape \(3,\), expected \(2, 2\)"),
        ("poisson", "map", DirichletProcess(1.0), "is for estimate='vb'"),
        ("bernoulli", "map", Beta(0.5, 2.0), "a and b of the prior of probabilities are from 1"),
        ("multinomial", "map", Dirichlet(0.5), "a dirichlet prior is for one of weights, emissionprob"),
        ("multinomial", "map", {"weights": Dirichlet(0.5)}, "is largest at zero probabilities"),
        ("gaussian-full", "vb", NormalInverseWishart([0, 0], 1, 0.5, 1.0), "dofs of the prior of means is 0.5"),
        (
            "gaussian-full",
            "vb",
            NormalInverseWishart([0, 0, 0], 1, 3, 1.0),
            "does not go with 2 components",
        ),
        ("gaussian-full", "vb", NormalInverseWishart([0, 0], 1, 3, [[1, 2], [2, 1]]), "not positive definite"),
        ("gaussian-diag", "vb", NormalInverseWishart([0, 0], 1, 3, [1.0, -1.0]), "not positive definite"),
    ],
)
def test_bad_priors_are_named(family, estimate, prior, message):
    model = make_model(family, "independent", K=2, D=2)
    with pytest.raises(ValueError, match=message):
        with_prior(model, draw(model, 50), estimate, prior)


def test_bad_hyperparameters_are_named():
    for make, message in [
        (lambda: Gamma(-1.0, 1.0), "shape of a gamma prior is -1.0"),
        (lambda: Beta(1.0, 0.0), "b of a beta prior is 0.0"),
        (lambda: Dirichlet([1.0, -1.0]), "concentration of a dirichlet prior is -1.0"),
        (lambda: DirichletProcess(0.0), "concentration of a dirichlet_process prior is 0.0"),
        (lambda: NormalInverseWishart([0.0], 0.0, 1.0, 1.0), "mean_precision of a normal_inverse_wishart prior is 0.0"),
        (lambda: Gamma(np.nan, 1.0), "parameters are finite"),
    ]:
        with pytest.raises(ValueError, match=message):
            make()
    X = blobs()
    with pytest.raises(ValueError, match="weight_concentration_prior_type is 'x'"):
        estep.BayesianGaussianMixture(weight_concentration_prior_type="x").fit(X)


def test_estimators_take_estimate_and_prior():
    X = blobs()
    hmm = estep.GaussianHMM(2, estimate="vb", prior={"transmat": Dirichlet(np.eye(2) * 10 + 1)}, random_state=0).fit(X)
    assert set(hmm.model_.posterior) == {"startprob", "transmat", "means"}
    again = estep.estimators.from_model(hmm.model_)
    assert again.estimate == "vb" and again.score(X) == hmm.score(X)
    assert set(FAMILIES) >= set(CONJUGATE)


@pytest.mark.parametrize("kind", ["full", "tied", "diag", "spherical"])
def test_constant_and_doubled_columns(kind):
    """The prior's scale is tiny there, and the posterior's with it: nothing is raised to a floor behind its back."""
    x = np.r_[rng.normal(0, 1, 50), rng.normal(9, 1, 50)]
    for X in (np.c_[x, np.full(100, 3.0)], np.c_[x, 2 * x]):
        mixtures = [estep.GaussianMixture(2, estimate=e, covariance_type=kind, random_state=0) for e in ("vb", "map")]
        for mixture in (*mixtures, estep.BayesianGaussianMixture(n_components=2, covariance_type=kind, random_state=0)):
            assert mixture.fit(X).stop_reason_ == "converged"
            assert abs(mixture.means_[0, 0] - mixture.means_[1, 0]) > 7


def test_reg_covar_with_priors():
    X = blobs()
    with pytest.raises(ValueError, match="reg_covar is for estimate='ml'"):
        estep.GaussianMixture(2, reg_covar=1e-3, estimate="map").fit(X)
    one, two = (estep.BayesianGaussianMixture(reg_covar=r).fit(X).covariance_prior_ for r in (None, 0.5))
    np.testing.assert_allclose(two, one + 0.5 * np.eye(2))


def test_a_process_of_one_component_is_the_evidence_that_all_rows_are_its_first():
    """Blei & Jordan 2006: all rows of components without end are in the first: B(1 + n, 1) / B(1, 1) = 1 / (n + 1)."""
    X = np.random.default_rng(0).normal(size=(20, 1))
    prior = {"means": NormalInverseWishart(0.0, 1.0, 3.0, 1.0)}
    plain, process = (
        estep.GaussianMixture(1, estimate="vb", prior=prior | {"weights": one}).fit(X).fit_.bound
        for one in (Dirichlet(1.0), DirichletProcess(1.0))
    )
    assert process == pytest.approx(plain - np.log(21), abs=1e-9)


@pytest.mark.parametrize("make", [
    lambda v: Dirichlet(v), lambda v: DirichletProcess(v), lambda v: Beta(v, 1.0), lambda v: Gamma(1.0, v),
    lambda v: NormalInverseWishart(0.0, v, 3.0, 1.0), lambda v: NormalInverseWishart(0.0, 1.0, 3.0, v),
    lambda v: MatrixNormalInverseWishart(0.0, v, 3.0, 1.0), lambda v: PseudoRows(v, np.ones((2, 1))),
])  # fmt: skip
@pytest.mark.parametrize("value", [1e-320, 1e305])
def test_priors_out_of_range_are_refused_by_name(make, value):
    with pytest.raises(ValueError, match=r"of a .* prior is .*: give a number from"):
        make(value)


def test_a_prior_far_from_the_data_is_refused():
    X = np.random.default_rng(0).normal(size=(40, 2))
    for estimate in ("map", "vb"):
        prior = {"means": NormalInverseWishart(1e9, 0.1, 4.0, 1.0)}
        with pytest.raises(ValueError, match="prior of means has the mean 1e.09 for column 0"):
            estep.GaussianMixture(2, estimate=estimate, prior=prior).fit(X)


def test_outcomes_that_never_came_up_are_possible_under_a_prior():
    X = np.array([[0, 5, 0], [1, 4, 0.0]])
    kind, prior = estep.emissions.Multinomial(trials=5), {"emissionprob": Dirichlet(2.0)}
    mode = estep.MixtureModel(kind, 1, estimate="map", prior=prior, random_state=0).fit(X)
    np.testing.assert_allclose(mode.emissionprob_, [[2 / 13, 10 / 13, 1 / 13]])
    whole = estep.MixtureModel(kind, 1, estimate="vb", prior=prior, random_state=0).fit(X)
    counts = X.sum(axis=0)
    evidence = gammaln(6) - gammaln(16) + (gammaln(2 + counts) - gammaln(2)).sum()
    evidence += (gammaln(X.sum(axis=1) + 1) - gammaln(X + 1).sum(axis=1)).sum()
    assert whole.fit_.bound == pytest.approx(evidence, rel=1e-12)
    given = estep.emissions.Multinomial([[0.5, 0.5, 0.0]], trials=5)
    assert estep.MixtureModel(given, 1, estimate="map", prior=prior).fit(X).emissionprob_[0, 2] == 0  # that was given


@pytest.mark.parametrize("family", ["gaussian-tied", "gaussian-full", "regression-diag", "mixture-of-regression-tied"])
@pytest.mark.parametrize("latent", ["independent", "chain"])
def test_long_steps_stay_among_the_posteriors(family, latent):
    """Extrapolated statistics that belong to no distribution are refused, not climbed to."""
    for seed in range(6):
        model = make_model(family, latent, K=3, D=2, seed=seed)
        source = draw(model, 33, seed)
        fit = estep.fit(with_prior(model, source, "vb"), source, "squarem", Stop(max_iter=60))
        assert fit.stop_reason in ("converged", "max_iter") and (np.diff(fit.trace.bounds) > -1e-7).all()


@pytest.mark.parametrize("offset", [0.0, 1e3, 1e5])
def test_evidence_of_a_line_far_from_the_origin(offset):
    """The prior is in the units of the data, however far these are from zero."""
    r = np.random.default_rng(3)
    x = r.normal(size=50)
    y = 2 * x + 0.1 * r.normal(size=50)
    emission = LinearRegression("diag", 1, [[[0.0]]], [[0.0]], [[1.0]])
    bounds = []
    for shift in (0.0, offset):
        move = np.array([[1.0, 0.0], [shift, 1.0]])  # (1, x) = move (1, x - shift)
        prior = MatrixNormalInverseWishart([[-2 * shift, 2.0]], 1e4 * move @ move.T, 3.0, 1.0, "diag")
        bounds.append(exact(emission, {"coefficients": prior}, np.column_stack([x + shift, y])))
    assert bounds[1] == pytest.approx(bounds[0], rel=1e-4)
