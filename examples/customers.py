"""
Customers: a table of mixed columns with gaps
=============================================

Columns of different kinds, some cells missing; who they are, and what the missing cells
are likely to be.

The table is simulated: three kinds of customers, who differ in age, plan, calls a
month, minutes a call and the hour at which they call (an angle); one cell in eight is
missing.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import estep
from estep.emissions import Categorical, Gaussian, LogNormal, Poisson, Product, VonMises

rng = np.random.default_rng(0)
kind = rng.choice(3, 1500, p=[0.5, 0.3, 0.2])
whole = pd.DataFrame(
    {
        "age": rng.normal(np.array([24, 45, 68])[kind], 5),
        "plan": np.array(["basic", "family", "gold"])[
            (kind + (rng.random(1500) < 0.15)) % 3
        ],
        "calls": rng.poisson(np.array([4, 25, 10])[kind]).astype(float),
        "minutes": np.exp(rng.normal(np.array([0.5, 1.2, 2.5])[kind], 0.4)),
        "hour": rng.vonmises(
            np.array([2.5, -2.0, -0.5])[kind], 6
        ),  # 2 pi a day, 0 at noon
    }
)
table = whole.mask(rng.random(whole.shape) < 1 / 8)

# %%
# A family for each column. How many kinds of customers are there?
family = Product(
    {
        "age": Gaussian(),
        "plan": Categorical(),
        "calls": Poisson(),
        "minutes": LogNormal(),
        "hour": VonMises(),
    }
)
chosen = estep.select(table, range(1, 5), family, n_init=2)
print(chosen.reasons())

# %%
# Who is in which group, and how surely.
mixture = estep.MixtureModel(family, 3, n_init=3, random_state=0, order_by="mean").fit(
    table
)
groups = mixture.predict(table)
right, sure = (groups == kind).mean(), mixture.certainty(table).mean()
print(f"{100 * right:.0f}% of the customers in their group, certainty {sure:.2f}")

# %%
# Missing cells, filled in given the others of the row; here they are known, and the
# errors can be seen.
filled = mixture.impute(table)
gaps = table.isna()
for name in ("age", "calls"):
    error = (filled[name] - whole[name])[gaps[name]].pow(2).mean() ** 0.5
    plain = (table[name].mean() - whole[name])[gaps[name]].pow(2).mean() ** 0.5
    print(f"{name}: imputed with an error of {error:.1f}, {plain:.1f} by the mean")
right = (filled["plan"] == whole["plan"])[gaps["plan"]].mean()
print(f"plan: {100 * right:.0f}% of the missing plans are right")

# %%
# What a customer of 25 with a basic plan is likely to do; and what draws say of how
# sure a mean over gaps is.
young = mixture.conditional({"age": 25, "plan": "basic"}).to_frame()
print(
    young[["calls_mean", "calls_lower", "calls_upper", "minutes_mean"]]
    .round(1)
    .to_string(index=False)
)
draws = mixture.impute(table, 5, random_state=0)
means = [d["calls"].mean() for d in draws]
print(
    f"mean calls {np.mean(means):.2f}, between imputations +- {np.std(means):.2f}; "
    f"in truth {whole['calls'].mean():.2f}"
)

# %%
# The groups, with crosses where a cell was imputed.
plt.figure(figsize=(7, 4.5))
for k, colour in enumerate(["tab:blue", "tab:orange", "tab:green"]):
    own, missing = filled[groups == k], gaps[groups == k][["age", "calls"]].any(axis=1)
    plt.scatter(
        own["age"][~missing],
        own["calls"][~missing],
        s=10,
        color=colour,
        label=f"group {k}",
    )
    plt.scatter(
        own["age"][missing], own["calls"][missing], s=25, marker="x", color=colour
    )
plt.xlabel("age"), plt.ylabel("calls a month"), plt.legend(title="crosses: imputed")
plt.savefig("customers.png", dpi=120, bbox_inches="tight")
