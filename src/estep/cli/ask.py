"""Commands that ask a fitted model about data: score and decode."""

from __future__ import annotations

import json
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from estep.cli.choose import Ask
from estep.cli.errors import guarded
from estep.cli.options import (
    AllColumns,
    Columns,
    Data,
    Decimal,
    Given,
    Header,
    Json,
    Keep,
    Memory,
    Missing,
    ModelPath,
    Out,
    Sep,
    Sequence,
    Thousands,
    ThreadCount,
    Time,
    Unknown,
    Weight,
    app,
)
from estep.cli.tables import Table, dialect_of, read_table
from estep.cli.text import plain, say
from estep.cli.write import beside, check_out, kept, write_table
from estep.execution.threads import threads
from estep.inference.outliers import outlier_probabilities
from estep.inference.reading import with_unknown
from estep.inference.spells import spells as stays_of
from estep.io.model_file import read
from estep.model import Model
from estep.statistics import weighted
from estep.util.figures import finite

DRAWS = 100_000
"""Rows of the model that others are compared with."""


def loaded(path: Path, data: str, ask: Ask) -> tuple[Model, Table]:
    """A model, and DATA as it reads them. Raises ValueError where its sequences are not told."""
    model = read(path).model
    if ask.unknown is not None:
        model = with_unknown(model, ask.unknown)
    if ask.sequence is not None and not model.latent.sequential:
        raise ValueError("--sequence is for hmm: the rows of a mixture are independent")
    table = read_table(data, model.emission.rows, ask, model)
    known = dict(model.roles).get("sequence")
    if known is not None and ask.sequence is None and table.source.ends is None:
        if known in table.names:
            raise ValueError(
                f"the model was fitted to the sequences of column {known!r}: say --sequence {known}, or take the "
                "column out where all rows are one sequence"
            )
        say(f"{data} has no column {known!r}: its rows are one sequence")
    return model, replace(table, source=table.source.chained()) if model.latent.sequential else table


def dates_of(table: Table, time: str | None) -> Any:
    """The cells (n,) of ``--time``, or of the one column of dates; as dates where they are year, month and day."""
    known = table.kinds("dates")
    if time is None and len(known) != 1:
        return None
    name = time or known[0]
    if name not in table.names:
        raise ValueError(f"DATA has no column {name!r}; it has {', '.join(table.names)} (--time)")
    if name not in known:  # numbers, such as years, or texts
        cells = table.cells(name, typed=True)
        return cells if isinstance(cells, np.ndarray) else np.array(list(cells), dtype=object)
    cells = np.array(list(table.cells(name)), dtype=object)
    try:
        return np.array([t or "NaT" for t in cells], dtype="datetime64[ms]")
    except ValueError:  # day, month and year in another order
        return cells


@app.command()
@guarded
def score(
    model: ModelPath,
    data: Data,
    columns: Columns = None,
    sequence: Sequence = None,
    weight: Weight = None,
    given: Given = None,
    sep: Sep = None,
    decimal: Decimal = ".",
    thousands: Thousands = None,
    na: Missing = None,
    header: Header = None,
    memory: Memory = None,
    unknown: Unknown = None,
    n_threads: ThreadCount = None,
    as_json: Json = False,
) -> None:
    """Log-likelihood of DATA under MODEL: one line for each sequence, then the total (weighted with --weight).

    estep score model.json new.csv
    """
    dialect = dialect_of(sep, decimal, thousands, na, header)
    ask = Ask(columns, sequence, weight, None, given, dialect, memory, unknown=unknown)
    fitted, table = loaded(model, data, ask)
    units = fitted.score_units(table.source, execute=threads(n_threads))
    chain = fitted.latent.sequential
    names = tuple(table.sequences()) if chain else ()
    total = weighted(units, table.source.weights)
    if as_json:
        result: dict[str, Any] = {"log_likelihood": finite(total), "rows": len(table.source)}
        if chain:
            result["sequences"] = [
                {"sequence": n, "log_likelihood": finite(float(u))} for n, u in zip(names, units, strict=True)
            ]
        print(json.dumps(result))
        return
    if chain:
        for name, unit in zip(names, units, strict=True):
            print(f"sequence {plain(name)}\t{unit:.10g}")
    print(f"total\t{total:.12g}")


@app.command()
@guarded
def decode(
    model: ModelPath,
    data: Data,
    algorithm: Annotated[
        str,
        typer.Option(
            help="viterbi: the likeliest path; posterior: each row's likeliest state; filtered: given rows up to it."
        ),
    ] = "viterbi",
    columns: Columns = None,
    sequence: Sequence = None,
    given: Given = None,
    sep: Sep = None,
    decimal: Decimal = ".",
    thousands: Thousands = None,
    na: Missing = None,
    header: Header = None,
    memory: Memory = None,
    on_impossible: Annotated[
        str, typer.Option(help="raise|skip: an error, or state -1 and no probability, for what the model rules out.")
    ] = "raise",
    unknown: Unknown = None,
    n_threads: ThreadCount = None,
    proba: Annotated[str, typer.Option(help="path|all: of the state that is found, or of all of them.")] = "path",
    outliers: Annotated[
        bool, typer.Option("--outliers", help="mixtures: how probable a row as odd as each is, too; small is unusual.")
    ] = False,
    spells: Annotated[
        bool, typer.Option("--spells", help="hmm: a line a stay instead: its state, from when to when, and how long.")
    ] = False,
    time: Time = None,
    keep: Keep = None,
    all_columns: AllColumns = False,
    as_json: Json = False,
    out: Out = None,
) -> None:
    """State (or component) of each row of DATA and its probability given all rows of its sequence (filtered: given
    those up to it), as CSV.

    estep decode model.json data.csv --keep date,price -o states.csv
    estep decode model.json data.csv --spells
    """
    if proba not in ("path", "all"):
        raise ValueError(f"--proba {proba!r}: it is path, or all for a column of each state")
    check_out(out)
    dialect = dialect_of(sep, decimal, thousands, na, header)
    ask = Ask(columns, sequence, None, None, given, dialect, memory, unknown=unknown)
    fitted, table = loaded(model, data, ask)
    source = table.source
    if outliers and (fitted.latent.sequential or fitted.emission.n_covariates):
        raise ValueError("--outliers is for mixtures without covariates")
    how: dict[str, Any] = {"execute": threads(n_threads), "on_impossible": on_impossible}
    if (spells or algorithm == "filtered") and not fitted.latent.sequential:
        raise ValueError("--spells and --algorithm filtered are for hmm: the rows of a mixture are independent")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        if algorithm == "filtered":
            every = fitted.filter(source, **how)
            states = np.where(np.isnan(every[:, 0]), -1, np.nan_to_num(every).argmax(axis=1))
        else:
            states, _ = fitted.decode(source, algorithm=algorithm, **how)
            every = None
    for warning in caught:
        say(f"{warning.message}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the same again
        if every is None and proba == "all":
            every = fitted.predict_proba(source, **how)
        if every is not None:
            sure = np.where(states < 0, np.nan, every[np.arange(len(every)), states])
        else:
            sure = fitted.state_probability(states, source, execute=how["execute"])
    if spells:
        found = stays_of(states, source.all_ends, dates_of(table, time), sure)
        if "sequence" in found:
            found["sequence"] = np.array(list(table.sequences()), dtype=object)[found["sequence"]]
        write_table(found, out, as_json)
        return
    found = {"state": states, "probability": sure}
    if proba == "all" and every is not None:
        found |= {f"state_{k}": every[:, k] for k in range(every.shape[1])}
    if outliers:
        found["outlier_probability"] = outlier_probabilities(fitted, source, DRAWS, 0, how["execute"])
    ids = {"sequence": table.ids()} if table.ids is not None and source.ends is not None else {}
    write_table(beside(kept(table, keep, all_columns, out, as_json), ids | found), out, as_json)
