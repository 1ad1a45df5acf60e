"""The command that compares models."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import typer

from estep.algorithms import make_algorithm
from estep.cli.choose import Ask, split_names
from estep.cli.errors import guarded
from estep.cli.families import components_of, family_of, proposed_of
from estep.cli.finish import conclude
from estep.cli.options import (
    Columns,
    Data,
    Decimal,
    Exclude,
    Full,
    Given,
    Header,
    Json,
    Memory,
    Missing,
    Sep,
    Sequence,
    Thousands,
    ThreadCount,
    Weight,
    app,
)
from estep.cli.plot import check_picture
from estep.cli.show import Progress, console
from estep.cli.tables import dialect_of, read_table
from estep.cli.text import say
from estep.emissions import FAMILIES
from estep.estimators.candidates import CRITERIA
from estep.estimators.selection import select
from estep.execution.threads import threads
from estep.fitting.alignment import check_order
from estep.fitting.stopping import Stop
from estep.latents import Chain, Independent
from estep.parameters.covariance import TYPES
from estep.util.files import check_target


@app.command("select")
@guarded
def select_command(
    kind: Annotated[str, typer.Argument(metavar="mixture|gmm|hmm", help="gmm is mixture --emission gaussian.")],
    data: Data,
    components: Annotated[
        str, typer.Option("-k", "--components", help="Numbers of components or states: 1-8, or 2,4,8.")
    ] = "1-8",
    emission: Annotated[str, typer.Option(help=f"Families, separated by commas: {', '.join(FAMILIES)}.")] = "gaussian",
    covariance: Annotated[
        str | None, typer.Option(help=f"Types of covariances, separated by commas: {', '.join(TYPES)}; or all.")
    ] = None,
    criterion: Annotated[str, typer.Option(help=f"{'|'.join(CRITERIA)}: what chooses; lower is better.")] = "bic",
    folds: Annotated[int, typer.Option(min=2, help="cv: parts of the data, each left out once.")] = 5,
    columns: Columns = None,
    exclude: Exclude = None,
    sequence: Sequence = None,
    weight: Weight = None,
    given: Given = None,
    sep: Sep = None,
    decimal: Decimal = ".",
    thousands: Thousands = None,
    na: Missing = None,
    header: Header = None,
    memory: Memory = None,
    n_init: Annotated[int, typer.Option(min=1, max=1_000_000, help="Starts of each model.")] = 10,
    max_time: Annotated[float | None, typer.Option(min=0.001, help="Seconds for each family and type.")] = None,
    order_by: Annotated[
        str | None, typer.Option(help="mean|weight|variance: how components are numbered (default: as found).")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the random starts.")] = 0,
    n_threads: ThreadCount = None,
    out: Annotated[Path | None, typer.Option("-o", "--out", help="Model file to write, of the best.")] = None,
    picture: Annotated[
        Path | None, typer.Option("--plot", help="Picture of the criterion to write: .png, .pdf or .svg.")
    ] = None,
    full: Full = False,
    as_json: Json = False,
) -> None:
    """Compare numbers of components, families and types of covariances, and keep the best.

    estep select gmm data.csv -k 1-6 --covariance all -o best.json --plot bic.png
    """
    if order_by is not None:
        check_order(order_by)
    types = (
        list(TYPES) if covariance == "all" else None if covariance is None else split_names(covariance, "--covariance")
    )
    families = [family_of(kind, name, None, 1) for name in split_names(emission, "--emission")]
    known = [family for family in families if family is not None]
    if known and len(known) < len(families):
        raise ValueError("--emission auto stands alone: it is one family for each column")
    if len({family.rows for family in known}) > 1:
        raise ValueError(f"--emission {emission}: families of numbers and of symbols cannot be compared")
    if sequence is not None and kind != "hmm":
        raise ValueError("--sequence is for hmm: the rows of a mixture are independent")
    for path in (out, picture):
        if path is not None:
            check_target(path)
    if picture is not None:
        check_picture(picture)
    execute = threads(n_threads)
    dialect = dialect_of(sep, decimal, thousands, na, header)
    ask = Ask(columns, sequence, weight, None, given, dialect, memory, execute, exclude)
    table = read_table(data, known[0].rows if known else "table", ask)
    known = known or [proposed_of(table, {})]
    source = table.source.chained() if kind == "hmm" else table.source.independent()
    if given is not None:
        known = [family.given_columns(source.n_given) for family in known]
    latent = Chain() if kind == "hmm" else Independent()
    how: dict[str, Any] = {"random_state": seed, "execute": execute, "algorithm": make_algorithm("em")}
    begun = time.perf_counter()
    with Progress(console(error=True), execute, Stop().tol * len(source)) as progress:
        selection = select(
            source,
            components_of(components, len(source)),
            known,
            latent,
            covariance_type=types,
            criterion=criterion,
            folds=folds,
            n_init=n_init,
            stop=Stop(max_time=max_time),
            callbacks=[progress],
            **how,
        )
    seconds = time.perf_counter() - begun
    conclude(selection, table, source, data, seconds, order_by, True, out, full, as_json)
    if picture is not None:
        from estep.plots import SelectionDisplay

        SelectionDisplay.from_estimator(selection).figure_.savefig(picture, dpi=150)
        say(f"picture written to {picture}")
