import os

import pytest
from hypothesis import settings

from estep import kernels
from models import use

os.environ.setdefault("COLUMNS", "200")
settings.register_profile("short", max_examples=50, deadline=None)
settings.register_profile("long", max_examples=20000, deadline=None)
settings.load_profile("short")


@pytest.fixture(params=kernels.levels())
def level(request, monkeypatch):
    """Every kernel level this machine runs."""
    use(monkeypatch, request.param)
    return request.param


@pytest.fixture(params=[k for k in kernels.levels() if k != "reference"] or ["reference"])
def compiled(request, monkeypatch):
    """Every compiled level this machine runs."""
    use(monkeypatch, request.param)
    return request.param
