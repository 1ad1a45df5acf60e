"""The laws, each stated once. Every family, latent part and algorithm is put under all of them."""

import json
import pickle
from dataclasses import replace

import numpy as np

import estep
from brute import enumerate_chain
from estep import Stop
from estep.algorithms import Squarem
from estep.emissions import MixtureOf, Product, Student
from estep.execution.serial import Serial
from estep.inference.driver import Driver
from estep.inference.e_step import EStep
from estep.interface import Path
from estep.statistics import Statistics
from models import read


def statistics(model, batch):
    return model.expect(batch).vector


def densities(model, source):
    """Log-densities (n, K) of all rows."""
    logb = model.emission.evaluate(source.whole()).log_densities
    return logb if source.base is None else logb + source.base[:, None]


def units(source, which):
    """A source of those rows or sequences."""
    ends = np.arange(1, len(source) + 1) if source.ends is None else source.ends
    cuts = np.concatenate([[0], ends])
    rows = np.concatenate([np.arange(cuts[i], cuts[i + 1]) for i in which])
    chosen = source.some(rows, source.weights[rows] if source.ends is None and source.weights is not None else None)
    return chosen if source.ends is None else replace(chosen, ends=np.cumsum(np.diff(cuts)[which]))


def law_statistics_add_over_batches(model, source):
    whole = statistics(model, source.whole())
    leaves = source.leaves(max(1, len(source) // 5))
    assert len(leaves) > 1
    cut = Driver(leaves, Serial()).add(EStep(model)).vector
    np.testing.assert_allclose(cut, whole, rtol=1e-10, atol=1e-10 * np.abs(whole).max())


def law_order_of_units_does_not_matter(model, source):
    turned = units(source, np.arange(source.n_sequences)[::-1])
    a, b = statistics(model, source.whole()), statistics(model, turned.whole())
    np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-10 * np.abs(a).max())


def law_integer_weight_is_repetition(model, source, rng):
    """Weight 2 is two units, weight 0 is none."""
    w = rng.integers(0, 3, source.n_sequences)
    w[0] = 2
    weighted = replace(source, weights=w.astype(float))
    repeated = units(source, np.repeat(np.arange(source.n_sequences), w))
    a, b = statistics(model, weighted.whole()), statistics(model, repeated.whole())
    np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-10 * np.abs(a).max())


def law_maximize_is_stationary(model, source, rng):
    """No nearby parameters have a higher expected complete-data log-likelihood (for the emission's statistics)."""
    r = rng.dirichlet(np.ones(model.n_components), size=len(source))
    batch = source.whole()
    s = Statistics.zeros(model.emission.layout)
    model.emission.evaluate(batch).accumulate(r, s)
    best, _ = model.emission.maximize(s)

    def q(emission):
        logb = emission.evaluate(batch).log_densities
        return float((r * np.where(r > 0, logb, 0)).sum())

    top = q(best)
    assert top >= q(model.emission)
    parts = best.families if isinstance(best, Product) else [best]
    if any(isinstance(part, MixtureOf | Student) for part in parts):  # raises Q, without reaching its top
        return
    for label, value in best.values().items():
        name = label.split(".")[-1]
        for _ in range(10):
            step = 1e-4 * rng.normal(size=value.shape) * np.abs(value)
            if name == "covariances" and value.ndim > 1 and value.shape[-1] == value.shape[-2]:
                step = (step + step.swapaxes(-1, -2)) / 2
            moved = value + step
            if name == "emissionprob":
                moved = moved / moved.sum(axis=1, keepdims=True)
            assert q(best.with_values(**{label: moved})) <= top + 1e-9 * abs(top)


def law_posterior_rows_sum_to_the_weight(model, source):
    r = model.predict_proba(source)
    np.testing.assert_allclose(r.sum(axis=1), 1, atol=1e-9)
    assert (r >= 0).all() and (r <= 1).all()


def law_chain_equals_enumeration(model, X):
    """Forward, forward-backward and enumeration give one likelihood; Viterbi's path scores what Viterbi says."""
    chain = model.latent
    source = read(model, X)
    logb = densities(model, source)
    loglik, gamma, xi, best = enumerate_chain(chain.startprob, chain.transmat, logb)
    s = Statistics(chain.layout, model.expect(source.whole())["latent"])
    np.testing.assert_allclose(model.score(source), loglik, rtol=1e-12)
    np.testing.assert_allclose(model.predict_proba(source), gamma, atol=1e-12)
    np.testing.assert_allclose(s["transitions"], xi, atol=1e-11)
    np.testing.assert_allclose(s["start"], gamma[0], atol=1e-12)
    path, logprob = model.decode(source)
    np.testing.assert_allclose(logprob, best, rtol=1e-12)
    np.testing.assert_allclose(
        chain.path_log_probability(logb[np.arange(len(path)), path], Path(path, source.ends)), best, rtol=1e-12
    )


def law_no_sampled_path_beats_viterbi(model, source, rng):
    logb = densities(model, source)
    _, best = model.decode(source)
    for seed in range(20):
        states = model.latent.sample(len(source), np.random.default_rng(seed))
        assert (
            model.latent.path_log_probability(logb[np.arange(len(states)), states], Path(states, source.ends))
            <= best + 1e-9 * np.abs(best)
        ).all()


def law_never_falls(fit):
    bounds = np.array(fit.trace.bounds)
    assert len(bounds) > 1
    assert (np.diff(bounds) >= -1e-10 * np.abs(bounds[1:])).all()


def law_bound_belongs_to_the_model(fit, source):
    np.testing.assert_allclose(fit.bound, fit.model.score(replace(source, weights=None)), rtol=1e-12)
    assert len(fit.trace.bounds) == fit.n_iter + 1


def law_fixed_point_stays(model, source):
    """A fixed point of EM is one: fitting again from the end moves nothing."""
    end = estep.fit(model, source, Squarem(), Stop(tol=1e-13, max_iter=1000, reseeds=0))
    again = estep.fit(end.model, source, stop=Stop(tol=0, max_iter=3, reseeds=0))
    np.testing.assert_allclose(again.bound, end.bound, rtol=1e-8)


def law_round_trips(model, source, tmp_path, families):
    """Pickle and model file score bit for bit the same."""
    scores = model.score_units(source)
    path = tmp_path / "model.json"
    estep.save(model, path)
    json.loads(path.read_text())
    for twin in (pickle.loads(pickle.dumps(model)), estep.load(path, families)):
        assert (twin.score_units(source) == scores).all()
