"""Real data sets, public and small, with their sources."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from importlib.resources import files

import numpy as np

from estep.statistics import Array


@dataclass(frozen=True, eq=False)
class Dataset:
    """Rows ``X`` (n, D) with column names; ``lengths`` (S,) where they are more than one sequence.

    ``symbols`` names the symbols 0, 1, ... where X holds symbols. ``units`` is one text a column.
    """

    name: str
    X: Array
    columns: tuple[str, ...]
    units: tuple[str, ...]
    description: str
    source: str
    lengths: Array | None = None
    symbols: tuple[str, ...] = ()


def _columns(name: str, *columns: str) -> Array:
    with files("estep.datasets").joinpath(f"{name}.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return np.array([[float(row[c]) for c in columns] for row in rows])


def load_faithful() -> Dataset:
    """Old Faithful: 272 eruptions, their length and the waiting time to the next."""
    return Dataset(
        "faithful",
        _columns("faithful", "eruptions", "waiting"),
        ("eruptions", "waiting"),
        ("min", "min"),
        "Old Faithful geyser, Yellowstone: length of the eruption and waiting time to the next",
        "R datasets::faithful, by way of Rdatasets (Azzalini & Bowman 1990)",
    )


def load_earthquakes() -> Dataset:
    """Earthquakes of magnitude 7 and more in the world, one count a year, 1900 to 2006."""
    return Dataset(
        "earthquakes",
        _columns("earthquakes", "count"),
        ("count",),
        ("1/year",),
        "Earthquakes of magnitude 7 and more in the world, a year, 1900 to 2006",
        "US Geological Survey, as in Zucchini & MacDonald, Hidden Markov Models for Time Series (2009)",
    )


def load_geyser() -> Dataset:
    """Old Faithful, another record: 299 eruptions in time order, waiting time and duration."""
    return Dataset(
        "geyser",
        _columns("geyser", "waiting", "duration"),
        ("waiting", "duration"),
        ("min", "min"),
        "Old Faithful geyser, August 1985, in time order: waiting time and duration",
        "R MASS::geyser, by way of Rdatasets (Azzalini & Bowman 1990)",
    )


def load_speed() -> Dataset:
    """Response times of a speed-accuracy experiment, three series of 168, 134 and 137 trials."""
    return Dataset(
        "speed",
        _columns("speed", "rt"),
        ("rt",),
        ("log ms",),
        "Response times of one participant switching between speed and accuracy, three series",
        "R depmixS4::speed (Dutilh, Wagenmakers, Visser & van der Maas 2011)",
        lengths=np.array([168, 134, 137]),
    )


def load_galaxies() -> Dataset:
    """Velocities of 82 galaxies in the Corona Borealis region."""
    return Dataset(
        "galaxies",
        _columns("galaxies", "velocity"),
        ("velocity",),
        ("km/s",),
        "Velocities of galaxies in six well-separated conic sections of Corona Borealis",
        "R MASS::galaxies (Postman, Huchra & Geller 1986; Roeder 1990)",
    )
