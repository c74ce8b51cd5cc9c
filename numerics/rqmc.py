"""Randomised quasi-Monte Carlo: independent scrambled Sobol nets, each mean of a net one unbiased value.

A net of m points fills the cube more evenly than draws do, yet each of its points has exactly the law, so that the
mean of f over a net has mean ``E f`` whatever f is. Nets are independent of each other: their means are independent
draws with a smaller variance, to which any interval for a mean applies. The t-interval over a few nets does not cover
(2 to 5 times its level, measured); here there are hundreds, and the interval is the one for draws, whose assumption is a
bound on the kurtosis, here of the means of nets.

References: Owen 1997 (scrambled nets); Matousek 1998 (the scramble); L'Ecuyer, Nakayama, Owen and Tuffin 2023 and Jain,
Hickernell, Owen and Sorokin 2025 (intervals).
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

_BITS = 30  #: of the digital nets; the digits below are uniform draws
_TRIAL = 24  #: nets of the trial
_LEAST = 16  #: points of the smallest net that is tried
_MOST = 1024  #: points of the largest
_GAIN = 0.7  #: predicted ratio of widths below which nets are used
_KURTOSIS = 10.0  #: that :func:`mean_estimate` allows at least
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


def scrambled(law: Any, nets: int, points: int, rng: np.random.Generator) -> Vector:
    """Points of independent scrambled nets mapped to ``law``, ``(nets * points, d)``, net by net.

    Each point alone has exactly the law: below its 30 random binary digits a coordinate has a uniform remainder, or tails
    beyond ``2^-30`` would be missing.

    Args:
        law: with ``transport(u, z)``.
        nets: R.
        points: m, a power of two.
        rng: generator.
    """
    from scipy.stats import qmc

    d = int(law.dim)
    cube = np.empty((nets, points, d + 1))
    for net in cube:
        sobol = qmc.Sobol(d + 1, scramble=True, bits=_BITS, rng=rng)
        net[:] = sobol.random(points)
    flat = cube.reshape(-1, d + 1)
    flat += rng.random(flat.shape) * 2.0**-_BITS
    # A sum of both may round to one.
    flat = np.clip(flat, 2.0**-60, 1 - 2.0**-53)
    return law.transport(flat[:, 0], special.ndtri(flat[:, 1:]))


def net_means(values: Vector, points: int) -> Vector:
    """Means over consecutive ``points`` values, ``(nets,)``."""
    return values.reshape(-1, points).mean(axis=1)


def pays(
    residual: Callable[[Vector], Vector], law: Any, design: Design, level: float, rng: Any
) -> tuple[float, int]:
    """Standard deviation of the means of nets if they pay, else NaN; and the draws that the trial cost.

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
        residual(scrambled(law, min(step, _TRIAL - i), m, rng)) for i in range(0, _TRIAL, step)
    ]
    y = np.concatenate(parts)
    centred = y - y.mean()
    variance, spread = float(centred @ centred) / y.size, float(net_means(y, m).var(ddof=1))
    if not variance > 0 or not math.isfinite(variance):
        return math.nan, y.size
    kurtosis = max(_KURTOSIS, 3 * float(np.mean(centred**4)) / variance**2)

    def width(each: float, n: int, kappa: float) -> float:
        kept = kept_variance(2 * math.log(10 / level) / n, 0.5 * (kappa + 3))
        return math.sqrt(each / n / max(kept, 1e-4))

    drawn = width(variance, design.nets * m, kurtosis)
    netted = width(spread, design.nets, _KURTOSIS)
    return (math.sqrt(spread) if netted < _GAIN * drawn else math.nan), y.size
