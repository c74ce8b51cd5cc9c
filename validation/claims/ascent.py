"""Ledger, Langevin dynamics without noise: L8, where steepest ascent of the log-density ends."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np

from ...theory.mixtures import GaussianMixture
from ...theory.protocols import Vector
from ..claim import Check, Claim, Context
from ..evidence import Evidence
from .tools import at_least, named

STARTS = 1500


class _Ring:
    """A density whose maxima are a circle: ``log p = -(|x| - r)^2 / (2 w^2)`` up to a constant."""

    mean, radius, variance = np.array([0.3, -0.2]), 1.3, 0.2

    def score(self, x: Vector) -> Vector:
        r = np.linalg.norm(x, axis=1, keepdims=True)
        return -(1 - self.radius / r) * x / self.variance

    def hessian(self, x: Vector) -> Vector:
        r = np.linalg.norm(x, axis=1)[:, None, None]
        out = x[:, :, None] * x[:, None, :] / r**2
        return -((1 - self.radius / r) * (np.eye(2) - out) + out) / self.variance


class _Inflection:
    """A law with one mode, at 0, nondegenerate, and an inflection of zero score at 2: ``s = -x (x - 2)^2``."""

    mean = np.array([1.0])

    def score(self, x: Vector) -> Vector:
        return -x * (x - 2) ** 2

    def hessian(self, x: Vector) -> Vector:
        return -((x - 2) * (3 * x - 2))[:, :, None]


class _Steep:
    """One nondegenerate mode, at 0, with a score that no constant bounds the slope of: ``s = -x - x^3``."""

    mean = np.zeros(1)

    def score(self, x: Vector) -> Vector:
        return -x - x**3

    def hessian(self, x: Vector) -> Vector:
        return -(1 + 3 * x**2)[:, :, None]


@cache
def _three_modes() -> GaussianMixture:
    return GaussianMixture(
        [0.5, 0.3, 0.2],
        [[-2.0, 0.5], [2.2, -0.4], [0.4, 3.0]],
        [[[0.5, 0.2], [0.2, 0.4]], [[0.3, -0.1], [-0.1, 0.6]], [[0.4, 0.0], [0.0, 0.2]]],
    )


@cache
def _sharpest() -> float:
    """Largest curvature of ``-log p`` at a mode: steps below two over it contract there."""
    law = _three_modes()
    x = law.means.copy()
    for _ in range(20):
        x = x - np.linalg.solve(law.hessian(x), law.score(x)[..., None])[..., 0]
    return float(-np.linalg.eigvalsh(law.hessian(x)).min())


def _ascent(
    step: float,
    sign: float = 1.0,
    *,
    law: Callable[[], Any] = _three_modes,
    rounds: int = 3000,
    spread: float = 3.0,
) -> Check:
    """Share of random starts from which noiseless steps end at a nondegenerate maximum."""

    def check(ctx: Context) -> Evidence:
        p = law()
        x = p.mean + spread * ctx.rng.standard_normal((STARTS, len(p.mean)))
        moving = np.arange(STARTS)
        for _ in range(rounds):
            move = p.score(x[moving])
            x[moving] += sign * step * move
            # At rest, or gone to where the score is not zero.
            moving = moving[(np.abs(move).max(1) > 1e-11) & (np.abs(x[moving]).max(1) < 1e6)]
            if not len(moving):
                break
        still = np.linalg.norm(p.score(x), axis=1) < 1e-9
        curved = np.zeros(len(x), dtype=bool)
        curved[still] = np.linalg.eigvalsh(p.hessian(x[still]))[:, -1] < -1e-3
        hits = int(curved.sum())
        message = f"{hits} of {STARTS} starts end where the score is zero and the Hessian negative, step {step:.3g}"
        return at_least(hits, 0.98, ctx, n=STARTS, message=message)

    return check


def _nearly(factor: float) -> Check:
    """The same with a step of ``factor`` times two over the largest curvature at a mode; does not decide."""

    def check(ctx: Context) -> Evidence:
        return replace(_ascent(factor * 2 / _sharpest(), rounds=500)(ctx), deciding=False)

    return check


CLAIMS: tuple[Claim, ...] = (
    Claim(
        "L8",
        r"without the noise, for small steps, almost every start under a density with isolated nondegenerate "
        r"modes ends at a mode",
        checks={"ends": _ascent(0.02), "largest-step": _nearly(0.9)},
        mutants={
            "ends": [
                named(_ascent(0.02, -1.0), "descent"),
                named(_ascent(1.2), "large-step"),
                named(_ascent(0.02, law=_Ring), "ring-of-maxima"),
                named(_ascent(0.02, law=_Inflection, spread=1.0), "critical-point-of-no-mode"),
                named(_ascent(0.02, law=_Steep, spread=20.0), "score-without-Lipschitz-constant"),
            ],
            "largest-step": [
                named(_nearly(1.1), "above-the-threshold"),
                named(_nearly(-0.9), "descent"),
            ],
        },
        source=("002", "003"),
        assumptions=(
            f"{STARTS} random starts within some three standard deviations of a mixture with three modes",
            "'almost every' is read as: more than 98 % of starts; at a mode the score is below 1e-9",
        ),
        finding=lambda evidence: (
            "A mode attracts as long as the step is below two over the largest curvature of -log p there: here "
            f"{2 / _sharpest():.3f}, and with nine tenths of that {evidence['largest-step'].message}. With more the "
            "sharpest mode repels. The starts that are excepted lie on the paths into saddle points. Where maxima "
            "are degenerate, as a ring of them is, every start ends at a point of its own, which is no isolated mode. "
            "Where another critical point is, as 2 is for log p with the slope -x (x - 2)^2, it holds all starts "
            "on one side of it, though the only mode is nondegenerate. Where the slope of the score has no bound, "
            "as for -x - x^3, no step d serves all starts: those beyond sqrt(2/d - 1) run away. The mutants show "
            "all three."
        ),
        role="printed",
        group="ledger",
    ),
)
