"""``order`` and ``consistent`` in one dimension beyond Gaussian data: outputs at the quantiles of the start.

A deterministic sampler takes the quantiles of the start to points ``y_n(u)``. They are followed over doubled step
counts like mean and covariance on Gaussian data, weighted by the square root of their mass, so that distances are
those of W2. Here scores are not affine, and what a formula does with their curvature is seen.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...numerics.convergence import Convergence
from ...theory.mixtures import GaussianMixture
from ...theory.protocols import Vector
from ..evidence import Allowed, Evidence, Measured, Outcome
from ..verdict import Diagnosis, Mutant, NotChecked, Verdict
from .exact import Prober, Pushed
from .ladder import FLOOR, LEAST, Ladder, order_verdict, settled

_ULPS = 256  #: of the size, a value


def pushed_verdicts(
    prober: Prober,
    most: int,
    order: float | None,
    subject: dict[str, Any],
    *,
    rungs: tuple[int, ...] | None = None,
) -> list[Verdict | NotChecked]:
    """The verdicts on order and consistency of a deterministic sampler on a mixture in one dimension.

    Args:
        prober: finds the outputs at the quantiles.
        most: largest step count of the call.
        order: declared order of the formula, or None.
        subject: of the verdicts.
        rungs: step counts, see :func:`.ladder.ladder_verdicts`.
    """
    if not isinstance(prober.problem.law, GaussianMixture):
        reason = "step by step the marginals of these data are found by quadrature, which takes too long"
        return [
            NotChecked(claim=c, subject=subject, reason=reason) for c in ("consistent", "order")
        ]

    def decide(steps: tuple[int, ...]) -> list[Verdict | NotChecked]:
        return _said(prober, steps, order, subject)

    return settled(decide, max(2 * most, LEAST), subject, rungs=rungs)


def _said(
    prober: Prober, steps: tuple[int, ...], order: float | None, subject: dict[str, Any]
) -> list[Verdict | NotChecked]:
    pushed = [prober.pushed(n) for n in steps]
    root = np.sqrt(pushed[0].levels.weights)
    size = max(p.spread for p in pushed) + max(float(np.abs(p.output @ root**2)) for p in pushed)
    noise = _ULPS * float(np.finfo(np.float32 if prober.single(steps[0]) else np.float64).eps)
    rungs = Ladder(
        steps,
        np.stack([root * p.output for p in pushed]),
        noise * size,
        sum(p.rows for p in pushed),
    )
    found, about = rungs.convergence(), {**subject, "steps": list(steps)}
    return [
        _consistent(prober, rungs, found, root, pushed[0], about),
        order_verdict(rungs, found, order, about),
    ]


def _consistent(
    prober: Prober,
    rungs: Ladder,
    found: Convergence,
    root: Vector,
    pushed: Pushed,
    subject: dict[str, Any],
) -> Verdict:
    ends = {name: root * y for name, y in _ends(prober, pushed).items()}
    error = float(np.linalg.norm(found.limit - found.before)) + 2 * rungs.noise
    limit, size = found.limit, pushed.size

    def piece(values: Vector) -> tuple[Evidence, str]:
        gaps = {name: float(np.linalg.norm(values - end)) for name, end in ends.items()}
        name = min(gaps, key=lambda k: gaps[k])
        near, data = gaps[name], gaps["the data"]
        text = f"the limit of many steps is {near:.2g} in W2 from {name}, {data:.2g} from the data"
        made = Evidence(
            check="floor",
            kind="quadrature",
            measured=Measured(near, max(0.0, near - error), near + error),
            allowed=Allowed(0.0, FLOOR * size),
            n=rungs.rows,
            message=text,
        )
        return made, name

    said, name = piece(limit)
    far = max(float(np.linalg.norm(limit - end)) for end in ends.values())
    wrong, _ = piece(limit + (2 * far + 2 * (FLOOR * size + 2 * error)) * root)
    refuted = said.outcome is Outcome.REFUTED
    explained = "" if name == "the data" or refuted else "; that is explained"
    return Verdict(
        claim="consistent",
        statement="with ever more steps the output goes to the data, or where start and end of the grid lead it",
        assumptions=("Richardson extrapolation of the quantiles; its last change is the error",),
        subject=subject,
        evidence=(said,),
        mutants=(
            Mutant(
                name="limit-shifted", outcome=wrong.outcome, check="floor", message=wrong.message
            ),
        ),
        diagnosis=Diagnosis(text=said.message, cause="floor", distance=said.value)
        if refuted
        else None,
        samples_used=rungs.rows,
        finding=f"{said.message}{explained}.",
    )


def _ends(prober: Prober, pushed: Pushed) -> dict[str, Vector]:
    """Quantiles that a right sampler may end at, by name."""
    problem, law = prober.problem, prober.problem.law
    u, end = pushed.levels.u, problem.t_min
    flown = problem.flow_map(prober.quantiles.reshape(-1, *problem.shape), problem.t_max, end)
    flown = np.asarray(flown).reshape(-1, 1)
    return {
        "the data": np.asarray(law.quantile(u)).reshape(-1),
        "what the probability flow makes of the start": flown[:, 0],
        "what it makes of the start denoised once": problem.marginal(end).denoiser(flown)[:, 0],
    }
