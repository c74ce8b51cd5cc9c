"""Deterministic integrals and expectations with an a-posteriori error estimate.

Rules are refined until two levels agree; the error that is reported is their difference plus a bound of
the rounding of the sum. Values of the integrand that are not finite make the result NaN.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..theory._checks import bad, positive
from ..theory.protocols import Vector
from .kronrod import GAUSS_WEIGHTS, NODES, WEIGHTS
from .lattices import lattice

_EPS = float(np.finfo(np.float64).eps)
_BLOCK = 1 << 16  #: points in one call of the integrand
_LEVELS = np.array([1e-9, 1e-5, 1e-3, 0.02, 0.15, 0.5, 0.85, 0.98, 1 - 1e-3, 1 - 1e-5, 1 - 1e-9])

Integrand = Callable[[Vector], Any]


@dataclass(frozen=True)
class Quadrature:
    """An integral and what is known of its error.

    Attributes:
        value: a number, or ``(m,)`` for an integrand with m columns.
        error: estimated absolute error, like ``value``; NaN where the value is.
        evaluations: points at which the integrand was evaluated.
    """

    value: Any
    error: Any
    evaluations: int


def integrate(
    f: Integrand,
    low: float = -math.inf,
    high: float = math.inf,
    *,
    breaks: Sequence[float] = (),
    centre: float = 0.0,
    width: float = 1.0,
    tolerance: float = 1e-12,
    rounds: int = 40,
) -> Quadrature:
    """``int_low^high f(x) dx`` by adaptive Gauss-Kronrod panels (10, 21), all refined together.

    On an unbounded interval ``x = centre + width t / (1 - t^2)`` (half-lines too), which keeps algebraic
    tails integrable. The error of a panel is the estimate of Piessens et al. (1983, QUADPACK).

    Args:
        f: from ``(n,)`` to ``(n,)`` or ``(n, m)``.
        low: left end.
        high: right end.
        breaks: inner points where f or a derivative jumps, or that mark peaks.
        centre: of the bulk, for unbounded intervals.
        width: of the bulk.
        tolerance: wanted error relative to ``int |f|``.
        rounds: most halvings of a panel.

    Raises:
        ValueError: ends that are not in order, NaN, or a width that is not positive.
    """
    if not low < high:
        raise bad("high", f"{high:g}", f"a number above low = {low:g}", "swap the ends")
    width = positive(width, "width")
    bounded = math.isfinite(low) and math.isfinite(high)
    inner = [b for b in breaks if low < b < high]
    if bounded:
        edges = np.unique(np.array([low, *inner, high]))
    else:
        ends = [_inverse((e - centre) / width) for e in (low, *inner, high)]
        edges = np.unique(np.concatenate([ends, np.linspace(ends[0], ends[-1], 9)]))

    def g(t: Vector) -> Vector:
        if bounded:
            return _columns(f(t.ravel()), t.size).reshape(*t.shape, -1)
        gap = (1 - t) * (1 + t)
        with np.errstate(all="ignore"):
            x, jacobian = centre + width * t / gap, width * (1 + t * t) / gap**2
        return _columns(f(x.ravel()), t.size).reshape(*t.shape, -1) * jacobian[..., None]

    marks = np.isin(edges, [b if bounded else _inverse((b - centre) / width) for b in inner])
    known = edges[marks]
    at_marks = np.abs(g(known[None]))[0].max(axis=-1) if known.size else known
    left, right = edges[:-1], edges[1:]
    done, count = _Sum(), len(known)
    for k in range(rounds):
        half = 0.5 * (right - left)
        values = g((0.5 * (left + right))[:, None] + half[:, None] * NODES)
        count += values.shape[0] * values.shape[1]
        full, size, error = _panel_sums(values, half)
        total = done.size + size.sum(axis=0)
        goal = np.maximum(tolerance * total / 64, 16 * _EPS * size)
        open_ = ((error > goal) & np.isfinite(error)).any(axis=1)
        # A peak so near a mark that no node sees it still shows at the mark itself.
        seen = 30 * np.abs(values).max(axis=(1, 2))
        for ends in (left, right):
            shown = (at_marks[:, None] * (known[:, None] == ends)).sum(axis=0)
            open_ |= (shown > seen) & (shown * half > goal.min(axis=1))
        open_ &= k < rounds - 1
        done.add(full[~open_], size[~open_], error[~open_])
        if not open_.any() or count > 3_000_000:
            done.add(full[open_], size[open_], error[open_])
            break
        left, right = left[open_], right[open_]
        middle = 0.5 * (left + right)
        left, right = np.append(left, middle), np.append(middle, right)
    return done.result(count)


def _panel_sums(values: Vector, half: Vector) -> tuple[Vector, Vector, Vector]:
    """Integral, integral of the size, and error of every panel ``(P, m)`` from values ``(P, 21, m)``."""
    half = half[:, None]
    with np.errstate(all="ignore"):
        full = half * np.einsum("pqm,q->pm", values, WEIGHTS)
        size = half * np.einsum("pqm,q->pm", np.abs(values), WEIGHTS)
        off = np.abs(half * np.einsum("pqm,q->pm", values[:, 1::2], GAUSS_WEIGHTS) - full)
        spread = np.abs(values - (full / (2 * half))[:, None, :])
        spread = half * np.einsum("pqm,q->pm", spread, WEIGHTS)
        error = np.where(spread > 0, spread * np.minimum(1.0, (200 * off / spread) ** 1.5), off)
    return full, size, error


def expectation(f: Integrand, law: Any, *, tolerance: float = 1e-10) -> Quadrature:
    """``E_law f(x)`` in one or two dimensions.

    One-dimensional laws go through :func:`integrate` on panels between their quantiles and kinks. Gaussian
    mixtures and laws of the plane go through the lattices of :mod:`lattices`, refined until two levels agree.

    Args:
        f: from ``(n, d)`` to ``(n,)`` or ``(n, m)``.
        law: a Gaussian mixture, a law of ``theory.densities_1d`` or ``densities_2d``, one of them convolved,
            a marginal of one, or any other one-dimensional law with ``log_prob``, ``mean`` and ``covariance``.
        tolerance: wanted error relative to ``E |f|``.

    Raises:
        ValueError: more than two dimensions, or a law of the plane that is not known here.
    """
    while hasattr(law, "kernel") and hasattr(law, "law"):
        law = law.law
    if law.dim > 2:
        raise bad("law", f"dimension {law.dim}", "dimension 1 or 2", "use draws and an estimate")
    nodes = lattice(law)
    if nodes is not None:
        return _refine(f, nodes, tolerance)
    if law.dim == 2:
        raise bad(
            "law",
            type(law).__name__,
            "a Gaussian mixture, a law of theory.densities_2d, or one of them convolved",
            "use draws and an estimate",
        )
    return _line(f, law, tolerance)


def _line(f: Integrand, law: Any, tolerance: float) -> Quadrature:
    low, high = getattr(law, "support", (-math.inf, math.inf))
    if hasattr(law, "quantile"):
        marks = law.quantile(_LEVELS)[:, 0]
        centre, width = float(marks[5]), float(marks[6] - marks[4]) / 2
    else:
        centre, width = float(law.mean[0]), math.sqrt(float(law.covariance[0, 0]))
        marks = centre + width * np.array([-6.0, -3.0, -1.5, 0.0, 1.5, 3.0, 6.0])
    breaks = [*marks.tolist(), *getattr(law, "breaks", ())]

    def weighted(x: Vector) -> Vector:
        points = x[:, None]
        density = np.exp(law.log_prob(points))
        return _columns(f(points), len(x)) * density[:, None]

    return integrate(
        weighted, low, high, breaks=breaks, centre=centre, width=width, tolerance=tolerance
    )


def _refine(
    f: Integrand, nodes: Callable[[int], tuple[Vector, Vector]], tolerance: float
) -> Quadrature:
    """Levels of a lattice until two of them agree, or the next one is too large."""
    count, before, value, error = 0, None, np.zeros(1), np.zeros(1)
    for level in range(16):
        x, weights = nodes(level)
        value, size = np.zeros(1), np.zeros(1)
        for i in range(0, len(x), _BLOCK):
            block = _columns(f(x[i : i + _BLOCK]), len(x[i : i + _BLOCK]))
            part = weights[i : i + _BLOCK, None] * block
            value, size = value + part.sum(axis=0), size + np.abs(part).sum(axis=0)
        count += len(x)
        if before is not None:
            error = np.abs(value - before) + 32 * _EPS * size
            if (~(error > np.maximum(tolerance, 64 * _EPS) * size)).all() or len(x) > 150_000:
                break
        before = value
    error = np.where(np.isfinite(value), error, np.nan)
    return _result(value, error, count)


class _Sum:
    """Running sums over panels, column by column."""

    def __init__(self) -> None:
        self.value, self.size, self.error = np.zeros(1), np.zeros(1), np.zeros(1)

    def add(self, value: Vector, size: Vector, error: Vector) -> None:
        self.value = self.value + value.sum(axis=0)
        self.size, self.error = self.size + size.sum(axis=0), self.error + error.sum(axis=0)

    def result(self, count: int) -> Quadrature:
        value = np.where(np.isfinite(self.value), self.value, np.nan)
        error = np.where(np.isfinite(value), self.error + 50 * _EPS * self.size, np.nan)
        return _result(value, error, count)


def _result(value: Vector, error: Vector, count: int) -> Quadrature:
    if value.shape == (1,):
        return Quadrature(float(value[0]), float(error[0]), count)
    return Quadrature(value, error, count)


def _columns(values: Any, n: int) -> Vector:
    out = np.asarray(values, dtype=np.float64)
    if out.ndim not in (1, 2) or out.shape[0] != n:
        raise bad(
            "f", f"values of shape {out.shape}", f"({n},) or ({n}, m)", "keep the batch axis"
        )
    return out.reshape(n, -1)


def _inverse(y: float) -> float:
    """The t of ``y = t / (1 - t^2)`` in [-1, 1]."""
    if math.isinf(y):
        return math.copysign(1.0, y)
    return 2 * y / (1 + math.sqrt(1 + 4 * y * y))
