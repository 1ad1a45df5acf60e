"""
Old Faithful: which mixture, and how sure
=========================================

How many kinds of eruptions, how sure, and how long to wait after one.
"""

import matplotlib.pyplot as plt
import numpy as np

import estep

data = estep.datasets.load_faithful()
X, names = data.X, ["eruption, min", "wait, min"]

chosen = estep.select(
    X, range(1, 5), covariance_type=["spherical", "diag", "tied", "full"], n_init=3
)
print(
    chosen.to_frame()[
        ["n_components", "covariance_type", "log_likelihood", "bic", "icl"]
    ].to_string(index=False)
)
print(chosen.reasons())

mixture = estep.GaussianMixture(2, random_state=0, order_by="mean").fit(X)
errors = mixture.standard_errors(X)
for k, kind in enumerate(["short", "long"]):
    parts = [
        f"{n} {m:.2f} +- {e:.2f}"
        for n, m, e in zip(names, mixture.means_[k], errors["means"][k], strict=True)
    ]
    weight, error = mixture.weights_[k], errors["weights"][k]
    print(f"{kind}: {100 * weight:.0f}% +- {100 * error:.0f}, {', '.join(parts)}")

eruption = np.linspace(1.5, 5.2, 100)
wait = mixture.conditional({"x0": eruption})
(low, high), mean = (x[:, 0] for x in wait.interval(0.9)), wait.mean()[:, 0]
strange = mixture.outlier_probability(X) < 0.01

figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.5), sharey=True)
estep.plots.ComponentsDisplay.from_model(mixture, X, ax=left)
left.set(xlabel=names[0], ylabel=names[1], title="two kinds of eruptions")
right.scatter(*X.T, s=12, color="grey")
right.scatter(
    *X[strange].T,
    s=40,
    facecolors="none",
    edgecolors="red",
    label="rarer than 1 in 100",
)
right.plot(eruption, mean, color="black", label="expected wait")
right.fill_between(eruption, low, high, alpha=0.2, color="black", label="9 of 10")
right.set(xlabel=names[0], title="how long to wait"), right.legend(loc="lower right")
figure.savefig("old_faithful.png", dpi=120, bbox_inches="tight")
