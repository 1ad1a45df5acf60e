"""
Regimes of a price
==================

Calm and stormy days, told from what was known that evening, and what acting on it
brings.

The returns are simulated: calm days have a mean of 0.10% and a deviation of 0.7%,
stormy ones -0.15% and 2.0%; calm lasts 50 days, storms 20. The model is fitted to the
first half; the back-test is on the second, with probabilities that are filtered:
smoothed ones know the future, and would make anybody rich.
"""

import matplotlib.pyplot as plt
import numpy as np

import estep

truth = estep.Model(
    estep.latents.Chain([0.5, 0.5], [[0.98, 0.02], [0.05, 0.95]]),
    estep.emissions.Gaussian("diag", [[0.0010], [-0.0015]], [[0.007**2], [0.020**2]]),
)
returns, states = truth.sample(4000, random_state=3)
past, later = returns[:2000], returns[2000:]

# %%
# Two regimes, numbered by their variance: what a day in each is like, and how long each
# lasts.
hmm = estep.GaussianHMM(2, n_init=5, random_state=0, order_by="variance").fit(past)
for name, k in (("calm", 0), ("stormy", 1)):
    mean, deviation = 100 * hmm.means_[k, 0], 100 * hmm.covariances_[k, 0] ** 0.5
    stay = hmm.expected_durations_[k]
    print(f"{name}: {mean:+.2f}% a day, deviation {deviation:.2f}%, {stay:.0f} days")

# %%
# Each evening, what the day was: from the rows up to it alone.
stream = hmm.stream()
stream.update(past)
calm_tonight = np.array([stream.update(day)[0] for day in later])  # as each day comes
smoothed = hmm.predict_proba(returns)[2000:, 0]  # looks ahead: for the picture alone
right = (calm_tonight > 0.5) == (states[2000:] == 0)
print(
    f"filtered probabilities name the regime of {100 * right.mean():.0f}% of the days"
)

# %%
# What acting on it brings the next day; and what a back-test with smoothed
# probabilities pretends.
tonight, tomorrow = calm_tonight[:-1] > 0.5, later[1:, 0]
held = np.where(tonight, tomorrow, 0.0)  # in the market only after calm evenings
cheat = np.where(smoothed[:-1] > 0.5, tomorrow, 0.0)
for name, gains in (
    ("always in", tomorrow),
    ("after calm evenings", held),
    ("smoothed, knows the future", cheat),
):
    ratio = gains.mean() / gains.std() * 252**0.5
    print(f"{name}: {100 * gains.mean() * 252:+.1f}% a year, Sharpe ratio {ratio:.2f}")

# %%
# The same as a picture.
figure, (top, bottom) = plt.subplots(2, 1, figsize=(10, 6), sharex=True)
top.plot(np.cumsum(tomorrow), color="grey", label="always in")
top.plot(np.cumsum(held), color="black", label="after calm evenings")
top.set(ylabel="sum of returns"), top.legend()
bottom.fill_between(
    range(1999),
    states[2000:-1] == 0,
    color="lightgrey",
    step="mid",
    label="calm in truth",
)
bottom.plot(calm_tonight[:-1], color="tab:blue", linewidth=0.8, label="filtered")
bottom.plot(smoothed[:-1], color="tab:red", linewidth=0.8, label="smoothed")
(
    bottom.set(ylabel="P(calm)", xlabel="day", xlim=(0, 500)),
    bottom.legend(loc="lower right"),
)
figure.savefig("regimes.png", dpi=120, bbox_inches="tight")
