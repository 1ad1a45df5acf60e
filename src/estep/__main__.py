"""``python -m estep`` is the ``estep`` command."""

from estep.cli import main

main()
