"""Orders and limits from noise-free ladders over doubled step counts.

With ``q(n) = q + C n^-p + ...`` the differences ``D_k = q(n_k) - q(2 n_k)`` fall like ``2^-p`` whatever the limit
q is: a floor that the start law, the end time or the last step leaves does not bend them. All quantities are
signed and are followed along the direction of the last difference, which is that of the slowest part.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ..theory._checks import bad
from ..theory.protocols import Vector

_LEAST = 3  #: doublings for an order with an error
LOUD = 8.0  #: differences below so many rounding errors are not looked at
_FINE = 0.01  #: an order is not known better than this
_FLAT = 0.2  #: local orders below are no convergence


@dataclass(frozen=True)
class Convergence:
    """What a ladder says.

    Attributes:
        local: local orders between successive doublings, coarse to fine.
        order: extrapolated order; NaN where too few differences stand out of the rounding.
        low: lower end of its interval.
        high: upper end.
        limit: extrapolated values for infinitely many steps.
        before: the same without the finest step count: how far the two are apart is the error.
    """

    local: tuple[float, ...]
    order: float
    low: float
    high: float
    limit: Vector
    before: Vector

    @property
    def known(self) -> bool:
        """Whether an order was found."""
        return math.isfinite(self.order)


def converge(values: Vector, steps: Sequence[int], *, noise: float) -> Convergence:
    """Order and limit of a ladder.

    The local order of ``h^p (1 + c h)`` is ``p + O(h)``: one extrapolation by halves removes the ``O(h)``, and
    its own last change is taken as its error. Local orders of ``h^p log(1/h)`` rise more slowly than by halves; where
    they do, the interval reaches up to the order that one logarithm explains.

    Args:
        values: ``(K, m)``, m signed quantities at K step counts, coarse to fine.
        steps: the K counts, each twice the one before.
        noise: rounding error of a value; the interval of the order includes what it does.

    Raises:
        ValueError: fewer than four step counts, or counts that do not double.
    """
    q, n = np.asarray(values, dtype=np.float64), np.asarray(steps)
    if q.ndim != 2 or len(q) <= _LEAST or n.shape != q.shape[:1] or (n[1:] != 2 * n[:-1]).any():
        got = f"shape {q.shape} at steps {tuple(steps)}"
        raise bad("values", got, "four or more step counts, each twice the last", "add doublings")
    d = q[:-1] - q[1:]
    sizes = np.linalg.norm(d, axis=1)
    loud = np.flatnonzero(sizes > LOUD * noise)
    if not loud.size:
        return Convergence((), math.nan, -math.inf, math.inf, q[-1], q[-2])
    last = int(loud[-1])
    along = d[: last + 1] @ (d[last] / sizes[last])
    local = tuple(_rate(a, b) for a, b in pairwise(along))
    recent = local[-_LEAST:]
    if len(recent) < 2 or not all(map(math.isfinite, recent)) or recent[-1] < _FLAT:
        # Too few differences, signs that change, or nothing that falls: no limit can be extrapolated.
        return Convergence(local, math.nan, -math.inf, math.inf, q[-1], q[0])
    best = 2 * recent[-1] - recent[-2]
    change = best - (2 * recent[-2] - recent[-3]) if len(recent) > 2 else recent[-1] - recent[-2]
    # Each difference is off by two roundings at most, which moves log2 by that share of it, over log 2.
    share = 2 * noise / math.log(2) / along[-len(recent) - 1 :]
    rough = float(2 * (share[-1] + share[-2]) + share[-2] + share[-3])
    low, high = best - abs(change) - rough - _FINE, best + abs(change) + rough + _FINE
    if len(recent) > 2 and _slow(recent):
        # D(n) = log(n/2) / (2 n) for an error log(n) / n
        logs = math.log(n[last - 1]) / math.log(max(n[last - 1] / 2, 2))
        high = max(high, recent[-1] + math.log2(logs) + _FINE)
    limit, before = _limits(q[: last + 2], best)
    return Convergence(local, best, low, high, limit, before)


def _rate(a: float, b: float) -> float:
    return math.log2(a / b) if a > 0 and b > 0 else math.nan


def _slow(recent: tuple[float, ...]) -> bool:
    """Whether local orders rise, and by more than halves of the last rise."""
    first, second = recent[-2] - recent[-3], recent[-1] - recent[-2]
    return first > 0 and second > 0.6 * first


def _limits(q: Vector, p: float) -> tuple[Vector, Vector]:
    """Richardson's limits, with the order and then the next one, of the last values and of those before."""
    # Where the order is near a whole number that number is better than its estimate.
    whole = max(1, round(p))
    near = abs(p - whole) < 0.25
    first = whole if near else p
    once = q[1:] + (q[1:] - q[:-1]) / (2**first - 1)
    twice = once[1:] + (once[1:] - once[:-1]) / (2 ** (first + 1) - 1)
    # Elsewhere the next power is a guess, and only what one extrapolation agrees upon is known.
    return twice[-1], twice[-2] if near and len(twice) > 1 else once[-2]
