"""Model files: the same bits back, and a clear error for whatever is damaged or hostile."""

import copy
import json
import os
import random
from itertools import cycle
from pathlib import Path

import numpy as np
import pytest

import estep
from estep import constrained, with_prior
from estep.algorithms import Online
from estep.algorithms.online import Running
from estep.emissions import Categorical, Poisson, Product
from estep.io.model_file import read, to_document
from estep.latents import Independent
from models import FAMILIES, Rayleigh, draw, make_model


@pytest.fixture
def document():
    return to_document(make_model("gaussian-full", "chain", K=2, D=2), {"data": "x"})


def write(path, document):
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return path


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("latent", ["independent", "chain"])
def test_a_load_scores_bit_for_bit_the_same(family, latent, tmp_path):
    model = make_model(family, latent, K=3, D=2)
    source = draw(model, 100)
    fitted = estep.fit(model, source, stop=estep.Stop(max_iter=3)).model
    estep.save(fitted, tmp_path / "m.json")
    assert (estep.load(tmp_path / "m.json", [Rayleigh]).score_units(source) == fitted.score_units(source)).all()


def test_estimators_and_provenance(tmp_path):
    X = estep.datasets.load_faithful().X
    fit = estep.GaussianMixture(2, random_state=0).fit(X)
    estep.save(fit, tmp_path / "m.json", {"why": "test"})
    assert estep.load(tmp_path / "m.json").score(X) == fit.model_.score(X)
    assert read(tmp_path / "m.json").provenance == {"why": "test"}
    with pytest.raises(TypeError, match="not dict"):
        estep.save({}, tmp_path / "m.json")


def test_writing_is_atomic(tmp_path, monkeypatch):
    """A write that fails leaves the old file and no litter."""
    path = tmp_path / "m.json"
    model = make_model("poisson", "independent", K=2, D=1)
    estep.save(model, path)
    before = path.read_bytes()
    monkeypatch.setattr(os, "replace", lambda *a: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        estep.save(model, path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["m.json"]


def broken(document, path, value):
    document = copy.deepcopy(document)
    place = document
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return document


DAMAGE = [
    (["format"], "other", "format"),
    (["version"], 99, "version 99"),
    (["version"], True, "version True"),
    (["extra"], 1, "unknown entry 'extra'"),
    (["prior"], {}, "prior"),
    (["provenance"], [], "provenance"),
    (["columns"], ["a"], "1 columns are named, the model has 2"),
    (["columns"], [1, 2], "columns is not a list of texts"),
    (["symbols"], ["a"], "1 symbols are named"),
    (["latent"], None, "latent is not an object"),
    (["latent", "name"], "os.system", "latent 'os.system' is unknown"),
    (["latent", "startprob"], [0.5, 0.6], "startprob adds up to 1.1"),
    (["latent", "startprob"], [-0.5, 1.5], r"startprob\[0\] is -0.5"),
    (["latent", "startprob"], None, "no startprob"),
    (["latent", "transmat"], [[1, 0]], "transmat has shape"),
    (["latent", "transmat"], [[1, 0], [1]], "rows of different lengths"),
    (["latent", "transmat"], [["a", "b"], ["c", "d"]], "not a number"),
    (["latent", "transmat"], [], "empty"),
    (["latent", "surprise"], 3, "no field 'surprise'"),
    (["emission", "covariances"], [[[1, 2], [2, 1]]] * 2, r"covariances\[0\] is not positive definite"),
    (["emission", "covariances"], [[[1, 0.5], [0.2, 1]]] * 2, "not symmetric"),
    (["emission", "means"], [[1, 2, 3], [1, 2, 3]], "shape"),
    (["emission", "means"], [[True, 2], [1, 2]], "neither numbers nor text"),
    (["emission", "means"], {"__reduce__": []}, "neither numbers nor text"),
    (["emission", "covariance_type"], "round", "covariance_type is 'round'"),
    (["emission", "covariance_type"], 3, "covariance_type is 3"),
    (["emission", "reg_covar"], "x", "m.json"),
    (["emission", "origin"], [1e400], "m.json"),
    (["emission", "origin"], 0.0, "origin"),
    (["emission", "origin"], [0.0, 0.0, 0.0], "origin"),
    (["emission", "means"], [[1e200, 0], [0, 0]], r"column 0 spans more than 1e\+140"),
    (["columns"], ["a", "a"], "columns names 'a' twice"),
    (["roles"], [], "roles is not an object"),
    (["roles"], {"sequence": 3}, "roles is not an object of texts"),
    (["roles"], {"leader": "a"}, "roles names 'leader'"),
]


@pytest.mark.parametrize("path, value, message", DAMAGE)
def test_damage_is_named(document, path, value, message, tmp_path):
    with pytest.raises(ValueError, match=message) as error:
        estep.load(write(tmp_path / "m.json", broken(document, path, value)))
    assert "m.json" in str(error.value)


def test_tables_name_their_own_columns(tmp_path):
    """Names and symbols of a table's columns, and how many components each part has, are checked as it is read."""
    table = Product({"age": Poisson([3.0, 9.0]), "job": Categorical([[0.5, 0.5], [0.1, 0.9]])})
    model = estep.Model(Independent([0.5, 0.5]), table, ("age", "job"), (("job", ("cook", "clerk")),))
    document = to_document(model, {})
    assert estep.load(write(tmp_path / "m.json", document)).symbols == (("job", ("cook", "clerk")),)
    of_three = to_document(estep.Model(Independent([0.2] * 2 + [0.6]), Poisson([1.0, 2, 3])), {})["emission"]
    for path, value, message in [
        (["symbols"], [["nowhere", ["u", "v"]]], "symbols names column 'nowhere', which has none"),
        (["symbols"], [["age", ["u", "v"]]], "symbols names column 'age', which has none"),
        (["symbols"], [["job", ["cook"]]], "column 'job' has 1 names of symbols, the model has 2"),
        (["symbols"], [["job", ["cook", "cook"]]], "column 'job' has 1 names"),
        (["symbols"], [["job", ["u", "v"]]] * 2, "symbols names a column twice"),
        (["symbols"], ["job"], "symbols are not pairs"),
        (["columns"], ["age", "work"], "job"),
        (["emission", "parts", 0, 1], of_three, "components"),
    ]:
        with pytest.raises(ValueError, match=message):
            estep.load(write(tmp_path / "m.json", broken(document, path, value)))


def test_counts_past_every_table_are_refused(tmp_path):
    document = to_document(make_model("negative-binomial", "independent", K=2, D=1), {})
    for n_counts in (0, 10**12, 2.5):
        with pytest.raises(ValueError, match="n_counts"):
            estep.load(write(tmp_path / "m.json", broken(document, ["emission", "n_counts"], n_counts)))


def test_parameters_that_cannot_be_computed_with(document, tmp_path):
    """Each is a number; what they draw overflows."""
    document["emission"] |= {"covariances": [[[1e300, 0], [0, 1e300]]] * 2}
    with pytest.raises(ValueError, match=r"m\.json.*none that can be computed with"):
        estep.load(write(tmp_path / "m.json", document))


@pytest.mark.parametrize("text, name", [
    ('{"format": "estep-model", "version": 1, "version": 1}', "version"),
    ('{"format": "estep-model", "version": 1, "latent": {"name": "chain", "name": "independent"}}', "name"),
])  # fmt: skip
def test_keys_that_are_there_twice(text, name, tmp_path):
    with pytest.raises(ValueError, match=f"two entries of one name, '{name}'"):
        estep.load(write(tmp_path / "m.json", text))


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", "[" * 100_000, '{"format": NaN}', '{"format": "estep-model", "version": 1}', "\x00"]
)
def test_not_a_document(text, tmp_path):
    with pytest.raises(ValueError, match=r"m\.json"):
        estep.load(write(tmp_path / "m.json", text))


def test_not_text(tmp_path):
    (tmp_path / "m.json").write_bytes(b"\x93NUMPY\xff\xfe")
    with pytest.raises(ValueError, match="not UTF-8"):
        estep.load(tmp_path / "m.json")
    with pytest.raises(FileNotFoundError):
        estep.load(tmp_path / "none.json")


def places(value, path=()):
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in items:
        yield from places(child, (*path, key))


def test_constraints_are_kept(tmp_path):
    X = estep.datasets.load_earthquakes().X
    free = estep.HMM(Poisson([[15.0], [15.0], [25.0]]), 3, fixed={"startprob": [0]}, emission_groups=[0, 0, 1])
    hmm = free.set_params(startprob_init=[1, 0, 0], max_iter=3, tol=0).fit(X)
    estep.save(hmm, tmp_path / "m.json")
    again = estep.load_estimator(tmp_path / "m.json")
    assert again.model_.n_parameters == hmm.model_.n_parameters
    np.testing.assert_array_equal(again.emission_groups, [0, 0, 1])
    for estimator in (hmm, again):
        estimator.set_params(warm_start=True, max_iter=5, tol=0).fit(X)
    np.testing.assert_array_equal(again.rates_, hmm.rates_)
    assert again.rates_[0] == again.rates_[1]
    document = json.loads((tmp_path / "m.json").read_text())
    for change, message in [
        ([], "constraints is not an object"),
        ({"fixed": {"x": [0]}, "emission_groups": None}, "fixed names 'x'"),
        ({"fixed": {"rates": [7]}, "emission_groups": None}, "components from 0 to 2"),
        ({"fixed": {}, "emission_groups": [0, 1, 1]}, "emissions are not the same"),
        ({"fixed": [], "emission_groups": None}, "constraints.fixed is not an object"),
    ]:
        with pytest.raises(ValueError, match=message):
            estep.load(write(tmp_path / "bad.json", document | {"constraints": change}))


def test_estimators_with_fixed_parameters_come_back(tmp_path):
    X, quakes = estep.datasets.load_faithful().X, estep.datasets.load_earthquakes().X
    path = tmp_path / "m.json"
    for online, rows in [
        (estep.GaussianMixture(2, means_init=[[2.0, 55.0], [4.0, 80.0]], fixed={"means": [1]}, random_state=0), X),
        (estep.GaussianMixture(2, weights_init=[0.4, 0.6], fixed={"weights"}, random_state=0), X),
        (estep.PoissonHMM(2, transmat_init=[[0.9, 0.1], [0.1, 0.9]], fixed={"transmat"}, random_state=0), quakes),
        (estep.HMM(Poisson([[15.0], [25.0]]), 2, fixed={"rates"}, random_state=0), quakes),
    ]:
        estep.save(online.partial_fit(rows), path)
        again = estep.load_estimator(path)
        for estimator in (online, again):
            estimator.partial_fit(rows)
        for name, value in online.model_.emission.values().items():
            np.testing.assert_array_equal(again.model_.emission.values()[name], value)
        again.set_params(random_state=0).fit(rows)
        name = next(iter(online.fixed))
        held = np.asarray(getattr(online, f"{name}_"))[-1]
        np.testing.assert_allclose(np.asarray(getattr(again, f"{name}_"))[-1], held)


@pytest.mark.parametrize("family, block, field", [
    ("poisson", "startprob", "concentration"), ("poisson", "transmat", "concentration"), ("poisson", "rates", "shape"),
    ("gaussian-full", "means", "scale"), ("gaussian-diag", "means", "mean"), ("gamma", "shapes", "statistics"),
])  # fmt: skip
@pytest.mark.parametrize("estimate", ["map", "vb"])
def test_priors_that_lack_something_are_named(family, block, field, estimate, tmp_path):
    if (family, estimate) == ("gamma", "vb"):
        return
    model = make_model(family, "chain", K=2, D=2)
    document = json.loads(json.dumps(to_document(with_prior(model, draw(model, 50), estimate))))
    for value in (None, "x", [], {}):
        for part in ["of"] + ["posterior"] * (estimate == "vb"):
            damaged = broken(document, ["prior", part, block, field], value)
            with pytest.raises(ValueError, match=r"m\.json"):
                estep.load(write(tmp_path / "m.json", damaged))


def test_posteriors_of_another_shape_are_named(tmp_path):
    X = estep.datasets.load_faithful().X
    estep.save(estep.BayesianGaussianMixture(n_components=2, random_state=0, tol=1).fit(X), tmp_path / "m.json")
    document = json.loads((tmp_path / "m.json").read_text())
    weights = document["prior"]["posterior"]["weights"]
    for name, value in weights.items():
        if isinstance(value, list):
            with pytest.raises(ValueError, match=f"{name} of the posterior of weights has shape"):
                changed = broken(document, ["prior", "posterior", "weights", name], value[:-1])
                estep.load(write(tmp_path / "m.json", changed))


def test_a_damaged_stream_is_named(tmp_path):
    online = estep.MixtureModel("poisson", 2, random_state=0).partial_fit(estep.datasets.load_earthquakes().X)
    estep.save(online, tmp_path / "m.json")
    document = json.loads((tmp_path / "m.json").read_text())
    good = document["online"]
    for change in ({"mean": [1.0]}, {"blocks": 0}, {"weight": -1}, {"exponent": 2.0}, {"delay": "x"}, {"blocks": 1.5}):
        with pytest.raises(ValueError, match=r"m\.json"):
            estep.load(write(tmp_path / "m.json", document | {"online": good | change}))
    with pytest.raises(ValueError, match="online is not an object"):
        estep.load(write(tmp_path / "m.json", document | {"online": {}}))


@pytest.mark.parametrize("family", ["gaussian-full", "gaussian-tied", "gaussian-diag", "poisson", "categorical"])
def test_any_mutation_is_a_model_or_a_value_error(family, tmp_path):
    """Every place of the document replaced by every odd value: a clear error or a model that works, nothing else."""
    odd = [None, True, -1, 0, 1e308, -1e308, 2**70, "x", "", [], [[]], {}, {"a": 1}, [None], [1, [2]], 0.3, [0.1] * 3]
    document = to_document(make_model(family, "chain", K=2, D=2))
    random.seed(0)
    survivors = 0
    for path in list(places(document))[1:]:
        for value in odd:
            try:
                model = estep.load(write(tmp_path / "m.json", broken(document, path, value)))
            except ValueError as error:
                assert "m.json" in str(error)
            else:
                survivors += 1
                X, _ = model.sample(3, 0)
                assert np.isfinite(X).all()
    assert survivors > 0  # provenance and such


@pytest.mark.parametrize("family, latent", zip(FAMILIES, cycle(["independent", "chain"]), strict=False))
def test_the_documented_schema_is_true(family, latent):
    import jsonschema

    schema = json.loads((Path(__file__).parents[1] / "docs" / "model_file.schema.json").read_text())
    document = to_document(make_model(family, latent, K=2, D=2), {"a": 1})
    jsonschema.validate(document, schema)
    for change in (["version"], ["latent", "name"], ["columns"]):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(broken(document, change, 7), schema)
    model = make_model(family, latent, K=2, D=2)
    model = constrained(model, {name: [0] for name in model.latent.values()})
    running = Running(model.layout, np.zeros(model.layout.size), 3, 30.0)
    document = json.loads(json.dumps(to_document(model, None, (Online(), running))))
    jsonschema.validate(document, schema)
    for change in (["constraints", "fixed"], ["online", "mean"], ["online"]):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(broken(document, change, 7), schema)
