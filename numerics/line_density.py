"""The distribution function of a costly density on the line, from a spline of its logarithm.

``log p`` and its slope are asked for at equidistant nodes; the cubic Hermite spline between them, normalised, is a
density ``p^`` whose distribution function costs twelve values a point. Draws of p get normals whose density is off by
``p / p^``, measured where the spline is farthest from its nodes. Nodes are doubled until that is small.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import interpolate, special

from ..theory._tabulated import Tabulated
from ..theory.protocols import Vector

_INTERVALS, _MOST = 1024, 8192
_SMALL = 1e-9  #: error that ends the doubling; a million draws then pay a thousandth of a nat
_TAIL = 1e-15  #: mass on either side beyond which the error is not measured
_CHECKED = 512  #: midpoints at which it is


class LineDensity:
    """``p(s) ~ s^power exp(log_f(s))`` on ``[low, high]``, which must hold all mass but 1e-16.

    Args:
        log_f: its logarithm without the power, vectorised and smooth.
        slope: derivative of ``log_f``.
        low: left end; not negative where there is a power.
        high: right end.
        error: relative error of ``exp(log_f)`` at given points.
        power: zero or one.

    Attributes:
        error: estimated relative error of the density of the normals.
    """

    def __init__(
        self,
        log_f: Callable[[Vector], Vector],
        slope: Callable[[Vector], Vector],
        low: float,
        high: float,
        *,
        error: Callable[[Vector], Vector],
        power: int = 0,
    ) -> None:
        count = _INTERVALS
        while True:
            s = np.linspace(low, high, count + 1)
            spline = interpolate.CubicHermiteSpline(s, log_f(s), slope(s))

            def log_p(y: Vector, spline: Callable[[Vector], Vector] = spline) -> Vector:
                return spline(y) + power * np.log(y) if power else spline(y)

            # Panels end at nodes of the spline, between which it is a polynomial.
            self._table = Tabulated(log_p, low, high, panels=count // 2)
            middle = (s[1:] + s[:-1]) / 2
            below, above = self._table.cdf(middle), self._table.above(middle)
            middle = middle[(below > _TAIL) & (above > _TAIL)]
            middle = middle[:: max(1, len(middle) // _CHECKED)]
            off = float(np.abs(spline(middle) - log_f(middle)).max())
            # Once more for the constant.
            found = float(np.expm1(2 * off)) + self._table.error
            if found <= _SMALL or count >= _MOST:
                break
            count *= 2
        self.error = found + float(np.max(error(middle)))

    def normal(self, s: Vector) -> Vector:
        """``Phi^{-1}(F(s))``, through the smaller tail."""
        below, above = self._table.cdf(s), self._table.above(s)
        tail = np.clip(np.minimum(below, above), 1e-300, 1.0)
        return np.where(below <= above, special.ndtri(tail), -special.ndtri(tail))
