"""A latent part of one's own, in a page: states that are stayed in for three steps at least."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import estep
from estep.data import stored
from estep.emissions import Gaussian, Poisson
from estep.latents import Chain, Dense, Lowered

STAY = 3


@dataclass(frozen=True, eq=False)
class MinimumStay(Chain):
    """A chain whose rows of ``transmat`` count from the third step in a state on: kernel states are (state, step)."""

    name: ClassVar[str] = "minimum_stay"

    def lower(self, batch):
        startprob, transmat = self._given()
        K = len(startprob)
        start, moves = np.zeros((K, STAY)), np.zeros((K, STAY, K, STAY))
        start[:, 0] = startprob
        for step in range(STAY - 1):
            moves[np.arange(K), step, np.arange(K), step + 1] = 1.0
        moves[:, -1, :, 0] = transmat * (1 - np.eye(K))
        moves[np.arange(K), -1, np.arange(K), -1] = np.diag(transmat)
        M = K * STAY
        return Lowered(start.ravel(), Dense(moves.reshape(M, M)), emits=np.repeat(np.arange(K), STAY))

    def collect(self, starts, uses, batch, s):
        K = len(starts) // STAY
        last = uses.reshape(K, STAY, K, STAY)[:, -1]
        s["start"] += starts.reshape(K, STAY)[:, 0]
        s["transitions"] += last[:, :, 0] + np.diag(last[np.arange(K), np.arange(K), -1])


def truth():
    transmat = np.array([[0.5, 0.5, 0.0], [0.2, 0.5, 0.3], [0.6, 0.2, 0.2]])
    return estep.Model(
        MinimumStay(np.full(3, 1 / 3), transmat), Gaussian("diag", [[0.0], [3.0], [6.0]], np.ones((3, 1)))
    )


@pytest.mark.parametrize("algorithm", ["em", "hard", estep.algorithms.Stochastic(2), "squarem"])
def test_it_fits_decodes_and_is_kept(tmp_path, monkeypatch, algorithm):
    monkeypatch.setattr(Chain, "leaf_rows", lambda self, work: 1024)  # so that chunks meet
    model = truth()
    X, states = model.sample(8000, 0)
    runs = np.diff(np.flatnonzero(np.diff(states, prepend=-1, append=-1)))
    assert runs[:-1].min() >= STAY
    fit = estep.fit(model, X, algorithm, estep.Stop(max_iter=20))
    np.testing.assert_allclose(fit.model.latent.transmat, model.latent.transmat, atol=0.05)
    decoded, _ = fit.model.decode(X)
    assert np.mean(decoded == states) > 0.97
    assert np.diff(np.flatnonzero(np.diff(decoded, prepend=-1, append=-1)))[:-1].min() >= STAY
    p, ahead = fit.model.filter(X), fit.model.forecast(X, 2)
    assert p.shape == (8000, 3) and ahead.shape == (1, 2, 3)
    np.testing.assert_allclose(p.sum(axis=1), 1)
    np.testing.assert_allclose(fit.model.predict_proba(X)[-1], p[-1], atol=1e-9)  # nothing to look ahead to
    estep.save(fit.model, tmp_path / "m.json")
    assert estep.load(tmp_path / "m.json", [MinimumStay]).score(X) == fit.model.score(X)
    monkeypatch.setattr(stored, "SHARE", 10**9)
    pq.write_table(pa.table({"x": X[:, 0]}), tmp_path / "x.parquet", row_group_size=1000)
    files = estep.as_source(tmp_path / "x.parquet", chain=True)
    assert isinstance(files.X, stored.Stored)
    assert estep.fit(model, files, algorithm, estep.Stop(max_iter=20)).bound == fit.bound


def test_it_is_brute_force():
    model = truth()
    X = model.sample(6, 1)[0]
    low, K = model.latent.lower(None), 3
    logb = model.evaluate(estep.as_source(X).whole()).log_densities[:, low.emits]
    total = 0.0
    for path in np.ndindex(*[STAY * K] * 6):
        p = low.start[path[0]] * np.prod([low.moves.matrix[a, b] for a, b in zip(path, path[1:], strict=False)])
        total += p * np.exp(logb[np.arange(6), path].sum()) if p > 0 else 0.0
    np.testing.assert_allclose(model.score(X), np.log(total), rtol=1e-12)


def test_counts_too():
    model = estep.Model(truth().latent, Poisson(np.array([[1.0], [9.0], [30.0]])))
    X, states = model.sample(3000, 2)
    assert np.mean(estep.fit(model, X).model.decode(X)[0] == states) > 0.95
