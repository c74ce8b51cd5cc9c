"""The supporting machine: bounded effects of a sampler, certified for any law that the draws may have.

From labels and normals (:mod:`.gaussianise`) eight families of effects are followed, all zero under the target:

* ``weights``: ``max_k |P(c = k) - w_k|``;
* ``cumulated``: ``max_k |P(c <= k) - sum_{j <= k} w_j|``, which sees many small weights together;
* ``cdf``: ``max_j sup_t |P(v_j' z <= t) - Phi(t)|`` over fixed whitened directions ``v_j``;
* ``radius``: ``sup_t |P(|z|^2 <= t) - chi2_d(t)|``;
* ``mean``: ``max_j |E y_j|`` and ``variance``: ``max_j |E y_j^2 / E_p y_j^2 - 1|`` with ``y_j`` the coordinate or
  projection clipped at +-6 (the second about the mean of the target);
* ``beyond``: ``max_j P(|v_j' z| > 6)``;
* ``neighbours``: ``max_j |P(z_ij z_i+1,j > 0) - 1/2|`` over disjoint pairs of consecutive draws. All bounds take the
  draws as independent, and this is where dependence shows.

A maximum is certified small if each member is, each at the full level (intersection-union: to err, the one
member that is large must be bounded wrongly); it is certified large at the level divided by the number of members.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from scipy import special

from ..theory.protocols import Vector
from . import confidence as ci
from .views import COORDINATES, GRID, PROJECTIONS, View

CLIP = 6.0
#: clipping hides what is larger; half of all pairs have like signs in any case
LARGEST = {
    "mean": CLIP - 1,
    "variance": 8.0,
    "cdf": 0.95,
    "radius": 0.95,
    "beyond": 1.0,
    "neighbours": 0.5,
}
POWER = 1e-4  #: a defect of size ``detectable`` stays unseen with at most this probability
TALL = CLIP**2
#: ``E min(Z^2, 36)`` for Z ~ N(0, 1)
_SQUARE = float(
    special.ndtr(CLIP)
    - special.ndtr(-CLIP)
    - 2 * CLIP * math.exp(-TALL / 2) / math.sqrt(2 * math.pi)
    + 2 * TALL * special.ndtr(-CLIP)
)


@dataclass(frozen=True)
class Effect:
    """The largest member of a family.

    Attributes:
        name: family.
        value: estimate of the largest absolute effect.
        low: certified lower bound, all families together at the level.
        high: certified upper bound.
        worst: index of the member that exceeds the tolerance most surely.
        signed: estimate of the effect of that member, with its sign.
        detectable: excess over the tolerance that is refuted with probability 1 - 1e-4.
        largest: the largest effect that draws can have at all, as far as corruptions of them go.
    """

    name: str
    value: float
    low: float
    high: float
    worst: int
    signed: float
    detectable: float
    largest: float

    def sees_mutants(self, tolerance: float) -> bool:
        """Whether a corruption by the tolerance and twice what is detectable is possible."""
        return tolerance + 2 * self.detectable <= self.largest


class EffectSums:
    """Running sums of all effects; memory does not grow with the number of draws.

    Args:
        weights: exact label probabilities ``(K,)``.
        dim: number of normals a draw.
        error: error of the distribution functions behind ``z``; all bounds widen by it.
        members: number of effects over which the level is split; None counts those of this object.
    """

    def __init__(
        self, weights: Vector, dim: int, *, error: float = 0.0, members: int | None = None
    ) -> None:
        self.weights, self.dim, self.error = weights, dim, error
        self.members = count_members(len(weights), dim) if members is None else members
        self.n = 0
        self.counts = np.zeros(len(weights))
        self._firsts: ci.PowerSums | None = None
        self._squares: ci.PowerSums | None = None
        self._beyond: Vector | None = None
        self._grid: Vector | None = None
        self._radius = np.zeros(GRID)
        self._same = np.zeros((2, dim))
        self._pairs = np.zeros(2)

    def update(self, view: View) -> None:
        """Adds one batch."""
        self.n += len(view.labels)
        self.counts += np.bincount(view.labels, minlength=len(self.weights))
        if not self.dim:
            return
        y = view.columns
        clipped = np.clip(y, -CLIP, CLIP)
        firsts = ci.PowerSums.of(clipped, 0.0)
        squares = ci.PowerSums.of(clipped * clipped, _SQUARE)
        beyond = (np.abs(y) > CLIP).sum(axis=0).astype(float)
        grid = view.grid
        if (
            self._firsts is None
            or self._squares is None
            or self._beyond is None
            or self._grid is None
        ):
            self._firsts, self._squares = firsts, squares
            self._beyond, self._grid = beyond, grid
        else:
            self._firsts, self._squares = self._firsts + firsts, self._squares + squares
            self._beyond, self._grid = self._beyond + beyond, self._grid + grid
        if self.dim > 1:
            self._radius += view.radius_grid[0]
        # Even and odd pairs apart: within either, pairs of independent draws are independent.
        positive = view.z > 0
        same = positive[:-1] == positive[1:]
        for parity in (0, 1):
            self._same[parity] += same[parity::2].sum(axis=0)
            self._pairs[parity] += len(same[parity::2])

    @classmethod
    def weighted(
        cls, values: Vector, counts: Vector, pairs: Vector, *, error: float, members: int
    ) -> EffectSums:
        """Sums of one coordinate that takes ``values`` so many times.

        Args:
            values: ``(m,)``.
            counts: ``(m,)``.
            pairs: even and odd pairs of neighbours of like sign, and all of them, ``(2, 2)``.
            error: as in the constructor.
            members: as in the constructor.
        """
        out = cls(np.ones(1), 1, error=error, members=members)
        out.n = round(float(counts.sum()))
        out.counts = np.array([float(out.n)])
        clipped = np.clip(values, -CLIP, CLIP)
        powers = np.arange(1, 5)[:, None]
        sums = [(y**powers @ counts)[:, None] for y in (clipped, clipped**2 - _SQUARE)]
        out._firsts = ci.PowerSums(out.n, 0.0, sums[0])
        out._squares = ci.PowerSums(out.n, _SQUARE, sums[1])
        out._beyond = np.array([counts[np.abs(values) > CLIP].sum()])
        cell = np.minimum((special.ndtr(values) * GRID).astype(np.int64), GRID - 1)
        out._grid = np.bincount(cell, weights=counts, minlength=GRID)[None].astype(float)
        out._same, out._pairs = pairs[0][:, None], pairs[1]
        return out

    def replace(self, radii: np.ndarray, same: np.ndarray, pairs: np.ndarray) -> None:
        """Puts other counts in the place of those of radii and neighbours."""
        self._radius = np.asarray(radii, dtype=float)
        self._same, self._pairs = np.asarray(same, dtype=float)[:, None], np.asarray(pairs)

    @property
    def pairs(self) -> Vector:
        """Even and odd pairs of neighbours whose first coordinates have like signs, and all such pairs, ``(2, 2)``."""
        return np.stack([self._same[:, 0], self._pairs])

    @property
    def radii(self) -> Vector:
        """Counts ``(GRID,)`` of the probabilities of ``|z|^2``."""
        return self._radius

    def effects(self, level: float, tolerance: float) -> list[Effect]:
        """All families with their bounds.

        Args:
            level: false alarms for all families together, and for certifying each one.
            tolerance: the allowed size; it only enters ``detectable`` of the variance.
        """
        out = []
        each = level / self.members
        if len(self.weights) > 1:
            found = self._probabilities("weights", self.counts, self.weights, level, each)
            out.append(replace(found, largest=weight_room(self.weights)))
            found = self._cumulated(level, each)
            out.append(replace(found, largest=cumulated_room(self.weights)[0]))
        if not self.dim:
            return out
        assert self._firsts and self._squares  # an empty run has no effects to speak of
        assert self._grid is not None
        out.append(_distribution("cdf", self._grid, self.n, level, each, self.error))
        if self.dim > 1:
            radius = self._radius[None]
            out.append(_distribution("radius", radius, self.n, level, each, self.error))
        seen = _seen(self.n, each, tolerance)
        slack = self.error * 2 * CLIP
        bounds = (-CLIP, CLIP)
        out.append(
            _bet("mean", self._firsts, bounds, 1.0, (0.0, 1.0), level, each, slack, seen[0])
        )
        slack = self.error * TALL
        bounds, target = (0.0, TALL), (_SQUARE, _SQUARE)
        spread = math.sqrt(2)
        out.append(
            _bet("variance", self._squares, bounds, spread, target, level, each, slack, seen[1])
        )
        zero = np.zeros(len(self._firsts.mean))
        out.append(self._probabilities("beyond", self._beyond, zero, level, each))
        if self._pairs.min() > 0:
            pairs = self._pairs[:, None] + np.zeros(self.dim)
            half = np.full(self._same.size, 0.5)
            out.append(
                self._probabilities(
                    "neighbours", self._same.ravel(), half, level, each, n=pairs.ravel()
                )
            )
        return out

    def _probabilities(
        self,
        name: str,
        counts: Vector | None,
        truth: Vector,
        level: float,
        each: float,
        *,
        n: Vector | None = None,
    ) -> Effect:
        size = np.full(len(truth), float(self.n)) if n is None else n
        signed = np.asarray(counts) / size - truth
        low = np.maximum(
            ci.bernoulli_lower(counts, size, each / 2) - truth,
            truth - ci.bernoulli_upper(counts, size, each / 2),
        )
        high = np.maximum(
            ci.bernoulli_upper(counts, size, level) - truth,
            truth - ci.bernoulli_lower(counts, size, level),
        )
        return _largest(name, signed, low, high, self.error, seen_share(size.min(), each))

    def _cumulated(self, level: float, each: float) -> Effect:
        signed = np.cumsum(self.counts / self.n - self.weights)
        k = int(np.argmax(np.abs(signed)))
        at, size = signed[k : k + 1], np.abs(signed[k : k + 1])
        noise = ci.dkw_radius(self.n, each)
        high = np.minimum(size + ci.dkw_radius(self.n, level), 1.0)
        seen = seen_share(self.n, each)
        found = _largest("cumulated", at, size - noise, high, self.error, seen)
        return replace(found, worst=k)


def radius_effect(grid: Vector, sums: EffectSums, level: float) -> Effect:
    """The family ``radius`` for other counts ``(GRID,)``, with dimension and members of ``sums``."""
    n = round(float(grid.sum()))
    return _distribution("radius", grid[None], n, level, level / sums.members, sums.error)


def _distribution(
    name: str, grid: Vector, n: int, level: float, each: float, slack: float
) -> Effect:
    """Sup-distances of distribution functions from counts ``(m, cells)`` of ``n`` probabilities."""
    at = np.cumsum(grid, axis=1)[:, :-1] / n - np.arange(1, GRID) / GRID
    where = np.abs(at).argmax(axis=1)
    signed = at[np.arange(len(at)), where]
    size = np.abs(signed)
    low = size - ci.dkw_radius(n, each)
    # Between two grid points a distribution function strays by at most one cell.
    high = np.minimum(size + 1 / GRID + ci.dkw_radius(n, level), 1.0)
    seen = ci.dkw_radius(n, each) + 1 / GRID + math.sqrt(math.log(1 / POWER) / (2 * n))
    return _largest(name, signed, low, high, slack, seen)


def count_members(labels: int, dim: int) -> int:
    """Number of effects that :class:`EffectSums` follows."""
    columns = dim + (PROJECTIONS if dim > 1 else 0)
    followed = min(dim, COORDINATES) + columns - dim
    return (
        (labels + 1 if labels > 1 else 0)
        + 3 * columns
        + followed
        + 2 * dim
        + (1 if dim > 1 else 0)
    )


def _bet(
    name: str,
    sums: ci.PowerSums,
    bounds: tuple[float, float],
    sd: float,
    target: tuple[float, float],
    level: float,
    each: float,
    slack: float,
    seen: float,
) -> Effect:
    """Family of means; ``target`` is the exact mean and the unit in which effects are counted."""
    truth, unit = target
    signed = (sums.mean - truth) / unit
    strict = (
        ci.betting_lower(sums, bounds, sd, each / 2),
        ci.betting_upper(sums, bounds, sd, each / 2),
    )
    loose = (ci.betting_lower(sums, bounds, sd, level), ci.betting_upper(sums, bounds, sd, level))
    low = np.maximum(strict[0] - truth, truth - strict[1]) / unit
    high = np.maximum(loose[1] - truth, truth - loose[0]) / unit
    return _largest(name, signed, low, high, slack, seen)


def _largest(
    name: str, signed: Vector, low: Vector, high: Vector, slack: float, seen: float
) -> Effect:
    worst = int(np.argmax(low)) if low.max() > 0 else int(np.argmax(np.abs(signed)))
    value = float(np.abs(signed).max())
    bottom = max(float(low.max()) - slack, 0.0)
    top = max(float(high.max()) + slack, value)
    return Effect(
        name,
        value,
        min(bottom, value),
        top,
        worst,
        float(signed[worst]),
        seen + slack,
        LARGEST.get(name, 0.0),
    )


def weight_room(weights: Vector) -> float:
    """Largest change that one weight can suffer."""
    return max(float(weights.max()), 1 - float(weights.min()))


def cumulated_room(weights: Vector) -> tuple[float, int]:
    """Largest change that a sum of the first weights can suffer, and how many they are; a loss if above 1/2."""
    sums = np.cumsum(weights)[:-1]
    k = int(np.argmax(np.maximum(sums, 1 - sums)))
    return float(max(sums[k], 1 - sums[k])), k + 1


def seen_share(n: float, each: float) -> float:
    """Detectable excess of a probability, estimated from ``n`` trials."""
    return math.sqrt(math.log(2 / each) / (2 * n)) + math.sqrt(math.log(1 / POWER) / (2 * n))


def _seen(n: int, each: float, tolerance: float) -> tuple[float, float]:
    """Detectable excess of a mean shift and of a relative variance, in N(0, s^2) directions."""
    z = -float(special.ndtri(POWER))
    mean = ci.betting_radius(n, 1.0, 2 * CLIP, each / 2) + z / math.sqrt(n)
    rate = ci.betting_rate(n, math.sqrt(2), TALL, each / 2)
    cost, excess = math.log(2 / each) / (rate * n), 0.0
    for _ in range(200):
        size = 1 + tolerance + excess
        excess = cost + rate * size**2 + z * math.sqrt(2 / n) * size
        if excess > TALL:
            return mean, math.inf
    return mean, excess
