"""``z(x) = Phi^{-1}(F(x))`` of a one-dimensional law whose distribution function is costly, from a table.

Nodes are the quantiles of normal levels, so that ``z`` is known there exactly, and its slope ``p(x) / phi(z)`` too;
between nodes the cubic Hermite polynomial is used, and its error is measured at the midpoints.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import interpolate, special

from ..theory._checks import bad
from ..theory.protocols import Vector

_REACH, _STEPS = 7.0, 1400
#: A relative error of the density of ``z``: an error of ``z`` that changes sign once a step has slope pi / step.
_SLOPE = np.pi * _STEPS / (2 * _REACH)


class QuantileTable:
    """The map and its error.

    Args:
        law: with ``quantile``, ``cdf``, ``log_prob`` and ``relative_error``.

    Attributes:
        error: estimated relative error of the density of ``z``, that of the law's own quadrature included.
    """

    def __init__(self, law: Any) -> None:
        z = np.linspace(-_REACH, _REACH, _STEPS + 1)
        x = np.asarray(law.quantile(special.ndtr(z)))
        if not (np.diff(x[:, 0]) > 0).all():
            raise bad(
                "target",
                f"{law!r} with quantiles that do not increase",
                "a smooth law",
                "its distribution function is not accurate enough for a map to normals",
            )
        log_slope = law.log_prob(x) + z**2 / 2 + 0.5 * np.log(2 * np.pi)
        self._ends = x[[0, -1], 0]
        self._curve = interpolate.CubicHermiteSpline(x[:, 0], z, np.exp(log_slope))
        self._slopes = np.exp(log_slope[[0, -1]])
        middle = (x[1:] + x[:-1])[np.abs(z[1:]) < _REACH - 2] / 2
        truth = special.ndtri(np.asarray(law.cdf(middle)))
        # Upper levels are rounded to 1e-16, which is all that can be told there.
        rounding = 2e-16 / np.exp(-(truth**2) / 2)
        off = np.abs(self._curve(middle[:, 0]) - truth) - rounding
        own = float(np.max(law.relative_error(x[_STEPS // 7 : -_STEPS // 7])))
        self.error = own + _SLOPE * max(float(off.max()), 0.0)

    def __call__(self, x: Vector) -> Vector:
        """Normals ``(n, 1)`` of draws ``(n, 1)``; beyond seven deviations the map goes on as a straight line."""
        y = x[:, 0]
        inside = self._curve(np.clip(y, *self._ends))
        low = np.minimum(y - self._ends[0], 0) * self._slopes[0]
        high = np.maximum(y - self._ends[1], 0) * self._slopes[1]
        return (inside + low + high)[:, None]
