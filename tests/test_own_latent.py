"""A latent part of one's own, in a page: states that are stayed in for three steps at least."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import estep
from estep.data import stored
from estep.emissions import Gaussian
from estep.latents import Chain, Dense, Lowered
from test_dask import cluster

STAY = 3


@dataclass(frozen=True, eq=False)
class MinimumStay(Chain):
    """A chain whose rows of ``transmat`` count from the third step in a state on: kernel states are (state, step)."""

    name: ClassVar[str] = "minimum_stay"

    def lower(self, batch):
        K, own, steps = self.n_components, np.arange(self.n_components), np.arange(STAY - 1)
        start, moves = np.zeros((K, STAY)), np.zeros((K, STAY, K, STAY))
        start[:, 0] = self.startprob
        moves[own[:, None], steps, own[:, None], steps + 1] = 1.0
        moves[:, -1, :, 0] = self.transmat * (1 - np.eye(K))
        moves[own, -1, own, -1] = np.diag(self.transmat)
        return Lowered(start.ravel(), Dense(moves.reshape(K * STAY, K * STAY)), emits=np.repeat(own, STAY))

    def collect(self, starts, uses, batch, s):
        last, own = uses.reshape(-1, STAY, self.n_components, STAY)[:, -1], np.arange(self.n_components)
        s["start"] += starts.reshape(-1, STAY)[:, 0]
        s["transitions"] += last[:, :, 0] + np.diag(last[own, own, -1])


MODEL = estep.Model(
    MinimumStay(np.full(3, 1 / 3), [[0.5, 0.5, 0.0], [0.2, 0.5, 0.3], [0.6, 0.2, 0.2]]),
    Gaussian("diag", [[0.0], [3.0], [6.0]], np.ones((3, 1))),
)


def test_it_is_what_enumeration_finds():
    X, low, total = MODEL.sample(6, 1)[0], MODEL.latent.lower(None), 0.0
    b = np.exp(MODEL.evaluate(estep.as_source(X).whole()).log_densities[:, low.emits])
    for path in map(np.array, np.ndindex(*[3 * STAY] * 6)):
        total += low.start[path[0]] * low.moves.matrix[path[:-1], path[1:]].prod() * b[np.arange(6), path].prod()
    np.testing.assert_allclose(MODEL.score(X), np.log(total), rtol=1e-12)


@pytest.mark.parametrize("algorithm", ["em", "hard", estep.algorithms.Stochastic(2), "squarem"])
def test_it_fits_decodes_and_is_kept(tmp_path, monkeypatch, algorithm):
    X, states = MODEL.sample(40_000, 0)
    fit = estep.fit(MODEL, X, algorithm, estep.Stop(max_iter=6))
    np.testing.assert_allclose(fit.model.latent.transmat, MODEL.latent.transmat, atol=0.05)
    decoded = fit.model.decode(X)[0]
    assert np.mean(decoded == states) > 0.97
    assert np.diff(np.flatnonzero(np.diff(decoded, prepend=-1, append=-1)))[:-1].min() >= STAY
    p, ahead = fit.model.filter(X), fit.model.forecast(X, 2)
    assert p.shape == (40_000, 3) and ahead.shape == (1, 2, 3)
    np.testing.assert_allclose(fit.model.predict_proba(X)[-1], p[-1], atol=1e-9)  # nothing to look ahead to
    estep.save(fit.model, tmp_path / "m.json")
    assert estep.load(tmp_path / "m.json", [MinimumStay]).score(X) == fit.model.score(X)
    monkeypatch.setattr(stored, "SHARE", 10**9)
    pq.write_table(pa.table({"x": X[:, 0]}), tmp_path / "x.parquet", row_group_size=1000)
    files = estep.as_source(tmp_path / "x.parquet", chain=True)
    assert not isinstance(files.X, np.ndarray)
    assert estep.fit(MODEL, files, algorithm, estep.Stop(max_iter=6)).bound == fit.bound
    if algorithm == "em":
        with cluster(2) as client:
            there = estep.fit(MODEL, X, stop=estep.Stop(max_iter=6), execute=estep.Dask(client))
        assert there.trace.bounds == fit.trace.bounds
