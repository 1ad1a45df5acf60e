"""hmmlearn's classes over our engine, held to hmmlearn's numbers, and models converted both ways."""

import logging
import pickle

import joblib
import numpy as np
import pytest
from hmmlearn import hmm as theirs
from hmmlearn import vhmm as their_vhmm
from numpy.testing import assert_allclose
from sklearn.exceptions import NotFittedError
from sklearn.mixture import BayesianGaussianMixture, GaussianMixture
from threadpoolctl import threadpool_limits

import estep
from estep.compat import hmmlearn as compat
from estep.compat.hmmlearn import hmm, vhmm
from estep.compat.hmmlearn.base import BaseHMM, ConvergenceMonitor, VariationalBaseHMM
from peer_scripts import SCRIPTS, run
from test_cli import run as cli


@pytest.fixture(autouse=True, scope="module")
def one_thread_each():
    """The peers' threads wait in loops, which several workers of pytest do not bear."""
    with threadpool_limits(1):
        yield


TYPES = ("spherical", "diag", "full", "tied")
RNG = np.random.default_rng(0)
LENGTHS = [150, 100, 150]
REAL = np.concatenate([RNG.normal(m, 1, (80, 3)) for m in (0, 3, 0, -3, 3)]) + np.array([0, 100, -50])
SYMBOLS = RNG.integers(0, 4, (400, 1)) % np.repeat([3, 4], 200)[:, None]
COUNTS = RNG.poisson(np.repeat([2, 8, 2, 5], 100)[:, None] * np.array([1, 0.5]))
TRIALS = RNG.multinomial(5, [0.2, 0.3, 0.5], 400)
ROWS = {"C": SYMBOLS, "P": COUNTS, "M": TRIALS, "G": REAL, "V": REAL}

STARTS = {"startprob_prior": 3.0, "transmat_prior": 2.0}
OF_GAUSSIANS = {"means_prior": 1.0, "means_weight": 2.0, "covars_prior": 0.3, "covars_weight": 6}
CASES = [
    ("CategoricalHMM", {}),
    ("CategoricalHMM", {**STARTS, "emissionprob_prior": 0.5, "n_features": 6}),
    ("PoissonHMM", {}),
    ("PoissonHMM", {**STARTS, "lambdas_prior": 3.0, "lambdas_weight": 2.0}),
    ("MultinomialHMM", {"n_trials": 5}),
    ("VariationalCategoricalHMM", {}),
    ("VariationalCategoricalHMM", {"startprob_prior": 1, "transmat_prior": 2, "emissionprob_prior": 3}),
    *[("GaussianHMM", {"covariance_type": kind}) for kind in TYPES],
    *[("GaussianHMM", {"covariance_type": kind, **STARTS, **OF_GAUSSIANS}) for kind in TYPES],
    ("GaussianHMM", {"params": "st"}),
    ("GaussianHMM", {"params": "mc", "covariance_type": "tied"}),
    *[("GMMHMM", {"n_mix": 2, "covariance_type": kind}) for kind in TYPES],
    *[("GMMHMM", {"n_mix": 2, "covariance_type": kind, "weights_prior": 3.0, **OF_GAUSSIANS}) for kind in TYPES],
    ("GMMHMM", {"n_mix": 2, "params": "wt"}),
    *[("VariationalGaussianHMM", {"covariance_type": kind}) for kind in TYPES],
]


def rows_of(name):
    return SYMBOLS if "Categorical" in name else ROWS[name[0]]


@pytest.mark.parametrize(("name", "options"), CASES)
def test_numbers_are_hmmlearns(name, options, caplog):
    home, ours_home = (their_vhmm, vhmm) if name.startswith("V") else (theirs, hmm)
    options = {"n_components": 3, "n_iter": 15, "random_state": 1, **options}
    known, ours = getattr(home, name)(**options), getattr(ours_home, name)(**options)
    assert ours.get_params().keys() == known.get_params().keys()
    X = rows_of(name)
    with caplog.at_level(logging.CRITICAL):
        known.fit(X, LENGTHS)
    ours.fit(X, LENGTHS)
    shown = [n for n in vars(known) if n.endswith("_") and n != "monitor_"]
    for attribute in shown:
        value = getattr(known, attribute)
        if np.ndim(value) and not attribute.startswith("_") and "subnorm" not in attribute:
            assert_allclose(getattr(ours, attribute), value, rtol=1e-7, atol=1e-8, err_msg=attribute)
    assert_allclose(ours.monitor_.history, known.monitor_.history, atol=1e-4)
    assert_allclose(ours.score(X, LENGTHS), known.score(X, LENGTHS), rtol=1e-10)
    for ours_found, found in zip(ours.score_samples(X, LENGTHS), known.score_samples(X, LENGTHS), strict=True):
        assert_allclose(ours_found, found, atol=1e-7)
    for algorithm in ("viterbi", "map"):
        score, _ = known.decode(X, LENGTHS, algorithm=algorithm)
        assert_allclose(ours.decode(X, LENGTHS, algorithm=algorithm)[0], score, rtol=1e-9)
    if options.get("covariance_type") != "spherical" or name == "GMMHMM":  # theirs draws with another state's
        rows, states = known.sample(30, random_state=3)
        ours_rows, ours_states = ours.sample(30, random_state=3)
        assert_allclose(ours_rows, rows, atol=1e-6)
        np.testing.assert_array_equal(ours_states, states)
        currstate = int(states[-1])
        assert ours.sample(5, random_state=1, currstate=currstate)[1][0] == currstate
    if hasattr(known, "bic") and name != "GMMHMM":  # of which theirs counts the weights of one state alone
        assert_allclose([ours.aic(X, LENGTHS), ours.bic(X, LENGTHS)], [known.aic(X, LENGTHS), known.bic(X, LENGTHS)])


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_scripts_run_with_their_import_changed(script):
    found, known = run(script, ours=True)[0], run(script, ours=False)[0]
    assert found.keys() == known.keys()
    for name, value in known.items():
        scale = max(1.0, np.abs(value).max())
        assert_allclose(np.asarray(found[name]) / scale, np.asarray(value) / scale, atol=1e-6, err_msg=name)


def test_two_warm_fits_of_one_iteration_are_one_of_two():
    for make in (hmm.GaussianHMM, hmm.GMMHMM, vhmm.VariationalGaussianHMM):
        once = make(3, n_iter=2, tol=-np.inf, random_state=0).fit(REAL, LENGTHS)
        twice = make(3, n_iter=1, random_state=0).fit(REAL, LENGTHS)
        twice.init_params = ""
        twice.fit(REAL, LENGTHS)
        assert_allclose(twice.means_, once.means_, rtol=1e-13)
        assert_allclose(twice.transmat_, once.transmat_, rtol=1e-13)


def test_imports_of_every_style():
    assert compat.GaussianHMM is hmm.GaussianHMM is compat.hmm.GaussianHMM
    assert compat.VariationalGaussianHMM is vhmm.VariationalGaussianHMM
    for name in ("normalize", "log_normalize", "fill_covars"):
        assert callable(getattr(compat.utils, name))
    assert set(theirs.__all__) == set(hmm.__all__)


def test_what_is_set_is_kept_where_no_letter_starts_it(caplog):
    model = hmm.GaussianHMM(2, init_params="mc", params="mc", n_iter=3)
    model.startprob_, model.transmat_ = np.array([1.0, 0.0]), np.array([[0.9, 0.1], [0.0, 1.0]])
    model.fit(REAL)
    assert model.startprob_.tolist() == [1, 0] and model.transmat_.tolist() == [[0.9, 0.1], [0, 1]]
    assert not caplog.records
    model.init_params = "s"
    model.fit(REAL)
    assert "'startprob_' is set, and will be overwritten" in caplog.text


def test_a_state_that_empties_keeps_its_parameters():
    """hmmlearn's are NaN from there on."""
    model = hmm.GaussianHMM(2, init_params="", n_iter=3)
    model.startprob_, model.transmat_ = np.array([1.0, 0.0]), np.eye(2)
    model.means_, model.covars_ = np.array([[0.0, 100, -50], [5.0, 5, 5]]), np.ones((2, 3))
    model.fit(REAL)
    assert model.means_[1].tolist() == [5, 5, 5] and np.isfinite(model.covars_).all()
    assert model.transmat_.tolist() == [[1, 0], [0, 1]]
    known = theirs.GaussianHMM(2, init_params="", n_iter=3)
    known.startprob_, known.transmat_ = np.array([1.0, 0.0]), np.eye(2)
    known.means_, known.covars_ = np.array([[0.0, 100, -50], [5.0, 5, 5]]), np.ones((2, 3))
    with np.errstate(all="ignore"):
        known.fit(REAL)
    assert np.isnan(known.means_[1]).all()


def test_an_offset_costs_no_digits():
    """hmmlearn takes squares about zero."""
    X = np.random.default_rng(1).normal(1e7, 1, (300, 1))
    found = hmm.GaussianHMM(1, covars_prior=0, n_iter=2, min_covar=0).fit(X)
    assert_allclose(found.covars_.ravel(), X.var(), rtol=1e-9)
    known = theirs.GaussianHMM(1, covars_prior=0, n_iter=2, min_covar=0).fit(X)
    assert abs(known.covars_.item() / X.var() - 1) > 1e-4


def test_a_singular_state_does_not_touch_the_others():
    model = hmm.GaussianHMM(2, covariance_type="full")
    model.n_features, model.means_ = 2, np.zeros((2, 2))
    model.startprob_, model.transmat_ = np.array([0.5, 0.5]), np.full((2, 2), 0.5)
    model._covars_ = np.array([1e-4 * np.eye(2), 1e13 * np.ones((2, 2))])
    logs = model._compute_log_likelihood(np.random.RandomState(0).normal(0, 0.01, (6, 2)))
    apart = hmm.GaussianHMM(1, covariance_type="full")
    apart.n_features, apart.means_ = 2, np.zeros((1, 2))
    apart.startprob_, apart.transmat_, apart.covars_ = np.ones(1), np.ones((1, 1)), 1e-4 * np.eye(2)[None]
    assert_allclose(logs[:, :1], apart._compute_log_likelihood(np.random.RandomState(0).normal(0, 0.01, (6, 2))))
    returns = np.random.RandomState(3).normal(0, 0.01, (800, 2)) * np.repeat([1, 3, 1, 4], 200)[:, None]
    for seed in range(6):
        found = hmm.GaussianHMM(4, covariance_type="full", n_iter=40, random_state=seed).fit(returns)
        history = np.diff(found.monitor_.history)
        assert history.min() > -1e-3 * abs(found.monitor_.history[-1]), seed
        assert_allclose(found.score(returns), found.monitor_.history[-1], rtol=0.01)


def test_rows_of_several_symbols_are_read_one_after_the_other():
    flat, rows = SYMBOLS[:300], SYMBOLS[:300].reshape(100, 3)
    for home in (theirs, hmm):
        model = home.CategoricalHMM(2, random_state=0)
        with pytest.warns(DeprecationWarning):
            model.fit(rows, [40, 60])
            scores = model.score(rows, [40, 60]), model.score(flat, [120, 180])
        assert_allclose(*scores)
    assert_allclose(hmm.CategoricalHMM(2, random_state=0).fit(flat, [120, 180]).score(flat), model.score(flat))


def test_attributes_of_hmmlearns_names_are_not_set_to_no_effect():
    model = estep.GaussianHMM(2)
    for name in ("covars_", "lambdas_", "monitor_"):
        assert not hasattr(model, name)
        with pytest.raises(AttributeError, match=f"{name} is hmmlearn's"):
            setattr(model, name, 1)


def test_impossible_sequences_have_no_probabilities():
    model = hmm.CategoricalHMM(2)
    model.startprob_, model.transmat_ = np.array([0.5, 0.5]), np.full((2, 2), 0.5)
    model.emissionprob_ = np.array([[1.0, 0, 0], [0, 1.0, 0]])
    X = np.array([[0], [1], [2], [0], [1]])
    assert model.score(X, [3, 2]) == -np.inf
    posteriors = model.score_samples(X, [3, 2])[1]
    assert np.isnan(posteriors[:3]).all() and (posteriors[3:] == [[1, 0], [0, 1]]).all()
    with pytest.raises(ValueError, match="impossible"):
        hmm_of(model).fit(X, [3, 2])


def hmm_of(model):
    model.init_params = ""
    return model


class Scores(BaseHMM):
    """Densities of one's own, and a rate that is fitted."""

    def _init(self, X, lengths=None):
        super()._init(X, lengths)
        if self._needs_init("r", "rates_"):
            self.rates_ = np.array([0.5, 5.0])

    def _compute_log_likelihood(self, X):
        return np.log(self.rates_) - X * self.rates_

    def _initialize_sufficient_statistics(self):
        return {**super()._initialize_sufficient_statistics(), "n": np.zeros(2), "x": np.zeros(2)}

    def _accumulate_sufficient_statistics(self, stats, X, lattice, posteriors, fwdlattice, bwdlattice):
        super()._accumulate_sufficient_statistics(stats, X, lattice, posteriors, fwdlattice, bwdlattice)
        stats["n"] += posteriors.sum(axis=0)
        stats["x"] += (posteriors * X).sum(axis=0)

    def _do_mstep(self, stats):
        super()._do_mstep(stats)
        self.rates_ = stats["n"] / stats["x"]

    def _generate_sample_from_state(self, state, random_state):
        return [random_state.exponential(1 / self.rates_[state])]


def test_densities_of_ones_own():
    """Exponential states by hmmlearn's hooks, and by the engine's family."""
    truth = Scores(2)
    truth.startprob_, truth.transmat_ = np.array([1.0, 0]), np.array([[0.95, 0.05], [0.1, 0.9]])
    truth.rates_ = np.array([0.3, 4.0])
    X, states = truth.sample(600, random_state=0)
    lengths = [250, 350]
    for implementation in ("log", "scaling"):
        model = Scores(2, n_iter=20, tol=-1, init_params="r", implementation=implementation)
        model.startprob_, model.transmat_ = np.full(2, 0.5), np.full((2, 2), 0.5)
        model.fit(X, lengths)
        engine = estep.HMM(
            estep.emissions.Exponential(rates=np.array([[0.5], [5.0]])), 2, max_iter=20, tol=0, reseeds=0,
            startprob_init=[0.5, 0.5], transmat_init=np.full((2, 2), 0.5),
        )  # fmt: skip
        with pytest.warns(UserWarning, match="did not converge"):
            engine.fit(X, lengths)
        assert_allclose(model.rates_, engine.rates_.ravel(), rtol=1e-5)
        assert_allclose(model.transmat_, engine.transmat_, rtol=1e-4)
        assert model.monitor_.iter == 20
    assert (model.predict(X, lengths) == states).mean() > 0.9


class TiedGaussians(hmm.GaussianHMM):
    """An M-step of one's own reads hmmlearn's sums, about zero."""

    def _do_mstep(self, stats):
        self.seen = {name: np.array(value) for name, value in stats.items()}
        super()._do_mstep(stats)


@pytest.mark.parametrize("kind", TYPES)
def test_an_m_step_of_ones_own_reads_hmmlearns_sums(kind):
    class Known(theirs.GaussianHMM):
        def _do_mstep(self, stats):
            self.seen = {name: np.array(value) for name, value in stats.items()}
            super()._do_mstep(stats)

    known, found = (make(2, kind, n_iter=1, random_state=0).fit(REAL, LENGTHS) for make in (Known, TiedGaussians))
    for name, value in known.seen.items():
        if name != "obs**2" or kind in ("diag", "spherical"):
            assert_allclose(found.seen[name], value, rtol=1e-8, atol=1e-6, err_msg=name)
    assert_allclose(found._covars_, known._covars_, rtol=1e-6)


def test_wrong_attributes_and_arguments_are_named():
    model = hmm.GaussianHMM(2)
    with pytest.raises(NotFittedError):
        model.score(REAL)
    model.fit(REAL)
    for name, value, text in (
        ("startprob_", [0.5, 0.6], "startprob_ must sum to 1"),
        ("transmat_", np.eye(3), r"transmat_ must have shape \(n_components, n_components\)"),
        ("means_", [1.0, 2.0], "means_ must have shape"),
    ):
        kept = getattr(model, name)
        setattr(model, name, value)
        with pytest.raises(ValueError, match=text):
            model.score(REAL)
        setattr(model, name, kept)
    with pytest.raises(ValueError, match="'diag' covars must be positive"):
        model.covars_ = -np.ones((2, 3))
    with pytest.raises(ValueError, match="doesn't sum to 400"):
        model.score(REAL, [3, 4])
    with pytest.raises(ValueError, match="Unknown decoder 'posterior'"):
        model.decode(REAL, algorithm="posterior")
    with pytest.raises(ValueError, match="Input X contains NaN"):
        model.score(np.where(REAL > 102, np.nan, REAL))
    with pytest.raises(ValueError, match="implementation is 'fast'"):
        hmm.GaussianHMM(2, implementation="fast").fit(REAL)
    with pytest.raises(ValueError, match="Symbols should be integers"):
        hmm.CategoricalHMM(2).fit(REAL[:, :1])
    with pytest.raises(ValueError, match="more than one stationary"):
        model.transmat_ = np.eye(2)
        model.get_stationary_distribution()


def test_monitors_report(capsys):
    model = hmm.GaussianHMM(2, n_iter=3, tol=-1, verbose=True, random_state=0).fit(REAL)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3 and "nan" in lines[0] and model.monitor_.converged
    assert "iter=3" in repr(model.monitor_)
    monitor = ConvergenceMonitor(1e-2, 10, False)
    monitor.report(-5.0)
    monitor.report(-4.999)
    assert monitor.converged


def through(home, name, hook):
    """A class that overrides a hook to no effect."""
    base = getattr(home, name)
    return type(f"My{name}", (base,), {hook: lambda self, *known, **more: getattr(base, hook)(self, *known, **more)})


@pytest.mark.parametrize(("name", "options"), [
    *[("GaussianHMM", {"covariance_type": kind}) for kind in TYPES],
    ("GMMHMM", {"n_mix": 2}), ("PoissonHMM", {}), ("CategoricalHMM", {}), ("MultinomialHMM", {"n_trials": 5}),
    ("VariationalGaussianHMM", {}), ("VariationalCategoricalHMM", {}),
])  # fmt: skip
def test_hooks_that_call_their_super_change_nothing(name, options):
    X = rows_of(name)
    home = vhmm if name.startswith("V") else hmm
    options = {"n_components": 2, "n_iter": 4, "tol": -1e9, "random_state": 0, **options}
    plain = getattr(home, name)(**options).fit(X, LENGTHS)
    for hook in (
        "_compute_log_likelihood", "_compute_likelihood", "_accumulate_sufficient_statistics",
        "_initialize_sufficient_statistics", "_do_mstep",
    ):  # fmt: skip
        mine = through(home, name, hook)(**options).fit(X, LENGTHS)
        assert_allclose(mine.monitor_.history, plain.monitor_.history, rtol=1e-8, err_msg=hook)
        assert_allclose(mine.score(X, LENGTHS), plain.score(X, LENGTHS), rtol=1e-8, err_msg=hook)


def test_hooks_that_are_never_called_are_refused():
    with pytest.raises(TypeError, match="overrides _do_estep, which is never called"):

        class Mine(hmm.GaussianHMM):
            def _do_estep(self, X, lengths):
                return {}, 0.0

    patched = hmm.GaussianHMM(2, random_state=0, n_iter=3)
    patched._compute_log_likelihood = lambda X: np.zeros((len(X), 2))
    patched.fit(REAL)
    assert patched.monitor_.history[0] == pytest.approx(0, abs=1e-9)


class Filled(hmm.GaussianHMM):
    def _accumulate_sufficient_statistics(self, stats, X, lattice, posteriors, fwdlattice, bwdlattice):
        BaseHMM._accumulate_sufficient_statistics(self, stats, X, lattice, posteriors, fwdlattice, bwdlattice)
        stats["post"] += 1.0


def test_statistics_are_there_to_be_added_to():
    found = Filled(2, random_state=0, n_iter=2).fit(REAL, LENGTHS)
    assert np.isfinite(found.means_).all()
    VariationalBaseHMM(n_components=2, n_iter=3)


def test_variances_far_below_the_datas_are_kept():
    rng = np.random.RandomState(0)
    X = np.r_[rng.normal(0, 1, 100), rng.normal(1e7, 1, 100)][:, None]
    model = hmm.GaussianHMM(2, random_state=0, n_iter=100, covars_prior=0).fit(X)
    assert_allclose(model.monitor_.history[-1], model.score(X), rtol=1e-12)
    assert_allclose(sorted(model._covars_.ravel()), sorted([X[:100].var(), X[100:].var()]), rtol=1e-2)
    constant = np.column_stack([REAL[:, 0], np.full(400, 3.0)])
    scores = [
        home.GaussianHMM(2, random_state=0, covars_prior=1e-6).fit(constant).score(constant) for home in (theirs, hmm)
    ]
    assert_allclose(*scores, rtol=1e-6)


def test_what_is_set_by_hand_after_a_variational_fit_is_asked():
    changes = {
        "startprob_": np.array([0.9, 0.1]), "transmat_": np.array([[0.6, 0.4], [0.3, 0.7]]),
        "covars_": np.full((2, 3), 2.0), "emissionprob_": np.array([[0.1, 0.2, 0.3, 0.4], [0.4, 0.3, 0.2, 0.1]]),
    }  # fmt: skip
    for name, options in (("VariationalGaussianHMM", {"covariance_type": "diag"}), ("VariationalCategoricalHMM", {})):
        X = rows_of(name)
        both = [getattr(home, name)(2, random_state=0, n_iter=5, **options).fit(X) for home in (their_vhmm, vhmm)]
        for attribute, value in changes.items():
            if hasattr(both[0], attribute):
                for model in both:
                    setattr(model, attribute, value)
                assert_allclose(both[1].score(X), both[0].score(X), rtol=1e-9, err_msg=attribute)


@pytest.mark.parametrize("kind", TYPES)
def test_variational_covariances_about_means_that_are_held(kind):
    """hmmlearn's squares hold for the means of its own step alone, and are negative otherwise."""
    model = vhmm.VariationalGaussianHMM(2, kind, params="stc", random_state=0, n_iter=8, tol=-1e9).fit(REAL)
    assert np.diff(model.monitor_.history).min() > -1e-6
    moved = vhmm.VariationalGaussianHMM(2, kind, params="stc", random_state=0, n_iter=8, tol=-1e9).fit(REAL + 1000)
    assert_allclose(moved._covars_, model._covars_, rtol=1e-6)


def test_attributes_of_every_form_are_read():
    for kind, covars in (
        ("spherical", np.array([[1.0, 4, 9], [2, 9, 3]])), ("spherical", np.array([[1.0], [2.0]])),
        ("spherical", np.array([1.0, 2])), ("diag", np.array([[2.0, 1, 4], [3.0, 2, 1]])),
    ):  # fmt: skip
        both = []
        for home in (theirs, hmm):
            model = home.GaussianHMM(2, kind)
            model.startprob_, model.transmat_ = [0.5, 0.5], np.array([[0.7, 0.299995], [0.5, 0.5]], np.float32)
            model.means_, model.covars_ = [[0, 100, -50], [3, 103, -47]], covars
            both.append(model.score(REAL))
            assert_allclose(estep.from_hmmlearn(model).score(REAL), both[-1], rtol=1e-5)
        assert_allclose(both[1], both[0], rtol=1e-9)
    full = hmm.GaussianHMM(2, "full", random_state=0).fit(REAL)
    before = full.score(REAL)
    full.covars_[0] *= 4
    assert full.score(REAL) != before
    with pytest.raises(ValueError, match="n_samples is 0"):
        full.sample(0)


def test_densities_of_stats():
    from hmmlearn.stats import log_multivariate_normal_density as known

    for kind, C in (("diag", np.ones((2, 3))), ("full", np.tile(np.eye(3) * 2, (2, 1, 1))), ("tied", np.eye(3))):
        means = REAL[[0, 300]]
        found = compat.stats.log_multivariate_normal_density(REAL, means, C, kind)
        assert_allclose(found, known(REAL, means, C, kind), rtol=1e-9)


# Conversions


@pytest.mark.parametrize("kind", TYPES)
def test_scikit_learns_mixtures_and_back(kind):
    for columns in (None, ["a", "b", "c"]):
        import pandas as pd

        X = REAL if columns is None else pd.DataFrame(REAL, columns=columns)
        known = GaussianMixture(3, covariance_type=kind, random_state=0, max_iter=7, reg_covar=1e-3).fit(X)
        found = estep.from_sklearn(known)
        assert_allclose(found.score_samples(X), known.score_samples(X), atol=1e-10)
        assert_allclose(found.predict_proba(X), known.predict_proba(X), atol=1e-10)
        assert (found.max_iter, found.reg_covar, found.random_state, found.n_iter_) == (7, 1e-3, 0, known.n_iter_)
        back = estep.to_sklearn(found)
        assert_allclose(back.score_samples(X), known.score_samples(X), atol=1e-10)
        assert back.get_params()["reg_covar"] == 1e-3
        if columns is not None:
            assert list(back.feature_names_in_) == columns == list(found.feature_names_in_)
    fitted = estep.GaussianMixture(2, covariance_type=kind, random_state=0).fit(REAL)
    for one in (fitted, fitted.model_):
        assert_allclose(estep.to_sklearn(one).score_samples(REAL), fitted.score_samples(REAL), atol=1e-10)


@pytest.mark.parametrize("weights", ["dirichlet_process", "dirichlet_distribution"])
def test_scikit_learns_variational_mixtures_and_back(weights):
    for kind in ("full", "tied"):
        options = dict(covariance_type=kind, random_state=0, weight_concentration_prior_type=weights, max_iter=50)
        known = BayesianGaussianMixture(n_components=4, **options).fit(REAL)
        found = estep.from_sklearn(known)
        assert_allclose(found.score_samples(REAL), known.score_samples(REAL), atol=1e-10)
        assert_allclose(found.predict_proba(REAL), known.predict_proba(REAL), atol=1e-10)
        assert_allclose(estep.to_sklearn(found).score_samples(REAL), known.score_samples(REAL), atol=1e-10)
        ours = estep.BayesianGaussianMixture(n_components=4, **options).fit(REAL)
        assert_allclose(estep.to_sklearn(ours).score_samples(REAL), ours.score_samples(REAL), atol=1e-10)
        assert_allclose(estep.to_sklearn(ours).covariance_prior_, ours.covariance_prior_)
        before = found.lower_bound_
        found.set_params(warm_start=True, max_iter=200).fit(REAL)
        assert np.isfinite(found.lower_bound_) and np.isfinite(before)
    diagonal = BayesianGaussianMixture(n_components=2, covariance_type="diag").fit(REAL)
    with pytest.raises(ValueError, match="expectations of a full matrix"):
        estep.from_sklearn(diagonal)
    with pytest.raises(ValueError, match="take full or tied"):
        estep.to_sklearn(estep.BayesianGaussianMixture(n_components=2, covariance_type="diag").fit(REAL))


CONVERTED = [
    *[("GaussianHMM", {"covariance_type": kind}) for kind in TYPES],
    *[("GMMHMM", {"n_mix": 2, "covariance_type": kind}) for kind in TYPES],
    *[("VariationalGaussianHMM", {"covariance_type": kind}) for kind in TYPES],
    ("CategoricalHMM", {}),
    ("VariationalCategoricalHMM", {}),
    ("PoissonHMM", {}),
    ("MultinomialHMM", {"n_trials": 5}),
]


@pytest.mark.parametrize(("name", "options"), CONVERTED)
def test_hmmlearns_models_and_back(name, options):
    X = rows_of(name)
    home, ours_home = (their_vhmm, vhmm) if name.startswith("V") else (theirs, hmm)
    for one in (home, ours_home):
        known = getattr(one, name)(2, random_state=0, n_iter=5, **options).fit(X, LENGTHS)
        found = estep.from_hmmlearn(known)
        assert_allclose(found.score(X, LENGTHS), known.score(X, LENGTHS), rtol=1e-10)
        assert_allclose(found.predict_proba(X, LENGTHS), known.predict_proba(X, LENGTHS), atol=1e-10)
        back = estep.to_hmmlearn(found)
        assert type(back).__module__ == "hmmlearn.hmm"
        assert_allclose(back.score(X, LENGTHS), known.score(X, LENGTHS), rtol=1e-10)
        assert_allclose(back.transmat_, known.transmat_, atol=1e-14)
        found.set_params(max_iter=3).fit(X, LENGTHS)


def test_models_set_by_hand_and_in_other_precisions_are_converted():
    tied = GaussianMixture(1, covariance_type="tied").fit(REAL + 1e6)
    assert_allclose(estep.from_sklearn(tied).score_samples(REAL + 1e6), tied.score_samples(REAL + 1e6), rtol=1e-6)
    single = GaussianMixture(2, random_state=0).fit(REAL.astype(np.float32))
    assert_allclose(estep.from_sklearn(single).score(REAL), single.score(REAL), rtol=1e-4)
    by_hand = GaussianMixture(2, covariance_type="diag")
    by_hand.weights_, by_hand.means_ = np.array([0.4, 0.6]), REAL[[0, 300]]
    by_hand.precisions_cholesky_ = np.full((2, 3), 0.5)
    assert_allclose(estep.from_sklearn(by_hand).score_samples(REAL), by_hand.score_samples(REAL), atol=1e-10)
    for kind in TYPES:
        chain = theirs.GaussianHMM(2, kind)
        chain.startprob_, chain.transmat_, chain.means_ = np.array([0.5, 0.5]), np.full((2, 2), 0.5), REAL[[0, 300]]
        chain.covars_ = {"spherical": np.ones(2), "diag": np.ones((2, 3)), "tied": np.eye(3)}.get(
            kind, np.tile(np.eye(3), (2, 1, 1))
        )
        assert_allclose(estep.from_hmmlearn(chain).score(REAL), chain.score(REAL), rtol=1e-12)


def test_what_cannot_be_converted_is_named():
    with pytest.raises(TypeError, match="not a StandardScaler"):
        from sklearn.preprocessing import StandardScaler

        estep.from_sklearn(StandardScaler())
    with pytest.raises(TypeError, match="not a GaussianMixture"):
        estep.from_hmmlearn(GaussianMixture())
    with pytest.raises(NotFittedError, match="startprob_ of this GaussianHMM is not set"):
        estep.from_hmmlearn(theirs.GaussianHMM(2))
    assert estep.from_sklearn(GaussianMixture(3, tol=0.1)).get_params()["tol"] == 0.1
    poisson = estep.MixtureModel("poisson", 2).fit(COUNTS)
    with pytest.raises(ValueError, match="no mixture of poisson emissions"):
        estep.to_sklearn(poisson)
    with pytest.raises(ValueError, match="no mixture with independent states"):
        estep.to_hmmlearn(poisson)
    with pytest.raises(ValueError, match="hmmlearn has no student emissions"):
        estep.to_hmmlearn(estep.HMM("student", 2, max_iter=2).fit(REAL))
    with pytest.raises(ValueError, match="the model is variational"):
        estep.to_hmmlearn(estep.GaussianHMM(2, estimate="vb").fit(REAL))


def test_convert_on_the_command_line(tmp_path):
    known = GaussianMixture(2, random_state=0).fit(REAL)
    joblib.dump(known, tmp_path / "old.pkl")
    refused = cli("convert", tmp_path / "old.pkl", "-o", tmp_path / "model.json")
    assert refused.returncode == 2 and "--trust" in refused.stderr and not (tmp_path / "model.json").exists()
    done = cli("convert", tmp_path / "old.pkl", "--trust", "-o", tmp_path / "model.json")
    assert done.returncode == 0, done.stderr
    assert_allclose(estep.load(tmp_path / "model.json").score(REAL) / len(REAL), known.score(REAL))
    plain = cli("convert", tmp_path / "model.json", "-o", tmp_path / "new.pkl")
    assert plain.returncode == 0 and pickle.loads((tmp_path / "new.pkl").read_bytes()).n_components == 2
    back = cli("convert", tmp_path / "model.json", "-o", tmp_path / "new.joblib")
    assert back.returncode == 0, back.stderr
    assert_allclose(joblib.load(tmp_path / "new.joblib").score_samples(REAL), known.score_samples(REAL), atol=1e-10)
    chain = theirs.PoissonHMM(2, random_state=0).fit(COUNTS)
    with open(tmp_path / "chain.pickle", "wb") as file:
        pickle.dump(chain, file)
    assert cli("convert", tmp_path / "chain.pickle", "--trust", "-o", tmp_path / "chain.json").returncode == 0
    assert cli("convert", tmp_path / "chain.json", "-o", tmp_path / "chain.pkl").returncode == 0
    assert_allclose(joblib.load(tmp_path / "chain.pkl").score(COUNTS), chain.score(COUNTS))
    joblib.dump([1], tmp_path / "list.pkl")
    (tmp_path / "bad.pkl").write_bytes(b"no pickle at all")
    for wrong, text in (
        (("list.pkl", "x.json"), "holds a list"),
        (("old.pkl", "x.csv"), "the name ends in .json"),
        (("none.json", "x.pkl"), "none.json"),
        (("bad.pkl", "x.json"), "holds no pickle"),
    ):
        found = cli("convert", tmp_path / wrong[0], "--trust", "-o", tmp_path / wrong[1])
        assert found.returncode == 2 and text in found.stderr
