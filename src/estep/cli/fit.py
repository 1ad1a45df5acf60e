"""``estep fit``: reads the options and the data, fits, saves and reports."""

from __future__ import annotations

import json
import os
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from estep.algorithms import ALGORITHMS, make_algorithm
from estep.cli.choose import Ask
from estep.cli.errors import fail, guarded
from estep.cli.options import (
    Columns,
    Data,
    Decimal,
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
from estep.cli.show import (
    Progress,
    console,
    parameter_table,
    result_dict,
    selection_dict,
    selection_table,
    summary_table,
)
from estep.cli.tables import dialect_of, read_table
from estep.cli.text import say
from estep.emissions import FAMILIES, FactorAnalysis, Gaussian, LogNormal, MixtureOf, Student
from estep.emissions.propose import proposed, said, with_families
from estep.estimators.selection import select
from estep.execution.dask import Dask
from estep.execution.threads import threads
from estep.fitting.results import Fit
from estep.fitting.starts.portfolio import PORTFOLIO
from estep.fitting.stopping import Stop
from estep.fitting.subsample import held
from estep.interface import Emission
from estep.io.model_file import save, to_document
from estep.latents import TOPOLOGIES, Chain, Independent
from estep.model import Model
from estep.util.files import check_target

MOST_CANDIDATES = 1000


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
    seed: Annotated[int, typer.Option(min=0, help="Seed of the random starts.")] = 0,
    n_threads: ThreadCount = None,
    scheduler: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Dask scheduler whose workers do the work (tcp://host:8786).")
    ] = None,
    out: Annotated[Path | None, typer.Option("-o", "--out", help="Model file to write.")] = None,
    as_json: Json = False,
) -> None:
    """Fit a mixture or a hidden Markov model to DATA."""
    if families is not None and emission not in ("gaussian", "auto"):
        raise ValueError(f"--family is of some columns, --emission {emission} of all: give one of them")
    family = _family(kind, emission if families is None else "auto", covariance, factors)
    if mix > 1 and kind != "hmm":
        raise ValueError("--mix is for hmm: a mixture of mixtures is a mixture with more components (-k)")
    if sequence is not None and kind != "hmm":
        raise ValueError("--sequence is for hmm: the rows of a mixture are independent")
    if out is not None:
        check_target(out)  # a fit that cannot be saved is refused before it runs
    execute = threads(n_threads) if scheduler is None else Dask(scheduler)
    ask = Ask(
        columns, sequence, weight, labels, given, dialect_of(sep, decimal, thousands, na, header), memory, execute
    )
    table = read_table(data, "table" if family is None else family.rows, ask)
    if family is None:
        family, left_out = proposed(held(table.source).X, table.source.columns, table.symbols)
        chosen = _chosen(families)
        family = with_families(family, chosen, table.source.columns) if chosen else family
        if left_out := {column: why for column, why in left_out.items() if column not in chosen}:
            say(said(left_out))
        say(f"--emission auto takes a {family.preparation}")
    if mix > 1:
        family = MixtureOf(family, mix)
    if given is not None:
        family = family.given_columns(table.source.n_given)
    if topology is not None and (kind != "hmm" or topology not in TOPOLOGIES):
        raise ValueError(f"--topology {topology!r}: it is for hmm, one of {', '.join(TOPOLOGIES)}")
    latent = Chain(topology=topology) if kind == "hmm" else Independent()
    source = table.source.chained() if kind == "hmm" else table.source.independent()
    begun = time.perf_counter()
    with Progress(console(error=True), execute) as progress:
        selection = select(
            source,
            _components(components, len(source)),
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
    best = selection.best.fit
    model = replace(best.model, columns=source.columns, symbols=table.symbols)
    provenance = _provenance(data, len(source), best)
    result = result_dict(best, seconds, to_document(model, provenance))
    if len(selection.candidates) > 1:
        result |= selection_dict(selection)
    _report(model, best, result, out, provenance, as_json)


def _family(kind: str, emission: str, covariance: str | None, factors: int) -> Emission | None:
    """The family; None for "auto", which depends on the data."""
    if kind not in ("mixture", "gmm", "hmm"):
        raise ValueError(f"{kind!r} is not a kind of model: it is mixture, gmm or hmm")
    if emission not in (*FAMILIES, "auto"):
        raise ValueError(f"--emission {emission!r} is unknown: it is one of {', '.join(FAMILIES)}, auto")
    if kind == "gmm" and emission != "gaussian":
        raise ValueError(f"gmm is a Gaussian mixture: write mixture --emission {emission}")
    if factors > 1 and emission != "factor_analysis":
        raise ValueError(f"--factors is for factor_analysis emissions, not {emission}")
    gaussian = Gaussian(covariance or ("diag" if kind == "hmm" else "full"))
    around: dict[str, Emission] = {
        "gaussian": gaussian,
        "student": Student(gaussian),
        "log_normal": LogNormal(gaussian),
    }
    if emission in around:
        return around[emission]
    if covariance is not None:
        raise ValueError(f"--covariance is for {', '.join(around)} emissions, not {emission}")
    if emission == "factor_analysis":
        return FactorAnalysis(factors)
    return None if emission == "auto" else FAMILIES[emission]()


def _chosen(families: str | None) -> dict[str, Emission]:
    """``--family``: families by column."""
    chosen: dict[str, Emission] = {}
    for part in families.split(",") if families else ():
        column, equals, name = part.partition("=")
        if not equals or not column.strip():
            raise ValueError(f"--family {families!r}: it is COLUMN=FAMILY, separated by commas")
        if name.strip() not in FAMILIES:
            raise ValueError(f"--family: {name.strip()!r} is unknown: it is one of {', '.join(FAMILIES)}")
        family = FAMILIES[name.strip()]()
        chosen[column.strip()] = Gaussian("diag") if isinstance(family, Gaussian) else family
    return chosen


def _components(text: str, n_rows: int) -> list[int]:
    """``-k``: "3", a range "1-8", or some "2,4,8"; as many as there are rows at most."""
    numbers: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise ValueError(f"-k {text!r}: it is a number (3), a range (1-8), or some of both (1-4,8)")
        if max(len(first), len(last)) > 18 or (most := max(int(first), int(last or 0))) > n_rows:
            wanted = max(first, last, key=lambda t: int(t or 0) if len(t) <= 18 else 10**18)
            raise ValueError(
                f"-k {text[:40]!r}: {wanted[:20]} components want at least as many rows; DATA has {n_rows}"
            )
        if most - int(first) >= MOST_CANDIDATES:
            raise ValueError(f"-k {text!r}: {MOST_CANDIDATES} numbers of components are compared at most")
        numbers += range(int(first), int(last if dash else first) + 1)
    if not numbers or min(numbers) < 1:
        raise ValueError(f"-k {text!r}: numbers of components are from 1, the smaller first")
    return numbers


def _provenance(data: str, n_rows: int, fit: Fit) -> dict[str, Any]:
    from estep import __version__

    return {
        "estep": __version__,
        "data": data,
        "rows": n_rows,
        "log_likelihood": fit.log_likelihood,
        "n_iter": fit.n_iter,
        "stop_reason": fit.stop_reason,
    }


def _report(
    model: Model, fit: Fit, result: dict[str, Any], out: Path | None, provenance: dict[str, Any], as_json: bool
) -> None:
    """Saves first, then prints; an interrupted fit ends with 130."""
    failure = None if out is None else _save(model, out, provenance)
    if as_json:
        print(json.dumps(result, allow_nan=False))
    else:
        shown = console()
        if "candidates" in result:
            shown.print(selection_table(result))
        shown.print(parameter_table(model))
        shown.print(summary_table(result))
    for note in (*fit.notes, *fit.remarks):
        say(f"{note}")
    if failure:
        raise fail(failure)
    if out is not None:
        say(f"model written to {out}")
    if fit.stop_reason == "interrupted":
        kept = (
            f"the best model so far is in {out}" if out is not None else "the best model so far is shown; -o keeps it"
        )
        say(f"interrupted after {fit.n_iter} iterations; {kept}")
        raise typer.Exit(130)


def _save(model: Model, out: Path, provenance: dict[str, Any]) -> str | None:
    """Writes the model; where that fails, beside the temporary files. What went wrong, None: nothing."""
    try:
        save(model, out, provenance)
        return None
    except (OSError, ValueError, KeyboardInterrupt) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error) or "interrupted"
    instead = Path(tempfile.gettempdir()) / f"estep-model-{os.getpid()}.json"
    try:
        save(model, instead, provenance)
    except (OSError, ValueError):
        return f"{out}: {reason}; the model is not saved: --json prints all of it"
    return f"{out}: {reason}; the model is in {instead}"
