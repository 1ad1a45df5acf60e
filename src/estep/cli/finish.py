"""The end of a fit: the model saved, whatever goes wrong, and shown."""

from __future__ import annotations

import json
import os
import shlex
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import typer

from estep.cli.errors import fail
from estep.cli.parameters import parameter_table
from estep.cli.show import console, result_dict, selection_dict, selection_table, summary_table
from estep.cli.tables import Table
from estep.cli.text import say
from estep.data.source import Source
from estep.estimators.candidates import Selection
from estep.fitting.alignment import ordered
from estep.fitting.provenance import provenance_of
from estep.fitting.results import Fit
from estep.io.model_file import save, to_document
from estep.model import Model


def provenance(data: str, n_rows: int, fit: Fit) -> dict[str, Any]:
    """Where a fit comes from, as its file says."""
    from estep import __version__

    command = shlex.join(["estep", *sys.argv[1:]])
    return {"estep": __version__, "command": command, "data": data, "rows": n_rows, **provenance_of(fit)}


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


def conclude(
    selection: Selection,
    table: Table,
    source: Source,
    data: str,
    seconds: float,
    order_by: str | None,
    several: bool,
    out: Path | None,
    full: bool,
    as_json: bool,
) -> None:
    """Saves and shows the best of a selection, ``several``: beside the other candidates; an interrupted fit ends with
    130."""
    best, numbers = selection.best.fit, {c.n_components for c in selection.candidates}
    model = replace(best.model, columns=source.columns, symbols=table.symbols)
    if order_by is not None:
        model = ordered(model, order_by)
        best = replace(best, model=model)
    origin = provenance(data, len(source), best)
    result = result_dict(best, seconds, to_document(model, origin))
    if several:
        result |= selection_dict(selection)
    if len(numbers) > 1 and selection.best.n_components == max(numbers):
        say(f"{selection.best.n_components} is the largest -k that was tried: more may be better still")
    _finish(model, best, result, out, origin, full, as_json)


def _finish(
    model: Model,
    fit: Fit,
    result: dict[str, Any],
    out: Path | None,
    origin: dict[str, Any],
    full: bool,
    as_json: bool,
) -> None:
    """Saves first, then prints; an interrupted fit ends with 130."""
    failure = None if out is None else _save(model, out, origin)
    if as_json:
        print(json.dumps(result, allow_nan=False))
    else:
        shown = console()
        if "candidates" in result:
            shown.print(selection_table(result))
        shown.print(parameter_table(model, shown.width, full))
        shown.print(summary_table(result))
    if len(fit.restarts) < 2 and fit.model.n_components > 1:
        say("one start was made: more may find a better optimum (--n-init 20)")
    for note in (*fit.notes, *fit.remarks):
        say(f"{note}")
    if fit.collapsed:
        say("components that have shrunk onto few rows describe these alone: fewer -k, or --estimate map")
    if failure:
        raise fail(failure)
    if out is not None:
        say(f"model written to {out}; for a page about it: estep report {out}")
    if fit.stop_reason == "interrupted":
        kept = (
            f"the best model so far is in {out}" if out is not None else "the best model so far is shown; -o keeps it"
        )
        say(f"interrupted after {fit.n_iter} iterations; {kept}")
        raise typer.Exit(130)
