"""Strictness for all tests: the global random state is left as it was found."""

from __future__ import annotations

import random

import numpy as np
import pytest


@pytest.fixture(autouse=True)
def untouched_global_randomness():
    """Fails a test after which a global random state is not what it was."""
    before = np.random.get_state(), random.getstate()  # noqa: NPY002 (it is watched, not used)
    yield
    after = np.random.get_state()  # noqa: NPY002
    assert before[0][0] == after[0], "numpy's global generator changed"
    assert (before[0][1] == after[1]).all(), "numpy's global generator changed"
    assert before[1] == random.getstate(), "the global generator of random changed"


@pytest.fixture
def rng() -> np.random.Generator:
    """A seeded generator of the test's own."""
    return np.random.default_rng(20240601)
