"""Functions of one time applied to numbers and arrays: evaluation, kernels by quadrature, inverse."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ._checks import bad
from .arrays import host, is_array, like
from .protocols import Array, Vector

_ACCEPTED = 1e-8  #: largest relative error estimate of a kernel that is handed out
_Timewise = Callable[[Any], Any]


def on_meta(t: Array) -> bool:
    """Whether ``t`` has a shape and a device but no values."""
    return str(getattr(t, "device", "")) == "meta"


def values(t: Array) -> Vector:
    """A float64 copy of the values of ``t``, without gradients."""
    return np.array(host(t), dtype=np.float64)


def evaluate(f: _Timewise, t: Array, name: str) -> Array:
    """``f(t)``; on arrays in one call where ``f`` allows it, else time by time (without gradients).

    Raises:
        ValueError: ``f`` gives no number.
    """
    if not is_array(t):
        return number(f, t, name)
    try:
        out: Any = f(t)
    except (TypeError, ValueError, RuntimeError):
        out = None
    if is_array(out) and tuple(out.shape) == tuple(t.shape):
        return out
    if isinstance(out, int | float):
        return t * 0 + out
    if on_meta(t):
        return t * 0
    flat = [number(f, v, name) for v in values(t).ravel()]
    return like(np.array(flat).reshape(t.shape), t)


def number(f: _Timewise, t: float, name: str) -> float:
    """``f(t)`` as a float.

    Raises:
        ValueError: ``f`` gives something else.
    """
    out = f(float(t))
    try:
        return float(out)
    except (TypeError, ValueError):
        raise bad(f"{name}({t:g})", repr(out)[:60], "a number", "return a float") from None


def integrate(
    drift: _Timewise, diffusion: _Timewise, t: float, s: float
) -> tuple[float, float, float, float]:
    """``exp(int_s^t f)`` and ``int_s^t exp(2 int_r^t f) g(r)^2 dr`` by adaptive Gauss-Kronrod rules.

    Returns:
        scale, variance, and the estimated relative error of each.

    Raises:
        ValueError: an integral that does not converge.
    """
    from scipy import integrate as rules

    def exponent(r: float) -> tuple[float, float]:
        out = rules.quad(
            lambda q: number(drift, q, "drift"), r, t, epsabs=1e-15, epsrel=1e-13, limit=200,
            full_output=1,
        )  # fmt: skip
        return out[0], out[1]

    def gained(r: float) -> float:
        return math.exp(2 * exponent(r)[0]) * number(diffusion, r, "diffusion") ** 2

    total, scale_error = exponent(s)
    out = rules.quad(gained, s, t, epsabs=0, epsrel=1e-12, limit=200, full_output=1)
    variance, spread_error = out[0], out[1] / out[0] if out[0] > 0 else out[1]
    variance_error = spread_error + 2 * scale_error
    for name, error in (("drift", scale_error), ("diffusion", variance_error)):
        if not error <= _ACCEPTED:
            raise bad(
                name, f"an integral over [{s:g}, {t:g}] with relative error {error:.1g}",
                f"at most {_ACCEPTED:g}", "give the closed form with LinearSDE.from_kernel",
            )  # fmt: skip
    return math.exp(total), variance, scale_error, variance_error


def tabulate(
    one: Callable[[float, float], tuple[float, float]],
    drift: _Timewise,
    diffusion: _Timewise,
    t: Array,
    s: Array,
) -> tuple[Array, Array]:
    """Scale and variance for numbers or arrays of times, each distinct pair computed once.

    Gradients are those of the kernel, ``d scale = scale (f(t) dt - f(s) ds)`` and
    ``d variance = (2 f(t) variance + g(t)^2) dt - scale^2 g(s)^2 ds``, correct to first order.
    """
    reference = t if is_array(t) else s
    if not is_array(reference):
        return one(float(t), float(s))
    if on_meta(reference):
        empty = (t + s) * 0
        return empty + 1, empty
    late, early = np.broadcast_arrays(*(values(v) if is_array(v) else v for v in (t, s)))
    pairs, where = np.unique(np.stack([late, early]).reshape(2, -1), axis=1, return_inverse=True)
    table = np.array([one(a, b) for a, b in pairs.T]).reshape(-1, 2)[where.ravel()]
    a, v = (like(table[:, i].reshape(late.shape), reference) for i in (0, 1))
    scale, variance = a, v
    for time, at, sign in ((t, late, 1), (s, early, -1)):
        if getattr(time, "requires_grad", False):
            still = time - like(values(time), time)  # zero, with derivative one
            f = like(
                np.array([number(drift, r, "drift") for r in at.ravel()]).reshape(at.shape), a
            )
            g = like(
                np.array([number(diffusion, r, "diffusion") for r in at.ravel()]).reshape(
                    at.shape
                ),
                a,
            )
            slope = 2 * f * v + g**2 if sign > 0 else -(a**2) * g**2
            scale, variance = scale + sign * f * a * still, variance + slope * still
    return scale, variance


def bracketed(level_at: Callable[[float], float], t_max: float, level: Array) -> Array:
    """The time at which an increasing function reaches ``level``, by a bracketed root in log t.

    Args:
        level_at: nondecreasing function of t, zero at t = 0.
        t_max: end of the bracket.
        level: a number or an array.
    """
    from scipy import optimize

    def one(target: float) -> float:
        if target <= 0:
            return 0.0
        if level_at(t_max) <= target:
            return t_max
        low = t_max
        while level_at(low) >= target:
            low /= 16
            if low < 1e-290:
                return 0.0

        def off(u: float) -> float:
            reached = level_at(math.exp(u))
            return math.log(reached / target) if reached > 0 else -1e3

        u: Any = optimize.brentq(off, math.log(low), math.log(16 * low), xtol=1e-15)
        return min(math.exp(u), t_max)

    if not is_array(level):
        return one(float(level))
    if on_meta(level):
        return level * 0
    flat = values(level)
    return like(np.array([one(v) for v in flat.ravel()]).reshape(flat.shape), level)
