"""The display that suits a model, or one by name."""

from __future__ import annotations

from typing import Any

from estep.emissions import Gaussian
from estep.model import Model
from estep.plots.bound import BoundDisplay
from estep.plots.components import ComponentsDisplay
from estep.plots.display import Display
from estep.plots.emissions import DurationsDisplay, EmissionsDisplay
from estep.plots.figure import as_model, column_names
from estep.plots.forecasts import ForecastDisplay, ResidualsDisplay
from estep.plots.panels import PairsDisplay, ProfileDisplay
from estep.plots.states import StatesDisplay
from estep.plots.transitions import TransitionsDisplay

OF_DATA: dict[str, type[Display]] = {
    "components": ComponentsDisplay,
    "pairs": PairsDisplay,
    "states": StatesDisplay,
    "forecast": ForecastDisplay,
    "residuals": ResidualsDisplay,
}
OF_MODELS: dict[str, type[Display]] = {
    "transitions": TransitionsDisplay,
    "emissions": EmissionsDisplay,
    "profile": ProfileDisplay,
    "durations": DurationsDisplay,
    "bound": BoundDisplay,
}
DISPLAYS = OF_DATA | OF_MODELS


def draw(fitted: Any, X: Any = None, what: str | None = None, **options: Any) -> Display:
    """Draws a model: with data a chain's states, or Gaussian components (of more than two columns in pairs); else what
    each component is like, or how one column is distributed in each.

    ``what``: one of ``DISPLAYS`` instead; ``options`` are those of its ``from_model``. Raises ValueError for another
    name, and where data are wanted and not given.
    """
    what = suited(as_model(fitted), X is not None) if what is None else what
    if what not in DISPLAYS:
        raise ValueError(f"what is {what!r}: it is one of {', '.join(DISPLAYS)}")
    if what in OF_DATA:
        if X is None:
            raise ValueError(f"{what} are drawn of data: give X")
        return OF_DATA[what].from_model(fitted, X, **options)
    return OF_MODELS[what].from_model(fitted, **options)


def suited(model: Model, data: bool) -> str:
    """What suits a model, with data or without."""
    D = len(column_names(model))
    if data and model.latent.sequential:
        return "states"
    if data and isinstance(model.emission, Gaussian):
        return "pairs" if D > 2 else "components"
    return "profile" if D > 1 else "emissions"
