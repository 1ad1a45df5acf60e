"""The command line: ``estep fit``, ``score``, ``decode``, ``sample``, ``info``, ``demo``."""

from __future__ import annotations

import os
import signal
from types import FrameType


def _leave(number: int, frame: FrameType | None) -> None:
    os._exit(130)


def main() -> None:
    """The entry point of the ``estep`` command: an interrupt while it loads or leaves ends it at once."""
    heeded = signal.getsignal(signal.SIGINT) is not signal.SIG_IGN  # as a job in the background does not
    if heeded:
        signal.signal(signal.SIGINT, _leave)
    from estep.cli.app import main as run

    if heeded:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        run()
    finally:
        if heeded:
            signal.signal(signal.SIGINT, _leave)


__all__ = ["main"]
