"""Random streams from anything that stands for a random state."""

from __future__ import annotations

from typing import Any

import numpy as np


def as_seed(random_state: Any) -> Any:
    """What NumPy's generators take, from a random state of any kind.

    None, a whole number from 0, a Generator, a SeedSequence or a RandomState (whose numbers move on). Raises ValueError
    for anything else.
    """
    if random_state is np.random:
        random_state = np.random.mtrand._rand
    if isinstance(random_state, np.random.RandomState):
        return [int(v) for v in random_state.randint(0, 2**31 - 1, size=4)]
    whole = isinstance(random_state, int | np.integer) and not isinstance(random_state, bool) and random_state >= 0
    words = isinstance(random_state, list) and all(isinstance(v, int) and v >= 0 for v in random_state)
    if random_state is None or whole or words or isinstance(random_state, np.random.Generator | np.random.SeedSequence):
        return random_state
    raise ValueError(
        f"random_state is {random_state!r}: it is None, a whole number from 0, a Generator or a RandomState"
    )


def child_streams(random_state: Any, n: int) -> list[np.random.Generator]:
    """One independent stream for each of n restarts."""
    seed = as_seed(random_state)
    if isinstance(seed, np.random.Generator):
        return seed.spawn(n)
    sequence = seed if isinstance(seed, np.random.SeedSequence) else np.random.SeedSequence(seed)
    return [np.random.default_rng(child) for child in sequence.spawn(n)]
