"""What parameters say of themselves: how many are free, which zeros are structural, coordinates without bounds."""

import json
from pathlib import Path

import numpy as np
import pytest

import estep
from estep import Model
from estep.emissions import Categorical, FactorAnalysis, Gaussian, Poisson
from estep.io.model_file import to_document
from estep.latents import Chain, Independent
from models import FAMILIES, make_model, read, rows_of

DATA = Path(__file__).parent / "data"
LEFT_RIGHT = np.array([[0.9, 0.1, 0.0], [0.0, 0.9, 0.1], [0.0, 0.0, 1.0]])


def three_in_a_row():
    r = np.random.default_rng(3)
    return np.r_[r.normal(0, 1, (60, 1)), r.normal(6, 1, (60, 1)), r.normal(12, 1, (60, 1))]


@pytest.mark.parametrize("tol, iterations", [(1e-8, 1000), (0.0, 800)])
def test_counts_depend_on_the_structure_alone(tol, iterations):
    """2 + 6 + 3 + 3, however small an estimate; a probability may be 0 to the last bit."""
    X = three_in_a_row()
    hmm = estep.GaussianHMM(3, random_state=0, tol=tol, max_iter=iterations)
    with np.testing.suppress_warnings() as quiet:
        quiet.filter(UserWarning)
        hmm.fit(X)
    assert tol or (hmm.transmat_ == 0).any()
    assert hmm.to_model().n_parameters == 14


def test_zeros_that_are_given_are_structural():
    start = dict(startprob_init=[1.0, 0.0, 0.0], transmat_init=LEFT_RIGHT)
    hmm = estep.GaussianHMM(3, random_state=0, **start).fit(three_in_a_row())
    assert hmm.to_model().n_parameters == 0 + 2 + 3 + 3
    named = estep.GaussianHMM(3, random_state=0, topology="left-right").fit(three_in_a_row())
    assert named.to_model().n_parameters == 0 + 3 + 3 + 3
    settled = estep.GaussianHMM(3, random_state=0, begins="stationary").fit(three_in_a_row())
    assert settled.to_model().n_parameters == 0 + 6 + 3 + 3


@pytest.fixture(scope="module")
def converged():
    with np.testing.suppress_warnings() as quiet:
        quiet.filter(UserWarning)
        return estep.GaussianHMM(3, random_state=0, tol=0, max_iter=800).fit(three_in_a_row())


def test_supports_are_kept(converged, tmp_path):
    """By warm starts, by files, by attributes of which others have been changed; new parameters have their own."""
    X, path = three_in_a_row(), tmp_path / "m.json"
    assert (converged.transmat_ == 0).any()
    estep.save(converged, path)
    assert json.loads(path.read_text())["latent"]["support"].keys() == {"startprob", "transmat"}
    loaded = estep.load(path)
    assert loaded.n_parameters == 14 and loaded.score(X) == converged.to_model().score(X)
    again = estep.load_estimator(path).set_params(warm_start=True, max_iter=1, tol=0)
    with np.testing.suppress_warnings() as quiet:
        quiet.filter(UserWarning)
        assert again.fit(X).to_model().n_parameters == 14
    again.means_ = again.means_ + 0.1
    assert again.to_model().n_parameters == 14
    again.transmat_ = LEFT_RIGHT
    assert again.to_model().n_parameters == 14 - 4
    assert Model(Chain([1.0, 0, 0], LEFT_RIGHT), loaded.emission).n_parameters == 0 + 2 + 3 + 3


def test_zeros_of_version_1_are_structural():
    hmm, table = (estep.load(DATA / f"version1_{name}.json") for name in ("chain", "table"))
    assert hmm.n_parameters == 8 and table.n_parameters == 17
    same = Model(
        Chain(hmm.latent.startprob, hmm.latent.transmat),
        Gaussian("diag", **hmm.emission.values(), origin=hmm.emission.origin),
    )
    assert hmm.score(three_in_a_row()) == same.score(three_in_a_row())
    assert "support" not in to_document(hmm)["latent"]
    X = np.array([[1.0, 3.0], [np.nan, 2.0]])
    rates, p = table.emission.families[0].rates, table.emission.families[1].emissionprob
    with np.errstate(divide="ignore"):
        seen = np.log(table.latent.weights @ (rates * np.exp(-rates) * p[:, 3:4])[:, 0])
    assert table.score(X[:1]) == pytest.approx(seen) and np.isfinite(table.score(X))


def test_supports_of_a_file_are_checked(tmp_path, converged):
    document = to_document(converged.to_model())
    for support in (
        {"transmat": [[1, 1, 1]] * 2},
        {"transmat": [[0, 0, 0]] * 3},
        {"means": [1]},
        [],
        {"transmat": "x"},
    ):
        document["latent"]["support"] = support
        (tmp_path / "m.json").write_text(json.dumps(document))
        with pytest.raises(ValueError, match="support"):
            estep.load(tmp_path / "m.json")


def test_restarts_that_run_together_keep_their_zeros():
    X = np.random.default_rng(0).integers(0, 3, (200, 2)).astype(float)
    g = estep.MixtureModel(Poisson(), 3, n_init=4, random_state=0).fit(X)
    assert g.to_model().n_parameters == 2 + 6
    given = Independent([0.5, 0.5, 0.0])
    assert Model(given, Poisson([[1.0], [2.0], [3.0]])).n_parameters == 1 + 3


@pytest.mark.parametrize("latent", ["independent", "chain"])
@pytest.mark.parametrize("family", FAMILIES)
def test_coordinates_without_bounds(family, latent):
    """There and back; each coordinate moves the likelihood, but for rotations of loadings; counting is their number."""
    model = make_model(family, latent, 3, 2)
    z = model.pack()
    loadings = sum(v.size for n, v in model.emission.values().items() if n.endswith("loadings"))
    assert model.n_parameters == len(z) if not loadings else model.n_parameters <= len(z)
    again = model.unpack(z)
    for part, other in ((model.latent, again.latent), (model.emission, again.emission)):
        for name, value in part.values().items():
            np.testing.assert_allclose(np.exp(1j * other.values()[name]), np.exp(1j * value), atol=1e-9, err_msg=name)
    source = read(model, rows_of(model, 60, 1))
    base, moved = model.score(source), 0
    for i in range(len(z)):
        step = z.copy()
        step[i] += 0.05
        moved += abs(model.unpack(step).score(source) - base) > 1e-9
    assert moved == len(z)


def test_coordinates_leave_out_what_is_held_shared_or_structural():
    chain = Chain([1.0, 0, 0], LEFT_RIGHT)
    model = Model(chain, Gaussian("diag", [[0.0], [3.0], [6.0]], np.ones((3, 1))))
    assert len(model.pack()) == 2 + 6 == model.n_parameters
    held = estep.constrained(model, {"means": [0, 1], "transmat": [0]})
    assert len(held.pack()) == 1 + 4 == held.n_parameters
    moved = held.unpack(held.pack() + 0.5)
    assert (moved.emission.means[:2] == model.emission.means[:2]).all() and moved.emission.means[2] != 6.0
    assert (moved.latent.transmat[0] == LEFT_RIGHT[0]).all() and (moved.latent.transmat[LEFT_RIGHT == 0] == 0).all()
    grouped = estep.constrained(model, emission_groups=(0, 0, 1))
    assert grouped.n_parameters == len(grouped.pack()) == 2 + 4
    shifted = grouped.unpack(grouped.pack() + 0.5).emission.means
    assert shifted[0] == shifted[1] == 0.5
    weights = estep.constrained(Model(Independent([0.2, 0.3, 0.5]), Poisson([[1.0], [2.0], [3.0]])), {"weights": [0]})
    assert weights.n_parameters == 1 + 3
    other = weights.unpack(weights.pack() + 1).latent.weights
    assert other[0] == 0.2 and other.sum() == pytest.approx(1)
    with pytest.raises(ValueError, match="coordinates"):
        model.unpack(np.zeros(3))


def test_loadings_count_up_to_a_rotation():
    r = np.random.default_rng(0)
    one = Model(
        Independent([1.0]), FactorAnalysis(2, "diag", np.zeros((1, 5)), r.normal(size=(1, 5, 2)), np.ones((1, 5)))
    )
    assert one.n_parameters == 5 + 5 + 9 and len(one.pack()) == 5 + 5 + 10


def test_symbols_that_never_came_up_are_counted():
    X = np.random.default_rng(0).integers(0, 3, 300)
    hmm = estep.CategoricalHMM(2, n_symbols=5, random_state=0).fit(X)
    assert hmm.to_model().n_parameters == 1 + 2 + 2 * 4
    given = Categorical([[0.5, 0.5, 0.0], [0.1, 0.1, 0.8]])
    assert Model(Independent([0.5, 0.5]), given).n_parameters == 1 + 1 + 2
