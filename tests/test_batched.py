"""Several mixtures at once, the race of the starts, and the choice of the number of components."""

import numpy as np
import pytest

import estep
from estep import Stop
from estep.algorithms import EM
from estep.execution.serial import Serial
from estep.fitting import loop, stopping
from estep.fitting.batched import Batched, grouped
from estep.fitting.loop import fit_together
from estep.fitting.stopping import dominated
from estep.latents import Chain, Independent
from models import FAMILIES, draw, make_model

TOGETHER = [f for f in FAMILIES if "tied" not in f and "rayleigh" not in f]
FAITHFUL = estep.datasets.load_faithful().X


def some(family, R=3, K=2):
    """R models of K, K + 1 ... components, and data."""
    models = [make_model(family, "independent", K + seed, D=2, seed=seed) for seed in range(R)]
    source = draw(models[0], 200)
    return [estep.Model(m.latent, m.emission.adapt(source.summary)) for m in models], source


@pytest.mark.parametrize("family", TOGETHER)
@pytest.mark.parametrize("weighted", [False, True])
def test_steps_are_those_of_each_alone(family, weighted, level):
    models, source = some(family)
    weights = np.random.default_rng(0).integers(0, 3, len(source)).astype(float) if weighted else None
    batch = estep.Source(source.X, weights=weights).whole()
    several = Batched.of(models)
    s = several.expect(batch)
    after, _ = several.maximize(s)
    for i, model in enumerate(models):
        one = model.expect(batch)
        np.testing.assert_allclose(s["loglik"][i], one["loglik"], rtol=1e-12)
        mine = slice(several.ends[i] - model.n_components, several.ends[i])
        np.testing.assert_allclose(s["latent"][mine], one["latent"], rtol=1e-10)
        alone, _ = model.maximize(one)
        together = after.model(i)
        np.testing.assert_allclose(together.latent.weights, alone.latent.weights, rtol=1e-10)
        for name, value in alone.emission.values().items():
            np.testing.assert_allclose(together.emission.values()[name], value, rtol=1e-8, atol=1e-10)
    kept = after.keep([2, 0])
    np.testing.assert_array_equal(kept.model(0).latent.weights, after.model(2).latent.weights)
    np.testing.assert_allclose(kept.model(1).score(source), after.model(0).score(source), rtol=1e-13)


@pytest.mark.parametrize(
    "family", ["gaussian-full", "gaussian-tied", "poisson", "rayleigh", "gamma", "multinomial", "mixture-of-poisson"]
)
def test_starts_together_end_as_each_alone(family, monkeypatch):
    monkeypatch.setattr(loop, "dominated", lambda *_: False)
    models, source = some(family, R=5)
    stop = Stop(tol=1e-6)
    together = fit_together(models, source, EM(), stop, Serial())
    alone = [fit_together([m], source, EM(), stop, Serial())[0] for m in models]
    assert [f.n_iter for f in together] == [f.n_iter for f in alone]
    np.testing.assert_allclose([f.bound for f in together], [f.bound for f in alone], rtol=1e-10)
    assert [f.stop_reason for f in together] == [f.stop_reason for f in alone]
    np.testing.assert_allclose(together[1].model.score(source), together[1].bound, rtol=1e-12)


def test_who_goes_alone():
    def sizes(family, latent, *numbers, together=True):
        models = [make_model(family, latent, K, 2) for K in numbers]
        return [len(group) for group in grouped(models, together)]

    assert sizes("gaussian-full", "independent", *[3] * 43) == [42, 1]
    assert sizes("gaussian-full", "independent", *[3] * 4, together=False) == [1] * 4
    assert sizes("gaussian-tied", "independent", 3, 3) == [1, 1]
    assert sizes("gaussian-full", "chain", 3, 3) == [1, 1]
    assert sizes("poisson", "independent", 100, 28, 1, 500, 2) == [2, 1, 1, 1]


def test_a_component_is_named_by_its_model():
    several = Batched.of(some("poisson")[0])
    assert [several.place(k) for k in (0, 1, 2, 4, 5, 8)] == [(0, 0), (0, 1), (1, 0), (1, 2), (2, 0), (2, 3)]


@pytest.mark.parametrize("family", ["gaussian", "tied", "hmm"])
def test_the_hopeless_are_dropped_and_reported(family, monkeypatch):
    def fit():
        if family == "hmm":
            return estep.GaussianHMM(4, n_init=12, random_state=1).fit(FAITHFUL).fit_
        kind = "tied" if family == "tied" else "full"
        options = dict(covariance_type=kind, n_init=12, init_params="random_from_data", random_state=0)
        return estep.GaussianMixture(4, **options).fit(FAITHFUL).fit_

    raced = fit()
    monkeypatch.setattr(loop, "dominated", lambda *_: False)
    patient = fit()
    assert raced.bound == pytest.approx(patient.bound, abs=1e-5)
    pairs = list(zip(raced.restarts, patient.restarts, strict=True))
    dropped = [(r, p) for r, p in pairs if r.stop_reason == "dropped"]
    assert dropped and all(r.n_iter < p.n_iter and r.bound <= p.bound for r, p in dropped)
    assert raced.stop_reason in ("converged", "max_iter")


def test_hopeless():
    limit = 10 - 0.9 ** np.arange(60.0)  # to 10, by gains that shrink by a tenth
    assert not dominated(limit[:10], 1e3, 1.0)  # too early to say
    assert dominated(limit[:30], 1e3, 1.0)
    assert not dominated(limit[:30], 10 + 1e-3, 1.0)  # the estimate may be wrong by more than that
    assert dominated(limit, 11, 1.0)
    assert not dominated(limit[:30], limit[29], 1.0)  # leads
    assert not dominated(limit, 11, 200.0)  # not far behind, for so many rows
    slow_then_fast = np.concatenate([limit[:20], limit[19] + 0.01 * 1.3 ** np.arange(1, 10)])
    assert not dominated(slow_then_fast, 1e3, 1.0)  # gains grow


@pytest.mark.parametrize("family", ["gaussian-full", "gaussian-tied", "poisson"])
@pytest.mark.parametrize("latent", [Independent(), Chain()])
def test_each_number_of_components_is_fitted_as_if_alone(family, latent, monkeypatch):
    """No number races another, whoever fits better; a number's starts are its own."""
    monkeypatch.setattr(stopping, "RECENT", 4)
    emission = make_model(family, "independent", 2, 2).emission
    emission = type(emission)(*([emission.covariance_type] if "gaussian" in family else []))
    source = draw(make_model(family, "independent", 2, D=2, seed=3), 300)
    chosen = estep.select(source, [4, 1, 2], emission, latent, n_init=3, random_state=5, stop=Stop(1e-6, 60))
    assert [c.n_components for c in chosen.candidates] == [4, 1, 2]
    for c in chosen.candidates:
        alone = estep.select(source, [c.n_components], emission, latent, n_init=3, random_state=5, stop=Stop(1e-6, 60))
        assert c.fit.bound == pytest.approx(alone.best.fit.bound, rel=1e-9)
        assert [r.n_iter for r in c.fit.restarts] == [r.n_iter for r in alone.best.fit.restarts]
        assert c.bic == pytest.approx(c.fit.model.n_parameters * np.log(300) - 2 * c.fit.bound)
    assert chosen.best.bic == min(c.bic for c in chosen.candidates)


def test_select():
    chosen = estep.select(FAITHFUL, range(1, 6))
    assert chosen.best.n_components == 2
    assert chosen.best.fit.bound == pytest.approx(-1130.26396, abs=1e-5)
    counts = estep.datasets.load_earthquakes().X
    hmm = estep.select(counts, range(1, 5), "poisson", Chain(), n_init=5, criterion="aic")
    assert hmm.best.n_components == 3 and hmm.criterion == "aic"  # Zucchini & MacDonald 2009, table 6.3
    for wrong, words in (
        ({"criterion": "dic"}, "bic, aic, aicc, icl, cv"),
        ({"n_components": []}, "empty"),
        ({"n_components": [300]}, "300 gaussian: .* n_samples = 272"),
        ({"emission": "gausian"}, "gaussian"),
        ({"n_init": 0}, "from 1"),
    ):
        with pytest.raises(ValueError, match=words):
            estep.select(FAITHFUL, **{"n_components": [1, 2]} | wrong)


def test_an_interrupted_selection_keeps_what_is_done():
    counts = estep.datasets.load_earthquakes().X

    def stop_at_the_third(it):
        if it.restart == 2:
            raise KeyboardInterrupt

    chosen = estep.select(counts, [1, 2, 3, 4], "poisson", Chain(), callbacks=[stop_at_the_third])
    assert [c.n_components for c in chosen.candidates] == [1, 2, 3]
    assert [c.fit.stop_reason for c in chosen.candidates] == ["converged", "converged", "interrupted"]
