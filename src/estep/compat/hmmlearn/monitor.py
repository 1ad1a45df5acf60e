"""What hmmlearn's fits report, and when they stop."""

from __future__ import annotations

import logging
import sys
from collections import deque

import numpy as np

SLACK = float(np.finfo(float).eps ** 0.5)
"""A bound may fall so much by rounding."""

_log = logging.getLogger("hmmlearn.base")


class ConvergenceMonitor:
    """The bound by iteration (``history``), printed to stderr if ``verbose``.

    A fit has converged after ``n_iter`` iterations, or when the total log-likelihood gains less than ``tol``. Classes
    of one's own with another ``converged`` are set as ``model.monitor_`` before ``fit``.
    """

    _template = "{iter:>10d} {log_prob:>16.8f} {delta:>+16.8f}"

    def __init__(self, tol: float, n_iter: int, verbose: bool) -> None:
        self.tol, self.n_iter, self.verbose = tol, n_iter, verbose
        self.history: deque[float] = deque()
        self.iter = 0

    def __repr__(self) -> str:
        shown = {**vars(self), "history": list(self.history)}
        return f"{type(self).__name__}({', '.join(f'{name}={value}' for name, value in sorted(shown.items()))})"

    def _reset(self) -> None:
        self.iter = 0
        self.history.clear()

    def report(self, log_prob: float) -> None:
        """Takes the bound of one more iteration; warns in the log where it fell."""
        gain = log_prob - self.history[-1] if self.history else np.nan
        if self.verbose:
            print(self._template.format(iter=self.iter + 1, log_prob=log_prob, delta=gain), file=sys.stderr)
        if gain < -SLACK:
            _log.warning("Model is not converging: the bound fell from %s to %s", self.history[-1], log_prob)
        self.history.append(log_prob)
        self.iter += 1

    @property
    def converged(self) -> bool:
        """Whether a fit stops here."""
        if self.iter == self.n_iter:
            return True
        return len(self.history) >= 2 and self.history[-1] - self.history[-2] < self.tol
