import os

import pytest

from estep import kernels

os.environ.setdefault("COLUMNS", "200")


@pytest.fixture(params=kernels.levels())
def level(request, monkeypatch):
    """Every kernel level this machine runs."""
    monkeypatch.setenv("ESTEP_KERNELS", request.param)
    return request.param


@pytest.fixture(params=[k for k in kernels.levels() if k != "reference"] or ["reference"])
def compiled(request, monkeypatch):
    """Every compiled level this machine runs."""
    monkeypatch.setenv("ESTEP_KERNELS", request.param)
    return request.param
