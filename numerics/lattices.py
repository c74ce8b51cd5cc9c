"""Nodes and weights that turn an expectation in one or two dimensions into a refinable sum.

The trapezoidal rule converges faster than any power of its step for analytic integrands that decay, and keeps
doing so where posterior weights switch fast and Gauss-Hermite stalls. Every lattice is shifted by an irrational
part of a step, or symmetry would hide the error of odd integrands from the comparison of two levels.
"""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np

from ..theory.chains import Chain
from ..theory.densities_2d import DoubleWell, Funnel, Ring
from ..theory.empirical import DiffusedPoints, PointMasses
from ..theory.mixtures import GaussianMixture
from ..theory.protocols import Vector
from .convolved import Convolved

_SHIFT = math.sqrt(2) - 1
_REACH = 10.0  #: standard deviations covered; the rest has mass 1e-22
_GAUSS = np.polynomial.legendre.leggauss(10)

#: densities of convolved laws cost far more than the integrands do, and are asked for again
_KEPT: weakref.WeakKeyDictionary[Any, dict[int, tuple[Vector, Vector]]] = (
    weakref.WeakKeyDictionary()
)

Nodes = Callable[[int], tuple[Vector, Vector]]


def lattice(law: Any) -> Nodes | None:
    """``level -> (points (N, d), weights (N,))`` for ``law``, or None where there is none."""
    if isinstance(law, PointMasses):
        return lambda level: (law.points, law.weights)
    if isinstance(law, DiffusedPoints):
        variances = np.full(len(law.weights), law.variance)
        law = GaussianMixture(law.weights, law.scale * law.points, variances)
    if isinstance(law, GaussianMixture):
        return lambda level: _mixture(law, level)
    base, a, v = (
        (law.base, law.scale, law.variance) if isinstance(law, Convolved) else (law, 1.0, 0.0)
    )
    if isinstance(base, Chain):
        kept = _KEPT.setdefault(law, {})

        def nodes(level: int) -> tuple[Vector, Vector]:
            if level not in kept:
                kept[level] = _chain(law, base, a, v, level)
            return kept[level]

        return nodes
    if isinstance(base, Ring):
        return lambda level: _ring(law, base, a, v, level)
    return None


def _steps(low: float, high: float, step: float) -> Vector:
    """Multiples of ``step``, shifted, in [low, high]; halving the step keeps the shift's share."""
    first, last = math.ceil(low / step - _SHIFT), math.floor(high / step - _SHIFT)
    return np.arange(first, last + 1, dtype=np.float64) * step + _SHIFT * step


def _mixture(law: GaussianMixture, level: int) -> tuple[Vector, Vector]:
    step = 0.5**level * 0.5
    z = _steps(-_REACH, _REACH, step)
    weight = step * np.exp(-0.5 * z * z) / math.sqrt(2 * math.pi)
    if law.dim == 2:
        pairs = np.stack(np.meshgrid(z, z, indexing="ij"), axis=-1).reshape(-1, 2)
        inside = (pairs**2).sum(axis=1) <= _REACH**2
        z, weight = pairs[inside], np.outer(weight, weight).ravel()[inside]
    else:
        z = z[:, None]
    roots = np.linalg.cholesky(law.covariances)
    points = law.means[:, None, :] + np.einsum("kij,nj->kni", roots, z)
    return points.reshape(-1, law.dim), np.outer(law.weights, weight).ravel()


def _chain(law: Any, base: Chain, a: float, v: float, level: int) -> tuple[Vector, Vector]:
    """A grid in ``x_1``; over it ``x_2`` as ``a m + width sinh(eta)``, which also covers wide tails."""
    spread = min(width for _, width in base.anchors)
    sd = math.sqrt(a * a * spread**2 + v)
    centres = [a * centre for centre, _ in base.anchors]
    # Wells fall off at least as fast as their bottoms' Gaussian; the noise adds its own reach.
    x1 = _steps(min(centres) - _REACH * sd, max(centres) + _REACH * sd, 0.5 * sd * 0.5**level)
    if isinstance(base, DoubleWell):
        s, rest = x1 / a, 0.0
    else:
        centre = base.anchors[0][0]
        gain = a * spread**2 / sd**2
        s, rest = centre + gain * (x1 - a * centre), spread**2 * v / sd**2
    mean, variance = base.second(s)
    width = np.sqrt(a * a * (variance[0] + mean[1] ** 2 * rest + 0.5 * (mean[2] * rest) ** 2) + v)
    # Widths that x_2 may stray given x_1: a Gaussian, a squared Gaussian, a Gaussian of random scale.
    wild = _REACH * math.exp(0.5 * _REACH * math.sqrt(rest)) if isinstance(base, Funnel) else 100.0
    far = math.asinh(wild if rest > 0 else _REACH)
    step = 0.25 * 0.5**level
    eta = _steps(-far, far, step)
    x2 = (a * mean[0])[:, None] + width[:, None] * np.sinh(eta)
    points = np.stack(np.broadcast_arrays(x1[:, None], x2), axis=-1)
    cell = 0.5 * sd * 0.5**level * step * width[:, None] * np.cosh(eta)
    return _weigh(law, points.reshape(-1, 2), cell.ravel())


def _ring(law: Any, base: Ring, a: float, v: float, level: int) -> tuple[Vector, Vector]:
    """Gauss-Legendre panels in the radius, equal angles."""
    sd = math.sqrt(a * a * base.width**2 + v)
    reach = a * math.sqrt(base.radius**2 + 2 * _REACH * base.radius * base.width)
    high = reach + _REACH * math.sqrt(v)
    edges = np.linspace(0.0, high, math.ceil(high / (2 * sd)) * 2**level + 1)
    half = 0.5 * np.diff(edges)[:, None]
    r = (edges[:-1, None] + half * (1 + _GAUSS[0])).ravel()
    weight = (half * _GAUSS[1]).ravel() * r
    centre = a * np.array(base.centre)
    along = np.stack([r, np.zeros_like(r)], axis=1)
    weight = weight * np.exp(law.log_prob(centre + along))
    count = 16 * 2**level
    angle = 2 * math.pi * (np.arange(count) + _SHIFT) / count
    around = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    points = centre + r[:, None, None] * around
    weights = np.repeat(weight * 2 * math.pi / count, count)
    return points.reshape(-1, 2), weights


def _weigh(law: Any, points: Vector, cell: Vector) -> tuple[Vector, Vector]:
    """Density times cell; points that together carry less than ``1e-25`` of the mass each are left out."""
    weights = cell * np.exp(law.log_prob(points))
    keep = weights > 1e-25
    return points[keep], weights[keep]
