"""Commands that give rows: those to come, and drawn ones."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
import typer

from estep.cli.ask import loaded
from estep.cli.choose import Ask
from estep.cli.errors import guarded
from estep.cli.options import (
    Columns,
    Data,
    Decimal,
    Header,
    Json,
    Memory,
    Missing,
    ModelPath,
    Out,
    Sep,
    Sequence,
    Thousands,
    ThreadCount,
    app,
)
from estep.cli.tables import dialect_of
from estep.cli.write import check_out, write_table
from estep.data.frames import named
from estep.execution.threads import threads
from estep.inference.forecast import forecast_columns
from estep.inference.predictive import columns_of
from estep.io.model_file import read
from estep.util.memory import require_memory


@app.command()
@guarded
def forecast(
    model: ModelPath,
    data: Data,
    steps: Annotated[int, typer.Option("--steps", min=1, help="Rows to come.")] = 1,
    level: Annotated[float, typer.Option(help="The share of observations between NAME_lower and NAME_upper.")] = 0.95,
    columns: Columns = None,
    sequence: Sequence = None,
    sep: Sep = None,
    decimal: Decimal = ".",
    thousands: Thousands = None,
    na: Missing = None,
    header: Header = None,
    memory: Memory = None,
    n_threads: ThreadCount = None,
    as_json: Json = False,
    out: Out = None,
) -> None:
    """What comes after each sequence of DATA, given all of it: states, and each column's mean and limits, as CSV.

    estep forecast model.json data.csv --steps 5
    """
    check_out(out)
    fitted, table = loaded(
        model, data, Ask(columns, sequence, None, None, None, dialect_of(sep, decimal, thousands, na, header), memory)
    )
    if not fitted.latent.sequential:
        raise ValueError("forecast is for hmm: the rows of a mixture are independent, and all alike")
    found: dict[str, Any] = forecast_columns(
        fitted, fitted.source(table.source), steps, level, execute=threads(n_threads)
    )
    if "sequence" in found:
        found["sequence"] = np.array(list(table.sequences()), dtype=object)[found["sequence"]]
    write_table(found, out, as_json)


@app.command()
@guarded
def sample(
    model: ModelPath,
    n: Annotated[int, typer.Option("-n", min=1, help="Rows to draw.")],
    seed: Annotated[int, typer.Option(min=0, help="Of the random numbers.")] = 0,
    as_json: Json = False,
    out: Out = None,
) -> None:
    """Draw rows from MODEL, as CSV with the state each came from.

    estep sample model.json -n 1000 -o drawn.csv
    """
    check_out(out)
    fitted = read(model).model
    names, symbols = columns_of(fitted)
    require_memory(f"-n {n}: so many rows", n * 8 * 4 * (len(names) + 2))
    X, states = fitted.sample(n, seed)
    drawn = {name: named(X[:, d], s) for d, (name, s) in enumerate(zip(names, symbols, strict=True))}
    state = "state" if "state" not in drawn else "estep_state"
    while state in drawn:
        state += "_"
    write_table({state: states, **drawn}, out, as_json)
