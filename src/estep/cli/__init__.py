"""The command line: ``estep fit``, ``score``, ``decode``, ``sample``, ``info``, ``demo``."""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
from contextlib import suppress
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
    code: object = 1
    try:
        run()
        code = 0
    except SystemExit as end:
        code = end.code
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        if heeded:
            signal.signal(signal.SIGINT, _leave)
    _end(code if isinstance(code, int) else 0 if code is None else 1)


def _end(code: int) -> None:
    """Ends the process once all is written and put away. The interpreter's own end is left out: threads of libraries
    that come back to it then would abort the process."""
    threading._shutdown()  # type: ignore[attr-defined]  # other threads of Python come to their end
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):
            stream.flush()
    os._exit(code)


__all__ = ["main"]
