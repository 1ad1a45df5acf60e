"""How sure fits are: scores, standard errors against published and closed ones, bootstrap, order of components."""

import warnings
from dataclasses import replace

import numpy as np
import pytest

import estep
from estep import Model
from estep.emissions import Categorical, Gaussian, MixtureOf, Poisson, Product
from estep.estimators import from_model
from estep.execution.serial import Serial
from estep.fitting.standard_errors import _Curvature, uncertainty
from estep.latents import Chain, Independent
from models import FAMILIES, asked, draw, make_model, rows_of
from test_own_latent import MinimumStay


def curvature(model, source):
    return _Curvature(replace(model, emission=model.emission.adapt(source.summary)), source, Serial())


@pytest.mark.parametrize("latent", ["independent", "chain"])
@pytest.mark.parametrize("family", FAMILIES)
def test_the_score_is_the_slope_of_the_log_likelihood(family, latent):
    """Anywhere, not only at a maximum; by five-point differences."""
    model = make_model(family, latent, 3, D=2, seed=4)
    source = draw(model, 150, 1)
    found = curvature(model, source)
    assert found.exact == ("rayleigh" not in family)
    score, usable = found.score(found.at), ~np.isnan(found.steps)
    for i in np.flatnonzero(usable).tolist():
        h = found._along(i, 0.5 * found.steps[i])
        ends = [found._total(found.at + k * h) for k in (-2, -1, 1, 2)]
        slope = (ends[0] - 8 * ends[1] + 8 * ends[2] - ends[3]) / (12 * h[i])
        assert abs(score[i] - slope) * found.steps[i] < (1e-9 if found.exact else 1e-5) * max(1, abs(ends[0]))


@pytest.mark.parametrize("family", [n for n in FAMILIES if "rayleigh" not in n])
def test_scores_with_missing_cells_and_weights(family):
    model = make_model(family, "independent", 2, D=2, seed=4)
    if not model.emission.allows_missing:
        pytest.skip("the family wants every cell")
    rows, rng = rows_of(model, 80, 1).astype(float), np.random.default_rng(0)
    P = model.emission.n_covariates
    rows[3:6, P:] = np.nan
    if "multinomial" not in family:
        rows[10:20, -1] = np.nan
    X, known = asked(model, rows)
    found = curvature(model, model.source(X, weights=rng.random(80) * 3, **known))
    score, usable = found.score(found.at), ~np.isnan(found.steps)
    for i in np.flatnonzero(usable).tolist():
        h = found._along(i, 0.5 * found.steps[i])
        ends = [found._total(found.at + k * h) for k in (-2, -1, 1, 2)]
        slope = (ends[0] - 8 * ends[1] + 8 * ends[2] - ends[3]) / (12 * h[i])
        assert abs(score[i] - slope) * found.steps[i] < 1e-9 * max(1, abs(ends[0]))


def test_scores_of_stationary_starts_and_own_latent_parts():
    emission = FAMILIES["poisson"](2, 1, np.random.default_rng(0))
    for latent in (
        Chain(None, [[0.8, 0.2], [0.3, 0.7]], "stationary"),
        MinimumStay([0.4, 0.6], [[0.8, 0.2], [0.3, 0.7]]),
    ):
        model = Model(latent, emission)
        source = model.source(model.sample(60, 0)[0], [20, 20, 20])
        found = curvature(model, source)
        score = found.score(found.at)
        for i in range(len(found.at)):
            h = found._along(i, 0.5 * found.steps[i])
            ends = [found._total(found.at + k * h) for k in (-2, -1, 1, 2)]
            np.testing.assert_allclose(
                score[i], (ends[0] - 8 * ends[1] + 8 * ends[2] - ends[3]) / (12 * h[i]), rtol=1e-6, atol=1e-6
            )


def test_hasselblad():
    """turboEM prints .1948226 .3502560 .2506522, from numeric derivatives; the observed information itself, by
    differences in extended precision, gives .1946843 .3500297 .2504783."""
    x = np.repeat(np.arange(10.0), [162, 267, 271, 185, 111, 61, 27, 8, 3, 1])[:, None]
    mixture = estep.MixtureModel(
        Poisson(), 2, n_init=5, random_state=0, tol=1e-13, algorithm="squarem", order_by="mean"
    )
    found = mixture.fit(x).standard_errors(x)
    np.testing.assert_allclose(found["weights"], [0.1946843] * 2, rtol=5e-6)
    np.testing.assert_allclose(found["rates"][:, 0], [0.3500297, 0.2504783], rtol=5e-6)
    np.testing.assert_allclose(found["rates"][:, 0], [0.3502560, 0.2506522], rtol=1e-3)
    counted, counts = np.unique(x, return_counts=True)
    weighted = mixture.standard_errors(counted[:, None], sample_weight=counts)
    np.testing.assert_allclose(weighted["rates"], found["rates"], rtol=1e-6)


def test_one_component_is_in_closed_form():
    rng = np.random.default_rng(0)
    X = rng.multivariate_normal([1.0, -2.0], [[2.0, 0.6], [0.6, 1.0]], 500)
    mixture = estep.GaussianMixture(1).fit(X)
    found, C = mixture.standard_errors(X), mixture.covariances_[0]
    np.testing.assert_allclose(found["means"][0], np.sqrt(np.diag(C) / 500), rtol=1e-5)
    of_C = np.sqrt((np.outer(np.diag(C), np.diag(C)) + C**2) / 500)
    np.testing.assert_allclose(found["covariances"][0], of_C, rtol=1e-4)
    assert np.isnan(found["weights"]).all()  # it is 1 by itself
    low, high = mixture.confidence_intervals(X)["means"]
    np.testing.assert_allclose((high - low)[0] / 2, 1.959964 * np.sqrt(np.diag(C) / 500), rtol=1e-5)
    lows, highs = mixture.confidence_intervals(X, 0.9)["covariances"]
    assert (lows[0].diagonal() > 0).all() and (lows < C).all() and (highs > C).all()
    rates = estep.MixtureModel("exponential", 1).fit(np.abs(X))
    np.testing.assert_allclose(rates.standard_errors(np.abs(X))["rates"], rates.rates_ / np.sqrt(500), rtol=1e-5)


def test_scale_and_shift_change_nothing():
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(0, 1, (200, 2)), rng.normal(4, 2, (300, 2))])
    plain = estep.GaussianMixture(2, random_state=0, tol=1e-12).fit(X).standard_errors(X)
    for a, b in ((1e-8, 0.0), (1e7, 1e12)):
        Y = a * X + b
        other = estep.GaussianMixture(2, random_state=0, tol=1e-12).fit(Y).standard_errors(Y)
        np.testing.assert_allclose(np.sort(other["means"] / a, 0), np.sort(plain["means"], 0), rtol=2e-3)
        np.testing.assert_allclose(np.sort(other["weights"]), np.sort(plain["weights"]), rtol=2e-3)


def test_what_says_nothing_is_nan_and_named():
    chain = Chain([1.0, 0.0, 0.0], [[0.6, 0.4, 0.0], [0.0, 0.7, 0.3], [0.2, 0.0, 0.8]])
    model = Model(chain, Gaussian("diag", [[0.0], [3.0], [6.0]], [[1.0], [1.0], [1.0]]))
    X = model.sample(900, 0)[0]
    hmm = estep.GaussianHMM(3, transmat_init=chain.transmat, means_init=model.emission.means, fixed={"means": [1]})
    hmm.fit(X, [300] * 3)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = hmm.standard_errors(X, [300] * 3)
    assert any("startprob at an edge" in str(w.message) for w in caught)
    np.testing.assert_array_equal(np.isnan(found["transmat"]), chain.transmat == 0)
    assert np.isnan(found["means"][1]).all() and (found["means"][[0, 2]] > 0).all()
    assert (found["covariances"] > 0).all()
    one = Model(Independent([0.5, 0.5]), Categorical([[0.2, 0.8], [0.6, 0.4]]))
    Y = one.sample(500, 0)[0]
    mixture = from_model(estep.fit(one, Y).model)
    with pytest.warns(RuntimeWarning, match="weights, emissionprob.* not identified by these data"):
        assert all(np.isnan(v).all() for v in mixture.standard_errors(Y).values())
    with pytest.warns(RuntimeWarning, match="standard errors short of the maximum"):
        from_model(make_model("poisson", "independent", 2, D=1)).standard_errors(
            rows_of(make_model("poisson", "independent", 2, D=1, seed=5), 300, 0)
        )
    vb = estep.GaussianMixture(2, estimate="vb", random_state=0).fit(np.random.default_rng(0).normal(size=(50, 1)))
    with pytest.raises(ValueError, match="posteriors, which say how sure it is"):
        vb.standard_errors([[0.0]])
    for level in (0, 1.0, 95):
        with warnings.catch_warnings(), pytest.raises(ValueError, match="level is"):
            warnings.simplefilter("ignore")
            mixture.confidence_intervals(Y, level)


def test_states_that_share_an_emission_count_once():
    model = Model(
        Chain([0.5, 0.5, 0.0], [[0.1, 0.6, 0.3], [0.5, 0.2, 0.3], [0.3, 0.3, 0.4]]), Poisson([[2.0], [2.0], [9.0]])
    )
    X = model.sample(1500, 0)[0]
    hmm = estep.PoissonHMM(
        3, transmat_init=model.latent.transmat, rates_init=model.emission.rates, emission_groups=(0, 0, 1)
    )
    hmm.fit(X)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = hmm.standard_errors(X)["rates"][:, 0]
    assert found[0] == found[1] and 0.03 < found[0] < 0.2


def test_map_has_the_curvature_of_the_posterior():
    rng = np.random.default_rng(0)
    X = rng.poisson(4.0, (20, 1)).astype(float)
    prior = {"rates": estep.priors.Gamma(30.0, 10.0)}
    mixture = estep.MixtureModel("poisson", 1, estimate="map", prior=prior).fit(X)
    shape, rate = 30 + X.sum() - 1, 10 + 20
    np.testing.assert_allclose(mixture.rates_, shape / rate, rtol=1e-6)
    np.testing.assert_allclose(mixture.standard_errors(X)["rates"], np.sqrt(shape) / rate, rtol=1e-3)


def test_parameters_are_called_as_their_attributes():
    model = make_model("mixture-of-gaussian-diag", "chain", 2, D=2)
    hmm, X = from_model(model), rows_of(model, 1500, 0)
    hmm.set_params(warm_start=True, max_iter=3000).fit(X)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = hmm.standard_errors(X)
    assert set(found) == {"startprob", "transmat", "weights", "means", "covariances"}
    assert all(found[name].shape == getattr(hmm, f"{name}_").shape for name in found)


def test_bootstrap_agrees_with_the_information():
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(0, 1, (300, 1)), rng.normal(5, 1, (200, 1))])
    mixture = estep.GaussianMixture(2, random_state=0, order_by="mean").fit(X)
    errors = mixture.standard_errors(X)
    for kind in ("rows", "parametric"):
        found = mixture.bootstrap(X, 100, kind=kind, random_state=1)
        assert found.kind == kind and found.replicates["means"].shape == (100, 2, 1) and found.failed == 0
        np.testing.assert_allclose(found.standard_errors()["means"], errors["means"], rtol=0.3)
        low, high = found.intervals(0.9)["weights"]
        assert (low < mixture.weights_).all() and (mixture.weights_ < high).all()
    again = mixture.bootstrap(X, 5, random_state=1)
    np.testing.assert_array_equal(
        again.replicates["means"], mixture.bootstrap(X, 5, random_state=1).replicates["means"]
    )
    for n in (0, 1, 2.5):
        with pytest.raises(ValueError, match="n_replicates is"):
            mixture.bootstrap(X, n)
    with pytest.raises(ValueError, match="'rows' or 'parametric' here"):
        mixture.bootstrap(X, 5, kind="sequences")


def test_bootstrap_of_chains_of_gaps_and_of_tables():
    model = make_model("gaussian-diag", "chain", 2, D=2, seed=1)
    X, lengths = rows_of(model, 600, 0), [30] * 20
    X[5, 0] = X[40] = np.nan
    hmm = estep.GaussianHMM(2, random_state=0).fit(X, lengths)
    assert hmm.bootstrap(X, 4, lengths, random_state=0).kind == "sequences"
    assert hmm.bootstrap(X, 4, random_state=0).kind == "parametric"
    table = Model(
        Independent([0.4, 0.6]), Product({"a": Poisson([[2.0], [20.0]]), "b": Categorical([[0.9, 0.1], [0.2, 0.8]])})
    )
    import pandas as pd

    frame = pd.DataFrame(table.sample(200, 0)[0], columns=["a", "b"])
    mixture = estep.MixtureModel(table.emission.blank(), 2, random_state=0).fit(frame)
    found = mixture.bootstrap(frame, 4, kind="parametric", random_state=0)
    assert set(found.replicates) == {"weights", "a.rates", "b.emissionprob"}


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("latent", ["independent", "chain"])
def test_components_find_their_own_again(family, latent):
    model = make_model(family, latent, 4, D=2)
    order = np.array([2, 0, 3, 1])
    other = model.permuted(order)
    back = estep.align(other, to=model)
    for part in ("latent", "emission"):
        for name, value in getattr(model, part).values().items():
            np.testing.assert_allclose(getattr(back, part).values()[name], value)
    source = draw(model, 30, 0)
    np.testing.assert_allclose(other.score_units(source), model.score_units(source), rtol=1e-10)


def test_estimators_are_aligned_too():
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(m, 1, (100, 2)) for m in (0, 6, 12)])
    one, two = (estep.GaussianMixture(3, random_state=i, covariance_type="tied").fit(X) for i in (0, 5))
    found = estep.align(two, to=one)
    np.testing.assert_allclose(found.means_, one.means_, atol=1e-3)
    np.testing.assert_array_equal(found.predict(X), one.predict(X))
    np.testing.assert_array_equal(found.fit_.model.emission.means, found.means_)
    assert two.fit_.model is not found.fit_.model
    with pytest.raises(ValueError, match="have no components to pair"):
        estep.align(estep.GaussianMixture(2).fit(X), to=one)
    with pytest.raises(TypeError, match="align takes a fitted estimator or a Model"):
        estep.align("model", to=one)
    with pytest.raises(ValueError, match="stays in its order"):
        estep.align(estep.BayesianGaussianMixture(n_components=3, random_state=0).fit(X), to=one)


@pytest.mark.parametrize("by", ["mean", "weight", "variance"])
def test_order_by(by):
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(0, 3, (100, 1)), rng.normal(20, 1, (300, 1)), rng.normal(-20, 2, (200, 1))])
    for seed in range(4):
        mixture = estep.GaussianMixture(3, random_state=seed, n_init=4, order_by=by).fit(X)
        key = {"mean": mixture.means_[:, 0], "weight": -mixture.weights_, "variance": mixture.covariances_[:, 0, 0]}[by]
        assert (np.diff(key) > 0).all() and mixture.fit_.model is mixture.model_
    hmm = estep.GaussianHMM(3, random_state=0, order_by=by).fit(rng.permutation(X))
    key = {"mean": hmm.means_[:, 0], "weight": -hmm.stationary_, "variance": hmm.covariances_[:, 0]}[by]
    assert (np.diff(key) > 0).all()


def test_order_by_goes_with_what_it_can():
    X = np.random.default_rng(0).normal(size=(60, 1))
    for wrong, text in (
        ({"order_by": "size"}, "order_by is 'size': it is one of 'mean', 'weight', 'variance'"),
        ({"order_by": "mean", "fixed": ("means",), "means_init": [[0.0], [1.0]]}, "does not go with fixed"),
        ({"order_by": "mean", "estimate": "vb"}, "does not go with fixed"),
    ):
        with pytest.raises(ValueError, match=text):
            estep.GaussianMixture(2, **wrong).fit(X)
    with pytest.raises(ValueError, match="does not go with labels"):
        estep.GaussianMixture(2, order_by="mean").fit(X, labels=[0] * 60)
    symbols = estep.CategoricalHMM(2, random_state=0, order_by="mean").fit((X > 0).astype(int))
    assert np.diff(symbols.emissionprob_[:, 1]) > 0
    own = estep.MixtureModel(
        FAMILIES["rayleigh"](2, 1, np.random.default_rng(0)).blank(), 2, random_state=0, order_by="mean"
    )
    with pytest.warns(UserWarning, match=r"order_by is left aside: rayleigh .* need margins\(\)"):
        own.fit(np.abs(X) + 0.1)


def test_tied_covariances_stay_whole_when_components_are_put_in_order():
    emission = Gaussian("tied", [[0.0, 0.0], [1.0, 5.0], [7.0, 7.0]], [[2.0, 0.3], [0.3, 1.0]])
    np.testing.assert_array_equal(emission.some(np.array([2, 0, 1])).covariances, emission.covariances)
    parts = MixtureOf(Gaussian("tied", np.zeros((6, 2)), [[2.0, 0.3], [0.3, 1.0]]), 2, [[0.5, 0.5]] * 3)
    np.testing.assert_array_equal(parts.some(np.array([2, 0, 1])).inner.covariances, emission.covariances)


def test_information_of_files_is_that_of_memory(tmp_path):
    import pandas as pd

    X = np.concatenate([np.random.default_rng(0).normal(m, 1, (400, 2)) for m in (0, 5)])
    frame = pd.DataFrame(X, columns=["a", "b"])
    frame.to_parquet(tmp_path / "rows.parquet")
    mixture = estep.GaussianMixture(2, random_state=0).fit(frame)
    memory, file = mixture.standard_errors(frame), mixture.standard_errors(str(tmp_path / "rows.parquet"))
    for name, value in memory.items():
        np.testing.assert_allclose(file[name], value, rtol=1e-9)
    assert uncertainty(mixture.model_, frame).known.all()


def test_a_variational_fit_is_not_bootstrapped():
    X = np.random.default_rng(0).normal(size=(50, 1))
    with pytest.raises(ValueError, match="posteriors, which say how sure it is"):
        estep.GaussianMixture(2, estimate="vb", random_state=0).fit(X).bootstrap(X, 3)
