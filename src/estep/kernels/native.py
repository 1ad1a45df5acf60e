"""The compiled module, where the package was installed with a compiler."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

try:
    core: ModuleType | None = import_module("estep.kernels._core")
except ModuleNotFoundError as absent:
    if absent.name != "estep.kernels._core":
        raise
    core = None
