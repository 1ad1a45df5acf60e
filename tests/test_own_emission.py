"""An emission of one's own that reads covariates, in a page: counts by exposure, ``Poisson(rate * exposure)``."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import estep
from estep.data import stored
from estep.latents import Chain, Independent
from test_dask import cluster


@dataclass(frozen=True, eq=False)
class Exposed(estep.Emission):
    """Counts whose ``rates`` (K,) are those of one unit of exposure, which comes as ``given``."""

    rates: np.ndarray | None = None

    name = "exposed"
    parameters = ("rates",)
    n_covariates, n_columns = 1, 2

    def __post_init__(self):
        self.freeze("rates", None)

    @property
    def n_components(self):
        return len(self.rates)

    @property
    def n_parameters(self):
        return len(self.rates)

    @property
    def layout(self):
        return estep.Layout.of(counts=self.rates.shape, exposure=self.rates.shape)

    def given_columns(self, n):
        return self

    def start(self, n_components, summary):
        return Exposed(np.full(n_components, summary.mean[1] / summary.mean[0]))

    def evaluate(self, batch):
        def accumulate(r, s):
            s["counts"] += (r * batch.observed).sum(axis=0)
            s["exposure"] += (r * batch.given).sum(axis=0)

        rates = self.rates * batch.given
        return estep.Evaluation(batch.observed * np.log(rates) - rates, accumulate)

    def maximize(self, s):
        return Exposed(s["counts"] / s["exposure"]), ()

    def sample(self, states, rng):
        raise ValueError("exposed emissions draw given covariates")


@pytest.mark.parametrize("latent", [Independent(), Chain()])
def test_it_fits_from_anywhere(tmp_path, monkeypatch, latent):
    rng, stop = np.random.default_rng(0), estep.Stop(max_iter=8)
    exposure, states = rng.uniform(1, 5, 80_000), np.repeat(rng.integers(2, size=4000), 20)
    y = rng.poisson(np.array([1.0, 8.0])[states] * exposure).astype(float)
    X = estep.as_source(y[:, None], given=exposure, chain=latent.sequential)
    start = estep.start_model(latent, Exposed(), X, 2, rng=np.random.default_rng(0))
    fit = estep.fit(start, X, stop=stop, execute=estep.threads())
    np.testing.assert_allclose(np.sort(fit.model.emission.rates), [1, 8], rtol=0.02)
    assert max(np.mean(fit.model.decode(X)[0] == z) for z in (states, 1 - states)) > 0.95
    estep.save(fit.model, tmp_path / "m.json")
    assert estep.load(tmp_path / "m.json", [Exposed]).score(X) == fit.model.score(X)
    monkeypatch.setattr(stored, "SHARE", 10**9)
    pq.write_table(pa.table({"y": y, "t": exposure}), tmp_path / "x.parquet", row_group_size=9000)
    files = estep.as_source(tmp_path / "x.parquet", given="t", chain=latent.sequential)
    assert not isinstance(files.X, np.ndarray) and estep.fit(start, files, stop=stop).bound == fit.bound
    with cluster(2) as client:
        assert estep.fit(start, X, stop=stop, execute=estep.Dask(client)).bound == fit.bound
