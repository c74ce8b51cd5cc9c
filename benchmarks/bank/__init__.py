"""A bank of samplers: defective ones with their exact laws and the sample sizes that no test can beat, correct ones.

``defects()`` and ``correct()`` build all entries; ``find(name)`` one of them.
"""

from __future__ import annotations

from functools import cache

from . import correct as _correct
from . import dependence, gaussians, line, mixtures, reverse, shapes
from .entry import Entry as Entry

_FAMILIES = (gaussians, reverse, mixtures, line, shapes, dependence)


@cache
def defects() -> tuple[Entry, ...]:
    """Every defective sampler."""
    return tuple(build() for family in _FAMILIES for build in family.BUILDERS)


@cache
def correct() -> tuple[Entry, ...]:
    """Every correct sampler."""
    return tuple(build() for build in _correct.BUILDERS)


def find(name: str) -> Entry:
    """The sampler of that name.

    Raises:
        ValueError: there is none.
    """
    for entry in (*defects(), *correct()):
        if entry.name == name:
            return entry
    names = ", ".join(e.name for e in (*defects(), *correct()))
    raise ValueError(f"name: got {name!r}, wanted one of {names}; correct it")
