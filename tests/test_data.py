"""Every form of data, and the place where it is wrong."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import estep
from estep import as_source
from estep.statistics import Layout, Statistics

X = np.arange(12.0).reshape(6, 2)


def test_forms():
    assert as_source(X).ends is None
    for data, lengths in (((X, [2, 4]), None), (X, [2, 4]), ([X[:2], X[2:]], None)):
        source = as_source(data, lengths)
        assert source.ends.tolist() == [2, 6]
        assert (source.X == X).all()
    assert as_source(X.reshape(2, 3, 2)).ends.tolist() == [3, 6]
    assert as_source([[1, 2], [3, 4]]).X.dtype == np.float64
    assert as_source(X.astype(np.float32)).X.dtype == np.float32
    assert as_source(X.astype(int)).X.dtype == np.float64
    assert as_source([3, 1, 2], rows="symbols").X.tolist() == [[3], [1], [2]]
    assert as_source(np.asfortranarray(X)).X.flags.c_contiguous


@pytest.mark.parametrize("make", [pd.DataFrame, pl.DataFrame, pa.table])
def test_frames(make):
    source = as_source(make({"a": X[:, 0], "b": X[:, 1]}), [2, 4])
    assert source.columns == ("a", "b")
    assert (source.X == X).all()
    with pytest.raises(ValueError, match="column 'b' is not numeric"):
        as_source(make({"a": [1.0, 2.0], "b": ["x", "y"]}))
    with pytest.raises(ValueError, match=r"row 1, column 1 \(b\) is inf"):
        as_source(make({"a": [1.0, 2.0], "b": [1.0, float("inf")]}))
    assert as_source(make({"a": [1.0, 2.0], "b": [1.0, float("nan")]})).summary.missing


def test_contiguous_rows_are_not_copied():
    assert as_source(X).X.base is X.base or as_source(X).X is X


def test_leaves_cover_everything_once():
    source = as_source(np.random.default_rng(0).normal(size=(1000, 2)), [100, 1, 0, 399, 500])
    leaves = source.leaves(300)
    assert [b.first_row for b in leaves] == [0, 500]
    assert sum(len(b.X) for b in leaves) == 1000
    assert sum(len(b.ends) for b in leaves) == 5
    assert all(b.ends[-1] == len(b.X) for b in leaves)
    assert [len(b.X) for b in as_source(X).leaves(4)] == [3, 3]


@given(
    lengths=st.lists(st.sampled_from([0, 1, 5, 40, 300, 3000]), min_size=1, max_size=60).filter(any),
    rows=st.integers(1, 400),
)
def test_leaves_of_any_sequences_cover_everything_once(lengths, rows):
    source = as_source(np.arange(float(sum(lengths)))[:, None], lengths)
    leaves = source.leaves(rows)
    assert (np.concatenate([b.X[b.own, 0] for b in leaves]) == source.X[:, 0]).all()
    whole = sum(len(b.ends) for b in leaves if b.halo is None)
    assert whole + len({b.first_sequence for b in leaves if b.halo is not None}) == len(lengths)


def test_long_sequences_are_cut():
    source = as_source(np.arange(2000.0)[:, None], [100, 1, 0, 399, 1500])
    leaves = source.leaves(150)
    assert [b.first_row for b in leaves] == [0, 101, 300] + [500 + 150 * i for i in range(10)]
    assert [b.first_sequence for b in leaves] == [0, 3, 3] + [4] * 10
    assert (np.concatenate([b.X[b.own, 0] for b in leaves]) == source.X[:, 0]).all()
    assert all(b.X[0, 0] == max(b.first_row - 1024, 500) for b in leaves[3:])
    assert leaves[3].halo.begins and leaves[-1].halo.closes and not leaves[4].halo.begins


def test_summary():
    w = np.array([1.0, 2, 0, 1, 1, 1])
    s = as_source(X, weights=w).summary
    np.testing.assert_allclose(s.mean, np.average(X, axis=0, weights=w))
    np.testing.assert_allclose(s.variance, np.average((X - s.mean) ** 2, axis=0, weights=w))
    assert s.weight == 6 and s.n_rows == 6
    assert s.low.tolist() == [0, 1] and s.high.tolist() == [10, 11]


@pytest.mark.parametrize(
    "arguments, message",
    [
        ((np.zeros((0, 2)),), "empty"),
        ((np.zeros((3, 0)),), "no columns"),
        ((np.zeros(3),), "Expected 2D"),
        ((np.zeros((1, 1, 1, 1)),), "Expected 2D"),
        ((np.array([["a"]]),), "not numbers"),
        ((np.array([[1 + 2j]]),), "complex"),
        ((X, [3, 4]), "add up to 7, but the data have 6"),
        ((X, [7, -1]), "whole numbers"),
        ((X, [3.0, 3.0]), "whole numbers"),
        (((X, [6]), [6]), "twice"),
        (([X, X], [6, 6]), "has its lengths already"),
        (([X, X[:, :1]],), "sequence 1 has shape"),
        ((X, [3, 3], [1.0]), r"expected \(2,\)"),
        ((X, [0, 6], [1.0, 0.0]), "no rows"),
    ],
)
def test_errors(arguments, message):
    with pytest.raises(ValueError, match=message):
        as_source(*arguments)


def test_sparse_is_refused():
    from scipy.sparse import csr_array

    with pytest.raises(TypeError, match="toarray"):
        as_source(csr_array(X))


def test_statistics_with_different_origins_do_not_add():
    one = Statistics.zeros(Layout.of(origin=np.array([0.0]), a=(2,)))
    two = Statistics.zeros(Layout.of(origin=np.array([1.0]), a=(2,)))
    with pytest.raises(ValueError, match="origins"):
        one.add(two)
    one["a"] += 1
    assert one.add(one).vector.tolist() == [2, 2]


FORMS = {
    "mixture": lambda Z: np.sort(estep.GaussianMixture(2, random_state=0).fit(Z).means_[:, 0]),
    "chain": lambda Z: np.sort(estep.GaussianHMM(2, random_state=0).fit(Z).means_[:, 0]),
    "sequences": lambda Z: np.sort(estep.GaussianHMM(2, random_state=0).fit([Z[:80], Z[80:]]).means_[:, 0]),
    "student": lambda Z: np.sort(estep.StudentMixture(2, random_state=0).fit(Z).means_[:, 0]),
    "table": lambda Z: np.sort(estep.MixtureModel("auto", 2, random_state=0).fit(Z).weights_),
    "stream": lambda Z: np.sort(estep.GaussianMixture(2, random_state=0).partial_fit(Z).means_[:, 0]),
}


def with_holes():
    r = np.random.default_rng(0)
    Z = np.r_[r.normal(0, 1, (100, 2)), r.normal(6, 1, (100, 2))]
    Z[::7, 0] = np.nan
    return Z


@pytest.mark.parametrize("form", FORMS)
def test_what_is_masked_is_missing(form, capsys):
    Z = with_holes()
    masked = np.ma.masked_invalid(Z)
    masked.data[np.isnan(Z)] = -999.0
    np.testing.assert_array_equal(FORMS[form](masked), FORMS[form](Z))


def test_every_mark_of_a_missing_cell():
    Z = np.array([[1.0, 2.0], [np.nan, 4.0], [5.0, np.nan]])
    objects = np.array([[1, 2.0], [None, 4], [5, float("nan")]], dtype=object)
    nullable = pd.DataFrame(
        {"a": pd.array([1, None, 5], dtype="Int64"), "b": pd.array([2.0, 4.0, None], dtype="Float64")}
    )
    mixed = pd.DataFrame({"a": pd.Series([1, None, 5], dtype=object), "b": pd.Series([2, 4.0, pd.NA], dtype=object)})
    polars = pl.DataFrame({"a": [1, None, 5], "b": [2.0, 4.0, None]})
    arrow = pa.table({"a": pa.array([1, None, 5]), "b": pa.array([2.0, 4.0, None])})
    masked = np.ma.array([[1, 2], [-9, 4], [5, -9]], mask=[[0, 0], [1, 0], [0, 1]])
    for data in (objects, nullable, mixed, polars, arrow, masked, objects.tolist(), nullable.to_numpy()):
        np.testing.assert_array_equal(as_source(data).X, Z)
    times = np.array([["2020-01-01"], ["NaT"]], dtype="datetime64[D]")
    np.testing.assert_array_equal(as_source(times).X, [[18262.0], [np.nan]])
    np.testing.assert_array_equal(as_source(np.ma.array([3, 1, 2], mask=[0, 1, 0]), rows="symbols").X, [[3], [-1], [2]])
    labels = np.ma.array([0, 1, 1], mask=[0, 0, 1])
    np.testing.assert_array_equal(as_source(Z, labels=labels).evidence.labels, [0, 1, -1])
    for bad in (np.ma.array([1.0, 1.0, 1.0], mask=[0, 0, 1]), [1.0, None, 1.0]):
        with pytest.raises(ValueError, match="the weight of row . is nan"):
            as_source(Z, weights=bad)


def test_rows_that_are_not_aligned_are_copied():
    raw = np.zeros(8 * 24 + 1, np.uint8)
    odd = np.frombuffer(raw.data, np.float64, 24, offset=1).reshape(12, 2)
    odd[:] = np.arange(24.0).reshape(12, 2)
    assert not odd.flags.aligned and as_source(odd).X.flags.aligned
    assert estep.GaussianHMM(1).fit(odd).score(odd) == estep.GaussianHMM(1).fit(odd.copy()).score(odd.copy())
    packed = np.frombuffer(np.zeros(4 * 12 + 1, np.uint8).data, np.int32, 12, offset=1)
    assert as_source(packed, rows="symbols").X.flags.aligned


@pytest.mark.parametrize("data, lengths, words", [
    ("ACA", None, "ACA: no such file or folder"),
    (["A", "C"], None, r"come in an array: np\.array"),
    ((x for x in X), None, "the data are a generator, which can be read once: give a list of arrays, or a function"),
    (pd.Series(X[:, 0]), None, "to_frame"),
    (X, [2**62] * 4 + [6], "add up to"),
    (X, np.zeros(6, int), "known states are passed as labels="),
    (X, [3.0, 3.0], "whole numbers"),
    ([X[:2], X[2:, :1]], None, r"sequence 1 has shape \(4, 1\); the first has 2 columns"),
    (np.array([[1, {}]], dtype=object), None, r"row 0, column 1 is '\{\}'"),
])  # fmt: skip
def test_what_cannot_be_read_is_named(data, lengths, words):
    with pytest.raises((ValueError, TypeError), match=words):
        as_source(data, lengths)


def test_covariates_of_sequences():
    r = np.random.default_rng(0)
    G = [r.normal(size=(n, 2)) for n in (30, 50)]
    Y = [g @ [[1.0], [-1.0]] + r.normal(size=(len(g), 1)) for g in G]
    h = estep.HMM(estep.emissions.LinearRegression(), 2, random_state=0).fit(Y, given=G)
    flat = np.concatenate(Y), [30, 50]
    for ask in (h.score, h.score_samples, h.predict, h.predict_proba, h.bic, h.aic):
        np.testing.assert_array_equal(ask(Y, given=G), ask(*flat, given=np.concatenate(G)))
        with pytest.raises(ValueError, match="given of sequence 0 has 50 rows; the sequence has 30"):
            ask(Y, given=G[::-1])
        with pytest.raises(ValueError, match="the model has 2 covariates: give them as given="):
            ask(Y)
    model = h.to_model()
    np.testing.assert_array_equal(model.decode(Y, given=G)[0], h.predict(Y, given=G))
    assert model.score(Y, given=G) == h.score(Y, given=G)
    with pytest.raises(ValueError, match="given is a list of 1 arrays; the data have 2 sequences"):
        h.score(Y, given=G[:1])
    best = estep.select(Y, [1], "linear_regression", estep.latents.Chain(), given=G).best
    assert best.fit.model.emission.coefficients.shape == (1, 1, 2)
    assert h.partial_fit(Y, given=G).n_features_in_ == 1
