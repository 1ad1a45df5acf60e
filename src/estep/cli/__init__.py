"""The command line: ``estep fit``, ``score``, ``decode``, ``sample``, ``info``, ``demo``."""

from estep.cli.app import main

__all__ = ["main"]
