"""What a fitted chain answers, against the enumeration of all paths and against integration."""

import itertools
import pickle

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import estep
from brute import enumerate_chain
from estep import Model
from estep.emissions import Categorical, Gaussian, MixtureOf, Poisson, Product, VonMises
from estep.estimators import from_model
from estep.latents import Chain
from models import FAMILIES, asked, make_model, read, rows_of
from test_own_latent import MinimumStay

K, N = 3, 6
CASES = ("plain", "zeros", "missing", "labels", "mask")


def small(case, family="gaussian-full", seed=0):
    """(model, rows, keywords, the log-densities as they enter) of a chain of a few rows."""
    model = make_model(family, "chain", K, D=2, seed=seed)
    if case == "zeros":
        chain = Chain([0.6, 0.4, 0.0], [[0.5, 0.5, 0.0], [0.2, 0.3, 0.5], [0.7, 0.0, 0.3]])
        model = Model(chain, model.emission)
    X, known = rows_of(model, N, seed), {}
    if case == "missing":
        X = X.copy()
        X[1, 0] = X[3] = np.nan
    if case == "labels":
        known["labels"] = np.array([-1, 2, -1, -1, 0, -1])
    if case == "mask":
        known["labels"] = np.random.default_rng(1).random((N, K)) < 0.7
        known["labels"][:, 1] = True
    source = read(model, X, **known)
    batch = source.whole()
    logb = model.evaluate(batch).log_densities
    if batch.base is not None:
        logb = logb + batch.base[:, None]
    allowed = batch.allowed(K)
    return model, source, logb if allowed is None else np.where(allowed, logb, -np.inf)


def all_paths(model, logb):
    """(log p(rows, path), path) of all paths, the most probable first."""
    with np.errstate(divide="ignore"):
        start, moves = np.log(model.latent.startprob), np.log(model.latent.transmat)
    out = []
    for path in itertools.product(range(K), repeat=len(logb)):
        logp = start[path[0]] + logb[0, path[0]]
        for t in range(1, len(logb)):
            logp += moves[path[t - 1], path[t]] + logb[t, path[t]]
        out.append((logp, path))
    return sorted(out, key=lambda one: -one[0])


@pytest.mark.parametrize("case", CASES)
def test_fixed_lag_is_the_posterior_given_so_much_more(case, level):
    model, source, logb = small(case)
    for lag in (0, 1, 2, 4, 10):
        p = model.smooth(source, lag)
        for t in range(N):
            _, gamma, _, _ = enumerate_chain(model.latent.startprob, model.latent.transmat, logb[: t + lag + 1])
            np.testing.assert_allclose(p[t], gamma[t], atol=1e-10)
    np.testing.assert_array_equal(model.smooth(source, 0) > 0, model.filter(source) > 0)
    np.testing.assert_array_equal(model.smooth(source), model.predict_proba(source))


def test_a_lag_across_sequences_and_chunks(monkeypatch, compiled):
    model = make_model("gaussian-diag", "chain", 4, D=2)
    X, lengths = rows_of(model, 3000, 0), [2500, 1, 0, 499]
    whole = model.smooth(X, 30, lengths)
    np.testing.assert_allclose(model.smooth(X[:2500], 30), whole[:2500], atol=1e-12)
    np.testing.assert_allclose(
        model.smooth(X[2400:2500], 3000)[-10:], model.predict_proba(X[2400:2500])[-10:], atol=1e-9
    )
    monkeypatch.setattr(estep.latents.chain, "CHAIN_ROWS", 256)
    monkeypatch.setattr(estep.latents.chain, "LEAF_WORK", 1)
    monkeypatch.setattr(estep.data.grid, "HALO", 16)
    source = read(model, X, np.array(lengths))
    assert len(source.leaves(model.leaf_rows())) > 4
    np.testing.assert_allclose(model.smooth(source, 30), whole, atol=1e-9)


def test_what_is_far_below_the_best_is_told_apart():
    """The likeliest state cannot be reached; the others differ by less than linear space can hold."""
    chain = Chain([0.5, 0.5, 0.0], [[0.5, 0.5, 0.0], [0.5, 0.5, 0.0], [0.0, 0.0, 1.0]])
    model = Model(chain, Gaussian("diag", [[0.0], [1.0], [100.0]], [[1.0], [1.0], [1.0]]))
    X = np.array([[0.4], [100.0], [101.0]])
    np.testing.assert_allclose(model.smooth(X, 2), model.predict_proba(X), rtol=1e-9)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("family", ["gaussian-full", "mixture-of-gaussian-diag", "poisson"])
def test_k_best_are_the_first_of_all_paths(case, family):
    model, source, logb = small(case, family)
    (found,) = model.k_best(source, 40)
    wanted = [one for one in all_paths(model, logb) if one[0] > -np.inf][:40]
    np.testing.assert_allclose(found[0], [logp for logp, _ in wanted], rtol=1e-10)
    assert len({tuple(path) for path in found[1]}) == len(found[1]) == len(wanted)
    for logp, path in zip(*found, strict=True):
        np.testing.assert_allclose(logp, next(p for p, q in all_paths(model, logb) if q == tuple(path)), rtol=1e-10)
    states, best = model.decode(source)
    np.testing.assert_allclose(found[0][0], best[0], rtol=1e-12)
    np.testing.assert_array_equal(found[1][0], states)


def test_k_best_of_sequences_and_of_own_latent_parts():
    model = make_model("gaussian-diag", "chain", 3, D=2)
    X = rows_of(model, 20, 0)
    several = model.k_best(X, 5, [12, 0, 8])
    assert [paths.shape for _, paths in several] == [(5, 12), (1, 0), (5, 8)]
    hmm = from_model(model)
    log_probs, paths = hmm.k_best(X, 3)
    assert log_probs.shape == (3,) and paths.shape == (3, 20) and (np.diff(log_probs) <= 0).all()
    np.testing.assert_allclose(hmm.path_log_likelihood(X, paths[2]), log_probs[2])
    own = Model(MinimumStay(model.latent.startprob, model.latent.transmat), model.emission)
    (found,) = own.k_best(X, 4)
    states, best = own.decode(X)
    np.testing.assert_allclose(found[0][0], best[0])
    np.testing.assert_array_equal(found[1][0], states)
    for k in (0, -1, 1.5, True):
        with pytest.raises(ValueError, match="k is"):
            hmm.k_best(X, k)


@pytest.mark.parametrize("case", CASES)
def test_paths_come_as_often_as_their_posterior_says(case):
    model, source, logb = small(case)
    drawn = model.sample_paths(source, 3000, 0)
    _, gamma, xi, _ = enumerate_chain(model.latent.startprob, model.latent.transmat, logb)
    shares = np.stack([(drawn == k).mean(axis=0) for k in range(K)], axis=1)
    assert np.abs(shares - gamma).max() < 4.5 * np.sqrt(0.25 / 3000)
    moves = np.zeros((K, K))
    np.add.at(moves, (drawn[:, :-1], drawn[:, 1:]), 1 / 3000)
    assert np.abs(moves - xi).max() < 4.5 * np.sqrt(N * 0.25 / 3000)


def test_labels_in_every_question():
    model, source, logb = small("labels")
    hmm, X = from_model(model), source.X
    known = {"labels": np.array([-1, 2, -1, -1, 0, -1])}
    total, gamma, _, best = enumerate_chain(model.latent.startprob, model.latent.transmat, logb)
    np.testing.assert_allclose(hmm.score(X, **known), total)
    np.testing.assert_allclose(hmm.score_samples(X, **known), [total])
    np.testing.assert_allclose(hmm.predict_proba(X, **known), gamma, atol=1e-12)
    np.testing.assert_allclose(hmm.decode(X, **known)[0], best)
    assert hmm.predict(X, **known)[1] == 2 and hmm.predict(X, **known)[4] == 0
    assert hmm.filter(X, **known)[1, 2] == 1 and hmm.smooth(X, 1, **known)[4, 0] == 1
    assert (hmm.sample_paths(X, 5, random_state=0, **known)[:, 1] == 2).all()
    frame = hmm.forecast(X, 2, labels=[-1, -1, -1, -1, -1, 2])
    np.testing.assert_allclose(frame.loc[0, ["state_0", "state_1", "state_2"]], model.latent.transmat[2])
    with pytest.raises(ValueError, match="labels.* states are 0 to 2"):
        hmm.score(X, labels=[0, 1, 2, 3, 0, 0])
    with pytest.raises(ValueError, match="states are those of all rows"):
        hmm.path_log_likelihood(X, [0, 1, -1, 0, 0, 0])


# Streams


@pytest.mark.parametrize("family", [name for name in FAMILIES if "product" not in name])
def test_a_stream_filters_as_the_whole_does(family):
    model = make_model(family, "chain", 4, D=2)
    X, known = asked(model, rows_of(model, 60, 0))
    given = known.get("given")
    whole = model.filter(X, **known)
    stream = model.stream()
    np.testing.assert_allclose(stream.probabilities, model.latent.startprob)
    rows = [stream.update(x, None if given is None else given[i]) for i, x in enumerate(X)]
    np.testing.assert_allclose(rows, whole, atol=1e-11)
    blocks, at = model.stream(), 0
    for size in (1, 7, 20, 32):
        of_block = None if given is None else given[at : at + size]
        np.testing.assert_allclose(blocks.update(X[at : at + size], of_block), whole[at : at + size], atol=1e-11)
        at += size
    assert stream.n == blocks.n == 60


@pytest.mark.parametrize("family", [n for n in FAMILIES if n.split("-")[0] not in ("product", "rayleigh")])
def test_a_stream_bridges_what_is_missing(family):
    model = make_model(family, "chain", 3, D=2)
    if not model.emission.allows_missing:
        pytest.skip("the family wants every cell")
    rows = rows_of(model, 30, 0).astype(float)
    rows[5:7, model.emission.n_covariates :] = np.nan
    if "multinomial" not in family and rows.shape[1] > 1:
        rows[9, -1] = np.nan
    X, known = asked(model, rows)
    whole = model.filter(X, **known)
    stream, given = model.stream(), known.get("given")
    found = [stream.update(x, None if given is None else given[i]) for i, x in enumerate(X)]
    np.testing.assert_allclose(found, whole, atol=1e-11)


def test_streams_of_tables_and_of_own_latent_parts():
    model = make_model("product", "chain", 3, D=2)
    X = rows_of(model, 20, 0)
    frame = pd.DataFrame(X)
    stream = model.stream()
    found = np.vstack([stream.update(frame.iloc[i : i + 1]) for i in range(20)])
    np.testing.assert_allclose(found, model.filter(X), atol=1e-11)
    own = Model(
        MinimumStay(*make_model("poisson", "chain", 3, 2).latent.values().values()),
        FAMILIES["poisson"](3, 2, np.random.default_rng(0)),
    )
    X = rows_of(own, 40, 0)
    stream = own.stream()
    np.testing.assert_allclose([stream.update(x) for x in X], own.filter(X), atol=1e-11)


def test_a_stream_is_saved_and_goes_on_to_the_same_bits(tmp_path):
    import json

    model = make_model("gaussian-diag", "chain", 8, D=3)
    X = rows_of(model, 50, 0)
    stream = model.stream()
    for x in X[:25]:
        stream.update(x)
    estep.save(model, tmp_path / "model.json")
    state = json.loads(json.dumps(stream.state))
    others = [pickle.loads(pickle.dumps(stream)), estep.load(tmp_path / "model.json").stream(state)]
    for x in X[25:]:
        wanted = stream.update(x)
        for other in others:
            np.testing.assert_array_equal(other.update(x), wanted)
    assert stream.n == others[0].n == others[1].n == 50
    for wrong in ({}, {"n": 1, "filtered": None}, {"n": 2, "filtered": [1.0]}, {"n": -1, "filtered": None}):
        with pytest.raises(ValueError, match="none of a stream of this model"):
            model.stream(wrong)


def test_a_stream_refuses_what_cannot_be_and_stays_as_it_was():
    chain = Chain([1.0, 0.0], [[0.5, 0.5], [0.0, 1.0]])
    stream = Model(chain, Poisson([[1.0], [4.0]])).stream()
    stream.update([2.0])[:] = 7.0  # a copy: the caller's
    for row, text in (
        ([-1.0], "row 1, column 0 is -1.0; poisson"),
        ([1.5], "poisson"),
        ([np.inf], "infinite"),
        ([1.0, 2.0], "shape"),
    ):
        with pytest.raises(ValueError, match=text):
            stream.update(np.array(row))
    stream.update(np.array([1], dtype=np.int64))
    with pytest.raises(ValueError, match="poisson"):
        stream.update(np.frombuffer(np.array([-1], dtype=np.int64).tobytes(), dtype=np.int64))
    assert stream.n == 2
    symbols = Model(chain, Categorical([[0.5, 0.5, 0.0], [0.0, 0.5, 0.5]])).stream()
    np.testing.assert_allclose(symbols.update(0), [1, 0])
    np.testing.assert_allclose(symbols.update([2]), [0, 1])
    with pytest.raises(ValueError, match="row 2 of the stream is impossible"):
        symbols.update(0)
    with pytest.raises(ValueError, match="row 3 of the stream is impossible"):
        symbols.update(np.array([[1], [0]]))
    np.testing.assert_allclose(symbols.update(np.array([1.0])), [0, 1])
    assert symbols.n == 3
    with pytest.raises(ValueError, match="a mixture has no sequences"):
        make_model("poisson", "independent", 2, 1).stream()


def test_gaussian_streams_do_not_lose_digits_far_out():
    model = Model(
        Chain([0.5, 0.5], [[0.9, 0.1], [0.1, 0.9]]), Gaussian("full", [[1e8, 0], [1e8 + 1, 0]], [np.eye(2)] * 2)
    )
    stream = model.stream()
    X = np.array([[1e8 + 0.3, 5.0], [1e8 + 0.9, -3.0]])
    np.testing.assert_allclose([stream.update(x) for x in X], model.filter(X), rtol=1e-9)


# Forecasts


@pytest.mark.parametrize("family", [name for name in FAMILIES if "rayleigh" not in name])
def test_forecasts_are_what_simulated_futures_do(family):
    model = make_model(family, "chain", 3, D=2)
    hmm = from_model(model)
    X, known = asked(model, rows_of(model, 40, 0))
    ahead = {"ahead": np.full((2, 2), 1.5)} if known else {}
    frame = hmm.forecast(X, 2, 0.8, quantiles=[0.5], **known, **ahead)
    rows, states = hmm.simulate(X, 2, 20_000, random_state=0, **known, **ahead)
    assert rows.shape[:3] == states.shape == (1, 20_000, 2)
    names = [c[:-5] for c in frame.columns if c.endswith("_mean")]
    kinds = {m.kind for m in model.emission.margins(None if not known else np.full((1, 4), 1.0))}
    for h in range(2):
        shares = np.bincount(states[0, :, h], minlength=3) / 20_000
        np.testing.assert_allclose(frame.loc[h, ["state_0", "state_1", "state_2"]], shares, atol=0.02)
        for name in names:
            x = rows[0, :, h, int(name.removeprefix("x"))]
            if kinds == {"angle"}:
                around = np.angle(np.exp(1j * (x - frame.loc[h, f"{name}_mean"])))
                low, high = (frame.loc[h, f"{name}_{e}"] - frame.loc[h, f"{name}_mean"] for e in ("lower", "upper"))
                assert abs(((low <= around) & (around <= high)).mean() - 0.8) < 0.02
                continue
            low, high = frame.loc[h, f"{name}_lower"], frame.loc[h, f"{name}_upper"]
            assert (x < low).mean() <= 0.1 + 0.012 and (x > high).mean() <= 0.1 + 0.012
            assert (x <= low).mean() >= 0.1 - 0.012 and (x >= high).mean() >= 0.1 - 0.012
            middle = frame.loc[h, f"{name}_q0.5"]
            assert (x < middle).mean() <= 0.52 and (x <= middle).mean() >= 0.48
            spread = x.std() / np.sqrt(len(x))
            if "student" not in family and "log-normal" not in family:
                assert abs(x.mean() - frame.loc[h, f"{name}_mean"]) < 5 * spread
    if "categorical" in family:
        np.testing.assert_allclose(frame.filter(regex="x0_").sum(axis=1), 1)


def test_forecasts_are_rows_of_nan_appended():
    X = estep.datasets.load_earthquakes().X.astype(float)
    hmm = estep.PoissonHMM(2, random_state=0).fit(X)
    frame = hmm.forecast(X, 4)
    longer = np.vstack([X, np.full((4, 1), np.nan)])
    np.testing.assert_allclose(frame[["state_0", "state_1"]], hmm.predict_proba(longer)[-4:], atol=1e-12)
    np.testing.assert_allclose(frame["x0_mean"], hmm.predict_proba(longer)[-4:] @ hmm.rates_[:, 0])
    exact = [stats.poisson(r).cdf(frame["x0_upper"].to_numpy()) for r in hmm.rates_[:, 0]]
    upto = (np.stack(exact, axis=1) * frame[["state_0", "state_1"]].to_numpy()).sum(axis=1)
    assert (upto >= 0.975).all()
    assert list(frame.columns) == ["step", "state_0", "state_1", "x0_mean", "x0_lower", "x0_upper"]


def test_forecasts_by_name_and_of_symbols():
    rng = np.random.default_rng(0)
    data = pd.DataFrame(
        {"sales": rng.poisson(4, 60), "sky": rng.choice(["rain", "sun"], 60), "wind": rng.uniform(-3, 3, 60)}
    )
    hmm = estep.HMM(Product({"sales": Poisson(), "sky": Categorical(), "wind": VonMises()}), 2, random_state=0).fit(
        data
    )
    frame = hmm.forecast(data, 3)
    assert list(frame.columns) == [
        "step", "state_0", "state_1", "sales_mean", "sales_lower", "sales_upper", "sky_rain", "sky_sun",
        "wind_mean", "wind_lower", "wind_upper",
    ]  # fmt: skip
    np.testing.assert_allclose(frame["sky_rain"] + frame["sky_sun"], 1)
    residuals = hmm.pseudo_residuals(data)
    assert residuals.shape == (60, 3) and np.isfinite(residuals).all()


def test_wrong_forecasts():
    model = make_model("regression-diag", "chain", 2, D=1)
    hmm, X, known = from_model(model), *asked(model, rows_of(model, 20, 0))
    for steps in (0, -3, 2.5, True, "2"):
        with pytest.raises(ValueError, match="steps is"):
            hmm.forecast(X, steps, **known)
    with pytest.raises(ValueError, match="GiB; this machine has"):
        hmm.forecast(X, 10**12, **known)
    with pytest.raises(ValueError, match="give those of the 2 rows to come as ahead="):
        hmm.forecast(X, 2, **known)
    with pytest.raises(ValueError, match=r"ahead has shape \(3, 2\)"):
        hmm.forecast(X, 2, **known, ahead=np.zeros((3, 2)))
    plain = from_model(make_model("poisson", "chain", 2, D=1))
    for level in (0, 1, 95, True):
        with pytest.raises(ValueError, match="level is"):
            plain.forecast([[1.0], [2.0]], 2, level)
    with pytest.raises(ValueError, match="quantile"):
        plain.forecast([[1.0], [2.0]], 2, quantiles=[1.5])
    with pytest.raises(ValueError, match="take no covariates"):
        plain.forecast([[1.0], [2.0]], 2, ahead=[[1.0], [1.0]])
    own = from_model(make_model("rayleigh", "chain", 2, D=1))
    with pytest.raises(ValueError, match=r"do not say how columns are distributed: they need margins\(\)"):
        own.forecast([[1.0], [2.0]], 2)


# Durations and residuals


def test_durations():
    hmm = from_model(make_model("poisson", "chain", 3, D=1))
    A = hmm.transmat_
    np.testing.assert_allclose(hmm.stationary_ @ A, hmm.stationary_)
    np.testing.assert_allclose(hmm.expected_durations_, 1 / (1 - np.diag(A)))
    d = np.arange(1, 6)
    np.testing.assert_allclose(hmm.dwell_times(5), np.diag(A)[:, None] ** (d - 1) * (1 - np.diag(A)[:, None]))
    _, states = hmm.sample(40_000, 0)
    runs = np.diff(np.flatnonzero(np.diff(states, prepend=-1, append=-1)))
    which = states[np.flatnonzero(np.diff(states, prepend=-1))]
    for k in range(3):
        assert abs(runs[which == k].mean() - hmm.expected_durations_[k]) < 0.1
    absorbing = from_model(Model(Chain([1.0, 0.0], [[0.5, 0.5], [0.0, 1.0]]), Poisson([[1.0], [4.0]])))
    np.testing.assert_allclose(absorbing.expected_durations_, [2, np.inf])
    with pytest.raises(ValueError, match="n is 0"):
        hmm.dwell_times(0)
    apart = from_model(Model(Chain([0.5, 0.5], np.eye(2)), Poisson([[1.0], [4.0]])))
    with pytest.raises(ValueError, match="more than one stationary distribution"):
        apart.stationary_  # noqa: B018


def test_durations_where_states_share_components():
    latent = MinimumStay([0.5, 0.5], [[0.6, 0.4], [0.3, 0.7]])
    np.testing.assert_allclose(latent.dwell_times(5)[0], [0, 0, 0.4, 0.24, 0.144])
    np.testing.assert_allclose(latent.expected_durations(), [2 + 1 / 0.4, 2 + 1 / 0.3])


@pytest.mark.parametrize("family", [name for name in FAMILIES if "rayleigh" not in name])
def test_pseudo_residuals_are_normal_where_the_model_is_right(family):
    model = make_model(family, "chain", 3, D=2, seed=2)
    X, known = asked(model, rows_of(model, 4000, 1))
    z = model.pseudo_residuals(X, **known)
    for column in z.T:
        assert stats.kstest(column, "norm").pvalue > 1e-4
        assert abs(np.corrcoef(column[1:], column[:-1])[0, 1]) < 5 / np.sqrt(4000)


def test_pseudo_residuals_tell_of_outliers_and_skip_what_is_missing():
    model = make_model("gaussian-diag", "chain", 2, D=2)
    X = rows_of(model, 200, 0)
    X[50, 0], X[60] = 60.0, np.nan
    z = model.pseudo_residuals(X, [120, 80])
    assert z[50, 0] > 8 and np.isnan(z[60]).all() and np.isfinite(np.delete(z, 60, axis=0)).all()
    first = stats.norm(*(np.asarray(v)[:, 1] for v in (model.emission.means, np.sqrt(model.emission.covariances))))
    np.testing.assert_allclose(stats.norm.cdf(z[120, 1]), model.latent.startprob @ first.cdf(X[120, 1]))


def test_parts_that_are_mixtures_have_margins():
    model = Model(
        Chain([0.5, 0.5], [[0.9, 0.1], [0.2, 0.8]]),
        MixtureOf(Gaussian("diag", [[0.0], [4.0], [8.0], [9.0]], np.ones((4, 1))), 2, [[0.3, 0.7], [0.5, 0.5]]),
    )
    (margin,) = model.emission.margins()
    np.testing.assert_allclose(margin.mean(), [2.8, 8.5])
    np.testing.assert_allclose(margin.variance(), [1 + 0.21 * 16, 1.25])
    np.testing.assert_allclose(
        margin.cdf(np.array([2.0])),
        [[0.3 * stats.norm.cdf(2) + 0.7 * stats.norm.cdf(-2), 0.5 * (stats.norm.cdf(-6) + stats.norm.cdf(-7))]],
    )


def test_numbers_that_are_none_are_named():
    hmm = from_model(make_model("poisson", "chain", 2, D=1))
    X = rows_of(hmm.model_, 30, 0)
    np.testing.assert_allclose(hmm.smooth(X, 10**12), hmm.predict_proba(X), atol=1e-12)
    assert "x0_q0.5" in hmm.forecast(X, 2, quantiles=0.5).columns
    for call, text in (
        (lambda: hmm.sample_paths(X, 10**12), "so many paths take"),
        (lambda: hmm.dwell_times(10**13), "so many probabilities of each state take"),
        (lambda: hmm.stream("x"), "none of a stream of this model"),
        (lambda: hmm.forecast(X, 2, "a"), "level is 'a'"),
        (lambda: hmm.forecast(X, 2, [0.9]), "level is"),
        (lambda: hmm.forecast(X, 2, quantiles=["a"]), "quantile is 'a'"),
    ):
        with pytest.raises(ValueError, match=text):
            call()


def test_a_stream_of_symbols_takes_some_at_once():
    model = make_model("categorical", "chain", 2, D=2)
    X = rows_of(model, 20, 0)[:, 0]
    stream = model.stream()
    found = np.vstack([stream.update(X[:7]), stream.update(X[7:])])
    np.testing.assert_allclose(found, model.filter(X), atol=1e-12)
