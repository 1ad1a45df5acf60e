"""A report: its numbers, and the page that shows them."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

import narwhals as nw
import numpy as np

from estep.data.columns import frame_of, is_frame, times_of
from estep.data.source import Source
from estep.execution.base import Execute
from estep.fitting.provenance import provenance_of
from estep.fitting.results import Fit
from estep.inference.reading import known_columns, read
from estep.model import Model
from estep.plots.figure import as_model
from estep.reports.checks import averaged
from estep.reports.document import FORMAT, KEYS, VERSION, document
from estep.reports.page import page
from estep.reports.rows import About
from estep.util.files import write_text


class Report:
    """The numbers of a report, ``numbers``, as JSON holds them; :meth:`save` makes its page of them, or a file of
    numbers."""

    def __init__(self, numbers: dict[str, Any]):
        if not isinstance(numbers, dict) or numbers.get("format") != FORMAT or numbers.get("version") != VERSION:
            raise ValueError(f"these are not the numbers of a report of version {VERSION}")
        if missing := [key for key in KEYS if key not in numbers]:
            raise ValueError(f"the numbers of the report lack {missing[0]!r}")
        self.numbers = numbers

    @classmethod
    def of(cls, model: Model, raw: Source, about: About, execute: Execute | None = None, rows: bool = True) -> Report:
        """Of a model over rows as they came."""
        raw = raw.chained() if model.latent.sequential else raw
        return cls(document(model, raw, about, execute, rows))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Report:
        """The report whose numbers a file holds. Raises ValueError naming one that holds others."""
        try:
            return cls(json.loads(Path(path).read_text(encoding="utf-8")))
        except (ValueError, AttributeError) as error:
            raise ValueError(f"{os.fspath(path)} does not hold the numbers of a report: {error}") from None

    @property
    def alerts(self) -> list[str]:
        """What to watch, in plain words."""
        return [alert["text"] for alert in self.numbers["alerts"]]

    def to_html(self) -> str:
        """The page: one text, which needs nothing beside it."""
        return page(self.numbers)

    def without_rows(self) -> Report:
        """The same report without rows of the data, and without residuals of single ones."""
        return Report({**self.numbers, "rows": None, "spells": None, "checks": averaged(self.numbers["checks"])})

    def save_numbers(self, path: str | os.PathLike[str]) -> None:
        """Writes the numbers as JSON. Raises OSError or ValueError naming the file."""
        write_text(path, json.dumps(self.numbers, indent=1, allow_nan=False) + "\n")

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the page, or the numbers where the name ends in .json. Raises OSError or ValueError naming it."""
        if Path(path).suffix.lower() == ".json":
            self.save_numbers(path)
        else:
            write_text(path, self.to_html())

    def _repr_html_(self) -> str:
        return f'<iframe srcdoc="{escape(self.to_html())}" style="width:100%;height:40em;border:0"></iframe>'

    def __repr__(self) -> str:
        model, data = self.numbers["model"], self.numbers["data"]
        return f"Report({data['name']!r}, {model['family']} {model['kind']}, {len(self.alerts)} alerts)"


def report(
    fitted: Any,
    X: Any,
    path: str | os.PathLike[str] | None = None,
    *,
    lengths: Any = None,
    name: str = "the data",
    times: Any = None,
    keep: Sequence[str] = (),
    rows: bool = True,
    **reading: Any,
) -> Report:
    """A report of a fitted estimator, a :class:`estep.Model` or a model file over X, written to ``path`` where one is
    given: ".html" for the page, ".json" for its numbers.

    ``name``: what the data are called; ``times``: cells (n,) or a column of the frame; ``keep``: columns of the frame
    that the rows are known by; ``rows=False`` keeps rows of the data out of the file. ``reading``: ``given``,
    ``labels`` and ``sequence``, as for other questions.

    Raises ValueError naming what is wrong with the data, ModuleNotFoundError where the library that draws charts is
    missing (``pip install "estep[report]"``).
    """
    model, origin = _model_of(fitted)
    raw = read(model, known_columns(model, X), lengths, **reading)
    kept = {column: _cells(X, column) for column in ([keep] if isinstance(keep, str) else keep)}
    found = Report.of(model, raw, About(name, origin, times_of(X, times, len(raw)), kept), None, rows)
    if path is not None:
        found.save(path)
    return found


def _model_of(fitted: Any) -> tuple[Model, dict[str, Any]]:
    """The model, and where it comes from."""
    from estep.io.model_file import read as read_file

    if isinstance(fitted, str | os.PathLike):
        found = read_file(fitted)
        return found.model, dict(found.provenance)
    fit = getattr(fitted, "fit_", None)
    origin = {"settings": repr(fitted), **provenance_of(fit)} if isinstance(fit, Fit) else {}
    return as_model(fitted), origin


def _cells(X: Any, column: str) -> Any:
    """The cells (n,) of a column of the frame."""
    if not is_frame(X) or column not in frame_of(X).columns:
        raise ValueError(f"keep names {column!r}: X has no such column")
    series = frame_of(X)[column]
    dated = isinstance(series.dtype, nw.Datetime | nw.Date)
    return series.to_numpy() if dated else np.array(series.to_list(), dtype=object)
