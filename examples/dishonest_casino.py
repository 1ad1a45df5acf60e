"""
The dishonest casino
====================

Which throws were of the loaded die? (Durbin, Eddy, Krogh & Mitchison 1998, section 3.2)
"""

import matplotlib.pyplot as plt
import numpy as np

import estep

casino = estep.CategoricalHMM(2)
casino.startprob_ = np.array([1.0, 0.0])
casino.transmat_ = np.array([[0.95, 0.05], [0.10, 0.90]])  # fair, loaded
casino.emissionprob_ = np.array([[1 / 6] * 6, [0.1] * 5 + [0.5]])
throws, dice = casino.sample(20_000, random_state=0)

learned = estep.CategoricalHMM(2, n_init=10, random_state=0).fit(throws)
learned = estep.align(learned, to=casino)
low, high = (x[1, 5] for x in learned.confidence_intervals(throws)["emissionprob"])
six = learned.emissionprob_[1, 5]
print(
    f"the loaded die shows a six with {six:.3f}, 95% between {low:.3f} and {high:.3f}"
)
print(f"it stays on the table for {learned.expected_durations_[1]:.1f} throws")

some, true = throws[:300], dice[:300]
ways = {
    "most probable path": casino.predict(some),
    "most probable state of each throw": casino.decode(some, algorithm="posterior")[1],
    "filtered: without looking ahead": casino.filter(some).argmax(axis=1),
    "five throws later": casino.smooth(some, lag=5).argmax(axis=1),
}
for name, found in ways.items():
    print(f"{name}: {100 * (found == true).mean():.0f}% of the dice")
log_probs, paths = casino.k_best(some, 3)
apart = (paths[0] != paths[1]).sum()
print(f"the best paths: {np.round(log_probs, 2)}, {apart} throws between the first two")
drawn = casino.sample_paths(some, 200, random_state=0)

plt.figure(figsize=(10, 3))
plt.fill_between(
    range(300), true, color="lightgrey", step="mid", label="loaded in truth"
)
plt.plot(casino.predict_proba(some)[:, 1], color="black", label="smoothed")
plt.plot(casino.filter(some)[:, 1], color="tab:blue", linewidth=0.8, label="filtered")
plt.plot(
    drawn.mean(axis=0),
    ":",
    color="tab:red",
    linewidth=1,
    label="share of 200 drawn paths",
)
(
    plt.xlabel("throw"),
    plt.ylabel("P(loaded)"),
    plt.legend(ncols=4, loc="upper center", bbox_to_anchor=(0.5, 1.18)),
)
plt.savefig("dishonest_casino.png", dpi=120, bbox_inches="tight")
