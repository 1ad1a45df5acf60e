"""What is asked after a fit goes by the names of columns, in whatever order these come."""

import numpy as np
import pandas as pd
import polars as pl
import pytest

import estep
from estep import SequenceClassifier
from estep.emissions import Categorical, Gaussian, LinearRegression, Multinomial, Poisson, Product

RNG = np.random.default_rng(0)
KIND = np.repeat([0, 1] * 3, 50)
TABLE = pd.DataFrame(
    {
        "a": RNG.normal(4 * KIND, 1),
        "unused": RNG.normal(size=300),
        "t": np.where(KIND ^ (RNG.random(300) < 0.1), "x", "y"),
        "b": RNG.poisson(20 + 30 * KIND).astype(float),
    }
)
OTHER = TABLE[["b", "t", "unused", "a"]]


def family():
    return Product({"a": Gaussian(), "b": Poisson(), "t": Categorical()})


def test_tables():
    mixture = estep.MixtureModel(family(), 2, random_state=0).fit(TABLE)
    gaps, swapped = TABLE.copy(), OTHER.copy()
    for frame in (gaps, swapped):
        frame.loc[3, "a"] = frame.loc[5, "b"] = np.nan
        frame.loc[7, "t"] = None
    one, two = mixture.impute(gaps), mixture.impute(swapped)
    pd.testing.assert_frame_equal(one, two[one.columns])
    assert one.loc[7, "t"] in ("x", "y") and abs(one.loc[3, "a"]) < 6
    np.testing.assert_allclose(mixture.outlier_probability(gaps), mixture.outlier_probability(swapped), atol=0.02)
    hmm = estep.HMM(family(), 2, random_state=0).fit(TABLE)
    residuals = [hmm.pseudo_residuals(frame)[:, 0] for frame in (TABLE, OTHER)]
    np.testing.assert_allclose(*residuals, atol=1e-9)
    means = [
        hmm.bootstrap(frame, 4, kind="parametric", random_state=0).replicates["a.means"] for frame in (TABLE, OTHER)
    ]
    np.testing.assert_allclose(*means, atol=1e-6)
    stream = hmm.stream()
    np.testing.assert_allclose(stream.update(OTHER.iloc[0]), hmm.filter(TABLE)[0], atol=1e-12)


def test_classes():
    X = [pd.DataFrame({"a": RNG.normal(c, 1, 20), "b": RNG.normal(5 * (1 - c), 1, 20)}) for c in [0, 1] * 10]
    y = [0, 1] * 10
    swapped = [x[["b", "a"]] for x in X]
    classifier = SequenceClassifier(estep.GaussianHMM(2, random_state=0, tol=1e-4)).fit(X, y)
    assert classifier.score(X, y) == classifier.score(swapped, y) == 1
    assert classifier.score(pd.concat(swapped), y, lengths=[20] * 20) == 1
    mixture = SequenceClassifier(estep.MixtureModel("poisson", 1)).fit(abs(pd.concat(X)).round(), np.repeat(y, 20))
    assert mixture.models_[0].feature_names_in_.tolist() == ["a", "b"]


def test_covariates():
    G = pd.DataFrame({"a": RNG.normal(size=200), "b": RNG.normal(size=200) * 5})
    y = np.where(KIND[:200] == 0, 3 * G["a"], -2 * G["b"]) + RNG.normal(size=200) * 0.3
    Y = pd.DataFrame({"y": y, "z": y * 0.5 + RNG.normal(size=200)})
    ahead = pd.DataFrame({"a": [1.0], "b": [0.0]})
    hmm = estep.HMM(LinearRegression(), 2, random_state=0).fit(Y[["y"]], given=G)
    one, two = (hmm.forecast(Y[["y"]], 1, given=G, ahead=a)["y_mean"][0] for a in (ahead, ahead[["b", "a"]]))
    assert one == two
    mixture = estep.MixtureModel(LinearRegression(), 2, random_state=0).fit(Y, given=G)
    one, two = (mixture.conditional({"z": 1.0}, given=a).mean() for a in (ahead, ahead[["b", "a"]]))
    np.testing.assert_array_equal(one, two)


def test_components_and_marginals():
    frame = TABLE[["a", "b"]]
    one = estep.GaussianMixture(2, random_state=0).fit(frame)
    two = estep.GaussianMixture(2, random_state=0).fit(frame[["b", "a"]])
    np.testing.assert_allclose(estep.align(two, to=one).means_[:, ::-1], one.means_, atol=1e-3)
    with pytest.raises(ValueError, match="other families"):
        estep.align(one, to=estep.MixtureModel("poisson", 2, random_state=0).fit(frame.abs().round()))
    array = estep.GaussianMixture(2, random_state=0).fit(frame.to_numpy())
    swapped = array.marginal([1, 0]).score(frame.to_numpy()[:, [1, 0]])
    np.testing.assert_allclose(swapped, array.score(frame.to_numpy()))


def test_texts_that_are_numbers():
    frame = pd.DataFrame({"t": np.where(KIND == 0, "1", "2"), "u": RNG.normal(KIND * 10, 1)})
    mixture = estep.MixtureModel(Product({"t": Categorical(), "u": Gaussian()}), 2, random_state=0).fit(frame)
    text = mixture.conditional({"t": ["1", "2"]})
    np.testing.assert_array_equal(mixture.conditional(pd.DataFrame({"t": [1, 2]})).mean(), text.mean())
    assert text.mean()[0, 0] < 5 < text.mean()[1, 0]
    with pytest.raises(ValueError, match="no symbol '3'; it knows 1, 2"):
        mixture.conditional({"t": 3})


def test_counts_of_polars():
    frame = pl.DataFrame({"c": [1, 2, None, 5] * 20})
    assert estep.MixtureModel(Poisson(), 1).fit(frame).impute(frame)["c"][2] == pytest.approx(8 / 3)


def test_trials_are_those_of_the_rows():
    X = RNG.multinomial(10, [0.2, 0.3, 0.5], 400).astype(float)
    for ask in (
        lambda: estep.HMM(Multinomial(), 1).fit(X).pseudo_residuals(X),
        lambda: estep.MixtureModel(Multinomial(), 1).fit(X).outlier_probability(X),
        lambda: estep.MixtureModel(Multinomial(), 1).fit(X).bootstrap(X, 3, kind="parametric"),
    ):
        with pytest.raises(ValueError, match=r"rows have 10 trials, the family draws 1: .*Multinomial\(trials=10\)"):
            ask()
    right = estep.HMM(Multinomial(trials=10), 1).fit(X)
    assert abs(right.pseudo_residuals(X).std(axis=0) - 1).max() < 0.15


def test_what_is_impossible_in_one_sequence_says_nothing_of_others():
    def dice(p):
        mixture = estep.MixtureModel(Categorical(), 1)
        mixture.weights_, mixture.emissionprob_ = np.ones(1), np.array([p])
        return mixture

    X = [np.array([[2]]), np.array([[0]]), np.array([[1]])]
    found = estep.log_likelihood_ratios(dice([0.5, 0.5, 0.0]), dice([0.4, 0.4, 0.2]), X)
    np.testing.assert_allclose(found, [-np.inf, np.log(1.25), np.log(1.25)])


def test_regularised_covariances_are_not_regularised_again():
    X = TABLE[["a", "b"]].to_numpy()
    mixture = estep.GaussianMixture(2, reg_covar=0.5, random_state=0, order_by="mean").fit(X)
    moved = estep.adapt(mixture, X[:20], 1e9, parameters=("covariances",))
    np.testing.assert_allclose(moved.covariances_, mixture.covariances_, rtol=1e-6)
    with pytest.raises(ValueError, match="a variational fit is a posterior"):
        estep.adapt(estep.GaussianMixture(2, estimate="vb", random_state=0).fit(X), X)


def test_arguments_that_no_question_takes():
    X = TABLE[["a"]].to_numpy()
    hmm = estep.GaussianHMM(2, random_state=0).fit(X)
    for ask in (lambda: hmm.score(X, label=[0]), lambda: hmm.standard_errors(X, label=[0])):
        with pytest.raises(TypeError, match="unexpected argument 'label': questions take labels, given and sequence"):
            ask()
    with pytest.raises(ValueError, match="proposes a family for each data set"):
        estep.likelihood_ratio_test(estep.MixtureModel("auto", 1), estep.MixtureModel("auto", 2), TABLE)
    few = estep.select(X[:6], [2, 3], criterion="aicc").reasons()
    assert few == "aicc is inf for all of 2: too few rows to choose by it"
