"""Data of any form with their missing cells filled in."""

from __future__ import annotations

from typing import Any

import numpy as np

from estep.data.restored import restored
from estep.data.source import Source
from estep.execution.base import Execute
from estep.inference.impute import impute
from estep.model import Model
from estep.util.numbers import as_whole
from estep.util.streams import as_seed


def imputed(model: Model, raw: Source, X: Any, lengths: Any, n_draws: Any, random_state: Any, execute: Execute) -> Any:
    """X of any form with its missing cells filled in; ``n_draws``: a list of so many, drawn."""
    if n_draws is None:
        return restored(X, lengths, raw, impute(model, raw, None, execute))
    keys = np.random.default_rng(as_seed(random_state)).integers(2**62, size=as_whole("n_draws", n_draws))
    return [restored(X, lengths, raw, impute(model, raw, int(key), execute)) for key in keys]
