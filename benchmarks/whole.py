"""Whole fits, start and stop rule included, to an equal or better likelihood."""

import time
from dataclasses import dataclass
from functools import cached_property

import numpy as np

import estep
import workloads


def clock(run):
    time.sleep(0.5)  # threads of the run before stop spinning
    begun = time.perf_counter()
    value = run()
    return time.perf_counter() - begun, value


@dataclass
class Whole:
    """``data`` fitted by both with their own starts; the better likelihood of ours is checked."""

    name: str
    make: object
    components: int
    ours: dict
    peer: dict
    target: float

    @cached_property
    def data(self):
        return self.make()

    def compare(self, runs):
        from sklearn.mixture import GaussianMixture

        X = self.data
        times = {"ours": [], "scikit-learn": []}
        scores = {"ours": [], "scikit-learn": []}
        for seed in range(runs):
            kinds = {"ours": (estep.GaussianMixture, self.ours), "scikit-learn": (GaussianMixture, self.peer)}
            for name, (kind, arguments) in kinds.items():
                fit = kind(self.components, random_state=seed, **arguments)
                seconds, fitted = clock(lambda fit=fit: fit.fit(X))
                times[name].append(seconds)
                scores[name].append(fitted.score(X))
        assert np.median(scores["ours"]) > np.median(scores["scikit-learn"]) - 1e-5, (self.name, scores)
        medians = {name: float(np.median(t)) for name, t in times.items()}
        return {
            "workload": self.name,
            "seconds": medians,
            "ns_per_row": 1e9 * medians["ours"] / len(X),
            "ratios": {"scikit-learn": medians["scikit-learn"] / medians["ours"]},
            "targets": {"scikit-learn": self.target},
            "scores": {name: float(np.median(s)) for name, s in scores.items()},
        }


def faithful():
    return estep.datasets.load_faithful().X


def overlapping():
    return workloads.gmm(1_000_000, 8, 10, sep=1.5)[0]


WHOLE = [
    Whole(
        "whole fit: faithful, 3 full, n_init=10, tol 1e-8", faithful, 3,
        dict(n_init=10, tol=1e-8, max_iter=2000), dict(n_init=10, tol=1e-8, max_iter=2000, reg_covar=0), 10,
    ),
    Whole("whole fit: faithful, 3 full, n_init=10, defaults", faithful, 3, dict(n_init=10), dict(n_init=10), 3),
    Whole(
        "whole fit: 1M x 8, K=10 overlapping, 4 starts (scikit-learn 1)", overlapping, 10,
        dict(tol=1e-6, n_init=4), dict(tol=1e-6, max_iter=1000, reg_covar=0), 10,
    ),
]  # fmt: skip
