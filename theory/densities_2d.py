"""Laws of the plane without closed diffusion: double well, banana, funnel, ring.

The first three are chains (``chains.py``); the ring depends on the distance to its centre alone.
"""

from __future__ import annotations

import math
from functools import cached_property
from typing import Any

import numpy as np
from scipy import special

from ._checks import bad, parameter, positive
from ._tabulated import Tabulated
from .arrays import as_points, namespace
from .chains import LOG_2PI, Chain
from .protocols import Array, Vector


class DoubleWell(Chain):
    """``p(x) ~ exp(-height (q^2 - 1)^2 + tilt q) N(x_2; location_2, std^2)``, ``q = (x_1 - location_1) / width``.

    The constant has no closed form: it is computed once by Gauss-Legendre quadrature in float64, and
    ``normalisation_error`` is the relative change when half of the panels are used.

    Args:
        height: barrier at ``q = 0``, positive.
        tilt: makes one well deeper than the other.
        location: ``(2,)``.
        width: half the distance of the wells.
        std: standard deviation of ``x_2``.
    """

    def __init__(
        self,
        height: Any = 2.0,
        tilt: Any = 0.4,
        *,
        location: Any = (0.3, -0.5),
        width: Any = 1.0,
        std: Any = 0.7,
    ) -> None:
        self.height, self.width = positive(height, "height"), positive(width, "width")
        self.tilt = float(parameter(tilt, "tilt", 0))
        self.location, self.std = _pair(location, "location"), positive(std, "std")
        # -height (q^2 - 1)^2 + |tilt| q < -750 beyond this reach, where no double has mass.
        reach = math.sqrt(1 + math.sqrt(750 / self.height)) + (abs(self.tilt) / self.height) ** (
            1 / 3
        )
        self._table = Tabulated(lambda q: self._shape(q)[0], -reach, reach)
        self.normalisation_error = self._table.error
        bottom = self.width / math.sqrt(8 * self.height + 1)
        self.anchors = tuple((self.location[0] + sign * self.width, bottom) for sign in (-1, 1))

    def first(self, s: Array) -> tuple[Array, Array, Array]:
        """``log pi(s)`` and its first two derivatives."""
        log, slope, bend = self._shape((s - self.location[0]) / self.width)
        constant = self._table.log_z + math.log(self.width)
        return log - constant, slope / self.width, bend / self.width**2

    def second(self, s: Array) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
        """A constant mean and variance."""
        zero = namespace(s).zeros_like(s)
        return (zero + self.location[1], zero, zero), (zero + self.std**2, zero, zero)

    def first_from(self, u: Any, z: Any) -> Array:
        """The quantiles of ``u``, numpy float64; ``z`` is not used."""
        q = self._table.quantile(np.maximum(np.asarray(u, dtype=np.float64), 2.0**-54))
        return self.location[0] + self.width * q

    @cached_property
    def mean(self) -> Vector:
        """``E x`` by the quadrature of the constant, shape ``(2,)``."""
        return np.array(
            [
                self.location[0] + self.width * self._table.expectation(lambda q: q),
                self.location[1],
            ]
        )

    @cached_property
    def covariance(self) -> Vector:
        """``Cov x`` by the quadrature of the constant, shape ``(2, 2)``."""
        centre = self._table.expectation(lambda q: q)
        spread = self._table.expectation(lambda q: (q - centre) ** 2)
        return np.diag([self.width**2 * spread, self.std**2])

    def _shape(self, q: Array) -> tuple[Array, Array, Array]:
        h, gap = self.height, q * q - 1
        return -h * gap * gap + self.tilt * q, -4 * h * q * gap + self.tilt, -4 * h * (3 * gap + 2)

    def __repr__(self) -> str:
        return f"DoubleWell(height={self.height:g}, tilt={self.tilt:g})"


class _GaussianFirst(Chain):
    """A chain with ``x_1 ~ N(location_1, std_1^2)``."""

    location: tuple[float, ...]
    std: tuple[float, ...]

    def first(self, s: Array) -> tuple[Array, Array, Array]:
        """``log pi(s)`` and its first two derivatives."""
        z = (s - self.location[0]) / self.std[0]
        log = -0.5 * z * z - 0.5 * LOG_2PI - math.log(self.std[0])
        bend = namespace(s).zeros_like(s) - 1 / self.std[0] ** 2
        return log, -z / self.std[0], bend

    def first_from(self, u: Any, z: Any) -> Array:
        """``location_1 + std_1 z``; ``u`` is not used."""
        return self.location[0] + self.std[0] * z

    @property
    def anchors(self) -> tuple[tuple[float, float], ...]:
        """Mean and standard deviation of ``x_1``."""
        return ((self.location[0], self.std[0]),)


class Banana(_GaussianFirst):
    """``x_1 ~ N(location_1, std_1^2)``, ``x_2 | x_1 ~ N(location_2 + slope c + bend (c^2 - std_1^2), std_2^2)``.

    Here ``c = x_1 - location_1``. Mean ``location``, covariance
    ``[[std_1^2, slope std_1^2], [., std_2^2 + slope^2 std_1^2 + 2 bend^2 std_1^4]]``.

    Args:
        location: ``(2,)``.
        std: ``(2,)`` positive.
        slope: linear dependence of ``x_2`` on ``x_1``.
        bend: quadratic dependence.
    """

    def __init__(
        self,
        location: Any = (0.5, -0.8),
        std: Any = (1.1, 0.4),
        *,
        slope: Any = 0.3,
        bend: Any = 0.6,
    ) -> None:
        self.location, self.std = _pair(location, "location"), _pair(std, "std", above_zero=True)
        self.slope = float(parameter(slope, "slope", 0))
        self.bend = float(parameter(bend, "bend", 0))

    def second(self, s: Array) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
        """A parabola as mean, a constant variance."""
        c = s - self.location[0]
        zero = namespace(s).zeros_like(s)
        mean = self.location[1] + self.slope * c + self.bend * (c * c - self.std[0] ** 2)
        slopes = (mean, self.slope + 2 * self.bend * c, zero + 2 * self.bend)
        return slopes, (zero + self.std[1] ** 2, zero, zero)

    @property
    def mean(self) -> Vector:
        """``location``, shape ``(2,)``."""
        return np.array(self.location)

    @property
    def covariance(self) -> Vector:
        """In closed form, shape ``(2, 2)``."""
        one, two = self.std[0] ** 2, self.std[1] ** 2
        cross = self.slope * one
        return np.array(
            [[one, cross], [cross, two + self.slope * cross + 2 * (self.bend * one) ** 2]]
        )

    def __repr__(self) -> str:
        return f"Banana(slope={self.slope:g}, bend={self.bend:g})"


class Funnel(_GaussianFirst):
    """``x_1 ~ N(location_1, std^2)``, ``x_2 | x_1 ~ N(location_2, exp(x_1))`` (Neal 2003, section 8).

    Mean ``location``, covariance ``diag(std^2, exp(location_1 + std^2 / 2))``.

    Args:
        std: of ``x_1``, positive; Neal takes 3.
        location: ``(2,)``.
    """

    def __init__(self, std: Any = 1.0, *, location: Any = (-0.4, 0.7)) -> None:
        self.location = _pair(location, "location")
        self.std = (positive(std, "std"),)

    def second(self, s: Array) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
        """A constant mean, the variance ``exp(s)``."""
        xp = namespace(s)
        zero, v = xp.zeros_like(s), xp.exp(s)
        return (zero + self.location[1], zero, zero), (v, v, v)

    @property
    def mean(self) -> Vector:
        """``location``, shape ``(2,)``."""
        return np.array(self.location)

    @property
    def covariance(self) -> Vector:
        """In closed form, shape ``(2, 2)``."""
        variance = self.std[0] ** 2
        return np.diag([variance, math.exp(self.location[0] + variance / 2)])

    def __repr__(self) -> str:
        return f"Funnel(std={self.std[0]:g})"


class Ring:
    """``p(x) ~ exp(-(r^2 - radius^2)^2 / (8 radius^2 width^2))`` with ``r = |x - centre|``.

    Near the ring the radius is almost ``N(radius, width^2)``, and the density is smooth at the centre.
    With ``tau = 2 radius width`` the square ``q = r^2`` is ``N(radius^2, tau^2)`` truncated to ``q > 0``,
    so the constant ``pi sqrt(2 pi) tau Phi(radius^2 / tau)`` and the quantiles are closed.

    Args:
        radius: positive.
        width: positive.
        centre: ``(2,)``.
    """

    dim = 2

    def __init__(self, radius: Any = 1.5, width: Any = 0.25, *, centre: Any = (0.6, -0.4)) -> None:
        self.radius, self.width = positive(radius, "radius"), positive(width, "width")
        self.centre = _pair(centre, "centre")
        self._tau = 2 * self.radius * self.width
        self._alpha = self.radius**2 / self._tau
        self._constant = (
            math.log(math.pi * self._tau) + 0.5 * LOG_2PI + float(special.log_ndtr(self._alpha))
        )

    @property
    def anchors(self) -> tuple[tuple[float, float], ...]:
        """Where the radius has its mass."""
        return ((self.radius, self.width),)

    def log_radius(self, r: Array) -> tuple[Array, Array, Array]:
        """``log p`` as a function of the radius and its first two derivatives, in the shape of ``r``."""
        gap, square = r * r - self.radius**2, self._tau**2
        return (
            -0.5 * (gap / self._tau) ** 2 - self._constant,
            -2 * r * gap / square,
            -2 * (gap + 2 * r * r) / square,
        )

    def log_prob(self, x: Array) -> Array:
        """Shape ``(...)`` for ``x`` of shape ``(..., 2)``.

        Raises:
            ValueError: ``x`` is not of shape ``(..., 2)``.
        """
        gap = self._gap(self._off(x))
        return -0.5 * gap * gap - self._constant

    def score(self, x: Array) -> Array:
        """``-2 (r^2 - radius^2) (x - centre) / tau^2``, shape ``(..., 2)``."""
        off = self._off(x)
        return -2 / self._tau * self._gap(off)[..., None] * off

    def hessian(self, x: Array) -> Array:
        """``-(2 / tau^2) [(r^2 - radius^2) I + 2 (x - centre)(x - centre)']``, shape ``(..., 2, 2)``."""
        xp = namespace(x)
        off = self._off(x)
        outer = off[..., :, None] * off[..., None, :]
        gap = self._gap(off)
        zero = xp.zeros_like(gap)
        rows = [xp.stack([gap, zero], axis=-1), xp.stack([zero, gap], axis=-1)]
        return -2 / self._tau * xp.stack(rows, axis=-2) - 4 / self._tau**2 * outer

    def divergence(self, x: Array) -> Array:
        """``-(4 / tau^2) (2 r^2 - radius^2)``, shape ``(...)``."""
        xp = namespace(x)
        off = self._off(x)
        return -4 / self._tau**2 * (2 * xp.sum(off * off, axis=-1) - self.radius**2)

    @property
    def mean(self) -> Vector:
        """``centre``, shape ``(2,)``."""
        return np.array(self.centre)

    @property
    def covariance(self) -> Vector:
        """``E r^2 / 2`` times the identity, with the mean of a truncated normal, shape ``(2, 2)``."""
        log_hazard = -0.5 * (self._alpha**2 + LOG_2PI) - float(special.log_ndtr(self._alpha))
        return 0.5 * (self.radius**2 + self._tau * math.exp(log_hazard)) * np.eye(2)

    def transport(self, u: Any, z: Any) -> Vector:
        """Exact draws ``(n, 2)`` in numpy: the radius from ``u`` ``(n,)``, the direction from ``z`` ``(n, 2)``."""
        level, normal = np.asarray(u, dtype=np.float64), np.asarray(z, dtype=np.float64)
        # Each half is inverted from its own tail, or the outer one would lose its digits.
        inner = special.ndtri(special.ndtr(-self._alpha) + level * special.ndtr(self._alpha))
        outer = -special.ndtri((1 - level) * special.ndtr(self._alpha))
        square = self.radius**2 + self._tau * np.where(level < 0.5, inner, outer)
        direction = normal / np.linalg.norm(normal, axis=-1, keepdims=True)
        return np.array(self.centre) + np.sqrt(np.maximum(square, 0.0))[:, None] * direction

    def _off(self, x: Array) -> Array:
        y = as_points(x, 2)
        xp = namespace(y)
        return xp.stack([y[..., 0] - self.centre[0], y[..., 1] - self.centre[1]], axis=-1)

    def _gap(self, off: Array) -> Array:
        return (namespace(off).sum(off * off, axis=-1) - self.radius**2) / self._tau

    def __repr__(self) -> str:
        return f"Ring(radius={self.radius:g}, width={self.width:g})"


def _pair(value: Any, argument: str, *, above_zero: bool = False) -> tuple[float, ...]:
    pair = parameter(value, argument, 1)
    if pair.shape != (2,):
        raise bad(argument, f"shape {pair.shape}", "(2,)", "pass two numbers")
    if above_zero and (pair <= 0).any():
        raise bad(argument, f"smallest entry {pair.min():g}", "positive numbers", "check the sign")
    return tuple(float(v) for v in pair)
