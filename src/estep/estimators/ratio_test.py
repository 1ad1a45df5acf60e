"""Whether a larger model is needed: the likelihood-ratio test by data that the smaller one makes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import clone

from estep.estimators.base import ModelEstimator
from estep.fitting.bootstrap import drawn
from estep.inference.reading import read
from estep.statistics import Array
from estep.util.numbers import as_whole
from estep.util.quiet import quiet
from estep.util.streams import as_seed


@dataclass(frozen=True, eq=False)
class RatioTest:
    """``statistic``: twice the log of the ratio of the likelihoods; ``replicates`` (n,): what it is where the smaller
    model is right; ``p_value``: how often it is as large then, counting the data themselves once. ``null`` and
    ``alternative`` are the fitted estimators, ``failed`` how many replicates had no fit."""

    statistic: float
    p_value: float
    replicates: Array
    null: Any
    alternative: Any
    failed: int = 0


def likelihood_ratio_test(
    null: ModelEstimator,
    alternative: ModelEstimator,
    X: Any,
    lengths: Any = None,
    *,
    n_replicates: int = 99,
    random_state: Any = 0,
    sample_weight: Any = None,
    **known: Any,
) -> RatioTest:
    """Parametric bootstrap of the likelihood ratio of two nested models, such as K and K + 1 components, of which the
    usual chi-squared distribution does not hold (McLachlan 1987).

    ``null`` and ``alternative`` are estimators, of which copies are fitted to X and to ``n_replicates`` data sets
    that the fitted null model makes, with X's lengths, covariates and missing cells. Give them starts enough
    (``n_init``): an alternative that misses its optimum looks less likely than it is. An interrupt returns what there
    is.

    Raises ValueError where X cannot be read, and for a number of replicates that is none.
    """
    for name, one in (("null", null), ("alternative", alternative)):
        if not isinstance(one, ModelEstimator):
            raise TypeError(f"{name} is an estimator, such as GaussianMixture(2), not a {type(one).__name__}")
        if one._emission() == "auto":
            raise ValueError(f"{name} proposes a family for each data set: give the one to test, estep.propose(X)")
    as_whole("n_replicates", n_replicates, 1)
    chain = null._chain
    if alternative._chain is not chain:
        raise ValueError("null and alternative are a mixture and a chain: their likelihoods are of other data")
    weights = {"sample_weight": sample_weight}
    arguments = {"lengths": lengths, **weights, **known} if chain else {**weights, **known}
    fitted = [clone(one).fit(X, **arguments) for one in (null, alternative)]
    statistic = _ratio(fitted)
    model = fitted[0].model_
    raw = read(model, X, lengths, sample_weight, memory=null.memory, execute=null.execute, **known)
    found: list[float] = []
    failed = 0
    try:
        with quiet():
            for rng in np.random.default_rng(as_seed(random_state)).spawn(n_replicates):
                data = drawn(model, raw, rng)
                try:
                    found.append(_ratio([clone(one).fit(data) for one in (null, alternative)]))
                except ValueError:
                    failed += 1
    except KeyboardInterrupt:
        if not found:
            raise
    replicates = np.array(found)
    p_value = (1 + int((replicates >= statistic).sum())) / (1 + len(replicates))
    return RatioTest(statistic, p_value, replicates, fitted[0], fitted[1], failed)


def _ratio(fitted: list[Any]) -> float:
    """Twice the difference of the log-likelihoods."""
    null, alternative = (one.fit_.log_likelihood for one in fitted)
    return float(2 * (alternative - null))
