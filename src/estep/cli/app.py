"""The entry point. scikit-learn and matplotlib are not imported here: the command line starts at once."""

from __future__ import annotations

import os
import sys

import typer

from estep.cli import (  # noqa: F401  the commands are registered as they are imported
    about,
    adapt,
    ahead,
    animate,
    ask,
    convert,
    fit,
    impute,
    plot,
    report,
    select,
)
from estep.cli.errors import UsageError, fail, give_up_output
from estep.cli.options import app

NARROWEST = 20
"""Columns of the narrowest terminal that tables are laid out for."""


def main() -> None:
    """The entry point of the ``estep`` command."""
    _open_streams()
    try:
        code = app(standalone_mode=False)
        sys.stdout.flush()
    except BrokenPipeError:
        give_up_output()
        raise SystemExit(0) from None
    except OSError as error:
        give_up_output()
        fail(f"standard output: {error.strerror or error}")
        raise SystemExit(2) from None
    except UsageError as error:
        if text := error.format_message():  # type: ignore[attr-defined]
            fail(text)
        raise SystemExit(2) from None
    except (KeyboardInterrupt, typer.Abort):
        raise SystemExit(130) from None
    raise SystemExit(code if isinstance(code, int) else 0)


def _open_streams() -> None:
    """Standard output and error that take any text, and are there where the caller has closed them."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    width = os.environ.get("COLUMNS")
    if width is not None and not (width.isascii() and width.isdigit() and int(width) >= NARROWEST):
        os.environ["COLUMNS"] = "80"


__all__ = ["app", "main"]
