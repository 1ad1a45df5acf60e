"""A fit that is cut off goes on from its checkpoint to the same end, bit for bit."""

import os
import pickle
import signal
import subprocess
import sys
import time
import warnings

import numpy as np
import pytest

import estep
from estep import Model, Stop
from estep.algorithms import ALGORITHMS
from estep.emissions import Gaussian
from estep.fitting import checkpoint as module
from kills import FIT
from models import make_model, rows_of


class CutError(Exception):
    """As kill -9 does: nothing after it is done."""


def cut_after(n):
    """A callback that ends the fit at its ``n``-th iteration in all."""
    seen = []

    def callback(it):
        seen.append(it)
        if len(seen) == n:
            raise CutError

    return callback


def same(one, other):
    assert one.bound == other.bound and one.n_iter == other.n_iter and one.stop_reason == other.stop_reason
    assert one.trace.bounds == other.trace.bounds or np.array_equal(
        one.trace.bounds, other.trace.bounds, equal_nan=True
    )
    assert one.trace.passes == other.trace.passes and one.notes == other.notes
    for part in ("latent", "emission"):
        for name, value in getattr(one.model, part).values().items():
            np.testing.assert_array_equal(value, getattr(other.model, part).values()[name])
    assert [(r.bound, r.n_iter, r.stop_reason) for r in one.restarts] == [
        (r.bound, r.n_iter, r.stop_reason) for r in other.restarts
    ]


def problem(latent, K=3):
    model = make_model("gaussian-diag", latent, K=K, D=2)
    X = rows_of(model, 1200, 0)
    rng = np.random.default_rng(1)
    start = Model(model.latent, Gaussian("diag", rng.normal(size=(K, 2)), np.full((K, 2), 4.0)))
    return start, X


@pytest.mark.parametrize("latent", ["independent", "chain"])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_algorithm_goes_on(latent, algorithm, tmp_path):
    start, X = problem(latent)
    stop, file = Stop(tol=0, max_iter=21), tmp_path / "c"
    whole = estep.fit(start, X, algorithm, stop)
    for n in (1, 4, 9):
        with pytest.raises(CutError):
            estep.fit(start, X, algorithm, stop, callbacks=[cut_after(n)], checkpoint=file, every=0)
        assert file.exists() or n == 1
    again = estep.fit(start, X, algorithm, stop, checkpoint=file, every=0)
    same(again, whole)
    began = []
    same(estep.fit(start, X, algorithm, stop, callbacks=[began.append], checkpoint=file), whole)
    assert not began  # a finished one returns at once


@pytest.mark.parametrize("latent", ["independent", "chain"])
def test_an_interrupt_or_the_end_of_the_time_loses_nothing(latent, tmp_path):
    """Whatever ``every`` says: the state before the step that was cut off is written."""
    start, X = problem(latent)
    stop, file = Stop(tol=0, max_iter=24), tmp_path / "c"
    whole, seen = estep.fit(start, X, stop=stop), []

    def interrupt(it):
        seen.append(it.iteration)
        if it.iteration == 13:
            raise KeyboardInterrupt

    cut = estep.fit(start, X, stop=stop, callbacks=[interrupt], checkpoint=file)
    assert cut.stop_reason == "interrupted" and file.exists()
    seen.clear()
    same(estep.fit(start, X, stop=stop, callbacks=[lambda it: seen.append(it.iteration)], checkpoint=file), whole)
    assert 0 < seen[0] <= 13
    short = Stop(tol=0, max_iter=24, max_time=1e-9)
    assert estep.fit(start, X, stop=short, checkpoint=tmp_path / "t").stop_reason == "max_time"
    same(estep.fit(start, X, stop=stop, checkpoint=tmp_path / "t"), whole)


@pytest.mark.parametrize("seed", [0, None])
def test_starts_go_on(seed, tmp_path):
    """Races, perturbed starts and reseeding, cut off again and again; without a seed, from the streams it had."""
    X = np.random.default_rng(0).normal(size=(150, 2))
    X[:12] = X[0]

    def fit(n=None, **more):
        callbacks = [] if n is None else [cut_after(n)]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return estep.GaussianMixture(4, n_init=7, random_state=seed, callbacks=callbacks, **more).fit(X)

    file, cuts = tmp_path / "c", 0
    for n in (3, 40, 90, 150, 200):
        try:
            fit(n, checkpoint=file, every=0)
        except CutError:
            cuts += 1
    assert cuts > 2
    resumed = fit(checkpoint=file, every=0)
    if seed is not None:
        same(resumed.fit_, fit().fit_)
    assert len(resumed.fit_.restarts) == 7
    same(fit(checkpoint=file).fit_, resumed.fit_)


def test_select_and_the_command_line(tmp_path):
    from test_cli import ok

    X = estep.datasets.load_faithful().X
    whole = estep.select(X, [1, 2, 3], n_init=3)
    with pytest.raises(CutError):
        estep.select(X, [1, 2, 3], n_init=3, callbacks=[cut_after(60)], checkpoint=tmp_path / "s", every=0)
    again = estep.select(X, [1, 2, 3], n_init=3, checkpoint=tmp_path / "s", every=0)
    assert [c.bic for c in again.candidates] == [c.bic for c in whole.candidates]
    command = ("fit", "gmm", "faithful", "-k", 2, "--checkpoint", tmp_path / "c", "--every", 0)
    assert ok(*command).splitlines()[:4] == ok(*command).splitlines()[:4]


def test_other_data_or_settings_are_refused(tmp_path):
    start, X = problem("independent")
    file = tmp_path / "c"
    estep.fit(start, X, stop=Stop(max_iter=2), checkpoint=file)
    with pytest.raises(ValueError, match="other data"):
        estep.fit(start, X + 1, stop=Stop(max_iter=2), checkpoint=file)
    with pytest.raises(ValueError, match="other data"):
        estep.fit(start, estep.as_source(X, None, np.ones(len(X)) * 2), stop=Stop(max_iter=2), checkpoint=file)
    with pytest.raises(ValueError, match="other settings"):
        estep.fit(start, X, stop=Stop(max_iter=3), checkpoint=file)
    with pytest.raises(ValueError, match="other settings"):
        estep.fit(start, X, "squarem", stop=Stop(max_iter=2), checkpoint=file)
    estep.fit(start, X, stop=Stop(max_iter=2, max_time=100), checkpoint=file)
    mixture = estep.GaussianMixture(2, random_state=0, checkpoint=tmp_path / "m").fit(X)
    with pytest.raises(ValueError, match="other settings"):
        mixture.set_params(estimate="map").fit(X)
    for bad in (-1, "often", None):
        with pytest.raises(ValueError, match="every is"):
            estep.fit(start, X, checkpoint=tmp_path / "new", every=bad)


def test_files_that_are_none(tmp_path):
    start, X = problem("independent")
    file = tmp_path / "c"
    estep.fit(start, X, stop=Stop(max_iter=2), checkpoint=file)
    data = file.read_bytes()
    for wrong, message in ((data[:-5], "damaged"), (data[:-1] + b"x", "damaged"), (b"hello", "is not a checkpoint")):
        file.write_bytes(wrong)
        with pytest.raises(ValueError, match=message):
            estep.fit(start, X, stop=Stop(max_iter=2), checkpoint=file)
    for call in ((os.system, ("exit 3",)), (np.testing.assert_equal, (1, 1)), (subprocess.Popen, (["false"],))):
        evil = pickle.dumps(module.Saved({}, streams=Evil(call)))
        file.write_bytes(module.MAGIC + module.hashlib.blake2b(evil, digest_size=module.DIGEST).digest() + evil)
        with pytest.raises(ValueError, match="it names .*, which no checkpoint has"):
            estep.fit(start, X, stop=Stop(max_iter=2), checkpoint=file)
    with pytest.raises(ValueError, match="no folder"):
        estep.fit(start, X, checkpoint=tmp_path / "nowhere" / "c")


class Evil:
    def __init__(self, call):
        self.call = call

    def __reduce__(self):
        return self.call


def test_a_full_disk_ends_no_fit(tmp_path, monkeypatch):
    start, X = problem("chain")
    whole = estep.fit(start, X, stop=Stop(max_iter=5, tol=0))

    def full(path, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "write_bytes", full)
    with pytest.warns(RuntimeWarning, match="No space left on device; the fit goes on") as said:
        same(estep.fit(start, X, stop=Stop(max_iter=5, tol=0), checkpoint=tmp_path / "c", every=0), whole)
    assert len(said) == 1


@pytest.mark.skipif(os.name == "nt", reason="signals of another kind")
@pytest.mark.parametrize("kind", ["mixture", "hmm"])
def test_killed_again_and_again(kind, tmp_path):
    """With kill -9; tests/kills.py does it two hundred times."""
    rng, file = np.random.default_rng(0), tmp_path / "c"
    command = [sys.executable, "-c", FIT, kind]
    whole = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    kills = 0
    for _ in range(3):
        process = subprocess.Popen([*command, file], stdout=subprocess.DEVNULL)
        time.sleep(1.5 + rng.random())
        kills += process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert not file.exists() or file.read_bytes().startswith(module.MAGIC)
    assert subprocess.run([*command, file], capture_output=True, text=True, check=True).stdout == whole
    assert not [f for f in os.listdir(tmp_path) if f.startswith(".estep") and kills == 0]


def test_batches_and_families_of_cells(tmp_path):
    X = np.random.default_rng(0).gamma(2.0, size=(300, 1))
    make = dict(n_init=5, random_state=0, checkpoint=tmp_path / "g", every=0)
    with pytest.raises(CutError):
        estep.MixtureModel("gamma", 2, callbacks=[cut_after(30)], **make).fit(X)
    fitted = estep.MixtureModel("gamma", 2, **make).fit(X)
    same(fitted.fit_, estep.MixtureModel("gamma", 2, n_init=5, random_state=0).fit(X).fit_)


def test_families_of_ones_own(tmp_path):
    start = make_model("rayleigh", "chain", K=2, D=1)
    X = rows_of(start, 300, 0)
    whole, file = estep.fit(start, X, stop=Stop(max_iter=8, tol=0)), tmp_path / "c"
    with pytest.raises(CutError):
        estep.fit(start, X, stop=Stop(max_iter=8, tol=0), callbacks=[cut_after(4)], checkpoint=file, every=0)
    same(estep.fit(start, X, stop=Stop(max_iter=8, tol=0), checkpoint=file, every=0), whole)


def test_a_stream_is_kept_otherwise(tmp_path):
    X = np.random.default_rng(0).normal(size=(50, 2))
    with pytest.raises(ValueError, match=r"checkpoint is for fit: of partial_fit, estep.save"):
        estep.GaussianMixture(2, checkpoint=tmp_path / "c").partial_fit(X)
