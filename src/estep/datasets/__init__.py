"""Real data that ships with the package, and the small models that teaching starts from.

Each ``load_*`` function returns a :class:`Dataset`; ``NAMES`` lists what the command line takes in place of a file.
"""

from estep.datasets.real import (
    Dataset,
    load_earthquakes,
    load_faithful,
    load_galaxies,
    load_geyser,
    load_speed,
)
from estep.datasets.teaching import (
    TeachingModel,
    anne,
    bottles_and_balls,
    load_balls,
    prisoners_weather,
    three_states,
)

NAMES = {
    "faithful": load_faithful,
    "earthquakes": load_earthquakes,
    "geyser": load_geyser,
    "speed": load_speed,
    "galaxies": load_galaxies,
    "balls": load_balls,
}

__all__ = [
    "NAMES", "Dataset", "TeachingModel", "anne", "bottles_and_balls", "load_balls", "load_earthquakes",
    "load_faithful", "load_galaxies", "load_geyser", "load_speed", "prisoners_weather", "three_states",
]  # fmt: skip
