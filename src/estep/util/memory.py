"""What this machine can hold, to refuse what it cannot before it is asked for."""

from __future__ import annotations

import os
from functools import cache


@cache
def installed() -> int | None:
    """Bytes of memory that this machine has; None where it does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None


def require_memory(what: str, size: int) -> None:
    """Raises ValueError where ``what``, of so many bytes, is more than this machine has."""
    most = installed() or 2**40
    if size > most:
        raise ValueError(f"{what} take {size / 2**30:.3g} GiB; this machine has {most / 2**30:.3g}")
