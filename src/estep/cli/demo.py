"""``estep demo``: both halves of the package on real data, with a picture of each."""

from __future__ import annotations

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
from estep.interface import Emission, Latent
from estep.io.model_file import save
from estep.latents import Chain, Independent
from estep.model import Model
from estep.plots import ComponentsDisplay, StatesDisplay, require_matplotlib
from estep.plots.display import Display


def run(folder: Path, console: Console) -> None:
    """Fits faithful and earthquakes, prints both, writes two pictures and two model files to ``folder``."""
    require_matplotlib()  # an error about matplotlib comes before any work
    folder.mkdir(parents=True, exist_ok=True)
    faithful, earthquakes = load_faithful(), load_earthquakes()

    source = Source(faithful.X, columns=faithful.columns)
    mixture = _fit(Independent(), Gaussian("full"), source, 2, folder / "faithful.json", console)
    labels = (f"{faithful.columns[0]} ({faithful.units[0]})", f"{faithful.columns[1]} ({faithful.units[1]})")
    title = "Old Faithful: two components, ellipses at 1 and 2 standard deviations"
    picture = ComponentsDisplay.from_model(mixture, faithful.X, labels=labels, title=title)
    _write(picture, folder / "faithful.png", console)

    series = as_source(earthquakes.X, [len(earthquakes.X)])
    counts = Source(series.X, series.ends, columns=earthquakes.columns)
    chain = _fit(Chain(), Poisson(), counts, 3, folder / "earthquakes.json", console)
    years = 1900 + np.arange(len(earthquakes.X))
    title = "Earthquakes of magnitude 7 and more: three Poisson states, Viterbi path"
    states = StatesDisplay.from_model(chain, earthquakes.X, years, labels=("year", "earthquakes"), title=title)
    _write(states, folder / "earthquakes.png", console)


def _fit(latent: Latent, emission: Emission, source: Source, K: int, path: Path, console: Console) -> Model:
    fit = select(source, [K], emission, latent, n_init=10, execute=threads()).best.fit
    save(fit.model, path, {"log_likelihood": fit.bound, "stop_reason": fit.stop_reason})
    console.print(parameter_table(fit.model, console.width))
    console.print(f"log-likelihood {fit.bound:.6f} after {fit.n_iter} iterations, {fit.stop_reason}; model: {path}\n")
    return fit.model


def _write(display: Display, path: Path, console: Console) -> None:
    display.figure_.savefig(path, dpi=110)
    console.print(f"picture: {path}\n")
