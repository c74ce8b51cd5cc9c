"""A Brownian path whose nodes are linear in the normals that it draws, in the order of time it is asked.

Trees of torchsde draw each node again whenever it is asked for, from seeds of their own. This path has the same law
and draws from the generator it is given, so that the output of a sampler is an affine map of its normals.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable
from typing import Any

from ...theory.protocols import Array

_SAME = 1e-9  #: relative: times this close are one node


class BrownianPath:
    """``W`` at any times, in any order; increments over disjoint intervals are independent.

    Args:
        like: a tensor with the shape, dtype and device of ``W``.
        rng: torch generator.
    """

    def __init__(self, like: Array, rng: Any) -> None:
        self._like, self._rng = like, rng
        self._times: list[float] = []
        self._values: list[Array] = []

    def at(self, t: float) -> Array:
        """``W(t)``; zero at the first time asked."""
        if not self._times:
            self._insert(0, t, self._like * 0)
        k = bisect_left(self._times, t)
        for near in (k - 1, k):
            if 0 <= near < len(self._times):
                size = max(abs(t), abs(self._times[near]))
                if abs(self._times[near] - t) <= _SAME * size:
                    return self._values[near]
        if k in (0, len(self._times)):
            end = 0 if k == 0 else -1
            gap = abs(t - self._times[end])
            value = self._values[end] + math.sqrt(gap) * self._normal()
        else:
            before, after = self._times[k - 1], self._times[k]
            share = (t - before) / (after - before)
            spread = math.sqrt((t - before) * (after - t) / (after - before))
            value = (1 - share) * self._values[k - 1] + share * self._values[k]
            value = value + spread * self._normal()
        self._insert(k, t, value)
        return value

    def _insert(self, k: int, t: float, value: Array) -> None:
        self._times.insert(k, t)
        self._values.insert(k, value)

    def _normal(self) -> Array:
        import torch

        x: Any = self._like
        return torch.randn(x.shape, dtype=x.dtype, device=x.device, generator=self._rng)


def noise_sampler(
    like: Array, rng: Any, transform: Callable[[float], float] = float
) -> Callable[[Any, Any], Array]:
    """``(sigma, sigma_next) -> (W(b) - W(a)) / sqrt|b - a|``, as samplers on Brownian trees ask for their noise.

    Args:
        like: a tensor like the state.
        rng: torch generator.
        transform: from a noise level to the time of the path.
    """
    path = BrownianPath(like, rng)

    def noise(sigma: Any, sigma_next: Any) -> Array:
        a, b = transform(float(sigma)), transform(float(sigma_next))
        return (path.at(b) - path.at(a)) / math.sqrt(abs(b - a))

    return noise
