"""The commands. scikit-learn and matplotlib are not imported here: the command line starts at once."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
import warnings
from collections.abc import Iterable
from collections.abc import Sequence as Cells
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from estep.algorithms import ALGORITHMS, make_algorithm
from estep.cli.errors import UsageError, fail, give_up_output, guarded
from estep.cli.show import (
    Progress,
    console,
    parameter_table,
    result_dict,
    selection_dict,
    selection_table,
    summary_table,
)
from estep.cli.tables import Ask, Table, read_table
from estep.cli.text import csv_text, plain, say
from estep.emissions import FAMILIES, FactorAnalysis, Gaussian, LogNormal, MixtureOf, Student
from estep.emissions.product import place_in
from estep.execute import threads
from estep.files import check_target, write_text
from estep.fitting import Fit
from estep.frames import proposed
from estep.interface import Emission
from estep.latents import Chain, Independent
from estep.memory import require_memory
from estep.model import Model
from estep.modelfile import read, save, to_document
from estep.selection import select
from estep.statistics import weighted
from estep.stopping import Stop

app = typer.Typer(
    help="Mixtures and hidden Markov models by expectation-maximization.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Data = Annotated[str, typer.Argument(help="A CSV or Parquet file, or a shipped dataset's name (faithful).")]
ModelPath = Annotated[Path, typer.Argument(metavar="MODEL", help="A model file written by estep fit -o.")]
Columns = Annotated[str | None, typer.Option("--columns", help="Columns to use, separated by commas.")]
Sequence = Annotated[
    str | None, typer.Option("--sequence", metavar="COLUMN", help="Column whose equal values make one sequence.")
]
Weight = Annotated[
    str | None, typer.Option("--weight", metavar="COLUMN", help="Column of weights of rows, or of sequences.")
]
Given = Annotated[
    str | None, typer.Option("--given", metavar="COLUMNS", help="Columns of covariates, separated by commas.")
]
Out = Annotated[Path | None, typer.Option("-o", "--out", help="File to write; else standard output.")]
ThreadCount = Annotated[int | None, typer.Option("--threads", min=1, help="Threads; default: all cores.")]
Json = Annotated[bool, typer.Option("--json", help="Machine-readable result on standard output.")]


MOST_CANDIDATES, NARROWEST = 1000, 20


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
    n_init: Annotated[int, typer.Option(min=1, max=1_000_000, help="Starts, of which the best is kept.")] = 1,
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
    out: Annotated[Path | None, typer.Option("-o", "--out", help="Model file to write.")] = None,
    as_json: Json = False,
) -> None:
    """Fit a mixture or a hidden Markov model to DATA."""
    family = _family(kind, emission, covariance, factors)
    if mix > 1 and kind != "hmm":
        raise ValueError("--mix is for hmm: a mixture of mixtures is a mixture with more components (-k)")
    if sequence is not None and kind != "hmm":
        raise ValueError("--sequence is for hmm: the rows of a mixture are independent")
    if out is not None:
        check_target(out)  # a fit that cannot be saved is refused before it runs
    ask = Ask(columns, sequence, weight, labels, given)
    table = read_table(data, "table" if family is None else family.rows, ask)
    if family is None:
        family = proposed(table.source.X, table.source.columns, table.symbols)
        say(f"--emission auto takes a {family.form}")
    if mix > 1:
        family = MixtureOf(family, mix)
    if given is not None:
        family = family.given_columns(table.source.n_given)
    latent = Chain() if kind == "hmm" else Independent()
    source = table.source.chained() if kind == "hmm" else table.source.independent()
    begun = time.perf_counter()
    with Progress(console(error=True)) as progress:
        selection = select(
            source,
            _components(components, len(source)),
            family,
            latent,
            criterion=criterion,
            n_init=n_init,
            random_state=seed,
            algorithm=make_algorithm(algorithm or ("squarem" if emission == "student" else "em")),
            estimate=estimate,
            stop=Stop(tol, max_iter, stop_rule),
            execute=threads(n_threads),
            callbacks=[progress],
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
    for note in fit.notes:
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


def _load(path: Path, data: str, ask: Ask) -> tuple[Model, Table]:
    model = read(path).model
    if ask.sequence is not None and isinstance(model.latent, Independent):
        raise ValueError("--sequence is for hmm: the rows of a mixture are independent")
    table = read_table(data, model.emission.rows, ask, model)
    known = dict(model.roles).get("sequence")
    if known is not None and ask.sequence is None and table.source.ends is None:
        if known in table.names:
            raise ValueError(
                f"the model was fitted to the sequences of column {known!r}: say --sequence {known}, or take the "
                "column out where all rows are one sequence"
            )
        say(f"{data} has no column {known!r}: its rows are one sequence")
    return model, table


@app.command()
@guarded
def score(
    model: ModelPath,
    data: Data,
    columns: Columns = None,
    sequence: Sequence = None,
    weight: Weight = None,
    given: Given = None,
    n_threads: ThreadCount = None,
    as_json: Json = False,
) -> None:
    """Log-likelihood of DATA under MODEL: one line for each sequence, then the total (weighted with --weight)."""
    fitted, table = _load(model, data, Ask(columns, sequence, weight, None, given))
    units = fitted.score_units(table.source, execute=threads(n_threads))
    chain = isinstance(fitted.latent, Chain)
    names = table.sequences or tuple(str(i) for i in range(len(units)))
    total = weighted(units, table.source.weights)
    if as_json:
        result: dict[str, Any] = {"log_likelihood": _finite(total), "rows": len(table.source)}
        if chain:
            result["sequences"] = [
                {"sequence": n, "log_likelihood": _finite(float(u))} for n, u in zip(names, units, strict=True)
            ]
        print(json.dumps(result))
        return
    if chain:
        for name, unit in zip(names, units, strict=True):
            print(f"sequence {plain(name)}\t{unit:.10g}")
    print(f"total\t{total:.12g}")


def _finite(x: float) -> float | None:
    """JSON has no -inf: null stands for it."""
    return x if np.isfinite(x) else None


@app.command()
@guarded
def decode(
    model: ModelPath,
    data: Data,
    algorithm: Annotated[str, typer.Option(help="viterbi|posterior")] = "viterbi",
    columns: Columns = None,
    sequence: Sequence = None,
    given: Given = None,
    on_impossible: Annotated[
        str, typer.Option(help="raise|skip: an error, or state -1 and no probability, for what the model rules out.")
    ] = "raise",
    n_threads: ThreadCount = None,
    out: Out = None,
) -> None:
    """State (or component) of each row of DATA and its probability given all rows of its sequence, as CSV."""
    if out is not None:
        check_target(out)
    fitted, table = _load(model, data, Ask(columns, sequence, None, None, given))
    source, execute = table.source, threads(n_threads)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        states, _ = fitted.decode(source, algorithm=algorithm, execute=execute, on_impossible=on_impossible)
    for warning in caught:
        say(f"{warning.message}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the same again
        p = fitted.predict_proba(source, execute=execute, on_impossible=on_impossible)
    probability = p[np.arange(len(states)), states]
    rows: Iterable[Cells[Any]] = ([s, repr(p)] for s, p in zip(states.tolist(), probability.tolist(), strict=True))
    header = ["state", "probability"]
    if table.sequences and source.ends is not None:
        names = (
            n for n, length in zip(table.sequences, np.diff(source.ends, prepend=0), strict=True) for _ in range(length)
        )
        rows = ([name, *row] for name, row in zip(names, rows, strict=True))
        header = ["sequence", *header]
    _write_csv(header, rows, out)


@app.command()
@guarded
def sample(
    model: ModelPath,
    n: Annotated[int, typer.Option("-n", min=1, help="Rows to draw.")],
    seed: Annotated[int, typer.Option(min=0)] = 0,
    out: Out = None,
) -> None:
    """Draw rows from MODEL, as CSV with the state each came from."""
    if out is not None:
        check_target(out)
    fitted = read(model).model
    D = max(len(fitted.columns), fitted.emission.n_columns)
    require_memory(f"-n {n}: so many rows", n * 8 * 4 * (D + 2))
    X, states = fitted.sample(n, seed)
    columns = list(fitted.columns) or [f"x{d}" for d in range(X.shape[1])]
    if fitted.emission.rows == "table" and len(columns) > X.shape[1]:
        columns = [columns[d] for d in sorted(place_in(fitted.emission, columns))]
    named = {columns[0]: fitted.symbols} if fitted.emission.rows == "symbols" else dict(fitted.symbols)
    texts = [named.get(c, ()) for c in columns]
    whole = fitted.emission.rows == "symbols"

    def cell(value: float, names: tuple[str, ...]) -> str:
        return names[int(value)] if names else repr(int(value) if whole else value)

    rows = ([s, *map(cell, x.tolist(), texts)] for s, x in zip(states.tolist(), X, strict=True))
    state = next(
        name for name in ("state", *(f"estep_state{i or ''}" for i in range(len(columns) + 1))) if name not in columns
    )
    _write_csv([state, *columns], rows, out)


def _write_csv(header: Cells[Any], rows: Iterable[Cells[Any]], out: Path | None) -> None:
    if out is not None:
        write_text(out, csv_text(header, rows))
    else:
        sys.stdout.writelines(csv_text(header, rows, sys.stdout.isatty()))


@app.command()
@guarded
def info(model: Annotated[Path | None, typer.Argument(metavar="[MODEL]")] = None) -> None:
    """What runs here: version, kernels, threads; or what is in MODEL."""
    from estep import __version__, kernels
    from estep.datasets import NAMES
    from estep.execute import available_threads

    if model is not None:
        document = read(model)
        console().print(parameter_table(document.model))
        for key, value in document.provenance.items():
            print(plain(f"{key}: {value}"))
        return
    active = kernels.active().level
    compiled = "" if len(kernels.levels()) > 1 else " (plain NumPy and slow: no compiler was found at installation)"
    print(f"estep {__version__}, Python {sys.version.split()[0]}, NumPy {np.__version__}")
    print(f"kernels: {active}{compiled}; this machine runs {', '.join(kernels.levels())} (ESTEP_KERNELS chooses)")
    print(f"threads: {available_threads()}")
    print(f"datasets: {', '.join(NAMES)}")


@app.command()
@guarded
def demo(
    folder: Annotated[Path, typer.Option("-o", "--out", help="Folder for the pictures.")] = Path("estep-demo"),
) -> None:
    """Fit the shipped data and write pictures: components of faithful, states of earthquakes."""
    from estep.cli.demo import run

    run(folder, console())


def main() -> None:
    """The entry point of the ``estep`` command."""
    _open_streams()
    try:
        code = app(standalone_mode=False)
        sys.stdout.flush()
    except BrokenPipeError:
        give_up_output()
        raise SystemExit(0) from None
    except OSError as error:
        give_up_output()
        fail(f"standard output: {error.strerror or error}")
        raise SystemExit(2) from None
    except UsageError as error:
        if text := error.format_message():  # type: ignore[attr-defined]
            fail(text)
        raise SystemExit(2) from None
    except (KeyboardInterrupt, typer.Abort):
        raise SystemExit(130) from None
    raise SystemExit(code if isinstance(code, int) else 0)


def _open_streams() -> None:
    """Standard output and error that take any text, and are there where the caller has closed them."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    width = os.environ.get("COLUMNS")
    if width is not None and not (width.isascii() and width.isdigit() and int(width) >= NARROWEST):
        os.environ["COLUMNS"] = "80"


__all__ = ["app", "main"]
