"""What a selection finds: candidates, the cells that failed, and which is the best."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from estep.data.columns import frame_like
from estep.fitting.results import Fit
from estep.inference.html import table_html
from estep.util.figures import figures

CRITERIA = ("bic", "aic", "aicc", "icl", "cv")


@dataclass(frozen=True)
class Candidate:
    """The best fit of one cell of the grid, and its criteria; lower is better.

    ``emission``: the name of the family; ``covariance_type``: None where it has none. ``cv``: minus twice the
    log-likelihood of all folds, each under a fit that has not seen it; NaN where it was not asked for.
    """

    n_components: int
    fit: Fit
    aic: float
    bic: float
    aicc: float = np.nan
    icl: float = np.nan
    cv: float = np.nan
    emission: str = ""
    covariance_type: str | None = None

    @property
    def collapsed(self) -> bool:
        """Whether a component has shrunk onto few rows: its likelihood says how few, not how well they are described.
        Clusters of one value are none."""
        return bool(set(self.fit.collapsed) - set(self.fit.one_value))

    @property
    def label(self) -> str:
        """What it is called."""
        kind = "" if self.covariance_type is None else f", {self.covariance_type}"
        return f"{self.n_components} {self.emission}{kind}"


@dataclass(frozen=True)
class Failed:
    """A cell of the grid that has no fit, and why."""

    n_components: int
    emission: str
    covariance_type: str | None
    reason: str


@dataclass(frozen=True)
class Selection:
    """The candidates in the order in which they were asked for, and the cells that ``failed``."""

    candidates: tuple[Candidate, ...]
    criterion: str
    failed: tuple[Failed, ...] = ()

    @property
    def best(self) -> Candidate:
        """The candidate with the lowest criterion, of equal ones the smallest; where there are others, none with a
        component that has shrunk onto few rows."""
        return self._ranked()[0]

    def _ranked(self) -> list[Candidate]:
        return sorted(self.candidates, key=lambda c: (c.collapsed, getattr(c, self.criterion), c.n_components))

    @property
    def best_estimator_(self) -> Any:
        """The best candidate as an estimator."""
        from estep.estimators.of_models import from_model

        estimator = from_model(self.best.fit.model)
        estimator._store(self.best.fit, np.float64)
        return estimator

    def __repr__(self) -> str:
        return f"Selection({self.reasons()})"

    def to_frame(self) -> Any:
        """A pandas data frame, a line a cell: what it is, its criteria, why its fit ended, and the ``error`` of
        one that failed."""
        lines = [
            {
                "n_components": c.n_components,
                "emission": c.emission,
                "covariance_type": c.covariance_type,
                "log_likelihood": c.fit.log_likelihood,
                "n_parameters": c.fit.model.n_parameters,
                **{name: getattr(c, name) for name in CRITERIA},
                "stop_reason": c.fit.stop_reason,
                "error": None,
            }
            for c in self.candidates
        ]
        none = dict.fromkeys(("log_likelihood", "n_parameters", *CRITERIA), np.nan)
        lines += [
            {
                "n_components": f.n_components,
                "emission": f.emission,
                "covariance_type": f.covariance_type,
                **none,
                "stop_reason": None,
                "error": f.reason,
            }
            for f in self.failed
        ]
        return frame_like(None, {name: [line[name] for line in lines] for name in lines[0]})  # type: ignore[misc]

    def _repr_html_(self) -> str:
        shown = [name for name in CRITERIA if np.isfinite([getattr(c, name) for c in self.candidates]).any()]
        rows = [
            [
                c.label + (" <" if c is self.best else ""),
                figures(c.fit.log_likelihood, 7),
                *(figures(float(getattr(c, name)), 7) for name in shown),
            ]
            for c in self.candidates
        ]
        return table_html(("candidate", "log-likelihood", *(n.upper() for n in shown)), rows, self.reasons())

    def reasons(self) -> str:
        """Why the best is the best: how far the next ones are, and what failed."""
        by = self.criterion
        ranked = self._ranked()
        best = ranked[0]
        if not np.isfinite(getattr(best, by)):
            return f"{by} is {getattr(best, by)} for all of {len(ranked)}: too few rows to choose by it"
        text = f"{best.label}: the lowest {by} of {len(ranked)}, {getattr(best, by):.2f}"
        others = [f"{c.label} ({getattr(c, by) - getattr(best, by):+.2f})" for c in ranked[1:4]]
        text += f"; next {', '.join(others)}" if others else ""
        lower = [c.label for c in ranked if c.collapsed and getattr(c, by) < getattr(best, by)]
        if lower and not best.collapsed:
            text += f"; passed over, with components that have shrunk onto few rows: {', '.join(lower)}"
        for name in CRITERIA:
            values = [(getattr(c, name), c.n_components, c.label) for c in self.candidates]
            if name != by and not np.isnan([v for v, _, _ in values]).all():
                other = min(values)[2]
                text += f"; {name} takes {'it too' if other == best.label else other}"
        if best.fit.remarks:
            text += f". {'. '.join(best.fit.remarks)}"
        return text + (f". {len(self.failed)} failed" if self.failed else "")
