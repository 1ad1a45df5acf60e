"""What the command line prints: progress while it fits, then the parameters as a table."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from estep.cli.text import plain
from estep.estimators.candidates import Selection
from estep.execution.base import Execute
from estep.fitting.results import Fit, Iteration
from estep.model import Model
from estep.statistics import Array


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Nobody reads on: that is no failure, as it is for rich."""
        raise BrokenPipeError


def console(error: bool = False) -> Console:
    """Where tables go."""
    return _Console(file=sys.stderr if error else sys.stdout)


class Progress:
    """A line on a terminal that follows the fit; nothing where standard error is not one."""

    def __init__(self, console: Console, execute: Execute) -> None:
        self._execute = execute
        self.status = console.status("starting") if console.is_terminal else None

    def __enter__(self) -> Progress:
        if self.status is not None:
            self.status.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self.status is not None:
            self.status.stop()

    def __call__(self, it: Iteration) -> None:
        """The callback of the fit."""
        if self.status is not None:
            restart = f"start {it.restart + 1}/{it.n_restarts}  " if it.n_restarts > 1 else ""
            workers = f"  workers {self._execute.workers}" if self._execute.workers is not None else ""
            self.status.update(f"{restart}iteration {it.iteration}  bound {it.bound:.6f}  gain {it.gain:.3g}{workers}")


def number(x: float) -> str:
    """Six digits."""
    return f"{x:.6g}"


def _vector(values: Array) -> str:
    return "  ".join(number(v) for v in np.ravel(values))


def _cell(value: Array) -> str:
    """One component's parameter: a number, a row, or a matrix by rows."""
    array = np.asarray(value)
    return "\n".join(_vector(row) for row in array) if array.ndim == 2 else _vector(array)


def parameter_table(model: Model) -> RichTable:
    """One row a component: weight or start, transitions, and the emission's parameters."""
    table = RichTable(title=Text(_title(model)), title_justify="left")
    table.add_column(model.latent.unit, justify="right")
    values, shared = model.latent.shown(), []
    for name, value in model.emission.values().items():
        assert value is not None
        if name in model.emission.shared:
            shared.append((name, value))
        else:
            values.append((_heading(model, name, value), value))
    for name, _ in values:
        table.add_column(Text(plain(name)), justify="right")
    for k in range(model.n_components):
        table.add_row(str(k), *(_cell(value[k]) for _, value in values), end_section=_tall(values))
    for name, value in shared:
        table.caption = Text(f"{plain(name)}, shared by all components:\n{_cell(value)}")
        table.caption_justify = "left"
    return table


def _tall(values: list[tuple[str, Array]]) -> bool:
    return any(value.ndim == 3 for _, value in values)


def _title(model: Model) -> str:
    return f"{model.emission.name} {model.latent.kind}, {model.n_components} components"


def _heading(model: Model, name: str, value: Array) -> str:
    features = model.columns[model.emission.n_covariates :]
    column, _, own = name.rpartition(".")  # of a table, parameters are called by their columns
    names = dict(model.symbols).get(column, ()) if model.emission.rows == "table" else model.symbols or features
    heading = f"{column} {model.emission.describe()[name].one or own}".strip()
    return (
        f"{heading} of {', '.join(names)}"
        if value.ndim == 2 and value.shape[1] == len(names) <= 8 and all(names)
        else heading
    )


def summary_table(result: dict[str, Any]) -> RichTable:
    """Log-likelihood, criteria, iterations and the reason for stopping."""
    table = RichTable(show_header=False, box=None)
    for label, key in (("log-likelihood", "log_likelihood"), ("AIC", "aic"), ("BIC", "bic")):
        table.add_row(label, f"{result[key]:.6f}")
    if "bound" in result:
        table.add_row("bound, with priors", f"{result['bound']:.6f}")
    table.add_row("iterations", str(result["n_iter"]))
    table.add_row("stopped", _reason(result["stop_reason"]))
    table.add_row("seconds", f"{result['seconds']:.3g}")
    return table


def selection_dict(selection: Selection) -> dict[str, Any]:
    """What ``--json`` prints of several numbers of components."""
    candidates = [
        {
            "n_components": c.n_components,
            "log_likelihood": c.fit.log_likelihood,
            "n_iter": c.fit.n_iter,
            "stop_reason": c.fit.stop_reason,
            "aic": c.aic,
            "bic": c.bic,
        }
        for c in selection.candidates
    ]
    return {"criterion": selection.criterion, "chosen": selection.best.n_components, "candidates": candidates}


def selection_table(result: dict[str, Any]) -> RichTable:
    """The candidates, the chosen one marked."""
    table = RichTable(title=f"{len(result['candidates'])} numbers of components, the lowest {result['criterion']} kept")
    for heading in ("components", "log-likelihood", "AIC", "BIC", "iterations", ""):
        table.add_column(heading, justify="right")
    for c in result["candidates"]:
        mark = "<" if c["n_components"] == result["chosen"] else ""
        numbers = (f"{c[key]:.3f}" for key in ("log_likelihood", "aic", "bic"))
        table.add_row(str(c["n_components"]), *numbers, str(c["n_iter"]), mark)
    return table


def _reason(reason: str) -> str:
    texts = {
        "converged": "converged: the gain fell below --tol",
        "max_iter": "at --max-iter, not converged",
        "max_time": "at --max-time: this is the best model so far",
        "dropped": "dropped: another start did better",
        "interrupted": "interrupted: this is the best model so far",
        "bound fell": "the likelihood fell: the model before is kept",
    }
    return texts[reason]


def result_dict(fit: Fit, seconds: float, document: dict[str, Any]) -> dict[str, Any]:
    """The result as ``--json`` prints it."""
    model = fit.model
    parameters: dict[str, Any] = {}
    for part in (model.latent, model.emission):
        parameters |= {name: np.asarray(value).tolist() for name, value in part.values().items()}
    result = {
        "log_likelihood": fit.log_likelihood,
        "n_iter": fit.n_iter,
        "converged": fit.converged,
        "stop_reason": fit.stop_reason,
        "aic": model.aic(fit.log_likelihood),
        "bic": model.bic(fit.log_likelihood, fit.weight),
        "notes": [*fit.notes, *fit.remarks],
        "parameters": parameters,
        "model": document,
        "seconds": seconds,
    }
    return result if model.prior is None else result | {"bound": fit.bound}
