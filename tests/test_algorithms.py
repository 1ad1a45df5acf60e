"""Every algorithm on every kind of model, under the laws of algorithms."""

import os
import pickle

import numpy as np
import pytest

import estep
from estep import Model, Stop, algorithms, datasets
from estep.algorithms import ALGORITHMS, EM, Annealed, Hard, Incremental, Online, Squarem, Stochastic
from estep.emissions import Bernoulli, Categorical, Gaussian, MixtureOf, Poisson
from estep.execution.threads import Threads
from estep.inference.passes import Best, Passes, Sampled, Tempered
from estep.inference.sample import draw_paths
from estep.latents import Chain, Independent
from models import FAMILIES, draw, make_model

SOME = ["gaussian-full", "gaussian-tied", "poisson", "categorical", "gamma", "rayleigh", "mixture-of-gaussian-diag"]
if os.environ.get("ESTEP_ALL_LAWS"):  # every family with every algorithm, some minutes
    SOME = list(FAMILIES)
latents = pytest.mark.parametrize("latent", ["independent", "chain"])
algorithm = pytest.mark.parametrize("name", ALGORITHMS)


def test_each_has_its_name():
    assert set(ALGORITHMS) == {"em", "squarem", "incremental", "online", "annealed", "hard", "stochastic"}
    assert all(ALGORITHMS[name].name == name for name in ALGORITHMS)
    assert {kind.__name__ for kind in ALGORITHMS.values()} | {"ALGORITHMS", "make_algorithm"} == set(algorithms.__all__)


@algorithm
@latents
@pytest.mark.parametrize("family", SOME)
def test_laws(name, latent, family):
    """The bound belongs to the model, never falls once known, and is the same on any number of threads."""
    truth = make_model(family, latent, K=2, D=2, seed=1)
    source = draw(truth, 500)
    start, stop = make_model(family, latent, K=2, D=2, seed=2), Stop(tol=1e-9, max_iter=400)
    fit = estep.fit(start, source, ALGORITHMS[name](), stop)
    bounds = np.array(fit.trace.bounds)
    known = bounds[np.isfinite(bounds)]
    assert np.isnan(bounds[: len(bounds) - len(known)]).all()
    assert (np.diff(known) >= -1e-9 * np.abs(known[1:])).all()
    assert fit.stop_reason in ("converged", "max_iter") and fit.trace.passes[-1] >= len(bounds)
    if name == "hard":
        states, _ = fit.model.decode(source)
        np.testing.assert_allclose(fit.bound, fit.model.path_log_probability(source, states).sum(), rtol=1e-12)
    else:
        np.testing.assert_allclose(fit.bound, fit.model.score(source), rtol=1e-11)
    threaded = estep.fit(start, source, ALGORITHMS[name](), stop, Threads(3))
    assert threaded.trace.bounds[-1] == fit.bound and threaded.n_iter == fit.n_iter


@pytest.mark.parametrize("kind", [Squarem(), Incremental(), Online(), Annealed(), Stochastic()])
@latents
@pytest.mark.parametrize("family", ["gaussian-full", "poisson", "gamma"])
def test_the_end_of_em_is_their_end(kind, latent, family):
    """From where EM ended, with data that make the optimum plain."""
    truth = make_model(family, latent, K=2, D=3, seed=3)
    source = draw(truth, 1500)
    end = estep.fit(truth, source, stop=Stop(tol=1e-13, max_iter=5000))
    again = estep.fit(end.model, source, kind, Stop(tol=1e-13, max_iter=5000))
    np.testing.assert_allclose(again.bound, end.bound, rtol=1e-9)


@pytest.mark.parametrize("kind", [Incremental(), Online(), Annealed(), Stochastic()])
def test_stopping_inside_a_prelude_still_has_a_bound(kind):
    model = make_model("gaussian-full", "independent", K=2, D=2)
    source = draw(model, 200)
    fit = estep.fit(model, source, kind, Stop(max_iter=1))
    np.testing.assert_allclose(fit.bound, fit.model.score(source), rtol=1e-12)
    assert fit.stop_reason == "max_iter" and np.isfinite(fit.bound)


COUNTS = [162, 267, 271, 185, 111, 61, 27, 8, 3, 1]


def hasselblad(kind, tol, rule="gain"):
    """London's daily deaths (Hasselblad 1969): two Poissons that overlap so much that EM crawls."""
    X = np.repeat(np.arange(10.0), COUNTS)[:, None]
    start = Model(Independent([0.5, 0.5]), Poisson([[1.0], [3.0]]))
    return estep.fit(start, X, kind, Stop(tol=tol, max_iter=20000, rule=rule))


def test_hasselblads_poissons():
    slow, fast = hasselblad(EM(), 1e-15), hasselblad(Squarem(), 1e-15)
    assert slow.trace.passes[-1] > 2000 and fast.trace.passes[-1] < 150
    for fit in (slow, fast):
        assert fit.bound == pytest.approx(-1989.945859883, abs=1e-8)
        np.testing.assert_allclose(fit.model.latent.weights[0], 0.3598854, atol=2e-5)
        np.testing.assert_allclose(fit.model.emission.rates[:, 0], [1.2560951, 2.6634044], atol=2e-5)


def test_hasselblads_poissons_to_a_parameter_change():
    """Until no parameter changes by 1e-9: thousands of E-steps for EM, under 150 for SQUAREM (Hasselblad 1969)."""
    for kind, low, high in ((EM(), 1000, 20000), (Squarem(), 10, 150)):
        fit = hasselblad(kind, 1e-9, "parameters")
        assert fit.converged and low < fit.trace.passes[-1] < high
        assert fit.bound == pytest.approx(-1989.945859883, abs=1e-8)


def test_squarem_takes_steps_back():
    """Long steps to a worse model cost E-steps, not likelihood."""

    class Wild(Squarem):
        def _long(self, model, *statistics):
            return worse

    worse = Model(Independent([0.9, 0.1]), Poisson([[5.0], [0.1]]))
    fit = hasselblad(Wild(), 1e-6)
    assert (np.diff(fit.trace.bounds) > 0).all()
    assert fit.trace.passes[-1] == 4 * len(fit.trace.bounds) - 1  # all of them taken back
    assert fit.bound >= hasselblad(EM(), 1e-6).bound


def test_squarem_keeps_what_is_possible():
    """Extrapolated counts may be negative: a start probability must not become zero by that, and stay so."""
    rng = np.random.default_rng(0)
    transmat = np.full((4, 4), 0.02) + 0.92 * np.eye(4)
    emission = Gaussian("diag", rng.normal(0, 1.5, (4, 2)), np.ones((4, 2)))
    X, _ = Model(Chain(np.full(4, 0.25), transmat), emission).sample(40_000, 1)
    source = estep.as_source(X, np.full(40, 1000))
    start = estep.start_model(Chain(), Gaussian("diag"), source, 4, "random_from_data", np.random.default_rng(2))
    em, fast = (estep.fit(start, source, kind, Stop(rule="aitken")) for kind in (EM(), Squarem()))
    assert fast.bound == pytest.approx(em.bound, abs=1e-2)
    assert fast.trace.passes[-1] < em.trace.passes[-1]


def test_hard_em_of_spheres_is_kmeans():
    """With equal weights and one small variance the classification likelihood is that of k-means."""
    from sklearn.cluster import KMeans

    X = datasets.load_faithful().X / [1, 10]
    start = Model(Independent([0.5, 0.5]), Gaussian("spherical", [[2.0, 5.0], [4.0, 8.0]], [1e-4, 1e-4]))
    fit = estep.fit(start, X, Hard(), Stop(max_iter=50))
    means = KMeans(2, init=np.array([[2.0, 5.0], [4.0, 8.0]]), n_init=1).fit(X).cluster_centers_
    states, _ = fit.model.decode(X)
    assert np.bincount(states).min() > 50
    np.testing.assert_allclose(fit.model.emission.means, means, atol=0.1)


def passes(model, source):
    return Passes(model.source(source), model.leaf_rows(), estep.Serial())


@latents
@pytest.mark.parametrize("family", FAMILIES)
def test_rules(latent, family):
    """At power 1 a tempered posterior is the posterior; masses add up; drawn states come as often as they should."""
    model = make_model(family, latent, K=3, D=2, seed=4)
    source = draw(model, 400)
    data = passes(model, source)
    exact, same = data.expect(model), data.expect(model, Tempered(1.0))
    np.testing.assert_allclose(same.vector, exact.vector, rtol=1e-9, atol=1e-9 * np.abs(exact.vector).max())
    for rule in (Tempered(0.3), Best(), Sampled(np.random.default_rng(0))):
        s = data.expect(model, rule)
        assert np.isfinite(s.vector).all()
        np.testing.assert_allclose(s["latent"].sum(), 400, rtol=1e-9)
        np.testing.assert_allclose(s["weight"], 400)
    n = 300
    drawn = [draw_paths(model, data.source, i, None) for i in range(n)]
    shares = np.stack([(np.array(drawn) == k).mean(axis=0) for k in range(3)], axis=1)
    r = model.predict_proba(data.source)
    assert np.abs(shares - r).max() < 5 * np.sqrt(0.25 / n)


@latents
def test_a_flat_posterior_is_near_uniform(latent):
    model = make_model("gaussian-diag", latent, K=3, D=2)
    data = passes(model, draw(model, 300))
    s = data.expect(model, Tempered(1e-9))
    np.testing.assert_allclose(s["emission"].reshape(3, -1)[:, 0], 100, rtol=1e-6)


@pytest.mark.parametrize("level_family", ["gaussian-full", "categorical"])
def test_drawn_paths_are_the_reference_s(level_family, level):
    from estep import kernels

    model = make_model(level_family, "chain", K=5, D=3)
    source = draw(model, 500)
    spec, u = model.kernel(source.summary), np.random.default_rng(0).random(500)
    chain = (model.latent.startprob, model.latent.transmat)
    got, expected = np.empty(500, np.int32), np.empty(500, np.int32)
    kernels.load(level).draw(spec, *chain, source.ends, source.X, u, got)
    kernels.load("reference").draw(spec, *chain, source.ends, source.X, u, expected)
    assert (got == expected).all()


def test_blocks_hold_whole_long_sequences():
    model = make_model("gaussian-diag", "chain", K=2, D=1)
    rng = np.random.default_rng(0)
    X = rng.normal(size=(100_000, 1))
    data = passes(model, (X, np.array([50, 90_000, 9950])))
    assert data.n_blocks == 3
    assert [data.expect_block(model, i)["weight"] for i in range(3)] == [50, 90_000, 9950]
    total = sum(data.expect_block(model, i).vector for i in range(3))
    np.testing.assert_allclose(total, data.expect(model).vector, rtol=1e-9, atol=1e-6)
    assert data.count == pytest.approx(3)
    assert (
        passes(make_model("poisson", "independent", 2, 1), rng.poisson(3.0, (100_000, 1)).astype(float)).n_blocks <= 64
    )


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda: Online(exponent=0.5), "above 0.5"),
        (lambda: Online(delay=-1), "from 0"),
        (lambda: Online(epochs=0), "from 1"),
        (lambda: Annealed(start=0.0), "above 0"),
        (lambda: Annealed(levels=1.5), "whole number"),
        (lambda: Stochastic(steps=0), "from 1"),
        (lambda: Stochastic(seed=-1), "from 0"),
        (lambda: Incremental(epochs=True), "whole number"),
        (lambda: Tempered(2.0), "1 at most"),
        (lambda: estep.GaussianMixture(2, algorithm="squared").fit(np.eye(4)), "squarem"),
    ],
)
def test_bad_options(make, words):
    with pytest.raises(ValueError, match=words):
        make()


@algorithm
def test_estimators_take_them_by_name(name):
    X = datasets.load_faithful().X
    mixture = estep.GaussianMixture(2, algorithm=name, random_state=0, n_init=2).fit(X)
    assert mixture.score(X) * 272 > -1140
    hmm = estep.PoissonHMM(2, algorithm=name, random_state=0).fit(datasets.load_earthquakes().X)
    assert hmm.score(datasets.load_earthquakes().X) > -345
    assert isinstance(hmm.model_.latent, Chain)


def stream(n, seed=0):
    rng = np.random.default_rng(seed)
    z = rng.integers(0, 4, n)
    return rng.normal(size=(n, 3)) + np.array([[0, 0, 0], [4, 0, 1], [0, 3, 3], [-3, 4, 0]])[z]


def test_partial_fit_follows_a_stream():
    """A step a chunk ends within 1e-3 nats a row of batch EM, and a copy goes on to the same bits."""
    X = stream(100_000)
    chunks = np.split(X, 50)
    online = estep.GaussianMixture(4, random_state=0)
    for chunk in chunks[:30]:
        online.partial_fit(chunk)
    copy = pickle.loads(pickle.dumps(online))
    for estimator in (online, copy):
        for chunk in chunks[30:]:
            estimator.partial_fit(chunk)
    assert (online.means_ == copy.means_).all() and online.running_.blocks == 50
    assert online.running_.weight == pytest.approx(100_000)
    batch = estep.GaussianMixture(4, random_state=0).fit(X)
    assert online.score(X) > batch.score(X) - 1e-3
    online.fit(X)
    assert not hasattr(online, "running_")


@pytest.mark.parametrize("emission", ["gaussian", "poisson", "categorical", "gamma", "student", "bernoulli", "mixture"])
@pytest.mark.parametrize("kind", [estep.MixtureModel, estep.HMM])
def test_a_saved_stream_goes_on(emission, kind, tmp_path):
    """From a JSON file, to the same bits; with missing cells too."""
    rng = np.random.default_rng(0)
    X = rng.poisson(np.where(rng.random((600, 1)) < 0.5, 2.0, 9.0)).astype(float)
    X %= 2 if emission == "bernoulli" else 8
    X += emission in ("gamma", "student", "gaussian")
    X[rng.random(600) < 0.1] = np.nan
    family = MixtureOf(Gaussian("diag"), 2) if emission == "mixture" else emission
    family = Categorical(n_symbols=8) if emission == "categorical" else family
    online = kind(family, 2, random_state=0, algorithm=Online(exponent=0.8), max_iter=20)
    for chunk in np.split(X, 6)[:4]:
        online.partial_fit(chunk)
    estep.save(online, tmp_path / "stream.json")
    again = estep.load_estimator(tmp_path / "stream.json")
    assert again.running_.blocks == 4 and again.algorithm == Online(exponent=0.8)
    for chunk in np.split(X, 6)[4:]:
        online.partial_fit(chunk)
        again.partial_fit(chunk)
    for name, value in {**online.model_.latent.values(), **online.model_.emission.values()}.items():
        then = {**again.model_.latent.values(), **again.model_.emission.values()}[name]
        np.testing.assert_array_equal(then, value, err_msg=name)
    assert (again.running_.mean == online.running_.mean).all() and again.running_.blocks == 6


def test_partial_fit_of_sequences():
    truth = make_model("poisson", "chain", K=2, D=1, seed=5)
    parts = [truth.sample(500, seed)[0] for seed in range(40)]
    hmm = estep.PoissonHMM(2, random_state=0, algorithm=Online(exponent=0.6))
    for X in parts:
        hmm.partial_fit(X, [200, 300])
    X, lengths = np.concatenate(parts), [200, 300] * 40
    assert hmm.score(X, lengths) > estep.PoissonHMM(2, random_state=0).fit(X, lengths).score(X, lengths) - 20


def test_partial_fit_refuses_what_has_no_room():
    counts = np.random.default_rng(0).poisson(3.0, (200, 1)).astype(float)
    fit = estep.MixtureModel("negative_binomial", 1).partial_fit(counts)
    means = fit.means_.copy()
    with pytest.raises(ValueError, match="no room"):
        fit.partial_fit(counts + 100)
    assert (fit.means_ == means).all()
    roomy = estep.MixtureModel(estep.emissions.NegativeBinomial(n_counts=200), 1).partial_fit(counts)
    assert roomy.partial_fit(counts + 100).means_[0, 0] > 10
    with pytest.raises(ValueError, match="features"):
        estep.GaussianMixture(1).partial_fit(np.eye(4)).partial_fit(np.eye(5))


@algorithm
def test_impossible_data_are_named_before_anything_is_estimated(name):
    X = np.array([[0.0], [0.0], [1.0], [1.0], [0.0]])
    chain = Model(Chain([1.0, 0.0], [[0.5, 0.5], [0.0, 1.0]]), Bernoulli([[1.0], [0.5]]))
    with pytest.raises(ValueError, match="sequence 0 is impossible under the model from step 0"):
        estep.fit(chain, X, ALGORITHMS[name]())
    with pytest.raises(ValueError, match="row 2 is impossible"):
        estep.fit(Model(Independent([0.5, 0.5]), Poisson([[0.0], [0.0]])), X, ALGORITHMS[name]())


@algorithm
@pytest.mark.parametrize("family", ["bernoulli", "poisson", "gamma", "student"])
def test_zeros_stay_zero(name, family):
    """Left to right: under every algorithm, from a default start."""
    X = np.random.default_rng(0).gamma(2.0, 3.0, (200, 2))
    X = {"bernoulli": (X > 5) * 1.0, "poisson": np.round(X)}.get(family, X)
    start, transmat = [1.0, 0.0, 0.0], [[0.8, 0.2, 0.0], [0.0, 0.8, 0.2], [0.0, 0.0, 1.0]]
    hmm = estep.HMM(
        family, 3, algorithm=name, random_state=1, startprob_init=start, transmat_init=transmat, max_iter=60
    ).fit(X, [50, 150])
    assert hmm.startprob_.tolist() == start
    assert (hmm.transmat_[np.array(transmat) == 0] == 0).all()
