"""The display that suits a model, or one by name."""

from __future__ import annotations

from typing import Any

from estep.emissions import Gaussian
from estep.plots.bound import BoundDisplay
from estep.plots.components import ComponentsDisplay
from estep.plots.display import Display
from estep.plots.emissions import DurationsDisplay, EmissionsDisplay
from estep.plots.figure import as_model
from estep.plots.forecasts import ForecastDisplay, ResidualsDisplay
from estep.plots.states import StatesDisplay
from estep.plots.transitions import TransitionsDisplay

OF_DATA: dict[str, type[Display]] = {
    "components": ComponentsDisplay,
    "states": StatesDisplay,
    "forecast": ForecastDisplay,
    "residuals": ResidualsDisplay,
}
OF_MODELS: dict[str, type[Display]] = {
    "transitions": TransitionsDisplay,
    "emissions": EmissionsDisplay,
    "durations": DurationsDisplay,
    "bound": BoundDisplay,
}
DISPLAYS = OF_DATA | OF_MODELS


def draw(fitted: Any, X: Any = None, what: str | None = None, **options: Any) -> Display:
    """Draws a model: with data a chain's states, or Gaussian components; else how a column is distributed in each.

    ``what``: one of ``DISPLAYS`` instead; ``options`` are those of its ``from_model``. Raises ValueError for another
    name, and where data are wanted and not given.
    """
    if what is None:
        model = as_model(fitted)
        of_data = "states" if model.latent.sequential else "components"
        suits = X is not None and (model.latent.sequential or isinstance(model.emission, Gaussian))
        what = of_data if suits else "emissions"
    if what not in DISPLAYS:
        raise ValueError(f"what is {what!r}: it is one of {', '.join(DISPLAYS)}")
    if what in OF_DATA:
        if X is None:
            raise ValueError(f"{what} are drawn of data: give X")
        return OF_DATA[what].from_model(fitted, X, **options)
    return OF_MODELS[what].from_model(fitted, **options)
