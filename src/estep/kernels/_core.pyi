"""The compiled module: what :mod:`estep.kernels.backend` documents, by the name of a level."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]
Integers = NDArray[np.int64]
Bytes = NDArray[np.uint8]
Rows = NDArray[np.float64] | NDArray[np.float32] | NDArray[np.int32]
Halo = tuple[int, int, bool, bool]

class Spec:
    def __init__(
        self, kind: int, whitened: bool, counts: bool, single: bool, K: int, D: int, M: int, weights: Doubles | None,
        shared: Doubles | None, origin: Doubles | None, means: Doubles | None, factor: Doubles | None,
        lognorm: Doubles | None, parts: Spec | None, members: Sequence[Spec],
    ) -> None: ...  # fmt: skip

class Stream:
    def __init__(self, level: str, spec: Spec, trans: Doubles) -> None: ...
    def begin(self, reach: Doubles) -> None: ...
    def resume(self, filtered: Doubles) -> None: ...
    def update(self, row: Doubles, out: Doubles) -> bool: ...

def levels() -> list[str]: ...
def log_densities(level: str, spec: Spec, X: Rows, out: Doubles) -> None: ...
def accumulate(level: str, spec: Spec, X: Rows, resp: Doubles, stats: Doubles) -> None: ...
def mixture(
    level: str, spec: Spec, logweights: Doubles, X: Rows, weight: Doubles | None, counts: Doubles | None,
    stats: Doubles | None, totals: Doubles | None, loglik: Doubles | None, resp: Doubles | None,
    ends: Integers | None = None, allowed: Bytes | None = None, sure: float = 0.0,
) -> None: ...  # fmt: skip
def chain(
    level: str, spec: Spec, start: Doubles, trans: Doubles, ends: Integers, X: Rows, weight: Doubles | None,
    loglik: Doubles, start_counts: Doubles | None, trans_counts: Doubles | None, stats: Doubles | None,
    gamma: Doubles | None, halo: Halo | None = None, left: Doubles | None = None, right: Doubles | None = None,
    messages: Doubles | None = None, logs: bool = False, allowed: Bytes | None = None,
) -> None: ...  # fmt: skip
def viterbi(
    level: str, spec: Spec, start: Doubles, trans: Doubles, ends: Integers, X: Rows, path: NDArray[np.int32],
    logprob: Doubles, halo: Halo | None = None, left: Doubles | None = None, next: int = -1,
    scores: Doubles | None = None, allowed: Bytes | None = None,
) -> None: ...  # fmt: skip
def draw(
    level: str, spec: Spec, start: Doubles, trans: Doubles, ends: Integers, X: Rows, u: Doubles,
    path: NDArray[np.int32], halo: Halo | None = None, left: Doubles | None = None, next: int = -1,
    allowed: Bytes | None = None,
) -> None: ...  # fmt: skip
def filter(
    level: str, spec: Spec, start: Doubles, trans: Doubles, ends: Integers, X: Rows, filtered: Doubles,
    halo: Halo | None = None, left: Doubles | None = None, messages: Doubles | None = None,
    allowed: Bytes | None = None,
) -> None: ...  # fmt: skip
def survey(level: str, X: Rows, weight: Doubles | None, out: Doubles) -> tuple[bool, float]: ...
def missing_distances(
    level: str, X: Doubles, starts: Integers, seen: Bytes, means: Doubles, factors: Doubles, dist: Doubles,
    logdet: Doubles,
) -> None: ...  # fmt: skip
def missing_moments(
    level: str, X: Doubles, starts: Integers, seen: Bytes, means: Doubles, factors: Doubles, weight: Doubles,
    times: Doubles, mass: Doubles, first: Doubles, second: Doubles,
) -> None: ...  # fmt: skip
def factorise(covariances: Doubles, inverse: Doubles, logdet: Doubles) -> bool: ...
def normals(
    moments: Doubles, rows: Doubles, nothing: float, origin: Doubles, floor: Doubles | None, relative: float,
    means: Doubles, covariances: Doubles, inverse: Doubles, logdet: Doubles,
) -> bool: ...  # fmt: skip
def climb(
    level: str, X: Doubles, weight: Doubles | None, allowed: Bytes | None, origin: Doubles, radius: Doubles,
    floor: Doubles | None, limits: tuple[float, float, float, float, float], weights: Doubles, means: Doubles,
    inverse: Doubles, logdet: Doubles, loglik: Doubles, counts: Doubles, to_means: Doubles, to_covariances: Doubles,
    to_inverse: Doubles, to_logdet: Doubles,
) -> int: ...  # fmt: skip
def quadratic(mu: Doubles, inverse: Doubles, height: Doubles, radius: Doubles, weights: Doubles) -> float: ...
