"""``estep fit``: reads the options and the data, fits, saves and reports."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from estep.algorithms import ALGORITHMS, make_algorithm
from estep.cli.choose import Ask
from estep.cli.errors import guarded
from estep.cli.families import components_of, families_by_column, family_of, proposed_of
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
)  # fmt: skip
from estep.cli.show import Progress, console
from estep.cli.tables import dialect_of, read_table
from estep.emissions import FAMILIES, MixtureOf
from estep.estimators.selection import select
from estep.execution.dask import Dask
from estep.execution.threads import threads
from estep.fitting.alignment import check_order
from estep.fitting.starts.portfolio import PORTFOLIO
from estep.fitting.stopping import Stop
from estep.latents import TOPOLOGIES, Chain, Independent
from estep.util.files import check_target


@app.command("fit")
@guarded
def fit_command(
    kind: Annotated[str, typer.Argument(metavar="mixture|gmm|hmm", help="gmm is mixture --emission gaussian.")],
    data: Data,
    components: Annotated[
        str, typer.Option("-k", "--components", help="Components or states; of a range (1-8) the best is kept.")
    ],
    emission: Annotated[
        str, typer.Option(help="|".join(FAMILIES) + "|auto: one for each column, by its values")
    ] = "gaussian",
    families: Annotated[
        str | None,
        typer.Option("--family", help="Families of some columns, the others' proposed: income=log_normal,age=gaussian"),
    ] = None,
    covariance: Annotated[str | None, typer.Option(help="full|tied|diag|spherical (default full; hmm: diag)")] = None,
    factors: Annotated[int, typer.Option(min=1, help="factor_analysis: factors of each component.")] = 1,
    mix: Annotated[int, typer.Option(min=1, help="hmm: parts of each state's own mixture (GMM-HMM).")] = 1,
    criterion: Annotated[str, typer.Option(help="bic|aic: what chooses among several -k.")] = "bic",
    columns: Columns = None,
    exclude: Exclude = None,
    sequence: Sequence = None,
    weight: Weight = None,
    labels: Annotated[
        str | None, typer.Option("--labels", metavar="COLUMN", help="Column of known states; empty or -1: unknown.")
    ] = None,
    given: Given = None,
    sep: Sep = None,
    decimal: Decimal = ".",
    thousands: Thousands = None,
    na: Missing = None,
    header: Header = None,
    memory: Memory = None,
    n_init: Annotated[int, typer.Option(min=1, max=1_000_000, help="Starts, of which the best is kept.")] = 1,
    init: Annotated[
        str, typer.Option("--init", help=f"{PORTFOLIO}: kinds of starts by turns; or all of one kind.")
    ] = PORTFOLIO,
    topology: Annotated[
        str | None, typer.Option(help=f"hmm: {'|'.join(TOPOLOGIES)}: which transitions there may be.")
    ] = None,
    max_time: Annotated[
        float | None, typer.Option(min=0.001, help="Seconds after which the best so far is kept.")
    ] = None,
    checkpoint: Annotated[
        Path | None, typer.Option(help="File from which the same command goes on, whatever cut it off.")
    ] = None,
    every: Annotated[float, typer.Option(min=0, help="Seconds between two writes of the checkpoint.")] = 60.0,
    max_iter: Annotated[int, typer.Option(min=0, help="M-steps of one start, at most.")] = 1000,
    tol: Annotated[float, typer.Option(min=0, help="Stop at a gain of the log-likelihood a row below this.")] = 1e-8,
    stop_rule: Annotated[str, typer.Option(help="gain|aitken|parameters: what --tol is of.")] = "gain",
    algorithm: Annotated[
        str | None, typer.Option(help=f"{'|'.join(ALGORITHMS)} (default em; student: squarem)")
    ] = None,
    estimate: Annotated[
        str, typer.Option(help="ml|map|vb: maximum likelihood, or with weak priors the mode or all of the posterior.")
    ] = "ml",
    order_by: Annotated[
        str | None, typer.Option(help="mean|weight|variance: how components are numbered (default: as found).")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the random starts.")] = 0,
    n_threads: ThreadCount = None,
    scheduler: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Dask scheduler whose workers do the work (tcp://host:8786).")
    ] = None,
    out: Annotated[Path | None, typer.Option("-o", "--out", help="Model file to write.")] = None,
    full: Full = False,
    as_json: Json = False,
) -> None:
    """Fit a mixture or a hidden Markov model to DATA.

    estep fit gmm data.csv -k 1-8 --n-init 20 -o model.json
    """
    if families is not None and emission not in ("gaussian", "auto"):
        raise ValueError(f"--family is of some columns, --emission {emission} of all: give one of them")
    if order_by is not None:
        check_order(order_by)
    family = family_of(kind, emission if families is None else "auto", covariance, factors)
    if mix > 1 and kind != "hmm":
        raise ValueError("--mix is for hmm: a mixture of mixtures is a mixture with more components (-k)")
    if sequence is not None and kind != "hmm":
        raise ValueError("--sequence is for hmm: the rows of a mixture are independent")
    if out is not None:
        check_target(out)  # a fit that cannot be saved is refused before it runs
    execute = threads(n_threads) if scheduler is None else Dask(scheduler)
    ask = Ask(
        columns,
        sequence,
        weight,
        labels,
        given,
        dialect_of(sep, decimal, thousands, na, header),
        memory,
        execute,
        exclude,
    )
    table = read_table(data, "table" if family is None else family.rows, ask)
    family = proposed_of(table, families_by_column(families)) if family is None else family
    if mix > 1:
        family = MixtureOf(family, mix)
    if given is not None:
        family = family.given_columns(table.source.n_given)
    if topology is not None and (kind != "hmm" or topology not in TOPOLOGIES):
        raise ValueError(f"--topology {topology!r}: it is for hmm, one of {', '.join(TOPOLOGIES)}")
    latent = Chain(topology=topology) if kind == "hmm" else Independent()
    source = table.source.chained() if kind == "hmm" else table.source.independent()
    begun = time.perf_counter()
    with Progress(console(error=True), execute, tol * len(source)) as progress:
        selection = select(
            source,
            components_of(components, len(source)),
            family,
            latent,
            criterion=criterion,
            n_init=n_init,
            init_params=init,
            random_state=seed,
            algorithm=make_algorithm(algorithm or ("squarem" if emission == "student" else "em")),
            estimate=estimate,
            stop=Stop(tol, max_iter, stop_rule, max_time=max_time),
            execute=execute,
            callbacks=[progress],
            checkpoint=checkpoint,
            every=every,
        )
    seconds = time.perf_counter() - begun
    several = len(selection.candidates) > 1
    conclude(selection, table, source, data, seconds, order_by, several, out, full, as_json)
