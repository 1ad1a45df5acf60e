"""A cluster gives what one machine gives, bit for bit, and outlives its workers."""

import contextlib
import io
import json
import sys

import numpy as np
import pytest

import estep
from estep import Model, Stop
from estep.data import stored
from estep.latents import Chain
from models import make_model, rows_of
from test_chunks import CHAINS, vague
from test_cli import check_one_line, run

distributed = pytest.importorskip("distributed")
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="processes are started otherwise")


@contextlib.contextmanager
def cluster(n_workers):
    with (
        contextlib.redirect_stderr(io.StringIO()),
        distributed.LocalCluster(
            n_workers=n_workers, threads_per_worker=1, processes=True, dashboard_address=None, silence_logs=50
        ) as local,
        distributed.Client(local) as client,
    ):
        yield client


@pytest.fixture(scope="module", params=[2, 4])
def client(request):
    with cluster(request.param) as client:
        yield client


def of_two(client):
    """Skips with more workers what has nothing to do with their number."""
    if len(client.scheduler_info()["workers"]) > 2:
        pytest.skip("two workers tell")


def problems():
    mixture = make_model("gaussian-full", "independent", K=3, D=3)
    table = make_model("product", "independent", K=2, D=2)
    chain = Model(Chain(*CHAINS["forgets slowly"](4)), vague("gaussian", 4))
    return {
        "mixture": (mixture, rows_of(mixture, 120_000, 0)),
        "table": (table, rows_of(table, 60_000, 0)),
        "sequences": (chain, (rows_of(chain, 40_000, 0), np.full(1000, 40))),
        "one sequence": (chain, rows_of(chain, 160_000, 1)),
    }


@pytest.mark.parametrize("name", ["mixture", "table", "sequences", "one sequence"])
def test_a_fit_is_that_of_one_machine(name, client):
    model, X = problems()[name]
    data = X if isinstance(X, tuple) else (X,)
    source = model.source(*data)
    assert len(source.leaves(model.leaf_rows())) > 2
    execute, stop = estep.Dask(client), Stop(tol=0, max_iter=3)
    here, there = (estep.fit(model, source, stop=stop, execute=e) for e in (estep.Serial(), execute))
    assert here.trace.bounds == there.trace.bounds
    for part in ("latent", "emission"):
        for block, value in getattr(here.model, part).values().items():
            np.testing.assert_array_equal(value, getattr(there.model, part).values()[block])
    np.testing.assert_array_equal(model.predict_proba(source), model.predict_proba(source, execute=execute))
    assert model.score(source) == model.score(source, execute=execute)
    np.testing.assert_array_equal(model.decode(source)[0], model.decode(source, execute=execute)[0])
    np.testing.assert_array_equal(model.filter(source), model.filter(source, execute=execute))


def test_estimators_and_starts(client):
    X = rows_of(make_model("gaussian-full", "independent", K=3, D=2), 40_000, 0)
    make = dict(n_init=3, random_state=0, max_iter=5, tol=0)
    with pytest.warns(Warning):
        here = estep.GaussianMixture(3, **make).fit(X)
        there = estep.GaussianMixture(3, execute=estep.Dask(client), **make).fit(X)
    np.testing.assert_array_equal(here.means_, there.means_)
    assert here.lower_bounds_ == there.lower_bounds_
    with pytest.raises(TypeError, match="execute is 'dask'"):
        estep.GaussianMixture(3, execute="dask").fit(X)


@pytest.mark.parametrize("partitions", [False, True])
def test_workers_that_die_cost_time_alone(partitions):
    model, X = problems()["mixture"]
    stop, killed = Stop(tol=0, max_iter=4), []
    with cluster(2) as client:

        def kill(it):
            if it.iteration in (1, 2, 3):
                worker = sorted(client.scheduler_info()["workers"])[0]
                pid = client.submit(__import__("os").getpid, workers=[worker], pure=False).result()
                __import__("os").kill(pid, 9)
                killed.append(pid)

        data = pytest.importorskip("dask.array").from_array(X, chunks=(17_000, 3)) if partitions else X
        there = estep.fit(model, data, stop=stop, execute=estep.Dask(client), callbacks=[kill])
    assert len(killed) == 3
    here = estep.fit(model, X, stop=stop)
    assert here.trace.bounds == there.trace.bounds
    np.testing.assert_array_equal(here.model.emission.means, there.model.emission.means)


def test_the_cluster_keeps_no_data_of_fits_that_are_over(client):
    model, X = problems()["mixture"]
    execute = estep.Dask(client)
    estep.fit(model, X, stop=Stop(tol=0, max_iter=2), execute=execute)
    model.score(X, execute=execute)
    assert not execute._sent


def test_what_cannot_work_is_said(client, monkeypatch):
    with pytest.raises(TypeError, match="a distributed.Client or the address"):
        estep.Dask(3)
    with pytest.raises(ValueError, match="does not answer"):
        estep.Dask("tcp://127.0.0.1:1", timeout=0.5)
    monkeypatch.setattr(estep, "__version__", "0.0.0")
    with pytest.raises(ValueError, match=r"has estep 0.1.0 .*this process 0.0.0"):
        estep.Dask(client)


def test_the_command_line(client):
    of_two(client)
    address = client.scheduler.address
    one, other = (
        json.loads(run("fit", "gmm", "faithful", "-k", 2, "--json", *more).stdout)
        for more in ((), ("--scheduler", address))
    )
    for result in (one, other):
        assert "estep fit gmm faithful" in result["model"]["provenance"].pop("command")
        del result["seconds"]
    assert one == other
    check_one_line(run("fit", "gmm", "faithful", "-k", 2, "--scheduler", "nowhere"), "does not answer")


# Data that are on the cluster already


def same(here, there):
    assert here.trace.bounds == there.trace.bounds
    for part in ("latent", "emission"):
        for block, value in getattr(here.model, part).values().items():
            np.testing.assert_array_equal(value, getattr(there.model, part).values()[block])


@pytest.mark.parametrize("name", ["mixture", "one sequence"])
def test_an_array(name, client):
    da = pytest.importorskip("dask.array")
    model, X = problems()[name]
    there = da.from_array(X, chunks=(17_000, 1))
    execute, stop = estep.Dask(client), Stop(tol=0, max_iter=3)
    same(estep.fit(model, X, stop=stop), estep.fit(model, there, stop=stop, execute=execute))
    np.testing.assert_array_equal(model.score_units(X), model.score_units(there, execute=execute))
    np.testing.assert_array_equal(model.decode(X)[0], model.decode(there, execute=execute)[0])
    np.testing.assert_array_equal(model.predict_proba(X), model.predict_proba(there, execute=execute))
    with pytest.raises(ValueError, match="on a cluster: give execute"):
        estep.fit(model, there, stop=stop)


def test_a_bag_of_sequences(client):
    db = pytest.importorskip("dask.bag")
    model, _ = problems()["sequences"]
    rng = np.random.default_rng(0)
    parts = [rows_of(model, int(n), i) for i, n in enumerate(rng.integers(5, 90, 1000))]
    execute, stop = estep.Dask(client), Stop(tol=0, max_iter=3)
    there = estep.fit(model, db.from_sequence(parts, npartitions=7), stop=stop, execute=execute)
    same(estep.fit(model, parts, stop=stop), there)


def test_a_frame_of_mixed_columns_with_gaps(client):
    of_two(client)
    dd, pd = pytest.importorskip("dask.dataframe"), pytest.importorskip("pandas")
    from estep.emissions import Categorical, LogNormal, Poisson, Product

    rng = np.random.default_rng(0)
    n, z = 60_000, rng.integers(2, size=60_000)
    frame = pd.DataFrame(
        {
            "income": np.exp(rng.normal(3 * z, 1)),
            "visits": np.where(rng.random(n) < 0.1, np.nan, rng.poisson(2 + 5 * z)),
            "town": np.array(["Aa", "Bb", "Cc"])[np.where(rng.random(n) < 0.7, z, 2)],
            "w": rng.integers(0, 3, n).astype(float),
        }
    )
    family = Product({"income": LogNormal(), "visits": Poisson(), "town": Categorical()})
    how, execute = {"weights": "w", "rows": "table"}, estep.Dask(client)
    data = estep.as_source(dd.from_pandas(frame, npartitions=5), execute=execute, **how)
    known = estep.as_source(frame, **how)
    start = estep.start_model(estep.latents.Independent(), family, known, 2)
    want, got = (
        estep.fit(start, known, stop=Stop(max_iter=4)),
        estep.fit(start, data, stop=Stop(max_iter=4), execute=execute),
    )
    np.testing.assert_allclose(got.trace.bounds, want.trace.bounds, rtol=1e-11)  # in memory rows are sorted by gaps
    there, make = dd.from_pandas(frame, npartitions=5), dict(random_state=0, max_iter=20)
    states = estep.MixtureModel(family, 2, execute=execute, **make).fit(there, sample_weight="w").predict(there)
    known = estep.MixtureModel(family, 2, **make).fit(frame, sample_weight="w")
    assert np.mean(states == known.predict(frame.drop(columns="w"))) > 0.9999


def test_frames_of_sequences_and_empty_partitions(client):
    of_two(client)
    dd, pd = pytest.importorskip("dask.dataframe"), pytest.importorskip("pandas")
    X, lengths = problems()["sequences"][1]
    frame = pd.DataFrame({"x": X[:, 0], "y": X[:, 1], "id": np.repeat(np.arange(len(lengths)), lengths)})
    there = dd.from_pandas(frame, npartitions=5)
    execute, make = estep.Dask(client), dict(random_state=0, max_iter=3, tol=0)
    with pytest.warns(Warning):
        got = estep.GaussianHMM(2, execute=execute, **make).fit(there, sequence="id")
        want = estep.GaussianHMM(2, **make).fit((X, lengths))
    assert got.lower_bounds_ == want.lower_bounds_
    assert got.score(there) == want.score((X, lengths))
    late = there[there.id > 300]  # the first partition is empty
    rest = (X[frame.id > 300], lengths[301:])
    np.testing.assert_array_equal(got.predict(late), want.predict(rest))


def test_files_that_workers_read(client, tmp_path, monkeypatch):
    of_two(client)
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    model, X = problems()["one sequence"]
    ids = np.repeat([3, 1, 2], [100_000, 20_000, 40_000])
    for i, part in enumerate(np.array_split(np.arange(len(X)), 3)):  # sequences span files
        pq.write_table(pa.table({"x": X[part, 0], "y": X[part, 1], "id": ids[part]}), tmp_path / f"{i}.parquet")
    execute, stop = estep.Dask(client), Stop(tol=0, max_iter=3)
    there = estep.as_source(tmp_path, sequence="id", execute=execute)
    assert there.X.remote
    want = estep.fit(model, (X, [100_000, 20_000, 40_000]), stop=stop)
    same(want, estep.fit(model, there, stop=stop, execute=execute))
    monkeypatch.setattr(stored, "SHARE", 10**9)
    with pytest.raises(ValueError, match="rows are read by this process"):
        estep.fit(model, lambda: iter([X]), stop=stop, execute=execute)
    out = tmp_path / "m.json"
    address = client.scheduler.address
    words = ["fit", "hmm", str(tmp_path / "*.parquet"), "-k", "2", "--sequence", "id", "--columns", "x,y"]
    done = run(*words, "--max-iter", "3", "--scheduler", address, "-o", str(out))
    assert done.returncode == 0, done.stderr
    assert run(*words, "--max-iter", "3", "-o", str(tmp_path / "n.json")).returncode == 0
    same_bits = [estep.load(p).emission.values()["means"] for p in (out, tmp_path / "n.json")]
    np.testing.assert_array_equal(*same_bits)


def test_what_is_impossible_on_a_cluster_is_placed(client):
    of_two(client)
    da = pytest.importorskip("dask.array")
    X = np.abs(np.round(np.random.default_rng(0).normal(size=(100_000, 2))))
    X[70_001, 1] = -1.0
    data = da.from_array(X, chunks=(30_000, 2))
    with pytest.raises(ValueError, match=r"row 70001.*in row 10001 of partition 2"):
        estep.MixtureModel("poisson", 2, execute=estep.Dask(client)).fit(data)


def test_progress_shows_the_workers(client):
    from rich.console import Console

    from estep.cli.show import Progress

    model, X = problems()["mixture"]
    execute, out = estep.Dask(client), io.StringIO()
    with Progress(Console(file=out, force_terminal=True, width=120), execute) as progress:
        estep.fit(model, X, stop=Stop(tol=0, max_iter=2), execute=execute, callbacks=[progress])
        assert f"workers {len(client.nthreads())}" in str(progress.status.status)


def test_questions_after_a_fit(client, tmp_path):
    """On the cluster as in memory: arrays whose rows are there, and files that workers read."""
    of_two(client)
    import dask.array as da
    import pandas as pd

    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(m, 1, (3000, 2)) for m in (0, 5)])
    X[::40, 1] = np.nan
    there, execute = da.from_array(X, chunks=(1000, 2)), estep.Dask(client)
    mixture = estep.GaussianMixture(2, random_state=0).fit(X)
    remote = estep.GaussianMixture(2, random_state=0, execute=execute).fit(there)
    frame = pd.DataFrame(X, columns=["a", "b"])
    frame.to_parquet(tmp_path / "rows.parquet")
    named = estep.GaussianMixture(2, random_state=0, execute=execute).fit(str(tmp_path / "rows.parquet"))
    for one, data in ((remote, there), (named, str(tmp_path / "rows.parquet"))):
        for ask in ("certainty", "outlier_probability"):
            np.testing.assert_allclose(getattr(one, ask)(data), getattr(mixture, ask)(X), atol=1e-6)
        np.testing.assert_allclose(one.impute(data), mixture.impute(X), atol=1e-6)
        np.testing.assert_allclose(one.standard_errors(data)["means"], mixture.standard_errors(X)["means"], rtol=1e-4)
    Y = np.cumsum(rng.normal(size=(4000, 1)), axis=0) % 7
    hmm = estep.GaussianHMM(2, random_state=0, max_iter=20, tol=1e-3).fit(Y)
    model, cluster = hmm.model_, da.from_array(Y, chunks=(1000, 1))
    np.testing.assert_allclose(model.filter(cluster, execute=execute), model.filter(Y), atol=1e-10)
    np.testing.assert_allclose(model.smooth(cluster, 4, execute=execute), model.smooth(Y, 4), atol=1e-10)
    np.testing.assert_allclose(model.forecast(cluster, 3, execute=execute), model.forecast(Y, 3), atol=1e-12)
    residuals = model.pseudo_residuals(cluster, execute=execute)
    np.testing.assert_allclose(residuals, model.pseudo_residuals(Y), atol=1e-7)
    np.testing.assert_array_equal(model.sample_paths(cluster, 2, 0, execute=execute), model.sample_paths(Y, 2, 0))
