"""Columns of draws corrupted by a given size, one way for every family of effects of the two-sample check."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from ..numerics.effects import CLIP
from ..theory.protocols import Vector


def smallest(seen: Callable[[float], bool], *, top: float) -> float:
    """The smallest size that is seen, infinity if ``top`` is not."""
    if not seen(top):
        return math.inf
    low, high = 0.0, top
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (low, middle) if seen(middle) else (middle, high)
    return high


def _moved(x: Vector, size: float) -> Vector:
    """A share ``size`` of all draws carried from above the median to far below."""
    order = np.argsort(x)[::-1]
    out = x.copy()
    out[order[: math.ceil(size * len(x))]] = -CLIP / 2
    return out


def _paired(x: Vector, size: float) -> Vector:
    """Second draws of disjoint pairs put on the side of the first until a share 1/2 + ``size`` agrees."""
    centre = float(np.median(x))
    out, pairs = x - centre, len(x) // 2
    first, second = out[: 2 * pairs : 2], out[1 : 2 * pairs : 2]
    unlike = np.flatnonzero((first > 0) != (second > 0))
    missing = math.ceil((0.5 + size) * pairs) - (pairs - len(unlike))
    turned = unlike[: max(missing, 0)]
    second[turned] = np.copysign(np.maximum(np.abs(second[turned]), 1e-9), first[turned])
    return out + centre


CORRUPTED: dict[str, Callable[[Vector, float], Vector]] = {
    "cdf": _moved,
    "mean": lambda x, size: x + math.copysign(1.05 * size, float(x.mean())),
    "variance": lambda x, size: x * math.sqrt((1 + size) / min(float(np.mean(x * x)), 1.0)),
    "beyond": lambda x, size: np.where(np.arange(len(x)) < size * len(x), CLIP + 1.0, x),
    "neighbours": _paired,
}
NAMES = {
    "cdf": "mass-moved",
    "mean": "shifted",
    "variance": "stretched",
    "beyond": "outliers",
    "neighbours": "paired",
}
