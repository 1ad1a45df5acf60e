"""Arrays of other libraries (torch, CuPy ...): where scikit-learn is told to dispatch, they are taken and given back.

``sklearn.set_config(array_api_dispatch=True)``: fits and questions read them as NumPy's, on the processor, and answers
and fitted attributes are of the library and on the device of the data.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial, update_wrapper
from importlib import import_module
from types import FunctionType
from typing import Any

import numpy as np
from sklearn._config import get_config

Kind = tuple[Any, Any]
"""A namespace of the array API, and a device."""


def _compat() -> Any:
    """array-api-compat, which scikit-learn brings along from 1.7 on, and wants before where it dispatches."""
    try:
        return import_module("sklearn.externals.array_api_compat")
    except ImportError:
        return import_module("array_api_compat")


def is_foreign(value: Any) -> bool:
    """Whether a value is an array of another library; Dask's are data past memory, and stay as they are."""
    if value is None or isinstance(value, np.ndarray | np.generic | str | int | float):
        return False
    compat = _compat()
    return bool(compat.is_array_api_obj(value)) and not compat.is_dask_array(value)


def to_numpy(value: Any) -> Any:
    """The same as NumPy's, in lists and tuples too; what is no array of another library stays."""
    if isinstance(value, list | tuple):
        return type(value)(map(to_numpy, value)) if any(map(is_foreign, value)) else value
    if not is_foreign(value):
        return value
    if hasattr(value, "detach"):  # torch
        return value.detach().cpu().numpy()
    for name in ("get", "asnumpy"):  # CuPy, dpnp
        if hasattr(value, name):
            return getattr(value, name)()
    xp = _compat().array_namespace(value)
    processor = xp.Device("CPU_DEVICE") if hasattr(xp, "Device") else "cpu"  # array-api-strict
    return np.asarray(_compat().to_device(value, processor))


def kind_of(*values: Any) -> Kind | None:
    """The library and device of the first array of another library."""
    for value in values:
        if isinstance(value, list | tuple):
            found = kind_of(*value[:1])
            if found is not None:
                return found
        elif is_foreign(value):
            return _compat().array_namespace(value), _compat().device(value)
    return None


def given_back(value: Any, kind: Kind | None) -> Any:
    """NumPy's arrays of an answer as those of a library, in lists and tuples too."""
    if kind is None:
        return value
    if isinstance(value, list | tuple) and type(value) in (list, tuple):
        return type(value)(given_back(one, kind) for one in value)
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "fiub":
        return value
    xp, device = kind
    return xp.asarray(value, device=device)


class AnswersInKind:
    """Methods of X, and ``sample``, answer with arrays of the library that X, or the attributes, are of."""

    def __init_subclass__(cls, **more: Any) -> None:
        for name, method in list(vars(cls).items()):
            if (
                isinstance(method, FunctionType)
                and not name.startswith("_")
                and (takes_rows(method) or name == "sample")
            ):
                setattr(cls, name, _InKind(method))
        super().__init_subclass__(**more)


def takes_rows(method: Callable[..., Any]) -> bool:
    """Whether X is what a method asks about."""
    return list(inspect.signature(method).parameters)[1:2] == ["X"]


class _InKind:
    """A method that is looked up as it is, but where arrays of other libraries are about."""

    def __init__(self, method: FunctionType) -> None:
        update_wrapper(self, method)  # type: ignore[arg-type]
        self.method = method

    def __get__(self, estimator: Any, owner: Any = None) -> Any:
        if estimator is not None and (get_config()["array_api_dispatch"] or "_foreign" in vars(estimator)):
            return partial(_answered, estimator, self.method)
        return self.method.__get__(estimator, owner)


def _answered(self: Any, method: FunctionType, *args: Any, **kwargs: Any) -> Any:
    attributes = [value for name, value in vars(self).items() if name.endswith("_")]
    kind = kind_of(*args, *kwargs.values()) if takes_rows(method) else kind_of(*attributes)
    with _as_numpy(self):
        found = method(self, *map(to_numpy, args), **{name: to_numpy(value) for name, value in kwargs.items()})
    if found is self:
        _attributes_in_kind(self, kind)
        return self
    return given_back(found, kind)


@contextmanager
def _as_numpy(estimator: Any) -> Iterator[None]:
    """The estimator with NumPy's arrays as arguments and attributes; those that are not set anew come back."""
    were = {name: value for name, value in vars(estimator).items() if is_foreign(value)}
    now = {name: to_numpy(value) for name, value in were.items()}
    vars(estimator).update(now)
    try:
        yield
    finally:
        vars(estimator).update({name: value for name, value in were.items() if vars(estimator).get(name) is now[name]})


def _attributes_in_kind(estimator: Any, kind: Kind | None) -> None:
    """Fitted attributes as arrays of the library of the data."""
    vars(estimator).pop("_foreign", None)
    if kind is None:
        return
    estimator._foreign = True
    for name, value in vars(estimator).items():
        if name.endswith("_") and not name.startswith("_"):
            vars(estimator)[name] = given_back(value, kind)
