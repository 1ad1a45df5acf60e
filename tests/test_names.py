"""Columns go by name wherever both sides have names; weights, labels, covariates and sequences may be columns."""

import warnings

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import estep
from estep.emissions import Categorical, Gaussian, LinearRegression, Poisson, Product
from estep.latents import Chain

RNG = np.random.default_rng(0)
WALK = pd.DataFrame({"acc": RNG.normal(0, 1, 60), "gyro": RNG.normal(100, 5, 60)})
TURNED = WALK[["gyro", "acc"]]


@pytest.mark.parametrize("make", [lambda f: f, pl.from_pandas, lambda f: pa.Table.from_pandas(f)])
def test_a_chain_goes_by_name_in_every_question(make):
    h = estep.GaussianHMM(2, random_state=0).fit(make(WALK))
    turned, lengths = make(TURNED), [20, 40]
    assert list(h.feature_names_in_) == ["acc", "gyro"] and h.n_features_in_ == 2
    for ask in (h.score, h.score_samples, h.predict, h.predict_proba, h.aic, h.bic):
        np.testing.assert_array_equal(ask(turned, lengths), ask(make(WALK), lengths))
        np.testing.assert_array_equal(ask(WALK.to_numpy(), lengths), ask(make(WALK), lengths))  # by position
    np.testing.assert_array_equal(h.decode(turned, lengths)[1], h.decode(make(WALK), lengths)[1])
    with pytest.raises(ValueError, match="the data have no column 'acc', which the model has"):
        h.score(make(WALK.rename(columns={"acc": "a"})))
    with pytest.raises(ValueError, match="a column 'more' that the model does not know"):
        h.score(make(WALK.assign(more=1.0)))


def test_sequences_as_frames_go_by_name():
    h = estep.GaussianHMM(1).fit([WALK, TURNED])
    np.testing.assert_allclose(h.means_[0], [0, 100], atol=5)
    assert h.score([TURNED, WALK]) == h.score([WALK, WALK])
    with pytest.raises(ValueError, match="sequence 1 has columns acc, z; the first has acc, gyro"):
        h.fit([WALK, WALK.rename(columns={"gyro": "z"})])


def test_streams_and_warm_starts_go_by_name():
    h = estep.GaussianHMM(1).partial_fit(WALK).partial_fit(TURNED)
    np.testing.assert_allclose(h.means_[0], [0, 100], atol=5)
    h = estep.GaussianHMM(1, warm_start=True).fit(WALK).fit(TURNED)
    np.testing.assert_allclose(h.means_[0], [0, 100], atol=5)


def test_models_and_mixtures_loaded_from_a_file(tmp_path):
    mixture = estep.GaussianMixture(1).fit(WALK)
    estep.save(mixture, tmp_path / "m.json")
    model, again = estep.load(tmp_path / "m.json"), estep.load_estimator(tmp_path / "m.json")
    assert model.score(TURNED) == model.score(WALK)
    assert list(again.feature_names_in_) == ["acc", "gyro"] and again.n_features_in_ == 2
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert again.score(WALK) == mixture.score(WALK)
    for estimator in (mixture, again):  # scikit-learn's own check
        for ask in (estimator.score, estimator.predict, estimator.score_samples, estimator.bic):
            with pytest.raises(ValueError, match="feature names should match"):
                ask(TURNED)
            with pytest.raises(ValueError, match="feature names should match"):
                ask(WALK.rename(columns={"acc": "a"}))


def test_numbered_columns_are_positions():
    h = estep.GaussianHMM(1).fit(pd.DataFrame(WALK.to_numpy()))
    assert h.model_.columns == () and not hasattr(h, "feature_names_in_")
    assert h.score(pd.DataFrame(WALK.to_numpy())) == h.score(WALK.to_numpy())


@pytest.mark.parametrize("kind", [estep.MixtureModel, estep.HMM])
def test_tables_by_number_go_by_the_names_of_the_fit(kind):
    table = pd.DataFrame({"x": RNG.normal(0, 1, 50), "n": RNG.poisson(9.0, 50).astype(float)})
    fit = kind(Product({0: Gaussian(), 1: Poisson()}), 1).fit(table)
    assert fit.score(table[["n", "x"]]) == fit.score(table)


def regression(n=80):
    r = np.random.default_rng(1)
    frame = pd.DataFrame({"a": r.normal(size=n), "b": r.normal(5, 1, n), "y": 0.0, "w": r.integers(0, 3, n), "z": -1})
    frame["y"] = 2 * frame["a"] - frame["b"] + 0.1 * r.normal(size=n)
    frame.loc[:3, "z"] = 0
    return frame


@pytest.mark.parametrize("kind", [estep.MixtureModel, estep.HMM])
def test_covariates_are_columns(kind):
    f = regression()
    given = ["a", "b"]
    apart = kind(LinearRegression(), 1).fit(f[["y"]], given=f[given])
    within = kind(LinearRegression(), 1).fit(f[["y", "b", "a"]], given=given)
    np.testing.assert_array_equal(within.coefficients_, apart.coefficients_)
    np.testing.assert_allclose(within.coefficients_[0, 0], [2, -1], atol=0.1)
    assert within.model_.columns == ("a", "b", "y") and list(within.feature_names_in_) == ["y"]
    want = apart.score(f[["y"]].to_numpy(), given=f[given].to_numpy())
    assert within.score(f[["b", "y", "a"]]) == want  # by the model's own names
    assert within.score(f[["y"]], given=f[["b", "a"]]) == want
    with pytest.raises(ValueError, match=r"the model has 2 covariates \(a, b\): give them as given="):
        within.score(f[["y"]])
    with pytest.raises(ValueError, match="no covariate 'b'"):
        within.score(f[["y"]], given=f[["a", "w"]])


def test_weights_and_labels_are_columns():
    f = regression()
    named = estep.GaussianMixture(2, random_state=0).fit(f[["a", "b", "w", "z"]], sample_weight="w", labels="z")
    plain = estep.GaussianMixture(2, random_state=0).fit(f[["a", "b"]], sample_weight=f["w"], labels=f["z"])
    np.testing.assert_array_equal(named.means_, plain.means_)
    assert list(named.feature_names_in_) == ["a", "b"]
    for there in (f[["a", "b"]], f[["a", "b", "w"]], f[["z", "a", "b", "w"]]):  # there or not
        np.testing.assert_array_equal(named.predict(there), plain.predict(f[["a", "b"]]))
    assert named.bic(f[["a", "b", "w"]], sample_weight="w") == plain.bic(f[["a", "b"]], sample_weight=f["w"])
    with pytest.raises(ValueError, match="sample_weight is 'v': the data have no such column; they have a, b"):
        named.score(f[["a", "b"]], sample_weight="v")
    with pytest.raises(ValueError, match="the data have no names"):
        estep.GaussianMixture(2).fit(f[["a", "b"]].to_numpy(), sample_weight="w")


def test_the_weight_of_a_sequence_is_that_of_its_rows():
    f = WALK.assign(w=np.repeat([2.0, 1.0], [20, 40]))
    named = estep.GaussianHMM(2, random_state=0).fit(f, [20, 40], sample_weight="w")
    plain = estep.GaussianHMM(2, random_state=0).fit(WALK, [20, 40], sample_weight=[2, 1])
    np.testing.assert_array_equal(named.means_, plain.means_)
    with pytest.raises(ValueError, match="row 20 has another weight than the first of its sequence"):
        named.score(f, [30, 30], sample_weight="w")


def test_a_model_fitted_to_sequences_by_a_column_asks_for_them(tmp_path):
    model = estep.GaussianHMM(1).fit(WALK).to_model()
    from dataclasses import replace

    estep.save(replace(model, roles=(("sequence", "who"),)), tmp_path / "m.json")
    again = estep.load(tmp_path / "m.json")
    frame = WALK.assign(who="x")
    with pytest.raises(ValueError, match="fitted to the sequences of column 'who'.*give lengths"):
        again.score(frame)
    assert again.score(frame, [60]) == model.score(WALK) == again.score(WALK)


def test_columns_of_one_name_are_named():
    twice = pd.DataFrame(WALK.to_numpy(), columns=["a", "a"])
    for fit in (estep.GaussianHMM(1).fit, estep.GaussianMixture(1).fit, estep.HMM("auto", 1).fit, estep.propose):
        with pytest.raises(ValueError, match="two columns of one name, 'a'"):
            fit(twice)


@pytest.mark.parametrize("estimator", [
    estep.GaussianMixture(1), estep.StudentMixture(1), estep.BayesianGaussianMixture(), estep.MixtureModel("gamma"),
    estep.GaussianHMM(1), estep.GMMHMM(1, 2), estep.PoissonHMM(1), estep.HMM("exponential"), estep.HMM("auto"),
])  # fmt: skip
def test_every_estimator_has_names(estimator, capsys):
    frame = WALK.abs().round()
    assert list(estimator.fit(frame + 1).feature_names_in_) == ["acc", "gyro"]
    estimator.fit(frame.to_numpy() + 1)
    assert not hasattr(estimator, "feature_names_in_") and estimator.n_features_in_ == 2


def test_symbols_of_a_named_column():
    frame = pd.DataFrame({"base": [0, 1, 2, 1] * 5})
    h = estep.CategoricalHMM(2, random_state=0).fit(frame)
    assert list(h.feature_names_in_) == ["base"]
    with pytest.raises(ValueError, match="no column 'base'"):
        h.predict(frame.rename(columns={"base": "letter"}))
    best = estep.select(WALK, [1], latent=Chain()).best.fit.model
    assert best.score(TURNED) == best.score(WALK)
    assert isinstance(h.model_.emission, Categorical)


def test_numbered_columns_in_another_order_are_refused():
    frame = pd.DataFrame(WALK.to_numpy())
    h = estep.GaussianHMM(1).fit(frame)
    with pytest.raises(ValueError, match="the columns are numbered 1, 0: put them in order"):
        h.score(frame[[1, 0]])


def test_covariates_left_out_or_of_another_form():
    f = regression()
    h = estep.HMM(LinearRegression(), 1).fit(f[["y"]], [40, 40], given=f[["a", "b"]])
    by_sequence = np.stack([f[["a", "b"]].to_numpy()[:40], f[["a", "b"]].to_numpy()[40:]])
    want = h.score(f[["y"]], [40, 40], given=f[["a", "b"]])
    assert h.score(f[["y"]], [40, 40], given=by_sequence) == want  # (sequences, steps, covariates)
    assert h.score(f[["y"]], [40, 40], given=list(by_sequence)) == want
    assert h.score([f[["y"]][:40], f[["y"]][40:]], given=[f[["b", "a"]][:40], f[["b", "a"]][40:]]) == want
    for ask in (h.score, h.predict, h.predict_proba, h.score_samples):
        with pytest.raises(ValueError, match="give them as given="):
            ask(f[["y"]], [40, 40])
    with pytest.raises(ValueError, match="given of sequence 0 has 40 rows; the sequence has 30"):
        h.score(f[["y"]], [30, 50], given=list(by_sequence))


def test_sequences_of_frames_of_other_types_are_joined():
    parts = [pl.DataFrame({"n": [1, 2, 3], "x": [1.0, 2.0, 5.0]}), pl.DataFrame({"x": [3, 4], "n": [1.5, None]})]
    source = estep.as_source(parts)
    np.testing.assert_array_equal(source.X, [[1, 1], [2, 2], [3, 5], [1.5, 3], [np.nan, 4]])
    assert source.columns == ("n", "x") and source.ends.tolist() == [3, 5]


def test_sequences_of_frames_with_weights_and_labels_by_name():
    f = regression()
    parts = [f[["a", "b", "z"]][:40], f[["z", "b", "a"]][40:]]
    by_list = estep.HMM("auto", 2, random_state=0).fit(parts, labels="z")
    whole = estep.HMM("auto", 2, random_state=0).fit(f[["a", "b", "z"]], [40, 40], labels="z")
    assert by_list.score(parts) == whole.score(f[["a", "b"]], [40, 40])
    assert list(by_list.feature_names_in_) == ["a", "b"]
