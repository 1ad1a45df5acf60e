"""Parameters that stay, and emissions that states share: the others are the best there are given them."""

import numpy as np
import pytest

import estep
from estep import Model, Stop, constrained, with_prior
from estep.algorithms import ALGORITHMS
from estep.emissions import Gaussian, Poisson, Student
from estep.latents import Chain, Independent
from models import FAMILIES, draw, make_model

ALONE = {
    "gaussian-full": ["means", "covariances"], "gaussian-tied": ["means", "covariances"],
    "gaussian-diag": ["means", "covariances"], "gaussian-spherical": ["means", "covariances"],
    "gamma": ["shapes", "rates"], "von-mises": ["means", "concentrations"], "negative-binomial": ["means", "sizes"],
    "student-full": ["means", "covariances", "dofs"], "log-normal": ["means", "covariances"],
    "mixture-of-gaussian-full": ["mix_weights", "means", "covariances"], "poisson": ["rates"],
    "categorical": ["emissionprob"], "factor-analysis-diag": ["means", "loadings", "noise_variance"],
    "factor-analysis-spherical": ["loadings", "noise_variance"], "rayleigh": ["scales"], "exponential": ["rates"],
}  # fmt: skip
CASES = [(family, block) for family, blocks in ALONE.items() for block in blocks]


def of(model, name):
    return np.asarray({**model.latent.values(), **model.emission.values()}[name])


@pytest.mark.parametrize("family, block", CASES)
@pytest.mark.parametrize("latent", ["independent", "chain"])
def test_a_block_stays_and_the_bound_rises(family, block, latent):
    truth = make_model(family, latent, K=2, D=2, seed=1)
    source, start = draw(truth, 300), make_model(family, latent, K=2, D=2, seed=2)
    fit = estep.fit(constrained(start, {block}), source, stop=Stop(tol=1e-10, max_iter=100))
    bounds, rounding = np.array(fit.trace.bounds), 300 * fit.model.emission.rounding
    assert (np.diff(bounds) >= -1e-10 * np.abs(bounds[1:]) - rounding).all() and bounds[-1] > bounds[0]
    np.testing.assert_array_equal(of(fit.model, block), of(start, block))
    free = estep.fit(start, source, stop=Stop(tol=0, max_iter=0)).model.n_parameters
    assert fit.model.n_parameters < free


@pytest.mark.parametrize("family, block", [case for case in CASES if case[0] != "rayleigh"])
def test_the_others_are_the_best_given_it(family, block):
    """From the end, no nearby value of any other block is better."""
    truth = make_model(family, "independent", K=2, D=2, seed=1)
    source, start = draw(truth, 200), make_model(family, "independent", K=2, D=2, seed=1)
    moved = start.emission.with_values(**{block: nearby(block, of(start, block), np.random.default_rng(1), 0.05)})
    start = constrained(Model(start.latent, moved), {block})
    end = estep.fit(start, source, estep.algorithms.Squarem(), Stop(tol=1e-14, max_iter=1500)).model
    top, rng = end.score(source), np.random.default_rng(0)
    for name in set(end.emission.values()) - {block}:
        for _ in range(10):
            near = end.emission.with_values(**{name: nearby(name, of(end, name), rng, 2e-4)})
            assert Model(end.latent, near).score(source) <= top + 2e-8 * abs(top), name


def nearby(name, value, rng, size):
    step = size * rng.normal(size=value.shape) * np.abs(value)
    if name == "covariances" and value.ndim > 1 and value.shape[-1] == value.shape[-2]:
        step = (step + step.swapaxes(-1, -2)) / 2
    moved = value + step
    if name in ("emissionprob", "mix_weights"):
        moved = moved / moved.sum(axis=-1, keepdims=True)
    return np.clip(moved, 1e-6, 1e8) if name in ("sizes", "concentrations", "shapes", "rates") else moved


@pytest.mark.parametrize("family, block", [c for c in CASES if c[0] not in ("gaussian-tied",)])
def test_single_components(family, block):
    truth = make_model(family, "independent", K=3, D=2, seed=1)
    source, start = draw(truth, 300), make_model(family, "independent", K=3, D=2, seed=2)
    fit = estep.fit(constrained(start, {block: [0, 2]}), source, stop=Stop(tol=1e-9, max_iter=50))
    now, was = of(fit.model, block), of(start, block)
    np.testing.assert_array_equal(now[[0, 2]], was[[0, 2]])
    assert not np.array_equal(now[1], was[1])
    assert (np.diff(fit.trace.bounds) >= -1e-10 * np.abs(fit.bound)).all()


@pytest.mark.parametrize("name", ALGORITHMS)
def test_every_algorithm_keeps_it(name):
    truth = make_model("gaussian-full", "chain", K=2, D=2, seed=1)
    source, start = draw(truth, 300), make_model("gaussian-full", "chain", K=2, D=2, seed=2)
    held = constrained(start, {"means": [0], "transmat": True})
    fit = estep.fit(held, source, ALGORITHMS[name](), Stop(tol=1e-8, max_iter=100))
    np.testing.assert_array_equal(of(fit.model, "means")[0], of(start, "means")[0])
    np.testing.assert_array_equal(of(fit.model, "transmat"), of(start, "transmat"))
    assert np.isfinite(fit.bound)


def test_weights_of_some_components():
    start = Model(Independent([0.5, 0.2, 0.3]), Poisson([[1.0], [5.0], [20.0]]))
    X = Model(Independent([0.2, 0.5, 0.3]), Poisson([[1.0], [5.0], [20.0]])).sample(500, 0)[0]
    fit = estep.fit(constrained(start, {"weights": [0]}), X)
    assert fit.model.latent.weights[0] == 0.5 and fit.model.latent.weights.sum() == pytest.approx(1)
    assert (np.diff(fit.trace.bounds) >= -1e-10 * np.abs(fit.bound)).all()
    assert fit.model.n_parameters == start.n_parameters - 1
    chain = Model(Chain([0.5, 0.5], [[0.9, 0.1], [0.2, 0.8]]), Poisson([[1.0], [9.0]]))
    Y = chain.sample(300, 0)[0]
    fit = estep.fit(constrained(chain, {"transmat": [1]}), Y)
    np.testing.assert_array_equal(fit.model.latent.transmat[1], [0.2, 0.8])


def test_map_holds_whole_components():
    truth = make_model("gaussian-diag", "independent", K=2, D=2, seed=1)
    source = draw(truth, 300)
    start = with_prior(truth, source, "map")
    fit = estep.fit(constrained(start, {"means": [0], "covariances": [0], "weights": True}), source)
    np.testing.assert_array_equal(of(fit.model, "means")[0], of(start, "means")[0])
    np.testing.assert_array_equal(of(fit.model, "weights"), of(start, "weights"))
    assert (np.diff(fit.trace.bounds) >= -1e-10 * np.abs(fit.bound)).all()


@pytest.mark.parametrize("family", [name for name in FAMILIES if "tied" not in name and "rayleigh" not in name])
@pytest.mark.parametrize("latent", ["independent", "chain"])
def test_states_share_an_emission(family, latent):
    truth = make_model(family, latent, K=3, D=2, seed=1)
    source, start = draw(truth, 300), make_model(family, latent, K=3, D=2, seed=2)
    fit = estep.fit(constrained(start, emission_groups=[4, 1, 4]), source, stop=Stop(tol=1e-10, max_iter=60))
    bounds = np.array(fit.trace.bounds)
    assert (np.diff(bounds) >= -1e-10 * np.abs(bounds[1:])).all()
    for value in fit.model.emission.values().values():
        np.testing.assert_allclose(np.asarray(value)[0], np.asarray(value)[2], rtol=1e-12)
    assert fit.model.emission.n_components == 3


def test_groups_and_fixed_parameters_go_together():
    X = estep.datasets.load_earthquakes().X.astype(float)
    hmm = estep.GaussianHMM(
        3, means_init=[[15.0], [15.0], [25.0]], emission_groups=(0, 0, 1), fixed={"means": [0, 1]}, random_state=0
    ).fit(X)
    assert (hmm.means_[:2] == 15).all() and hmm.means_[2] != 25
    assert hmm.covariances_[0] == hmm.covariances_[1] != hmm.covariances_[2]
    assert (np.diff(hmm.lower_bounds_) >= -1e-9 * abs(hmm.lower_bounds_[-1])).all()


def test_shared_emissions_are_one_component():
    """In a mixture, two components with one emission are one component with both weights."""
    X = estep.datasets.load_faithful().X
    two = estep.GaussianMixture(2, random_state=0).fit(X)
    pick = [0, 1, 1]
    start = Model(Independent([0.3, 0.3, 0.4]), Gaussian("full", two.means_[pick], two.covariances_[pick]))
    three = estep.fit(constrained(start, emission_groups=pick), X, stop=Stop(tol=1e-12))
    assert three.bound / 272 == pytest.approx(two.lower_bound_, abs=1e-8)


def test_estimators_take_fixed():
    X = estep.datasets.load_earthquakes().X
    transmat = [[0.9, 0.1], [0.1, 0.9]]
    hmm = estep.PoissonHMM(2, transmat_init=transmat, fixed={"transmat"}, random_state=0).fit(X)
    np.testing.assert_array_equal(hmm.transmat_, transmat)
    shared = estep.PoissonHMM(3, emission_groups=(0, 0, 1), random_state=0).fit(X)
    assert shared.rates_[0] == shared.rates_[1] != shared.rates_[2]
    student = estep.StudentMixture(2, dofs_init=[5.0, 5.0], fixed={"dofs"}, random_state=0)
    faithful = estep.datasets.load_faithful().X
    np.testing.assert_array_equal(student.fit(faithful).dofs_, [5.0, 5.0])
    assert isinstance(student.model_.emission, Student)


@pytest.mark.parametrize(
    "family, fixed, groups, message",
    [
        ("poisson", {"rate"}, None, "fixed names 'rate', which is none of weights, rates"),
        ("poisson", {"rates": [3]}, None, "components from 0 to 1"),
        ("poisson", {"rates": "all"}, None, "components from 0 to 1"),
        ("poisson", "rates", None, "a set of names"),
        ("gaussian-tied", {"covariances": [0]}, None, "shared by all components"),
        ("gaussian-tied", (), [0, 0], "cannot be shared by states"),
        ("poisson", (), [0, 0, 1], "2 whole numbers"),
    ],
)
def test_bad_constraints_are_named(family, fixed, groups, message):
    with pytest.raises(ValueError, match=message):
        constrained(make_model(family, "independent", K=2, D=2), fixed, groups)


def test_what_does_not_go_together():
    truth = make_model("gaussian-full", "independent", K=2, D=2)
    source = draw(truth, 100)
    with pytest.raises(ValueError, match="gaussian emissions cannot hold means alone here"):
        constrained(with_prior(truth, source, "map"), {"means"})
    with pytest.raises(ValueError, match="fixed does not go with estimate='vb'"):
        constrained(with_prior(truth, source, "vb"), {"means"})
    with pytest.raises(ValueError, match="emission_groups does not go with estimate='map'"):
        constrained(with_prior(truth, source, "map"), emission_groups=[0, 0])
    with pytest.raises(ValueError, match="fixed names 'means', which is not given: give means_init"):
        estep.GaussianMixture(2, fixed={"means"}).fit(source.X)


def test_map_holds_what_was_given():
    """Not what the start of a posterior made of it."""
    X = np.random.default_rng(0).poisson([[1.0, 3.0]], (80, 2)).astype(float)
    transmat = [[0.7, 0.3], [0.2, 0.8]]
    hmm = estep.PoissonHMM(2, transmat_init=transmat, estimate="map", fixed={"transmat"}, random_state=0).fit(X)
    np.testing.assert_array_equal(hmm.transmat_, transmat)
    rates = [[1.0, 1.0], [3.0, 3.0]]
    mixture = estep.MixtureModel(Poisson(rates), 2, estimate="map", fixed={"rates"}, random_state=0).fit(X)
    np.testing.assert_array_equal(mixture.rates_, rates)
    assert (np.diff(mixture.lower_bounds_) >= -1e-12).all()


def test_shared_covariances_of_any_size_are_refused():
    """D (D + 1) / 2 = K: the block of shared moments looks like one of components."""
    X = np.random.default_rng(0).normal(size=(60, 2))
    with pytest.raises(ValueError, match="cannot be shared by states as well"):
        estep.GaussianHMM(3, covariance_type="tied", emission_groups=(0, 0, 1), random_state=0).fit(X)


def test_what_is_fixed_where_it_means_nothing():
    X = np.random.default_rng(0).normal(size=(60, 1))
    A = [[0.5, 0.5], [0.2, 0.8]]
    for options, message in [
        (
            {"begins": "stationary", "transmat_init": A, "fixed": {"transmat": [0]}},
            "do not go with begins='stationary'",
        ),
        ({"begins": "stationary", "startprob_init": [0.5, 0.5]}, "startprob_init is given"),
        (
            {"emission_groups": (0, 0), "means_init": [[0.0], [1.0]], "fixed": {"means": [1]}},
            "of some states of a group",
        ),
        ({"emission_groups": (0, 0), "means_init": [[0.0], [1.0]], "fixed": {"means"}}, "not the same for the states"),
        ({"topology": "left-right", "transmat_init": A}, "transmat has transitions that the topology"),
    ]:
        with pytest.raises(ValueError, match=message):
            estep.GaussianHMM(2, random_state=0, **options).fit(X)
    gmm = estep.GMMHMM(
        2, 2, weights_init=[[0.5, 0.5], [0.3, 0.7]], fixed={"weights"}, random_state=0, max_iter=5, tol=1e-3
    )
    np.testing.assert_array_equal(gmm.fit(X).weights_, [[0.5, 0.5], [0.3, 0.7]])
    assert estep.GaussianMixture(2, fixed=None, random_state=0).fit(X).model_.constraints is None


def test_warm_starts_take_new_ways():
    X = estep.datasets.load_faithful().X
    mixture = estep.GaussianMixture(2, warm_start=True, random_state=0).fit(X)
    assert mixture.set_params(estimate="map").fit(X).model_.estimate == "map"
    means = mixture.means_.copy()
    mixture.set_params(estimate="ml", fixed={"means"}).fit(X[:100])
    np.testing.assert_array_equal(mixture.means_, means)
