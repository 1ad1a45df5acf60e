"""A cluster gives what one machine gives, bit for bit, and outlives its workers."""

import contextlib
import io
import sys

import numpy as np
import pytest

import estep
from estep import Model, Stop
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


def test_workers_that_die_cost_time_alone():
    model, X = problems()["mixture"]
    stop, killed = Stop(tol=0, max_iter=4), []
    with cluster(2) as client:

        def kill(it):
            if it.iteration in (1, 2, 3):
                worker = sorted(client.scheduler_info()["workers"])[0]
                pid = client.submit(__import__("os").getpid, workers=[worker], pure=False).result()
                __import__("os").kill(pid, 9)
                killed.append(pid)

        there = estep.fit(model, X, stop=stop, execute=estep.Dask(client), callbacks=[kill])
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
    address = client.scheduler.address
    one, other = (run("fit", "gmm", "faithful", "-k", 2, "--json", *more) for more in ((), ("--scheduler", address)))
    assert one.stdout.split('"seconds"')[0] == other.stdout.split('"seconds"')[0]
    check_one_line(run("fit", "gmm", "faithful", "-k", 2, "--scheduler", "nowhere"), "does not answer")
