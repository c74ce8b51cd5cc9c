"""Ledger, annealed Langevin dynamics: L10, what it needs of its steps, its levels and its start."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np

from ...numerics.fokker_planck import FokkerPlanck1D
from ...numerics.gaussian_law import EigenLaw, ula_affine
from ...theory.mixtures import Gaussian, GaussianMixture
from ...theory.protocols import Vector
from ..claim import Check, Claim, Context
from ..evidence import Evidence
from ..report.pictures import listed
from .laws import tilted_gaussian
from .step_counts import power
from .tools import EPS, agreement, named, number

LARGEST, SMALLEST, COUNT = 6.0, 0.05, 12  #: a geometric ladder of noise levels
STEPS, RATIO = 100, 0.1  #: steps a level, and half a step over the variance of its noise
NEAR = 0.05


def ladder(largest: float, count: int = COUNT) -> Vector:
    """Noise levels in geometric progression, decreasing."""
    return np.geomspace(largest, SMALLEST, count) if count > 1 else np.array([SMALLEST])


def annealed(
    largest: float = LARGEST,
    steps: float = STEPS,
    *,
    ratio: float = RATIO,
    centre: float = 0.0,
    count: int = COUNT,
) -> tuple[EigenLaw, EigenLaw]:
    """The exact law at the end for a tilted Gaussian, and q of the smallest level.

    Steps ``x + (h/2) s + sqrt(h) z`` with ``h/2 = ratio sigma^2``, started from ``N(centre, I)``.
    """
    target = EigenLaw.of(tilted_gaussian())
    one = np.ones_like(target.variance)
    law = EigenLaw(target.vectors.T @ (centre * one), one, target.vectors)
    noised = target
    for std in ladder(largest, count):
        noised = target.diffuse(1.0, float(std) ** 2)
        law = law.push(power(ula_affine(noised, step=ratio * float(std) ** 2), round(steps)))
    return law, noised


def distance(largest: float = LARGEST, steps: float = STEPS, **other: Any) -> float:
    """W2 to q of the smallest level over the root of the trace of its covariance."""
    law, noised = annealed(largest, steps, **other)
    return law.w2(noised) / math.sqrt(float(noised.variance.sum()))


def _gaussian(largest: float = LARGEST, steps: float = STEPS, **other: Any) -> Check:
    def check(ctx: Context) -> Evidence:
        value = distance(largest, steps, **other)
        return agreement(
            value,
            0.0,
            bound=1e-9 * (1 + value),  # a thousand affine steps
            tolerance=NEAR,
            n=round(steps) * int(other.get("count", COUNT)),
            message=f"{steps:g} steps a level from sigma = {largest:g} to {SMALLEST:g}: W2 to q of the smallest level "
            f"is {value:.4g} of the root of its variance",
        )

    return check


@cache
def _two_modes() -> GaussianMixture:
    return GaussianMixture([0.25, 0.75], [[-4.0], [5.0]], [0.09, 0.25])


@cache
def mixture_end(largest: float, share: float, cells: int) -> tuple[float, float]:
    """Total variation distance to q of the smallest level, and the weight left of the valley, for two modes.

    Small steps: the diffusion itself, for the time ``share * STEPS * RATIO sigma^2`` at each level.
    """
    base = _two_modes()
    reach = 12.0 + 4.0 * largest
    p: Any = None
    truth, problem = np.zeros(0), None
    for std in ladder(largest):
        law = base.diffuse(1.0, float(std) ** 2)
        problem = FokkerPlanck1D(
            lambda x, t, law=law: law.score(x),
            1.0,
            low=-reach,
            high=reach,
            cells=cells,
            steady=True,
        )
        grid = problem.grid
        if p is None:
            p = np.exp(Gaussian([0.0], [1.0]).log_prob(grid.points))
        p = problem.evolve(p, 0.0, share * STEPS * RATIO * float(std) ** 2, steps=16)
        truth = np.exp(law.log_prob(grid.points))
    assert problem is not None
    left = problem.grid.points[:, 0] < 0.5
    change = 0.5 * problem.grid.mass(np.abs(p - truth / problem.grid.mass(truth)))
    return change, problem.grid.mass(p * left)


def _mixture(largest: float = LARGEST, share: float = 1.0) -> Check:
    def check(ctx: Context) -> Evidence:
        cells = int(16 * (12 + 4 * largest))
        fine, weight = mixture_end(largest, share, cells)
        rough = mixture_end(largest, share, cells // 2)[0]
        return number(
            fine,
            error=abs(fine - rough),
            allowed=(0.0, NEAR),
            kind="quadrature",
            n=16 * COUNT,
            message=f"two modes nine apart, largest level {largest:g}: total variation distance {fine:.3g}, weight of "
            f"the left mode {weight:.4f} instead of 0.25",
        )

    return check


def _forgotten(kind: str) -> Check:
    """What is left of a shifted start, against ``prod (1 - h_i / (2 (v + sigma_i^2)))^n``, d = 3."""

    def check(ctx: Context) -> Evidence:
        gaps, texts = [], []
        target = EigenLaw.of(tilted_gaussian())
        for steps in (2, 5, 12):
            ends = [annealed(steps=steps, centre=c)[0].mean for c in (0.0, 10.0)]
            start = target.vectors.T @ np.full(3, 10.0)
            left = np.ones(3)
            for std in ladder(LARGEST):
                h, v = 2 * RATIO * float(std) ** 2, target.variance
                rate = {
                    "noised": h / (2 * (v + float(std) ** 2)),
                    "data": h / (2 * v),
                    "other": h / (v + float(std) ** 2),
                }[kind]
                left = left * (1 - rate) ** steps
            gaps.append(np.abs((ends[1] - ends[0]) / start - left))
            texts.append(f"{left.max():.3g}")
        gap = np.concatenate(gaps)
        return agreement(
            gap,
            np.zeros_like(gap),
            bound=4096 * EPS,
            tolerance=1e-9,
            n=gap.size,
            message="share of the start left in the slowest direction after 2, 5, 12 steps a level against the "
            f"product: {', '.join(texts)}",
        )

    return check


def _drawn(ctx: Context) -> Mapping[str, Any]:
    steps = np.unique(np.round(np.geomspace(1, 3000, 24)))
    return {
        "kind": "lines",
        "title": "Distance at the end of the ladder, Gaussian target",
        "alt": "The distance falls with the steps a level; a start far away needs some ten of them more",
        "xlabel": "steps a level",
        "ylabel": "W2, relative",
        "xscale": "log",
        "yscale": "log",
        "series": [
            {
                "label": label,
                "x": listed(steps),
                "y": listed(np.array([distance(steps=float(n), **other) for n in steps])),
            }
            for label, other in (
                ("start N(0, I)", {}),
                ("start 100 away", {"centre": 100.0}),
                ("steps twice as large", {"ratio": 2 * RATIO}),
                ("largest level 1", {"largest": 1.0}),
            )
        ],
        "levels": [{"y": NEAR, "label": "near"}],
    }


CLAIMS: tuple[Claim, ...] = (
    Claim(
        "L10",
        r"annealed Langevin dynamics, started at $\mathcal{N}(0, I)$ at the largest level, ends near $q_\sigma$ of "
        r"the smallest level",
        checks={
            "gaussian": _gaussian(),
            "mixture": _mixture(),
            "start": _forgotten("noised"),
        },
        mutants={
            "gaussian": [
                named(_gaussian(steps=10), "ten-steps-a-level"),
                named(_gaussian(ratio=0.1 * RATIO), "tenth-of-the-step"),
                named(_gaussian(count=1), "smallest-level-only"),
            ],
            "mixture": [
                named(_mixture(largest=0.5), "largest-level-small"),
                named(_mixture(share=0.02), "two-steps-a-level"),
            ],
            "start": [
                named(_forgotten("data"), "variance-of-the-data"),
                named(_forgotten("other"), "other-convention"),
            ],
        },
        source=("000", "001"),
        assumptions=(
            f"enough small steps, as 000 asks: {STEPS} a level with h = {2 * RATIO:g} sigma^2; {COUNT} levels in "
            f"geometric progression from {LARGEST:g}, of the size of the data's spread, to {SMALLEST:g}; exact scores",
            f"'near': W2 within {NEAR:.0%} of the root of the variance for a Gaussian, total variation within "
            f"{NEAR:g} for two far modes, where the steps are taken to be small",
        ),
        finding=lambda e: (
            "Steps: a direction of variance v forgets the start by the product of (1 - h/(2(v + sigma^2))) over all "
            f"steps ({e['start'].message}), so the sum of h/(2(v + sigma^2)) must exceed the log of start over "
            "tolerance. With h proportional to sigma^2 most of it is spent where sigma^2 > v: below, wide directions "
            f"hardly move, and the last noise stays in them ({e['gaussian'].message}; {distance(steps=1000):.3g} with "
            "ten times the steps). Start: for one mode its distance counts by its logarithm; for several the largest "
            f"level must be of the size of their distance ({e['mixture'].message}; with largest level 0.5 the weight "
            f"is {mixture_end(0.5, 1.0, 224)[1]:.3f})."
        ),
        figure=_drawn,
        role="printed",
        group="ledger",
    ),
)
