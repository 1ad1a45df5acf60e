"""Scripts that use hmmlearn, run with hmmlearn or with their import changed."""

import contextlib
import io
import logging
import time
import warnings
from pathlib import Path

SCRIPTS = sorted(Path(__file__).with_name("hmmlearn_scripts").glob("*.py"))


def run(script, ours):
    """What a script finds (its RESULTS), and the seconds it took."""
    text = script.read_text()
    if ours:
        text = text.replace("from hmmlearn", "from estep.compat.hmmlearn")
    module = {"__name__": script.stem}
    logging.disable()
    try:
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            begun = time.perf_counter()
            exec(compile(text, script.name, "exec"), module)
            seconds = time.perf_counter() - begun
    finally:
        logging.disable(logging.NOTSET)
    return module["RESULTS"], seconds
