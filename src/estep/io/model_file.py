"""Model files: one JSON document, versioned, written atomically, validated on load. Never pickle.

Numbers are written so that they read back to the same bits: a loaded model scores bit for bit as the saved one.
Loading builds values from numbers and checks them (:mod:`estep.io.model_validation`); it imports nothing and runs
nothing that the file names. Families of your own are loaded by passing their classes.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from estep.algorithms import Online
from estep.algorithms.online import Running
from estep.emissions import COMPOSED, FAMILIES
from estep.fitting.provenance import provenance_of
from estep.fitting.results import Fit
from estep.interface import Emission, Latent
from estep.io.model_validation import FORMAT, VERSION, Document, parse
from estep.model import Model
from estep.util.files import write_text


def save(model: Any, path: str | os.PathLike[str], provenance: Mapping[str, Any] | None = None) -> None:
    """Writes a :class:`Model`, or a fitted estimator's, to ``path``; an older file is replaced in one step.

    An estimator's file has its settings and how the fit went, and what ``partial_fit`` keeps of the data, for
    :func:`estep.load_estimator` to go on from.
    Raises TypeError for anything else, and OSError or ValueError naming the file where it cannot be written.
    """
    online = None
    if not isinstance(model, Model):
        running = getattr(model, "running_", None)
        if running is not None:
            online = model.algorithm if isinstance(model.algorithm, Online) else Online(), running
        if provenance is None and isinstance(fit := getattr(model, "fit_", None), Fit):
            provenance = {"settings": repr(model), **provenance_of(fit)}
        model = _estimator_model(model)
    text = json.dumps(to_document(model, provenance, online), indent=1, allow_nan=False) + "\n"
    write_text(path, text)


def to_document(
    model: Model, provenance: Mapping[str, Any] | None = None, online: tuple[Online, Running] | None = None
) -> dict[str, Any]:
    """The JSON document of a model, as a dictionary."""
    document = {
        "format": FORMAT,
        "version": VERSION,
        "latent": model.latent.to_dict(),
        "emission": model.emission.to_dict(),
        "prior": None if model.prior is None else _priors(model),
        "columns": list(model.columns),
        "symbols": [[s[0], list(s[1])] if isinstance(s, tuple) else s for s in model.symbols],
        "provenance": dict(provenance or {}),
    }
    if model.roles:
        document["roles"] = dict(model.roles)
    if model.constraints is not None:
        document["constraints"] = model.constraints.to_dict()
    if online is not None:
        steps, running = online
        document["online"] = {
            "exponent": steps.exponent,
            "delay": steps.delay,
            "blocks": running.blocks,
            "weight": running.weight,
            "mean": running.mean.tolist(),
        }
    return document


def _priors(model: Model) -> dict[str, Any]:
    assert model.prior is not None
    posterior = None if model.posterior is None else {name: q.to_dict() for name, q in model.posterior.items()}
    return {"of": {name: one.to_dict() for name, one in model.prior.items()}, "posterior": posterior}


def load(path: str | os.PathLike[str], families: Iterable[type[Emission] | type[Latent]] = ()) -> Model:
    """The model in a file; ``families``: classes of your own emissions and latent parts.

    Raises ValueError naming the file and what is wrong with it, OSError where it cannot be read.
    """
    return read(path, families).model


def read(path: str | os.PathLike[str], families: Iterable[type[Emission] | type[Latent]] = ()) -> Document:
    """As :func:`load`, with the provenance."""
    try:
        known: dict[str, type[Any]] = FAMILIES | COMPOSED | {family.name: family for family in families}
        return parse(_bytes(Path(path)), known)
    except (ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise ValueError(f"{os.fspath(path)} is not a model this version reads: {reason}") from None


def _bytes(path: Path) -> bytes:
    if path.exists() and stat.S_ISCHR(path.stat().st_mode):
        raise ValueError("it is a device")
    return path.read_bytes()


def _estimator_model(estimator: Any) -> Model:
    make = getattr(estimator, "to_model", None)
    if make is None:
        raise TypeError(f"save takes a Model or an estimator of estep, not {type(estimator).__name__}")
    model = make()
    assert isinstance(model, Model)
    return model
