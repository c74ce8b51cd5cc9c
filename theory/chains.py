"""Laws of the plane of the form ``p(x) = pi(x_1) N(x_2; m(x_1), V(x_1))``.

With ``e = x_2 - m`` and ``l = log N(x_2; m, V)``, every derivative that is needed follows from those
of ``m`` and ``V``:

* ``d_1 l = e m'/V + (V'/2V)(e^2/V - 1)`` and ``d_2 l = -e/V``
* ``d_12 l = m'/V + e V'/V^2`` and ``d_22 l = -1/V``
* ``d_11 l = (e m'' - m'^2)/V - 2 e m' V'/V^2 + (V''/2V)(e^2/V - 1) + (V'^2/2V^2)(1 - 2 e^2/V)``
"""

from __future__ import annotations

import math
from typing import Any

from .arrays import as_points, namespace
from .protocols import Array

LOG_2PI = math.log(2 * math.pi)


def gaussian_factor(y: Array, mean: tuple[Any, ...], variance: tuple[Any, ...]) -> tuple[Any, ...]:
    """``l = log N(y; m(s), V(s))`` with ``d_s l, d_y l, d_ss l, d_sy l, d_yy l``.

    Args:
        y: values.
        mean: ``m, m', m''`` at the values of ``s``, broadcast against ``y``.
        variance: ``V, V', V''``, with ``V > 0``.
    """
    m, m1, m2 = mean
    v, v1, v2 = variance
    log = namespace(y).log
    inverse = 1 / v
    e = y - m
    pull, rate = e * inverse, v1 * inverse
    square = e * pull
    return (
        -0.5 * (LOG_2PI + log(v) + square),
        pull * m1 + 0.5 * rate * (square - 1),
        -pull,
        pull * m2
        - inverse * m1 * m1
        - 2 * pull * m1 * rate
        + 0.5 * v2 * inverse * (square - 1)
        + 0.5 * rate * rate * (1 - 2 * square),
        inverse * m1 + pull * rate,
        -inverse,
    )


class Chain:
    """Base of the laws ``pi(x_1) N(x_2; m(x_1), V(x_1))``.

    Attributes:
        anchors: ``(centre, width)`` pairs that tell a quadrature over ``x_1`` where the mass is.
    """

    dim = 2
    anchors: tuple[tuple[float, float], ...]

    def first(self, s: Array) -> tuple[Array, Array, Array]:
        """``log pi(s)`` and its first two derivatives, in the shape of ``s``."""
        raise AttributeError("first")

    def second(self, s: Array) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
        """``(m, m', m'')`` and ``(V, V', V'')`` at ``s``, each in the shape of ``s``."""
        raise AttributeError("second")

    def first_from(self, u: Any, z: Any) -> Array:
        """Exact draws of ``x_1`` ``(n,)`` from uniforms and normals ``(n,)``."""
        raise AttributeError("first_from")

    def log_prob(self, x: Array) -> Array:
        """``log pi(x_1) + l``, shape ``(...)`` for ``x`` of shape ``(..., 2)``.

        Raises:
            ValueError: ``x`` is not of shape ``(..., 2)``.
        """
        first, factor = self._parts(x)
        return first[0] + factor[0]

    def score(self, x: Array) -> Array:
        """``((log pi)' + d_1 l, d_2 l)``, shape ``(..., 2)``."""
        first, factor = self._parts(x)
        return namespace(x).stack([first[1] + factor[1], factor[2]], axis=-1)

    def hessian(self, x: Array) -> Array:
        """The matrix of second derivatives, shape ``(..., 2, 2)``."""
        first, factor = self._parts(x)
        xp = namespace(x)
        cross = factor[4]
        rows = [[first[2] + factor[3], cross], [cross, factor[5]]]
        return xp.stack([xp.stack(row, axis=-1) for row in rows], axis=-2)

    def divergence(self, x: Array) -> Array:
        """The trace of :meth:`hessian`, shape ``(...)``."""
        first, factor = self._parts(x)
        return first[2] + factor[3] + factor[5]

    def transport(self, u: Any, z: Any) -> Array:
        """Exact draws ``(n, 2)`` from ``u ~ U(0, 1)`` ``(n,)`` and ``z ~ N(0, I)`` ``(n, 2)``."""
        xp = namespace(z)
        s = self.first_from(u, z[:, 0])
        mean, variance = self.second(s)
        return xp.stack([s, mean[0] + xp.sqrt(variance[0]) * z[:, 1]], axis=-1)

    def _parts(self, x: Array) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
        y = as_points(x, 2)
        s = y[..., 0]
        return self.first(s), gaussian_factor(y[..., 1], *self.second(s))
