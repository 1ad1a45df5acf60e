"""What callers do with threads, processes, memory and signals: nothing crashes, hangs or stays behind."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
import warnings

import numpy as np
import pytest
import threadpoolctl

import estep
from estep import Model, kernels
from estep.emissions import Categorical, Gaussian
from estep.execution.threads import available_threads
from estep.interface import Evaluation
from estep.kernels.spec import Spec
from estep.latents import Chain, Independent
from models import Rayleigh

HEAD = "import numpy as np, estep, warnings, threading, time, os, sys, signal; warnings.simplefilter('ignore')\n"


def program(code, within=60):
    """Exit status, output and errors of a small program; none may take long."""
    done = subprocess.run(
        [sys.executable, "-c", HEAD + textwrap.dedent(code)], capture_output=True, text=True, timeout=within
    )
    return done.returncode, done.stdout, done.stderr


# Leaving, forking, interrupting


@pytest.mark.parametrize("work", [
    "estep.GaussianMixture(8, max_iter=10**6, tol=0).fit(X)",
    "[estep.GaussianHMM(2, random_state=0, max_iter=1).fit(X[:5000]).decode(X) for _ in range(10**6)]",
    "estep.MixtureModel('categorical', 8, max_iter=10**6, tol=0, n_threads=1).fit(np.abs(X[:, :1]).round())",
])  # fmt: skip
def test_leaving_while_a_daemon_thread_fits(work):
    for _ in range(3):
        status, _, errors = program(f"""
            import logging
            logging.disable()  # a daemon thread that holds stderr when the interpreter goes is Python's own abort
            X = np.random.default_rng(0).normal(size=(100_000, 4))
            threading.Thread(target=lambda: {work}, daemon=True).start(); time.sleep(1.0)
        """)
        assert status == 0 and "terminate" not in errors, errors


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_forks_while_another_thread_fits():
    status, out, errors = program("""
        X = np.random.default_rng(0).normal(size=(3000, 3))
        stop = []
        estep.GaussianMixture(3, max_iter=1).fit(X)  # imports are done
        def fits():
            while not stop:
                estep.GaussianMixture(3, max_iter=5, tol=0, random_state=0).fit(X)
        thread = threading.Thread(target=fits); thread.start()
        for _ in range(60):
            child = os.fork()
            if not child:
                signal.alarm(20)  # a deadlock ends the child
                estep.GaussianMixture(2, max_iter=2, tol=0, random_state=0, n_threads=2).fit(X[:300])
                os._exit(0)
            assert os.waitpid(child, 0)[1] == 0, "a child did not end well"
        stop.append(1); thread.join(); print("done")
    """)
    assert status == 0 and "done" in out, errors


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_fork_inside_a_fit_goes_on_in_both():
    status, out, errors = program("""
        children = []
        def fork(it):
            if it.iteration == 2 and not children:
                children.append(os.fork())
        X = np.random.default_rng(0).normal(size=(200_000, 2))
        signal.alarm(50)
        fit = estep.GaussianMixture(4, max_iter=4, tol=0, random_state=0, n_threads=4, callbacks=[fork]).fit(X)
        if children[0]:
            assert os.waitpid(children[0], 0)[1] == 0
            print("both", fit.n_iter_)
    """)
    assert status == 0 and "both 4" in out, errors


def limits():
    return {
        info["filepath"]: info["num_threads"] for info in threadpoolctl.threadpool_info() if info["user_api"] == "blas"
    }


def test_concurrent_fits_give_blas_back():
    X = np.random.default_rng(0).normal(size=(4000, 3))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        estep.GaussianMixture(2, max_iter=1).fit(X)  # loads the libraries
    before = limits()

    def some(n_threads):
        for _ in range(8):
            estep.GaussianMixture(2, max_iter=3, tol=0, random_state=0, n_threads=n_threads).fit(X)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        callers = [threading.Thread(target=some, args=(n,)) for n in (1, 2, 3)]
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join()
    assert limits() == before


def test_no_more_threads_than_leaves_and_none_too_many_stay():
    X = np.random.default_rng(0).normal(size=(300_000, 1))

    def started():
        return sum(thread.name == "estep" for thread in threading.enumerate())

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        before = started()
        estep.GaussianMixture(2, n_threads=2000, max_iter=2, tol=0).fit(X[:100])
        assert started() == before
        many = estep.GaussianMixture(2, n_threads=40, max_iter=2, tol=0, random_state=0).fit(X)
    for _ in range(100):
        if started() <= max(before, available_threads()):
            break
        time.sleep(0.05)
    assert started() <= max(before, available_threads())
    one = estep.GaussianMixture(2, n_threads=1, max_iter=2, tol=0, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        np.testing.assert_array_equal(one.fit(X).means_, many.means_)


@pytest.mark.skipif(os.name == "nt", reason="signals of another kind")
@pytest.mark.parametrize("after", [0.03, 0.1, 0.2, 0.5, 1.5])
def test_an_interrupt_at_any_moment(after):
    """130 and no traceback: while it loads, and while it fits."""
    command = [sys.executable, "-c", "from estep.cli import main; main()", "fit", "gmm", "faithful", "-k", "1-9"]
    began = subprocess.Popen([*command, "--n-init", "900"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    time.sleep(after)
    began.send_signal(signal.SIGINT)
    _, errors = began.communicate(timeout=60)
    if began.returncode == -signal.SIGINT and after < 0.2:
        return  # before Python itself had a handler
    assert began.returncode == 130 and "Traceback" not in errors, errors


# Rows that change, sources of another model, what a family of one's own returns


def test_symbols_that_change_during_a_fit_stay_in_the_table():
    X = np.random.default_rng(0).integers(0, 4, (20_000, 1)).astype(np.int32)
    hmm = estep.CategoricalHMM(2, max_iter=3, tol=0, callbacks=[lambda it: X.__setitem__(slice(None), 2**30)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        hmm.fit(X)
    assert np.isfinite(hmm.emissionprob_).all()


def test_a_source_of_another_model_is_checked_again():
    four = Model(Independent([0.5, 0.5]), Categorical([[0.25] * 4, [0.1, 0.2, 0.3, 0.4]]))
    two = Model(Independent([0.5, 0.5]), Categorical([[0.5, 0.5], [0.1, 0.9]]))
    for rows in ([[2]], [[0.0], [np.nan], [3.0]]):
        with pytest.raises(ValueError, match="the model has symbols 0 to 1"):
            two.score_units(four.source(rows))
    assert np.isfinite(two.score(four.source([[1]])))
    wide, narrow = (
        Model(Independent([1.0]), kind(np.ones((1, D))))
        for kind, D in ((estep.emissions.Poisson, 2),) * 1 + ((estep.emissions.Poisson, 1),)
    )
    with pytest.raises(ValueError, match="the data have 2 columns; the model has 1"):
        narrow.score(wide.source([[1.0, 2.0]]))
    gaps = Model(Independent([1.0]), Gaussian(means=[[0.0, 0.0]], covariances=[np.eye(2)])).source([[1.0, np.nan]])
    with pytest.raises(ValueError, match="the data have 2 columns; the model has 1"):
        Model(Independent([1.0]), Gaussian(means=[[0.0]], covariances=[np.eye(1)])).score(gaps)


class Odd(Rayleigh):
    """Log-densities that are wrong in row 1."""

    value = np.nan

    def evaluate(self, batch):
        right = super().evaluate(batch)
        logs = right.log_densities.copy()
        logs[batch.X[:, 0] == 7.0, 0] = self.value
        return Evaluation(logs, right.accumulate)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("latent", [Independent([0.5, 0.5]), Chain([0.5, 0.5], [[0.5, 0.5], [0.5, 0.5]])])
def test_densities_that_are_no_numbers_are_named(value, latent, monkeypatch):
    monkeypatch.setattr(Odd, "value", value)
    model = Model(latent, Odd([[1.0], [2.0]]))
    X = np.array([[1.0], [7.0], [2.0]])
    for ask in (model.score, model.predict_proba, model.decode, lambda rows: estep.fit(model, rows)):
        with pytest.raises(ValueError, match=f"log-density of row 1 and component 0 is {value}"):
            ask(X)


def test_densities_of_another_shape_are_named(monkeypatch):
    monkeypatch.setattr(Odd, "evaluate", lambda self, batch: Evaluation(np.zeros((len(batch.X), 3)), None))
    with pytest.raises(ValueError, match=r"log-densities have shape \(2, 3\), expected \(2, 2\)"):
        Model(Independent([0.5, 0.5]), Odd([[1.0], [2.0]])).score([[1.0], [2.0]])


# The kernels' own borders


def test_kernels_refuse_outputs_they_would_not_fill(compiled):
    k = kernels.load(compiled) if isinstance(compiled, str) else kernels.active()
    if k.level == "reference":
        return
    spec, X = Spec("dense", 2, 2), np.zeros((6, 2))
    read_only = np.zeros((6, 2))
    read_only.flags.writeable = False
    for out in (np.zeros((6, 2), np.float32), np.zeros((2, 6)).T, np.zeros((6, 4))[:, ::2], read_only):
        with pytest.raises(TypeError):
            k.log_densities(spec, X, out)
        with pytest.raises(TypeError):
            k.mixture(spec, np.zeros(2), X, None, None, None, None, None, out, None)
    with pytest.raises(ValueError, match="out"):
        k.log_densities(spec, X, np.zeros((5, 2)))
    for bad in (np.array(1.0), np.zeros(6), np.zeros((6, 3))):
        with pytest.raises((ValueError, TypeError)):
            k.mixture(spec, np.zeros(2), bad, None, None, None, None, None, None, None)
    with pytest.raises((ValueError, TypeError)):
        k.survey(np.array(1.0), None, np.zeros((6, 1)))


def test_kernels_refuse_stretches_that_lead_nowhere(compiled):
    from estep.data.batch import Halo

    k = kernels.active()
    if k.level == "reference":
        return
    spec, X, half = Spec("dense", 2, 2), np.zeros((6, 2)), np.full((2, 2), 0.5)
    two, one, right = np.array([3, 6]), np.array([6]), np.zeros(2)

    def chain(ends, *chunk):
        k.chain(spec, half[0], half, ends, X, None, np.zeros(len(ends)), None, None, None, None, *chunk)

    chain(one, Halo(0, 0, True, False), None, right, np.zeros((4, 2)), False)
    for ends, chunk in (
        (one, (Halo(0, 0, True, False), None, None)),
        (one, (Halo(0, 0, False, True), None, None)),
        (one, (Halo(4, 4, False, False), None, None)),
        (two, (Halo(1, 0, False, True), None, None)),
        (two, (None, None, None, np.zeros((4, 2)))),
        (one, (None, right, None)),
        (one, (Halo(0, 0, True, True), None, None, np.zeros((3, 2)))),
    ):
        with pytest.raises(ValueError, match="kernel argument"):
            chain(ends, *chunk)
    path, logprob = np.zeros(6, np.int32), np.zeros(2)
    with pytest.raises(ValueError, match="next"):
        k.viterbi(spec, half[0], half, one, X, path, logprob[:1], Halo(0, 0, True, True), None, 2)
    with pytest.raises(ValueError, match="scores"):
        k.viterbi(spec, half[0], half, two, X, path, logprob, None, None, -1, np.zeros((2, 2)))


def test_drawn_paths_where_all_that_can_be_reached_is_next_to_impossible(level):
    """The state that explains a row is out of reach; of those within reach, densities are lost without logs."""
    logs = np.array([[0.0, -3000.0, -3001.0], [0.0, -3000.0, -3002.0], [0.0, 0.0, 0.0]])
    start, trans = np.array([0.0, 0.5, 0.5]), np.array([[1.0, 0.0, 0.0], [0.0, 0.5, 0.5], [0.0, 0.5, 0.5]])
    u = np.random.default_rng(0).random((3, 4000))
    ends, path = np.arange(3, 12_001, 3), np.empty(12_000, np.int32)
    rows = np.tile(logs, (4000, 1))
    kernels.active().draw(Spec("dense", 3, 3), start, trans, ends, rows, u.T.ravel(), path)
    paths = path.reshape(-1, 3)
    assert (paths > 0).all()
    share = 1 / (1 + np.exp(-1.0))
    assert abs((paths[:, 0] == 1).mean() - share) < 0.03
    assert abs((paths[:, 1] == 1).mean() - 1 / (1 + np.exp(-2.0))) < 0.03
