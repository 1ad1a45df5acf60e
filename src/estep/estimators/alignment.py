"""Models and estimators with their components in the order of another's."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any, TypeVar

from estep.estimators.attributes import Attributes
from estep.fitting.alignment import aligned
from estep.model import Model

T = TypeVar("T")


def align(model: T, to: Any) -> T:
    """``model``, a fitted estimator or a :class:`estep.Model`, with its components in the order of those of ``to`` that
    they are most like: by the log-densities of draws, over all pairs together (the Hungarian method).

    Raises ValueError where they have other numbers of components or columns, and where constraints, a variational
    posterior or a prior hold components in place.
    """
    reference = to.to_model() if isinstance(to, Attributes) else to
    if not isinstance(reference, Model):
        raise TypeError(f"to is a fitted estimator or a Model, not a {type(to).__name__}")
    if isinstance(model, Attributes):
        new: Any = copy.deepcopy(model)
        new._set_model(aligned(model.to_model(), reference))
        if hasattr(new, "fit_"):
            new.fit_ = replace(new.fit_, model=new.model_)
        new.__dict__.pop("running_", None)
        return new  # type: ignore[no-any-return]
    if not isinstance(model, Model):
        raise TypeError(f"align takes a fitted estimator or a Model, not a {type(model).__name__}")
    return aligned(model, reference)  # type: ignore[return-value]
