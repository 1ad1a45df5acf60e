"""The loop: reasons to stop, callbacks, interrupts, algorithms of one's own."""

from dataclasses import replace

import numpy as np
import pytest

import estep
from estep import Algorithm, Stop
from estep.emissions import Poisson
from estep.execution.threads import threads
from estep.interface import Step
from estep.latents import Independent
from models import draw, make_model


@pytest.fixture
def problem():
    model = make_model("gaussian-full", "independent", K=2, D=2)
    return make_model("gaussian-full", "independent", K=2, D=2, seed=9), draw(model, 300)


def test_trace(problem):
    model, source = problem
    seen = []
    fit = estep.fit(model, source, callbacks=[seen.append])
    assert fit.stop_reason == "converged" and fit.converged
    assert [it.bound for it in seen] == fit.trace.bounds
    assert [it.iteration for it in seen] == list(range(fit.n_iter + 1))
    assert (np.diff(fit.trace.seconds) >= 0).all()
    assert fit.weight == 300
    gain = fit.trace.bounds[-1] - fit.trace.bounds[-2]
    assert gain <= 1e-8 * 300


def test_an_interrupt_returns_the_last_good_model(problem):
    model, source = problem

    def interrupt(it):
        if it.iteration == 3:
            raise KeyboardInterrupt

    fit = estep.fit(model, source, callbacks=[interrupt])
    assert fit.stop_reason == "interrupted" and not fit.converged
    assert fit.n_iter == 3
    assert fit.bound == pytest.approx(fit.model.score(source), rel=1e-12)
    hmm = estep.GaussianHMM(2, callbacks=[interrupt], random_state=0)
    with pytest.raises(KeyboardInterrupt):
        hmm.fit(source.X)
    assert hmm.stop_reason_ == "interrupted"
    assert hmm.lower_bound_ == pytest.approx(hmm.score(source.X))


def test_an_interrupt_in_a_later_start_keeps_the_best():
    X = estep.datasets.load_faithful().X

    def interrupt(it):
        if it.restart == 3 and it.iteration == 5:
            raise KeyboardInterrupt

    fit = estep.GaussianMixture(3, n_init=10, random_state=0, callbacks=[interrupt])
    with pytest.raises(KeyboardInterrupt):
        fit.fit(X)
    assert [r.stop_reason for r in fit.fit_.restarts] == [
        "interrupted"
    ] * 6  # those made of the data alone run together
    assert all(r.n_iter == 5 for r in fit.fit_.restarts)
    assert fit.fit_.bound == max(r.bound for r in fit.fit_.restarts)
    hmm = estep.PoissonHMM(2, n_init=10, random_state=0, callbacks=[interrupt])
    with pytest.raises(KeyboardInterrupt):
        hmm.fit(np.random.default_rng(0).poisson(5, size=(100, 1)))
    assert len(hmm.fit_.restarts) == 3 and hmm.stop_reason_ == "interrupted"


class Falling(Algorithm):
    """Three steps of EM, then a step away."""

    def init(self, model):
        return 0

    def step(self, model, data, state):
        total = data.expect(model)
        better, _ = model.maximize(total)
        if state == 3:
            better = replace(better, emission=replace(better.emission, means=better.emission.means + 5))
        return Step(better, state + 1, float(total["loglik"]))


def test_a_fall_is_told_and_the_model_before_is_kept(problem):
    model, source = problem
    fit = estep.fit(model, source, algorithm=Falling())
    assert fit.stop_reason == "bound fell" and not fit.converged
    assert fit.n_iter == 3
    assert fit.bound == pytest.approx(fit.model.score(source), rel=1e-12)
    assert fit.trace.bounds[-1] < fit.bound
    with pytest.warns(Warning, match="the likelihood fell at iteration 4"):
        estep.GaussianMixture(2, algorithm=Falling(), random_state=0).fit(source.X)


def test_stop():
    assert Stop(1e-3).reason([0.0], 10) is None
    assert Stop(1e-3).reason([0.0, 0.02], 10) is None
    assert Stop(1e-3).reason([0.0, 0.005], 10) == "converged"
    assert Stop(1e-3).reason([0.0, -0.02], 10) == "bound fell"
    assert Stop(1e-3).reason([0.0, -0.02], 10, rounding=1e-2) == "converged"
    assert Stop(0).reason([0.0, 0.0], 10) is None  # all max_iter, as scikit-learn does
    assert Stop(1e-3, max_iter=1).reason([0.0, 1.0], 10) == "max_iter"
    for bad in ({"tol": -1}, {"tol": float("nan")}, {"max_iter": -1}, {"max_iter": 1.5}):
        with pytest.raises(ValueError):
            Stop(**bad)


def test_models_refuse_what_does_not_fit_together():
    with pytest.raises(ValueError, match="2 components.*3"):
        estep.Model(estep.latents.Independent([0.5, 0.5]), estep.emissions.Poisson([[1.0], [2.0], [3.0]]))
    with pytest.raises(ValueError, match="not known yet"):
        estep.Model(estep.latents.Independent([1.0]), estep.emissions.Poisson())
    mixture = make_model("poisson", "independent", K=2, D=1)
    with pytest.raises(ValueError, match="no sequences"):
        mixture.score([[1.0]], [1])
    with pytest.raises(ValueError, match="one weight for each sequence"):
        make_model("poisson", "chain", K=2, D=1).source([[1.0], [2.0]], None, [1.0, 2.0])
    with pytest.raises(ValueError, match="n is 0"):
        mixture.sample(0)


def test_threads_after_a_fork():
    """A pool used before a fork is made anew in the child."""
    import multiprocessing

    model, X = estep.Model(Independent([0.5, 0.5]), Poisson([[1.0], [4.0]])), np.arange(200_000.0)[:, None] % 7
    here = estep.fit(model, X, stop=Stop(tol=0, max_iter=2), execute=threads(2)).bound
    with multiprocessing.get_context("fork").Pool(1) as pool:
        there = pool.apply_async(_fit_bound, (model, X)).get(timeout=60)
    assert there == here


def _fit_bound(model, X):
    return estep.fit(model, X, stop=Stop(tol=0, max_iter=2), execute=threads(2)).bound


def test_threads_inside_joblib():
    from joblib import Parallel, delayed

    model, X = estep.Model(Independent([0.5, 0.5]), Poisson([[1.0], [4.0]])), np.arange(200_000.0)[:, None] % 7
    for backend in ("threading", "loky"):
        bounds = Parallel(n_jobs=2, backend=backend)(delayed(_fit_bound)(model, X) for _ in range(4))
        assert len(set(bounds)) == 1


def test_an_error_in_a_leaf_is_raised_and_the_pool_lives():
    execute = threads(3)

    class Leaf:
        def run(self, i, known):
            if i == known:
                raise ValueError("leaf 5")
            return i, None

    def items(bad):
        return [(i, bad) for i in range(50)]

    with execute.running():
        with pytest.raises(ValueError, match="leaf 5"):
            execute.map(Leaf(), items(5), lambda i, result: None)
        done = []
        execute.map(Leaf(), items(-1), lambda i, result: done.append(result))
    assert sorted(done) == list(range(50))


def test_aitkens_rule_waits_for_gains_to_come():
    """Gains that shrink by a hundredth each are a hundred times the last one in all."""
    bounds = list(10 - 0.99 ** np.arange(400.0))
    for i in range(3, 400):
        left = 10 - bounds[i - 1]
        stopped = Stop(tol=1e-1, rule="aitken").reason(bounds[:i], 1.0)
        assert stopped == ("converged" if left <= 1e-1 else None)
    assert Stop(tol=1e-1).reason(bounds[:3], 1.0) == "converged"
    assert Stop(tol=1e-1, rule="aitken").reason([1.0, 1.01, 1.03], 1.0) is None  # gains grow
    assert Stop(tol=1e-1, rule="aitken").reason([1.0, 1.01], 1.0) is None
    assert Stop(tol=1e-1, rule="aitken").reason([1.0, 1.01, 1.01], 1.0) == "converged"
    with pytest.raises(ValueError, match="aitken"):
        Stop(rule="bic")
