"""Which columns of DATA are features, and what the others are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from estep.cli.text import say
from estep.model import Model
from estep.tables.column import Column
from estep.tables.dialect import Dialect


@dataclass(frozen=True)
class Ask:
    """What the command line says of columns: names, separated by commas where there may be several."""

    columns: str | None = None
    sequence: str | None = None
    weight: str | None = None
    labels: str | None = None
    given: str | None = None
    dialect: Dialect | None = None
    memory: str | None = None
    execute: Any = None
    exclude: str | None = None
    unknown: str | None = None

    def named(self) -> dict[str, str]:
        """Columns with a role of their own."""
        roles = {"sequence": self.sequence, "weight": self.weight, "labels": self.labels}
        return {role: column for role, column in roles.items() if column is not None}


@dataclass(frozen=True, eq=False)
class Chosen:
    """The columns that are read, and as what."""

    features: list[Column]
    given: list[Column]
    roles: dict[str, Column]


def chosen(data: str, columns: Sequence[Column], rows: str, ask: Ask, model: Model | None) -> Chosen:
    """The columns that are asked for, else those of the ``model``, else all that may be features: ids, dates and an
    index are left out then, and named on standard error. Raises ValueError naming what is not there."""
    P = 0 if model is None else model.emission.n_covariates
    wanted, given = ((), ()) if model is None else (model.columns[P:], model.columns[:P])
    find = _finder(data, columns)
    roles = {role: find(name, f"--{role}") for role, name in ask.named().items()}
    if ask.given is not None:
        given = tuple(split_names(ask.given, "--given"))
    elif P and not all(given):
        raise ValueError(f"the model has {P} covariates without names: name their columns with --given")
    covariates = [find(name, "--given") for name in given]
    if ask.columns is not None and (both := sorted(set(split_names(ask.columns, "--columns")) & set(given))):
        raise ValueError(f"column {both[0]!r} is in --columns and in --given: it cannot be both")
    aside = {c.name for c in (*roles.values(), *covariates)} | (
        set() if model is None else set(dict(model.roles).values())
    )
    left = [find(name, "--exclude").name for name in split_names(ask.exclude, "--exclude")] if ask.exclude else []
    if left and ask.columns is not None:
        raise ValueError("--exclude leaves columns out of all, --columns names those to use: give one of them")
    aside |= set(left)
    features = _choose(data, columns, find, ask.columns, aside - set(wanted), rows, wanted)
    return Chosen(features, covariates, roles)


def _finder(data: str, columns: Sequence[Column]) -> Callable[[str, str], Column]:
    by_name = {c.name: c for c in columns}

    def find(name: str, option: str) -> Column:
        if name not in by_name:
            raise ValueError(f"{data} has no column {name!r}; it has {', '.join(by_name)} ({option})")
        return by_name[name]

    return find


def split_names(names: str, option: str) -> list[str]:
    """The names of an option. Raises ValueError where there are none, or one comes twice."""
    split = [n.strip() for n in names.split(",") if n.strip()]
    if not split:
        raise ValueError(f"{option} names no column")
    if twice := [n for n in split if split.count(n) > 1]:
        raise ValueError(f"{option} names {twice[0]!r} twice")
    return split


def _choose(
    data: str,
    columns: Sequence[Column],
    find: Callable[[str, str], Column],
    asked: str | None,
    aside: set[str],
    rows: str,
    wanted: tuple[str, ...],
) -> list[Column]:
    """The features."""
    if asked is not None:
        chosen = [find(name, "--columns") for name in split_names(asked, "--columns")]
        names = [c.name for c in chosen]
        if any(wanted) and (unknown := [n for n in names if n not in wanted]):
            raise ValueError(
                f"--columns names {unknown[0]!r}, which the model does not know: it has {', '.join(wanted)}"
            )
        if any(wanted) and (missing := [n for n in wanted if n not in names]):
            raise ValueError(f"--columns lacks {missing[0]!r}, which the model has")
        return [find(n, "--columns") for n in wanted] if any(wanted) else chosen
    if any(wanted):
        names = [c.name for c in columns]
        if missing := [n for n in wanted if n not in names]:
            raise ValueError(f"{data} has no column {missing[0]!r}, which the model has; it has {', '.join(names)}")
        return [find(n, "the model") for n in wanted]
    others = [c for c in columns if c.name not in aside]
    chosen = [c for c in others if not c.kept_out] or others
    if left_out := [c for c in others if c not in chosen]:
        which = ", ".join(f"{c.name!r} ({c.kept_out})" for c in left_out)
        say(f"left out: {which}; --columns takes them")
    numeric = [c for c in chosen if c.numbers is not None]
    texts = [c for c in chosen if c.numbers is None] if rows == "real" else []
    if texts:
        raise ValueError(
            f"column {texts[0].name!r} of {data} is text: name the columns to use with --columns"
            + (f" (numeric: {','.join(c.name for c in numeric)})" if numeric else "")
        )
    if not chosen:
        raise ValueError(f"{data} has no column to use but {', '.join(sorted(aside))}")
    return chosen
