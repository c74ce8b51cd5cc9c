"""The distribution function of a costly density on the line, from a spline of its logarithm.

``log p`` and its slope are asked for at nodes; the cubic Hermite spline between them, normalised, is a density
``p^`` whose distribution function costs twelve values a point. Draws of p get normals whose density is off by the
factor ``p / p^``. It is measured in the middle between nodes, where such a spline is worst, and a quarter of the way,
where it is when the fourth derivative is about to change its sign or slopes do not belong to the values. Intervals are
halved until it is small.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from scipy import interpolate, special

from ..theory._tabulated import Tabulated
from ..theory.protocols import Vector
from .convolved import Convolved

_INTERVALS, _MOST = 96, 20_000
_SMALL = 2e-10  #: distance of logarithms that ends the halving; a million draws then pay 4e-4 nats
_LOOSE = 1e-3  #: the same where the density is negligible
_NEGLIGIBLE = 45.0  #: log-density below its top from where on less than 1e-16 of the mass lies
_CHECKED = 256
_NOISE = 9.5  #: deviations of the noise; 1e-21 lies beyond
_FAR = 1e-18  #: mass of the base beyond the ends


class LineDensity:
    """``p(s) ~ s^power exp(log_f(s))`` on ``[low, high]``, which must hold all mass but 1e-16.

    Args:
        log_f: its logarithm without the power, vectorised and smooth.
        slope: derivative of ``log_f``.
        low: left end; not negative where there is a power.
        high: right end.
        error: relative error of ``exp(log_f)`` at given points.
        power: zero or one.
        marks: further first nodes, where equidistant ones might miss the mass.

    Attributes:
        error: estimated relative error of the density of the normals.
        nodes: number of nodes of the spline.
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
        marks: Vector | None = None,
    ) -> None:
        s = np.linspace(low, high, _INTERVALS + 1)
        if marks is not None:
            s = np.unique(np.concatenate([s, marks[(marks > low) & (marks < high)]]))
        logs, slopes = log_f(s), slope(s)
        open_ = np.ones(len(s) - 1, dtype=bool)  # intervals that are not known to be fine
        worst = 0.0
        while True:
            spline = interpolate.CubicHermiteSpline(s, logs, slopes)
            at = np.flatnonzero(open_)
            middle = (s[at] + s[at + 1]) / 2
            quarter = (3 * s[at] + s[at + 1]) / 4
            truth, guess = log_f(middle), spline(middle)
            off = np.maximum(np.abs(guess - truth), np.abs(spline(quarter) - log_f(quarter)))
            counts = np.maximum(truth, guess) > logs.max() - _NEGLIGIBLE
            bad = off > np.where(counts, _SMALL, _LOOSE)
            worst = max(worst, float(off[counts & ~bad].max(initial=0.0)))
            if not bad.any() or len(s) + bad.sum() > _MOST:
                worst = max(worst, float(off[counts].max(initial=0.0)))
                break
            new = middle[bad]
            where = at[bad] + 1
            s = np.insert(s, where, new)
            logs, slopes = np.insert(logs, where, truth[bad]), np.insert(slopes, where, slope(new))
            # Both halves of what was halved are looked at again, and nothing else is.
            open_ = np.zeros(len(s) - 1, dtype=bool)
            first = where - 1 + np.arange(len(where))
            open_[first] = open_[first + 1] = True

        def log_p(y: Vector) -> Vector:
            return spline(y) + power * np.log(y) if power else spline(y)

        # Panels end at the nodes of the spline, between which it is a polynomial.
        self._table = Tabulated(log_p, low, high, edges=s)
        inside = s[logs > logs.max() - _NEGLIGIBLE]
        inside = inside[:: max(1, len(inside) // _CHECKED)]
        # Twice: the constant is off as well.
        own = float(np.max(error(inside)))
        self.nodes = len(s)
        self.error = math.expm1(2 * worst) + self._table.error + own

    def normal(self, s: Vector) -> Vector:
        """``Phi^{-1}(F(s))``, through the smaller tail."""
        below, above = self._table.cdf(s), self._table.above(s)
        tail = np.clip(np.minimum(below, above), 1e-300, 1.0)
        return np.where(below <= above, special.ndtri(tail), -special.ndtri(tail))


def convolved_line(law: Convolved) -> LineDensity:
    """The table of a one-dimensional law with noise; the base need not be symmetric."""
    noise = _NOISE * math.sqrt(law.variance)
    ends = law.scale * law.base.quantile(np.array([_FAR, 1 - 2.0**-53]))[:, 0]
    levels = special.ndtr(np.arange(-8.0, 8.01, 0.25))
    marks = law.scale * law.base.quantile(levels)[:, 0]
    return LineDensity(
        lambda s: law.log_prob(s[:, None]),
        lambda s: law.score(s[:, None])[:, 0],
        float(ends[0]) - noise,
        float(ends[1]) + noise,
        error=lambda s: law.relative_error(s[:, None]),
        marks=marks,
    )
