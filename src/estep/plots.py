"""Pictures of fitted models: component ellipses over the data, a series with its decoded states.

Needs matplotlib: ``pip install "estep[plot]"``.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from estep.emissions import Gaussian, Poisson
from estep.fitting.subsample import held
from estep.model import Model
from estep.parameters.covariance import full
from estep.statistics import Array

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#F0E442", "#000000")
"""Okabe and Ito's colours, told apart by colour-blind readers too."""


def require_matplotlib() -> None:
    """Raises ModuleNotFoundError saying what to install where matplotlib is missing."""
    try:
        import matplotlib  # noqa: F401
    except ModuleNotFoundError:
        raise ModuleNotFoundError('pictures need matplotlib: pip install "estep[plot]"') from None


def _axes(width: float, height: float) -> Any:
    """Axes of a new figure that belongs to nobody: no window, no global state."""
    require_matplotlib()
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained").subplots()


def component_colours(K: int) -> Array:
    """RGB colours (K, 3)."""
    from matplotlib.colors import to_rgb

    return np.array([to_rgb(COLOURS[k % len(COLOURS)]) for k in range(K)])


def plot_mixture(model: Model, data: Any, ax: Any = None, labels: tuple[str, str] | None = None) -> Any:
    """Two columns of data coloured by responsibility, with ellipses at 1 and 2 standard deviations.

    Returns the matplotlib axes. Raises ValueError unless the model is a Gaussian mixture in two columns.
    """
    emission = model.emission
    if not isinstance(emission, Gaussian) or emission.means is None or emission.means.shape[1] != 2:
        raise ValueError("plot_mixture draws Gaussian mixtures in two columns")
    ax = _axes(7, 5) if ax is None else ax
    source = held(model.source(data))
    r = model.predict_proba(source)
    colours = component_colours(model.n_components)
    ax.scatter(*source.X.T, c=np.clip(r @ colours, 0, 1), s=22, alpha=0.8, linewidths=0)
    covariances = full(emission.covariances, emission.covariance_type, *emission.means.shape)  # type: ignore[arg-type]
    for k, (mean, covariance) in enumerate(zip(emission.means, covariances, strict=True)):
        for deviations in (1, 2):
            ax.plot(*_ellipse(mean, covariance, deviations), color=colours[k], lw=2 if deviations == 1 else 1)
        ax.plot(*mean, "x", color=colours[k], ms=9, mew=2.5)
    names = labels or (model.columns if len(model.columns) == 2 else ("", ""))
    ax.set_xlabel(names[0])
    ax.set_ylabel(names[1])
    return ax


def _ellipse(mean: Array, covariance: Array, deviations: float) -> Array:
    angle = np.linspace(0, 2 * np.pi, 181)
    circle = np.stack([np.cos(angle), np.sin(angle)])
    return np.asarray(mean[:, None] + deviations * np.linalg.cholesky(covariance) @ circle)


def plot_states(
    model: Model, data: Any, times: Array | None = None, ax: Any = None, labels: tuple[str, str] = ("", "")
) -> Any:
    """A series of one column with its Viterbi path: points coloured by state, the state's mean as steps.

    Returns the matplotlib axes. Raises ValueError unless the emission is Gaussian or Poisson in one column.
    """
    emission = model.emission
    levels = emission.means if isinstance(emission, Gaussian) else getattr(emission, "rates", None)
    if not isinstance(emission, Gaussian | Poisson) or levels is None or levels.shape[1] != 1:
        raise ValueError("plot_states draws Gaussian or Poisson chains in one column")
    ax = _axes(9, 4.5) if ax is None else ax
    source = model.source(data)
    states, _ = model.decode(source)
    x = np.arange(len(source)) if times is None else times
    y, colours = source.X[0 : len(source)][:, 0], component_colours(model.n_components)
    ax.plot(x, y, color="0.75", lw=1, zorder=1)
    ax.step(x, levels[states, 0], where="mid", color="0.35", lw=1.2, zorder=2)
    for k in np.argsort(levels[:, 0]):
        mine = states == k
        ax.scatter(x[mine], y[mine], color=colours[k], s=24, zorder=3, label=f"state {k}: mean {levels[k, 0]:.4g}")
    ax.legend(frameon=False)
    ax.set_xlabel(labels[0])
    ax.set_ylabel(labels[1])
    return ax
