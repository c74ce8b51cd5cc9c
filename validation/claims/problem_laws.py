"""The problems themselves: their scores are derivatives of their densities, their draws have their laws.

Whoever checks a sampler against these problems relies on both; here they are held against routes that share no
formula with them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...theory.protocols import Vector
from ..claim import Check, Claim, Context
from ..evidence import Evidence, Outcome
from .tools import EPS, agreement, named, worst

#: Those with a closed law at every time; the data set itself is treated in its own section.
NAMES = (
    "gaussian-1d",
    "mixture-1d",
    "laplace-1d",
    "logistic-1d",
    "student-1d",
    "uniform-1d",
    "gaussian-2d",
    "mixture-2d",
    "banana-2d",
    "double-well-2d",
    "ring-2d",
    "funnel-2d",
    "gaussian-8d",
    "mixture-8d",
    "discrete-8d",
    "mixture-64d",
    "digits-10",
    "digits-40",
    "photos",
)
PLANE = ("banana-2d", "double-well-2d", "ring-2d", "funnel-2d")
TOLERANCE = 0.2
#: In 3,072 dimensions a draw costs a hundred times more, and this tolerance needs the fewest.
WIDE = 0.25


def _problem(name: str) -> Any:
    from ..problems import PROBLEMS

    return PROBLEMS[name]


def _tolerance(name: str) -> float:
    return WIDE if name == "photos" else TOLERANCE


def _directions(dim: int, rng: np.random.Generator) -> Vector:
    """At most eight random orthonormal directions, in columns ``(d, k)``."""
    return np.linalg.qr(rng.standard_normal((dim, min(dim, 8))))[0]


def _slopes(law: Any, x: Vector, axes: Vector, h: float) -> tuple[Vector, float]:
    """Slopes of ``log p`` along ``axes`` by central differences and one Richardson step, and their error."""

    def central(width: float) -> Vector:
        moves = width * axes.T[:, None, :]
        return (law.log_prob(x + moves) - law.log_prob(x - moves)).T / (2 * width)

    coarse, fine = central(h), central(h / 2)
    value = (4 * fine - coarse) / 3
    # log p is a sum over coordinates, which loses some units in the last place of its size.
    rounding = 64 * EPS * (1 + float(np.abs(law.log_prob(x)).max())) / h
    return value, float(np.abs(value - fine).max()) + rounding


def _score(name: str, factor: float = 1.0) -> Check:
    def check(ctx: Context) -> Evidence:
        problem = _problem(name)
        axes = _directions(problem.dim, ctx.rng)
        gaps, errors = [], []
        for t in problem.times(2):
            law = problem.marginal(float(t))
            x = problem.data(24, t=float(t), rng=ctx.rng).reshape(24, -1)
            truth = law.score(x) @ axes
            # Inside a flat density the score is nearly zero: then the width of the draws is the unit.
            width = float((x - x.mean(axis=0)).std())
            size = max(float(np.abs(truth).max()), 1 / width)
            slope, error = _slopes(
                law, x, axes, 1e-4 / max(float(np.sqrt(np.mean(truth**2))), 1 / width)
            )
            gaps.append(float(np.abs(factor * truth - slope).max()) / size)
            errors.append(2 * error / size)
        return agreement(
            np.array(gaps),
            np.zeros(len(gaps)),
            bound=max(errors),
            tolerance=1e-3,
            kind="quadrature",
            n=72 * axes.shape[1],
            message=f"score against differences of log p at three times: {max(gaps):.2g} of its size",
        )

    return check


def _draws(name: str, stretch: float = 1.0) -> Check:
    def check(ctx: Context) -> Evidence:
        from ..sample_checks import check_samples, samples_needed

        problem = _problem(name)
        # Laws in the plane without a closed diffusion have an exact map to normals at t = 0 only.
        t = 0.0 if name in PLANE else float(problem.times(4)[2])
        law = problem.marginal(t) if t else problem.law
        tolerance = _tolerance(name)
        n = samples_needed(law, tolerance=tolerance, false_alarm=ctx.level)
        x = problem.data(n, t=t, rng=ctx.rng).reshape(n, -1)
        x = law.mean + stretch * (x - law.mean)
        verdict = check_samples(x, law, tolerance=tolerance, false_alarm=ctx.level, seed=ctx.seed)
        if verdict.outcome is Outcome.ERROR:
            return Evidence.error("", verdict.explain(), kind="confidence")
        pieces = [e for e in verdict.evidence if e.deciding]
        return worst(pieces, ctx, n=n, message=f"effects at t = {t:.4g}")

    return check


def _claim(name: str) -> Claim:
    return Claim(
        f"law-{name}",
        rf"problem {name}: the score is the derivative of $\log p_t$, and its draws have the law $p_t$",
        checks={"score": _score(name), "draws": _draws(name)},
        mutants={
            "score": [
                named(_score(name, -1.0), "sign"),
                named(_score(name, 1.01), "one-per-cent"),
            ],
            "draws": [named(_draws(name, 2.0), "spread-doubled")],
        },
        assumptions=(
            "score at three times, 24 draws each, along at most eight directions",
            "draws at t = 0" if name in PLANE else "draws at one time between",
            f"draws to a tolerance of {_tolerance(name)} in every effect",
        ),
        group="laws",
        subject={"problem": name},
    )


CLAIMS: tuple[Claim, ...] = tuple(_claim(name) for name in NAMES)
