"""A generator by which a linear sampler tells its map: unit impulses in the place of noise."""

from __future__ import annotations

import numpy as np


class Impulses(np.random.Generator):
    """The k-th draw is one in row k + 1 and zero elsewhere."""

    def __init__(self):
        super().__init__(np.random.PCG64(0))
        self.calls = 0

    def standard_normal(self, size=None, dtype=np.float64, out=None):
        z = np.zeros(size)  # type: ignore[call-overload]
        self.calls += 1
        z[self.calls] = 1.0
        return z
