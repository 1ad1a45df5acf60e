"""The command that draws a model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from estep.cli.ask import dates_of, loaded
from estep.cli.choose import Ask, split_names
from estep.cli.errors import guarded
from estep.cli.options import (
    Columns,
    Decimal,
    Header,
    Json,
    Memory,
    Missing,
    ModelPath,
    Sep,
    Sequence,
    Thousands,
    Time,
    app,
)
from estep.cli.tables import dialect_of
from estep.cli.text import written
from estep.io.model_file import read
from estep.util.files import check_target

DRAWN = (
    "components", "pairs", "profile", "states", "forecast", "residuals", "transitions", "emissions", "durations"
)  # fmt: skip
SEVERAL = ("components", "pairs", "profile")
"""Those of several columns."""
SUFFIXES = (".png", ".pdf", ".svg")


def check_picture(path: Path) -> None:
    """Raises ValueError for a name of no picture, ModuleNotFoundError where what draws it is missing."""
    from estep.plots import require_matplotlib

    require_matplotlib()
    if path.suffix not in SUFFIXES:
        raise ValueError(f"{path}: the name of a picture ends in {', '.join(SUFFIXES)}")


@app.command()
@guarded
def plot(
    model: ModelPath,
    data: Annotated[
        str | None, typer.Argument(help="As for fit; profile, transitions, emissions and durations want none.")
    ] = None,
    out: Annotated[Path, typer.Option("-o", "--out", help="Picture to write: .png, .pdf or .svg.")] = Path("estep.png"),
    what: Annotated[str | None, typer.Option(help=f"{'|'.join(DRAWN)} (default: what suits MODEL and DATA)")] = None,
    column: Annotated[str | None, typer.Option(help="Columns to draw, by name.")] = None,
    time: Time = None,
    only: Annotated[str | None, typer.Option(help="states: of several sequences the one to draw.")] = None,
    kind: Annotated[str, typer.Option(help="states: smoothed|filtered probabilities.")] = "smoothed",
    steps: Annotated[int, typer.Option(min=1, help="forecast: rows to come.")] = 10,
    dpi: Annotated[int, typer.Option(min=10, max=2400, help="Dots an inch of a .png.")] = 150,
    columns: Columns = None,
    sequence: Sequence = None,
    sep: Sep = None,
    decimal: Decimal = ".",
    thousands: Thousands = None,
    na: Missing = None,
    header: Header = None,
    memory: Memory = None,
    as_json: Json = False,
) -> None:
    """Draw MODEL over DATA.

    estep plot model.json data.csv -o states.png
    """
    from estep.plots import draw, suited

    check_picture(out)
    if what is not None and what not in DRAWN:
        raise ValueError(f"--what {what!r}: it is one of {', '.join(DRAWN)}")
    check_target(out)
    table = None
    if data is None:
        fitted = read(model).model
    else:
        ask = Ask(columns, sequence, None, None, None, dialect_of(sep, decimal, thousands, na, header), memory)
        fitted, table = loaded(model, data, ask)
    what = what or suited(fitted, table is not None)
    options: dict[str, Any] = {}
    if column is not None:
        names = split_names(column, "--column")
        options = {"columns": names} if what in SEVERAL else {"column": names if len(names) > 1 else names[0]}
    if table is not None and what == "states" and (times := dates_of(table, time)) is not None:
        options["times"] = times
    if what == "states":
        options["kind"] = kind
        if only is not None and table is not None:
            names = list(table.sequences())
            if only not in names:
                raise ValueError(f"--only {only!r}: DATA has no such sequence; it has {', '.join(names[:5])} ...")
            options["sequence"] = names.index(only)
    elif what == "forecast":
        options["steps"] = steps
    if time is not None and what != "states":
        raise ValueError(f"--time is for --what states, not {what}")
    shown = draw(fitted, None if table is None else table.source, what, **options)
    shown.figure_.savefig(out, dpi=dpi)
    written(out, f"picture written to {out}", as_json, what=what)
