"""What is known without looking ahead: filtered probabilities, forecasts, and paths drawn chunk by chunk."""

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest

import estep
from brute import enumerate_chain
from estep import Model, kernels
from estep.emissions import Categorical, Gaussian, Poisson
from estep.execution.threads import threads
from estep.inference.decode import Viterbi
from estep.inference.e_step import EStep
from estep.inference.filter import Filter
from estep.inference.sample import DrawPaths, draw_paths
from estep.inference.smooth import Smooth
from estep.latents import Chain, Independent
from models import FAMILIES, make_model, read, rows_of, use
from test_chunks import CHAINS, vague

COMPILED = [k for k in kernels.levels() if k != "reference"]


@pytest.mark.parametrize("family", FAMILIES)
def test_filtered_probabilities_are_those_of_all_paths_so_far(family, level):
    model = make_model(family, "chain", K=3, D=2)
    source = read(model, rows_of(model, 6, 0))
    filtered = model.filter(source)
    logb = model.evaluate(source.whole()).log_densities
    for t in range(1, 7):
        _, gamma, _, _ = enumerate_chain(model.latent.startprob, model.latent.transmat, logb[:t])
        np.testing.assert_allclose(filtered[t - 1], gamma[-1], atol=1e-9)
    np.testing.assert_allclose(filtered[-1], model.predict_proba(source)[-1], atol=1e-9)  # nothing lies ahead
    np.testing.assert_array_equal(filtered, model.predict_proba(source, kind="filtered"))


def test_the_future_changes_nothing(compiled):
    model = make_model("gaussian-diag", "chain", K=4, D=2)
    X = rows_of(model, 300, 0)
    whole = model.filter(X)
    np.testing.assert_allclose(model.filter(X[:200]), whole[:200], rtol=1e-12)
    X[250:] += 3
    np.testing.assert_allclose(model.filter(X)[:250], whole[:250], rtol=1e-12)
    assert np.abs(model.predict_proba(X)[:250] - whole[:250]).max() > 1e-3  # smoothed ones look ahead


@pytest.mark.parametrize("K", [1, 2, 5, 17, 40])
@pytest.mark.parametrize("name", CHAINS)
def test_levels_agree(name, K, compiled, monkeypatch):
    model = Model(Chain(*CHAINS[name](K)), vague("gaussian", K))
    source = read(model, rows_of(model, 900, 1), np.array([500, 1, 0, 399]))
    found = model.filter(source)
    u = np.random.default_rng(0).random(900)
    spec, chain = model.kernel(source.summary), (model.latent.startprob, model.latent.transmat, source.ends, source.X)
    path, expected = np.empty(900, np.int32), np.empty(900, np.int32)
    kernels.active().draw(spec, *chain, u, path)
    use(monkeypatch, "reference")
    np.testing.assert_allclose(found, model.filter(source), atol=1e-11)
    kernels.active().draw(spec, *chain, u, expected)
    assert (path == expected).mean() > 0.999  # a number within rounding of a cut may fall on either side


@pytest.mark.parametrize("K", [2, 5, 11])
@pytest.mark.parametrize("name", CHAINS)
def test_chunks_are_what_the_whole_is(name, K, compiled, monkeypatch):
    model = Model(Chain(*CHAINS[name](K)), vague("gaussian", K))
    source = read(model, rows_of(model, 6000, 0), np.array([5000, 10, 990]))
    whole = model.filter(source)
    ahead = model.forecast(source, 4)
    monkeypatch.setattr(estep.latents.chain, "CHAIN_ROWS", 512)
    monkeypatch.setattr(estep.latents.chain, "LEAF_WORK", 1)
    assert len(source.leaves(model.leaf_rows())) > 8
    for execute in (None, threads(2)):
        np.testing.assert_allclose(model.filter(source, execute=execute), whole, atol=1e-9)
        np.testing.assert_allclose(model.forecast(source, 4, execute=execute), ahead, atol=1e-9)
    paths = [draw_paths(model, source, 7, execute) for execute in (None, threads(2), threads(3))]
    assert all((p == paths[0]).all() for p in paths)
    assert np.isfinite(model.path_log_probability(source, paths[0])).all()  # also where chunks meet


@pytest.mark.parametrize("name", ["forgets", "forgets slowly", "never forgets"])
def test_paths_drawn_in_chunks_come_as_often_as_they_should(name, compiled, monkeypatch):
    """States and moves at boundaries of chunks, against the smoothed probabilities of the whole."""
    model = Model(Chain(*CHAINS[name](3)), vague("gaussian", 3))
    source = read(model, rows_of(model, 2400, 3))
    gamma = model.predict_proba(source)
    monkeypatch.setattr(estep.latents.chain, "CHAIN_ROWS", 256)
    monkeypatch.setattr(estep.latents.chain, "LEAF_WORK", 1)
    assert len(source.leaves(model.leaf_rows())) > 4
    n = 300
    paths = np.array([draw_paths(model, source, i, None) for i in range(n)])
    shares = np.stack([(paths == k).mean(axis=0) for k in range(3)], axis=1)
    assert np.abs(shares - gamma).max() < 5 * np.sqrt(0.25 / n)
    if name == "never forgets":
        assert (paths == paths[:, :1]).all()


def test_labels_and_impossible_rows(compiled):
    model = Model(Chain([1.0, 0.0], [[0.5, 0.5], [0.0, 1.0]]), Categorical([[0.5, 0.5, 0.0], [0.0, 0.5, 0.5]]))
    X = np.array([0, 1, 1, 2, 1, 2, 0])[:, None]  # after 2 there is no way back to 0
    with pytest.raises(ValueError, match=r"sequence 1 .* step 2 .*row 6"):
        model.filter(X, [4, 3])
    with pytest.warns(RuntimeWarning, match="1 sequence is impossible"):
        p = model.filter(X, [4, 3], on_impossible="skip")
    assert np.isnan(p[4:]).all()
    np.testing.assert_allclose(p[:4], [[1, 0], [0.5, 0.5], [0.25, 0.75], [0, 1]])
    with pytest.raises(ValueError, match="sequence 1"):
        model.forecast(X, 2, [4, 3])
    known = model.source(X[:4], labels=[-1, 0, -1, -1])
    np.testing.assert_allclose(model.filter(known)[1], [1, 0])


def test_forecasts_are_powers_of_the_transition_matrix(level):
    model = make_model("poisson", "chain", K=3, D=1)
    source = read(model, rows_of(model, 50, 0))
    p = model.forecast(source, 5)
    assert p.shape == (1, 5, 3)
    for h in range(5):
        expected = model.filter(source)[-1] @ np.linalg.matrix_power(model.latent.transmat, h + 1)
        np.testing.assert_allclose(p[0, h], expected, atol=1e-12)
    two = model.forecast(model.emission.sample(np.zeros(50, int), np.random.default_rng(0)), 2, lengths=[50, 0])
    np.testing.assert_allclose(two[1, 0], model.latent.startprob)  # nothing has been seen
    for steps in (0, -1, 1.5, True):
        with pytest.raises(ValueError, match="steps is"):
            model.forecast(source, steps)


def test_a_mixture_has_nothing_to_look_back_at():
    model = Model(Independent([0.25, 0.75]), Poisson([[1.0], [4.0]]))
    X = np.arange(5.0)[:, None]
    np.testing.assert_allclose(model.filter(X), model.predict_proba(X))
    np.testing.assert_allclose(model.forecast(X, 3), np.tile([0.25, 0.75], (1, 3, 1)))
    with pytest.raises(ValueError, match="'smoothed', which looks ahead, or 'filtered'"):
        model.predict_proba(X, kind="ahead")


def test_estimators_answer_with_frames():
    X = estep.datasets.load_earthquakes().X
    hmm = estep.PoissonHMM(2, random_state=0).fit(X)
    np.testing.assert_array_equal(hmm.filter(X), hmm.predict_proba(X, kind="filtered"))
    frame = hmm.forecast(X, 3)
    assert isinstance(frame, pd.DataFrame) and list(frame.columns)[:3] == ["step", "state_0", "state_1"]
    np.testing.assert_allclose(frame[["state_0", "state_1"]].sum(axis=1), 1)
    np.testing.assert_allclose(frame.loc[0, ["state_0", "state_1"]], hmm.filter(X)[-1] @ hmm.transmat_)
    several = hmm.forecast(pl.DataFrame({"n": X[:, 0]}), 2, lengths=[100, 7])
    assert isinstance(several, pl.DataFrame) and several.columns[:2] == ["sequence", "step"]
    assert several["sequence"].to_list() == [0, 0, 1, 1] and several["step"].to_list() == [1, 2, 1, 2]
    assert isinstance(hmm.forecast([pd.DataFrame({"x": X[:50, 0]}), pd.DataFrame({"x": X[50:, 0]})], 1), pd.DataFrame)


def test_tasks_are_values():
    """They pickle, and a copy finds the same; nothing is written into what came in."""
    model = Model(Chain(*CHAINS["forgets"](3)), vague("gaussian", 3))
    source = read(model, rows_of(model, 4000, 0))
    leaves = source.leaves(512)
    for task in (EStep(model), Filter(model), Smooth(model), Viterbi(model), DrawPaths(model, 3)):
        copy = pickle.loads(pickle.dumps(task))
        known = estep.interface.Known(np.log([0.2, 0.3, 0.5]))
        one, again = (t.run(leaves[3], known) for t in (task, copy))
        assert pickle.dumps(one) == pickle.dumps(again) == pickle.dumps(task.run(leaves[3], known))
        assert known.right is None and not known.logs


@pytest.mark.skipif(not COMPILED, reason="installed without a compiler")
def test_whitened_and_many_columns(compiled):
    rng = np.random.default_rng(0)
    emission = Gaussian("full", rng.normal(0, 1, (6, 40)), np.tile(np.eye(40), (6, 1, 1)))
    model = Model(Chain(*CHAINS["forgets"](6)), emission)
    source = read(model, rows_of(model, 200, 0))
    np.testing.assert_allclose(model.filter(source)[-1], model.predict_proba(source)[-1], atol=1e-10)


def test_spells_are_the_stays_of_the_path():
    rng = np.random.default_rng(5)
    hidden = np.repeat([0, 1, 0, 1], [30, 20, 25, 25])
    frame = pd.DataFrame({"x": rng.normal(6.0 * hidden, 1)}, index=pd.date_range("2024-01-01", periods=100))
    hmm = estep.GaussianHMM(2, random_state=0, order_by="mean").fit(frame)
    spells = hmm.spells(frame)
    assert spells["state"].tolist() == [0, 1, 0, 1] and spells["rows"].tolist() == [30, 20, 25, 25]
    assert spells["first"].tolist() == [frame.index[i] for i in (0, 30, 50, 75)]
    assert spells["last"].tolist() == [frame.index[i] for i in (29, 49, 74, 99)]
    sure = hmm.predict_proba(frame).max(axis=1)
    assert spells["probability"].tolist() == pytest.approx(
        [sure[:30].mean(), *(sure[a:b].mean() for a, b in ((30, 50), (50, 75), (75, 100)))]
    )
    two = hmm.spells(frame.to_numpy(), lengths=[40, 60])
    states = hmm.predict(frame.to_numpy(), [40, 60])
    assert np.repeat(two["state"], two["rows"]).tolist() == states.tolist()
    assert two["first"].tolist() == [0, *(two["last"][:-1] + 1)] and 40 in two["first"].tolist()
    assert two["sequence"].tolist() == [int(first >= 40) for first in two["first"]]
    ahead = hmm.forecast(frame, 3)
    assert ahead.index.tolist() == list(pd.date_range("2024-04-10", periods=3))
    assert hmm.forecast(frame.to_numpy(), 3).index.tolist() == [0, 1, 2]
    with pytest.raises(ValueError, match="99 times are given for 100 rows"):
        hmm.spells(frame, times=np.arange(99))
