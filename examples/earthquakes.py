"""
Earthquakes: regimes of counts and a forecast
=============================================

Earthquakes of magnitude 7 and more, a year: regimes, how sure they are, and what is to
come.
"""

import matplotlib.pyplot as plt
import numpy as np
from scipy import stats

import estep

data = estep.datasets.load_earthquakes()
counts, years = data.X, np.arange(1900, 2007)

chosen = estep.select(
    counts, range(1, 5), "poisson", estep.latents.Chain(), n_init=10, criterion="aic"
)
print(chosen.reasons())

hmm = estep.PoissonHMM(3, n_init=10, random_state=0, order_by="mean").fit(counts)
low, high = hmm.confidence_intervals(counts)["rates"]
for k in range(3):
    stay = f"stays of {hmm.expected_durations_[k]:.1f} years"
    limits = f"[{low[k, 0]:.1f}, {high[k, 0]:.1f}]"
    print(f"state {k}: {hmm.rates_[k, 0]:.1f} a year {limits}, {stay}")

residuals = hmm.pseudo_residuals(counts)[:, 0]
print(f"residuals are normal with p = {stats.shapiro(residuals).pvalue:.2f}")

ahead = hmm.forecast(counts, 15, level=0.9)
print(
    ahead[["step", "x0_mean", "x0_lower", "x0_upper"]]
    .head(5)
    .round(1)
    .to_string(index=False)
)
futures, _ = hmm.simulate(counts, 15, 3, random_state=1)

later = years[-1] + ahead["step"]
plt.figure(figsize=(10, 4))
plt.bar(years, counts[:, 0], color="lightgrey", label="earthquakes")
plt.step(
    years,
    hmm.rates_[hmm.predict(counts), 0],
    where="mid",
    color="black",
    label="most probable regime",
)
plt.plot(
    years,
    hmm.filter(counts) @ hmm.rates_[:, 0],
    color="tab:blue",
    label="filtered: what was known then",
)
plt.plot(
    later, ahead["x0_mean"], color="tab:red", label="forecast, 9 of 10 years inside"
)
plt.fill_between(
    later, ahead["x0_lower"], ahead["x0_upper"], color="tab:red", alpha=0.2
)
plt.plot(later, futures[0, :, :, 0].T, color="tab:red", linewidth=0.5, alpha=0.7)
plt.ylabel("a year"), plt.legend(ncols=2, loc="upper left"), plt.ylim(0, 55)
plt.savefig("earthquakes.png", dpi=120, bbox_inches="tight")
