"""Several EM steps in one call are those made one by one, and end where something has to be decided."""

import numpy as np
import pytest

import estep
from estep import Model, Stop, kernels
from estep.emissions import Gaussian
from estep.inference import passes
from estep.latents import Independent
from models import use

COMPILED = [k for k in kernels.levels() if k != "reference"]
pytestmark = pytest.mark.skipif(not COMPILED, reason="installed without a compiler")


def problem(kind, D, K=3, n=240, apart=3.0, seed=0):
    """Rows of overlapping clusters, with weights, and a model to start from."""
    rng = np.random.default_rng(seed)
    means = rng.normal(0, apart, (K, D))
    X = means[rng.integers(K, size=n)] + rng.normal(size=(n, D))
    C = np.tile(np.eye(D), (K, 1, 1)) if kind == "full" else np.ones((K, D))
    start = Model(Independent(np.full(K, 1 / K)), Gaussian(kind, means + rng.normal(size=(K, D)), C))
    return start, X, rng.integers(1, 4, n).astype(float)


def fits(monkeypatch, start, source, **stop):
    """The same fit with steps made ahead, and one by one."""
    ahead = estep.fit(start, source, stop=Stop(**stop))
    with monkeypatch.context() as patched:
        patched.setattr(Gaussian, "climb", lambda *_: None)
        return ahead, estep.fit(start, source, stop=Stop(**stop))


def same(one, other, tolerance=1e-8, bounds=1e-11):
    assert one.n_iter == other.n_iter and one.stop_reason == other.stop_reason
    np.testing.assert_allclose(one.trace.bounds, other.trace.bounds, rtol=bounds)
    assert one.trace.passes == other.trace.passes
    for part in ("latent", "emission"):
        for name, value in getattr(one.model, part).values().items():
            np.testing.assert_allclose(value, getattr(other.model, part).values()[name], rtol=tolerance, atol=1e-10)


@pytest.mark.parametrize("level", COMPILED)
@pytest.mark.parametrize(("kind", "D"), [("full", 1), ("full", 4), ("diag", 1), ("diag", 7)])
@pytest.mark.parametrize("weighted", [False, True])
def test_steps_ahead_are_those_one_by_one(monkeypatch, level, kind, D, weighted):
    use(monkeypatch, level)
    start, X, w = problem(kind, D)
    source = estep.as_source(X, None, w if weighted else None)
    one, other = fits(monkeypatch, start, source, max_iter=13, tol=0)
    assert one.n_iter == 13
    same(one, other)
    assert one.bound == pytest.approx(one.model.score(X, weights=w if weighted else None), rel=1e-12)


def test_they_are_made_ahead(monkeypatch):
    """Small data ask for one E-step by itself at most: what the tests above compare are not two of a kind."""
    start, X, _ = problem("full", 3)
    asked = []
    monkeypatch.setattr(passes.Passes, "expect", lambda *_: asked.append(1))
    assert estep.fit(start, X, stop=Stop(max_iter=20, tol=0)).n_iter == 20
    assert not asked


def test_labels_hold(monkeypatch):
    start, X, _ = problem("full", 2)
    labels = np.where(np.arange(len(X)) % 5 == 0, np.arange(len(X)) % 3, -1)
    same(*fits(monkeypatch, start, estep.as_source(X, labels=labels), max_iter=9, tol=0))


def test_the_stop_rule_has_its_say_at_each_step(monkeypatch):
    start, X, _ = problem("diag", 2)
    seen = []
    for n in range(10):
        seen.clear()
        estep.fit(start, X, stop=Stop(max_iter=n, tol=0), callbacks=[lambda it: seen.append(it.iteration)])
        assert seen == list(range(n + 1))
    for rule in ("gain", "aitken", "parameters"):
        same(*fits(monkeypatch, start, X, rule=rule, tol=1e-6))


@pytest.mark.parametrize("kind", ["full", "diag"])
def test_what_has_to_be_decided_is_left_to_the_m_step(monkeypatch, kind):
    """Components at their floor, without rows, or that lose digits where rows leave them out."""
    start, X, _ = problem(kind, 2, n=60)
    X[:20] = X[0]  # one component shrinks onto them
    one, other = fits(monkeypatch, start, X, max_iter=40, tol=0)
    same(one, other, 1e-6, 1e-6)  # what shrinks magnifies rounding
    assert one.collapsed == other.collapsed
    far = start.emission.means + np.array([[0, 0], [0, 0], [40.0, 40.0]])
    lost = Model(start.latent, start.emission.with_values(means=far))
    same(*fits(monkeypatch, lost, X, max_iter=12, tol=0), 1e-6)


def test_a_fit_with_priors_or_constraints_makes_its_own_steps():
    start, X, _ = problem("full", 2)
    held = estep.constrained(start, {"means": [0]})
    fitted = estep.fit(held, X, stop=Stop(max_iter=5, tol=0)).model
    np.testing.assert_array_equal(fitted.emission.means[0], start.emission.means[0])
    prior = estep.with_prior(start, estep.as_source(X), "map")
    assert estep.fit(prior, X, stop=Stop(max_iter=30)).bound != estep.fit(start, X, stop=Stop(max_iter=30)).bound
