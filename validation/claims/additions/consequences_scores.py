"""What the refuted sentences on scores do to who relies on them: clipping, following arrows, far steps."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import optimize

from ....theory.densities_1d import Logistic, StudentT
from ....theory.mixtures import GaussianMixture
from ....theory.protocols import Vector
from ...claim import Check, Context
from ...evidence import Evidence
from ..arrows import wide_and_narrow
from ..far_field import FAR
from ..laws import skewed_1d
from ..tails import CENTRE, RADIUS, disc, length
from ..tools import number
from . import Addition
from .tools import consequence

RARE = 0.01  #: share of the draws that counts as the region of low density
AWAY = 0.8  #: distance of the starts from the narrow mode
STD = 0.05  #: a small noise level
FREEDOM = 3.0  #: degrees of the Student t law


def _clipped(law: Any) -> Check:
    """Share of the rarest percent of draws whose score exceeds its root mean square.

    The source clips large scores, taking them for those of low density. A Student t law of n degrees has
    ``|s| = (n + 1) |z| / (n + z^2)`` with mean square ``(n + 1) / (n + 3)``: beyond the larger root of a quadratic
    in ``|z|`` nothing is clipped, and the rarest percent lies beyond it.
    """

    def check(ctx: Context) -> Evidence:
        rare, shares, nodes = [], [], (2000, 4000)
        for count in nodes:
            x = law.quantile((np.arange(count) + 0.5) / count)  # equal shares of the law
            size = length(law, x)
            clipped = size > math.sqrt(float(np.mean(size**2)))
            lowest = np.argsort(law.log_prob(x))[: round(RARE * count)]
            rare.append(float(clipped[lowest].mean()))
            shares.append(float(clipped.mean()))
        return number(
            rare[1],
            error=abs(rare[1] - rare[0]),
            allowed=(0.0, 1e-3),
            kind="quadrature",
            n=sum(nodes),
            message=f"Clipping scores at their root mean square, to tame regions of low density, changes "
            f"{shares[1]:.0%} of the draws of a Student t law of {FREEDOM:g} degrees, and {rare[1]:.0%} of the "
            f"{RARE:.0%} with the lowest density.",
        )

    return check


def _towards(law: GaussianMixture) -> Callable[[Vector], Vector]:
    """Arrows as the sentence has them, to the nearest mode."""

    def field(x: Vector) -> Vector:
        nearest = np.linalg.norm(x[:, None] - law.means, axis=-1).argmin(axis=1)
        return law.means[nearest] - x

    return field


def _followed(field: Callable[[Vector], Vector]) -> Check:
    """Share of starts around the narrow mode from which the arrows lead to the wide one.

    Predicted from the radius at which the pulls of the two components balance: a start that passes the narrow mode
    within it, on its straight way to the wide one, is caught.
    """

    def check(ctx: Context) -> Evidence:
        law = wide_and_narrow()
        count, steps = 90, (0.1, 0.05)
        angle = 2 * np.pi * (np.arange(count) + 0.5) / count
        start = law.means[1] + AWAY * np.stack([np.cos(angle), np.sin(angle)], 1)
        far = float(np.linalg.norm(law.means[1] - law.means[0]))
        shares, x = [], start
        for h in steps:
            x = start
            for _ in range(round((far + 2 * AWAY) / h)):
                s = field(x)
                x = x + h * s / np.maximum(np.linalg.norm(s, axis=1, keepdims=True), 1e-300)
            shares.append(float((np.linalg.norm(x - law.means[0], axis=1) < far / 2).mean()))
        wide, narrow = (float(c[0, 0]) for c in law.covariances)

        def balance(r: float) -> float:
            here = -0.5 * r**2 / narrow + math.log(r / narrow**2)
            return here + 0.5 * far**2 / wide - math.log(far / wide**2)

        caught: Any = optimize.brentq(balance, math.sqrt(narrow), AWAY)
        expected = 1 - math.asin(caught / AWAY) / math.pi
        gone = float(np.linalg.norm(x - law.means[1], axis=1).max())
        return number(
            shares[1],
            error=abs(shares[1] - shares[0]),
            # a start beside that radius may still be bent into it
            allowed=(expected - 0.1, expected + 0.02),
            kind="quadrature",
            n=2 * count,
            message=f"The arrows lead {shares[1]:.0%} of the points that lie {AWAY:g} from a narrow mode, around "
            f"it, not to that mode but to one {gone:.2g} away.",
        )

    return check


def _overshoot(step: Callable[[float, float], float], std: float) -> Check:
    """Distance from the data after one step, over that before, from ten radii away.

    For a score of size ``|x - c| / sigma^2`` a step chosen for its root mean square (at most ``sqrt(d) / sigma``)
    to cover the distance covers ``|x - c| / (sigma sqrt(d))`` times it.

    Args:
        step: ``(distance, sigma)``, by which the score is multiplied.
        std: noise level.
    """

    def check(ctx: Context) -> Evidence:
        angle = np.linspace(0, 2 * np.pi, 16, endpoint=False)
        x = CENTRE + FAR * RADIUS * np.stack([np.cos(angle), np.sin(angle)], 1)
        law, distance = disc().diffuse(1.0, std**2), FAR * RADIUS
        after = x + step(distance, std) * law.score(x)
        ratio = float(np.linalg.norm(after - CENTRE, axis=1).max() / distance)
        expected = distance / (STD * math.sqrt(2))
        return number(
            ratio,
            error=1e-9 * ratio,
            # the data fill a disc, so that the score is that of its centre up to a radius
            allowed=(expected * (1 - 1 / FAR) - 1, expected * (1 + 1 / FAR) + 1),
            n=len(x),
            message=f"At sigma = {std:g}, a step long enough to bring a point home from {FAR:g} radii away if its "
            f"score were as weak as the root mean square, sqrt(d)/sigma, throws it {ratio:.0f} times as far out.",
        )

    return check


def _for_the_root_mean_square(distance: float, std: float) -> float:
    return distance * std / math.sqrt(2)


def _for_the_score(distance: float, std: float) -> float:
    return std**2


ADDED: dict[str, Addition] = {
    "S9": consequence(
        _clipped(StudentT(FREEDOM, 0.5, 0.7)),
        wrong=[
            ("gaussian-mixture", _clipped(skewed_1d())),
            ("logistic", _clipped(Logistic(-0.8, 0.4))),
        ],
    ),
    "S10": consequence(
        _followed(wide_and_narrow().score),
        wrong=[
            ("towards-the-nearest-mode", _followed(_towards(wide_and_narrow()))),
            ("descent", _followed(lambda x: -wide_and_narrow().score(x))),
        ],
    ),
    "S11": consequence(
        _overshoot(_for_the_root_mean_square, STD),
        wrong=[
            ("step-for-the-corrected-size", _overshoot(_for_the_score, STD)),
            ("large-noise", _overshoot(_for_the_root_mean_square, 20.0)),
        ],
    ),
}
