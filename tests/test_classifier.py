"""Classes as models, adaptation and verification."""

import numpy as np
import pytest
from scipy import stats
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_score

import estep
from estep import Model, SequenceClassifier
from estep.emissions import Gaussian, MixtureOf
from estep.estimators import from_model
from estep.latents import Chain
from models import make_model, rows_of


def sequences(seed=0, n=12, low=8, high=20):
    """Two kinds that differ in how long they stay, and one with other means."""
    rng, out, y = np.random.default_rng(seed), [], []
    for name, stay, shift in (("calm", 0.95, 0.0), ("quick", 0.3, 0.0), ("high", 0.8, 8.0)):
        model = Model(
            Chain([0.5, 0.5], [[stay, 1 - stay], [1 - stay, stay]]),
            Gaussian("diag", [[shift], [shift + 5.0]], [[1.0], [1.0]]),
        )
        for _ in range(n):
            out.append(model.sample(int(rng.integers(low, high)), rng)[0])
            y.append(name)
    return out, np.array(y)


def test_classes_by_their_chains():
    X, y = sequences()
    classifier = SequenceClassifier(estep.GaussianHMM(2, random_state=0)).fit(X, y)
    test, wanted = sequences(1)
    assert list(classifier.classes_) == ["calm", "high", "quick"] and classifier.score(test, wanted) > 0.9
    joint = classifier.decision_function(test)
    parts = [m.score_samples(test) + np.log(1 / 3) for m in classifier.models_]
    np.testing.assert_allclose(joint, np.stack(parts, axis=1), rtol=1e-10)
    p = classifier.predict_proba(test)
    np.testing.assert_allclose(p.sum(axis=1), 1)
    np.testing.assert_allclose(np.log(p[0]), classifier.predict_log_proba(test)[0], atol=1e-9)
    np.testing.assert_array_equal(classifier.predict(test), classifier.classes_[p.argmax(axis=1)])
    lengths = [len(x) for x in test]
    np.testing.assert_array_equal(classifier.predict(np.vstack(test), lengths), classifier.predict(test))
    parallel = SequenceClassifier(estep.GaussianHMM(2, random_state=0), n_jobs=2).fit(X, y)
    np.testing.assert_array_equal(parallel.models_[2].means_, classifier.models_[2].means_)


def test_scikit_learns_tools_take_it():
    X, y = sequences()
    classifier = SequenceClassifier(estep.GaussianHMM(2, random_state=0, tol=1e-4))
    assert cross_val_score(classifier, X, y, cv=3).mean() > 0.8
    grid = GridSearchCV(classifier, {"estimator__n_components": [1, 2]}, cv=2).fit(X, y)
    assert grid.best_params_ == {"estimator__n_components": 2}
    assert clone(classifier).get_params()["estimator__random_state"] == 0


def test_priors_and_rejection():
    X, y = sequences()
    hmm = estep.GaussianHMM(2, random_state=0)
    sure = SequenceClassifier(hmm, priors=[0.0, 0.0, 1.0]).fit(X, y)
    assert set(sure.predict(X)) == {"quick"}
    few = [i for i in range(36) if i < 14]
    observed = SequenceClassifier(hmm).fit([X[i] for i in few], y[few])
    np.testing.assert_allclose(observed.priors_, [12 / 14, 2 / 14])
    assert observed.decision_function(X).shape == (36,)
    np.testing.assert_allclose(SequenceClassifier(hmm, priors="uniform").fit([X[i] for i in few], y[few]).priors_, 0.5)
    careful = SequenceClassifier(hmm, reject=0.05).fit(X, y)
    strange = [np.full((10, 1), 60.0), np.full((5, 1), -40.0)]
    assert list(careful.predict([*strange, X[0]])) == ["unknown", "unknown", "calm"]
    assert 0 < (careful.predict(X) == "unknown").mean() < 0.15
    numbers = SequenceClassifier(hmm, reject=0.05).fit(X, np.unique(y, return_inverse=True)[1])
    assert list(numbers.predict(strange)) == [-1, -1]
    named = SequenceClassifier(hmm, reject=0.05, reject_label="none").fit(X, y)
    assert list(named.predict(strange)) == ["none", "none"]


def test_mixtures_classify_rows_and_sequences():
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(0, 1, (100, 2)), rng.normal(4, 1, (100, 2)), rng.normal(8, 1, (100, 2))])
    y = np.repeat([0, 1, 0], 100)
    rows = SequenceClassifier(estep.GaussianMixture(2, random_state=0)).fit(X, y)
    assert rows.score(X, y) > 0.97 and rows.predict_proba(X[:3]).shape == (3, 2)
    scores = [m.score_samples(X) + np.log(p) for m, p in zip(rows.models_, rows.priors_, strict=True)]
    np.testing.assert_allclose(rows.decision_function(X), scores[1] - scores[0], rtol=1e-9)
    parts = list(X.reshape(30, 10, 2))
    many = SequenceClassifier(estep.GaussianMixture(2, random_state=0)).fit(parts, y[::10])
    assert many.score(parts, y[::10]) == 1
    cube = X.reshape(30, 10, 2)
    np.testing.assert_array_equal(many.predict(cube), many.predict(parts))
    by_class = {0: estep.GaussianMixture(2, random_state=0), 1: estep.GaussianMixture(1)}
    assert [m.n_components for m in SequenceClassifier(by_class).fit(X, y).models_] == [2, 1]


def test_what_a_classifier_cannot_take():
    X, y = sequences()
    hmm = estep.GaussianHMM(2, random_state=0)
    for classifier, arguments, text in (
        (SequenceClassifier(hmm), (X, y[:-1]), r"y has shape \(35,\); there are 36 sequences"),
        (SequenceClassifier(hmm), (X, ["calm"] * 36), "one class, .*calm"),
        (SequenceClassifier(hmm), (X[0], y), "X is one sequence"),
        (SequenceClassifier(hmm, priors="some"), (X, y), "priors is 'some'"),
        (SequenceClassifier(hmm, priors=[0.5, 0.5]), (X, y), "3 probabilities"),
        (SequenceClassifier(hmm, reject=1.0), (X, y), "reject is 1.0"),
        (SequenceClassifier({"calm": hmm, "quick": hmm}), (X, y), "'high' is in one of it and y alone"),
        (SequenceClassifier(estep.GaussianHMM(500)), (X, y), "class .*calm.*n_components = 500"),
    ):
        with pytest.raises(ValueError, match=text):
            classifier.fit(*arguments)
    with pytest.raises(TypeError, match="estimator is None"):
        SequenceClassifier().fit(X, y)
    fitted = SequenceClassifier(hmm).fit(X, y)
    with pytest.raises(ValueError, match="y has class 'loud'; the classifier knows 'calm', 'high', 'quick'"):
        fitted.score(X, ["loud"] * 36)
    from sklearn.exceptions import NotFittedError

    with pytest.raises(NotFittedError):
        SequenceClassifier(hmm).predict(X)


# Adaptation


def test_adapted_means_are_reynolds():
    model = make_model("gaussian-diag", "independent", 3, D=2)
    mixture, X = from_model(model), rows_of(model, 60, 1) + 0.5
    r = mixture.predict_proba(X)
    n, w, mu, C = r.sum(axis=0), mixture.weights_, mixture.means_, mixture.covariances_
    way = (n / (n + 16))[:, None]
    first, second = r.T @ X / n[:, None], r.T @ X**2 / n[:, None]
    means = way * first + (1 - way) * mu
    new = estep.adapt(mixture, X)
    np.testing.assert_allclose(new.means_, means, rtol=1e-10)
    np.testing.assert_array_equal(new.covariances_, C)
    np.testing.assert_array_equal(new.weights_, w)
    np.testing.assert_array_equal(mixture.means_, mu)  # the background stays
    whole = estep.adapt(mixture, X, 16, parameters=("means", "covariances", "weights"))
    np.testing.assert_allclose(whole.covariances_, way * second + (1 - way) * (C + mu**2) - means**2, rtol=1e-9)
    shares = way[:, 0] * n / 60 + (1 - way[:, 0]) * w
    np.testing.assert_allclose(whole.weights_, shares / shares.sum(), rtol=1e-10)
    np.testing.assert_allclose(estep.adapt(mixture, X, 1e9).means_, mu, rtol=1e-6)
    fresh = estep.adapt(mixture, X, 0, parameters=("means", "weights", "covariances"))
    np.testing.assert_allclose(fresh.means_, first, rtol=1e-9)
    assert estep.adapt(mixture, [X[:20], X[20:]]).means_ == pytest.approx(new.means_)


@pytest.mark.parametrize("family", ["poisson", "categorical", "bernoulli", "product", "log-normal", "gamma"])
def test_other_families_move_between_model_and_data(family):
    model = make_model(family, "independent", 1, D=2)
    X = rows_of(make_model(family, "independent", 1, D=2, seed=9), 50, 0)
    name = next(iter(model.emission.values()))
    moved = estep.adapt(model, X, 50.0, parameters=(name,)).emission.values()[name]
    alone = estep.adapt(model, X, 0.0, parameters=(name,)).emission.values()[name]
    if family in ("poisson", "categorical", "bernoulli", "log-normal"):
        np.testing.assert_allclose(moved, (alone + model.emission.values()[name]) / 2, rtol=1e-9)
    assert not np.allclose(moved, alone) and not np.allclose(moved, model.emission.values()[name])


def test_chains_of_mixtures_are_adapted_part_by_part():
    emission = MixtureOf(Gaussian("diag", [[0.0], [3.0], [10.0], [14.0]], np.ones((4, 1))), 2, [[0.5, 0.5], [0.4, 0.6]])
    model = Model(Chain([1.0, 0.0], [[0.9, 0.1], [0.0, 1.0]]), emission)
    X = [model.sample(40, i)[0] + 1.0 for i in range(5)]
    hmm = from_model(model)
    new = estep.adapt(hmm, X, parameters=("means", "weights", "transmat"))
    assert (
        new.means_.shape == (2, 2, 1)
        and ((new.means_ - hmm.means_) > 0.2).all()
        and ((new.means_ - hmm.means_) < 1.2).all()
    )
    np.testing.assert_allclose(new.weights_.sum(axis=1), 1)
    assert new.transmat_[1, 0] == 0 and new.transmat_[0, 1] != 0.1
    assert new.score(X) > hmm.score(X)
    np.testing.assert_array_equal(new.covariances_, hmm.covariances_)
    again = estep.adapt(hmm, X, n_iter=3)
    assert again.score(X) >= estep.adapt(hmm, X).score(X) - 1e-9


def test_what_cannot_be_adapted():
    mixture = from_model(make_model("gaussian-diag", "independent", 2, D=1))
    X = [[0.0], [1.0]]
    for more, text in (
        ({"relevance": -1}, "relevance is -1"),
        ({"relevance": "16"}, "relevance is '16'"),
        ({"parameters": ()}, "parameters is empty"),
        ({"parameters": "means"}, "set of names"),
        ({"parameters": ("rates",)}, "parameters names 'rates', which is none of weights, means, covariances"),
        ({"n_iter": 0}, "n_iter is 0"),
    ):
        with pytest.raises(ValueError, match=text):
            estep.adapt(mixture, X, **more)
    with pytest.raises(ValueError, match="student emissions cannot be adapted"):
        estep.adapt(make_model("student-diag", "independent", 2, D=1), X)
    with pytest.raises(TypeError, match="adapt takes a fitted estimator or a Model"):
        estep.adapt("mixture", X)


def test_verification_by_a_background_model():
    rng = np.random.default_rng(0)
    background = estep.GaussianMixture(4, covariance_type="diag", random_state=0).fit(rng.normal(0, 2, (2000, 2)))
    speaker = estep.adapt(background, rng.normal([1.5, -1.0], 1.0, (200, 2)))
    own = [rng.normal([1.5, -1.0], 1.0, (30, 2)) for _ in range(40)]
    others = [rng.normal(rng.normal(0, 1.5, 2), 1.0, (30, 2)) for _ in range(40)]
    targets, impostors = (estep.log_likelihood_ratios(speaker, background, X) for X in (own, others))
    assert targets.shape == (40,) and targets.mean() > 0 > impostors.mean()
    wanted = (speaker.score_samples(own[3]) - background.score_samples(own[3])).mean()
    np.testing.assert_allclose(targets[3], wanted)
    rate, threshold = estep.equal_error_rate(targets, impostors)
    assert rate < 0.2
    assert abs((targets < threshold).mean() - (impostors >= threshold).mean()) <= 1 / 40 + 1e-12


def test_equal_error_rates():
    assert estep.equal_error_rate([2.0, 3.0], [0.0, 1.0])[0] == 0
    assert estep.equal_error_rate([0.0, 1.0], [2.0, 3.0])[0] == 1
    assert estep.equal_error_rate([1.0, 1.0], [1.0, 1.0])[0] == pytest.approx(0.5)
    rate, _ = estep.equal_error_rate([1, 2, 3, 4], [0, 1.5, -1, -2])
    assert rate == pytest.approx(0.25)
    rng = np.random.default_rng(0)
    rate, threshold = estep.equal_error_rate(rng.normal(2, 1, 100_000), rng.normal(0, 1, 100_000))
    assert rate == pytest.approx(stats.norm.cdf(-1), abs=2e-3) and threshold == pytest.approx(1, abs=0.02)
    for a, b in (([], [1.0]), ([1.0], [np.nan])):
        with pytest.raises(ValueError, match="some of each"):
            estep.equal_error_rate(a, b)


def test_lengths_and_labels_that_do_not_add_up():
    X, y = sequences()
    hmm = estep.GaussianHMM(2, random_state=0)
    classifier = SequenceClassifier(hmm).fit(X, y)
    rows = np.vstack(X)
    mixture = estep.GaussianMixture(2, random_state=0).fit(rows)
    n = len(rows)
    for call, text in (
        (lambda: classifier.predict(rows, [n - 5]), "lengths add up to"),
        (lambda: classifier.predict([]), "X has no sequences"),
        (lambda: SequenceClassifier(hmm).fit(X[:3], [0.0, np.nan, 1.0]), "labels that are missing"),
        (lambda: SequenceClassifier(hmm).fit(X[:3], ["a", None, "b"]), "labels that are missing"),
        (lambda: estep.log_likelihood_ratios(mixture, mixture, rows, [n - 1]), "lengths add up to"),
        (lambda: estep.log_likelihood_ratios(mixture, mixture, rows, [float(n)]), "lengths is"),
        (lambda: estep.log_likelihood_ratios(mixture, mixture, X, [n]), "have their lengths already"),
        (lambda: estep.log_likelihood_ratios(mixture, classifier.models_[0], rows), "give X as sequences for both"),
        (lambda: mixture.merge(rows).predict_proba(np.ones((3, 5)), 1), r"shape \(3, 5\), expected \(n, 2\)"),
        (lambda: estep.GaussianMixture(2, order_by=np.array([1, 2])).fit(rows), "order_by is"),
    ):
        with pytest.raises(ValueError, match=text):
            call()
    with pytest.raises(TypeError, match="a model is a fitted estimator"):
        estep.log_likelihood_ratios(5, mixture, rows)
    both = estep.log_likelihood_ratios(mixture, classifier.models_[0], X)
    assert both.shape == (36,) and estep.log_likelihood_ratios(mixture, mixture, rows, [n]).shape == (1,)
