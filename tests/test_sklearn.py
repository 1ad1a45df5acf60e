"""scikit-learn's own checks of estimators, and its tools around ours: pipelines, searches, frames, routing."""

import os
import subprocess
import sys
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import estep


class OneSequence:
    """Rows are one sequence, and y, which scikit-learn gives in the place of lengths, is ignored."""

    def fit(self, X, y=None):
        return super().fit(X)

    def partial_fit(self, X, y=None):
        return super().partial_fit(self.taken(X))

    def score(self, X, y=None):
        return super().score(X)

    def _read(self, X, *known, **more):
        return super()._read(self.taken(X), *known, **more)

    def _ask(self, X, *known, **more):
        return super()._ask(self.taken(X), *known, **more)

    def taken(self, X):
        return X


def numbers(X):
    """An array (n, D) of doubles, or None for what is none."""
    if hasattr(X, "nnz"):
        return None
    X = np.asarray(X)
    numeric = X.ndim == 2 and X.size and X.dtype.kind in "fiubO" and not isinstance(X.flat[0], str | dict)
    return X.astype(float) if numeric else None


class Counts:
    """The checks' numbers as counts."""

    def taken(self, X):
        known = numbers(X)
        return X if known is None else np.floor(np.abs(known))


class GaussianChain(OneSequence, estep.GaussianHMM):
    pass


class MixtureChain(OneSequence, estep.GMMHMM):
    pass


class AnyChain(OneSequence, estep.HMM):
    pass


class CountsChain(Counts, OneSequence, estep.PoissonHMM):
    pass


class Bits(OneSequence, estep.BernoulliMixture):
    """The checks' numbers as zeros and ones; sample weights are tried with the other mixtures."""

    def fit_predict(self, X, y=None):
        return self.fit(X).predict(X)

    def taken(self, X):
        known = numbers(X)
        return X if known is None else np.where(np.isfinite(known), known > 0, known)


class Symbols(OneSequence, estep.CategoricalHMM):
    """The first column of the checks' numbers as symbols."""

    def taken(self, X):
        known = numbers(X)
        return X if known is None else np.floor(np.abs(known[:, :1]))


OF_ROWS = "the states of a chain are of whole sequences: a row alone is another sequence"
ONE_COLUMN = "symbols come in one column: other numbers of columns cannot be told apart"
OF_COLUMNS = (
    "check_n_features_in",
    "check_n_features_in_after_fitting",
    "check_transformer_general",
    "check_fit2d_predict1d",
)


def not_theirs(estimator):
    """Checks that make no sense for one sequence."""
    if not estimator._chain:
        return {}
    rows = {"check_methods_sample_order_invariance": OF_ROWS, "check_methods_subset_invariance": OF_ROWS}
    return rows if not isinstance(estimator, Symbols) else rows | dict.fromkeys(OF_COLUMNS, ONE_COLUMN)


@parametrize_with_checks(
    [
        estep.GaussianMixture(),
        estep.MixtureModel(),
        estep.StudentMixture(),
        estep.BayesianGaussianMixture(),
        GaussianChain(),
        MixtureChain(),
        AnyChain(),
        CountsChain(),
        Bits(),
        Symbols(),
    ],
    expected_failed_checks=not_theirs,
)
def test_checks(estimator, check):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check(estimator)


# Around them


FAITHFUL = estep.datasets.load_faithful().X
LISTS = [np.random.default_rng(i).normal([0, 3][i % 2], 1, (30 + i, 2)) for i in range(12)]


def test_probabilities_are_features():
    X = pd.DataFrame(FAITHFUL, columns=["eruptions", "waiting"])
    for estimator in (estep.GaussianMixture(2, random_state=0), estep.GaussianHMM(2, random_state=0)):
        name = type(estimator).__name__.lower()
        columns = [f"{name}0", f"{name}1"]
        frame = clone(estimator).set_output(transform="pandas").fit_transform(X)
        assert list(frame.columns) == columns and frame.index.equals(X.index)
        np.testing.assert_allclose(frame, estimator.fit(X).predict_proba(X))
        assert estimator.set_output(transform="polars").transform(X).columns == columns
        assert list(estimator.get_feature_names_out()) == columns
        y = FAITHFUL[:, 0] > 3
        pipeline = make_pipeline(StandardScaler(), clone(estimator), LogisticRegression())
        assert pipeline.fit(FAITHFUL, y).score(FAITHFUL, y) > 0.95


def test_routing_of_weights_and_lengths():
    X, lengths = np.concatenate(LISTS), [len(one) for one in LISTS]
    weights = np.arange(1.0, 1 + len(LISTS))
    alone = estep.GaussianHMM(2, random_state=0).fit(StandardScaler().fit_transform(X), lengths, sample_weight=weights)
    with sklearn.config_context(enable_metadata_routing=True):
        hmm = estep.GaussianHMM(2, random_state=0).set_fit_request(lengths=True, sample_weight=True)
        hmm.set_score_request(lengths=True).set_predict_request(lengths=True)
        routed = make_pipeline(StandardScaler().set_fit_request(sample_weight=False), hmm)
        routed.fit(X, lengths=lengths, sample_weight=weights)
        assert routed.score(X, lengths=lengths) == alone.score(StandardScaler().fit_transform(X), lengths)
        np.testing.assert_array_equal(
            routed.predict(X, lengths=lengths), alone.predict(StandardScaler().fit_transform(X), lengths)
        )
    named = make_pipeline(StandardScaler(), estep.GaussianHMM(2, random_state=0))
    named.fit(X, gaussianhmm__lengths=lengths, gaussianhmm__sample_weight=weights)
    np.testing.assert_array_equal(named[-1].means_, alone.means_)
    mixture = estep.GaussianMixture(2, random_state=0)
    with sklearn.config_context(enable_metadata_routing=True):
        search = GridSearchCV(
            mixture.set_fit_request(sample_weight=True).set_score_request(sample_weight=True), {}, cv=3
        )
        search.fit(X, sample_weight=np.repeat(weights, lengths))
    assert np.isfinite(search.best_score_)


def test_searches_over_lists_of_sequences():
    search = GridSearchCV(estep.GaussianHMM(random_state=0), {"n_components": [1, 2]}, cv=3).fit(LISTS)
    assert search.best_params_ == {"n_components": 2}
    by_hand = [
        estep.GaussianHMM(2, random_state=0).fit(LISTS[:i] + LISTS[i + 4 :]).score(LISTS[i : i + 4]) for i in (0, 4, 8)
    ]
    np.testing.assert_allclose(cross_val_score(estep.GaussianHMM(2, random_state=0), LISTS, cv=3), by_hand)
    series = np.concatenate(LISTS)
    parts = TimeSeriesSplit(3)
    scores = cross_val_score(estep.GaussianHMM(2, random_state=0), series, cv=parts)
    train, test = list(parts.split(series))[-1]
    assert scores[-1] == estep.GaussianHMM(2, random_state=0).fit(series[train]).score(series[test])


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
def test_frames_are_read_by_name(frame):
    known = frame({"eruptions": FAITHFUL[:, 0], "waiting": FAITHFUL[:, 1]})
    for estimator in (estep.GaussianMixture(2, random_state=0), estep.GaussianHMM(2, random_state=0)):
        estimator.fit(known)
        assert list(estimator.feature_names_in_) == ["eruptions", "waiting"]
        np.testing.assert_array_equal(estimator.predict(known), clone(estimator).fit(FAITHFUL).predict(FAITHFUL))


@pytest.mark.parametrize("estimator", [estep.GaussianMixture(2), estep.GaussianHMM(2), estep.HMM("poisson", 2)])
def test_shown_in_a_notebook(estimator):
    assert "Not fitted" in estimator._repr_html_()
    rows = np.abs(FAITHFUL).round()
    fitted = clone(estimator).fit(rows)
    shown = fitted._repr_html_()
    assert type(estimator).__name__ in shown and "Fitted" in shown and "n_components" in shown


def test_labels_in_the_place_of_lengths_are_named():
    with pytest.raises(ValueError, match="known states are passed as labels="):
        estep.GaussianHMM(2).fit(FAITHFUL, np.zeros(len(FAITHFUL), int))


def test_warm_fits_of_one_iteration_equal_one_of_two():
    X, lengths = np.concatenate(LISTS), [len(one) for one in LISTS]
    for make in (estep.GaussianMixture, estep.GaussianHMM):
        data = (X, lengths) if make is estep.GaussianHMM else (X,)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            twice = make(3, max_iter=1, tol=0, random_state=1, warm_start=True, reseeds=0).fit(*data)
            twice.fit(*data)
            once = make(3, max_iter=2, tol=0, random_state=1, reseeds=0).fit(*data)
        for name in ("means_", "covariances_", "weights_", "transmat_", "startprob_"):
            if hasattr(once, name):
                np.testing.assert_allclose(getattr(twice, name), getattr(once, name), rtol=1e-12, err_msg=name)


def test_the_first_start_does_not_depend_on_how_many_there_are():
    X = np.concatenate(LISTS)
    for make, kind in (
        (estep.GaussianMixture, "portfolio"),
        (estep.GaussianMixture, "random"),
        (estep.GaussianHMM, "k-means++"),
    ):
        firsts = []
        for n_init in (1, 2, 5):
            seen = []
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                make(3, n_init=n_init, init_params=kind, max_iter=3, random_state=7, callbacks=[seen.append]).fit(X)
            firsts.append([it.bound for it in seen if it.restart == 0])
        np.testing.assert_allclose(firsts[1:], [firsts[0]] * 2, rtol=1e-12)  # several are fitted in one call
        assert len(firsts[0]) > 1


ARRAY_API = """
import numpy as np, pickle, sklearn
import array_api_strict as xp
import estep
rng = np.random.default_rng(0)
X = np.concatenate([rng.normal(0, 1, (80, 2)), rng.normal(4, 1, (80, 2))])
theirs = xp.asarray(X, device=xp.Device("device1"))
is_theirs = lambda a: isinstance(a, type(theirs)) and a.device == theirs.device
for make in (estep.GaussianMixture, estep.GaussianHMM, estep.BayesianGaussianMixture):
    ours = make(n_components=2, random_state=0).fit(X)
    with sklearn.config_context(array_api_dispatch=True):
        model = make(n_components=2, random_state=0).fit(theirs)
        assert is_theirs(model.means_) and is_theirs(model.covariances_)
        found = [model.predict(theirs), model.predict_proba(theirs), model.score_samples(theirs), *model.sample(5)]
        assert all(map(is_theirs, found))
        assert isinstance(model.score(theirs), float)
        there = np.asarray(xp.asarray(found[1], device=xp.Device("CPU_DEVICE")))
        np.testing.assert_allclose(there, ours.predict_proba(X), atol=1e-8)
        assert is_theirs(model.set_params(warm_start=True).fit(theirs).means_)
        with_starts = make(n_components=2, means_init=xp.asarray([[0.0, 0], [4, 4]], device=theirs.device)).fit(theirs)
        assert is_theirs(with_starts.means_) and is_theirs(with_starts.means_init)
        again = pickle.loads(pickle.dumps(ours))
        assert isinstance(again.fit(X).means_, np.ndarray)
    assert isinstance(model.predict(X), np.ndarray) and is_theirs(model.means_)
    assert isinstance(model.to_model().emission.means, np.ndarray)
with sklearn.config_context(array_api_dispatch=True):
    parts = [theirs[:100, :], theirs[100:, :]]
    assert is_theirs(estep.GaussianHMM(2, random_state=0).fit(parts).predict(parts))
print("done")
"""


def test_arrays_of_other_libraries_are_taken_and_given_back():
    pytest.importorskip("array_api_strict")
    run = subprocess.run(
        [sys.executable, "-c", ARRAY_API], env={**os.environ, "SCIPY_ARRAY_API": "1"}, capture_output=True, text=True
    )
    assert run.stdout.strip() == "done", run.stderr
