"""Ledger, scores where the density is low: S9."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import numpy as np

from ...theory.densities_1d import Logistic, StudentT
from ...theory.empirical import PointMasses
from ...theory.mixtures import GaussianMixture
from ...theory.protocols import Vector
from ..claim import Check, Claim, Context
from ..evidence import Evidence
from ..report.pictures import listed
from .averages import grid_means
from .laws import skewed_1d
from .tools import EPS, agreement, named, number

DROPS = (6.0, 12.0)  #: decades below the top of the density
CENTRE = np.array([0.7, -0.3])
RADIUS = 1.5
SMALL = (0.01, 0.05, 0.2)


def _valley() -> GaussianMixture:
    """Two unequal modes far apart."""
    return GaussianMixture([0.3, 0.7], [[-5.0], [6.0]], [0.49, 1.0])


@cache
def disc() -> PointMasses:
    """Forty points within a disc."""
    rng = np.random.default_rng(3)
    angle, radius = 2 * np.pi * rng.random(40), RADIUS * np.sqrt(rng.random(40))
    return PointMasses(CENTRE + radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], 1))


def outside() -> tuple[Vector, Vector]:
    """Points around the disc from twice to a million times its radius, and their distances from its centre."""
    angle = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    size = RADIUS * np.geomspace(2.0, 1e6, 12)
    around = np.stack([np.cos(angle), np.sin(angle)], 1)
    x = CENTRE + (size[:, None, None] * around).reshape(-1, 2)
    return x, np.linalg.norm(x - CENTRE, axis=1)


def length(law: Any, x: Vector) -> Vector:
    """``|grad log p|``, shape ``(...)``."""
    return np.linalg.norm(law.score(x), axis=-1)


def _slope(law: Any, x: Vector) -> Vector:
    """``|grad p|``."""
    return length(law, x) * np.exp(law.log_prob(x))


def _curvature(law: Any, x: Vector) -> Vector:
    return np.abs(law.divergence(x))


def _places(law: Any) -> Vector:
    """Where the density is six and twelve decades below its top, to the right: ``(2, d)``."""
    e = np.eye(law.dim)[:1]
    top = float(law.log_prob(np.linspace(-10, 10, 4001)[:, None] * e).max())
    found = []
    for drop in DROPS:
        low, high = 0.0, 1e9
        for _ in range(200):
            middle = 0.5 * (low + high)
            above = float(law.log_prob(middle * e)[0]) > top - drop * math.log(10)
            low, high = (middle, high) if above else (low, middle)
        found.append(low)
    return np.array(found)[:, None] * e


def _growth(laws: Mapping[str, Any], size_of: Callable[[Any, Vector], Vector] = length) -> Check:
    """Smallest growth of the score, over laws, as the density falls by six more decades."""

    def check(ctx: Context) -> Evidence:
        ratios = {}
        for name, law in laws.items():
            near, far = size_of(law, _places(law))
            ratios[name] = float(far / near)
        least = min(ratios.values())
        text = ", ".join(f"{name} {ratio:.3g}" for name, ratio in ratios.items())
        return number(
            least,
            error=1e-9 * least,  # the places are found to a few ulps
            allowed=(1.1, math.inf),
            n=2 * len(laws),
            message=f"size of the score at 1e-12 of the highest density over that at 1e-6: {text}",
        )

    return check


def _bottom(of_mode: bool = False, power: float = 1.0) -> Check:
    """The score at the bottom of a valley (or the top of a mode), in units of its root mean square."""

    def check(ctx: Context) -> Evidence:
        law = _valley()
        low, high = (5.0, 7.0) if of_mode else (-3.5, 3.5)
        for _ in range(200):
            middle = 0.5 * (low + high)
            # the score rises through zero at a minimum of the density, and falls at a maximum
            left = (float(law.score(np.array([[middle]]))[0, 0]) < 0) != of_mode
            low, high = (middle, high) if left else (low, middle)
        x = np.array([[low]])
        score = abs(float(law.score(x)[0, 0])) ** power
        unit = grid_means(lambda y: law.score(y) ** 2 * np.exp(law.log_prob(y))[:, None], law)[0]
        root = math.sqrt(unit.value)
        depth = float(law.log_prob(x)[0] - law.log_prob(law.means).max()) / math.log(10)
        slope = abs(float(law.divergence(x)[0]))
        return number(
            score / root,
            error=16 * EPS * (1 + abs(low) * slope),  # of the place, and of the sum of two terms
            allowed=(1.0, math.inf),
            kind="quadrature",
            n=unit.n,
            message=f"at x = {low:.4g} the density is 1e{depth:.1f} of its highest value and the score "
            f"is {score:.1g}, with a root mean square of {root:.3g}",
        )

    return check


def _tail(variance: str) -> Check:
    """``variance * score`` against ``-x`` far out, relative, for an isotropic mixture in three dimensions."""

    def check(ctx: Context) -> Evidence:
        variances = np.array([0.3, 0.8, 0.5])
        means = np.array([[1.0, -0.5, 0.2], [-1.2, 0.8, 0.0], [0.3, 2.0, -1.0]])
        law = GaussianMixture([0.5, 0.2, 0.3], means, variances)
        v = {
            "largest": variances.max(),
            "smallest": variances.min(),
            "mean": law.weights @ variances,
        }
        angle = np.random.default_rng(2).standard_normal((20, 3))
        around = angle / np.linalg.norm(angle, axis=1, keepdims=True)
        x = (np.geomspace(1e4, 1e6, 5)[:, None, None] * around).reshape(-1, 3)
        gap = np.linalg.norm(v[variance] * law.score(x) + x, axis=1) / np.linalg.norm(x, axis=1)
        return agreement(
            gap,
            np.zeros_like(gap),
            bound=64 * EPS,
            tolerance=1e-3,  # the means are within 2.3 of the origin, x is 1e4 and more away
            message=f"score times the {variance} variance against -x, relative, |x| from 1e4 to 1e6: "
            f"largest gap {gap.max():.2g}",
        )

    return check


def bounds(power: float, radius: float = RADIUS, stds: tuple[float, ...] = SMALL) -> Check:
    """``|sigma^power |s| - |x - c|| / radius`` for noised data in a disc of radius R about c, outside it."""

    def check(ctx: Context) -> Evidence:
        x, distance = outside()
        gaps = []
        for std in stds:
            law = disc().diffuse(1.0, std**2)
            gaps.append(np.abs(std**power * length(law, x) - distance) / radius)
        gap = float(np.max(gaps))
        return number(
            gap,
            error=16 * EPS * 1e6,  # relative to the farthest point
            allowed=(0.0, 1.0),
            n=len(x) * len(stds),
            message=f"sigma^{power:g} |s(x)| differs from |x - c| by at most {gap:.4g} radii, from twice "
            "to a million times the radius",
        )

    return check


def _ninth() -> Claim:
    heavy = {
        "Gaussian mixture": skewed_1d(),
        "logistic": Logistic(-0.8, 0.4),
        "Student t, 3 degrees": StudentT(3.0, 0.5, 0.7),
    }
    light = {"Gaussian mixture": skewed_1d(), "noised data": disc().diffuse(1.0, 0.25)}
    mixture = {"Gaussian mixture": skewed_1d()}
    return Claim(
        "S9",
        "the score grows unboundedly in regions of low density",
        checks={"tails": _growth(heavy), "valley": _bottom()},
        mutants={
            "tails": [
                named(_growth(mixture, _slope), "gradient-of-the-density"),
                named(_growth(mixture, _curvature), "second-derivative"),
            ],
            "valley": [
                named(_bottom(of_mode=True), "top-of-a-mode"),
                named(_bottom(power=2.0), "square-of-the-score"),
            ],
        },
        source=("000",),
        assumptions=(
            "'grows': by a tenth at least while the density falls from 1e-6 to 1e-12 of its highest value, "
            "for every law; and at every point of so low a density it exceeds its root mean square",
            "all four laws are smooth, positive and decaying",
        ),
        finding=lambda e: (
            f"{e['tails'].message}. A Student t with n degrees has |s| about (n + 1)/|x|, which goes to zero, a "
            f"logistic law at most 1/scale. Between two modes the score is even zero: {e['valley'].message}."
        ),
        figure=_tails_drawn,
        role="printed",
        group="ledger",
        correction=Claim(
            "S9",
            r"far out the score grows like the distance for Gaussian mixtures, $s(x) \sim -x/v$ with $v$ the "
            r"largest variance of isotropic components, and for noised data within a radius $R$ of $c$, "
            r"$|\sigma^2 |s(x)| - |x - c|| \le R$",
            checks={
                "mixture": _tail("largest"),
                "noised": bounds(2.0),
                "growth": _growth(light),
            },
            mutants={
                "mixture": [
                    named(_tail("smallest"), "smallest-variance"),
                    named(_tail("mean"), "mean-variance"),
                ],
                "noised": [
                    named(bounds(1.0), "sigma-for-its-square"),
                    named(bounds(2.0, RADIUS / 4), "quarter-of-the-radius"),
                ],
                "growth": [
                    named(_growth(light, _slope), "gradient-of-the-density"),
                    named(_growth(light, _curvature), "second-derivative"),
                ],
            },
            assumptions=(
                f"three isotropic components in three dimensions; forty points in a disc of radius {RADIUS:g}, "
                f"sigma = {', '.join(f'{s:g}' for s in SMALL)}",
            ),
            group="ledger",
        ),
    )


def _tails_drawn(ctx: Context) -> Mapping[str, Any]:
    """Size of the score against the decades by which the density has fallen."""
    x = np.geomspace(0.05, 400.0, 300)[:, None]
    series = []
    for name, law in (
        ("Gaussian mixture", skewed_1d()),
        ("logistic", Logistic(0.0, 0.4)),
        ("Student t, 3 degrees", StudentT(3.0, 0.0, 0.7)),
    ):
        y = x + (2.1 if name == "Gaussian mixture" else 0.0)
        fallen = -(law.log_prob(y) - law.log_prob(y[:1])) / math.log(10)
        kept = (fallen > 0) & (fallen < 20)
        series.append(
            {"label": name, "x": listed(fallen[kept]), "y": listed(length(law, y)[kept])}
        )
    return {
        "kind": "lines",
        "title": "Size of the score where the density is low",
        "alt": "The score of a Gaussian mixture grows, that of a logistic law stays, that of a Student t falls",
        "xlabel": "decades below the top of the tail",
        "ylabel": "|s|",
        "series": series,
    }


CLAIMS: tuple[Claim, ...] = (_ninth(),)
