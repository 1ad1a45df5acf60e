"""``estep demo``: both halves of the package on real data, with a picture and a report of each."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from rich.console import Console

from estep.cli.parameters import parameter_table
from estep.data.inputs import as_source
from estep.data.source import Source
from estep.datasets import load_earthquakes, load_faithful
from estep.emissions import Gaussian, Poisson
from estep.estimators.selection import select
from estep.execution.threads import threads
from estep.fitting.provenance import provenance_of
from estep.fitting.results import Fit
from estep.interface import Emission, Latent
from estep.io.model_file import save
from estep.latents import Chain, Independent
from estep.plots import ComponentsDisplay, StatesDisplay, require_matplotlib
from estep.plots.display import Display
from estep.reports import About, Report
from estep.reports.page import require_libraries


def run(folder: Path, console: Console) -> None:
    """Fits faithful and earthquakes, prints both, and writes a picture, a report and a model file of each."""
    require_matplotlib()  # errors about what is missing come before any work
    require_libraries()
    folder.mkdir(parents=True, exist_ok=True)
    faithful, earthquakes = load_faithful(), load_earthquakes()

    source = Source(faithful.X, columns=faithful.columns)
    fit = _fit(Independent(), Gaussian("full"), source, 2, folder / "faithful.json", console)
    labels = (f"{faithful.columns[0]} ({faithful.units[0]})", f"{faithful.columns[1]} ({faithful.units[1]})")
    title = "Old Faithful: two components, ellipses at 1 and 2 standard deviations"
    picture = ComponentsDisplay.from_model(fit.model, faithful.X, labels=labels, title=title)
    _write(picture, folder / "faithful.png", console)
    _report(fit, source, About("Old Faithful's eruptions"), folder / "faithful.html", console)

    series = as_source(earthquakes.X, [len(earthquakes.X)])
    counts = Source(series.X, series.ends, columns=earthquakes.columns)
    fit = _fit(Chain(), Poisson(), counts, 3, folder / "earthquakes.json", console)
    years = 1900 + np.arange(len(earthquakes.X))
    title = "Earthquakes of magnitude 7 and more: three Poisson states, Viterbi path"
    states = StatesDisplay.from_model(fit.model, earthquakes.X, years, labels=("year", "earthquakes"), title=title)
    _write(states, folder / "earthquakes.png", console)
    about = About("Earthquakes of magnitude 7 and more, by year", times=years)
    _report(fit, counts, about, folder / "earthquakes.html", console)
    console.print(f"Open {folder / 'earthquakes.html'} in a browser: a page about the fit, to be sent on.")


def _fit(latent: Latent, emission: Emission, source: Source, K: int, path: Path, console: Console) -> Fit:
    fit = select(source, [K], emission, latent, n_init=10, execute=threads()).best.fit
    save(fit.model, path, provenance_of(fit))
    console.print(parameter_table(fit.model, console.width))
    console.print(f"log-likelihood {fit.bound:.6f}, {fit.stop_reason}, the best of 10 starts; model: {path}")
    return fit


def _report(fit: Fit, source: Source, about: About, path: Path, console: Console) -> None:
    origin = {"command": "estep demo", **provenance_of(fit)}
    Report.of(fit.model, source, replace(about, provenance=origin)).save(path)
    console.print(f"report: {path}\n")


def _write(display: Display, path: Path, console: Console) -> None:
    display.figure_.savefig(path, dpi=110)
    console.print(f"picture: {path}")
