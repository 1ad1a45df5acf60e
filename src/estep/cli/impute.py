"""The command that fills missing cells in."""

from __future__ import annotations

from typing import Annotated

import typer

from estep.cli.ask import loaded
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
    Unknown,
    app,
)
from estep.cli.tables import dialect_of
from estep.cli.write import check_out, kept, write_table
from estep.data.frames import named
from estep.execution.threads import threads
from estep.inference.impute import impute as imputed
from estep.inference.predictive import columns_of, own_columns


@app.command()
@guarded
def impute(
    model: ModelPath,
    data: Data,
    draw: Annotated[int | None, typer.Option(min=0, help="Draw the cells, with this seed; else their means.")] = None,
    columns: Columns = None,
    sequence: Sequence = None,
    given: Given = None,
    sep: Sep = None,
    decimal: Decimal = ".",
    thousands: Thousands = None,
    na: Missing = None,
    header: Header = None,
    memory: Memory = None,
    n_threads: ThreadCount = None,
    unknown: Unknown = None,
    keep: Keep = None,
    all_columns: AllColumns = False,
    as_json: Json = False,
    out: Out = None,
) -> None:
    """The columns of MODEL in DATA with missing cells filled in given all that is there, as CSV.

    estep impute model.json data.csv --all-columns -o whole.csv
    """
    check_out(out)
    dialect = dialect_of(sep, decimal, thousands, na, header)
    fitted, table = loaded(model, data, Ask(columns, sequence, None, None, given, dialect, memory, unknown=unknown))
    rows = imputed(fitted, table.source, draw, threads(n_threads))
    names, symbols = columns_of(fitted)
    places = own_columns(fitted) - fitted.emission.n_covariates
    found = {name: named(rows[:, d], s) for name, d, s in zip(names, places, symbols, strict=True)}
    write_table({**kept(table, keep, all_columns, out, as_json), **found}, out, as_json)
