"""Tables of columns of different kinds, and data frames whose families are proposed."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import estep
from estep import Model, Stop, with_prior
from estep.emissions import Categorical, Gaussian, LogNormal, MixtureOf, Multinomial, Poisson, Product
from estep.latents import Chain, Independent
from estep.priors import Dirichlet, Gamma
from models import FAMILIES

MAKE = [pd.DataFrame, pl.DataFrame, pa.table]


def columns(n=600, seed=0):
    """Two groups of people; z says which."""
    rng = np.random.default_rng(seed)
    z = (rng.random(n) < 0.4).astype(int)
    jobs = (rng.random((n, 1)) > np.array([[0.6, 0.9], [0.1, 0.3]])[z]).sum(axis=1)
    return z, {
        "height": rng.normal([160.0, 180.0], 6.0, (n, 2))[np.arange(n), z],
        "visits": rng.poisson([1.0, 5.0], (n, 2))[np.arange(n), z],
        "job": [["clerk", "nurse", "smith"][i] for i in jobs],
        "owner": rng.random(n) < np.array([0.2, 0.7])[z],
    }  # fmt: skip


@pytest.mark.parametrize("make", MAKE)
def test_a_frame_fits_with_one_call(make, caplog):
    z, data = columns()
    mixture = estep.MixtureModel("auto", 2, random_state=0).fit(make(data))
    assert "job: categorical" in caplog.text
    assert {label: f.name for label, f in mixture.emission_._labelled()} == {
        "height": "gaussian", "visits": "poisson", "owner": "bernoulli", "job": "categorical",
    }  # fmt: skip
    found = mixture.predict(make(data))
    assert max((found == z).mean(), (found != z).mean()) > 0.95
    assert mixture.visits_rates_.shape == (2, 1) and mixture.job_emissionprob_.shape == (2, 3)
    assert np.isfinite(mixture.bic(make(data))) and mixture.n_features_in_ == 4


def test_densities_are_sums_of_the_families():
    _, data = columns(50)
    frame = pd.DataFrame(data)
    product = Product({
        "height": Gaussian("full", [[165.0], [175.0]], [[[30.0]], [[40.0]]]),
        ("visits",): Poisson([[2.0], [4.0]]),
        "job": Categorical([[0.2, 0.3, 0.5], [0.6, 0.3, 0.1]]),
    })  # fmt: skip
    model = Model(Independent([0.3, 0.7]), product, symbols=(("job", ("clerk", "nurse", "smith")),))
    logs = np.log([[0.3, 0.7]]).repeat(50, 0)
    codes = np.array([("clerk", "nurse", "smith").index(j) for j in data["job"]])
    for family, X in zip(product.families, (frame[["height"]], frame[["visits"]], codes[:, None]), strict=True):
        one = Model(Independent([1.0]), family) if family.n_components == 1 else None
        assert one is None
        for k in range(2):
            values = {n: np.asarray(v)[k : k + 1] for n, v in family.values().items()}
            logs[:, k] += Model(Independent([1.0]), family.with_values(**values)).score_units(np.asarray(X))
    np.testing.assert_allclose(model.score_units(frame[["job", "height", "visits"]]), np.logaddexp(*logs.T), rtol=1e-10)


def test_empty_cells_and_new_rows(tmp_path):
    _, data = columns()
    frame = pd.DataFrame(data)
    rng = np.random.default_rng(1)
    for column in frame:
        frame[column] = frame[column].astype(object).where(rng.random(len(frame)) > 0.1, None)
    frame["height"], frame["visits"] = frame["height"].astype(float), frame["visits"].astype(float)
    frame["owner"] = frame["owner"].astype(float)
    mixture = estep.MixtureModel("auto", 2, random_state=0).fit(frame)
    assert (np.diff(mixture.lower_bounds_) >= -1e-10).all()
    estep.save(mixture, tmp_path / "m.json")
    again = estep.estimators.from_model(estep.load(tmp_path / "m.json"))
    shuffled = frame.iloc[::-1][["owner", "job", "visits", "height"]]
    np.testing.assert_allclose(again.score_samples(shuffled), mixture.score_samples(frame)[::-1], rtol=1e-12)
    strange = frame.assign(job="pilot")
    with pytest.raises(ValueError, match="row 0: the model has no symbol 'pilot'; it knows clerk, nurse, smith"):
        mixture.predict(strange)
    with pytest.raises(ValueError, match="the data have no column 'job', which the model has; they have height"):
        mixture.predict(frame.drop(columns="job"))


def test_chains_arrays_and_priors():
    family = Product({0: Gaussian("diag"), (1, 2): Poisson(), 3: Categorical()})
    truth = Model(
        Chain([0.5, 0.5], [[0.9, 0.1], [0.2, 0.8]]),
        Product({
            0: Gaussian("diag", [[0.0], [3.0]], [[1.0], [1.0]]),
            (1, 2): Poisson([[1.0, 5.0], [4.0, 2.0]]),
            3: Categorical([[0.7, 0.3], [0.2, 0.8]]),
        }),
    )  # fmt: skip
    X, states = truth.sample(800, 0)
    hmm = estep.HMM(family, 2, random_state=0).fit(X, [300, 500])
    assert max((hmm.predict(X, [300, 500]) == states).mean(), (hmm.predict(X, [300, 500]) != states).mean()) > 0.9
    for estimate in ("map", "vb"):
        start = with_prior(truth, X, estimate, {"1+2.rates": Gamma(2.0, 1.0), "transmat": Dirichlet(2.0)})
        fit = estep.fit(start, X, stop=Stop(tol=1e-9, max_iter=50))
        assert (np.diff(fit.trace.bounds) >= -1e-10 * abs(fit.bound)).all()
        assert fit.model.prior["1+2.rates"].shape == 2.0
    held = estep.fit(estep.constrained(truth, {"0.means", "3.emissionprob"}), X, stop=Stop(max_iter=20, tol=0))
    np.testing.assert_array_equal(held.model.emission.values()["0.means"], [[0.0], [3.0]])
    assert estep.select(X[:, :1], range(1, 3), Product({0: Gaussian()})).best.n_components >= 1


def test_own_emissions_take_part():
    rng = np.random.default_rng(0)
    model = Model(Independent([0.5, 0.5]), FAMILIES["product-with-rayleigh"](2, 1, rng))
    X = model.sample(200, 0)[0]
    fit = estep.fit(model, X, stop=Stop(tol=1e-9, max_iter=50))
    assert (np.diff(fit.trace.bounds) >= -1e-10 * abs(fit.bound)).all()


def test_proposals():
    product = estep.propose(np.array([[0.5, 1.0, 3.0], [-1.0, 0.0, 4.0]]))
    assert {label: f.name for label, f in product._labelled()} == {"0": "gaussian", "2": "poisson", "1": "bernoulli"}


def test_proposals_for_columns_of_every_kind():
    rng = np.random.default_rng(0)
    n = 400
    frame = pd.DataFrame({
        "id": np.arange(n) + 10_000, "customer_id": rng.permutation(n) * 7,
        "day": pd.date_range("2020-01-01", periods=n),
        "written": [f"{1 + i % 28}.{1 + i % 12}.2021" for i in range(n)], "note": [f"text {i}" for i in range(n)],
        "age": rng.integers(18, 90, n), "income": rng.lognormal(10, 1, n), "balance": rng.normal(0, 9, n),
        "visits": rng.poisson(2, n), "rating": rng.integers(1, 6, n), "size": rng.poisson(300, n),
        "member": rng.integers(0, 2, n), "region": rng.choice(["n", "s"], n),
        "thin": np.r_[[np.nan] * (n - 3), 1.5, 2, 9],
    })  # fmt: skip
    with pytest.warns(UserWarning) as said:
        product = estep.propose(frame)
    assert {c: f.name for key, f in product.parts for c in key} == {
        "age": "gaussian", "income": "log_normal", "balance": "gaussian", "visits": "poisson", "rating": "categorical",
        "size": "gaussian", "member": "bernoulli", "region": "categorical", "thin": "gaussian",
    }  # fmt: skip
    text = str(said[0].message)
    for column, why in (("id", "numbers the rows"), ("customer_id", "numbers the rows"), ("day", "has dates"),
                        ("written", "has dates"), ("note", "has another text in almost every row")):  # fmt: skip
        assert f"{column!r} {why}" in text
    with pytest.warns(UserWarning, match="columns left out"):
        mixture = estep.MixtureModel("auto", 2, random_state=0).fit(frame.drop(columns=["thin"]))
    assert mixture.predict(frame).shape == (n,) and "note" not in str(estep.io.model_file.to_document(mixture.model_))
    many = pd.DataFrame({"a": rng.normal(size=n), "town": [f"town {i % 60}" for i in range(n)]})
    with pytest.raises(ValueError, match="column 'town' has 60 texts, more than 50: leave it out"):
        estep.propose(many)
    with pytest.raises(ValueError, match="no column is left: .*'id' numbers the rows"):
        estep.propose(frame[["id"]])


def test_families_by_name_and_symbols_of_several_columns():
    frame = pd.DataFrame(
        {"income": np.random.default_rng(0).lognormal(3, 1, 60), "p": [1, 2] * 30, "q": [2, 1, 0] * 20}
    )
    mixture = estep.MixtureModel({"income": "log_normal", ("p", "q"): "categorical"}, 2, random_state=0).fit(frame)
    assert mixture.p_emissionprob_.shape == (2, 3) and mixture.q_emissionprob_.shape == (2, 3)
    by_hand = Product({"income": LogNormal(), "p": Categorical(), "q": Categorical()})
    assert mixture.score(frame) == estep.MixtureModel(by_hand, 2, random_state=0).fit(frame).score(frame)


def test_what_is_wrong_is_named():
    _, data = columns(30)
    frame = pd.DataFrame(data)
    for family, message in [
        (Product({"height": Gaussian(), "age": Poisson()}), "no column 'age'; they have height, visits, job, owner"),
        (Product({"job": Poisson()}), "column 'job' is text; poisson wants numbers: give it Categorical"),
        (Product({"height": Poisson()}), r"row 0, column 0 is .* \(columns height\)"),
        (Product({("visits", "owner"): Multinomial(), "height": Categorical()}), "symbols are whole numbers"),
    ]:
        with pytest.raises(ValueError, match=message):
            estep.MixtureModel(family, 2).fit(frame)
    with pytest.raises(ValueError, match="the data have no column 7; they have 4"):
        estep.MixtureModel(Product({7: Gaussian()}), 1).fit(np.ones((3, 4)))
    for make, message in [
        (lambda: Product({}), "at least one column"),
        (lambda: Product({"a": "poisson"}), "the family of a is 'poisson'"),
        (lambda: Product({"a": Poisson(), ("b", "a"): Poisson()}), "column 'a' has two families"),
        (lambda: Product({1.5: Poisson()}), "columns are 1.5: names or numbers"),
        (lambda: Product({"a": Poisson()}).with_values(rates=[[1.0]]), "'rates' is none of a.rates"),
    ]:
        with pytest.raises(ValueError, match=message):
            make()


def test_names_that_look_alike():
    """A column may be called like another and a parameter, or like two others."""
    rng = np.random.default_rng(0)
    X, C = rng.normal(size=(80, 2)), rng.poisson(2.0, 80)
    texts = pd.DataFrame({"a.b": rng.choice(list("uvw"), 80), "a_b": rng.choice(list("pqr"), 80)})
    numbers = pd.DataFrame({"a": X[:, 0], "a.b": C, "b": X[:, 1], "a_b": C})
    mixed = Product({"a": Gaussian("diag"), "a.b": Poisson(), ("b", "a_b"): Gaussian("diag")})
    for family, frame in (("auto", texts), (mixed, numbers)):
        mixture = estep.MixtureModel(family, 2, random_state=0, max_iter=20, tol=1e-3).fit(frame)
        assert mixture.score(frame) == pytest.approx(mixture.lower_bound_, rel=1e-12)
    with pytest.raises(ValueError, match=r"two parts are called 'x\+y'"):
        Product({("x", "y"): Gaussian(), "x+y": Poisson()})


def test_attributes_set_by_hand_keep_the_symbols():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"t": ["x", "y"] * 20 + ["z"] * 40, "v": rng.normal(size=80)})
    hmm = estep.HMM(Product({"t": Categorical(), "v": Gaussian()}), 2, random_state=0).fit(frame)
    some = frame[frame.t != "x"]
    model = hmm.to_model()
    hmm.transmat_ = np.full((2, 2), 0.5)
    assert hmm.to_model().symbols == model.symbols == (("t", ("x", "y", "z")),)
    assert np.isfinite(hmm.score(some))


@pytest.mark.parametrize("beside", ["gaussian-full", "rayleigh"])
def test_mixtures_of_counts_take_part(beside, level):
    """Parts that are looked up in tables, beside one with a kernel and one without."""
    rng = np.random.default_rng(0)
    counts = FAMILIES["mixture-of-negative-binomial"](2, 1, rng)
    other = FAMILIES[beside](2, 1, rng)
    model = Model(Independent([0.4, 0.6]), Product({0: counts, 1: other}))
    X = model.sample(50, 0)[0]
    logs = np.log([[0.4, 0.6]]).repeat(50, 0)
    for family, own in zip(model.emission.families, (X[:, :1], X[:, 1:]), strict=True):
        for k in (0, 1):
            alone = Model(Independent([1.0 - k, float(k)]), family)
            logs[:, k] += alone.score_units(own)
    np.testing.assert_allclose(model.score_units(X), np.logaddexp(*logs.T), rtol=1e-10)
    fit = estep.fit(model, X, stop=Stop(tol=1e-9, max_iter=20))
    assert (np.diff(fit.trace.bounds) >= -1e-10 * abs(fit.bound)).all()


@pytest.mark.parametrize("make", MAKE)
def test_chains_of_frames(make, caplog):
    _, data = columns(400)
    cut = {name: [values[:150], values[150:]] for name, values in data.items()}
    parts = [make({name: halves[i] for name, halves in cut.items()}) for i in (0, 1)]
    whole, lengths = make(data), [150, 250]
    hmm = estep.HMM("auto", 2, random_state=0).fit(parts)
    assert "HMM proposes a product of" in caplog.text
    again = estep.HMM(hmm.emission_, 2, random_state=0).fit(whole, lengths)
    paired = estep.HMM(hmm.emission_, 2, random_state=0).fit((whole, lengths))
    assert hmm.score(parts) == again.score(whole, lengths) == paired.score((whole, lengths))
    np.testing.assert_array_equal(hmm.predict(parts), hmm.predict(whole, lengths))
    with pytest.raises(ValueError, match="have their lengths already"):
        hmm.score(parts, lengths)
    with pytest.raises(ValueError, match="sequence 1 has columns"):
        hmm.score([parts[0], make({"x": [1.0]})])


def test_draws_are_in_the_order_of_the_data(tmp_path):
    frame = pd.DataFrame({"t": ["a", "b", "c", "a"] * 20, "x": np.random.default_rng(0).normal(100, 1, 80)})
    for estimator in (estep.MixtureModel("auto", 1), estep.HMM("auto", 1)):
        X, _ = estimator.fit(frame).model_.sample(50, 0)
        assert (X[:, 0] < 3).all() and (X[:, 1] > 90).all()
    mixed = estep.HMM(MixtureOf(estep.propose(frame), 2), 1, random_state=0).fit(frame)
    assert (mixed.model_.sample(50, 0)[0][:, 1] > 90).all()
    numbered = Product({1: Gaussian(), 0: Poisson()})
    X = estep.MixtureModel(numbered, 1).fit(np.column_stack([np.arange(80) % 5, frame["x"]])).sample(30)[0]
    assert (X[:, 1] > 90).all()


def test_a_new_fit_forgets_the_stream(capsys):
    _, data = columns(200)
    frame, other = pd.DataFrame(data), pd.DataFrame(data | {"job": ["x", "y"] * 100})
    hmm = estep.HMM("auto", 2, random_state=0).partial_fit(frame)
    assert hmm.fit(other).model_.symbols[0][1] == ("x", "y")
    with pytest.raises(ValueError, match="a mixture has no sequences"):
        estep.MixtureModel("auto", 2).fit([frame, frame])


def test_frames_of_many_kinds_are_joined(capsys):
    pandas, polars = pd.DataFrame({"x": [1, 2, 4], "t": list("aba")}), pl.DataFrame({"t": list("bb"), "x": [0.5, 1.5]})
    hmm = estep.HMM(Product({"x": Gaussian(), "t": Categorical()}), 1).fit([pandas, polars])
    whole = pd.DataFrame({"x": [1, 2, 4, 0.5, 1.5], "t": list("ababb")})
    assert hmm.score([pandas, polars]) == hmm.score(whole, [3, 2])
    twice = pd.DataFrame([[1.0, 2.0]] * 5, columns=["x", "x"])
    with pytest.raises(ValueError, match="two columns of one name"):
        estep.propose(twice)


def test_columns_that_are_not_used_may_hold_anything():
    frame = pd.DataFrame(columns(300)[1])
    kinds = estep.propose(frame)
    much = frame.assign(infinite=np.inf, empty=np.nan, nothing=None, names=[f"n{i}" for i in range(300)])
    mixture, plain = (estep.MixtureModel(kinds, 2, random_state=0).fit(data) for data in (much, frame))
    assert mixture.score(much) == plain.score(frame) == mixture.model_.score(much) / 300
    with pytest.raises(ValueError, match="no column 'height'"):
        estep.MixtureModel(kinds, 2).fit(frame.drop(columns="height"))
