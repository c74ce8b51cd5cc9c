"""Coefficients of the diffusion that has a given ``x_t = scale(t) x_0 + std(t) eps``.

With ``lambda = std^2 / scale^2``: ``f = (log scale)'`` and ``g^2 = scale^2 lambda'``, one derivative each,
so that no two terms cancel.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable

import numpy as np
from numpy.polynomial import chebyshev

from ._checks import bad
from ._timewise import number

_DEGREE = 16
_EPS = sys.float_info.epsilon
_NODES = chebyshev.chebpts1(_DEGREE + 1)
_FIT = np.linalg.inv(chebyshev.chebvander(_NODES, _DEGREE))
_SMOOTH = 1e-5  #: largest relative error estimate of a derivative that is handed out
_LEGENDRE = np.polynomial.legendre.leggauss(8)

_Function = Callable[[float], float]


def derivative(function: _Function, t: float, t_max: float) -> tuple[float, float]:
    """``function'(t)`` from Chebyshev interpolation on the best of several intervals around ``t``.

    The error of one interval of half width h is estimated as ``n^2 / h`` times the last coefficients
    (truncation) plus the rounding of the values. Only points strictly inside ``[0, t_max]`` are used.

    Returns:
        The derivative and its estimated absolute error.
    """
    radii = [t_max * 0.25 * 4.0**-k for k in range(9)]
    radii += [r for k in (1, 2, 4) if 0 < (r := t * 2.0**-k) < radii[-1]]
    best = (math.nan, math.inf)
    for radius in radii:
        low, high = max(0.0, t - radius), min(t_max, t + radius)
        middle, half = 0.5 * (low + high), 0.5 * (high - low)
        with np.errstate(all="ignore"):
            seen = np.array([function(middle + half * u) for u in _NODES])
        if not np.isfinite(seen).all():
            continue
        c = _FIT @ seen
        value = float(chebyshev.chebval((t - middle) / half, chebyshev.chebder(c))) / half
        tail = float(np.abs(c[-3:]).max())
        # Near the ends of the interval the derivative of the last polynomial is n^2, inside it is n.
        growth = min(_DEGREE**2, _DEGREE / math.sqrt(max(1e-9, 1 - ((t - middle) / half) ** 2)))
        error = growth / half * (tail + _EPS * float(np.abs(seen).max()))
        if error < best[1]:
            best = (value, error)
    return best


def differentiated(
    scale: _Function, std: _Function, t_max: float
) -> tuple[_Function, _Function, Callable[[float, float], tuple[float, float]]]:
    """``(f, g, two_time)`` of the diffusion with coefficients ``scale`` and ``std``.

    ``two_time(t, s)`` gives scale and variance of the kernel from s to t.

    Raises:
        ValueError: the functions do not belong to a diffusion, see :meth:`LinearSDE.from_kernel`.
    """
    for name, function in (("scale", scale), ("std", std)):
        if not callable(function):
            raise bad(
                name, type(function).__name__, "a function of t", f"pass lambda t: {function}"
            )

    def alpha(t: float) -> float:
        return number(scale, t, "scale")

    def ratio(t: float) -> float:
        a = alpha(t)
        return (number(std, t, "std") / a) ** 2 if a else math.inf

    def log_alpha(t: float) -> float:
        a = alpha(t)
        return math.log(a) if a > 0 else math.nan

    def f(t: float) -> float:
        value, error = derivative(log_alpha, t, t_max)
        return _smooth(value, error, abs(value) + 1 / t_max, "scale", t)

    def g_squared(t: float) -> float:
        slope, error = derivative(ratio, t, t_max)
        # Where g starts from zero, or pauses, the slope is measured against the level a little later.
        floor = ratio(min(t + 0.01 * t_max, t_max)) / t_max
        slope = _smooth(slope, error, abs(slope) + floor, "std", t)
        if slope < -max(error, 1e-9 * floor):
            raise bad(
                "std", f"std / scale decreasing at t = {t:.4g} (g^2 = {alpha(t) ** 2 * slope:.3g})",
                "std / scale nondecreasing", "no diffusion loses noise: check the two functions",
            )  # fmt: skip
        return alpha(t) ** 2 * max(slope, 0.0)

    def two_time(t: float, s: float) -> tuple[float, float]:
        gain = alpha(t) / alpha(s)
        late, early = number(std, t, "std"), gain * number(std, s, "std")
        variance = (late - early) * (late + early)
        # The difference has absolute rounding error of a few eps late^2.
        if early > 0 and variance < 1e-4 * late**2 and t - s < 0.05 * t_max:
            nodes, weights = _LEGENDRE
            at = s + 0.5 * (t - s) * (nodes + 1)
            slopes = [derivative(ratio, r, t_max)[0] for r in at]
            variance = alpha(t) ** 2 * 0.5 * (t - s) * float(weights @ np.array(slopes))
        return gain, max(variance, 0.0)

    _check(alpha, std, t_max)
    for t in _grid(t_max):
        f(t)
        g_squared(t)
    return f, lambda t: math.sqrt(g_squared(t)), two_time


def _smooth(value: float, error: float, size: float, name: str, t: float) -> float:
    if not error <= _SMOOTH * size:
        raise bad(
            name,
            f"no derivative at t = {t:.4g}",
            "a smooth function",
            "use LinearSDE(drift, diffusion)",
        )
    return value


def _grid(t_max: float) -> list[float]:
    ends = [1e-6 * t_max, 1e-3 * t_max, (1 - 1e-6) * t_max]
    return ends + [t_max * (k + 0.5) / 24 for k in range(24)]


def _check(alpha: _Function, std: _Function, t_max: float) -> None:
    for name, got, wanted, remedy in (
        ("scale(0)", alpha(0.0), 1.0, "divide scale by scale(0)"),
        ("std(0)", number(std, 0.0, "std"), 0.0, "x_0 is data: use sqrt(std(t)^2 - std(0)^2)"),
    ):
        if not abs(got - wanted) <= 1e-9:
            raise bad(name, f"{got:g}", f"{wanted:g}", remedy)
    for t in [*_grid(t_max), t_max]:
        a, sd = alpha(t), number(std, t, "std")
        if not (a > 0 and math.isfinite(a)):
            raise bad("scale", f"{a:g} at t = {t:.4g}", "positive numbers", "lower t_max")
        if not (sd >= 0 and math.isfinite(sd)):
            raise bad("std", f"{sd:g} at t = {t:.4g}", "numbers >= 0", "pass a standard deviation")
