"""Components that collapse onto few rows are put elsewhere, a few times at most, and it is said."""

import numpy as np
import pytest

import estep
from estep import Model, Stop
from estep.emissions import Gaussian
from estep.fitting.loop import Loop
from estep.fitting.reseeding import comparable
from estep.latents import Chain, Independent


def blobs(seed=0):
    rng = np.random.default_rng(seed)
    return np.r_[rng.normal([0, 0], 1, (150, 2)), rng.normal([8, 0], 1, (150, 2)), rng.normal([0, 8], 1, (150, 2))]


def trapped(latent):
    """A start whose second component sits on one row alone: the likelihood would send its covariance to nothing."""
    X = blobs()
    means = np.array([[0.0, 0.0], X[200], [4.0, 4.0]])
    covariances = np.array([np.eye(2), 1e-10 * np.eye(2), 30 * np.eye(2)])
    return X, Model(latent, Gaussian("full", means, covariances))


@pytest.mark.parametrize("latent", [Independent(np.full(3, 1 / 3)), Chain(np.full(3, 1 / 3), np.full((3, 3), 1 / 3))])
def test_a_collapsed_component_is_put_elsewhere(latent):
    X, start = trapped(latent)
    left = estep.fit(start, X, stop=Stop(reseeds=0))
    assert left.collapsed == (1,) and left.model.emission.covariances[1].max() < 1e-6
    fit = estep.fit(start, X)
    assert fit.collapsed == () and any("component 1: re-seeded" in note for note in fit.notes)
    np.testing.assert_allclose(sorted(fit.model.emission.means.sum(axis=1).round()), [0, 8, 8])
    bounds = np.array(fit.trace.bounds)
    assert (np.diff(bounds) >= -1e-10 * np.abs(bounds[1:])).all()
    np.testing.assert_allclose(fit.bound, fit.model.score(X), rtol=1e-12)


def test_what_cannot_be_helped_is_kept_and_said():
    """Rows that are all alike, or fewer than components can share: three tries, then the last good fit."""
    X = np.repeat([[0.0, 1.0], [5.0, 2.0]], 20, axis=0)
    with pytest.warns(Warning, match="lower n_components, or give reg_covar or a prior|re-seeded"):
        mixture = estep.GaussianMixture(3, random_state=0).fit(X)
    assert np.isfinite(mixture.score(X)) and np.isfinite(mixture.covariances_).all()
    calls = []
    estep.fit(Model(Independent([0.5, 0.5]), Gaussian("full", [[0.0, 1.0], [5.0, 2.0]], [np.eye(2)] * 2)), X,
              callbacks=[lambda it: calls.append(it.iteration)])  # fmt: skip
    assert calls.count(0) <= 4  # the start, and three more


def test_starts_without_a_collapse_win():
    """A spike on one row has the highest likelihood there is; of several starts one without is chosen."""
    X, start = trapped(Independent(np.full(3, 1 / 3)))
    good = Model(
        Independent(np.full(3, 1 / 3)), Gaussian("full", [[0.0, 0.0], [8.0, 0.0], [0.0, 8.0]], [np.eye(2)] * 3)
    )
    loop = Loop(start.source(X), estep.algorithms.EM(), Stop(), estep.Serial(), (), [0, 1])
    spike, whole = loop.run([start], [0])[0], loop.run([good], [1])[0]
    assert spike.collapsed == (1,) and whole.collapsed == ()
    assert comparable(spike, loop) < comparable(whole, loop) == whole.bound
    with pytest.raises(ValueError, match="reseeds is -1"):
        Stop(reseeds=-1)


def test_a_prior_or_reg_covar_needs_no_help():
    X = np.r_[blobs(), np.zeros((30, 2))]
    for options in ({"reg_covar": 1e-3}, {"estimate": "map"}):
        mixture = estep.GaussianMixture(4, random_state=0, **options).fit(X)
        assert mixture.fit_.notes == ()
