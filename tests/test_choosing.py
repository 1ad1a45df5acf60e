"""Which model: grids of numbers, families and covariances; criteria; cross-validation; the likelihood-ratio test."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import estep
from estep import Stop
from estep.emissions import Gaussian, MixtureOf, Poisson, Product, Student
from estep.fitting.folds import folds
from estep.latents import Chain
from models import make_model, read, rows_of

FAITHFUL = estep.datasets.load_faithful().X


def test_a_grid_of_types_takes_mclusts_model():
    """mclust's BIC of faithful takes EEE with 3 components (its manual): tied."""
    chosen = estep.select(FAITHFUL, range(1, 5), covariance_type=["spherical", "diag", "tied", "full"], n_init=3)
    assert len(chosen.candidates) == 16 and not chosen.failed
    best = chosen.best
    assert (best.n_components, best.covariance_type, best.emission) == (3, "tied", "gaussian")
    assert best.bic == pytest.approx(2314.3, abs=0.1)
    frame = chosen.to_frame()
    assert list(frame.columns)[:3] == ["n_components", "emission", "covariance_type"] and len(frame) == 16
    assert frame.loc[frame["bic"].idxmin(), "covariance_type"] == "tied"
    assert chosen.reasons().startswith("3 gaussian, tied: the lowest bic of 16, 2314.")
    mixture = chosen.best_estimator_
    assert isinstance(mixture, estep.GaussianMixture) and mixture.covariance_type == "tied"
    np.testing.assert_allclose(mixture.bic(FAITHFUL), best.bic, rtol=1e-9)
    assert mixture.converged_ and mixture.fit_ is best.fit
    alone = estep.select(FAITHFUL, [3], Gaussian("tied"), n_init=3).best
    assert alone.fit.bound == pytest.approx(best.fit.bound, rel=1e-10)


def test_families_that_compare():
    rng = np.random.default_rng(0)
    X = np.exp(np.concatenate([rng.normal(0, 0.3, (200, 1)), rng.normal(2, 0.3, (200, 1))]))
    chosen = estep.select(
        X, [1, 2], ["gaussian", "log_normal", "gamma", Student(Gaussian("diag"))], covariance_type="diag"
    )
    assert chosen.best.emission == "log_normal" and chosen.best.n_components == 2
    assert {(c.emission, c.covariance_type) for c in chosen.candidates} == {
        ("gaussian", "diag"), ("log_normal", "diag"), ("gamma", None), ("student", "diag"),
    }  # fmt: skip
    counts = rng.poisson(4, (100, 1)).astype(float)
    assert len(estep.select(counts, [1, 2], ["poisson", "negative_binomial"]).candidates) == 4
    with pytest.raises(ValueError, match="poisson gives probabilities of counts, gaussian densities"):
        estep.select(counts, [1], ["gaussian", "poisson"])


def test_cells_that_fail_say_why():
    X = np.random.default_rng(0).normal(size=(30, 2))
    chosen = estep.select(X, [2, 50, 1], ["gaussian", "gamma"])
    assert [(c.n_components, c.emission) for c in chosen.candidates] == [(2, "gaussian"), (1, "gaussian")]
    assert [(f.n_components, f.emission) for f in chosen.failed] == [
        (50, "gaussian"), (2, "gamma"), (50, "gamma"), (1, "gamma"),
    ]  # fmt: skip
    frame = chosen.to_frame()
    assert len(frame) == 6 and frame["error"].notna().sum() == 4
    assert (
        frame.loc[frame["emission"] == "gamma", "error"].str.contains("numbers above 0|n_samples >= n_components").all()
    )
    assert "4 failed" in chosen.reasons()
    with pytest.raises(ValueError, match="1 gamma: .*numbers above 0.*; 2 gamma"):
        estep.select(X, [1, 2], "gamma")
    for wrong, text in (
        ({"covariance_type": "round"}, "covariance_type is 'round'"),
        ({"covariance_type": []}, "covariance_type is empty"),
        ({"emission": []}, "emission is empty"),
        ({"emission": "gamma", "covariance_type": "diag"}, "gamma emissions have none"),
        ({"n_components": [0, 1]}, "n_components is 0"),
        ({"folds": 1}, "folds is 1"),
    ):
        with pytest.raises(ValueError, match=text):
            estep.select(X, **({"n_components": [1]} | wrong))


def test_all_criteria_are_those_of_the_estimator():
    chosen = estep.select(FAITHFUL, [2], "gaussian")
    mixture = chosen.best_estimator_
    for name in ("aic", "bic", "aicc", "icl"):
        assert getattr(chosen.best, name) == pytest.approx(getattr(mixture, name)(FAITHFUL), rel=1e-10)
    model = make_model("poisson", "chain", 2, D=1)
    X = rows_of(model, 100, 0)
    hmm = estep.select((X, [50, 50]), [2], "poisson", Chain())
    for name in ("aic", "bic", "aicc", "icl"):
        found = getattr(hmm.best_estimator_, name)(X, [50, 50])
        assert getattr(hmm.best, name) == pytest.approx(found, rel=1e-10)
    inner = estep.select(FAITHFUL, [2], MixtureOf(Gaussian(), 1), covariance_type="diag").best
    assert inner.covariance_type == "diag" and inner.fit.model.emission.inner.covariance_type == "diag"


def test_cross_validation_tells_the_number():
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(m, 1, (100, 1)) for m in (0, 6, 12)])
    chosen = estep.select(X, range(1, 6), criterion="cv", n_init=2)
    assert chosen.best.n_components == 3
    assert chosen.best.cv > -2 * chosen.best.fit.log_likelihood  # what a fit has not seen is less likely
    one = estep.select(X, [1], criterion="cv", folds=3).best
    fold = np.random.default_rng(0).permutation(300) % 3
    wanted = 0.0
    for i in range(3):
        seen, unseen = X[fold != i], X[fold == i]
        wanted += stats.norm(seen.mean(), seen.std()).logpdf(unseen).sum()
    assert one.cv == pytest.approx(-2 * wanted, rel=1e-9)


def test_folds_of_one_sequence_are_conditional():
    """log p(unseen | seen) of all paths, for blocks that are missing."""
    model = make_model("gaussian-diag", "chain", 2, D=1)
    raw = estep.as_source(rows_of(model, 12, 0), chain=True)
    for fold in folds(raw, model.emission, 3, 0):
        missing = np.isnan(fold.train.X[:, 0])
        assert missing.sum() == 4 and (np.diff(np.flatnonzero(missing)) == 1).all()
        whole, seen = model.score(raw.X), model.score(np.where(missing[:, None], np.nan, raw.X))
        assert fold.log_likelihood(model, estep.threads(1)) == pytest.approx(whole - seen)
    X = rows_of(model, 400, 1)
    chosen = estep.select(X, [1, 2, 3], latent=Chain(), criterion="cv", folds=4, stop=Stop(1e-6))
    assert chosen.best.n_components == 2
    with pytest.raises(ValueError, match="4 folds of 3 rows"):
        list(folds(estep.as_source(X[:3]), Gaussian(), 4, 0))
    with pytest.raises(ValueError, match="2 sequences: rows of one can be left out"):
        own = make_model("rayleigh", "chain", 2, D=1)
        list(folds(read(own, rows_of(own, 20, 0), [10, 10]), own.emission.blank(), 4, 0))


def test_a_grid_is_resumed(tmp_path):
    class CutError(Exception):
        pass

    seen = []

    def cut(it):
        seen.append(it)
        if len(seen) == 12:
            raise CutError

    options = {"covariance_type": ["diag", "full"], "checkpoint": tmp_path / "grid", "every": 0}
    with pytest.raises(CutError):
        estep.select(FAITHFUL, [2, 3], callbacks=[cut], **options)
    again = estep.select(FAITHFUL, [2, 3], **options)
    whole = estep.select(FAITHFUL, [2, 3], covariance_type=["diag", "full"])
    assert [c.bic for c in again.candidates] == [c.bic for c in whole.candidates]
    calls = []
    estep.select(FAITHFUL, [2, 3], callbacks=[calls.append], **options)
    assert not calls and sorted(p.name for p in tmp_path.iterdir()) == ["grid.0", "grid.1"]


def test_the_likelihood_ratio_by_simulation():
    rng = np.random.default_rng(0)
    one, two = estep.GaussianMixture(1), estep.GaussianMixture(2, n_init=2, random_state=0, max_iter=300)
    null = estep.likelihood_ratio_test(one, two, rng.normal(size=(80, 1)), n_replicates=19)
    assert null.p_value > 0.1 and null.replicates.shape == (19,) and null.p_value * 20 == round(null.p_value * 20)
    apart = np.concatenate([rng.normal(0, 1, (40, 1)), rng.normal(6, 1, (40, 1))])
    found = estep.likelihood_ratio_test(one, two, apart, n_replicates=19)
    assert found.p_value == 0.05 and found.statistic > found.replicates.max()
    assert found.alternative.n_components == 2 and not hasattr(two, "means_")
    np.testing.assert_allclose(
        found.statistic, 2 * 80 * (found.alternative.score(apart) - found.null.score(apart)), rtol=1e-9
    )
    again = estep.likelihood_ratio_test(one, two, apart, n_replicates=3)
    np.testing.assert_array_equal(again.replicates, found.replicates[:3])
    counts = estep.datasets.load_earthquakes().X
    chains = [estep.PoissonHMM(k, random_state=0) for k in (1, 2)]
    assert estep.likelihood_ratio_test(*chains, counts, n_replicates=9).p_value == 0.1
    for call, error in (
        (lambda: estep.likelihood_ratio_test(one, "two", apart), TypeError),
        (lambda: estep.likelihood_ratio_test(one, chains[0], apart), ValueError),
        (lambda: estep.likelihood_ratio_test(one, two, apart, n_replicates=0), ValueError),
    ):
        with pytest.raises(error):
            call()


def test_tables_are_chosen_too():
    frame = pd.DataFrame({"a": np.r_[np.zeros(30), np.ones(30) * 9] + np.random.default_rng(0).normal(size=60)})
    frame["b"] = np.where(frame["a"] > 5, "x", "y")
    chosen = estep.select(frame, [1, 2], estep.propose(frame))
    assert chosen.best.n_components == 2 and chosen.best_estimator_.predict(frame).shape == (60,)


def test_likelihoods_of_other_columns_or_measures_do_not_compare():
    frame = pd.DataFrame(np.random.default_rng(0).poisson(4, (60, 2)).astype(float), columns=["u", "v"])
    for families, text in (
        ([Product({"u": Poisson()}), Product({"v": Poisson()})], "read different columns, such as '[uv]'"),
        ([Product({"u": Poisson()}), Product({"u": Gaussian()})], "counts of column 'u', .*densities"),
        (["poisson", Product({"u": Poisson()})], "read different columns"),
    ):
        with pytest.raises(ValueError, match=text):
            estep.select(frame, [1], families)
    mixed = estep.select(frame, [1], ["poisson", MixtureOf(Poisson(), 2), "negative_binomial"])
    assert len(mixed.candidates) == 3


def test_a_component_on_few_rows_does_not_win():
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(0, 1, (150, 2)), rng.normal(8, 1, (150, 2)), [[300.0, -300.0]]])
    chosen = estep.select(X, [1, 2, 3], covariance_type="diag", n_init=5)
    collapsed = [c.n_components for c in chosen.candidates if c.collapsed]
    assert not chosen.best.collapsed and repr(chosen).startswith("Selection(") and len(repr(chosen)) < 500
    lower = [k for k in collapsed if chosen.candidates[k - 1].bic < chosen.best.bic]
    assert lower and "passed over" in chosen.reasons()
