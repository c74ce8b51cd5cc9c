"""Ledger, where the arrows of a score field point: S10."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import numpy as np

from ...theory.densities_1d import Logistic
from ...theory.mixtures import Gaussian, GaussianMixture
from ...theory.protocols import Vector
from ..claim import Check, Claim, Context
from ..evidence import Evidence
from ..report.pictures import listed
from .laws import skewed_2d, skewed_8d
from .tools import agreement, named, number

TOWARD = 45.0  #: degrees
RATIOS = (1.0, 4.0, 30.0, 400.0)  #: of the two variances
HALF = math.sqrt(2 * math.log(2))  #: where a Gaussian has half its height, in standard deviations


@cache
def wide_and_narrow() -> GaussianMixture:
    """A wide mode, and a narrow, much higher one to its right."""
    return GaussianMixture([0.5, 0.5], [[0.0, 0.0], [8.0, 1.0]], [9.0, 0.01])


def _angles(score: Vector, goal: Vector) -> Vector:
    """Degrees between the arrows and the directions that they should have, ``(n,)``."""
    cross = np.abs(score[:, 0] * goal[:, 1] - score[:, 1] * goal[:, 0])
    return np.degrees(np.arctan2(cross, (score * goal).sum(1)))


def _ellipse(ratio: float, radius: float, count: int) -> tuple[Gaussian, Vector, Vector]:
    """A tilted Gaussian with variances ``ratio`` and 1, points around it, and points where it has half its height."""
    c, s = math.cos(0.6), math.sin(0.6)
    turn = np.array([[c, -s], [s, c]])
    law = Gaussian([1.5, -0.4], turn @ np.diag([ratio, 1.0]) @ turn.T)
    # and the place where the angle to the mode is largest
    angle = np.append(np.linspace(0, 2 * np.pi, count), math.atan(ratio**-0.5))
    circle = np.stack([np.cos(angle), np.sin(angle)], 1)
    half = HALF * circle * [math.sqrt(ratio), 1.0]
    return law, law.means[0] + radius * circle @ turn.T, law.means[0] + half @ turn.T


def _gaussian(change: Callable[[Vector], Vector]) -> Check:
    """Largest angle between an arrow of a tilted Gaussian and the way to where it has half its height."""

    def check(ctx: Context) -> Evidence:
        law, x, half = _ellipse(30.0, 60.0, 720)
        nearest = np.linalg.norm(x[:, None] - half, axis=-1).argmin(axis=1)
        worst = float(_angles(change(law.score(x)), half[nearest] - x).max())
        return number(
            worst,
            error=0.1,  # degrees: the ellipse is resolved to 0.05, seen from at least 50
            allowed=(0.0, TOWARD),
            n=len(x),
            message=f"around a Gaussian with variances 30 and 1 an arrow is off by up to {worst:.4g} degrees",
        )

    return check


def _nearest(change: Callable[[Vector], Vector]) -> Check:
    """Largest angle between an arrow and the way to the nearest point where a mode has half its height."""

    def check(ctx: Context) -> Evidence:
        law = wide_and_narrow()
        angle = np.linspace(0, 2 * np.pi, 24, endpoint=False)
        x = law.means[1] + 0.8 * np.stack([np.cos(angle), np.sin(angle)], 1)
        # Around the narrow mode, outside the wide one's half height at 3.5: the narrow one is nearer.
        radii = HALF * np.sqrt(np.array([9.0, 0.01]))
        gaps = np.linalg.norm(x[:, None] - law.means, axis=-1) - radii
        goal = law.means[gaps.argmin(axis=1)] - x
        off = _angles(change(law.score(x)), goal)
        return number(
            float(off.max()),
            error=1e-9,
            allowed=(0.0, TOWARD),
            n=len(x),
            message=f"0.8 away from a narrow mode beside a wide one arrows are off by up to "
            f"{off.max():.4g} degrees",
        )

    return check


def _steepest(change: Callable[[Vector], Vector]) -> Check:
    """Rise of ``log p`` along every direction u, by differences, against ``u . s``, in units of ``|s|``."""

    def check(ctx: Context) -> Evidence:
        gaps, errors, count = [], [], 0
        for law in (wide_and_narrow(), skewed_2d(), skewed_8d()):
            rng = np.random.default_rng(4)
            x = law.means[0] + rng.standard_normal((20, law.dim))
            s = change(law.score(x))
            size = np.linalg.norm(law.score(x), axis=1)
            directions = rng.standard_normal((30, 20, law.dim))
            directions[0] = law.score(x)
            u = directions / np.linalg.norm(directions, axis=-1, keepdims=True)
            rises = []
            for h in (1e-3, 2e-3):
                up, down = law.log_prob(x + h * u), law.log_prob(x - h * u)
                rises.append((up - down) / (2 * h))
            rise = (4 * rises[0] - rises[1]) / 3
            gaps.append((np.abs(rise - (u * s).sum(-1)) / size).ravel())
            # the change by extrapolation bounds what it leaves; log p of up to 1e3 is rounded over h
            errors.append(np.abs(rises[0] - rises[1]) / size)
            count += rise.size
        gap = np.concatenate(gaps)
        return agreement(
            gap,
            np.zeros_like(gap),
            bound=max(float(e.max()) for e in errors),
            tolerance=0.01,
            kind="quadrature",
            n=count,
            message=f"rise of log p along 30 directions against u . s, d = 2 and 8, relative to |s|: "
            f"largest gap {gap.max():.2g}",
        )

    return check


def _largest_angle(formula: Callable[[float], float]) -> Check:
    """Largest angle around a Gaussian with variances of ratio k against a formula, degrees."""

    def check(ctx: Context) -> Evidence:
        found = []
        for k in RATIOS:
            law, x, _ = _ellipse(k, 3.0, 4000)
            found.append(float(_angles(law.score(x), law.means[0] - x).max()))
        expected = [math.degrees(formula(k)) for k in RATIOS]
        text = ", ".join(f"{a:.3f} at {k:g}" for a, k in zip(found, RATIOS, strict=True))
        return agreement(
            found,
            expected,
            # arctan2 resolves an angle of zero to the rounding of the cross product
            bound=1e-6,
            tolerance=1e-4,
            n=len(RATIOS) * 4001,
            message=f"largest angle to the mode, degrees, by ratio of variances: {text}",
        )

    return check


def _uphill(sign: float, mixture: bool = False) -> Check:
    """Smallest ``s . (m - x) / [log p(m) - log p(x)]`` for log-concave laws with mode m."""

    def check(ctx: Context) -> Evidence:
        tilted, x, _ = _ellipse(400.0, 3.0, 400)
        line = np.linspace(-6.0, 7.5, 300)[:, None]  # misses the modes
        two = wide_and_narrow()
        cases = (
            [(two, line * [1.0, 1.0], two.means[1])]
            if mixture
            else [(tilted, x, tilted.means[0]), (Logistic(-0.8, 0.4), line, np.array([-0.8]))]
        )
        least, count = math.inf, 0
        for law, at, mode in cases:
            climb = law.log_prob(mode[None]) - law.log_prob(at)
            ratios = sign * (law.score(at) * (mode - at)).sum(1) / climb
            least, count = min(least, float(ratios.min())), count + len(at)
        return number(
            least,
            error=1e-9,
            allowed=(1.0 - 1e-6, math.inf),
            n=count,
            message=f"s . (m - x) is at least {least:.4g} times the climb of log p to the mode m",
        )

    return check


def _same(s: Vector) -> Vector:
    return s


def _back(s: Vector) -> Vector:
    return -s


def _aside(s: Vector) -> Vector:
    return s[..., ::-1].copy()


def _picture(ctx: Context) -> Mapping[str, Any]:
    law = wide_and_narrow()
    x, y = np.linspace(5.5, 10.5, 17), np.linspace(-1.0, 3.0, 15)
    points = np.stack(np.meshgrid(x, y), axis=-1)
    score = law.score(points)
    return {
        "kind": "field",
        "title": "A narrow mode, eight to the right of a wide one",
        "alt": "Arrows around a narrow high mode point past it to the centre of a wide low mode",
        "x": listed(x),
        "y": listed(y),
        "u": listed(score[..., 0]),
        "v": listed(score[..., 1]),
        "density": listed(law.log_prob(points)),
        "points": listed(law.means[1:]),
    }


CLAIMS: tuple[Claim, ...] = (
    Claim(
        "S10",
        "every arrow of the score field points toward the nearest region of high density",
        checks={"gaussian": _gaussian(_same), "nearest": _nearest(_same)},
        mutants={
            "gaussian": [named(_gaussian(_back), "descent"), named(_gaussian(_aside), "swapped")],
            "nearest": [named(_nearest(_aside), "swapped")],
        },
        source=("003",),
        assumptions=(
            f"'toward': within {TOWARD:g} degrees of the way to the nearest point of a region; a region of high "
            "density is where a component has more than half of its height",
            "decided on a tilted Gaussian and on a narrow mode, eight away from a wide one",
        ),
        finding=lambda e: (
            f"{e['gaussian'].message}; from the mode itself an arrow is off by up to arcsin((k - 1)/(k + 1)), k the "
            "ratio of the variances. "
            f"{e['nearest'].message}: they point past the nearest mode, to the one that holds the mass there."
        ),
        figure=_picture,
        role="printed",
        group="ledger",
        correction=Claim(
            "S10",
            r"the score is the direction of steepest ascent: $\log p$ rises along a unit vector $u$ at the rate "
            r"$u \cdot s$; for a Gaussian with variances of ratio $k$ it is up to "
            r"$\arcsin\frac{k-1}{k+1}$ off the mode, and for a log-concave law with mode $m$ it has "
            r"$s \cdot (m - x) \geq \log p(m) - \log p(x)$",
            checks={
                "steepest": _steepest(_same),
                "angle": _largest_angle(lambda k: math.asin((k - 1) / (k + 1))),
                "concave": _uphill(1.0),
            },
            mutants={
                "steepest": [
                    named(_steepest(_back), "descent"),
                    named(_steepest(lambda s: 0.5 * s), "half-the-score"),
                ],
                "angle": [
                    named(_largest_angle(lambda k: math.atan(k - 1)), "arctan"),
                    named(
                        _largest_angle(lambda k: math.asin((k**0.5 - 1) / (k**0.5 + 1))),
                        "ratio-of-the-deviations",
                    ),
                ],
                "concave": [
                    named(_uphill(-1.0), "descent"),
                    named(_uphill(1.0, mixture=True), "two-modes"),
                ],
            },
            assumptions=(
                f"mixtures in two and eight dimensions; variances of ratio {RATIOS}; a Gaussian and a "
                "logistic law",
            ),
            group="ledger",
        ),
    ),
)
