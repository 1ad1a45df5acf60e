"""Random fits against an independent reference: a small part of what ``fuzz.py`` does."""

import warnings

import pytest

from fuzz import one_fit


@pytest.mark.parametrize("first", range(0, 100, 20))
def test_random_fits_are_what_long_doubles_say(first):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.filterwarnings("error", category=RuntimeWarning, module="estep")
        for i in range(first, first + 20):
            what, wrong = one_fit(17, i)
            assert wrong is None, f"fit {i} of seed 17: {what}\n{wrong}"
