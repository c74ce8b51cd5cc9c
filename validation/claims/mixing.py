"""Ledger, Langevin dynamics at one noise level: L9, the time to mix between far modes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
from scipy import special

from ...numerics.estimate import Estimate
from ...numerics.fokker_planck import FokkerPlanck1D
from ...theory.densities_1d import Logistic
from ...theory.mixtures import GaussianMixture
from ...theory.protocols import Vector
from ..claim import Check, Claim, Context
from ..evidence import Evidence
from ..report.pictures import listed
from .tools import agreement, named, number

WEIGHT = 0.35  #: of the left mode
NARROW, NOISE = 0.3, 0.4  #: deviations of a mode of the data and of the noise
WIDTH = math.hypot(NARROW, NOISE)
DISTANCES = (6.0, 7.0, 8.0, 9.0, 10.0)  #: in units of the width of a noised mode


@dataclass(frozen=True)
class _TwoLogistic:
    """Two logistic modes of scale b: tails that are exactly exponential."""

    distance: float
    scale: float

    def score(self, x: Vector) -> Vector:
        modes = [Logistic(k * self.distance / 2, self.scale) for k in (-1, 1)]
        logs = np.stack([m.log_prob(x) for m in modes])
        tilt = logs[0] - logs[1] + math.log(WEIGHT / (1 - WEIGHT))
        left = special.expit(tilt)[..., None]
        return left * modes[0].score(x) + (1 - left) * modes[1].score(x)


def _noised(distance: float, noise: float = NOISE, narrow: float = NARROW) -> GaussianMixture:
    """Two modes of the data, ``distance`` apart, at one noise level; off the origin."""
    means = [[0.7 - distance / 2], [0.7 + distance / 2]]
    return GaussianMixture([WEIGHT, 1 - WEIGHT], means, [narrow**2] * 2).diffuse(1.0, noise**2)


@cache
def gap(distance: float, width: float = WIDTH, family: str = "gaussian") -> Estimate:
    """Spectral gap of ``dX = grad log q dt + sqrt(2) dW`` for two modes of deviation ``width``, ``distance`` apart."""
    law: Any
    if family == "gaussian":
        law = _noised(distance, width * NOISE / WIDTH, width * NARROW / WIDTH)
        centre, reach, step = 0.7, 0.5 * distance + 6 * width, 0.08
    else:
        law = _TwoLogistic(distance, width)
        centre, reach, step = 0.0, 0.5 * distance + 30 * width, 0.2
    cells = 2 * int(reach / width / step)
    problem = FokkerPlanck1D(
        lambda x, t: law.score(x), 1.0, low=centre - reach, high=centre + reach, cells=cells
    )
    return problem.spectral_gap()


def _growth(width: Callable[[float], float]) -> Check:
    """Smallest factor of the relaxation time per unit of distance, which is a width of the nearest pair."""

    def check(ctx: Context) -> Evidence:
        found = [gap(d * WIDTH, width(d)) for d in DISTANCES]
        factors = [a.value / b.value for a, b in pairwise(found)]
        error = sum(e.half_width / e.value for e in found)
        text = ", ".join(f"{f:.3g}" for f in factors)
        return number(
            min(factors),
            error=min(factors) * error,
            allowed=(2.0, math.inf),
            kind="quadrature",
            n=sum(e.n for e in found),
            message=f"from {DISTANCES[0]:g} to {DISTANCES[-1]:g} widths apart each width more multiplies the "
            f"relaxation time by {text}; it goes from {1 / found[0].value:.4g} to {1 / found[-1].value:.4g}",
        )

    return check


def formula(distance: float, width: float) -> float:
    """``pi sqrt(2 pi w w') (s^3 / D) [1 + (pi s / D)^2 / 2] exp(D^2 / (8 s^2))``: the time up to (s/D)^4.

    From ``1 / (w w' int dx / q)`` over the valley, where ``q`` is a Gaussian factor times a hyperbolic cosine.
    """
    size = math.pi * math.sqrt(2 * math.pi * WEIGHT * (1 - WEIGHT)) * width**3 / distance
    size *= 1 + 0.5 * (math.pi * width / distance) ** 2
    return size * math.exp(distance**2 / (8 * width**2))


def _law(expected: Callable[[float, float], float]) -> Check:
    """Slope of ``log(time / expected)`` against ``D^2 / (8 s^2)``, for two widths."""

    def check(ctx: Context) -> Evidence:
        slopes, errors, nodes, texts = [], [], 0, []
        for width in (WIDTH, 1.3):
            found = [gap(d * width, width) for d in DISTANCES]
            barrier = np.array(DISTANCES) ** 2 / 8
            rest = [
                -math.log(g.value * expected(d * width, width))
                for g, d in zip(found, DISTANCES, strict=True)
            ]
            slopes.append(float(np.polyfit(barrier, rest, 1)[0]))
            errors.append(2 * max(g.half_width / g.value for g in found) / np.ptp(barrier))
            nodes += sum(g.n for g in found)
            texts += [f"{math.exp(r):.4g}" for r in (rest[0], rest[-1])]
        return agreement(
            np.array(slopes),
            np.zeros(2),
            bound=float(max(errors)),
            tolerance=0.02,  # what is left of the order (s/D)^4 falls by four per cent on the way
            kind="quadrature",
            n=nodes,
            message=f"time over the formula {', '.join(texts)} at {DISTANCES[0]:g} and {DISTANCES[-1]:g} widths, "
            f"widths {WIDTH:g} and 1.3; its logarithm has slope {slopes[0]:+.3g} in D^2/(8 s^2)",
        )

    return check


def _exponential_tails(rate: float) -> Check:
    """Slope of ``log(time)`` against ``D / (2 b)`` for logistic modes of scale b, over ``rate``."""

    def check(ctx: Context) -> Evidence:
        scale, distances = 0.4, np.array([20.0, 25.0, 30.0])
        found = [gap(d * scale, scale, "logistic") for d in distances]
        times = [-math.log(g.value) for g in found]
        slope = float(np.polyfit(distances / 2, times, 1)[0]) / rate
        error = 2 * max(g.half_width / g.value for g in found) / np.ptp(distances / 2)
        return number(
            slope,
            error=error,
            allowed=(0.9, 1.1),
            kind="quadrature",
            n=sum(g.n for g in found),
            message=f"for logistic modes the logarithm of the time has slope {slope * rate:.4g} in D/(2b)",
        )

    return check


def _quadratic_over_two(distance: float, width: float) -> float:
    return math.exp(distance**2 / (2 * width**2))


def _linear(distance: float, width: float) -> float:
    return math.exp(distance / width)


def _drawn(ctx: Context) -> Mapping[str, Any]:
    widths = np.linspace(3.0, 10.0, 8)
    times = np.array([1 / gap(float(d) * WIDTH).value for d in widths]) / WIDTH**2
    law = np.array([formula(float(d), 1.0) for d in widths])
    sd = 0.4 * math.pi / math.sqrt(3)
    logistic = np.array([1 / gap(float(d) * sd, 0.4, "logistic").value for d in widths]) / sd**2
    return {
        "kind": "lines",
        "title": "Relaxation time against the distance of two modes",
        "alt": "For Gaussian modes the logarithm of the time bends upward, for logistic ones it is straight",
        "xlabel": "distance over the deviation of a mode",
        "ylabel": "time over its variance",
        "yscale": "log",
        "series": [
            {"label": "Gaussian modes", "x": listed(widths), "y": listed(times)},
            {"label": "formula", "x": listed(widths), "y": listed(law), "style": "dashed"},
            {"label": "logistic modes", "x": listed(widths), "y": listed(logistic)},
        ],
    }


CLAIMS: tuple[Claim, ...] = (
    Claim(
        "L9",
        "one noise level mixes slowly between far modes: the time grows exponentially with the distance",
        checks={
            "growth": _growth(lambda d: WIDTH),
            "law": _law(formula),
            "tails": _exponential_tails(1.0),
        },
        mutants={
            "growth": [
                named(_growth(lambda d: WIDTH * d / 6), "modes-that-widen-with-the-distance"),
                named(_growth(lambda d: 3 * WIDTH), "noise-of-the-size-of-the-distance"),
            ],
            "law": [
                named(_law(_quadratic_over_two), "half-for-an-eighth"),
                named(_law(_linear), "exponential-of-the-distance"),
            ],
            "tails": [
                named(_exponential_tails(2.0), "twice-the-rate"),
                named(_exponential_tails(0.5), "half-the-rate"),
            ],
        },
        source=("000", "003"),
        assumptions=(
            "time: one over the spectral gap of dX = grad log q dt + sqrt(2) dW, by which every distance to the "
            "stationary law falls in the end; a chain takes that time over its step",
            "'exponentially': at least; each further width of a mode multiplies the time by two or more; the "
            "sources say 'can be exponentially long'",
            f"two modes with weights {WEIGHT:g} and {1 - WEIGHT:g} on the line; for one common isotropic covariance "
            "the law is a product, and the line through the modes is the slow direction in any dimension",
        ),
        finding=lambda e: (
            "The time is exponential in the height of the barrier, log of the density at the modes over that between "
            "them: for Gaussian modes of width s (noise included) at distance D it is pi sqrt(2 pi w w') (s^3/D) "
            f"[1 + (pi s/D)^2/2] exp(D^2/(8 s^2)) up to (s/D)^4 ({e['law'].message}), so it grows faster than any "
            f"exponential of D; with exponential tails it is exponential in D itself ({e['tails'].message})."
        ),
        figure=_drawn,
        role="printed",
        group="ledger",
    ),
)
