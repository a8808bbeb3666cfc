"""What every test can rely on: strict mode, and random numbers that repeat."""

import random

import numpy as np
import pytest

import minigrad as mg


@pytest.fixture(autouse=True)
def strict_and_seeded(request):
    """`mg.strict()` is on: an array changed in place between forward and backward is an error.

    A test marked `relaxed` measures time or memory, and does without.
    """
    random.seed(0)
    np.random.seed(0)
    if request.node.get_closest_marker("relaxed"):
        yield
    else:
        with mg.strict():
            yield


@pytest.fixture
def rng():
    """Random numbers, the same in every run."""
    return np.random.default_rng(1964)  # the year of Wengert's list
