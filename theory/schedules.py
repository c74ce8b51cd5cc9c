"""Noise schedules: continuous ``beta(t)`` with exact integrals, and the discrete betas of the literature.

A schedule of a variance-preserving diffusion is ``beta(t) >= 0`` on [0, 1]; its kernel needs
``B(t, s) = int_s^t beta`` through ``exp(-B/2)`` and ``1 - exp(-B)`` alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, wraps
from typing import Any, Protocol

import numpy as np

from ._checks import bad, parameter, positive
from .arrays import is_array, like, namespace
from .linear import functions
from .protocols import Array, Vector


class BetaSchedule(Protocol):
    """``beta(t)`` on [0, 1] with the exact exponentials of its integral."""

    def beta(self, t: Array) -> Array:
        """``beta(t)``, in the shape of ``t``."""
        ...

    def integral(self, t: Array, s: Array) -> Array:
        """``B = int_s^t beta``, without cancellation for ``t`` near ``s``."""
        ...

    def decay(self, t: Array, s: Array) -> tuple[Array, Array]:
        """``exp(-B/2)`` and ``1 - exp(-B)``."""
        ...

    def time(self, integral: Array) -> Array:
        """The t with ``int_0^t beta = integral``."""
        ...


def exponentials(integral: Array) -> tuple[Array, Array]:
    """``exp(-B/2)`` and ``1 - exp(-B)`` of ``B``."""
    xp = functions(integral)
    return xp.exp(-0.5 * integral), -xp.expm1(-integral)


@dataclass(frozen=True)
class LinearBeta:
    """``beta(t) = beta_min + (beta_max - beta_min) t`` (Song et al. 2021, App. C)."""

    beta_min: float
    beta_max: float

    def beta(self, t: Array) -> Array:
        """``beta(t)``, in the shape of ``t``."""
        return self.beta_min + (self.beta_max - self.beta_min) * t

    def integral(self, t: Array, s: Array) -> Array:
        """``(t - s) beta((t + s)/2)``."""
        return (t - s) * self.beta((t + s) / 2)

    def decay(self, t: Array, s: Array) -> tuple[Array, Array]:
        """``exp(-B/2)`` and ``1 - exp(-B)``."""
        return exponentials(self.integral(t, s))

    def time(self, integral: Array) -> Array:
        """Root of ``beta_min t + (beta_max - beta_min) t^2 / 2 = B`` in the form without cancellation."""
        xp = functions(integral)
        square = self.beta_min**2 + 2 * (self.beta_max - self.beta_min) * integral
        # A falling schedule reaches its last level where the root is smallest, beta_max at t = 1.
        floor = 0.5 * min(self.beta_min, self.beta_max) ** 2
        if is_array(square):
            square = xp.where(square < floor, xp.full_like(square, floor), square)
        else:
            square = max(square, floor)
        return 2 * integral / (self.beta_min + xp.sqrt(square))


def _flat(method: Callable[..., Any]) -> Callable[..., Any]:
    """Lets a method written for vectors of one length take numbers and arrays that broadcast."""

    @wraps(method)
    def wrapped(self: Any, *times: Array) -> Any:
        arrays = [t for t in times if is_array(t)]
        if not arrays:
            out = method(self, *(np.asarray([t], dtype=np.float64) for t in times))
            return tuple(float(v[0]) for v in out) if isinstance(out, tuple) else float(out[0])
        xp = namespace(*arrays)
        zero: Any = sum(t * 0 for t in times)
        out = method(self, *(xp.reshape(t + zero, (-1,)) for t in times))
        restored = [xp.reshape(v, zero.shape) for v in (out if isinstance(out, tuple) else [out])]
        return tuple(restored) if isinstance(out, tuple) else restored[0]

    return wrapped


@dataclass(frozen=True)
class CosineBeta:
    """``alpha(t) = cos(u(t)) / cos(u(0))``, ``u(t) = (pi/2) (t + s)/(1 + s)``, until beta reaches its cap.

    ``beta = pi/(1 + s) tan u`` is infinite at t = 1. It is cut at ``beta_max``: from the time
    ``t_c = 1 - (2 (1+s)/pi) arctan(pi / ((1+s) beta_max))`` on it stays there. Before ``t_c`` the kernel is
    exactly the cosine ratio. The default 999 is the clip ``beta_i <= 0.999`` of a chain of 1000 steps.

    Reference:
        Nichol and Dhariwal 2021, Eq. 17.
    """

    s: float
    beta_max: float

    @property
    def rate(self) -> float:
        """``du/dt``."""
        return 0.5 * math.pi / (1 + self.s)

    @property
    def beta_min(self) -> float:
        """``beta(0)``."""
        return 2 * self.rate * math.tan(self.rate * self.s)

    @cached_property
    def cut(self) -> float:
        """The time ``t_c`` from which on beta is constant."""
        return 1 - math.atan(2 * self.rate / self.beta_max) / self.rate

    @_flat
    def beta(self, t: Array) -> Array:
        """``min(pi/(1+s) tan u(t), beta_max)``."""
        xp = namespace(t)
        late = t >= self.cut
        inside = xp.where(late, t * 0, t)
        tangent = xp.sin(self.rate * (inside + self.s)) / xp.sin(self.rate * (1 - inside))
        return xp.where(late, t * 0 + self.beta_max, 2 * self.rate * tangent)

    @_flat
    def decay(self, t: Array, s: Array) -> tuple[Array, Array]:
        """``cos u_t / cos u_s`` and ``sin(u_t + u_s) sin(u_t - u_s) / cos^2 u_s``, then the constant part."""
        xp = namespace(t)
        t1, s1, flat = self._split(t, s)
        # cos u = sin(rate (1 - t)) keeps its relative precision near t = 1.
        cos_t, cos_s = xp.sin(self.rate * (1 - t1)), xp.sin(self.rate * (1 - s1))
        sin_t, sin_s = xp.sin(self.rate * (t1 + self.s)), xp.sin(self.rate * (s1 + self.s))
        scale = cos_t / cos_s
        spread = (sin_t * cos_s + cos_t * sin_s) * xp.sin(self.rate * (t1 - s1)) / cos_s**2
        late_scale, late_spread = exponentials(flat)
        return scale * late_scale, spread * late_scale**2 + late_spread

    @_flat
    def integral(self, t: Array, s: Array) -> Array:
        """``-2 log(cos u_t / cos u_s)``, then ``beta_max`` times the rest."""
        xp = namespace(t)
        t1, s1, flat = self._split(t, s)
        scale, spread = self.decay(t1, s1)
        near = spread < 0.5
        small = -xp.log1p(-xp.where(near, spread, spread * 0))
        return xp.where(near, small, -2 * xp.log(scale)) + flat

    @_flat
    def time(self, integral: Array) -> Array:
        """``tan^2 u = tan^2 u_0 + expm1(B) / cos^2 u_0``, solved for ``u - u_0``."""
        xp = namespace(integral)
        late = integral - self._cut_integral
        early = xp.where(late > 0, integral * 0 + self._cut_integral, integral)
        first = math.tan(self.rate * self.s)
        gained = xp.expm1(early) * (1 + first**2)
        tangent = xp.sqrt(first**2 + gained)
        step = xp.atan(gained / (tangent + first) / (1 + first * tangent))
        return step / self.rate + xp.where(late > 0, late, late * 0) / self.beta_max

    @cached_property
    def _cut_integral(self) -> float:
        return self.integral(self.cut, 0.0)

    def _split(self, t: Array, s: Array) -> tuple[Array, Array, Array]:
        xp = namespace(t)
        cut = t * 0 + self.cut
        t1, s1 = xp.where(t > cut, cut, t), xp.where(s > cut, cut, s)
        late_s = xp.where(s > cut, s, cut)
        return t1, s1, xp.where(t > cut, self.beta_max * (t - late_s), t * 0)


class StepBeta:
    """Constant between the grid points ``t_i = i/N``: ``beta = -N log(1 - beta_i)`` on ``(t_{i-1}, t_i]``.

    The kernel between grid points is that of the discrete chain ``x_i = sqrt(1-beta_i) x_{i-1} +
    sqrt(beta_i) z``: ``alpha_bar_j / alpha_bar_i`` is the product of ``1 - beta``.

    Args:
        betas: ``(N,)``, each in ``[0, 1)``.

    Raises:
        ValueError: entries outside ``[0, 1)``, all zero, or not finite.
    """

    def __init__(self, betas: Any) -> None:
        steps = parameter(betas, "betas", 1)
        if (steps < 0).any() or (steps >= 1).any() or not steps.any():
            raise bad(
                "betas", f"values in [{steps.min():g}, {steps.max():g}]", "0 <= beta_i < 1, not all 0",
                "clip them, e.g. at 0.999 (no chain forgets x in one step)",
            )  # fmt: skip
        self.betas = steps
        self.size = steps.shape[0]
        self._amounts = -np.log1p(-steps)
        self._knots = np.arange(self.size + 1) / self.size
        self._rates = self._amounts / np.diff(self._knots)
        # The sums are kept to twice double precision: their differences must be exact.
        total, high, low = Fraction(0), [0.0], [0.0]
        for amount in self._amounts:
            total += Fraction(float(amount))
            high.append(float(total))
            low.append(float(total - Fraction(high[-1])))
        self._high, self._low = np.array(high), np.array(low)
        self.beta_min, self.beta_max = float(self._rates.min()), float(self._rates.max())

    @property
    def alpha_bar(self) -> Vector:
        """``prod_{j <= i} (1 - beta_j)`` for ``i = 0 .. N``, shape ``(N + 1,)``."""
        return np.exp(-self._high)

    @_flat
    def beta(self, t: Array) -> Array:
        """``beta(t)``, in the shape of ``t``."""
        return self._pick(self._rates, self._index(self._knots, t), t)

    @_flat
    def integral(self, t: Array, s: Array) -> Array:
        """``B = int_s^t beta``: whole pieces from the table of sums, and the two ends."""
        xp = namespace(t)
        i, j = self._index(self._knots, t), self._index(self._knots, s)
        rate_t, rate_s = self._pick(self._rates, i, t), self._pick(self._rates, j, s)
        between = self._pick(self._high, i, t) - self._pick(self._high, j + 1, t)
        between = between + (self._pick(self._low, i, t) - self._pick(self._low, j + 1, t))
        ends = rate_t * (t - self._pick(self._knots, i, t))
        ends = ends + rate_s * (self._pick(self._knots, j + 1, t) - s)
        return xp.where(i == j, rate_t * (t - s), between + ends)

    def decay(self, t: Array, s: Array) -> tuple[Array, Array]:
        """``exp(-B/2)`` and ``1 - exp(-B)``."""
        return exponentials(self.integral(t, s))

    @_flat
    def time(self, integral: Array) -> Array:
        """Inverse of the piecewise linear ``B(t, 0)``; the first time where it is constant."""
        i = self._index(self._high, integral)
        rate = self._pick(self._rates, i, integral)
        xp = namespace(integral)
        rest = integral - self._pick(self._high, i, integral)
        step = rest / xp.where(rate > 0, rate, rate * 0 + 1)
        return self._pick(self._knots, i, integral) + step

    def _index(self, table: Vector, t: Array) -> Array:
        """The i with ``table[i] < t <= table[i+1]``, kept within ``0 .. N-1``."""
        xp = namespace(t)
        found = xp.searchsorted(like(table, t), t, side="left") - 1
        found = xp.where(found < 0, found * 0, found)
        return xp.where(found > self.size - 1, found * 0 + self.size - 1, found)

    def _pick(self, table: Vector, index: Array, t: Array) -> Array:
        return namespace(t).take(like(table, t), index, axis=0)


def linear_betas(steps: int = 1000, *, first: float = 1e-4, last: float = 0.02) -> Vector:
    """``beta_i`` evenly spaced from ``first`` to ``last``, shape ``(steps,)``.

    Raises:
        ValueError: ``steps`` is not a positive integer.

    Reference:
        Ho et al. 2020, Sec. 4.
    """
    return np.linspace(first, last, count(steps, "steps"))


def cosine_betas(steps: int = 1000, *, s: float = 0.008, clip: float = 0.999) -> Vector:
    """``beta_i = min(1 - alpha_bar_i / alpha_bar_{i-1}, clip)`` of the cosine schedule, shape ``(steps,)``.

    Raises:
        ValueError: ``steps`` is not a positive integer, or ``s`` is not positive.

    Reference:
        Nichol and Dhariwal 2021, Eq. 17.
    """
    n = count(steps, "steps")
    t, rate = np.arange(n + 1) / n, 0.5 * math.pi / (1 + positive(s, "s"))
    late, early = t[1:], t[:-1]
    cos_s = np.sin(rate * (1 - early))
    spread = np.sin(rate * (late + early + 2 * s)) * np.sin(rate * (late - early)) / cos_s**2
    return np.minimum(spread, clip)


def count(value: Any, argument: str) -> int:
    """A positive integer.

    Raises:
        ValueError: it is something else.
    """
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
        raise bad(argument, repr(value)[:40], "a positive integer", "pass a whole number")
    return int(value)
