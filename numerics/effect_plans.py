"""How many draws the supporting machine needs, before any are made, and how large defects can be at all."""

from __future__ import annotations

import math
from collections.abc import Callable

from scipy import special

from ..theory.protocols import Vector
from . import confidence as ci
from .effects import (
    CLIP,
    LARGEST,
    POWER,
    TALL,
    count_members,
    cumulated_room,
    seen_share,
    weight_room,
)
from .views import GRID


def samples_for(weights: Vector, dim: int, *, tolerance: float, level: float) -> int:
    """Draws with which every effect of an exact sampler is certified with probability 1 - 1e-4.

    For each family ``radius of the bound + quantile of the estimate <= tolerance``; and a defect of the tolerance and
    twice what is detectable is possible in every family that can exceed the tolerance at all.

    Args:
        weights: exact label probabilities ``(K,)``.
        dim: d.
        tolerance: allowed size of every effect.
        level: level of one look.

    Returns:
        The smallest such n, to one per cent.
    """
    labels = len(weights)
    members = count_members(labels, dim)
    quiet, each = POWER / (2 * members), level / members
    z = -float(special.ndtri(quiet))
    rooms = [(weight_room(weights), 1.0), (cumulated_room(weights)[0], 1.0)] if labels > 1 else []
    if dim:
        # Half of the pairs of neighbours are independent; a few are lost between batches.
        rooms.append((LARGEST["neighbours"], 0.48))
    rooms = [(room, part) for room, part in rooms if room > tolerance]

    def enough(n: int) -> bool:
        widths = []
        if labels > 1:
            widths.append(ci.dkw_radius(n, level) + math.sqrt(math.log(2 / quiet) / (2 * n)))
        if dim:
            fluctuation = math.sqrt(math.log(2 / quiet) / (2 * n))
            widths.append(1 / GRID + ci.dkw_radius(n, level) + fluctuation)
            widths.append(ci.betting_radius(n, 1.0, 2 * CLIP, level) + z / math.sqrt(n))
            # Skewness of the squares lengthens both terms by a few per cent at these n.
            square = ci.betting_radius(n, math.sqrt(2), TALL, level) + z * math.sqrt(2 / n)
            widths.append(1.03 * square)
        shown = all(tolerance + 2 * seen_share(part * n, each) <= room for room, part in rooms)
        return shown and max(widths, default=0.0) <= tolerance

    return _smallest(enough)


def _smallest(enough: Callable[[int], bool]) -> int:
    n = 64
    while not enough(n) and n < 1 << 40:
        n *= 2
    low, high = n // 2, n
    while high - low > max(1, low // 100):
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high
