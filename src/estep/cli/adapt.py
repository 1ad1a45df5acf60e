"""The command that moves a model towards new data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from estep.cli.ask import loaded
from estep.cli.choose import Ask, split_names
from estep.cli.errors import guarded
from estep.cli.options import (
    Columns,
    Data,
    Decimal,
    Full,
    Given,
    Header,
    Json,
    Memory,
    Missing,
    ModelPath,
    Sep,
    Sequence,
    Thousands,
    Weight,
    app,
)
from estep.cli.parameters import parameter_table
from estep.cli.show import console
from estep.cli.tables import dialect_of
from estep.cli.text import say
from estep.io.model_file import save, to_document
from estep.util.files import check_target


@app.command()
@guarded
def adapt(
    model: ModelPath,
    data: Data,
    out: Annotated[Path, typer.Option("-o", "--out", help="Model file to write.")],
    relevance: Annotated[
        float, typer.Option(min=0, help="Rows that MODEL counts for: n rows move it n / (n + relevance) of the way.")
    ] = 16.0,
    parameters: Annotated[
        str, typer.Option(help="What moves, separated by commas: means,covariances,weights.")
    ] = "means",
    n_iter: Annotated[int, typer.Option("--iterations", min=1, help="Steps, each from MODEL.")] = 1,
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
    full: Full = False,
    as_json: Json = False,
) -> None:
    """Move MODEL towards DATA as far as its rows go: a model of all speakers becomes that of one.

    estep adapt everybody.json ann.csv --relevance 16 -o ann.json
    """
    from estep.estimators.verification import adapt as adapted  # it brings scikit-learn

    check_target(out)
    dialect = dialect_of(sep, decimal, thousands, na, header)
    fitted, table = loaded(model, data, Ask(columns, sequence, weight, None, given, dialect, memory))
    new = adapted(fitted, table.source, relevance, parameters=split_names(parameters, "--parameters"), n_iter=n_iter)
    before, after = fitted.score(table.source), new.score(table.source)
    provenance = {"adapted": str(model), "data": data, "rows": len(table.source), "log_likelihood": after}
    save(new, out, provenance)
    if as_json:
        result = {"log_likelihood_before": before, "log_likelihood": after, "model": to_document(new, provenance)}
        print(json.dumps(result))
    else:
        shown = console()
        shown.print(parameter_table(new, shown.width, full))
    say(f"log-likelihood of {data}: {before:.6f} before, {after:.6f} now; model written to {out}")
