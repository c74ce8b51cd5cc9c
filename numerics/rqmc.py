"""Randomised quasi-Monte Carlo: independent shifted Sobol nets, each mean of a net one unbiased value.

A net of m points fills the cube more evenly than draws do, yet each of its points has exactly the law, so that the
mean of f over a net has mean ``E f`` whatever f is. Nets are independent of each other: their means are independent
draws with a smaller variance, to which any interval for a mean applies. The t-interval over a few nets does not cover
(2 to 5 times its level, measured); here there are hundreds, and the interval is the one for draws, whose assumption is
a bound on the kurtosis, here of the means of nets.

References: Owen 1997 and Matousek 1998 (scrambled nets); L'Ecuyer and Lemieux 2002 (digital shifts); Jain, Hickernell,
Owen and Sorokin 2025 (intervals).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import special

from ..theory.protocols import Vector
from .estimate import kept_variance

_TRIAL = 24  #: nets of the trial
_LEAST = 16  #: points of the smallest net that is tried
_MOST = 1024  #: points of the largest
_GAIN = 0.7  #: predicted ratio of widths below which nets are used
_KURTOSIS = 10.0  #: that :func:`mean_estimate` allows at least
_WILD = (
    20.0  #: kurtosis of the values above which means over nets are no better behaved than draws
)
_ROOM = 2.0  #: least scale of the interval, in standard deviations of the means in the trial: forgives a few wild nets
_BLOCK = 8192


@dataclass(frozen=True)
class Design:
    """``nets`` independent nets of ``points`` points each.

    Attributes:
        nets: R.
        points: m, a power of two.
    """

    nets: int
    points: int

    @classmethod
    def within(cls, n: int, level: float) -> Design | None:
        """The largest nets of which ``n`` draws give enough for an interval at ``level``; None if too few.

        Enough is where the bound on the variance is within a factor of three of the sample's.
        """
        nets = 64
        while kept_variance(2 * math.log(10 / level) / nets, 0.5 * (_KURTOSIS + 3)) < 1 / 3:
            nets += 32
        fit = n // nets
        if fit < _LEAST:
            return None
        points = min(_MOST, 2 ** int(math.log2(fit)))
        return cls(n // points, points)


def has_transport(law: Any) -> bool:
    """Whether the law maps a uniform and normals to draws."""
    return hasattr(law, "transport") and not hasattr(law, "draw_with")


def shifted_nets(law: Any, nets: int, points: int, rng: np.random.Generator) -> Vector:
    """Points of independent shifted nets mapped to ``law``, ``(nets * points, d)``, net by net.

    The first ``log2 m`` binary digits of a Sobol net, shifted at random in every net and coordinate; the digits below
    are independent. Each point alone has exactly the law. Where all digits come from one linear scramble the means
    of nets are mostly far too good and now and then bad, and no bound on their kurtosis holds.

    Args:
        law: with ``transport(u, z)``.
        nets: R.
        points: m, a power of two.
        rng: generator.
    """
    from scipy.stats import qmc

    d = int(law.dim)
    base = qmc.Sobol(d + 1, scramble=False).random_base2(int(math.log2(points)))
    digits = np.rint(base * points).astype(np.int64)
    shifted = digits ^ rng.integers(0, points, (nets, 1, d + 1))
    cube = (shifted.reshape(-1, d + 1) + rng.random((nets * points, d + 1))) / points
    # Rounding may give one, and generators zero.
    cube = np.clip(cube, 2.0**-60, 1 - 2.0**-53)
    return law.transport(cube[:, 0], special.ndtri(cube[:, 1:]))


def net_means(values: Vector, points: int) -> Vector:
    """Means over consecutive ``points`` values, ``(nets,)``."""
    return values.reshape(-1, points).mean(axis=1)


def pays(
    residual: Callable[[Vector], Vector], law: Any, design: Design, level: float, rng: Any
) -> tuple[float, int]:
    """Scale for the interval of the means of nets if they pay, else NaN; and what the trial cost.

    They pay where the width predicted for ``design.nets`` means is below 0.7 of that for as many independent draws.

    Args:
        residual: ``(n, d) -> (n,)``.
        law: with ``transport``.
        design: what would be run.
        level: of the interval.
        rng: generator.
    """
    m = design.points
    step = max(1, _BLOCK // m)
    parts = [
        residual(shifted_nets(law, min(step, _TRIAL - i), m, rng)) for i in range(0, _TRIAL, step)
    ]
    y = np.concatenate(parts)
    centred = y - y.mean()
    variance, spread = float(centred @ centred) / y.size, float(net_means(y, m).var(ddof=1))
    if not variance > 0 or not math.isfinite(variance):
        return math.nan, y.size
    sample = float(np.mean(centred**4)) / variance**2
    if sample > _WILD:
        return math.nan, y.size
    scale = _ROOM * math.sqrt(spread)

    n = design.nets * m
    kept = kept_variance(2 * math.log(10 / level) / n, 0.5 * (max(_KURTOSIS, 3 * sample) + 3))
    drawn = math.sqrt(variance / n / max(kept, 1e-4))
    return (scale if scale / math.sqrt(design.nets) < _GAIN * drawn else math.nan), y.size
