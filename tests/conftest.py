"""Strictness for all tests: the global random state is left as it was found."""

from __future__ import annotations

import random

import numpy as np
import pytest


def _numpy_state() -> str:
    return repr(np.random.get_state(legacy=False)["state"])  # noqa: NPY002 (watched, not used)


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem):
    """Fails a test after which a global random state is not what it was.

    The look is taken around the test function alone: plugins may reseed before and after it.
    """
    numpy_before, python_before = _numpy_state(), random.getstate()
    result = yield
    numpy_after, python_after = _numpy_state(), random.getstate()
    assert numpy_before == numpy_after, "numpy's global generator changed"
    assert python_before == python_after, "the global generator of random changed"
    return result


@pytest.fixture
def rng() -> np.random.Generator:
    """A seeded generator of the test's own."""
    return np.random.default_rng(20240601)
