"""Kinds of starts, what they find, and how fits from them are compared."""

import logging

import numpy as np
import pytest

import estep
from estep import Model, Stop
from estep.emissions import Categorical, Gaussian, MixtureOf, Poisson, Student
from estep.execution.serial import Serial
from estep.fitting.starts.assign import agglomerated, sliced, spread
from estep.fitting.starts.begin import METHODS, start_model
from estep.fitting.starts.perturb import moved, rearranged, recut, redrawn, shaken
from estep.fitting.starts.portfolio import Starts
from estep.latents import Chain, Independent
from estep.util.streams import child_streams
from models import FAMILIES, draw, make_model

FAITHFUL = estep.datasets.load_faithful().X
QUIET = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def starts(latent, emission, data, K, n=8, seed=0):
    model = Model(Independent([1.0]), emission.start(1, estep.as_source(data).summary))
    return Starts(latent, emission, model.source(data), K, "portfolio", child_streams(seed, n))


def test_kinds_depend_on_the_number_alone():
    few, many = (starts(Independent(), Gaussian(), FAITHFUL, 3, n) for n in (4, 12))
    assert (
        [few.kind(i) for i in range(4)] == [many.kind(i) for i in range(4)] == ["kmeans", "ward", "perturbed", "short"]
    )
    for i in (0, 1, 3):
        one, other = few.start(i), many.start(i)
        assert (one.emission.means == other.emission.means).all()
    short, long = (estep.GaussianMixture(3, n_init=n, random_state=1).fit(FAITHFUL).fit_ for n in (5, 9))
    wards = [r.bound for r in short.restarts if r.kind == "ward"]
    assert wards == pytest.approx([long.restarts[1].bound])  # together with others, sums are rounded otherwise
    chain = starts(Chain(topology="left-right"), Gaussian("diag"), FAITHFUL, 3)
    assert {chain.kind(i) for i in (1, 3, 5, 7)} == {"cuts", "random", "random_from_data"}
    assert starts(Chain(), Student(Gaussian("diag")), FAITHFUL, 3).kind(1) == "contained"
    assert len(starts(Independent(), Gaussian(), FAITHFUL, 1)) == 1  # all would be alike


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("latent", [Independent(), Chain()])
def test_every_method_starts_every_model(method, latent):
    for emission in (Gaussian(), MixtureOf(Gaussian("diag"), 2), Poisson()):
        source = Model(Independent([1.0]), emission.start(1, estep.as_source(FAITHFUL.round()).summary)).source(
            FAITHFUL.round()
        )
        model = start_model(latent, emission, source, 3, method, np.random.default_rng(0))
        assert np.isfinite(model.score(source)) and model.n_components == 3


@QUIET
@pytest.mark.parametrize(
    "family", ["gaussian-full", "poisson", "student-diag", "mixture-of-gaussian-diag", "categorical", "product"]
)
@pytest.mark.parametrize("latent", ["independent", "chain"])
def test_perturbed_models_can_be_fitted(family, latent):
    model = make_model(family, latent, 3, 2)
    source = draw(model, 150)
    fit, rng = estep.fit(model, source, stop=Stop(max_iter=20)), np.random.default_rng(0)
    source = model.source(source)
    ways = [lambda m: moved(m, source, [1], rng, Serial()), lambda m: rearranged(m, source, rng, Serial())]
    ways += [lambda m: shaken(m, source, rng, Serial()), lambda m: redrawn(m, rng)]
    ways += [lambda m: recut(m, source, rng, Serial())] if latent == "chain" else []
    for way in ways:
        again = way(fit.model)
        assert np.isfinite(again.score(source))
        assert any(
            not np.array_equal(a, b)
            for old, new in ((fit.model.latent, again.latent), (fit.model.emission, again.emission))
            for a, b in zip(old.values().values(), new.values().values(), strict=True)
        )


def test_perturbed_models_keep_what_is_held_and_structural_zeros():
    rng = np.random.default_rng(0)
    A = np.array([[0.9, 0.1, 0.0], [0.0, 0.9, 0.1], [0.0, 0.0, 1.0]])
    model = Model(Chain([1.0, 0, 0], A), Gaussian("diag", [[0.0], [3.0], [6.0]], np.ones((3, 1))))
    X = np.repeat([0.0, 3, 6], 40)[:, None] + rng.normal(size=(120, 1))
    held = estep.constrained(model, {"means": [0], "transmat": [1]})
    source = held.source(X)
    for way in (
        moved(held, source, [0, 2], rng, Serial()), rearranged(held, source, rng, Serial()),
        shaken(held, source, rng, Serial()), redrawn(held, rng),
    ):  # fmt: skip
        assert way.emission.means[0] == 0.0 and (way.latent.transmat[1] == A[1]).all()
        assert (way.latent.transmat[A == 0] == 0).all() and way.n_parameters == held.n_parameters


def test_slices_and_agglomeration():
    rng = np.random.default_rng(0)
    X = np.r_[rng.normal(0, 0.1, (50, 2)), rng.normal(5, 0.1, (70, 2))]
    labels = agglomerated(X, 2, None, rng)
    assert sorted(np.bincount(labels)) == [50, 70] and len(set(labels[:50])) == 1
    parts = sliced(X, 3, None, rng)
    assert set(parts) <= {0, 1, 2} and len(parts) == 120
    many = np.r_[X] + rng.normal(0, 1e-3, (40, 1, 1)).repeat(120, 1).reshape(40, 120, 1)
    assert set(np.bincount(agglomerated(many.reshape(-1, 2), 2, None, rng))) == {2000, 2800}


def test_states_that_differ_in_spread_are_started_apart():
    rng = np.random.default_rng(0)
    z = np.repeat([0, 1, 0, 1], 150)
    X = rng.normal(0, np.array([0.2, 3.0])[z])[:, None]
    labels = spread(estep.as_source(X).chained(), Gaussian("diag"), 2, rng).labels
    assert max((labels == z).mean(), (labels != z).mean()) > 0.9


# What the starts find


@QUIET
def test_a_left_right_chain_ends_in_its_optimum():
    s = np.repeat([0, 1, 2, 3], [5, 60, 10, 75])
    mu, r = np.array([0, 4, -4, 4.5]), np.random.default_rng(0)
    X = [(mu[s] + r.normal(size=150))[:, None] for _ in range(10)]
    h = estep.GaussianHMM(4, topology="left-right", n_init=20, random_state=0).fit(X)
    assert h.score(X) > -2216.3


@QUIET
def test_the_best_four_states_of_earthquakes():
    X = estep.datasets.load_earthquakes().X
    found = [estep.PoissonHMM(4, n_init=20, random_state=i).fit(X).score(X) for i in range(3)]
    assert np.median(found) == pytest.approx(-326.2850, abs=1e-3)


@QUIET
def test_a_student_fit_is_not_below_the_gaussian_one():
    r = np.random.default_rng(1)
    z = np.repeat([0, 1, 2, 0, 2, 1], 150)
    x = r.normal(0, np.array([0.005, 0.012, 0.03])[z])[:, None]
    gaussian = estep.GaussianHMM(3, n_init=6, random_state=0).fit(x).score(x)
    student = estep.HMM(Student(Gaussian("diag")), 3, n_init=6, random_state=0).fit(x).score(x)
    assert student > gaussian - 0.5


@QUIET
def test_clusters_of_one_value_are_kept_and_named():
    r = np.random.default_rng(0)
    X = np.r_[r.normal(0, 1, 300), r.normal(10, 1, 300), np.full(200, 20.0), np.full(150, -10.0)][:, None]
    g = estep.GaussianMixture(4, n_init=5, random_state=0).fit(X)
    np.testing.assert_allclose(np.sort(g.means_[:, 0]), [-10, 0, 10, 20], atol=0.2)
    assert sorted(g.fit_.one_value.values()) == [150, 200]
    assert sum("rows of one value" in text for text in g.fit_.remarks) == 2


def test_a_constant_column_is_named_as_that():
    X = np.c_[FAITHFUL, np.full(len(FAITHFUL), 3.0)]
    for kind in ("full", "diag", "tied"):
        fit = estep.GaussianMixture(2, covariance_type=kind, random_state=0).fit(X).fit_
        assert "column 2 is constant: its variances are at the floor" in fit.remarks
        assert fit.notes == () and fit.collapsed == ()
        plain = estep.GaussianMixture(2, covariance_type=kind, random_state=0).fit(FAITHFUL)
        np.testing.assert_allclose(fit.model.emission.means[:, :2], plain.means_, rtol=1e-6)


# Starts beside what is given


@pytest.mark.parametrize("given", ["covariances", "transmat", "startprob"])
def test_states_found_line_up_with_what_is_given(given):
    r = np.random.default_rng(3)
    z = np.repeat([0, 1, 2] * 8, [5, 25, 10] * 8)
    X = np.array([0.0, 8.0, 16.0])[z][:, None] + r.normal(size=(len(z), 1)) * np.array([1.0, 1.5, 0.3])[z][:, None]
    A = np.array([[0.8, 0.2, 0.0], [0.0, 0.96, 0.04], [0.1, 0.0, 0.9]])
    A = A + 1e-3
    A /= A.sum(axis=1, keepdims=True)
    for order in ([0, 1, 2], [2, 0, 1]):
        options = {
            "covariances": {"covariances_init": np.array([[1.0], [2.25], [0.09]])[order]},
            "transmat": {"transmat_init": A[np.ix_(order, order)]},
            "startprob": {"startprob_init": np.array([0.98, 0.01, 0.01])[order]},
        }[given]
        h = estep.GaussianHMM(3, max_iter=0, random_state=0, **options).fit(X)
        close = np.abs(h.means_[:, 0] - np.array([0.0, 8.0, 16.0])[order]) < 2
        assert close.all() if given != "startprob" else close[order.index(0)]


def test_weights_that_are_given_choose_their_components():
    r = np.random.default_rng(0)
    X = np.r_[r.normal(0, 1, (90, 1)), r.normal(9, 1, (10, 1))]
    for weights in ([0.9, 0.1], [0.1, 0.9]):
        g = estep.GaussianMixture(2, weights_init=weights, max_iter=0, random_state=0).fit(X)
        assert abs(g.means_[np.argmax(weights), 0]) < 1


# What is said


@QUIET
def test_remarks():
    fit = estep.GaussianMixture(2, n_init=6, random_state=0).fit(FAITHFUL).fit_
    assert "all 6 starts reached one optimum" in fit.remarks
    many = estep.PoissonHMM(4, n_init=20, random_state=1).fit(estep.datasets.load_earthquakes().X).fit_
    assert any("of 20 starts reached the best optimum" in text for text in many.remarks)
    same = Model(Independent([0.5, 0.5]), Gaussian("diag", [[1.0, 2.0]] * 2, [[1.0, 1.0]] * 2))
    assert "components 0 and 1 are identical" in estep.fit(same, FAITHFUL).remarks
    assert fit.restarts[0].kind == "kmeans"


def test_the_log_has_what_is_not_printed(caplog, capsys):
    with caplog.at_level(logging.INFO, "estep"):
        estep.GaussianMixture(2, n_init=6, random_state=0).fit(FAITHFUL)
    assert "all 6 starts reached one optimum" in caplog.text and capsys.readouterr().out == ""


def test_time_is_up():
    r = np.random.default_rng(0)
    X = r.normal(size=(4000, 4))
    g = estep.GaussianMixture(6, n_init=200, random_state=0, tol=0, max_iter=10**6, max_time=0.3)
    with np.testing.suppress_warnings() as quiet:
        quiet.filter(UserWarning)
        g.fit(X)
    assert g.stop_reason_ == "max_time" and not g.converged_ and np.isfinite(g.score(X))
    assert g.lower_bound_ == pytest.approx(g.score(X))
    for wrong in (0, -1.0, "soon"):
        with pytest.raises(ValueError, match="max_time"):
            Stop(max_time=wrong)


def test_reseeds_is_a_setting():
    X = np.r_[FAITHFUL, np.repeat(FAITHFUL[:1], 40, axis=0)]
    with np.testing.suppress_warnings() as quiet:
        quiet.filter(UserWarning)
        never = estep.GaussianMixture(5, reseeds=0, random_state=0).fit(X)
    assert not any("re-seeded" in note for note in never.fit_.notes)
    with pytest.raises(ValueError, match="reseeds is -1"):
        estep.GaussianMixture(2, reseeds=-1).fit(X)


def test_perturbed_starts_of_sequences_and_labels():
    """Labels are obeyed by every start, and weights of sequences too."""
    r = np.random.default_rng(0)
    X = [r.normal(size=(40, 1)) + 4 * np.repeat([0, 1], 20)[:, None] for _ in range(4)]
    labels = [np.repeat([1, -1], 20) for _ in X]
    h = estep.GaussianHMM(2, n_init=8, random_state=0).fit(X, labels=labels, sample_weight=[1, 2, 0, 1])
    assert h.means_[1, 0] < h.means_[0, 0]
    assert {x.kind for x in h.fit_.restarts} >= {"perturbed", "kmeans"}
    c = estep.HMM(Categorical(), 2, n_init=4, random_state=0).fit(r.integers(0, 3, 100))
    assert [x.kind for x in c.fit_.restarts] == ["random", "random", "perturbed", "random"]


def test_unknown_kinds_are_refused():
    with pytest.raises(ValueError, match="init_params is 'best': it is one of portfolio, kmeans"):
        estep.GaussianMixture(2, init_params="best").fit(FAITHFUL)


@QUIET
@pytest.mark.parametrize("family", [f for f in FAMILIES if "rayleigh" not in f and "regression" not in f])
def test_fits_compare_where_components_have_collapsed(family):
    """What is compared is finite, and no higher than before for a family that has nothing at its floor."""
    model = make_model(family, "independent", 2, 2)
    source = draw(model, 60)
    ready = model.emission.adapt(source.summary)
    wide = ready.comparable(source.summary)
    for name, value in ready.values().items():
        np.testing.assert_allclose(wide.values()[name], value, rtol=1e-9)
