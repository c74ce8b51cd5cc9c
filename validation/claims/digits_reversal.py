"""Real images: the reversed diffusions of the digits, started at ``p_T``, against the exact marginals."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import numpy as np

from ...models.data import digit_images, digit_mixture
from ...numerics.flow_solvers import Heun
from ...numerics.solver_grids import KarrasGrid
from ...numerics.solvers import DDIM, Ancestral, Solver
from ...theory.diffusions import VP
from ...theory.marginals import marginal
from ...theory.protocols import Vector
from ..claim import Check, Claim, Context
from ..evidence import Allowed, Evidence, Outcome
from ..sample_checks import check_samples
from .digits import SUBJECT, diffused_digits
from .tools import at_least, named, worst

ANCESTRAL, FLOW = 60, 20  #: steps; the flow solver is second order, with two evaluations a step
PARTS = 5
DRAWS, FEW = 5000, 1000
T_MIN = 1e-4
TOLERANCE = 0.2  #: of probabilities
LIMITS = {"mean": 0.3, "variance": 0.5}  #: of what is harder to certify with these draws


def _recovers(
    solver: Solver,
    steps: int,
    n: int,
    field: Callable[[Vector, float], Vector],
    shift: int = 0,
) -> Check:
    """Draws of ``p_1`` carried back by ``solver`` against the exact marginals at five times.

    Args:
        solver: a reverse-time solver.
        steps: number of its steps; the marginals are compared at five of its grid points.
        n: draws.
        field: the score that it is given.
        shift: grid points by which the marginals are mislabelled (a mutant).
    """

    def check(ctx: Context) -> Evidence:
        sde = VP()
        grid = KarrasGrid(sde, 1.0, T_MIN).times(steps)
        x = diffused_digits(1.0).transport(ctx.rng.random(n), ctx.rng.standard_normal((n, 64)))
        pieces: list[Evidence] = []
        for k, (t, s) in enumerate(pairwise(grid), start=1):
            x = solver.step(x, float(t), float(s), score=field, sde=sde, rng=ctx.rng)
            if k % (steps // PARTS):
                continue
            at = float(grid[max(k - shift, 0)])
            verdict = check_samples(
                x,
                diffused_digits(at),
                tolerance=TOLERANCE,
                false_alarm=ctx.level / PARTS,
                seed=ctx.seed,
            )
            if verdict.outcome is Outcome.ERROR:
                return Evidence.error("", verdict.explain(), kind="confidence")
            pieces += [
                replace(
                    e,
                    check=f"{e.check} at t = {at:.4g}",
                    allowed=Allowed(0.0, LIMITS.get(e.check, TOLERANCE)),
                )
                for e in verdict.evidence
                if e.deciding
            ]
            if any(e.outcome is Outcome.REFUTED for e in pieces):
                break  # the worst is known
        return worst(pieces, ctx, n=n, message="effects over five times")

    return check


def _true_score(x: Vector, t: float) -> Vector:
    return diffused_digits(t).score(x)


def _half_score(x: Vector, t: float) -> Vector:
    return 0.5 * diffused_digits(t).score(x)


def _late_score(x: Vector, t: float) -> Vector:
    return diffused_digits(min(1.0, 1.3 * t)).score(x)


def _returns(population: bool) -> Check:
    """Share of draws of the flow that end at a training image: nearest below a third of second nearest."""

    def check(ctx: Context) -> Evidence:
        n, sde, images = 400, VP(), digit_images()
        law = marginal(digit_mixture(10), sde, 1.0) if population else diffused_digits(1.0)

        def field(x: Vector, t: float) -> Vector:
            return (
                marginal(digit_mixture(10), sde, t).score(x)
                if population
                else diffused_digits(t).score(x)
            )

        x = law.transport(ctx.rng.random(n), ctx.rng.standard_normal((n, 64)))
        x = DDIM().sample(field, sde, x, KarrasGrid(sde, 1.0, T_MIN).times(FLOW), rng=ctx.rng)
        distances = np.sqrt(
            np.maximum((x**2).sum(1)[:, None] - 2 * x @ images.T + (images**2).sum(1), 0.0)
        )
        nearest = np.partition(distances, 1, axis=1)[:, :2]
        hits = int((nearest[:, 0] < nearest[:, 1] / 3).sum())
        message = (
            f"{hits} of {n} draws lie within a third of the distance to the second nearest image"
        )
        return at_least(hits, 0.9, ctx, n=n, message=message)

    return check


READING = (
    f"'recovers': probabilities (weights, distribution functions) within {TOLERANCE}, means within "
    f"{LIMITS['mean']} standard deviations, variances within {100 * LIMITS['variance']:.0f} %"
)

CLAIMS: tuple[Claim, ...] = (
    Claim(
        "digits-reverse-sde",
        r"the reverse SDE started at $p_T$ recovers the marginals of the digits at five times",
        checks={"marginals": _recovers(Ancestral(), ANCESTRAL, DRAWS, _true_score)},
        mutants={
            "marginals": [
                named(_recovers(Ancestral(), ANCESTRAL, FEW, _half_score), "score-halved")
            ]
        },
        source=("Anderson 1982", "Ho et al. 2020, Eq. 7"),
        assumptions=(
            f"{ANCESTRAL} ancestral steps, even in the seventh root of the noise-to-signal ratio, down to t = 1e-4",
            READING,
        ),
        group="digits",
        subject=SUBJECT,
    ),
    Claim(
        "digits-flow",
        r"the probability flow started at $p_T$ recovers the marginals of the digits at five times",
        checks={"marginals": _recovers(Heun("sigma"), FLOW, DRAWS, _true_score)},
        mutants={
            "marginals": [
                named(_recovers(Heun("sigma"), FLOW, FEW, _late_score), "score-of-a-later-time"),
                named(
                    _recovers(Heun("sigma"), FLOW, FEW, _true_score, shift=4),
                    "marginals-of-another-time",
                ),
            ]
        },
        source=("Song et al. 2021, Eq. 13", "Karras et al. 2022, Alg. 1"),
        assumptions=(
            f"{FLOW} Heun steps in the noise-to-signal ratio, even in its seventh root, down to t = 1e-4",
            READING,
        ),
        group="digits",
        subject=SUBJECT,
    ),
    Claim(
        "digits-memorised",
        "a sampler with the exact score of the data set returns training images only",
        checks={"share": _returns(False)},
        mutants={"share": [named(_returns(True), "score-of-a-population")]},
        source=("Gu et al. 2023",),
        assumptions=(
            "'only' is read as: more than 90 % of draws; 400 are drawn",
            "'a training image': the nearest image is nearer than a third of the distance to the second nearest",
        ),
        finding=lambda evidence: evidence["share"].message + ".",
        group="digits",
        subject=SUBJECT,
    ),
)
