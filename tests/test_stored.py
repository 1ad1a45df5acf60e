"""Data past memory: files, Arrow data sets and blocks give what the same rows in memory give, bit for bit."""

import gzip
import os
import pickle
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

import estep
from estep import Model, Stop
from estep.algorithms import Incremental, Online, Stochastic
from estep.data import stored
from estep.emissions import Bernoulli, Categorical, Gaussian, LogNormal, Poisson, Product
from estep.latents import Chain, Independent

FEW = Stop(max_iter=4)


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    """Everything is past memory, and blocks are small."""
    monkeypatch.setattr(stored, "SHARE", 10**9)
    monkeypatch.setattr(stored, "OVERHEAD", 0)
    monkeypatch.setattr(stored, "piece_of", lambda memory, D: 777)


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(0, 1, (3000, 3)), rng.normal(4, 2, (3000, 3))])
    rng.shuffle(X)
    return X


def write(folder, X, names="abc", parts=3, **more):
    """Parquet files of equal parts."""
    folder.mkdir(exist_ok=True)
    table = {n: X[:, d] for d, n in enumerate(names)} | more
    for i, part in enumerate(np.array_split(np.arange(len(X)), parts)):
        some = pa.table({name: np.asarray(column)[part] for name, column in table.items()})
        pq.write_table(some, folder / f"part-{i}.parquet", row_group_size=1000)
    return folder


def forms(folder, X):
    """The same rows in all forms."""
    write(folder / "parquet", X)
    table = pa.table({n: X[:, d] for d, n in enumerate("abc")})
    pc.write_csv(table.slice(0, 2500), folder / "one.csv")
    pc.write_csv(table.slice(2500), folder / "two.csv")
    with gzip.open(folder / "all.csv.gz", "wb") as file:
        pc.write_csv(table, file)
    np.save(folder / "rows.npy", X)
    ds.write_dataset(table, folder / "arrow", format="feather")
    blocks = np.array_split(X, 7)
    return {
        "parquet": folder / "parquet",
        "pattern": str(folder / "parquet" / "part-*.parquet"),
        "csv": [folder / "one.csv", folder / "two.csv"],
        "gzip": str(folder / "all.csv.gz"),
        "npy": folder / "rows.npy",
        "arrow": folder / "arrow",
        "data set": ds.dataset(folder / "parquet", format="parquet"),
        "arrays": lambda: iter(blocks),
        "frames": lambda: (pa.table({n: b[:, d] for d, n in enumerate("abc")}) for b in blocks),
    }


def same(one, other):
    for part in ("latent", "emission"):
        for name, value in getattr(one.model, part).values().items():
            np.testing.assert_array_equal(value, getattr(other.model, part).values()[name])
    assert one.bound == other.bound and one.n_iter == other.n_iter


def test_every_form_gives_the_same_bits(rows, tmp_path):
    start = estep.start_model(Independent(), Gaussian(), estep.as_source(rows), 3)
    want = estep.fit(start, rows, stop=FEW)
    for name, data in forms(tmp_path, rows).items():
        source = estep.as_source(data, memory="20MB")
        assert isinstance(source.X, stored.Stored), name
        for execute in (None, estep.threads(2)):
            same(estep.fit(start, source, stop=FEW, execute=execute), want)
        np.testing.assert_array_equal(source.summary.mean, estep.as_source(rows).summary.mean)
        np.testing.assert_array_equal(want.model.score_units(source), want.model.score_units(rows))


@pytest.mark.parametrize("algorithm", [Incremental(2), Online(epochs=1), Stochastic(3), "hard", "squarem", "annealed"])
@pytest.mark.parametrize("chain", [False, True])
def test_every_way_of_estimating(rows, tmp_path, algorithm, chain):
    ids = np.repeat([4, 9, 2, 7], [1000, 2400, 100, 2500])  # of which some span files
    folder = write(tmp_path / "p", rows, id=ids)
    ends = (rows, [1000, 2400, 100, 2500]) if chain else rows
    latent = Chain() if chain else Independent()
    start = estep.start_model(latent, Gaussian("diag"), estep.as_source(ends), 2)
    source = estep.as_source(folder, memory="20MB", columns=list("abc"), sequence="id" if chain else None)
    want = estep.fit(start, ends, algorithm, FEW)
    same(estep.fit(start, source, algorithm, FEW, estep.threads(2)), want)


def chain_of(K=3):
    transmat = np.full((K, K), 0.02) + (1 - 0.02 * K) * np.eye(K)
    means = 3.0 * np.arange(K)[:, None] + np.zeros(2)
    return Model(Chain(np.full(K, 1 / K), transmat), Gaussian("diag", means, np.ones((K, 2))))


def test_one_long_sequence_over_files(tmp_path, monkeypatch):
    monkeypatch.setattr(Chain, "leaf_rows", lambda self, work: 4096)
    model = chain_of()
    X, _ = model.sample(40_000, 0)
    source = estep.as_source(write(tmp_path / "p", X, "ab"), memory="20MB", chain=True)
    known = estep.as_source(X, chain=True)
    assert len(source.leaves(4096)) > 6
    for algorithm in ("em", "hard", Stochastic(2)):
        same(
            estep.fit(model, source, algorithm, Stop(max_iter=3)), estep.fit(model, known, algorithm, Stop(max_iter=3))
        )
    for got, want in zip(model.decode(source), model.decode(known), strict=True):
        np.testing.assert_array_equal(got, want)
    for kind in ("smoothed", "filtered"):
        np.testing.assert_array_equal(model.predict_proba(source, kind=kind), model.predict_proba(known, kind=kind))
    np.testing.assert_array_equal(model.forecast(source, 3), model.forecast(known, 3))
    np.testing.assert_array_equal(
        model.decode(source, algorithm="posterior")[0], model.decode(known, algorithm="posterior")[0]
    )


def test_a_chain_that_does_not_forget_is_read_backwards(tmp_path, monkeypatch):
    monkeypatch.setattr(Chain, "leaf_rows", lambda self, work: 2048)
    K = 4
    left_right = np.diag(np.full(K, 0.9995)) + np.diag(np.full(K - 1, 0.0005), 1)
    left_right[-1, -1] = 1.0
    model = Model(Chain(np.eye(K)[0], left_right), Gaussian("diag", np.arange(K)[:, None] * 0.1, np.ones((K, 1))))
    X, _ = model.sample(20_000, 1)
    source = estep.as_source(write(tmp_path / "p", X, "a"), memory="20MB", chain=True)
    known = estep.as_source(X, chain=True)
    same(estep.fit(model, source, stop=Stop(max_iter=2)), estep.fit(model, known, stop=Stop(max_iter=2)))
    np.testing.assert_array_equal(model.decode(source)[0], model.decode(known)[0])


def test_mixed_columns_with_gaps_weights_and_labels(tmp_path):
    rng = np.random.default_rng(2)
    n = 4000
    z = rng.integers(2, size=n)
    table = {
        "income": np.exp(rng.normal(3 * z, 1)),
        "visits": rng.poisson(2 + 5 * z).astype(float),
        "owner": (rng.random(n) < 0.2 + 0.5 * z).astype(float),
        "town": np.array(["Aa", "Bb", "Cc"])[np.where(rng.random(n) < 0.7, z, 2)],
    }
    table["visits"][rng.random(n) < 0.1] = np.nan
    frame = pa.table(table | {"w": rng.integers(0, 3, n).astype(float), "known": np.where(rng.random(n) < 0.1, z, -1)})
    for i in range(4):
        pq.write_table(frame.slice(1000 * i, 1000), tmp_path / f"{i}.parquet", row_group_size=300)
    family = Product({"income": LogNormal(), "visits": Poisson(), "owner": Bernoulli(), "town": Categorical()})
    how = {"weights": "w", "labels": "known", "rows": "table"}
    source, known = estep.as_source(tmp_path, memory="20MB", **how), estep.as_source(frame, **how)
    assert source.symbols == known.symbols and isinstance(source.X, stored.Stored)
    start = estep.start_model(Independent(), family, known, 2)
    got, want = (estep.fit(start, data, stop=FEW) for data in (source, known))
    np.testing.assert_allclose(got.bound, want.bound, rtol=1e-12)  # in memory, rows are sorted by their gaps
    for name, value in want.model.emission.values().items():
        np.testing.assert_allclose(got.model.emission.values()[name], value, rtol=1e-9)
    estimator = estep.MixtureModel(family, 2, memory="20MB", random_state=0)
    estimator.fit(tmp_path, sample_weight="w", labels="known")
    np.testing.assert_array_equal(estimator.predict(tmp_path), estimator.predict(frame))
    np.testing.assert_allclose(estimator.score(tmp_path), estimator.score(frame), rtol=1e-12)


def test_rows_without_values_do_not_count(rows, tmp_path):
    X = rows.copy()
    X[::7] = np.nan
    X[3::5, 1] = np.nan
    folder = write(tmp_path / "p", X)
    got = estep.GaussianMixture(2, memory="20MB", random_state=0).fit(folder)
    want = estep.GaussianMixture(2, random_state=0).fit(pa.table({n: X[:, d] for d, n in enumerate("abc")}))
    np.testing.assert_allclose(got.lower_bound_, want.lower_bound_, rtol=1e-10)
    assert got.fit_.weight == want.fit_.weight
    np.testing.assert_array_equal(got.score_samples(folder)[::7], 0.0)


@pytest.mark.parametrize("family", [Gaussian("tied"), Poisson(), LogNormal(), Gaussian("spherical")])
def test_estimators_of_files(rows, tmp_path, family):
    X = np.abs(np.round(rows * 3)) + (0 if family.name == "poisson" else 0.5)
    folder = write(tmp_path / "p", X)
    frame = pa.table({n: X[:, d] for d, n in enumerate("abc")})
    got = estep.MixtureModel(family, 2, n_init=3, random_state=0, memory="20MB").fit(folder)
    want = estep.MixtureModel(family, 2, n_init=3, random_state=0).fit(frame)
    assert got.lower_bound_ == want.lower_bound_
    np.testing.assert_array_equal(got.predict_proba(folder), want.predict_proba(frame))
    assert got.bic(folder) == want.bic(frame) and got.icl(folder) == want.icl(frame)


@pytest.mark.filterwarnings("ignore:.*did not converge")
@pytest.mark.parametrize("kind, estimate", [("full", "vb"), ("diag", "map")])
def test_priors(rows, tmp_path, kind, estimate):
    folder, frame = write(tmp_path / "p", rows), pa.table({n: rows[:, d] for d, n in enumerate("abc")})
    how = {"covariance_type": kind, "n_components": 3, "random_state": 0, "max_iter": 8}
    if estimate == "vb":
        make = partial(estep.BayesianGaussianMixture, **how)
    else:
        make = partial(estep.GaussianMixture, estimate="map", **how)
    got, want = make(memory="20MB").fit(folder), make().fit(frame)
    assert got.lower_bound_ == want.lower_bound_
    np.testing.assert_array_equal(got.means_, want.means_)


def test_chains_by_a_column(rows, tmp_path):
    ids = np.array(["x", "yy", "z"])[np.repeat([2, 0, 1], [1500, 2000, 2500])]
    folder, frame = write(tmp_path / "p", rows, id=ids), pa.table({n: rows[:, d] for d, n in enumerate("abc")})
    got = estep.GaussianHMM(2, memory="20MB", random_state=0).fit(folder, sequence="id")
    want = estep.GaussianHMM(2, random_state=0).fit(frame.append_column("id", pa.array(ids)), sequence="id")
    pair = (frame, [1500, 2000, 2500])
    assert got.lower_bound_ == want.lower_bound_ == estep.GaussianHMM(2, random_state=0).fit(pair).lower_bound_
    np.testing.assert_array_equal(got.score_samples(folder), want.score_samples(pair))  # the column is known
    selection = estep.select(estep.as_source(folder, sequence="id", memory="20MB"), [1, 2], latent=Chain())
    assert len(selection.candidates) == 2


def test_blocks_of_whole_sequences(rows):
    lengths = [1000, 2000, 3000]
    parts = np.split(rows, np.cumsum(lengths)[:-1])
    got = estep.GaussianHMM(2, memory="20MB", random_state=0).fit(lambda: ((p, [len(p)]) for p in parts))
    assert got.lower_bound_ == estep.GaussianHMM(2, random_state=0).fit((rows, lengths)).lower_bound_


def test_single_precision_stays(rows, tmp_path):
    np.save(tmp_path / "x.npy", rows.astype(np.float32))
    got = estep.GaussianMixture(2, memory="20MB", random_state=0).fit(tmp_path / "x.npy")
    want = estep.GaussianMixture(2, random_state=0).fit(rows.astype(np.float32))
    assert got.means_.dtype == np.float32 and got.lower_bound_ == want.lower_bound_


def test_row_filters_of_a_data_set(rows, tmp_path):
    data = ds.dataset(write(tmp_path / "p", rows), format="parquet").filter(ds.field("a") > 1)
    got = estep.GaussianMixture(1, memory="20MB").fit(data)
    np.testing.assert_allclose(got.means_[0], rows[rows[:, 0] > 1].mean(axis=0), rtol=1e-12)


def test_a_checkpoint_goes_on(rows, tmp_path):
    folder = write(tmp_path / "p", rows)
    whole = estep.GaussianMixture(3, memory="20MB", random_state=0, max_iter=40).fit(folder)

    def stop(it):
        if it.iteration == 5:
            raise KeyboardInterrupt

    how = {"memory": "20MB", "random_state": 0, "max_iter": 40, "checkpoint": tmp_path / "c", "every": 0}
    with pytest.raises(KeyboardInterrupt):
        estep.GaussianMixture(3, callbacks=[stop], **how).fit(folder)
    again = estep.GaussianMixture(3, **how).fit(folder)
    assert again.lower_bounds_[-1] == whole.lower_bounds_[-1]


def test_symbols_as_numbers_and_types_of_columns(tmp_path):
    rng = np.random.default_rng(0)
    np.save(tmp_path / "s.npy", rng.integers(0, 5, (900, 1)))
    how = {"random_state": 0, "max_iter": 4, "tol": 0.0}
    with pytest.warns(Warning):
        got = estep.CategoricalHMM(2, memory="20MB", **how).fit(tmp_path / "s.npy")
        want = estep.CategoricalHMM(2, **how).fit(np.load(tmp_path / "s.npy"))
    assert got.lower_bound_ == want.lower_bound_
    table = pa.table({"a": rng.integers(0, 9, 900), "b": rng.random(900) < 0.5, "c": pa.array(["x", "y"] * 450)})
    pq.write_table(table.set_column(2, "c", table["c"].dictionary_encode()), tmp_path / "t.parquet", row_group_size=100)
    source = estep.as_source(tmp_path / "t.parquet", memory="20MB", rows="table")
    assert source.symbols == (("c", ("x", "y")),)
    np.testing.assert_array_equal(source.X[0:900], estep.as_source(table, rows="table").X)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(source)).X[5:700], source.X[5:700])
    wrong("column 'c' is not numeric: name the columns to read", tmp_path / "t.parquet")
    pq.write_table(table.slice(0, 0), tmp_path / "empty.parquet")
    wrong("the data are empty", tmp_path / "empty.parquet", columns=["a"])


# What is wrong is named


def wrong(words, data, **how):
    with pytest.raises((ValueError, TypeError), match=words):
        estep.as_source(data, **({"memory": "20MB"} | how))


def test_columns_that_change_between_files(rows, tmp_path):
    folder = write(tmp_path / "p", rows)
    pq.write_table(pa.table({"a": [1.0], "b": [2.0]}), folder / "part-9.parquet")
    wrong("part-9.parquet has no column 'c'", folder)
    pq.write_table(pa.table({"a": [1.0], "b": [2.0], "c": ["x"]}), folder / "part-9.parquet")
    wrong("column 'c' is string in .*part-9.parquet, double in .*part-0.parquet", folder)
    (tmp_path / "one.csv").write_text("a,b\n1,2\n")
    (tmp_path / "two.csv").write_text("b,a\n1,2\n")
    wrong("two.csv has the columns b, a", [tmp_path / "one.csv", tmp_path / "two.csv"])
    wrong("give files of one kind", [tmp_path / "one.csv", folder / "part-0.parquet"])


def test_a_text_among_numbers_is_shown(tmp_path):
    lines = ["a,b", *(f"{i},{i / 3}" for i in range(30_000)), "7,oops", "1,2"]
    (tmp_path / "x.csv").write_text("\n".join(lines))
    wrong("x.csv: row 30000 of column 'b' is 'oops'", tmp_path / "x.csv")
    (tmp_path / "y.csv").write_text("\n".join(lines).replace("7,oops", "7"))
    wrong("y.csv: row 30000 has 1 fields, the header 2", tmp_path / "y.csv")
    (tmp_path / "z.csv").write_text("\n".join(lines).replace("oops", "?"))
    assert np.isnan(estep.as_source(tmp_path / "z.csv", memory="20MB").X[29_999:30_001]).sum() == 1


def test_values_that_cannot_be_are_placed(rows, tmp_path):
    X = np.abs(np.round(rows))
    X[4321, 1] = -2
    folder = write(tmp_path / "p", X)
    with pytest.raises(ValueError, match=r"row 4321.*in row 321 of .*part-2.parquet"):
        estep.MixtureModel("poisson", 2, memory="20MB").fit(folder)
    X[4321, 1] = np.inf
    wrong(r"row 4321, column 1 \(b\) is inf.*in row 321 of .*part-2.parquet", write(tmp_path / "p", X))


def test_a_file_that_changes_or_ends_early(rows, tmp_path):
    folder = write(tmp_path / "p", rows)
    source = estep.as_source(folder, memory="20MB")
    model = estep.GaussianMixture(2, random_state=0).fit(rows).to_model()
    path = folder / "part-1.parquet"
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(ValueError, match=r"part-1.parquet was changed while the data are read"):
        model.score(source)
    path.unlink()
    with pytest.raises(ValueError, match=r"part-1.parquet is gone"):
        model.score(source)
    path.write_bytes(data[: len(data) // 2])
    wrong("part-1.parquet cannot be read as Parquet", folder)
    damaged = bytearray(data)
    damaged[4:60] = os.urandom(56)
    path.write_bytes(damaged)
    wrong("part-1.parquet cannot be read to its end", folder)


def test_blocks_that_are_not_the_same_again(rows):
    wrong("list_iterator, which can be read once", iter([rows]))
    calls = []

    def fewer():
        calls.append(1)
        return iter(np.array_split(rows, 6)[: 6 - len(calls) // 3])

    with pytest.raises(ValueError, match="had 6000 when they were first read"):
        for _ in range(4):
            estep.GaussianMixture(1, memory="20MB").fit(estep.as_source(fewer, memory="20MB"))
    rng = np.random.default_rng(0)
    wrong("first block is another", lambda: iter([rng.normal(size=(50, 2))]))


def test_ids(rows, tmp_path):
    folder = write(tmp_path / "p", rows, id=np.repeat([1, 2, 1], 2000))
    wrong("the sequence of row 0 of .*part-2.parquet has begun at row 0 of .*part-0.parquet", folder, sequence="id")
    wrong("sequence is 'nope'", folder, sequence="nope")
    wrong("weights is an array|weight is an array", folder, weights=np.ones(6000))


def test_memory_that_cannot_do(rows, tmp_path):
    folder = write(tmp_path / "p", rows)
    wrong("memory is 'much'", folder, memory="much")
    wide = np.random.default_rng(0).normal(size=(70_000, 3))
    pq.write_table(pa.table({"a": wide[:, 0]}), tmp_path / "one.parquet")
    wrong("row group 0 of .*one.parquet takes .* by itself: memory=", tmp_path / "one.parquet", memory="1MB")
    source = estep.as_source(write(tmp_path / "q", wide), memory="1MB")
    with pytest.raises(ValueError, match="memory is 1 MB: 4 leaves of"):
        estep.fit(estep.start_model(Independent(), Gaussian(), source, 2), source)


# What fresh eyes found


def test_nothing_is_lost_after_an_empty_row_or_a_line_in_a_cell(tmp_path):
    X = np.random.default_rng(0).normal(size=(60_000, 3)).round(6)
    X[10] = np.nan
    table = pa.table({n: X[:, d] for d, n in enumerate("abc")})
    pc.write_csv(table, tmp_path / "x.csv")
    np.testing.assert_array_equal(estep.as_source(tmp_path / "x.csv", memory="20MB").X[0:60_000], X)
    text = "\n".join(["s,x", *(f'"a\nb{i % 3}",{i}' for i in range(30_000))])
    (tmp_path / "t.csv").write_text(text)
    source = estep.as_source(tmp_path / "t.csv", rows="table", memory="20MB")
    assert len(source) == 30_000 and source.symbols == (("s", ("a\nb0", "a\nb1", "a\nb2")),)


def test_starts_are_the_same_of_many_rows_and_of_gaps(tmp_path):
    rng = np.random.default_rng(1)
    X = np.concatenate([rng.normal(0, 1, (60_000, 2)), rng.normal(4, 2, (60_000, 2))])
    rng.shuffle(X)
    how = {"random_state": 0, "max_iter": 2, "n_init": 3}
    for name, rows, rtol in (("many", X, 0.0), ("gaps", np.where(rng.random(X.shape) < 0.1, np.nan, X)[:5000], 1e-9)):
        np.save(tmp_path / f"{name}.npy", rows)
        with pytest.warns(Warning):
            got = estep.GaussianMixture(3, memory="40MB", **how).fit(tmp_path / f"{name}.npy")
            want = estep.GaussianMixture(3, **how).fit(rows)
        np.testing.assert_allclose(got.means_, want.means_, rtol=rtol)


def test_blocks_of_one_buffer_are_copied(rows):
    def blocks():
        buffer = np.empty((500, 3))
        for i in range(0, len(rows), 500):
            buffer[:] = rows[i : i + 500]
            yield buffer

    np.testing.assert_array_equal(estep.as_source(blocks, memory="20MB").X[0 : len(rows)], rows)


def test_blocks_that_are_none(rows):
    wrong("the function gives a ndarray: it is to give an iterator", lambda: rows)
    wrong("a block is a str", lambda: iter(["x"]))
    wrong("the sequences are given twice", lambda: iter([(pa.table({"a": [1, 1], "b": [1, 2]}), [2])]), sequence="a")
    with_empty = [rows[:0], rows[:5], rows[:0], rows[5:9]]
    assert len(estep.as_source(lambda: iter(with_empty), memory="20MB")) == 9


def test_ids_of_any_type(tmp_path):
    x, ids = np.zeros(300), np.repeat(2**60 + 1 + np.arange(3), 100)
    pc.write_csv(pa.table({"id": ids, "x": x}), tmp_path / "large.csv")
    assert estep.as_source(tmp_path / "large.csv", sequence="id", memory="20MB").n_sequences == 3
    ids = np.repeat([1, 2, 3], 100)
    folder = tmp_path / "d"
    (folder / "_temporary").mkdir(parents=True)
    for i, some in enumerate((ids[:150], ids[150:].astype(float))):
        pq.write_table(pa.table({"id": some, "x": x[:150]}), folder / f"{i}.parquet")
    pq.write_table(pa.table({"id": ids, "x": x}), folder / "_temporary" / "0.parquet")
    for data in (folder, str(folder / "**")[:-2] + "*.parquet"):
        source = estep.as_source(data, sequence="id", memory="20MB")
        assert (len(source), source.n_sequences) == (300, 3)
    (folder / "y=1").mkdir()
    pq.write_table(pa.table({"id": ids, "x": x}), folder / "y=1" / "0.parquet")
    wrong("folders that are values of a column", folder)
    pq.write_table(pa.table({"id": [1.0, np.nan], "x": [1.0, 2.0]}), tmp_path / "n.parquet")
    wrong("column 'id' has no value in row 1 of .*n.parquet", tmp_path / "n.parquet", sequence="id")


def test_files_whose_columns_differ_or_are_empty(tmp_path):
    from pyarrow import feather

    table = pa.table({"a": np.arange(10.0), "b": np.arange(10.0)})
    (tmp_path / "f").mkdir()
    feather.write_feather(table, tmp_path / "f" / "0.feather")
    feather.write_feather(table.drop_columns("b"), tmp_path / "f" / "1.feather")
    wrong("1.feather has no column 'b'", tmp_path / "f")
    gaps = pa.array([None if k == 800 else k % 5 for k in range(900)], pa.int8())
    mixed = pa.table({"a": np.zeros(900, np.float32), "b": gaps})
    pq.write_table(mixed, tmp_path / "s.parquet")
    assert estep.as_source(tmp_path / "s.parquet", memory="20MB").X.dtype == estep.as_source(mixed).X.dtype
    pq.write_table(table.slice(0, 0), tmp_path / "e.parquet")
    with pytest.raises(ValueError, match="the data are empty"):
        estep.GaussianMixture(1).fit(tmp_path / "e.parquet")
    with pytest.raises(ValueError, match="the data are empty"):
        estep.GaussianHMM(1).fit(tmp_path / "e.parquet", sequence="a")
    wrong(
        "column 'b' is among columns, and asked for as another", tmp_path / "s.parquet", columns=["a", "b"], weights="b"
    )
    assert estep.as_source(table, columns=("b",)).columns == ("b",)


def test_cells_of_text_files(tmp_path):
    (tmp_path / "t.csv").write_text("s,x\n" + "u,1.5\n,2\n v ,3\nNA,4\n" * 50)
    source = estep.as_source(tmp_path / "t.csv", rows="table", memory="20MB")
    assert source.symbols == (("s", ("u", "v")),) and np.isnan(source.X[0:200][:, 0]).sum() == 100
    lines = ["a,b", *["1,2"] * 20_000]
    (tmp_path / "b.csv").write_text("\n".join([*lines, " ,2", "1,3"]))
    assert np.isnan(estep.as_source(tmp_path / "b.csv", memory="20MB").X[0:20_002]).sum() == 1
    (tmp_path / "o.csv").write_text("\n".join([*lines, "true,2", "1,3"]))
    wrong("row 20000 of column 'a' is 'true'", tmp_path / "o.csv")
    labels = np.full(70_000, -1)
    labels[69_000] = -5
    pq.write_table(pa.table({"x": np.zeros(70_000), "l": labels}), tmp_path / "l.parquet")
    wrong(r"labels\[69000\] is -5", tmp_path / "l.parquet", labels="l")


# The command line


def run(*words):
    from typer.testing import CliRunner

    import estep.cli.ask
    import estep.cli.fit  # noqa: F401
    from estep.cli.options import app

    done = CliRunner().invoke(app, list(map(str, words)))
    assert done.exit_code == 0, done.output
    return done.stdout


@pytest.mark.parametrize("kind", ["hmm", "mixture"])
def test_commands(rows, tmp_path, kind):
    ids = np.array(["x", "yy", "z"])[np.repeat([2, 0, 1], [1500, 2000, 2500])]
    folder = write(tmp_path / "p", rows, id=ids)
    whole = tmp_path / "all.parquet"
    pq.write_table(pq.read_table(folder), whole)
    how = [kind, "-k", 2, "--columns", "a,b,c", *(["--sequence", "id"] if kind == "hmm" else [])]
    run("fit", *how[:1], folder, *how[1:], "--memory", "500MB", "-o", tmp_path / "m.json")
    run("fit", *how[:1], whole, *how[1:], "-o", tmp_path / "n.json")
    got, want = (estep.load(tmp_path / name) for name in ("m.json", "n.json"))
    np.testing.assert_array_equal(got.emission.values()["means"], want.emission.values()["means"])
    asked = ["--sequence", "id"] if kind == "hmm" else []
    assert run("score", tmp_path / "m.json", folder, *asked) == run("score", tmp_path / "m.json", whole, *asked)
    decoded = run("decode", tmp_path / "m.json", folder, *asked)
    assert decoded == run("decode", tmp_path / "m.json", whole, *asked) and decoded.count("\n") == 6001


def test_symbols_by_name_in_files(tmp_path):
    rng = np.random.default_rng(0)
    text = np.array(["A", "C", "G", "T"])[rng.integers(4, size=3000)]
    for i in range(3):
        (tmp_path / f"{i}.csv").write_text("\n".join(["base", *text[1000 * i : 1000 * i + 1000]]))
    out = tmp_path / "m.json"
    run("fit", "hmm", tmp_path / "*.csv", "-k", 2, "--emission", "categorical", "--columns", "base", "-o", out)
    assert estep.load(out).symbols == ("A", "C", "G", "T")
    assert run("decode", out, tmp_path / "*.csv", "--columns", "base").count("\n") == 3001


def test_a_pass_reads_once(monkeypatch):
    monkeypatch.setattr(Chain, "leaf_rows", lambda self, work: 4096)
    model = chain_of()
    X, calls = model.sample(40_000, 0)[0], []

    def blocks():
        calls.append(1)
        return iter(np.array_split(X, 50))

    source = estep.as_source(blocks, memory="20MB", chain=True)
    before = len(calls)
    fit = estep.fit(model, source, stop=Stop(tol=0, max_iter=3))
    assert fit.n_iter == 3 and len(calls) - before == 1 + 4  # the check of the rows, and E-steps


def test_questions_after_a_fit(rows, tmp_path):
    """What is asked of a fitted mixture, of files as of memory."""
    import pandas as pd

    X = rows.copy()
    X[::50, 1] = np.nan
    folder, frame = str(write(tmp_path / "d", X)), pd.DataFrame(X, columns=list("abc"))
    mixture = estep.GaussianMixture(2, random_state=0).fit(frame)
    for ask in ("entropy", "certainty", "icl", "aicc"):
        np.testing.assert_allclose(getattr(mixture, ask)(folder), getattr(mixture, ask)(frame), rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(mixture.impute(folder), mixture.impute(frame), rtol=1e-10)
    assert np.isfinite(mixture.impute(folder, 1, random_state=0)[0]).all()
    np.testing.assert_allclose(mixture.outlier_probability(folder, 500), mixture.outlier_probability(frame, 500))
    np.testing.assert_allclose(mixture.merge(folder).entropies, mixture.merge(frame).entropies, atol=1e-9)
    errors = mixture.standard_errors(folder)["means"]
    np.testing.assert_allclose(errors, mixture.standard_errors(frame)["means"], rtol=1e-6)
    one, two = (mixture.bootstrap(data, 3, random_state=0).replicates["means"] for data in (folder, frame))
    assert one.shape == two.shape == (3, 2, 3)
    moved = estep.adapt(mixture, folder).means_
    np.testing.assert_allclose(moved, estep.adapt(mixture, frame).means_, rtol=1e-9)
    chosen = estep.select(folder, [1, 2], covariance_type=["diag", "full"], stop=FEW)
    assert len(chosen.candidates) == 4


def test_questions_to_a_chain_after_a_fit(rows, tmp_path, monkeypatch):
    import pandas as pd

    monkeypatch.setattr(estep.latents.chain, "CHAIN_ROWS", 512)
    monkeypatch.setattr(estep.latents.chain, "LEAF_WORK", 1)
    X = np.sort(rows[:4000], axis=0)[np.argsort(np.arange(4000) % 400)]
    X[7::90, 1] = np.nan
    folder, frame = str(write(tmp_path / "d", X)), pd.DataFrame(X, columns=list("abc"))
    hmm = estep.GaussianHMM(2, random_state=0).fit(frame)
    for ask, more in (
        ("filter", {}), ("smooth", {"lag": 5}), ("sample_paths", {"n": 2, "random_state": 0}), ("impute", {}),
        ("pseudo_residuals", {}), ("predict_proba", {}),
    ):  # fmt: skip
        one, two = (getattr(hmm, ask)(data, **more) for data in (folder, frame))
        np.testing.assert_allclose(one, two, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(hmm.forecast(folder, 3), hmm.forecast(frame, 3))
    futures = [hmm.simulate(data, 3, 2, random_state=0)[0] for data in (folder, frame)]
    np.testing.assert_allclose(*futures)
    for one, two in zip(hmm.k_best(folder, 2), hmm.k_best(frame, 2), strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-12)
    states = hmm.predict(folder)
    np.testing.assert_allclose(hmm.path_log_likelihood(folder, states), [hmm.decode(frame)[0]], rtol=1e-10)
    errors = hmm.standard_errors(folder)["means"]
    np.testing.assert_allclose(errors, hmm.standard_errors(frame)["means"], rtol=1e-5)
