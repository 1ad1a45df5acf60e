"""Whether a model file is one: its entries, their types and shapes, and whether what they make can be computed with."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from estep.algorithms import Online
from estep.algorithms.online import Running
from estep.data.columns import Roles
from estep.data.inputs import as_source
from estep.emissions import FAMILIES
from estep.emissions._shared.conjugate import ConjugateEmission
from estep.emissions._shared.tables import as_table
from estep.fitting.constraints import from_dict
from estep.interface import Emission, Latent
from estep.latents import Chain, Independent
from estep.model import Model
from estep.parameters.values import Values
from estep.priors import PRIORS, Conjugate
from estep.statistics import Statistics

FORMAT = "estep-model"
VERSION = 2
READS = (1, 2)
KEYS = {
    "format", "version", "latent", "emission", "prior", "constraints", "online", "columns", "symbols", "roles",
    "provenance",
}  # fmt: skip
WRONG = (TypeError, AttributeError, IndexError, AssertionError, KeyError)
"""What damaged priors make of the arithmetic."""
ROLES = ("sequence", "weight", "labels")
LATENTS = {"independent": Independent, "chain": Chain}


@dataclass(frozen=True)
class Document:
    """A model file as read: the model, where it came from, and the state of online EM (with its step sizes)."""

    model: Model
    provenance: dict[str, Any] = field(default_factory=dict)
    online: tuple[Online, Running] | None = None


def _of_kind(families: Mapping[str, type[Any]], kind: type[Any]) -> dict[str, Any]:
    return {name: family for name, family in families.items() if issubclass(family, kind)}


def parse(data: bytes, families: Mapping[str, type[Any]]) -> Document:
    """The document that a file's bytes are. Raises ValueError naming what is wrong with it."""
    try:
        text = data.decode("utf-8")
        document = json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=_object)
    except UnicodeDecodeError:
        text = "it is not UTF-8 text (estep convert turns pickles of scikit-learn and hmmlearn into model files)"
        raise ValueError(text) from None
    except json.JSONDecodeError as error:
        raise ValueError(f"it is not JSON ({error})") from None
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise ValueError(f'it has no "format": "{FORMAT}"')
    version = document.get("version")
    if version not in READS or isinstance(version, bool):
        raise ValueError(f"it has version {version!r}, this estep reads versions {' and '.join(map(str, READS))}")
    if unknown := sorted(set(document) - KEYS):
        raise ValueError(f"it has an unknown entry {unknown[0]!r}")
    provenance = document.get("provenance", {})
    if not isinstance(provenance, dict):
        raise ValueError("provenance is not an object")
    latent = _value(document, "latent", _of_kind(families, Latent) | LATENTS)
    emission = _value(document, "emission", _of_kind(families, Emission))
    for part in (latent, emission):
        if missing := [name for name, value in part.values().items() if value is None]:
            raise ValueError(f"{part.name} has no {missing[0]}")
    columns, symbols = _texts(document, "columns"), _symbols(document, emission)
    model = Model(latent, emission, columns, symbols, _roles(document))
    _check_names(model)
    if document.get("prior") is not None:
        model = _with_priors(model, document["prior"])
    if document.get("constraints") is not None:
        model = from_dict(model, document["constraints"])
    if _builtin(emission):
        _check_works(model)
    online = None if document.get("online") is None else _online(model, document["online"])
    return Document(model, provenance, online)


def _value(document: Mapping[str, Any], key: str, classes: Mapping[str, type[Any]]) -> Any:
    entry = document.get(key)
    if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
        raise ValueError(f"{key} is not an object with a name")
    if entry["name"] not in classes:
        raise ValueError(f"{key} {entry['name']!r} is unknown: load(path, families=[...]) takes classes of your own")
    kind: type[Values] = classes[entry["name"]]
    entry = {"has_missing" if name == "gaps" else name: value for name, value in entry.items()}  # so in version 1
    for name, value in entry.items():
        if isinstance(value, dict) and "name" in value:
            entry[name] = _value(entry, name, classes)
        elif _holds_families(value):
            entry[name] = _parts(value, classes)
        elif name == "support":
            continue  # read by the value itself
        elif name == "has_missing":
            if not isinstance(value, bool):
                raise ValueError(f"{key}.has_missing is {value!r}: it is true or false")
        elif name != "name":
            _check_numbers(f"{key}.{name}", value)
    return kind.from_dict(entry)


def _holds_families(value: Any) -> bool:
    """Whether a value is a list of lists with objects in them."""
    return isinstance(value, list) and any(isinstance(q, dict) for p in value if isinstance(p, list) for q in p)


def _parts(parts: list[Any], classes: Mapping[str, type[Any]]) -> list[Any]:
    """Columns and families."""
    if not all(isinstance(p, list) and len(p) == 2 for p in parts):
        raise ValueError("parts are not pairs of columns and a family")
    return [(columns, _value({"family": family}, "family", classes)) for columns, family in parts]


def _check_numbers(where: str, value: Any) -> None:
    """Parameters are numbers, texts, null, or nested lists of numbers of one shape."""
    if isinstance(value, dict | bool):
        raise ValueError(f"{where} is neither numbers nor text")
    if isinstance(value, int) and abs(value) > 2**53:
        raise ValueError(f"{where} is out of range")
    if isinstance(value, list):
        if not value:
            raise ValueError(f"{where} is empty")
        for item in value:
            if not isinstance(item, int | float | list):
                raise ValueError(f"{where} holds something that is not a number")
            _check_numbers(where, item)
        if len({len(i) if isinstance(i, list) else -1 for i in value}) > 1:
            raise ValueError(f"{where} has rows of different lengths")


def _texts(document: Mapping[str, Any], key: str) -> tuple[str, ...]:
    values = document.get(key, [])
    if not isinstance(values, list) or not all(isinstance(v, str) for v in values):
        raise ValueError(f"{key} is not a list of texts")
    return tuple(values)


def _roles(document: Mapping[str, Any]) -> Roles:
    entry = document.get("roles", {})
    if not isinstance(entry, dict) or not all(isinstance(column, str) for column in entry.values()):
        raise ValueError("roles is not an object of texts")
    if unknown := sorted(set(entry) - set(ROLES)):
        raise ValueError(f"roles names {unknown[0]!r}: it is one of {', '.join(ROLES)}")
    return tuple(entry.items())


def _symbols(document: Mapping[str, Any], emission: Emission) -> tuple[Any, ...]:
    """Texts, or for a table pairs of a column and its texts."""
    if emission.rows != "table":
        return _texts(document, "symbols")
    pairs = document.get("symbols", [])
    if not isinstance(pairs, list) or not all(isinstance(p, list) and len(p) == 2 for p in pairs):
        raise ValueError("symbols are not pairs of a column and its texts")
    named = (
        (_texts({"symbols": [column]}, "symbols"), _texts({"symbols": texts}, "symbols")) for column, texts in pairs
    )
    return tuple((column[0], texts) for column, texts in named)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object. Raises ValueError naming a key that is there twice."""
    out = dict(pairs)
    if len(out) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"it has two entries of one name, {next(k for k in keys if keys.count(k) > 1)!r}")
    return out


def _refuse_constant(text: str) -> float:
    raise ValueError(f"it holds the number {text}: parameters are finite")


def _online(model: Model, entry: Any) -> tuple[Online, Running]:
    """Step sizes and running statistics of an entry."""
    if not isinstance(entry, dict) or set(entry) != {"exponent", "delay", "blocks", "weight", "mean"}:
        raise ValueError("online is not an object with exponent, delay, blocks, weight and mean")
    for name, value in entry.items():
        _check_numbers(f"online.{name}", value)
        if name != "mean" and not isinstance(value, int | float):
            raise ValueError(f"online.{name} is {value!r}: it is a number")
    mean = np.asarray(entry["mean"], dtype=np.float64)
    blocks, weight = entry["blocks"], entry["weight"]
    if mean.shape != (model.layout.size,) or not np.isfinite(mean).all():
        raise ValueError(f"online.mean has shape {mean.shape}, expected {(model.layout.size,)} finite numbers")
    if not isinstance(blocks, int) or blocks < 1 or not weight > 0:
        raise ValueError("online: blocks is a whole number from 1, weight a number above 0")
    return Online(entry["exponent"], entry["delay"]), Running(model.layout, mean, blocks, float(weight))


def _with_priors(model: Model, entry: Any) -> Model:
    """``model`` with the priors, and the posteriors if there are any, of a file."""
    if not isinstance(entry, dict) or set(entry) != {"of", "posterior"} or not isinstance(entry["of"], dict):
        raise ValueError('prior is not an object with "of" and "posterior"')
    latent, emission = model.latent, model.emission
    if not (isinstance(latent, Conjugate) and isinstance(emission, ConjugateEmission)):
        raise ValueError(f"the {emission.name} emission has no conjugate prior")
    blocks = {*latent.blocks, *emission.blocks}
    prior: dict[str, Any] = {name: _value(entry["of"], name, PRIORS) for name in entry["of"]}
    if set(prior) != blocks:
        raise ValueError(f"it has priors of {', '.join(sorted(prior))}, expected {', '.join(sorted(blocks))}")
    try:
        checked = {n: one for part in (latent, emission) for n, one in part.check_prior(_of(prior, part)).items()}
        if entry["posterior"] is None:
            sum(part.log_prior(checked) for part in (latent, emission))
    except WRONG:
        raise ValueError("its priors lack something") from None
    if entry["posterior"] is None:
        return replace(model, prior=checked)
    if not isinstance(entry["posterior"], dict) or set(entry["posterior"]) != blocks:
        raise ValueError(f"it has posteriors of other blocks than {', '.join(sorted(blocks))}")
    posterior = {name: _value(entry["posterior"], name, PRIORS) for name in prior}
    for part in (latent, emission):
        _check_posterior(part, checked, posterior)
    new = replace(model, prior=checked, posterior=posterior)
    try:
        if np.isfinite(new.penalty):
            return new
    except WRONG:
        pass
    raise ValueError("its posteriors do not go with its priors")


def _of(prior: Mapping[str, Any], part: Conjugate) -> dict[str, Any]:
    for name, kinds in part.blocks.items():
        if not isinstance(prior[name], kinds):
            raise ValueError(f"the prior of {name} is a {prior[name].name}")
    return {name: prior[name] for name in part.blocks}


def _check_names(model: Model) -> None:
    """Raises ValueError unless columns and symbols name what the model reads, each once."""
    named = [c for c in model.columns if c]
    if twice := [c for c in named if named.count(c) > 1]:
        raise ValueError(f"columns names {twice[0]!r} twice")
    model.emission.check_names(model.columns, model.symbols)


def _check_posterior(part: Any, prior: Mapping[str, Any], posterior: Mapping[str, Any]) -> None:
    """Raises ValueError where a posterior is of another kind or shape than those that the priors become."""
    for name, like in part.update(prior, Statistics.zeros(part.layout)).items():
        one = posterior[name]
        if type(one) is not type(like):
            raise ValueError(f"the posterior of {name} is a {one.name}, expected a {like.name}")
        for field_name, value in vars(like).items():
            if isinstance(value, np.ndarray) and np.shape(getattr(one, field_name)) != value.shape:
                found = np.shape(getattr(one, field_name))
                raise ValueError(f"{field_name} of the posterior of {name} has shape {found}, expected {value.shape}")


def _check_works(model: Model) -> None:
    """Raises ValueError where densities of rows that the components themselves draw are not numbers."""
    rng, K = np.random.default_rng(0), model.n_components
    P, states = model.emission.n_covariates, np.arange(K)
    given = np.zeros((K, P)) if P else None
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            rows = (
                model.emission.sample(states, rng) if given is None else model.emission.sample_given(states, given, rng)
            )
            if model.emission.rows == "table":
                rows = rows[:, as_table(model.emission, model.columns)]
            chain = model.latent.sequential
            names = model.columns if rows.shape[1] + P == len(model.columns) else ()
            source = as_source(rows, None, None, model.emission.rows, names[P:], given=given, chain=chain)
            units = model.score_units(source)
    except (ValueError, FloatingPointError, OverflowError, np.linalg.LinAlgError) as error:
        raise ValueError(f"its parameters are none that can be computed with ({error})") from None
    if not (units < np.inf).all():
        raise ValueError("its parameters are none that can be computed with: densities are not numbers")


def _builtin(emission: Emission) -> bool:
    """Whether all families are the package's own."""
    return all(type(family) in FAMILIES.values() for family in emission.families)
