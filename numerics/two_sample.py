"""Draws against exact draws of a law, where no exact map to normals is known.

Exact draws stand in for the law. Two machines, as for laws with a map:

* effects, valid for whatever law the draws have: distances of distribution functions along fixed directions
  (both bands of Dvoretzky, Kiefer, Wolfowitz and Massart), means and mean squares of clipped coordinates (betting
  bounds of both samples), mass beyond six standard deviations, neighbours;
* an e-process. Pair every draw with an exact draw: under the null the two may be exchanged, so that for any function
  ``h`` chosen from the past with values in ``[-1, 1]`` the difference ``h(x) - h(y)`` has mean zero given the
  past, and bets on it are fair (Shekhar and Ramdas 2023). Fixed functions are bounded waves along the
  directions and of log p; a learned one is the witness of the maximum mean discrepancy over past draws (Gretton et
  al. 2012).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ..theory.protocols import Vector
from . import confidence as ci
from .bets import RATES, BoundedBets
from .e_processes import log_mean
from .effects import CLIP, GRID, LARGEST, POWER, Effect, seen_share
from .stein import Frame

_PROJECTIONS = 16
_COORDINATES = 32
_WITNESS = 256  #: draws on either side that the learned witness keeps
_SQUARES = CLIP**2
_TINY = 1e-12  #: of a mean square, below which relative errors say nothing
RATIO = 3  #: exact draws for each draw that is judged


@dataclass
class _Side:
    """Running sums of one of the two samples."""

    n: int
    firsts: ci.PowerSums | None
    squares: ci.PowerSums | None
    beyond: Vector
    grid: Vector

    @classmethod
    def empty(cls, m: int) -> _Side:
        return cls(0, None, None, np.zeros(m), np.zeros((m, GRID)))

    def add(self, t: Vector) -> None:
        clipped = np.clip(t, -CLIP, CLIP)
        firsts = ci.PowerSums.of(clipped, 0.0)
        squares = ci.PowerSums.of(clipped * clipped, 1.0)
        self.firsts = firsts if self.firsts is None else self.firsts + firsts
        self.squares = squares if self.squares is None else self.squares + squares
        self.beyond += (np.abs(t) > CLIP).sum(axis=0)
        # Cells of equal width: the supremum over their edges is off by what one cell holds, which is bounded below.
        cell = ((np.clip(t, -CLIP, CLIP) + CLIP) * (GRID / (2 * CLIP))).astype(np.int64)
        for j, column in enumerate(np.minimum(cell, GRID - 1).T):
            self.grid[j] += np.bincount(column, minlength=GRID)
        self.n += len(t)


class TwoSampleMachine:
    """Both machines on one stream of pairs ``(x, y)``, ``y`` exact.

    Args:
        pilot: exact draws ``(k, d)`` of their own, which fix the coordinates and the medians.
        rng: generator of the directions.
        members: number of effects over which a level is split; None counts those of this object.
        levels: ``log p`` of the pilot ``(k,)``, up to a constant; bets on it are placed as along a direction.
    """

    def __init__(
        self,
        pilot: Vector,
        rng: np.random.Generator,
        *,
        members: int | None = None,
        levels: Vector | None = None,
    ) -> None:
        frame = Frame.of(pilot)
        d = len(frame.centre)
        raw = rng.standard_normal((d, _PROJECTIONS if d > 1 else 0))
        raw /= np.linalg.norm(raw, axis=0)
        self.frame = frame
        self.directions = np.concatenate([np.eye(d)[:, :_COORDINATES], raw], axis=1)
        m = self.directions.shape[1]
        self.members = 6 * m if members is None else members
        t = frame.points(pilot) @ self.directions
        self._medians = np.median(t, axis=0)
        #: standard deviation of squared coordinates, sqrt(2) for normals
        self.spread = max(
            math.sqrt(2), float(np.minimum(t * t, _SQUARES).std(axis=0).max()) if d else 0.0
        )
        self._above = np.zeros(m)  #: exact draws above the median of the pilot
        self._draws, self._truth = _Side.empty(m), _Side.empty(m)
        self._same = np.zeros((2, m))
        self._pairs = np.zeros(2)
        # Where log p does not vary, as on a uniform law, there is nothing to bet on.
        self._level = None if levels is None or not np.ptp(levels) > 0 else _centre_width(levels)
        self._fixed = BoundedBets(2.0, self.bets)
        self._learned = BoundedBets(2.0, 1)
        self._past: tuple[Vector, ...] | None = None
        self.log_e = 0.0  #: log of the average of the bets' wealth

    @property
    def bets(self) -> int:
        """Number of e-processes that are averaged with equal weights among the fixed functions."""
        return 4 * (self.directions.shape[1] + (self._level is not None))

    @property
    def n(self) -> int:
        """Draws so far."""
        return self._draws.n

    def update(self, x: Vector, y: Vector, levels: tuple[Vector, Vector] | None = None) -> float:
        """Adds draws ``x`` and at least as many exact draws ``y``, with their ``log p``; returns ``log E``."""
        a, b = self.frame.points(x), self.frame.points(y)
        t, u = a @ self.directions, b @ self.directions
        self._draws.add(t)
        self._truth.add(u)
        self._above += (u > self._medians).sum(axis=0)
        same = (t[:-1] > self._medians) == (t[1:] > self._medians)
        for parity in (0, 1):
            self._same[parity] += same[parity::2].sum(axis=0)
            self._pairs[parity] += len(same[parity::2])
        n = len(t)
        one, two = t, u[:n]
        if self._level is not None and levels is not None:
            one, two = (
                np.column_stack([side, self._unit(level[:n])])
                for side, level in zip((one, two), levels, strict=True)
            )
        self._fixed.update(_waves(one) - _waves(two))
        if self._past is not None:
            gap = _witness(a, self._past) - _witness(b[:n], self._past)
            self._learned.update(gap[:, None])
        old = (a[:0], b[:0]) if self._past is None else self._past
        self._past = tuple(
            np.concatenate([past, new])[-_WITNESS:] for past, new in zip(old, (a, b), strict=True)
        )
        self.log_e = log_mean([self._fixed.log_e, self._learned.log_e])
        return self.log_e

    def _unit(self, levels: Vector) -> Vector:
        assert self._level is not None
        centre, width = self._level
        return np.clip((levels - centre) / width, -1e6, 1e6)

    def effects(self, level: float) -> list[Effect]:
        """All families with their bounds; half of ``level`` pays for either sample."""
        each = level / (2 * self.members)
        out = [self._cdf(level / 2, each)]
        bounds: tuple[tuple[str, tuple[float, float], float], ...] = (
            ("mean", (-CLIP, CLIP), 1.0),
            ("variance", (0.0, _SQUARES), self.spread),
        )
        for name, ends, sd in bounds:
            out.append(self._moment(name, ends, sd, level / 2, each))
        out += [self._beyond(level / 2, each), self._neighbours(level, 2 * each)]
        return out

    def _cdf(self, level: float, each: float) -> Effect:
        a, b = self._draws, self._truth
        f = np.cumsum(a.grid, axis=1)[:, :-1] / a.n
        g = np.cumsum(b.grid, axis=1)[:, :-1] / b.n
        at = np.abs(f - g)
        where = at.argmax(axis=1)
        signed = (f - g)[np.arange(len(at)), where]
        strict = ci.dkw_radius(a.n, each) + ci.dkw_radius(b.n, each)
        loose = ci.dkw_radius(a.n, level) + ci.dkw_radius(b.n, level)
        # Between two edges both functions rise by what the cell holds; the sup lies within the larger.
        cell = np.maximum(a.grid.max(axis=1) / a.n, b.grid.max(axis=1) / b.n)
        seen = strict + float(cell.max()) + math.sqrt(math.log(1 / POWER) / (2 * a.n))
        size = np.abs(signed)
        high = np.minimum(size + cell + loose, 1.0)
        return _largest("cdf", signed, size - strict, high, seen)

    def _moment(
        self, name: str, ends: tuple[float, float], sd: float, level: float, each: float
    ) -> Effect:
        sums = [
            (s.firsts if name == "mean" else s.squares, s.n) for s in (self._draws, self._truth)
        ]
        (one, n), (two, m) = sums
        assert one is not None and two is not None  # an empty run has no effects to speak of
        relative = name == "variance"
        signed = one.mean / np.maximum(two.mean, _TINY) - 1 if relative else one.mean - two.mean

        def gap(at: float) -> tuple[Vector, Vector]:
            a, b = (
                (ci.betting_lower(s, ends, sd, at), ci.betting_upper(s, ends, sd, at))
                for s in (one, two)
            )
            if not relative:
                return a[0] - b[1], a[1] - b[0]
            # The truth's own mean square is known up to its bounds only; mean squares are not negative.
            least = np.maximum(a[0], 0.0) / np.maximum(b[1], _TINY) - 1
            return least, a[1] / np.maximum(b[0], _TINY) - 1

        low, high = gap(each / 2)
        bottom = np.maximum(low, -high)
        loose = gap(level / 2)
        top = np.maximum(loose[1], -loose[0])
        span = ends[1] - ends[0]
        seen = sum(ci.betting_radius(k, sd, span, each / 2) for k in (n, m))
        seen += -_normal(POWER) * sd * math.sqrt(1 / n + 1 / m)
        return _largest(name, signed, bottom, top, seen)

    def _beyond(self, level: float, each: float) -> Effect:
        a, b = self._draws, self._truth
        signed = a.beyond / a.n - b.beyond / b.n

        def gap(at: float) -> tuple[Vector, Vector]:
            # Draws may have too little mass there as well as too much.
            down = ci.bernoulli_lower(a.beyond, a.n, at) - ci.bernoulli_upper(b.beyond, b.n, at)
            up = ci.bernoulli_upper(a.beyond, a.n, at) - ci.bernoulli_lower(b.beyond, b.n, at)
            return down, up

        low, high = gap(each / 2)
        loose = gap(level / 2)
        bottom, top = np.maximum(low, -high), np.maximum(loose[1], -loose[0])
        return _largest("beyond", signed, bottom, top, 2 * seen_share(a.n, each / 2))

    def _neighbours(self, level: float, each: float) -> Effect:
        # The medians are those of a pilot: with a share 1/2 + e above, independent draws agree with probability
        # 1/2 + 2 e^2. The truth's own sample bounds e.
        size = self._pairs[:, None] + np.zeros(self.directions.shape[1])
        b = self._truth
        slack = np.maximum(
            ci.bernoulli_upper(self._above, b.n, each / 2) - 0.5,
            0.5 - ci.bernoulli_lower(self._above, b.n, each / 2),
        )
        expected = 0.5 + 2 * slack**2
        share = (self._same / size).ravel()
        bound = np.concatenate([expected, expected])
        low = np.maximum(
            ci.bernoulli_lower(self._same.ravel(), size.ravel(), each / 4) - bound,
            0.5 - ci.bernoulli_upper(self._same.ravel(), size.ravel(), each / 4),
        )
        high = np.maximum(
            ci.bernoulli_upper(self._same.ravel(), size.ravel(), level / 2) - 0.5,
            bound - ci.bernoulli_lower(self._same.ravel(), size.ravel(), level / 2),
        )
        seen = seen_share(float(size.min()), each / 4) + float((2 * slack**2).max())
        return _largest("neighbours", share - 0.5, low, high, seen)


def two_sample_needed(dim: int, spread: float, *, tolerance: float, level: float) -> int:
    """Draws with which every effect of an exact sampler is certified with probability 1 - 1e-4, to a few per cent.

    Args:
        dim: d.
        spread: standard deviation of squared coordinates, see :class:`TwoSampleMachine`.
        tolerance: allowed size of every effect.
        level: level of the last look.

    Returns:
        A number of draws; :data:`RATIO` times as many exact ones are needed.
    """
    columns = min(dim, _COORDINATES) + (_PROJECTIONS if dim > 1 else 0)
    z = -_normal(POWER / (6 * columns))

    def width(n: int) -> float:
        both = (n, RATIO * n)
        noise = math.sqrt(1 / n + 1 / (RATIO * n))
        fluctuation = math.sqrt(math.log(2 * 6 * columns / POWER) / 2) * noise
        cdf = sum(ci.dkw_radius(k, level / 2) for k in both) + fluctuation + 12 / GRID
        mean = sum(ci.betting_radius(k, 1.0, 2 * CLIP, level / 4) for k in both) + z * noise
        square = sum(ci.betting_radius(k, spread, _SQUARES, level / 4) for k in both)
        # Skewness of the squares lengthens both terms; their spread is that of a pilot.
        return max(cdf, mean, 1.15 * (square + z * spread * noise))

    n = 64
    while width(n) > tolerance and n < 1 << 40:
        n = math.ceil(n * 1.05)
    return n


def shift_log_wealth(x: Vector, y: Vector, n: int, deviations: float) -> float:
    """Logarithm of the wealth of the best bet on ``tanh(x) - tanh(y)`` after ``n`` pairs, less so many deviations.

    Args:
        x: coordinates ``(k,)`` of draws.
        y: as many of exact draws.
        n: number of pairs.
        deviations: standard deviations of the sum of logarithms that are taken off.
    """
    gap = (np.tanh(x) - np.tanh(y)) / 2.0
    best = -math.inf
    for rate in (*RATES, *(-r for r in RATES)):
        one = np.log1p(rate * gap)
        found = n * float(one.mean()) - deviations * math.sqrt(n) * float(one.std())
        best = max(best, found)
    # The bets of one function are averaged.
    return best - math.log(2 * len(RATES))


def _waves(t: Vector) -> Vector:
    """Bounded functions of coordinates in units of the standard deviation, all in ``[-1, 1]``."""
    return np.concatenate([np.tanh(t), np.sin(2 * t), np.cos(t), np.cos(2 * t)], axis=1)


def _centre_width(levels: Vector) -> tuple[float, float]:
    """Median and half the distance of the quantiles at one deviation, robust against values of minus infinity."""
    low, centre, high = np.quantile(levels[np.isfinite(levels)], [0.16, 0.5, 0.84])
    return float(centre), max(float(high - low) / 2, 1e-12)


def _witness(x: Vector, past: tuple[Vector, ...]) -> Vector:
    """Mean Gaussian kernel to past draws less that to past exact draws, in ``[-1, 1]``; width ``sqrt(d)``."""
    draws, truth = past
    return _kernel(x, draws) - _kernel(x, truth)


def _kernel(x: Vector, y: Vector) -> Vector:
    square = (x * x).sum(1)[:, None] + (y * y).sum(1)[None] - 2 * x @ y.T
    return np.exp(-np.maximum(square, 0.0) / (2 * x.shape[1])).mean(axis=1)


def _normal(level: float) -> float:
    from scipy import special

    return float(special.ndtri(level))


def _largest(name: str, signed: Vector, low: Vector, high: Vector, seen: float) -> Effect:
    worst = int(np.argmax(low)) if low.max() > 0 else int(np.argmax(np.abs(signed)))
    value = float(np.abs(signed).max())
    bottom, top = max(float(low.max()), 0.0), max(float(high.max()), value)
    return Effect(
        name,
        value,
        min(bottom, value),
        top,
        worst,
        float(signed[worst]),
        seen,
        LARGEST.get(name, 0.0),
    )
