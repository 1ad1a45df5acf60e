"""scikit-learn's conventions and what users expect of an estimator."""

import pickle
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import estep
from estep import datasets
from estep.emissions import Categorical, Gaussian, Poisson
from estep.estimators import from_model
from models import Rayleigh

FAITHFUL = datasets.load_faithful().X
EARTHQUAKES = datasets.load_earthquakes().X


def test_gaussian_mixture_takes_scikit_learns_arguments():
    import inspect

    from sklearn.mixture import GaussianMixture

    theirs = set(inspect.signature(GaussianMixture).parameters)
    assert theirs <= set(inspect.signature(estep.GaussianMixture).parameters)
    public = {n for n in dir(GaussianMixture(2).fit(FAITHFUL)) if not n.startswith("_")}
    ours = {n for n in dir(estep.GaussianMixture(2).fit(FAITHFUL)) if not n.startswith("_")}
    assert public <= ours


def test_pipeline_grid_clone_pickle():
    pipe = make_pipeline(StandardScaler(), estep.GaussianMixture(2, random_state=0)).fit(FAITHFUL)
    twin = pickle.loads(pickle.dumps(pipe))
    assert (twin.predict(FAITHFUL) == pipe.predict(FAITHFUL)).all()
    grid = GridSearchCV(estep.GaussianMixture(random_state=0), {"n_components": [1, 2]}, cv=3).fit(FAITHFUL)
    assert grid.best_params_ == {"n_components": 2}
    for estimator in (estep.GaussianHMM(3, covariance_type="full"), estep.HMM(Poisson(), 2), estep.PoissonHMM(4)):
        assert clone(estimator).get_params().keys() == estimator.get_params().keys()


def test_frames():
    for frame in (pd.DataFrame(FAITHFUL, columns=["a", "b"]), pl.DataFrame(FAITHFUL, schema=["a", "b"])):
        fit = estep.GaussianMixture(2, random_state=0).fit(frame)
        assert fit.model_.columns == ("a", "b")
        assert list(fit.feature_names_in_) == ["a", "b"]
        assert fit.score(frame) == estep.GaussianMixture(2, random_state=0).fit(FAITHFUL).score(FAITHFUL)
    hmm = estep.GaussianHMM(2, random_state=0).fit(pd.DataFrame(FAITHFUL, columns=["a", "b"]))
    assert hmm.model_.columns == ("a", "b")
    with pytest.raises(ValueError, match="column 'who' is not numeric"):
        estep.GaussianMixture(2).fit(pd.DataFrame({"x": [1.0, 2.0], "who": ["ann", "bob"]}))


def test_sample_weight_is_repetition():
    w = np.random.default_rng(0).integers(0, 4, len(FAITHFUL))
    start = {"means_init": [[2, 50], [4, 80]], "weights_init": [0.5, 0.5], "covariances_init": [np.diag([1, 100])] * 2}
    a = estep.GaussianMixture(2, **start).fit(FAITHFUL, sample_weight=w)
    b = estep.GaussianMixture(2, **start).fit(np.repeat(FAITHFUL, w, axis=0))
    np.testing.assert_allclose(a.means_, b.means_, rtol=1e-9)
    assert a.lower_bound_ == pytest.approx(b.lower_bound_, rel=1e-10)


def test_sequence_weight_is_repetition():
    parts = [EARTHQUAKES[:50], EARTHQUAKES[50:70], EARTHQUAKES[70:]]
    start = {"rates_init": [[15.0], [25.0]], "transmat_init": [[0.9, 0.1], [0.1, 0.9]], "startprob_init": [0.5, 0.5]}
    a = estep.PoissonHMM(2, **start).fit(parts, sample_weight=[1, 0, 2])
    b = estep.PoissonHMM(2, **start).fit([parts[0], parts[2], parts[2]])
    np.testing.assert_allclose(a.rates_, b.rates_, rtol=1e-9)
    assert a.lower_bound_ == pytest.approx(b.lower_bound_, rel=1e-12)


def test_forms_of_sequences_agree():
    X = np.random.default_rng(0).normal(size=(60, 2))
    hmm = estep.GaussianHMM(2, random_state=0).fit(X, [20, 20, 20])
    forms = [((X, [20] * 3),), ([X[:20], X[20:40], X[40:]],), (X.reshape(3, 20, 2),), (X, [20] * 3)]
    scores = [hmm.score(*form) for form in forms]
    assert len(set(scores)) == 1
    assert hmm.score_samples(X, [20] * 3).shape == (3,)


def test_attributes_and_reasons():
    fit = estep.GaussianMixture(2, random_state=0).fit(FAITHFUL)
    assert fit.converged_ and fit.stop_reason_ == "converged"
    assert fit.lower_bound_ == fit.lower_bounds_[-1] == pytest.approx(fit.score(FAITHFUL))
    assert len(fit.lower_bounds_) == fit.n_iter_ + 1
    with pytest.warns(ConvergenceWarning, match="did not converge.*made 2 iterations"):
        short = estep.PoissonHMM(3, random_state=0, max_iter=2).fit(EARTHQUAKES)
    assert not short.converged_ and short.stop_reason_ == "max_iter" and short.n_iter_ == 2
    assert short.lower_bound_ == pytest.approx(short.score(EARTHQUAKES))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        zero = estep.PoissonHMM(1, rates_init=[[3.0]], max_iter=0).fit(EARTHQUAKES)
    assert zero.rates_[0, 0] == 3.0 and zero.n_iter_ == 0


def test_restarts_are_reported_and_the_best_is_kept():
    fit = estep.GaussianMixture(4, n_init=6, random_state=3).fit(FAITHFUL)
    assert len(fit.fit_.restarts) == 6
    assert fit.fit_.bound in [r.bound for r in fit.fit_.restarts] and not fit.fit_.collapsed
    kinds = [r.kind for r in fit.fit_.restarts]
    assert kinds == ["kmeans", "ward", "perturbed", "short", "perturbed", "projection"]


def test_random_state_gives_one_result():
    for state in (
        3,
        np.random.SeedSequence(3).entropy,
        lambda: np.random.RandomState(3),
        lambda: np.random.default_rng(3),
    ):
        make = state if callable(state) else lambda state=state: state
        one, two = (estep.GaussianMixture(3, n_init=2, random_state=make()).fit(FAITHFUL) for _ in range(2))
        assert (one.means_ == two.means_).all()


@pytest.mark.parametrize("method", ["kmeans", "k-means++", "random", "random_from_data"])
def test_init_params(method):
    fit = estep.GaussianMixture(2, init_params=method, random_state=0, n_init=3).fit(FAITHFUL)
    assert fit.score(FAITHFUL) == pytest.approx(-4.1554, abs=2e-3) or method == "random"
    with pytest.raises(ValueError, match="init_params is 'x'"):
        estep.GaussianMixture(2, init_params="x").fit(FAITHFUL)


@pytest.mark.parametrize("given", ["means_init", "covariances_init", "weights_init", "precisions_init"])
def test_any_subset_of_starts(given):
    values = {
        "means_init": [[2.0, 50.0], [4.0, 80.0]],
        "covariances_init": [np.diag([0.1, 30.0])] * 2,
        "precisions_init": [np.diag([10.0, 0.03])] * 2,
        "weights_init": [0.3, 0.7],
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit = estep.GaussianMixture(2, max_iter=0, random_state=0, **{given: values[given]}).fit(FAITHFUL)
    name = given.replace("_init", "_")
    np.testing.assert_allclose(getattr(fit, name), values[given], rtol=1e-12)


def test_warm_start_goes_on():
    fit = estep.GaussianMixture(3, random_state=0, max_iter=2, warm_start=True, tol=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit.fit(FAITHFUL)
        first = fit.lower_bound_
        fit.fit(FAITHFUL)
    assert fit.lower_bounds_[0] == pytest.approx(first)
    assert fit.lower_bound_ > first


HAND = {
    "full": np.array([np.eye(2), 2 * np.eye(2)]),
    "tied": np.array([[1.0, 0.5], [0.5, 1.0]]),
    "diag": np.array([[1.0, 2.0], [3.0, 4.0]]),
    "spherical": np.array([1.0, 2.0]),
}


@pytest.mark.parametrize("kind", HAND)
def test_a_chain_set_by_hand_works(kind):
    hmm = estep.GaussianHMM(2, covariance_type=kind)
    with pytest.raises(NotFittedError, match="startprob_"):
        hmm.score(FAITHFUL)
    hmm.startprob_ = [0.6, 0.4]
    hmm.transmat_ = [[0.9, 0.1], [0.5, 0.5]]
    hmm.means_ = [[2.0, 50.0], [4.0, 80.0]]
    hmm.covariances_ = HAND[kind]
    X, states = hmm.sample(200, random_state=1)
    assert X.shape == (200, 2) and set(states) <= {0, 1}
    logprob, path = hmm.decode(X)
    assert logprob <= hmm.score(X) + 1e-9
    assert (path == states).mean() > 0.99
    np.testing.assert_allclose(hmm.predict_proba(X).sum(axis=1), 1)
    posterior_logprob, posterior = hmm.decode(X, algorithm="posterior")
    assert (posterior == hmm.predict_proba(X).argmax(axis=1)).all()
    assert posterior_logprob <= logprob + 1e-9
    hmm.means_ = [[2.0, 51.0], [4.0, 80.0]]  # a change by hand counts
    assert hmm.decode(X)[0] != logprob


def test_categorical_and_poisson_by_hand():
    c = estep.CategoricalHMM(2)
    c.startprob_, c.transmat_, c.emissionprob_ = [1, 0], [[0.5, 0.5], [0, 1]], [[0.9, 0.1], [0.2, 0.8]]
    X, _ = c.sample(10, random_state=0)
    assert np.isfinite(c.score(X))
    p = estep.PoissonHMM(2)
    p.startprob_, p.transmat_, p.rates_ = [0.5, 0.5], [[0.9, 0.1], [0.1, 0.9]], [[1.0], [9.0]]
    X, states = p.sample(100, random_state=0)
    assert (p.predict(X) == states).mean() > 0.9
    with pytest.raises(ValueError, match="adds up to"):
        p.startprob_ = [0.5, 0.6]
        p.score(X)


def test_changed_attributes_of_a_fit_count():
    fit = estep.GaussianMixture(2, random_state=0).fit(FAITHFUL)
    before = fit.score(FAITHFUL)
    fit.means_ = fit.means_ + 0.1
    assert fit.score(FAITHFUL) < before


def test_from_model():
    made = [
        estep.GaussianMixture(2, covariance_type="tied", random_state=0).fit(FAITHFUL),
        estep.GaussianHMM(2, covariance_type="full", random_state=0).fit(FAITHFUL),
        estep.PoissonHMM(2, random_state=0).fit(EARTHQUAKES),
        estep.MixtureModel("poisson", 2, random_state=0).fit(EARTHQUAKES),
        estep.CategoricalHMM(2, random_state=0, tol=1e-4).fit(datasets.load_balls().X[:500]),
    ]
    for estimator in made:
        X = {"gaussian": FAITHFUL, "poisson": EARTHQUAKES}.get(estimator.model_.emission.name, [[0], [1]])
        twin = from_model(estimator.model_)
        assert type(twin) is type(estimator)
        assert twin.score(X) == estimator.score(X)


def test_an_emission_of_ones_own():
    """The documentation's emission fits a mixture and an HMM."""
    rng = np.random.default_rng(0)
    waves = np.concatenate([rng.rayleigh(1.0, 600), rng.rayleigh(10.0, 600), rng.rayleigh(1.0, 600)])[:, None]
    mixture = estep.MixtureModel(Rayleigh(), 2, random_state=0).fit(waves)
    np.testing.assert_allclose(np.sort(mixture.scales_[:, 0]), [1.0, 10.0], rtol=0.1)
    hmm = estep.HMM(Rayleigh(), 2, random_state=0).fit(waves)
    np.testing.assert_allclose(np.sort(hmm.scales_[:, 0]), [1.0, 10.0], rtol=0.1)
    truth = np.repeat([1.0, 10.0, 1.0], 600)
    assert (hmm.scales_[hmm.predict(waves), 0] < 5)[truth == 1.0].mean() > 0.99


@pytest.mark.parametrize("emission", ["gaussian", "poisson", Gaussian("diag"), Poisson(), Categorical()])
def test_mixture_model_of_any_emission(emission):
    X = datasets.load_balls().X[:300] if isinstance(emission, Categorical) else EARTHQUAKES
    fit = estep.MixtureModel(emission, 2, random_state=0).fit(X)
    names = [f"{n}_" for n in fit.model_.emission.parameters]
    assert all(hasattr(fit, n) for n in ("weights_", *names))
    assert fit.bic(X) > fit.aic(X) - 1e6 and np.isfinite(fit.icl(X))


def test_icl_is_bic_of_rows_and_their_components():
    """Biernacki, Celeux & Govaert 2000: BIC less twice the log-responsibilities of the most probable components."""
    fit = estep.GaussianMixture(3, random_state=0).fit(FAITHFUL)
    r = fit.predict_proba(FAITHFUL)
    assert fit.icl(FAITHFUL) == pytest.approx(fit.bic(FAITHFUL) - 2 * np.log(r.max(axis=1)).sum())


BAD = [
    (dict(n_components=0), "n_components is 0"),
    (dict(n_components=300), "n_samples >= n_components but got n_components = 300, n_samples = 272"),
    (dict(covariance_type="round"), "covariance_type is 'round'"),
    (dict(tol=-1), "tol is -1"),
    (dict(max_iter=-1), "max_iter is -1"),
    (dict(n_init=0), "n_init is 0"),
    (dict(reg_covar=-1.0), "reg_covar is -1.0"),
    (dict(n_threads=0), "n_threads is 0"),
    (dict(algorithm="sgd"), "algorithm is 'sgd'"),
    (dict(n_components=2, weights_init=[0.5, 0.6]), r"sum\(weights\) = 1.1"),
    (dict(n_components=2, weights_init=[0.2, 0.3, 0.5]), r"shape of \(2,\), but got \(3,\)"),
    (dict(n_components=2, means_init=[[1.0]]), r"means. should have the shape of \(2, 2\)"),
    (dict(covariances_init=[[[1.0, 2.0], [2.0, 1.0]]]), r"covariances\[0\] is not positive definite"),
    (dict(covariances_init=[np.eye(2)], precisions_init=[np.eye(2)]), "give one"),
]


@pytest.mark.parametrize("options, message", BAD)
def test_bad_parameters(options, message):
    with pytest.raises(ValueError, match=message):
        estep.GaussianMixture(**options).fit(FAITHFUL)


def test_bad_data():
    X = FAITHFUL.copy()
    X[3, 1] = np.inf
    with pytest.raises(ValueError, match=r"row 3, column 1 is inf"):
        estep.GaussianMixture(2).fit(X)
    with pytest.raises(ValueError, match=r"row 3, column 1 is inf"):
        estep.GaussianHMM(2).fit(X)
    with pytest.raises(ValueError, match=r"row 2, column 0 is -1.0; poisson emissions want counts"):
        estep.PoissonHMM(1).fit([[1.0], [2.0], [-1.0]])
    with pytest.raises(ValueError, match=r"row 0, column 0 is 1.5; poisson emissions want counts"):
        estep.PoissonHMM(1).fit([[1.5]])
    with pytest.raises(ValueError, match="row 1 is 0.5: symbols are whole numbers"):
        estep.CategoricalHMM(1).fit([[1], [0.5]])
    with pytest.raises(ValueError, match="row 1 is symbol 7; the model has symbols 0 to 2"):
        estep.CategoricalHMM(1, n_symbols=3).fit([[1], [7]])
    with pytest.raises(ValueError, match="lengths add up to 5, but the data have 272 rows"):
        estep.GaussianHMM(1).fit(FAITHFUL, [2, 3])
    for weights, message in (([-1.0] * 272, "weight of row 0 is -1"), ([0.0] * 272, "all weights are zero"),
                             ([np.nan] * 272, "weight of row 0 is nan"), ([1.0], "expected")):  # fmt: skip
        with pytest.raises(ValueError, match=message):
            estep.GaussianMixture(1).fit(FAITHFUL, sample_weight=weights)
    fit = estep.GaussianHMM(2, random_state=0).fit(FAITHFUL)
    with pytest.raises(ValueError, match="X has 1 features, but GaussianHMM is expecting 2"):
        fit.score(FAITHFUL[:, :1])
    with pytest.raises(ValueError, match="algorithm is 'best'"):
        fit.decode(FAITHFUL, algorithm="best")


def test_verbose_prints_a_line_now_and_then(capsys):
    fit = estep.GaussianMixture(3, random_state=0, n_init=2, verbose=1, verbose_interval=5).fit(FAITHFUL)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("start 1/2  iteration 0  bound -")
    assert len(lines) == sum(r.n_iter // 5 + 1 for r in fit.fit_.restarts)


@pytest.mark.parametrize(
    "kind, shape", [("full", (2, 3, 2, 2)), ("tied", (2, 2)), ("diag", (2, 3, 2)), ("spherical", (2, 3))]
)
def test_gmm_hmm_has_parts(kind, shape):
    hmm = estep.GMMHMM(2, 3, covariance_type=kind, random_state=0, tol=1e-5).fit(FAITHFUL)
    assert hmm.weights_.shape == (2, 3) and hmm.means_.shape == (2, 3, 2) and hmm.covariances_.shape == shape
    np.testing.assert_allclose(hmm.weights_.sum(axis=1), 1)
    assert hmm.score(FAITHFUL) > estep.GaussianHMM(2, covariance_type=kind, random_state=0).fit(FAITHFUL).score(
        FAITHFUL
    )
    twin = estep.estimators.from_model(hmm.model_)
    assert type(twin) is estep.GMMHMM and twin.score(FAITHFUL) == hmm.score(FAITHFUL)
    by_hand = estep.GMMHMM(2, 3, covariance_type=kind)
    for name in ("startprob_", "transmat_", "weights_", "means_", "covariances_"):
        setattr(by_hand, name, getattr(hmm, name))
    np.testing.assert_allclose(by_hand.score(FAITHFUL), hmm.score(FAITHFUL), rtol=1e-10)


def test_gmm_hmm_refuses_what_does_not_fit():
    with pytest.raises(ValueError, match=r"means has shape \(2, 4, 2\), expected \(K, 3, ...\)"):
        estep.GMMHMM(2, 3, means_init=np.zeros((2, 4, 2))).fit(FAITHFUL)
    with pytest.raises(ValueError, match="n_mix is 0"):
        estep.GMMHMM(2, 0).fit(FAITHFUL)
    with pytest.raises(ValueError, match="2 states of 3 parts want 6 rows; n_samples = 5"):
        estep.GMMHMM(2, 3).fit(FAITHFUL[:5])
    with pytest.raises(ValueError, match="give the parts' family"):
        estep.HMM(estep.emissions.MixtureOf(estep.emissions.MixtureOf(Poisson())), 2)
    with pytest.raises(ValueError, match="mix_weights adds up to"):
        estep.GMMHMM(2, 2, weights_init=[[0.5, 0.6], [0.5, 0.5]]).fit(FAITHFUL)


def test_a_mixture_of_any_family_is_an_emission():
    rng = np.random.default_rng(0)
    X = rng.poisson(np.repeat(rng.choice([0.0, 100.0], 40), 10) + rng.choice([2, 30], 400))[:, None].astype(float)
    hmm = estep.HMM(estep.emissions.MixtureOf(Poisson(), 2), 2, random_state=0).fit(X)
    assert hmm.rates_.shape == (2, 2, 1) and hmm.mix_weights_.shape == (2, 2)
    low, high = sorted(hmm.rates_[..., 0].tolist(), key=max)
    np.testing.assert_allclose(sorted(low), [2, 30], rtol=0.1)
    np.testing.assert_allclose(sorted(high), [102, 130], rtol=0.05)


def test_aitkens_rule_by_name():
    quick, patient = (
        estep.GaussianMixture(3, covariance_type="tied", random_state=0, stop_rule=rule).fit(FAITHFUL)
        for rule in ("gain", "aitken")
    )
    assert patient.n_iter_ > quick.n_iter_ and patient.score(FAITHFUL) > quick.score(FAITHFUL)
    with pytest.raises(ValueError, match="'gain', 'aitken' or 'parameters'"):
        estep.GaussianMixture(2, stop_rule="bic").fit(FAITHFUL)


def rows_twice(X, w):
    return np.repeat(X, w.astype(int), axis=0)


@pytest.mark.parametrize("make", [
    lambda: estep.GaussianMixture(2, random_state=0), lambda: estep.StudentMixture(2, random_state=0),
    lambda: estep.MixtureModel("poisson", 2, random_state=0), lambda: estep.MixtureModel("gamma", 2, random_state=0),
])  # fmt: skip
def test_a_weight_of_two_is_two_rows_in_every_question(make):
    r = np.random.default_rng(0)
    X = np.r_[r.poisson(3.0, (60, 2)), r.poisson(12.0, (60, 2))] + 1.0
    if make().__class__ is not estep.MixtureModel or make().emission == "poisson":
        X[::7, 0] = np.nan
        X[5] = np.nan  # a row without any value is no row
    w = r.integers(0, 3, 120).astype(float)
    fit = make().fit(X, sample_weight=w)
    for ask in (fit.score, fit.aic, fit.bic, fit.icl):
        assert ask(X, sample_weight=w) == pytest.approx(ask(rows_twice(X, w)), rel=1e-10)
    best = estep.select(
        X, [2], fit.model_.emission.with_values(**dict.fromkeys(fit.model_.emission.values())), weights=w
    ).best
    n = w[~np.isnan(X).all(axis=1)].sum()
    assert best.bic == pytest.approx(best.fit.model.bic(best.fit.log_likelihood, n), rel=1e-12)
    assert fit.bic(X, sample_weight=w) == pytest.approx(fit.model_.bic(fit.score(X, sample_weight=w) * n, n), rel=1e-12)
    assert fit.lower_bound_ == pytest.approx(fit.score(X, sample_weight=w), rel=1e-9)


def test_weights_of_sequences_in_every_question():
    r = np.random.default_rng(0)
    X, lengths, w = r.normal(size=(60, 1)), [20, 10, 30], np.array([2.0, 0.0, 1.0])
    X[3:6] = np.nan
    fit = estep.GaussianHMM(2, random_state=0).fit(X, lengths, sample_weight=w)
    twice = np.concatenate([X[:20], X[:20], X[30:]]), [20, 20, 30]
    for ask in (fit.score, fit.aic, fit.bic):
        assert ask(X, lengths, sample_weight=w) == pytest.approx(ask(*twice), rel=1e-12)
    n = 2 * 17 + 30
    assert fit.bic(X, lengths, sample_weight=w) == pytest.approx(fit.model_.bic(fit.fit_.log_likelihood, n), rel=1e-9)
    best = estep.select((X, lengths), [2], "gaussian", estep.latents.Chain(), weights=w).best
    assert best.bic == pytest.approx(best.fit.model.bic(best.fit.log_likelihood, n), rel=1e-12)
    with pytest.raises(ValueError, match="no row has a value"):
        fit.bic(np.full((3, 1), np.nan))


def test_one_impossible_row_or_sequence_does_not_fail_the_rest():
    start = dict(startprob_init=[1.0, 0.0], transmat_init=[[0.5, 0.5], [0.0, 1.0]])
    hmm = estep.PoissonHMM(2, rates_init=[[0.0], [3.0]], max_iter=0, **start).fit(np.array([[0.0], [1.0]]))
    X, lengths = np.array([[0.0], [2.0], [2.0], [0.0], [0.0]]), [2, 2, 1]
    for ask in (hmm.predict, hmm.predict_proba):
        with pytest.raises(ValueError, match="sequence 1 is impossible"):
            ask(X, lengths)
    with pytest.warns(RuntimeWarning, match="1 sequence is impossible under the model and skipped: sequence 1"):
        states = hmm.predict(X, lengths, on_impossible="skip")
    with pytest.warns(RuntimeWarning):
        p = hmm.predict_proba(X, lengths, on_impossible="skip")
    assert states[2:4].tolist() == [-1, -1] and (states[[0, 1, 4]] >= 0).all()
    assert np.isnan(p[2:4]).all() and np.allclose(p[[0, 1, 4]].sum(axis=1), 1)
    mixture = estep.MixtureModel(estep.emissions.Poisson([[0.0], [0.0]]), 2, max_iter=0).fit(np.zeros((3, 1)))
    rows = np.array([[0.0], [3.0], [0.0], [1.0]] + [[2.0]] * 6)
    with pytest.warns(RuntimeWarning, match="8 rows are impossible .* row 1, 3, 4, 5, 6, ..."):
        assert (mixture.predict(rows, on_impossible="skip") == [0, -1, 0, *[-1] * 7]).all()
    with pytest.raises(ValueError, match="on_impossible is 'drop': it is 'raise' or 'skip'"):
        mixture.predict(rows, on_impossible="drop")


ARGUMENTS = [
    (dict(tol="a"), "tol is 'a'"),
    (dict(max_iter=1.5), "max_iter is 1.5"),
    (dict(n_components="3"), "n_components is '3'"),
    (dict(n_init=10**30), "n_init is 10+: it is 1000000 at most"),
    (dict(callbacks=5), "callbacks is 5"),
    (dict(callbacks=[5]), r"callbacks is \[5\]"),
    (dict(random_state="x"), "random_state is 'x'"),
    (dict(random_state=-1), "random_state is -1"),
    (dict(n_threads=1.5), "n_threads is 1.5"),
    (dict(stop_rule="foo"), "stop rule is 'foo'"),
    (dict(reg_covar="a"), "reg_covar is 'a'"),
    (dict(verbose_interval=0), "verbose_interval is 0"),
    (dict(fixed=5), "fixed is 5"),
    (dict(fixed=iter(["means"])), "fixed is <list_iterator"),
    (dict(estimate="map", prior=5), "prior is 5"),
    (dict(weights_init=[0.5, 0.6]), r"sum\(weights\) = 1.1"),
    (dict(weights_init="a"), "weights_init are a str"),
    (dict(means_init=[[1.0, 2.0]]), r"shape of \(2, 2\), but got \(1, 2\)"),
    (dict(means_init=[[1, 2], [3]]), "means_init have rows of different lengths"),
    (dict(means_init=np.ma.array([[0.0, 0], [6, 9]], mask=[[0, 0], [0, 1]])), r"means\[1, 1\] is nan"),
    (dict(means_init=np.eye(2) * 1j), "means_init are complex"),
    (dict(covariances_init=np.eye(2)), r"shape \(2, 2\), expected \(K, D, D\)"),
    (dict(covariances_init=5), r"covariances has shape \(\), expected"),
    (dict(covariances_init=np.ones((2, 3, 2))), r"shape \(2, 3, 2\), expected \(K, D, D\)"),
    (dict(precisions_init=np.eye(2)), r"full precision. should have the shape of \(2, 2, 2\), but got \(2, 2\)"),
    (dict(precisions_init=[[[2.0, 1.9], [0.0, 2.0]]] * 2), "should be symmetric"),
    (dict(precisions_init="a"), "precisions_init are a str"),
]


@pytest.mark.parametrize("arguments, words", ARGUMENTS)
def test_wrong_arguments_are_named(arguments, words):
    """One line that names the argument and what was given; what was fitted before stays as it was."""
    fit = estep.GaussianMixture(2, random_state=0).fit(FAITHFUL)
    before = fit.score(FAITHFUL), fit.model_
    with pytest.raises((ValueError, TypeError), match=words) as caught:
        fit.set_params(**arguments).fit(FAITHFUL)
    assert "\n" not in str(caught.value)
    fit.set_params(**{name: getattr(estep.GaussianMixture(2), name) for name in arguments})
    assert fit.model_ is before[1] and fit.score(FAITHFUL) == before[0]


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: estep.select(FAITHFUL, 2), "give the numbers to compare"),
        (lambda: estep.select(FAITHFUL, [2], latent="hmm"), "Chain()"),
        (lambda: estep.select(FAITHFUL, [2], random_state="x"), "random_state is 'x'"),
        (lambda: estep.select(FAITHFUL, [2], stop=5), "stop is 5: give one made by estep.Stop"),
        (lambda: estep.select(FAITHFUL, [2], execute=4), "execute is 4"),
        (lambda: estep.Model("a", "b"), "a Model is a latent part"),
        (lambda: estep.fit(estep.GaussianMixture(2), FAITHFUL), "fit takes a Model, not a GaussianMixture"),
        (lambda: estep.estimators.from_model(5), "takes a Model, not a int"),
        (lambda: estep.lagged(FAITHFUL, order=0), "order is 0"),
        (lambda: estep.start_model(estep.latents.Independent(), estep.emissions.Poisson(), FAITHFUL, 2), "as_source"),
        (lambda: estep.GaussianHMM(2, topology=[[1, np.nan], [1, 1]]).fit(FAITHFUL), "topology is a matrix of numbers"),
    ],
)
def test_functions_name_what_is_wrong(call, words):
    with pytest.raises((ValueError, TypeError), match=words):
        call()


def test_a_fit_that_fails_changes_nothing(capsys):
    import pandas as pd

    F = pd.DataFrame(FAITHFUL, columns=["a", "b"])
    fit = estep.GaussianMixture(2, random_state=0).fit(F)
    for change in (dict(tol="a"), dict(n_components=900)):
        with pytest.raises(ValueError):
            fit.set_params(**change).fit(F.assign(c=1.0))
        fit.set_params(tol=1e-8, n_components=2)
        assert list(fit.feature_names_in_) == ["a", "b"] and np.isfinite(fit.score(F))
    auto = estep.MixtureModel("auto", 2, random_state=0).fit(F)
    with pytest.raises(ValueError):
        auto.fit(pd.DataFrame({"z": [1.0, 2.0]}).assign(q=np.inf))
    assert np.isfinite(auto.score(F))


def test_algorithms_by_name_and_random_states_of_every_kind():
    start = estep.GaussianMixture(2, random_state=0, max_iter=1, tol=0).fit(FAITHFUL).model_
    assert estep.fit(start, FAITHFUL, "squarem").converged
    for state in (0, np.int64(3), np.random.RandomState(0), np.random.default_rng(0), None):
        assert len(estep.select(FAITHFUL, [1, 2], random_state=state).candidates) == 2
        assert estep.GaussianMixture(2, random_state=state).fit(FAITHFUL).converged_


def test_settings_of_a_stream_are_obeyed():
    stream = estep.GaussianMixture(2, random_state=0).partial_fit(FAITHFUL)
    small = np.linalg.det(stream.covariances_).min()
    assert np.linalg.det(stream.set_params(reg_covar=50.0).partial_fit(FAITHFUL).covariances_).min() > 10 * small
    held = estep.GaussianMixture(2, random_state=0).partial_fit(FAITHFUL)
    means = held.means_.copy()
    np.testing.assert_array_equal(held.set_params(fixed=("means",)).partial_fit(FAITHFUL[:50]).means_, means)
    with pytest.raises(ValueError, match="tol is 'a'"):
        held.set_params(tol="a").partial_fit(FAITHFUL)
    moved = estep.GaussianMixture(2, random_state=0).partial_fit(FAITHFUL)
    moved.means_ = moved.means_ + 100
    np.testing.assert_allclose(
        np.sort(moved.partial_fit(FAITHFUL + 100).means_[:, 0]), np.sort(means[:, 0]) + 100, atol=0.1
    )


def test_a_loaded_estimator_keeps_its_regularisation(tmp_path):
    fit = estep.GaussianMixture(2, random_state=0, reg_covar=0.5).fit(FAITHFUL)
    estep.save(fit, tmp_path / "m.json")
    again = estep.load_estimator(tmp_path / "m.json")
    assert again.reg_covar == 0.5
    again.set_params(warm_start=True).fit(FAITHFUL)
    np.testing.assert_allclose(again.covariances_, fit.covariances_, rtol=1e-4)


def test_sources_of_mixtures_are_not_taken_for_sequences():
    rows = FAITHFUL[:60].copy()
    rows[::3, 0] = np.nan
    mixture, chain = (
        kind(2, random_state=0).fit(FAITHFUL).model_ for kind in (estep.GaussianMixture, estep.GaussianHMM)
    )
    for source in (mixture.source(rows), mixture.source(chain.source(FAITHFUL, [100, 172]))):
        with pytest.raises(ValueError, match="prepared for a mixture, whose rows have no order"):
            chain.score(source)


def test_columns_that_a_table_does_not_read_do_not_count():
    rows = FAITHFUL.copy()
    rows[:20, 1] = np.nan
    product = estep.MixtureModel(estep.emissions.Product({1: estep.emissions.Gaussian()}), 1).fit(rows)
    alone = estep.MixtureModel("gaussian", 1).fit(rows[:, 1:])
    assert product.score(rows) == pytest.approx(alone.score(rows[:, 1:])) and product.bic(rows) == pytest.approx(
        alone.bic(rows[:, 1:])
    )
    import pandas as pd

    twice = estep.emissions.Product({1: estep.emissions.Gaussian(), "b": estep.emissions.Gaussian()})
    with pytest.raises(ValueError, match="column 'b' has two families, by its name and by its number"):
        estep.MixtureModel(twice, 1).fit(pd.DataFrame(FAITHFUL, columns=["a", "b"]))
