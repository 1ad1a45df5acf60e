"""
Latent classes of a survey
==========================

Answers to six yes-or-no questions, some left out. Latent class analysis is a mixture of
Bernoullis (Lazarsfeld & Henry 1968): within a class, answers are independent. How many
classes there are is chosen by BIC and put to a test; what they are is read off the
probabilities of a yes. The answers are simulated from three classes.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import estep

QUESTIONS = [
    "reads news",
    "votes",
    "protests",
    "donates",
    "trusts parties",
    "is in a club",
]
YES = np.array(
    [
        [0.90, 0.95, 0.15, 0.55, 0.70, 0.60],  # takes part
        [0.85, 0.60, 0.80, 0.30, 0.10, 0.35],  # protests
        [0.25, 0.30, 0.03, 0.05, 0.25, 0.10],  # keeps away
    ]
)
rng = np.random.default_rng(2)
of = rng.choice(3, 1200, p=[0.45, 0.2, 0.35])
answers = pd.DataFrame(
    (rng.random((1200, 6)) < YES[of]).astype(float), columns=QUESTIONS
)
answers = answers.mask(rng.random(answers.shape) < 0.08)

# %%
# One to five classes. Missing answers are left out of the likelihood, nobody is
# dropped.
chosen = estep.select(answers, range(1, 6), "bernoulli", n_init=5)
print(
    chosen.to_frame()[["n_components", "log_likelihood", "n_parameters", "bic", "icl"]]
    .round(1)
    .to_string(index=False)
)
print(chosen.reasons())

# %%
# Is a third class needed? The ratio of likelihoods against what it is in data that two
# classes make.
two, three = (estep.BernoulliMixture(k, n_init=2, random_state=0) for k in (2, 3))
test = estep.likelihood_ratio_test(two, three, answers, n_replicates=19)
print(f"2 against 3 classes: p = {test.p_value:.2f}")

# %%
# The classes, the largest first, with how sure the probabilities are; and who is in
# which.
model = estep.BernoulliMixture(3, n_init=10, random_state=0, order_by="weight").fit(
    answers
)
low, high = model.confidence_intervals(answers)["probabilities"]
shares = model.weights_
sizes = ", ".join(f"{100 * w:.0f}%" for w in shares)
print(f"classes of {sizes}; certainty {model.certainty(answers).mean():.2f}")
right = (model.predict(answers) == np.array([0, 2, 1])[of]).mean()
print(f"{100 * right:.0f}% are put in the class they answer from")

plt.figure(figsize=(8, 4))
for k, colour in enumerate(estep.plots.component_colours(3)):
    at = np.arange(6) + (k - 1) * 0.16
    p = model.probabilities_[k]
    plt.errorbar(
        at,
        p,
        yerr=[p - low[k], high[k] - p],
        fmt="o",
        color=colour,
        label=f"{100 * shares[k]:.0f}%",
    )
plt.xticks(range(6), QUESTIONS, rotation=20), plt.ylabel("P(yes)"), plt.ylim(0, 1)
plt.legend(title="class of", frameon=False)
plt.savefig("latent_classes.png", dpi=120, bbox_inches="tight")
