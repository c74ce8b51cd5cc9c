"""Exact maps from diffused laws of the plane to two independent normals, by conditioning (Rosenblatt 1952).

With ``x = a x_0 + sqrt(v) z``:

* chains ``N(s; mu, S^2) N(x_2; m(s), V(s))`` (banana, funnel): ``x_1 ~ N(a mu, a^2 S^2 + v)``; given ``x_1`` the
  latent ``s`` is ``N(mu + g (x_1 - a mu), S^2 v / (a^2 S^2 + v))`` with ``g = a S^2 / (a^2 S^2 + v)``, and ``x_2``
  given ``s`` is ``N(a m(s), a^2 V(s) + v)``. Its distribution function given ``x_1`` is their average over ``s``;
* the double well keeps independent coordinates, the ring its symmetry: one coordinate goes through a distribution
  function that is integrated once for all (:mod:`.line_density`), the other is a normal or an angle.

The distribution function that is used has a density of its own, ``p^``. The map is exact for that density, so that
exact draws give normals whose density is off by the factor ``p / p^``, which is measured.
"""

from __future__ import annotations

import math
from typing import Any, Protocol

import numpy as np
from scipy import special

from ..theory.densities_2d import Banana, DoubleWell, Funnel, Ring
from ..theory.protocols import Vector
from .convolved import Convolved
from .line_density import LineDensity
from .rosenblatt import normal_of

_REACH = (
    8.0  #: standard deviations within which the error of a map is measured; mass 1e-15 lies beyond
)
_NODES = 12.0  #: reach of the latent, in its deviations given x_1
_STEP, _FINEST = 0.5, 1 / 128
_AGREE = 1e-13
USEFUL = 1e-5  #: error of a map beyond which exact draws are a better stand-in for the law
_BLOCK = 1 << 18  #: entries of one (rows, nodes) array
_LOG_2PI = math.log(2 * math.pi)


class PlaneMap(Protocol):
    """``(n, 2)`` draws to ``(n, 2)`` normals, with the relative error of their density."""

    error: float

    def __call__(self, x: Vector) -> Vector:
        """``(n, 2)`` normals."""
        ...


def plane_map(law: Convolved) -> PlaneMap | None:
    """The map of a diffused law of the plane; None where none is known, or none that is accurate."""
    found: PlaneMap
    if isinstance(law.base, Banana | Funnel):
        found = DiffusedChain(law)
    elif isinstance(law.base, DoubleWell):
        found = _DiffusedWell(law)
    elif isinstance(law.base, Ring):
        found = _DiffusedRing(law)
    else:
        return None
    return found if found.error < USEFUL else None


class DiffusedChain:
    """The map of a diffused chain whose first coordinate is normal.

    The average over the latent is a trapezoid sum, which converges geometrically: its step is halved until two sums
    of densities agree. The error is the largest distance to the adaptive quadrature of :class:`.Convolved`, and what
    the last halving changed.

    Attributes:
        error: estimated relative error of the density of the normals.
        step: step of the sum, in deviations of the latent given ``x_1``.
    """

    def __init__(self, law: Convolved) -> None:
        base, a, v = law.base, law.scale, law.variance
        self._base, self._a, self._v = base, a, v
        prior = base.std[0] ** 2
        self._mean, self._sd = a * base.location[0], math.sqrt(a * a * prior + v)
        self._start, self._gain = base.location[0], a * prior / self._sd
        self._width = base.std[0] * math.sqrt(v) / self._sd
        self.step = _STEP
        x, near = self._lattice(), self._lattice(5)
        self._place(self.step)
        found, change = self._log_density(x), math.inf
        while self.step > _FINEST:
            self.step /= 2
            self._place(self.step)
            before, found = found, self._log_density(x)
            change = float(np.abs(found - before).max())
            if change < _AGREE:
                break
        off = np.abs(np.expm1(self._log_density(near) - law.log_prob(near)))
        self.error = float(np.max(off + law.relative_error(near))) + math.expm1(min(change, 1.0))

    def __call__(self, x: Vector) -> Vector:
        """``(n, 2)`` normals of ``(n, 2)`` draws."""
        first = (x[:, 0] - self._mean) / self._sd
        second = np.empty(len(x))
        rows = max(1, _BLOCK // len(self._t))
        with np.errstate(all="ignore"):  # draws from outer space overflow
            for i in range(0, len(x), rows):
                u = self._standard(first[i : i + rows], x[i : i + rows, 1])[0]
                # The nearer tail is summed, so that neither loses relative accuracy.
                side = np.where(u @ self._weights > 0, -1.0, 1.0)
                tail = special.ndtr(side[:, None] * u) @ self._weights
                second[i : i + rows] = side * special.ndtri(np.minimum(tail, 1.0))
        return np.stack([first, second], axis=1)

    def _place(self, step: float) -> None:
        half = round(_NODES / step)
        self._t = step * np.arange(-half, half + 1)
        weights = np.exp(-(self._t**2) / 2)
        self._weights = weights / weights.sum()

    def _latent(self, first: Vector) -> Vector:
        """Mean of the latent given the normal of ``x_1``."""
        return self._start + self._gain * first

    def _standard(self, first: Vector, second: Vector) -> tuple[Vector, Vector]:
        """``(x_2 - a m(s)) / sd(s)`` at the nodes ``(n, nodes)``, and ``sd(s)``."""
        mean, variance = self._base.second(self._latent(first)[:, None] + self._width * self._t)
        sd = np.sqrt(self._a**2 * variance[0] + self._v)
        return (second[:, None] - self._a * mean[0]) / sd, sd

    def _log_density(self, x: Vector) -> Vector:
        """``log p^``, ``(n,)``."""
        first = (x[:, 0] - self._mean) / self._sd
        u, sd = self._standard(first, x[:, 1])
        logs = np.log(self._weights) - u * u / 2 - np.log(sd)
        along = -first * first / 2 - math.log(self._sd)
        return along + special.logsumexp(logs, axis=1) - _LOG_2PI

    def _lattice(self, size: int = 13) -> Vector:
        """Points that three normals make: of ``x_1``, of the latent given it, and of ``x_2`` given both."""
        line = np.linspace(-_REACH, _REACH, size)
        g = np.stack(np.meshgrid(line, line, line), axis=-1).reshape(-1, 3)
        g = g[(g * g).sum(axis=1) <= _REACH**2 * (1 + 1e-9)]
        s = self._latent(g[:, 0]) + self._width * g[:, 1]
        mean, variance = self._base.second(s)
        second = self._a * mean[0] + np.sqrt(self._a**2 * variance[0] + self._v) * g[:, 2]
        return np.stack([self._mean + self._sd * g[:, 0], second], axis=1)


class _DiffusedWell:
    """Independent coordinates: the first by its table, the second is normal."""

    def __init__(self, law: Convolved) -> None:
        base: Any = law.base
        self._centre = law.scale * base.location[1]
        self._sd = math.sqrt(law.scale**2 * base.std**2 + law.variance)
        normal = -math.log(self._sd) - _LOG_2PI / 2

        def ray(s: Vector) -> Vector:
            return np.stack([s, np.full_like(s, self._centre)], axis=1)

        middle, sd = float(law.mean[0]), math.sqrt(float(law.covariance[0, 0]))
        self._table = LineDensity(
            lambda s: law.log_prob(ray(s)) - normal,
            lambda s: law.score(ray(s))[:, 0],
            middle - 14 * sd,
            middle + 14 * sd,
            error=lambda s: law.relative_error(ray(s)),
        )
        self.error = self._table.error

    def __call__(self, x: Vector) -> Vector:
        """``(n, 2)`` normals of ``(n, 2)`` draws."""
        return np.stack([self._table.normal(x[:, 0]), (x[:, 1] - self._centre) / self._sd], axis=1)


class _DiffusedRing:
    """The radius by its table, the angle is uniform and independent of it."""

    def __init__(self, law: Convolved) -> None:
        base: Any = law.base
        self._centre = law.scale * np.asarray(base.centre)
        # The square of the radius of the base is a normal: nine deviations of it, and as many of the noise.
        square = base.radius**2 + 18 * base.radius * base.width * np.array([-1.0, 1.0])
        ends = law.scale * np.sqrt(np.maximum(square, 0))
        noise = 9.5 * math.sqrt(law.variance)

        def ray(r: Vector) -> Vector:
            return self._centre + np.stack([r, np.zeros_like(r)], axis=1)

        self._table = LineDensity(
            lambda r: law.log_prob(ray(r)) + _LOG_2PI,
            lambda r: law.score(ray(r))[:, 0],
            max(float(ends[0]) - noise, 0.0),
            float(ends[1]) + noise,
            error=lambda r: law.relative_error(ray(r)),
            power=1,
        )
        self.error = self._table.error

    def __call__(self, x: Vector) -> Vector:
        """``(n, 2)`` normals of ``(n, 2)`` draws."""
        off = x - self._centre
        angle = np.arctan2(off[:, 1], off[:, 0]) / (2 * math.pi) + 0.5
        return np.stack(
            [self._table.normal(np.hypot(off[:, 0], off[:, 1])), normal_of(angle)], axis=1
        )
