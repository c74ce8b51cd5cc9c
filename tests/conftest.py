"""Strictness for all tests: the global random state is left as it was found."""

from __future__ import annotations

import random

import numpy as np
import pytest


@pytest.hookimpl(hookwrapper=True)
def pytest_pyfunc_call(pyfuncitem):
    """Fails a test after which a global random state is not what it was.

    The look is taken around the test function alone: plugins may reseed before and after it.
    """
    before = np.random.get_state(), random.getstate()  # noqa: NPY002 (it is watched, not used)
    outcome = yield
    after = np.random.get_state()  # noqa: NPY002
    outcome.get_result()
    assert before[0][0] == after[0], "numpy's global generator changed"
    assert (before[0][1] == after[1]).all(), "numpy's global generator changed"
    assert before[1] == random.getstate(), "the global generator of random changed"


@pytest.fixture
def rng() -> np.random.Generator:
    """A seeded generator of the test's own."""
    return np.random.default_rng(20240601)
