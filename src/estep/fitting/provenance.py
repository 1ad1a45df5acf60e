"""Where a fit comes from and how it went, as a model file keeps it."""

from __future__ import annotations

from typing import Any

import numpy as np

from estep.fitting.results import Fit
from estep.util.figures import finite

MOST = 200
"""Bounds, and starts, that are kept of a fit with more."""


def provenance_of(fit: Fit) -> dict[str, Any]:
    """How a fit ended, its bound by iteration (pairs; of many some), its starts (of many the best) and its notes."""
    bounds = [(i, b) for i, b in enumerate(fit.trace.bounds) if np.isfinite(b)]
    some = np.unique(np.linspace(0, len(bounds) - 1, min(len(bounds), MOST)).astype(int)).tolist() if bounds else []
    starts = sorted(fit.restarts, key=lambda r: -r.bound if np.isfinite(r.bound) else np.inf)[:MOST]
    return {
        "log_likelihood": finite(fit.log_likelihood),
        "bound": finite(fit.bound),
        "n_iter": fit.n_iter,
        "stop_reason": fit.stop_reason,
        "fit": {
            "bounds": [list(bounds[i]) for i in some],
            "n_starts": max(len(fit.restarts), 1),
            "starts": [
                {"bound": finite(r.bound), "n_iter": r.n_iter, "kind": r.kind, "stop_reason": r.stop_reason}
                for r in starts
            ],
            "notes": [*fit.notes, *fit.remarks],
        },
    }
