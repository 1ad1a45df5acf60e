"""The command line's app, and the arguments that several commands take."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        from estep import __version__

        print(f"estep {__version__}")
        raise typer.Exit()


Version = Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it, and end.")]


@app.callback()
def estep(version: Version = False) -> None:
    """Mixtures and hidden Markov models by expectation-maximization."""


Data = Annotated[
    str,
    typer.Argument(
        help="A CSV (.gz, .zst; -: standard input), Parquet, Arrow or .npy file, a folder or pattern of such files, or "
        "a shipped dataset's name (faithful)."
    ),
]
ModelPath = Annotated[Path, typer.Argument(metavar="MODEL", help="A model file written by estep fit -o.")]
Columns = Annotated[str | None, typer.Option("--columns", help="Columns to use, separated by commas.")]
Exclude = Annotated[str | None, typer.Option("--exclude", help="Columns to leave out, separated by commas.")]
Unknown = Annotated[
    str | None, typer.Option("--unknown", help="error|missing: what texts are that MODEL does not know (error).")
]
Sequence = Annotated[
    str | None, typer.Option("--sequence", metavar="COLUMN", help="Column whose equal values make one sequence.")
]
Weight = Annotated[
    str | None, typer.Option("--weight", metavar="COLUMN", help="Column of weights of rows, or of sequences.")
]
Time = Annotated[
    str | None, typer.Option("--time", metavar="COLUMN", help="Column of dates (default: the one there is).")
]
Given = Annotated[
    str | None, typer.Option("--given", metavar="COLUMNS", help="Columns of covariates, separated by commas.")
]
Sep = Annotated[
    str | None, typer.Option("--sep", help="What separates columns: one character, tab or space (default: found).")
]
Decimal = Annotated[str, typer.Option("--decimal", help="Decimal sign of numbers.")]
Thousands = Annotated[str | None, typer.Option("--thousands", help="What separates thousands in numbers.")]
Missing = Annotated[
    str | None, typer.Option("--na", help="What a cell without a value has, separated by commas (always: NA).")
]
Header = Annotated[
    bool | None,
    typer.Option(
        "--header/--no-header", help="Whether the first line names the columns (default: unless it is numbers)."
    ),
]
Memory = Annotated[
    str | None,
    typer.Option("--memory", metavar="SIZE", help="Read DATA some rows at a time, in so much memory (500MB)."),
]
Keep = Annotated[
    str | None, typer.Option("--keep", metavar="COLUMNS", help="Columns of DATA that go along, separated by commas.")
]
AllColumns = Annotated[bool, typer.Option("--all-columns", help="All columns of DATA go along.")]
Out = Annotated[
    Path | None, typer.Option("-o", "--out", help="CSV or .parquet file to write; else CSV on standard output.")
]
ThreadCount = Annotated[int | None, typer.Option("--threads", min=1, help="Threads; default: all cores.")]
Json = Annotated[bool, typer.Option("--json", help="Machine-readable result on standard output.")]
Full = Annotated[bool, typer.Option("--full", help="All parameters, where a summary is shown otherwise.")]
