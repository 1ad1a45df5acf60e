"""
What an animal is doing
=======================

A position an hour, turned into steps and turns: resting, an animal makes short steps in
any direction; searching, middling ones with turns; travelling, long ones straight
ahead. Steps are gamma, turns von Mises (Langrock et al. 2012). The track is simulated,
with a tenth of the turns missing, as where a fix was lost.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import estep
from estep.emissions import Gamma, Product, VonMises

NAMES = ["rests", "searches", "travels"]
truth = estep.Model(
    estep.latents.Chain(
        [1, 0, 0], [[0.90, 0.08, 0.02], [0.06, 0.88, 0.06], [0.02, 0.08, 0.90]]
    ),
    Product(
        {
            "step": Gamma(
                [[1.0], [3.0], [12.0]], [[20.0], [6.0], [8.0]]
            ),  # shapes and rates: km an hour
            "turn": VonMises([[0.0], [np.pi], [0.0]], [[0.1], [0.8], [6.0]]),
        }
    ),
    columns=("step", "turn"),
)
moves, doing = truth.sample(1500, random_state=4)
track = pd.DataFrame(moves, columns=["step", "turn"])
track.loc[np.random.default_rng(0).random(1500) < 0.1, "turn"] = np.nan

# %%
# Three states, numbered by the mean of their steps. The bound of starts that end
# elsewhere shows in ``fit_.restarts``.
model = estep.HMM(
    Product({"step": Gamma(), "turn": VonMises()}),
    3,
    n_init=10,
    random_state=0,
    order_by="mean",
)
model.fit(track)
print(
    model.profile()
    .query("statistic in ('mean', 'mean resultant length')")
    .to_string(index=False)
)

# %%
# How long does each last, how much of the time does it take, and is the path right?
states = model.predict(track)
for k, name in enumerate(NAMES):
    share, stay = (states == k).mean(), model.expected_durations_[k]
    print(f"{name} {100 * share:.0f}% of the hours, {stay:.0f} hours at a time")
print(f"{100 * (states == doing).mean():.0f}% of the hours are named right")

# %%
# On the map, each hour in the colour of what the animal was doing.
heading = np.cumsum(np.nan_to_num(moves[:, 1]))
x, y = (
    np.cumsum(moves[:, 0] * np.cos(heading)),
    np.cumsum(moves[:, 0] * np.sin(heading)),
)
plt.figure(figsize=(7, 5))
plt.plot(x, y, color="0.8", linewidth=0.6)
for k, (name, colour) in enumerate(
    zip(NAMES, estep.plots.component_colours(3), strict=True)
):
    plt.scatter(x[states == k], y[states == k], s=8, color=colour, label=name)
plt.xlabel("km"), plt.ylabel("km"), plt.legend(frameon=False), plt.axis("equal")
plt.savefig("animal_tracks.png", dpi=120, bbox_inches="tight")
