"""One line and an exit code for everything that goes wrong: 2 bad input, 130 interrupted, 1 our fault."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable
from typing import Any

import typer

from estep.cli.text import say

UsageError: type[Exception] = next(c for c in typer.BadParameter.__mro__ if c.__name__ == "ClickException")
"""The base of what typer raises for a wrong flag; where it lives differs between versions."""


def fail(message: str) -> typer.Exit:
    """Prints one line on standard error; the exit to raise."""
    say(" ".join(message.split()))
    return typer.Exit(2)


def give_up_output() -> None:
    """What is still to be written goes nowhere, or leaving would try again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def guarded(command: Callable[..., Any]) -> Callable[..., Any]:
    """A command whose errors in the input are one line and exit code 2."""

    @functools.wraps(command)
    def run(*args: Any, **kwargs: Any) -> Any:
        try:
            return command(*args, **kwargs)
        except BrokenPipeError:
            give_up_output()
            raise typer.Exit(0) from None
        except (ValueError, OSError, ModuleNotFoundError, MemoryError) as error:
            if isinstance(error, OSError):
                if error.filename is None:
                    raise
                raise fail(f"{error.filename}: {error.strerror}") from None
            text = "not enough memory" if isinstance(error, MemoryError) else type(error).__name__
            raise fail(str(error) or text) from None
        except KeyboardInterrupt:
            say("interrupted before there was a model to keep")
            raise typer.Exit(130) from None

    return run
