"""Repeated draws: exact duplicates of rows, and heaps at the edge of a clipped support.

Under a continuous law in float64 two equal rows have probability zero (to rounding), so that one pair refutes it for
certain. Draws that went through float32 tie legitimately in one dimension; they are held against the ties
of exact draws in the same precision.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..theory.protocols import Vector

_MIX = np.uint64(0x9E3779B97F4A7C15)
_HEAP = {"float64": 2, "float32": 4}  #: equal extremes of a coordinate that exact draws never show


@dataclass(frozen=True)
class Ties:
    """What repeats.

    Attributes:
        rows: number of rows that equal an earlier row.
        first: indices of the first repeated row and of its original; None without ties.
        period: distance between copies in most ties; 0 without ties or without such a distance.
        heap: coordinate, value and multiplicity of an extreme value hit several times; None without.
    """

    rows: int
    first: tuple[int, int] | None
    period: int
    heap: tuple[int, float, int] | None


class TieCounter:
    """Keeps a 64-bit fingerprint of each row and the extremes of each coordinate.

    Args:
        dim: d.
    """

    def __init__(self, dim: int) -> None:
        self._keys: list[np.ndarray] = []
        self._multipliers = np.random.default_rng(20011).integers(
            1, 2**63, size=dim, dtype=np.uint64
        ) | np.uint64(1)
        self._extremes = np.full((2, dim), np.inf)
        self._multiplicity = np.zeros((2, dim), dtype=np.int64)
        self.single = True  #: whether every number so far is a float32

    def update(self, x: Vector) -> None:
        """Adds rows ``(n, d)`` float64."""
        # Adding zero turns -0.0 into 0.0, which compares equal to it.
        bits = np.ascontiguousarray(x + 0.0).view(np.uint64)
        with np.errstate(over="ignore"):
            mixed = (bits ^ (bits >> np.uint64(29))) * _MIX
            mixed ^= mixed >> np.uint64(32)
            # Odd multipliers modulo 2^64: each coordinate alone is carried one to one.
            key = (mixed * self._multipliers).sum(axis=1, dtype=np.uint64)
        self._keys.append(key)
        with np.errstate(over="ignore"):
            self.single = self.single and bool((x.astype(np.float32) == x).all())
        for side, y in enumerate((x, -x)):
            low = y.min(axis=0)
            hits = (y == low).sum(axis=0)
            same, less = low == self._extremes[side], low < self._extremes[side]
            self._multiplicity[side] = np.where(
                less, hits, self._multiplicity[side] + np.where(same, hits, 0)
            )
            self._extremes[side] = np.minimum(self._extremes[side], low)

    def ties(self) -> Ties:
        """Looks at all rows so far."""
        keys = np.concatenate(self._keys)
        order = np.argsort(keys, kind="stable")
        equal = keys[order][1:] == keys[order][:-1]
        count = int(equal.sum())
        first, period = None, 0
        if count:
            copies, originals = order[1:][equal], order[:-1][equal]
            at = int(np.argmin(copies))
            first = (int(copies[at]), int(originals[at]))
            gaps, often = np.unique(copies - originals, return_counts=True)
            period = int(gaps[np.argmax(often)]) if 2 * often.max() > count else 0
        side, j = np.unravel_index(int(np.argmax(self._multiplicity)), self._multiplicity.shape)
        hits = int(self._multiplicity[side, j])
        heap = None
        if hits >= _HEAP["float32" if self.single else "float64"]:
            value = float(self._extremes[side, j])
            heap = (int(j), -value if side else value, hits)
        return Ties(count, first, period, heap)
