"""Pictures of fitted models: display objects that hold the numbers (``frame``) and draw them (``plot``).

``ComponentsDisplay.from_model(mixture, X)``, of an estimator or a Model, draws at once; ``ax=`` says where. They need
matplotlib: ``pip install "estep[plot]"``.
"""

from estep.plots.bound import BoundDisplay
from estep.plots.components import ComponentsDisplay
from estep.plots.emissions import DurationsDisplay, EmissionsDisplay
from estep.plots.figure import component_colours, require_matplotlib
from estep.plots.film import Film
from estep.plots.forecasts import ForecastDisplay, ResidualsDisplay
from estep.plots.panels import ConfusionDisplay, PairsDisplay, ProfileDisplay
from estep.plots.selections import SelectionDisplay
from estep.plots.states import StatesDisplay
from estep.plots.suited import DISPLAYS, draw, suited
from estep.plots.transitions import TransitionsDisplay

__all__ = [
    "DISPLAYS",
    "BoundDisplay",
    "ComponentsDisplay",
    "ConfusionDisplay",
    "DurationsDisplay",
    "EmissionsDisplay",
    "Film",
    "ForecastDisplay",
    "PairsDisplay",
    "ProfileDisplay",
    "ResidualsDisplay",
    "SelectionDisplay",
    "StatesDisplay",
    "TransitionsDisplay",
    "component_colours",
    "draw",
    "require_matplotlib",
    "suited",
]
