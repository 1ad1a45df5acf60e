"""Centre and scale of the bulk: laws of shift, scale, weights and order, and rows far away that move nothing."""

import pickle

import numpy as np
import pytest

import estep
from estep.data.bulk import SAMPLE, bulk_of
from estep.data.inputs import as_source


def of(X, weights=None):
    return as_source(X, None, weights).summary.bulk


def columns(n=400, seed=0):
    r = np.random.default_rng(seed)
    return np.column_stack([r.normal(3, 2, n), r.lognormal(0, 2, n), r.integers(0, 3, n), np.full(n, 7.0)])


FIELDS = ("mean", "variance", "median", "quartiles")


def test_laws():
    X = columns()
    one = of(X)
    order = np.random.default_rng(1).permutation(len(X))
    for name, power in zip(FIELDS, (1, 2, 1, 1), strict=True):
        value = getattr(one, name)
        shift = 0.0 if name in ("variance", "quartiles") else 5.0
        np.testing.assert_allclose(getattr(of(X[order]), name), value, rtol=1e-12)
        for a in (4.0, -0.25):
            scale = a**power if name != "quartiles" else abs(a)
            np.testing.assert_allclose(getattr(of(a * X + 5.0), name), scale * value + shift, rtol=1e-12)


def test_weight_2_is_two_rows_and_0_is_none():
    X, w = columns(), np.random.default_rng(2).integers(0, 3, 400).astype(float)
    weighted, repeated = of(X, w), of(np.repeat(X, w.astype(int), axis=0))
    for name in FIELDS:
        np.testing.assert_allclose(getattr(weighted, name), getattr(repeated, name), rtol=1e-12)


@pytest.mark.parametrize("n", [12, 60, 5000])
@pytest.mark.parametrize("far", [1e3, 1e12, -1e100])
def test_a_row_far_away_moves_nothing(n, far):
    x = np.random.default_rng(0).normal(size=(n, 1))
    one = of(np.r_[x, [[far]]])
    assert abs(one.mean[0]) < 1 and 0.1 < one.variance[0] < 3 and one.quartiles[0] < 4


def test_half_of_the_rows_alike():
    r = np.random.default_rng(0)
    x = np.r_[np.zeros(900), r.normal(50, 1, 100)][:, None]
    assert of(x).variance[0] == pytest.approx(x.var(), rel=0.1) and of(x).quartiles[0] == 0
    assert of(np.r_[np.zeros(999), [5.0]][:, None]).variance[0] == pytest.approx(0.025, rel=0.1)
    assert of(np.full((5, 1), 3.0)).variance[0] == 0


def test_missing_cells_are_left_out_and_summaries_pickle():
    X = columns()
    holes = X.copy()
    holes[::3, 0] = np.nan
    assert of(holes).mean[0] == pytest.approx(of(X[np.arange(400) % 3 > 0][:, :1]).mean[0])
    summary = as_source(holes).summary
    again = pickle.loads(pickle.dumps(summary))
    assert (again.bulk.mean == summary.bulk.mean).all() and len(pickle.dumps(summary)) < 5000


def test_of_many_rows_a_sample():
    x = np.random.default_rng(0).normal(size=(4 * SAMPLE, 1))
    one = bulk_of(x, None, x.mean(axis=0), x.var(axis=0))
    assert abs(one.mean[0]) < 0.02 and abs(one.variance[0] - 1) < 0.03
    assert (one.mean == bulk_of(x, None, x.mean(axis=0), x.var(axis=0)).mean).all()


@pytest.mark.parametrize("far", [1e8, 1e12])
@pytest.mark.parametrize("kind", ["full", "diag", "spherical"])
def test_a_fit_with_a_row_far_away(kind, far):
    """Means and variances of the bulk are right; the row has a component to itself."""
    r = np.random.default_rng(1)
    X = np.r_[r.normal(0, 1, (600, 2)), r.normal(6, 0.5, (399, 2)), np.full((1, 2), far)]
    fit = estep.GaussianMixture(3, covariance_type=kind, n_init=5, random_state=0).fit(X)
    order = np.argsort(fit.means_[:, 0])
    np.testing.assert_allclose(fit.means_[order[:2]], [[0, 0], [6, 6]], atol=0.15)
    variances = estep.parameters.covariance.full(fit.covariances_, kind, 3, 2)[order[:2], 0, 0]
    np.testing.assert_allclose(variances, [1, 0.25], rtol=0.15)
    assert fit.means_[order[2], 0] == pytest.approx(far)
