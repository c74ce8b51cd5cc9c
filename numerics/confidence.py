"""Bounds on means and distribution functions that hold at every sample size, for any law in range.

Nothing here is asymptotic. ``n`` draws are independent; each bound fails with probability at most its
``level`` (a bound named one-sided spends all of it on one side).

The mean of a bounded variable ``a <= y <= b`` is bounded by betting: for every fixed ``lam`` with
``lam (b - a) < 1`` the wealth ``W_n(m) = prod_i (1 - lam (y_i - m))`` is a non-negative martingale if
``E y = m``, and increases in ``m``; so ``inf {m : W_n(m) >= 1/level}`` bounds ``E y`` from above at all
``n`` at once (Ville). With ``s = lam (y - m) <= beta``,

    -log(1 - s) <= s + s^2/2 + s^3/3 + kappa(beta) s^4,
    kappa(beta) = (-log(1 - beta) - beta - beta^2/2 - beta^3/3) / beta^4,

because ``int_0^1 t^3 / (1 - s t) dt`` increases in ``s``. Four power sums therefore hold all that is needed.

References: Massart 1990 (DKW constant); Clopper and Pearson 1934; Maurer and Pontil 2009, theorem 4;
Robbins 1970 (normal mixture); Waudby-Smith and Ramdas 2024, section 4 (betting).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import special

from ..theory._checks import bad
from ..theory.protocols import Vector

_CAP = 0.9  #: largest lam (b - a): the wealth stays positive and kappa stays near one
_REACH = 0.3  #: largest lam |m - mean| that is searched; the polynomial increases there


def _level(level: float) -> float:
    if not 0 < level < 1:
        raise bad("level", level, "a probability between 0 and 1", "pass e.g. 1e-6")
    return float(level)


def _count(n: Any) -> Any:
    if np.min(n) < 1:
        raise bad("n", n, "at least one draw", "draw more")
    return n


def dkw_radius(n: int, level: float, *, sides: int = 2) -> float:
    """``sqrt(log(sides / level) / (2 n))``: ``sup |F_n - F|`` exceeds it with probability <= level.

    Args:
        n: number of draws.
        level: probability of failure; at most 1/2 if ``sides`` is 1.
        sides: 2 for ``|F_n - F|``, 1 for ``F_n - F`` alone.

    Raises:
        ValueError: level or n out of range.
    """
    return math.sqrt(math.log(sides / _level(level)) / (2 * _count(n)))


def dkw_samples(radius: float, level: float, *, sides: int = 2) -> int:
    """Smallest ``n`` with ``dkw_radius(n, level) <= radius``.

    Raises:
        ValueError: radius not positive.
    """
    if not radius > 0:
        raise bad("radius", radius, "a positive number", "pass the half width of the band")
    return math.ceil(math.log(sides / _level(level)) / (2 * radius**2))


def bernoulli_upper(successes: Any, n: Any, level: float) -> Vector:
    """One-sided Clopper-Pearson upper bound on a probability, elementwise in ``successes``."""
    s = np.asarray(successes, dtype=np.float64)
    inside = special.betaincinv(s + 1, np.maximum(_count(n) - s, 1), 1 - _level(level))
    tight = -np.expm1(np.log(level) / n)  # s = 0, where 1 - level would lose digits
    return np.where(s >= n, 1.0, np.where(s == 0, tight, inside))


def bernoulli_lower(successes: Any, n: Any, level: float) -> Vector:
    """One-sided Clopper-Pearson lower bound on a probability, elementwise in ``successes``."""
    s = np.asarray(successes, dtype=np.float64)
    inside = special.betaincinv(np.maximum(s, 1), _count(n) - s + 1, _level(level))
    return np.where(s <= 0, 0.0, inside)


def bernoulli_interval(successes: Any, n: Any, level: float) -> tuple[Vector, Vector]:
    """Two-sided Clopper-Pearson interval, half of ``level`` on either side."""
    return bernoulli_lower(successes, n, level / 2), bernoulli_upper(successes, n, level / 2)


def empirical_bernstein_radius(variance: Any, n: int, span: float, level: float) -> Vector:
    """``sqrt(2 V log(4/level) / n) + 7 span log(4/level) / (3 (n - 1))``, two-sided.

    Args:
        variance: sample variance(s) with denominator ``n - 1``.
        n: draws, at least 2.
        span: ``b - a`` of the range.
        level: probability of failure, both sides together.

    Reference:
        Maurer and Pontil 2009, theorem 4, applied to either side at ``level / 2``.
    """
    if n < 2:
        raise bad("n", n, "at least two draws", "draw more")
    cost = math.log(4 / _level(level))
    return np.sqrt(2 * np.asarray(variance) * cost / n) + 7 * span * cost / (3 * (n - 1))


def normal_mixture_radius(n: Any, sd: float, level: float, *, tuned: float) -> Vector:
    """Half width of Robbins' confidence sequence for a mean of sub-Gaussian draws.

    ``sd sqrt((n + r) / n^2 * log((n + r) / (r level^2)))`` with ``r`` such that it is near its
    narrowest at ``n = tuned``. It holds at all ``n`` at once.

    Args:
        n: sample size(s).
        sd: sub-Gaussian parameter.
        level: probability that the sequence ever fails, both sides together.
        tuned: sample size at which it is to be narrow.
    """
    cost = math.log(1 / _level(level) ** 2)
    ratio = tuned / (cost + math.log1p(cost))
    size = np.asarray(n, dtype=np.float64)
    return sd * np.sqrt((size + ratio) / size**2 * (np.log((size + ratio) / ratio) + cost))


@dataclass(frozen=True)
class PowerSums:
    """``sums[p - 1] = sum_i (y_i - reference)^p`` for p = 1..4, of one or several bounded variables.

    Attributes:
        n: number of draws.
        reference: number near the mean, so that nothing cancels.
        sums: ``(4, m)``.
    """

    n: int
    reference: float
    sums: Vector

    @classmethod
    def of(cls, y: Vector, reference: float) -> PowerSums:
        """Power sums of ``y`` of shape ``(n, m)`` along its first axis."""
        first = y - reference
        second = first * first
        return cls(
            y.shape[0],
            float(reference),
            np.stack(
                [
                    first.sum(axis=0),
                    second.sum(axis=0),
                    np.einsum("ij,ij->j", second, first),
                    np.einsum("ij,ij->j", second, second),
                ]
            ),
        )

    def __add__(self, other: PowerSums) -> PowerSums:
        """Sums of both samples together (same reference)."""
        return PowerSums(self.n + other.n, self.reference, self.sums + other.sums)

    @property
    def mean(self) -> Vector:
        """Sample means, shape ``(m,)``."""
        return self.reference + self.sums[0] / self.n

    def negated(self) -> PowerSums:
        """Power sums of ``-y``."""
        return PowerSums(
            self.n, -self.reference, self.sums * np.array([-1.0, 1.0, -1.0, 1.0])[:, None]
        )


def betting_rate(n: int, sd: float, span: float, level: float) -> float:
    """``min(sqrt(2 log(1/level) / (n sd^2)), 0.9 / span)``: near the best fixed bet for ``n`` draws."""
    return min(math.sqrt(2 * math.log(1 / _level(level)) / (_count(n) * sd**2)), _CAP / span)


def betting_upper(sums: PowerSums, bounds: tuple[float, float], sd: float, level: float) -> Vector:
    """One-sided upper bound on the means of variables in ``bounds``, shape ``(m,)``.

    Args:
        sums: power sums.
        bounds: ``(a, b)`` with ``a <= y <= b`` for sure.
        sd: standard deviation that is expected; a wrong one costs width, never validity. It must not be
            taken from the same draws.
        level: probability of failure for each mean.
    """
    low, high = bounds
    n, rate = sums.n, betting_rate(sums.n, sd, high - low, level)
    beta = rate * (high - low)
    kappa = (-math.log1p(-beta) - beta - beta**2 / 2 - beta**3 / 3) / beta**4
    centre = sums.sums[0] / n
    central = _central(sums, centre)

    def shortfall(t: Vector) -> Vector:
        s1 = -n * t
        s2 = central[0] + n * t**2
        s3 = central[1] - 3 * t * central[0] - n * t**3
        s4 = central[2] - 4 * t * central[1] + 6 * t**2 * central[0] + n * t**4
        spent = rate * s1 + rate**2 * s2 / 2 + rate**3 * s3 / 3 + kappa * rate**4 * s4
        return -spent - math.log(1 / level)

    near = np.zeros_like(centre)
    far = np.full_like(centre, _REACH / rate)
    reached = shortfall(far) >= 0
    for _ in range(60):
        middle = (near + far) / 2
        enough = shortfall(middle) >= 0
        near, far = np.where(enough, near, middle), np.where(enough, middle, far)
    return np.where(reached, np.minimum(sums.mean + far, high), high)


def betting_lower(sums: PowerSums, bounds: tuple[float, float], sd: float, level: float) -> Vector:
    """One-sided lower bound on the means, see :func:`betting_upper`."""
    return -betting_upper(sums.negated(), (-bounds[1], -bounds[0]), sd, level)


def betting_radius(n: int, sd: float, span: float, level: float) -> float:
    """Distance of :func:`betting_upper` from the sample mean for draws of standard deviation ``sd``.

    ``log(1/level) / (lam n) + lam sd^2 / 2`` to leading order; the higher orders are a few per cent.
    """
    rate = betting_rate(n, sd, span, level)
    return math.log(1 / level) / (rate * n) + rate * sd**2 / 2


def _central(sums: PowerSums, centre: Vector) -> Vector:
    """``sum (y - mean)^p`` for p = 2, 3, 4, shape ``(3, m)``; even orders are kept non-negative."""
    n, (s1, s2, s3, s4) = sums.n, sums.sums
    second = s2 - s1 * centre
    third = s3 - 3 * centre * s2 + 2 * n * centre**3
    fourth = s4 - 4 * centre * s3 + 6 * centre**2 * s2 - 3 * n * centre**4
    return np.stack([np.maximum(second, 0), third, np.maximum(fourth, 0)])
