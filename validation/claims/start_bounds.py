"""How far the law at the end of a diffusion can be from the prior that stands for it."""

from __future__ import annotations

import math


def kl_bound(scale: float, variance: float, prior: float, second: float) -> float:
    """``KL(p_T || N(0, prior)) <= 1/2 [a^2 E x_0^2 / s^2 + v/s^2 - 1 - log(v/s^2)]`` in one coordinate.

    The divergence is convex in its first argument, and this is its mean over x_0; equality for a point.
    """
    excess = variance / prior - 1
    # v/s^2 - 1 - log(v/s^2) is the square of a small number for most ends.
    return 0.5 * (scale**2 * second / prior + excess - math.log1p(excess))
