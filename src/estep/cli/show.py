"""What the command line prints: progress while it fits, then the parameters as a table."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from rich.console import Console, Group
from rich.table import Table as RichTable

from estep.estimators.candidates import CRITERIA, Selection
from estep.execution.base import Execute
from estep.fitting.progress import Course
from estep.fitting.results import Fit, Iteration


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Nobody reads on: that is no failure, as it is for rich."""
        raise BrokenPipeError


def console(error: bool = False) -> Console:
    """Where tables go."""
    return _Console(file=sys.stderr if error else sys.stdout)


class Progress:
    """A line on a terminal that follows the fit; nothing where standard error is not one. ``target``: the gain at which
    a fit stops."""

    def __init__(self, console: Console, execute: Execute, target: float | None = None) -> None:
        self._execute, self._course = execute, Course(target)
        self.status = console.status(self._course.text()) if console.is_terminal else None

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
            self._course.take(it)
            workers = f"  workers {self._execute.workers}" if self._execute.workers is not None else ""
            self.status.update(f"{self._course.text()}{workers}")


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
            "emission": c.emission,
            "covariance_type": c.covariance_type,
            "log_likelihood": c.fit.log_likelihood,
            "n_parameters": c.fit.model.n_parameters,
            "n_iter": c.fit.n_iter,
            "stop_reason": c.fit.stop_reason,
            **{name: value for name in CRITERIA if np.isfinite(value := getattr(c, name))},
        }
        for c in selection.candidates
    ]
    best = selection.candidates.index(selection.best)
    failed = [{"n_components": f.n_components, "emission": f.emission, "reason": f.reason} for f in selection.failed]
    return {
        "criterion": selection.criterion,
        "chosen": selection.best.n_components,
        "chosen_candidate": best,
        "candidates": candidates,
        "failed": failed,
        "why": selection.reasons(),
    }


def selection_table(result: dict[str, Any]) -> Group:
    """The candidates, the chosen one marked, and why it is."""
    candidates, by = result["candidates"], result["criterion"]
    shown = [name for name in CRITERIA if name in ("aic", "bic", by)]
    table = RichTable(title=f"{len(candidates)} models, the lowest {by} kept", title_justify="left", box=None)
    several = [key for key in ("emission", "covariance_type") if len({c[key] for c in candidates}) > 1]
    kinds = [" ".join(c[key] for key in several if c[key]) for c in candidates]
    headings = ["components", *(["model"] if several else []), "log-likelihood"]
    for heading in (*headings, *(name.upper() for name in shown), "iterations", ""):
        table.add_column(heading, justify="right")
    for i, (c, kind) in enumerate(zip(candidates, kinds, strict=True)):
        numbers = (f"{c[key]:.3f}" if key in c else "" for key in ("log_likelihood", *shown))
        row = [str(c["n_components"]), *([kind] if several else []), *numbers, str(c["n_iter"])]
        table.add_row(*row, "<" if i == result["chosen_candidate"] else "")
    return Group(table, result["why"], "")


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
