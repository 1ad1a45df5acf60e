"""Texts as symbols, and the forms of data that are read or say what to do."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import estep

WORDS = np.array(["sun", "rain", "rain", "fog"])[np.random.default_rng(0).integers(0, 4, 120)]
NUMBERS = np.searchsorted(np.unique(WORDS), WORDS)[:, None]


def chain(**settings):
    return estep.CategoricalHMM(2, random_state=0, max_iter=20, tol=0, **settings)


@pytest.fixture(scope="module")
def by_number():
    return chain().fit(NUMBERS)


@pytest.mark.filterwarnings("ignore:.*did not converge")
@pytest.mark.parametrize(
    "data",
    [
        WORDS, WORDS[:, None], pd.Series(WORDS), pd.DataFrame({"w": WORDS}), pl.DataFrame({"w": WORDS}),
        pa.table({"w": pa.array(WORDS)}), pd.DataFrame({"w": pd.Categorical(WORDS)}), {"w": WORDS},
        WORDS[:, None].tolist(), WORDS.astype(object),
    ],
    ids=["1d", "2d", "series", "pandas", "polars", "arrow", "categories", "dict", "lists", "objects"],
)  # fmt: skip
def test_texts_are_symbols_in_the_order_of_their_names(data, by_number):
    model = chain().fit(data)
    assert model.symbols_ == ("fog", "rain", "sun")
    assert np.array_equal(model.emissionprob_, by_number.emissionprob_)
    assert np.array_equal(model.predict(data), by_number.predict(NUMBERS))
    assert model.score(data) == by_number.score(NUMBERS)
    assert model.predict(NUMBERS).shape == (120,), "numbers are those of the symbols"


@pytest.mark.filterwarnings("ignore:.*did not converge")
def test_sequences_of_texts_and_draws(by_number, tmp_path):
    model = chain().fit([WORDS[:50], WORDS[50:]])
    same = chain().fit(NUMBERS, [50, 70])
    assert np.array_equal(model.transmat_, same.transmat_)
    X, states = model.sample(9, random_state=1)
    codes, same_states = same.sample(9, random_state=1)
    assert X.shape == (9, 1) and (X[:, 0] == np.array(model.symbols_)[codes[:, 0].astype(int)]).all()
    assert np.array_equal(states, same_states)
    estep.save(model, tmp_path / "m.json")
    again = estep.load_estimator(tmp_path / "m.json")
    assert again.symbols_ == model.symbols_ and again.score(WORDS) == model.score(WORDS)
    gap = WORDS.astype(object)
    gap[3] = None
    filled = model.impute(gap)
    assert filled[3] in model.symbols_ and (filled[4:] == WORDS[4:]).all()
    assert list(model.forecast(WORDS, 2).columns)[3:] == ["x0_fog", "x0_rain", "x0_sun"]


@pytest.mark.filterwarnings("ignore:.*did not converge")
def test_unknown_texts(tmp_path):
    strict, lenient = chain().fit(WORDS), chain(unknown="missing").fit(WORDS)
    new = np.array(["sun", "snow", "rain"])
    with pytest.raises(ValueError, match=r"row 1: the model has no symbol 'snow'; it knows fog, rain, sun"):
        strict.predict(new)
    gap = np.array(["sun", None, "rain"], dtype=object)
    assert lenient.score(new) == lenient.score(gap) == strict.score(gap)
    estep.save(lenient, tmp_path / "m.json")
    assert estep.load_estimator(tmp_path / "m.json").score(new) == lenient.score(new)
    with pytest.raises(ValueError, match="unknown is 'skip'"):
        chain(unknown="skip").fit(WORDS)
    frame = pd.DataFrame({"x": np.arange(120.0) % 7, "w": WORDS})
    parts = {"x": estep.emissions.Gaussian("diag"), "w": estep.emissions.Categorical(unknown="missing")}
    mixture = estep.MixtureModel(estep.emissions.Product(parts), 2, random_state=0, max_iter=9).fit(frame)
    odd, empty = frame.head(3).assign(w=["sun", "snow", "fog"]), frame.head(3).assign(w=["sun", None, "fog"])
    assert np.array_equal(mixture.predict_proba(odd), mixture.predict_proba(empty))
    drawn, _ = mixture.sample(5)
    assert list(drawn.columns) == ["x", "w"] and set(drawn["w"]) <= set(WORDS)


@pytest.mark.filterwarnings("ignore:.*did not converge")
def test_errors_name_five_symbols_at_most_and_what_looks_like_numbers():
    many = np.array([f"s{i:02d}" for i in range(12)])[np.arange(60) % 12]
    with pytest.raises(ValueError, match=r"it knows s00, s01, s02, s03, s04 and 7 more"):
        chain().fit(many).predict(np.array(["zz"]))
    frame = pd.DataFrame({"code": ["7", "12", "7", "3"] * 10})
    model = chain().fit(frame)
    assert model.symbols_ == ("12", "3", "7")
    with pytest.raises(ValueError, match="look like numbers"):
        model.predict(np.array([[7], [12]]))
    with pytest.raises(ValueError, match="no names of symbols"):
        chain().fit(NUMBERS).predict(WORDS)
    with pytest.raises(ValueError, match="3 symbols are named, the model has 4"):
        chain(emissionprob_init=np.full((2, 4), 0.25)).fit(WORDS)


def test_other_forms_are_read_or_say_what_to_do():
    X = np.random.default_rng(1).normal(size=(60, 2))
    expected = estep.GaussianMixture(2, random_state=0).fit(X).means_
    named = {"a": X[:, 0], "b": X[:, 1]}
    for data in (named, pl.LazyFrame(named), pa.record_batch(named)):
        model = estep.GaussianMixture(2, random_state=0).fit(data)
        assert np.array_equal(model.means_, expected) and list(model.feature_names_in_) == ["a", "b"]
    for data, said in (
        ((row for row in X), "can be read once"), ({"a": X}, "columns by name"),
        (pd.Series(X[:, 0]), r"X\.to_frame\(\)"), (X[:, 0], r"X\.reshape\(-1, 1\)"),
    ):  # fmt: skip
        with pytest.raises((ValueError, TypeError), match=said):
            estep.GaussianMixture(2).fit(data)


def test_verbose_prints_no_nan(capsys):
    estep.GaussianMixture(2, verbose=1, verbose_interval=1, random_state=0, max_iter=3, tol=0).fit(
        np.random.default_rng(0).normal(size=(50, 1))
    )
    out = capsys.readouterr().out
    assert "iteration 0  bound" in out and "gain" in out and "nan" not in out


@pytest.mark.filterwarnings("ignore:.*did not converge")
def test_texts_that_look_like_numbers_go_by_name():
    words = np.array(["1", "2", "a"])[np.random.default_rng(0).choice(3, 300, p=[0.8, 0.15, 0.05])]
    one = estep.CategoricalHMM(1, random_state=0).fit(words)
    for data in (np.array(["1"]), np.array([["1"]]), pd.DataFrame({"s": ["1"]}), [["1"]]):
        assert np.exp(one.score(data)) == pytest.approx((words == "1").mean())
    lenient = estep.CategoricalHMM(1, unknown="missing").fit(np.array(list("abc") * 9))
    assert lenient.score(np.array([["0"]])) == 0
    with pytest.raises(ValueError, match="sequence 1 is not texts, the first is"):
        one.predict([np.array([["1"], ["a"]]), np.array([[1], [2]])])


def test_what_is_missing_in_lists_and_dictionaries_is_missing():
    for data in ({"s": ["a", "b", float("nan"), "a"] * 9}, [["a"], ["b"], [np.nan], ["a"]] * 9):
        model = estep.CategoricalHMM(1).fit(data)
        assert model.symbols_ == ("a", "b") and model.emissionprob_[0, 0] == pytest.approx(2 / 3)
    masked = np.ma.masked_array([1.0, 2.0, 999.0], mask=[0, 0, 1])
    assert estep.GaussianMixture(1).fit({"a": masked}).means_[0, 0] == 1.5
    texts = np.ma.masked_array(np.array(["a", "b", "zz"]), mask=[0, 0, 1])
    assert estep.CategoricalHMM(1).fit(texts).symbols_ == ("a", "b")


def test_names_of_forecasts_do_not_hide_each_other():
    frame = pd.DataFrame({"state": ["0", "1", "up"] * 20, "a": ["b_c", "x"] * 30, "a_b": ["c", "y", "z"] * 20})
    parts = {name: estep.emissions.Categorical() for name in frame}
    hmm = estep.HMM(estep.emissions.Product(parts), 2, random_state=0, max_iter=3).fit(frame)
    ahead = hmm.forecast(frame, 1)
    assert ahead.shape[1] == 1 + 2 + 3 + 2 + 3
    assert ahead["state_0"].iloc[0] + ahead["state_1"].iloc[0] == pytest.approx(1)
    symbols = ahead["state[0]"] + ahead["state[1]"] + ahead["state_up"]
    assert symbols.iloc[0] == pytest.approx(1)
