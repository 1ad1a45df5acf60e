"""The command that writes a report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from estep.cli.ask import dates_of, loaded
from estep.cli.choose import Ask, split_names
from estep.cli.errors import guarded
from estep.cli.options import (
    Columns,
    Decimal,
    Given,
    Header,
    Json,
    Memory,
    Missing,
    ModelPath,
    Sep,
    Sequence,
    Thousands,
    ThreadCount,
    Time,
    Unknown,
    Weight,
    app,
)
from estep.cli.tables import Table, dialect_of
from estep.cli.text import say
from estep.execution.threads import threads
from estep.io.model_file import read
from estep.model import Model
from estep.util.files import check_target, write_text


@app.command()
@guarded
def report(
    model: ModelPath,
    data: Annotated[
        str | None, typer.Argument(help="As for fit; default: what MODEL was fitted to.", show_default=False)
    ] = None,
    out: Annotated[Path, typer.Option("-o", "--out", help="Page to write.")] = Path("report.html"),
    compare: Annotated[
        Path | None, typer.Option(metavar="OTHER", help="A second model file: both side by side over DATA.")
    ] = None,
    numbers: Annotated[
        Path | None, typer.Option("--data", help="File to write the page's numbers to, as JSON.")
    ] = None,
    without_rows: Annotated[bool, typer.Option("--without-rows", help="Keep rows of DATA out of the page.")] = False,
    keep: Annotated[
        str | None, typer.Option(metavar="COLUMNS", help="Columns that rows are known by (default: ids).")
    ] = None,
    time: Time = None,
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
    """A page about MODEL over DATA: what to watch, charts, rows, tables. MODEL may be numbers that --data wrote.

    estep report model.json data.csv -o report.html
    estep report model.json data.csv --compare other.json -o both.html
    """
    from estep.reports import Report
    from estep.reports.page import require_libraries

    require_libraries()
    for path in (out, numbers):
        if path is not None:
            check_target(path)
    if out.suffix.lower() not in (".html", ".htm"):
        raise ValueError(f"{out}: the name of a page ends in .html; --data writes its numbers")
    if _holds_numbers(model):
        if compare is not None or data is not None:
            raise ValueError(
                f"{model} holds the numbers of a report: give the model file to look at DATA or to compare"
            )
        found = Report.load(model)
        found = found.without_rows() if without_rows else found
    else:
        named = data if data is not None else _data_of(model)
        dialect = dialect_of(sep, decimal, thousands, na, header)
        ask = Ask(columns, sequence, weight, None, given, dialect, memory, unknown=unknown)
        over = [_over(path, named, ask, keep, time, n_threads, not without_rows) for path in (model, compare) if path]
        if compare is not None:
            _compare(over, (model, compare), out, numbers, as_json)
            return
        found = over[0][0]
    found.save(out)
    if numbers is not None:
        found.save_numbers(numbers)
    if as_json:
        print(json.dumps({"written": str(out), "alerts": found.numbers["alerts"]}))
    else:
        for alert in found.numbers["alerts"]:
            print(f"{'watch' if alert['level'] == 'warning' else 'note'}: {alert['text']}")
    say(f"report written to {out}")


def _holds_numbers(path: Path) -> bool:
    """Whether a file is what --data wrote."""
    with path.open("rb") as file:
        return b'"estep-report"' in file.read(200)


def _data_of(model: Path) -> str:
    """What a model was fitted to. Raises ValueError where it does not say."""
    known = read(model).provenance.get("data")
    if not isinstance(known, str):
        raise ValueError(f"{model} does not say what it was fitted to: name DATA")
    return known


def _over(
    path: Path, data: str, ask: Ask, keep: str | None, time: str | None, n_threads: int | None, rows: bool
) -> tuple[Any, Model, Table]:
    from estep.reports import About, Report

    fitted, table = loaded(path, data, ask)
    origin = dict(read(path).provenance)
    kept = split_names(keep, "--keep") if keep is not None else table.kinds("ids")
    if unknown := [name for name in kept if name not in table.names]:
        raise ValueError(f"DATA has no column {unknown[0]!r}; it has {', '.join(table.names)} (--keep)")
    cells = {name: np.array(list(table.cells(name)), dtype=object) for name in kept if rows}
    sequences = tuple(table.sequences()) if table.source.ends is not None else ()
    about = About(data, origin, dates_of(table, time), cells, sequences)
    return Report.of(fitted, table.source, about, threads(n_threads), rows), fitted, table


def _compare(
    over: list[tuple[Any, Model, Table]], paths: tuple[Path, Path], out: Path, numbers: Path | None, as_json: bool
) -> None:
    from estep.reports.compare import comparison, comparison_page

    states = [model.decode(table.source, on_impossible="skip")[0] for _, model, table in over]
    scores = [model.score_units(table.source) for _, model, table in over]
    found = comparison(over[0][0].numbers, over[1][0].numbers, (states[0], states[1]), (scores[0], scores[1]))
    names = (paths[0].stem, paths[1].stem)
    write_text(out, comparison_page(found, names if names[0] != names[1] else (str(paths[0]), str(paths[1]))))
    if as_json:
        print(json.dumps({"written": str(out), "rand": found["rand"], "together": found["together"]}))
    if numbers is not None:
        write_text(numbers, json.dumps(found, indent=1) + "\n")
    say(f"comparison written to {out}")
