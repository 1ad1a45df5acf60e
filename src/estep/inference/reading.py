"""Data of every form as rows of a fitted model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from estep.data.columns import frame_of, is_frame
from estep.data.frames import Lenient
from estep.data.inputs import as_source
from estep.data.opened import is_blocks
from estep.data.rows import chunks
from estep.data.source import Source
from estep.emissions._shared.tables import place_in, used_columns
from estep.execution.base import Execute
from estep.interface import AnyModel, Emission
from estep.statistics import Array


def read(
    model: AnyModel,
    data: Any,
    lengths: Any = None,
    weights: Any = None,
    labels: Any = None,
    given: Any = None,
    sequence: str | None = None,
    memory: Any = None,
    execute: Execute | None = None,
) -> Source:
    """As :meth:`estep.Model.source`, with the rows as they came."""
    chain, P = model.latent.sequential, model.emission.n_covariates
    if not chain and lengths is not None:
        raise ValueError("a mixture has no sequences: leave lengths out")
    if given is not None and not P:
        model.emission.given_columns(1)
    if sequence is None and not is_blocks(data):
        _ask_for_sequences(model, data, lengths)
    used = used_columns(model.emission)
    source = as_source(
        data,
        lengths,
        weights,
        model.emission.rows,
        labels=labels,
        symbols=known_symbols(model),
        only=used,
        given=given,
        wanted=() if used else model.columns[P:],
        wanted_given=model.columns[:P],
        roles=model.roles,
        chain=chain,
        new=False,
        sequence=sequence,
        memory=memory,
        execute=execute,
    )
    if source.n_given:
        model.emission.given_columns(source.n_given)
    elif P:
        names = f" ({', '.join(model.columns[:P])})" if any(model.columns[:P]) else ""
        raise ValueError(f"the model has {P} covariate{'s' if P > 1 else ''}{names}: give them as given=")
    if source.evidence is not None:
        source.evidence.check(model.n_components)
    return source


def known_columns(model: AnyModel, data: Any) -> Any:
    """A frame without the columns that the model does not know, where it knows all that it needs; else as it is."""
    if not is_frame(data) or not any(model.columns):
        return data
    frame = frame_of(data)
    known = {*model.columns, *(column for _, column in model.roles)}
    if not set(model.columns) <= set(frame.columns) or set(frame.columns) <= known:
        return data
    if hasattr(data, "loc"):  # of pandas: the index stays
        return data[[c for c in data.columns if str(c) in known]]
    return frame.select([c for c in frame.columns if c in known]).to_native()


def _ask_for_sequences(model: AnyModel, data: Any, lengths: Any) -> None:
    """Raises ValueError where the data have the column whose values were sequences, and no lengths are given."""
    column = dict(model.roles).get("sequence")
    if column is not None and lengths is None and is_frame(data) and column in map(str, frame_of(data).columns):
        raise ValueError(
            f"the model was fitted to the sequences of column {column!r}, which the data have: give lengths, or "
            "leave the column out where all rows are one sequence"
        )


def with_unknown(model: Any, unknown: str) -> Any:
    """The model with categorical families that take texts they do not know as an "error" or as "missing" cells. Raises
    ValueError for anything else, and where it has none."""
    if unknown not in ("error", "missing"):
        raise ValueError(f"unknown is {unknown!r}: it is 'error' or 'missing'")
    emission = model.emission
    if emission.name == "categorical":
        return model.evolve(emission=emission.evolve(unknown=unknown))
    parts = getattr(emission, "parts", ())
    if not any(family.name == "categorical" for _, family in parts):
        raise ValueError(f"unknown is of texts: {emission.name} emissions read none")
    new = [(key, f.evolve(unknown=unknown) if f.name == "categorical" else f) for key, f in parts]
    return model.evolve(emission=emission.evolve(parts=tuple(new)))


def known_symbols(model: AnyModel) -> tuple[Any, ...]:
    """The names of a model's symbols; :class:`Lenient` where it takes others as missing cells."""
    emission, symbols = model.emission, model.symbols
    if emission.rows != "table":
        return Lenient(symbols) if symbols and emission.takes_unknown else symbols
    product: Any = getattr(emission, "inner", emission)
    lenient = {c for key, family in product.parts if family.takes_unknown for c in key}
    lenient = {model.columns[c] if isinstance(c, int) and model.columns else c for c in lenient}
    return tuple((column, Lenient(texts) if column in lenient else texts) for column, texts in symbols)


def as_read(model: Any, source: Source) -> Any:
    """The model with its columns as the data have them: tables go by name and stay in their own order."""
    if model.emission.rows != "table" or not any(source.columns) or source.columns == model.columns:
        return model
    return model.evolve(columns=source.columns)


def check_draws_like(model: AnyModel, raw: Source) -> None:
    """Raises ValueError where rows of the data are of another kind than those that the family draws."""
    emission = model.emission
    place = place_in(emission, model.columns) if emission.rows == "table" else slice(None)
    chunks(raw.X, _Alike(emission, place))


@dataclass(frozen=True, eq=False)
class _Alike:
    """Whether the family draws such rows."""

    emission: Emission
    place: Any

    def __call__(self, X: Array, first: int) -> None:
        self.emission.check_draws(X[:, self.place])
