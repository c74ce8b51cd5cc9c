"""Repeated draws: exact duplicates of rows, and heaps at the edge of a clipped support.

Independent draws of a continuous law, rounded once to floating point, repeat with a probability that follows from
the density and the spacing of the numbers. Given the draws so far, the next one equals one of them with
probability at most

    sum_v m(v),   m(v) = 2 p(v) prod_j ulp(v_j) + 2^(-d b) + 2^-64,

the sum being over the rows so far: a rounding cell holds ``p`` times its volume (doubled for what p varies
inside), a normal or uniform number made from random bits repeats with probability about ``2^-b`` (b = 52, or 22
in single precision), and two fingerprints of 64 bits collide with ``2^-64``. Counts with such a
compensator have a closed e-process (:func:`.e_processes.rare`). Memory is bounded: beyond some million of
values only some are watched (:mod:`.row_hashes`), and the sum is over these.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..theory.protocols import Vector
from . import e_processes as ep
from .row_hashes import CAPACITY, RowHashes

_MIX = np.uint64(0x9E3779B97F4A7C15)
_BITS = np.array([52.0, 22.0])  #: of randomness behind one number, in float64 and in float32
_COLLISION = 2.0**-64
_STEEP = (
    2.0**10
)  #: density of a coordinate at its extremes, in units of 1/sd, is taken to be below this
_CELLS = 1 << 19  #: numbers handled at a time
_SOME = 256  #: rows of a batch at which a density in several dimensions is looked up


@dataclass(frozen=True)
class Ties:
    """What repeats.

    Attributes:
        rows: number of rows that equal an earlier row, estimated where not all are watched.
        first: indices of the first repeated row and of its original; None without ties.
        period: distance between copies in most ties; 0 without ties or without such a distance.
        heap: coordinate, value and multiplicity of the extreme value hit most often; None if each is hit once.
    """

    rows: int
    first: tuple[int, int] | None
    period: int
    heap: tuple[int, float, int] | None


class TieCounter:
    """Keeps 64-bit fingerprints of rows and the extremes of each coordinate.

    Args:
        dim: d.
        log_prob: log-density of the law, ``(n, d) -> (n,)``; None counts no rounding cells.
        single: whether draws were rounded to float32 on their way; found out if all numbers are such.
        capacity: number of rows that are known by their fingerprints at a time.
    """

    def __init__(
        self,
        dim: int,
        log_prob: Callable[[Vector], Any] | None = None,
        *,
        single: bool = False,
        capacity: int = CAPACITY,
    ) -> None:
        self.n = 0
        self._known = RowHashes(capacity)
        self.hits = 0  #: rows that hit the extreme so far of some coordinate
        self._log_prob, self.said_single = log_prob, single
        self._multipliers = np.random.default_rng(20011).integers(
            1, 2**63, size=dim, dtype=np.uint64
        ) | np.uint64(1)
        self._extremes = np.full((2, dim), np.inf)
        self._multiplicity = np.zeros((2, dim), dtype=np.int64)
        self._all_single = True
        # Either precision has its own compensators, since which one holds is known at the end.
        self._expected_hits = np.zeros(2)

    @property
    def rows(self) -> int:
        """Rows found to equal an earlier one."""
        return self._known.found

    @property
    def repeats(self) -> float:
        """Rows that equal an earlier one: found, and estimated where not all rows are watched."""
        return self._known.repeats

    @property
    def watched(self) -> float:
        """Part of all values whose repeats are found; one until the table is full."""
        return self._known.share

    @property
    def single(self) -> bool:
        """Whether every number so far is a float32, or is said to be."""
        return self.said_single or self._all_single

    @property
    def expected(self) -> float:
        """Bound on the compensator of :attr:`rows` under independent draws of the law."""
        return float(self._known.expected[int(self.single)])

    @property
    def expected_hits(self) -> float:
        """The same for :attr:`hits`."""
        return float(self._expected_hits[int(self.single)])

    def log_e(self) -> dict[str, float]:
        """Logarithms of the e-processes ``repeats`` and, in several dimensions, ``heaps``."""
        out = {"repeats": ep.rare(self.rows, self.expected)}
        if self._extremes.shape[1] > 1:  # on the line a heap repeats rows
            out["heaps"] = ep.rare(self.hits, self.expected_hits)
        return out

    def update(self, x: Vector) -> None:
        """Adds rows ``(n, d)`` float64."""
        # Adding zero turns -0.0 into 0.0, which compares equal to it.
        bits = np.ascontiguousarray(x + 0.0).view(np.uint64)
        with np.errstate(over="ignore"):
            mixed = (bits ^ (bits >> np.uint64(29))) * _MIX
            mixed ^= mixed >> np.uint64(32)
            # Odd multipliers modulo 2^64: each coordinate alone is carried one to one.
            key = (mixed * self._multipliers).sum(axis=1, dtype=np.uint64)
            self._all_single = self._all_single and bool((x.astype(np.float32) == x).all())
        self._known.update(key, self._masses(x))
        step = max(64, _CELLS // x.shape[1])
        for i in range(0, len(x), step):
            self._heaps(x[i : i + step])
        self.n += len(x)

    def _masses(self, x: Vector) -> Vector:
        """``m`` of every row, ``(2, n)``."""
        n, d = x.shape
        out = np.empty((2, n))
        some = x if d == 1 else x[:_SOME]
        logs = np.full(len(some), -np.inf)
        if self._log_prob is not None:
            with np.errstate(all="ignore"):
                logs = np.asarray(self._log_prob(some), dtype=np.float64).reshape(-1)
        for k, ulp in enumerate(_spacings(some)):
            with np.errstate(over="ignore", divide="ignore"):
                cell = np.exp(np.log(ulp).sum(axis=1) + np.nan_to_num(logs, nan=-np.inf))
            mass = np.minimum(2 * cell + 2.0 ** -(_BITS[k] * d) + _COLLISION, 1.0)
            out[k] = mass if d == 1 else mass.max()
        return out

    def _heaps(self, x: Vector) -> None:
        with np.errstate(over="ignore"):
            spread = x.std(axis=0)
        hit = np.zeros(len(x), dtype=bool)
        for side, y in enumerate((x, -x)):
            chain = np.concatenate([self._extremes[side][None], y])
            running = np.minimum.accumulate(chain, axis=0)
            hit |= (y == running[:-1]).any(axis=1)
            low = running[-1]
            hits = (y == low).sum(axis=0)
            same = low == self._extremes[side]
            self._multiplicity[side] = np.where(same, self._multiplicity[side] + hits, hits)
            self._extremes[side] = low
            for k, ulp in enumerate(_spacings(low[None])):
                with np.errstate(all="ignore"):
                    cell = np.nan_to_num(ulp[0] / spread, nan=1.0, posinf=1.0)
                mass = np.minimum(_STEEP * (cell + 2.0 ** -_BITS[k]), 1.0)
                self._expected_hits[k] += len(x) * float(mass.sum())
        self.hits += int(hit.sum())

    def ties(self) -> Ties:
        """Looks at all rows so far."""
        side, j = np.unravel_index(int(np.argmax(self._multiplicity)), self._multiplicity.shape)
        hits = int(self._multiplicity[side, j])
        heap = None
        if hits > 1:
            value = float(self._extremes[side, j])
            heap = (int(j), -value if side else value, hits)
        known = self._known
        return Ties(round(known.repeats), known.first, known.period, heap)


def _spacings(x: Vector) -> tuple[Vector, Vector]:
    """Distance of neighbouring floating-point numbers at ``|x|``, in float64 and in float32."""
    _, exponent = np.frexp(np.maximum(np.abs(x), np.finfo(np.float32).tiny))
    return np.ldexp(1.0, exponent - 53), np.ldexp(1.0, exponent - 24)
