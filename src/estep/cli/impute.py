"""The command that fills missing cells in."""

from __future__ import annotations

from typing import Annotated

import numpy as np
import typer

from estep.cli.ask import loaded, write_csv
from estep.cli.choose import Ask
from estep.cli.errors import guarded
from estep.cli.options import (
    Columns,
    Data,
    Decimal,
    Given,
    Header,
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
from estep.execution.threads import threads
from estep.inference.impute import impute as imputed
from estep.util.files import check_target


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
    out: Out = None,
) -> None:
    """The columns of MODEL in DATA with missing cells filled in given all that is there, as CSV.

    estep impute model.json data.csv -o whole.csv
    """
    if out is not None:
        check_target(out)
    dialect = dialect_of(sep, decimal, thousands, na, header)
    fitted, table = loaded(model, data, Ask(columns, sequence, None, None, given, dialect, memory))
    source = table.source
    rows = imputed(fitted, source, draw, threads(n_threads))
    names = source.columns[source.n_given :] or tuple(f"x{d}" for d in range(rows.shape[1]))
    texts = {names[0]: fitted.symbols} if fitted.emission.rows == "symbols" else dict(fitted.symbols)
    known = [texts.get(name, ()) for name in names]
    write_csv(names, ([_cell(v, t) for v, t in zip(row.tolist(), known, strict=True)] for row in rows), out)


def _cell(value: float, texts: tuple[str, ...]) -> str:
    if np.isnan(value):
        return ""
    if texts:
        return texts[int(value)]
    return repr(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(value)
