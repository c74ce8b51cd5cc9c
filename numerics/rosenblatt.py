"""Exact maps from laws of the plane to two independent normals, by conditioning (Rosenblatt 1952).

* chain ``pi(x_1) N(x_2; m(x_1), V(x_1))``: ``z_1 = Phi^{-1}(F_1(x_1))``, ``z_2 = (x_2 - m) / sqrt(V)``, with ``F_1``
  by Gauss-Legendre panels;
* ring: ``q = r^2`` is a normal truncated to ``q > 0``, the angle is uniform and independent of it.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy import special

from ..theory._tabulated import Tabulated
from ..theory.chains import Chain
from ..theory.densities_2d import Ring
from ..theory.protocols import Vector

_REACH = 14.0  #: standard deviations of ``x_1`` that are tabulated
_PANELS = 400


class ChainNormals:
    """The map of a chain, with the relative error of its constant.

    Args:
        law: a chain whose ``x_1`` has light tails.
    """

    def __init__(self, law: Chain) -> None:
        self.law = law
        whole: Any = law
        centre, sd = float(whole.mean[0]), math.sqrt(float(whole.covariance[0, 0]))
        low, high = centre - _REACH * sd, centre + _REACH * sd
        self._table = Tabulated(lambda s: law.first(s)[0], low, high, panels=_PANELS)

    def __call__(self, x: Vector) -> Vector:
        """``(n, 2)`` normals of ``(n, 2)`` draws."""
        u = self._table.cdf(x[:, 0])
        mean, variance = self.law.second(x[:, 0])
        return np.stack([normal_of(u), (x[:, 1] - mean[0]) / np.sqrt(variance[0])], axis=1)


def ring_normals(law: Ring, x: Vector) -> Vector:
    """``(n, 2)`` normals of ``(n, 2)`` draws of a ring: from the radius and from the angle."""
    off = x - np.asarray(law.centre)
    tau = 2 * law.radius * law.width
    alpha = law.radius**2 / tau
    a = (np.einsum("ij,ij->i", off, off) - law.radius**2) / tau
    mass = special.ndtr(alpha)
    inner = special.ndtri((special.ndtr(a) - special.ndtr(-alpha)).clip(0) / mass)
    outer = -special.ndtri(special.ndtr(-a) / mass)
    angle = np.arctan2(off[:, 1], off[:, 0]) / (2 * math.pi) + 0.5
    return np.stack([np.where(a < 0, inner, outer), normal_of(angle)], axis=1)


def normal_of(u: Any) -> Vector:
    """``Phi^{-1}(u)``; rounding may give exactly 0 or 1 in tails of mass 1e-16, which no run visits."""
    return special.ndtri(np.clip(u, 1e-300, 1 - 2**-53))
