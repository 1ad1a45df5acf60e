"""
A sensor, row by row
====================

A machine idles, works or is worn; its power and vibration come once a second. A model
is fitted to a day that was recorded, then follows the next one as it comes: a filter,
which never looks ahead, takes microseconds a row, and where it stands can be kept and
taken up again. What no state explains is said at once.
"""

import time

import matplotlib.pyplot as plt
import numpy as np

import estep

truth = estep.Model(
    estep.latents.Chain(
        [1, 0, 0], [[0.990, 0.010, 0.0], [0.010, 0.988, 0.002], [0.0, 0.004, 0.996]]
    ),
    estep.emissions.Gaussian(
        "diag",
        [[0.5, 0.1], [3.0, 0.8], [3.2, 1.6]],
        [[0.02, 0.001], [0.1, 0.02], [0.1, 0.05]],
    ),
)
recorded, _ = truth.sample(20_000, random_state=1)
live, doing = truth.sample(5_000, random_state=7)
live[3000:3005] = [9.0, 9.0]  # a broken sensor

model = estep.GaussianHMM(3, n_init=5, random_state=0, order_by="mean").fit(recorded)
print(np.round(model.means_, 2))

# %%
# Rows as they come. ``update`` gives the probability of each state given all rows so
# far.
stream, p = model.stream(), []
begun = time.perf_counter()
for row in live[:2500]:
    p.append(stream.update(row))
print(f"{1e6 * (time.perf_counter() - begun) / 2500:.0f} microseconds a row")

# %%
# The process stops; ``state`` is JSON, and another process goes on from it. All rows at
# once give the same.
stream = model.stream(stream.state)
p += [stream.update(row) for row in live[2500:]]
p = np.array(p)
print(f"largest difference from filter: {np.abs(p - model.filter(live)).max():.0e}")

# %%
# A threshold on the worn state is an alarm; a row that hardly any row of the model is
# as odd as is a fault of the sensor.
alarm = int(np.argmax(p[:, 2] > 0.99))
print(f"worn from row {int(np.argmax(doing == 2))} on, said at row {alarm}")
mixture = estep.Model(
    estep.latents.Independent(model.stationary_), model.model_.emission
)
rows_apart = estep.estimators.from_model(mixture)
odd = np.flatnonzero(
    rows_apart.outlier_probability(live, n_draws=1_000_000, random_state=0) < 2e-6
)
print(f"rows that no state explains: {odd}")

plt.figure(figsize=(10, 3.5))
plt.plot(live[:, 1], color="0.6", linewidth=0.5, label="vibration")
plt.plot(p[:, 2], color="tab:red", linewidth=0.8, label="P(worn), filtered")
plt.fill_between(
    range(5000), doing == 2, color="tab:red", alpha=0.12, label="worn in truth"
)
(
    plt.ylim(0, 2.5),
    plt.xlim(0, 5000),
    plt.xlabel("second"),
    plt.legend(loc="upper right", ncols=3),
)
plt.savefig("sensor_stream.png", dpi=120, bbox_inches="tight")
