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
_PANELS = 4000  #: after so many the estimate is taken as it is


def _rule(size: int) -> tuple[Vector, Vector, Vector]:
    """Gauss-Legendre nodes and weights on [0, 1], and the matrix of ``int_node^1`` of the interpolant."""
    legendre = np.polynomial.legendre
    x, w = legendre.leggauss(size)
    basis = legendre.legvander(x, size - 1)
    # Discrete orthogonality: coefficient j of the interpolant is (2j+1)/2 sum_i w_i P_j(x_i) f_i.
    fit = (np.arange(size)[:, None] + 0.5) * (basis * w[:, None]).T
    primitive = [legendre.legint(row) for row in np.eye(size)]
    tails = [legendre.legval(1.0, c) - legendre.legval(x, c) for c in primitive]
    return 0.5 * (x + 1), 0.5 * w, 0.5 * np.array(tails).T @ fit


_NODES, _WEIGHTS, _REMAINING = _rule(12)
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
        value = float(out)
    except (TypeError, ValueError):
        raise bad(f"{name}({t:g})", repr(out)[:60], "a number", "return a float") from None
    if math.isnan(value):
        raise bad(f"{name}({t:g})", "nan", "a number", "check the function at that time")
    return value


def integrate(
    drift: _Timewise, diffusion: _Timewise, t: float, s: float
) -> tuple[float, float, float, float]:
    """``exp(int_s^t f)`` and ``int_s^t exp(2 int_r^t f) g(r)^2 dr`` by Gauss-Legendre panels.

    A panel is halved until the two halves, composed by Chapman-Kolmogorov, agree with the whole; the sum of
    the differences is the error estimate. Jumps and integrable singularities cost some fifty halvings.

    Returns:
        scale, variance, and the estimated relative error of each.

    Raises:
        ValueError: an integral that does not converge.
    """
    whole = _panel(drift, diffusion, s, t)
    size, log_scale, variance, log_error, error = whole[1], 0.0, 0.0, 0.0, 0.0
    stack, panels = [(s, t, whole)], 0
    while stack:
        a, b, (log_whole, gained_whole) = stack.pop()
        middle = 0.5 * (a + b)
        left, right = _panel(drift, diffusion, a, middle), _panel(drift, diffusion, middle, b)
        log_part, gained = left[0] + right[0], math.exp(2 * right[0]) * left[1] + right[1]
        off_log, off = abs(log_part - log_whole), abs(gained - gained_whole)
        ahead = math.exp(2 * log_scale)  # of the panels later in time, all done
        size, panels = max(size, variance), panels + 1
        settled = off_log <= 1e-14 * (1 + abs(log_part)) and (
            off <= 1e-13 * gained or ahead * off <= 1e-15 * size
        )
        if settled or not a < middle < b or b - a < 2.0**-110 * t or panels > _PANELS:
            log_scale += log_part
            variance += ahead * gained
            log_error += off_log
            error += ahead * off
        else:
            stack += [(a, middle, left), (middle, b, right)]
    spread_error = error / variance if variance > 0 else error
    for name, wrong in (("drift", log_error), ("diffusion", spread_error)):
        if not wrong <= _ACCEPTED:
            raise bad(
                name, f"an integral over [{s:g}, {t:g}] with relative error {wrong:.1g}",
                f"at most {_ACCEPTED:g}", "give the closed form with LinearSDE.from_kernel",
            )  # fmt: skip
    return math.exp(log_scale), variance, log_error, spread_error + 2 * log_error


def _panel(drift: _Timewise, diffusion: _Timewise, a: float, b: float) -> tuple[float, float]:
    """``int_a^b f`` and ``int_a^b exp(2 int_r^b f) g(r)^2 dr`` by one Gauss-Legendre rule."""
    at = a + (b - a) * _NODES
    f = np.array([number(drift, r, "drift") for r in at])
    g = np.array([number(diffusion, r, "diffusion") for r in at])
    remaining = (b - a) * (_REMAINING @ f)
    with np.errstate(over="ignore"):
        gained = (b - a) * float(_WEIGHTS @ (np.exp(2 * remaining) * g**2))
    return (b - a) * float(_WEIGHTS @ f), gained


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
