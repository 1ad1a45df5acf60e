"""
CpG islands in DNA
==================

Stretches of DNA in which C before G is not rare (Durbin, Eddy, Krogh & Mitchison 1998,
section 3.1).

Eight states, each base inside and outside of an island; the moves inside and outside
are those of the book's table 3.1.
"""

import matplotlib.pyplot as plt
import numpy as np

import estep

BASES = "ACGT"
INSIDE = [
    [0.180, 0.274, 0.426, 0.120],
    [0.171, 0.368, 0.274, 0.187],
    [0.161, 0.339, 0.375, 0.125],
    [0.079, 0.355, 0.384, 0.182],
]
OUTSIDE = [
    [0.300, 0.205, 0.285, 0.210],
    [0.322, 0.298, 0.078, 0.302],
    [0.248, 0.246, 0.298, 0.208],
    [0.177, 0.239, 0.292, 0.292],
]


def chain(inside, outside, leave=1 / 400, enter=1 / 2000):
    """Moves (8, 8): within, and between at the rates of leaving and entering."""
    (a, b), ways = (
        (np.array(x) / np.sum(x, axis=1, keepdims=True) for x in (inside, outside)),
        np.zeros((8, 8)),
    )
    ways[:4, :4], ways[:4, 4:] = (1 - leave) * a, leave * b
    ways[4:, 4:], ways[4:, :4] = (1 - enter) * b, enter * a
    return ways


truth = estep.CategoricalHMM(8)
truth.startprob_ = np.full(8, 1 / 8)
truth.transmat_ = chain(INSIDE, OUTSIDE)
truth.emissionprob_ = np.vstack([np.eye(4), np.eye(4)])  # each state shows its own base
dna, states = truth.sample(60_000, random_state=1)
print("".join(BASES[i] for i in dna[:60, 0]))

# What is known before: which states show which base, and that C before G is commoner
# inside.
guess = [[0.2, 0.3, 0.3, 0.2]] * 4
model = estep.CategoricalHMM(
    8,
    emissionprob_init=truth.emissionprob_,
    fixed={"emissionprob"},
    random_state=0,
    transmat_init=chain(
        guess, [[0.28, 0.24, 0.24, 0.24], [0.3, 0.3, 0.1, 0.3], *[[0.25] * 4] * 2]
    ),
).fit(dna)

ways = model.transmat_
inside, outside = (
    ways[s, s] / ways[s, s].sum(axis=1, keepdims=True)
    for s in (slice(0, 4), slice(4, 8))
)
print(
    f"P(G after C): inside {inside[1, 2]:.3f} (0.274 in truth), "
    f"outside {outside[1, 2]:.3f} (0.078)"
)
p = model.predict_proba(dna)[:, :4].sum(axis=1)
found, true = model.predict(dna) < 4, states < 4
print(
    f"bases inside: {100 * (found & true).sum() / true.sum():.0f}% found, "
    f"{100 * (found & true).sum() / found.sum():.0f}% of those found are"
)
entered, islands = ((np.diff(x.astype(int)) == 1).sum() for x in (found, true))
print(f"islands: {entered} found of {islands}")

plt.figure(figsize=(10, 2.5))
plt.fill_between(
    range(20_000),
    true[:20_000],
    color="lightgrey",
    step="mid",
    label="islands in truth",
)
plt.plot(p[:20_000], color="black", linewidth=0.6, label="P(inside)")
plt.xlabel("base"), plt.legend(loc="upper right"), plt.xlim(0, 20_000)
plt.savefig("cpg_islands.png", dpi=120, bbox_inches="tight")
