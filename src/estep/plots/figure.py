"""Figures, colours and marks that all pictures share."""

from __future__ import annotations

import colorsys
from typing import Any

import numpy as np

from estep.data.source import Source
from estep.inference.reading import known_columns
from estep.model import Model
from estep.statistics import Array

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#F0E442", "#000000")
"""Okabe and Ito's colours, told apart by colour-blind readers too."""
GREY = "0.6"
MARKS = "osD^vP*X"
"""Of kinds, told apart in black and white too."""


def require_matplotlib() -> None:
    """Raises ModuleNotFoundError saying what to install where matplotlib is missing."""
    try:
        import matplotlib  # noqa: F401
    except ModuleNotFoundError:
        raise ModuleNotFoundError('pictures need matplotlib: pip install "estep[plot]"') from None


def new_axes(width: float, height: float, rows: int = 1, **options: Any) -> Any:
    """Axes of a new figure: pyplot's where it is in use, so that it shows, else one that belongs to nobody."""
    require_matplotlib()
    import sys

    if "matplotlib.pyplot" in sys.modules:
        from matplotlib import pyplot

        return pyplot.subplots(rows, figsize=(width, height), layout="constrained", **options)[1]
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained").subplots(rows, **options)


def component_colours(K: int) -> Array:
    """RGB colours (K, 3): eight of Okabe and Ito's, then hues apart in three lightnesses."""
    own = [tuple(int(c[i : i + 2], 16) / 255 for i in (1, 3, 5)) for c in COLOURS[:K]]
    more = max(K - len(COLOURS), 0)
    lightness = (0.35, 0.6, 0.78)
    own += [colorsys.hls_to_rgb((0.05 + i * 0.618034) % 1, lightness[i % 3], 0.65) for i in range(more)]
    return np.array(own)


def as_model(fitted: Any) -> Model:
    """The model of an estimator, or the model itself. Raises TypeError for anything else."""
    if isinstance(fitted, Model):
        return fitted
    if hasattr(fitted, "to_model"):
        model: Model = fitted.to_model()
        return model
    raise TypeError(f"a {type(fitted).__name__} is no fitted model: give an estimator or a Model")


def source_of(model: Model, X: Any, lengths: Any = None) -> Source:
    """The rows to draw; a frame may have columns that the model does not know."""
    return model.source(known_columns(model, X), lengths)


def column_names(model: Model) -> list[str]:
    """Names of the observed columns, x0 ... where they have none."""
    P = model.emission.n_covariates
    names = model.columns[P:] or [""] * (model.emission.n_columns - P)
    return [name or f"x{d}" for d, name in enumerate(names)]


def mark_size(n: int) -> float:
    """The area of a mark that suits n of them."""
    return float(np.clip(22 * np.sqrt(300 / max(n, 1)), 1.5, 30))
