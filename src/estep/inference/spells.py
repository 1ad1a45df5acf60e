"""When each state was visited: the stays of a path, from when to when."""

from __future__ import annotations

from typing import Any

import numpy as np

from estep.statistics import Array


def spells(states: Array, ends: Array, times: Array | None, sure: Array | None = None) -> dict[str, Any]:
    """A line a stay of states (n,) of sequences with ``ends``: ``sequence`` (where there are several), ``state``,
    ``first`` and ``last`` (numbers of rows from 0, or ``times`` (n,)), ``rows``, and the mean of ``sure`` (n,).

    Rows that no state explains (-1) are stays of none.
    """
    n = len(states)
    begins = np.zeros(n, dtype=bool)
    begins[np.concatenate([[0], ends[:-1]]).astype(int)] = True
    begins[1:] |= np.diff(states) != 0
    first = np.flatnonzero(begins)
    stop = np.append(first[1:], n)
    at = np.arange(n) if times is None else np.asarray(times)
    out: dict[str, Any] = {}
    if len(ends) > 1:
        out["sequence"] = np.searchsorted(ends, first, side="right")
    out |= {"state": np.asarray(states)[first], "first": at[first], "last": at[stop - 1], "rows": stop - first}
    if sure is not None:
        out["probability"] = np.add.reduceat(np.nan_to_num(sure), first) / (stop - first)
    return out
