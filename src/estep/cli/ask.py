"""Commands that ask a fitted model: score, decode, forecast, sample, info; and the demonstration."""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Iterable, Iterator
from collections.abc import Sequence as Cells
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from estep.cli.choose import Ask
from estep.cli.errors import guarded
from estep.cli.options import (
    Columns,
    Data,
    Decimal,
    Given,
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
    Weight,
    app,
)  # fmt: skip
from estep.cli.show import (
    console,
    parameter_table,
)
from estep.cli.tables import Table, dialect_of, read_table
from estep.cli.text import csv_text, plain, say
from estep.emissions._shared.tables import place_in
from estep.execution.threads import threads
from estep.inference.forecast import forecast_columns
from estep.io.model_file import read, to_document
from estep.model import Model
from estep.statistics import Array, weighted
from estep.util.files import check_target, write_text
from estep.util.memory import require_memory

SOME = 65536  # rows at a time that are written


def loaded(path: Path, data: str, ask: Ask) -> tuple[Model, Table]:
    """A model, and DATA as it reads them. Raises ValueError where its sequences are not told."""
    model = read(path).model
    if ask.sequence is not None and not model.latent.sequential:
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
    sep: Sep = None,
    decimal: Decimal = ".",
    thousands: Thousands = None,
    na: Missing = None,
    header: Header = None,
    memory: Memory = None,
    n_threads: ThreadCount = None,
    as_json: Json = False,
) -> None:
    """Log-likelihood of DATA under MODEL: one line for each sequence, then the total (weighted with --weight)."""
    dialect = dialect_of(sep, decimal, thousands, na, header)
    fitted, table = loaded(model, data, Ask(columns, sequence, weight, None, given, dialect, memory))
    units = fitted.score_units(table.source, execute=threads(n_threads))
    chain = fitted.latent.sequential
    names = tuple(table.sequences()) if chain else ()
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
    sep: Sep = None,
    decimal: Decimal = ".",
    thousands: Thousands = None,
    na: Missing = None,
    header: Header = None,
    memory: Memory = None,
    on_impossible: Annotated[
        str, typer.Option(help="raise|skip: an error, or state -1 and no probability, for what the model rules out.")
    ] = "raise",
    n_threads: ThreadCount = None,
    proba: Annotated[str, typer.Option(help="path|all: of the state that is found, or of all of them.")] = "path",
    out: Out = None,
) -> None:
    """State (or component) of each row of DATA and its probability given all rows of its sequence, as CSV."""
    if proba not in ("path", "all"):
        raise ValueError(f"--proba {proba!r}: it is path, or all for a column of each state")
    if out is not None:
        check_target(out)
    dialect = dialect_of(sep, decimal, thousands, na, header)
    fitted, table = loaded(model, data, Ask(columns, sequence, None, None, given, dialect, memory))
    source, execute = table.source, threads(n_threads)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        states, _ = fitted.decode(source, algorithm=algorithm, execute=execute, on_impossible=on_impossible)
    for warning in caught:
        say(f"{warning.message}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the same again
        if proba == "all":
            every = fitted.predict_proba(source, execute=execute, on_impossible=on_impossible)
            probability = np.where(states < 0, np.nan, every[np.arange(len(every)), states])
        else:
            every = np.empty((len(states), 0))
            probability = fitted.state_probability(states, source, execute=execute)
    rows: Iterable[Cells[Any]] = ([s, p, *others] for s, p, others in _together(states, probability, every))
    heading = ["state", "probability", *(f"state_{k}" for k in range(every.shape[1]))]
    if table.ids is not None and source.ends is not None:
        rows = ([name, *row] for name, row in zip(table.ids(), rows, strict=True))
        heading = ["sequence", *heading]
    write_csv(heading, rows, out)


def _together(*columns: Array) -> Iterator[tuple[Any, ...]]:
    """All of each row, some rows at a time."""
    for i in range(0, len(columns[0]), SOME):
        yield from zip(*(column[i : i + SOME].tolist() for column in columns), strict=True)


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
    """What comes after each sequence of DATA, given all of it: states, and each column's mean and limits, as CSV."""
    if out is not None:
        check_target(out)
    fitted, table = loaded(
        model, data, Ask(columns, sequence, None, None, None, dialect_of(sep, decimal, thousands, na, header), memory)
    )
    if not fitted.latent.sequential:
        raise ValueError("forecast is for hmm: the rows of a mixture are independent, and all alike")
    found = forecast_columns(fitted, table.source, steps, level, execute=threads(n_threads))
    if "sequence" in found:
        names = np.array(list(table.sequences()), dtype=object)
        found["sequence"] = names[found["sequence"]]
    if as_json:
        print(json.dumps({name: values.tolist() for name, values in found.items()}))
        return
    write_csv(list(found), _together(*found.values()), out)


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
    write_csv([state, *columns], rows, out)


def write_csv(heading: Cells[Any], rows: Iterable[Cells[Any]], out: Path | None) -> None:
    """Writes CSV to a file, or to standard output."""
    if out is not None:
        write_text(out, csv_text(heading, rows))
    else:
        sys.stdout.writelines(csv_text(heading, rows, sys.stdout.isatty()))


@app.command()
@guarded
def info(model: Annotated[Path | None, typer.Argument(metavar="[MODEL]")] = None, as_json: Json = False) -> None:
    """What runs here: version, kernels, threads; or what is in MODEL."""
    from estep import __version__, kernels
    from estep.datasets import NAMES
    from estep.execution.threads import available_threads

    if model is not None:
        document = read(model)
        if as_json:
            print(json.dumps(to_document(document.model, document.provenance)))
            return
        console().print(parameter_table(document.model))
        for key, value in document.provenance.items():
            print(plain(f"{key}: {value}"))
        return
    active = kernels.active().level
    if as_json:
        known = {"estep": __version__, "python": sys.version.split()[0], "numpy": np.__version__, "kernels": active}
        print(
            json.dumps(
                {**known, "levels": list(kernels.levels()), "threads": available_threads(), "datasets": list(NAMES)}
            )
        )
        return
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
