"""``order`` and ``consistent``: how the exact law of the output moves with the number of steps, and where it ends.

The law is followed at five doubled step counts, without noise. Its limit for infinitely many steps is held
against the laws that a right sampler may end at: the data, the diffused data at ``t_min``, either of them after
one denoising step, and what the exact reversal makes of the start where that is the usual normal.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ...numerics.convergence import LOUD, Convergence, converge
from ...numerics.distances import GaussianGap
from ...numerics.exact_law import AffineLaw, Refused
from ...numerics.gaussian_law import Affine, EigenLaw, GaussianReverse
from ...numerics.strong_order import Strong, strong_order
from ...theory.mixtures import Gaussian
from ...theory.protocols import Vector
from ..evidence import Allowed, Evidence, Measured, Outcome
from ..problems import Problem
from ..verdict import Diagnosis, Mutant, NotChecked, Verdict
from .exact import Affine as AffineOutput

_RUNGS = 5
LEAST = 256  #: the finest count is this at least
_WORK = (
    2e8  #: (steps x dimension)^2 at most: numbers that the finest probe pushes, but for a factor
)
FLOOR = 1e-3  #: of sqrt(tr Cov), allowed for the limit
_SLACK = 0.2  #: of the order

Known = Callable[[int], AffineOutput]  #: steps -> law; raises Refused


@dataclass(frozen=True)
class Ladder:
    """The laws at doubled step counts.

    Attributes:
        steps: counts, coarse to fine.
        values: means and covariances, ``(K, d + d^2)``.
        noise: rounding of the values.
        rows: rows of all batches.
        laws: as they were found.
    """

    steps: tuple[int, ...]
    values: Vector
    noise: float
    rows: int
    laws: tuple[AffineLaw, ...] = ()

    def convergence(self) -> Convergence:
        """Order and limit."""
        return converge(self.values, self.counts, noise=self.noise)

    @property
    def counts(self) -> list[int]:
        """The counts, doubled: those that halve whole strides are up to one."""
        return [self.steps[0] * 2**k for k in range(len(self.steps))]


def ladder_verdicts(
    known: Known,
    problem: Problem,
    most: int,
    order: float | None,
    subject: dict[str, Any],
    *,
    rungs: tuple[int, ...] | None = None,
) -> list[Verdict | NotChecked]:
    """The verdicts on order and consistency of an affine sampler on Gaussian data.

    Args:
        known: finds the law at a step count.
        problem: with a Gaussian law.
        most: largest step count of the call.
        order: declared order of the formula, or None.
        subject: of the verdicts.
        rungs: step counts to take, each refining the grid of the one before by halves: the first five, and the last
            five where that decides; by default doubled counts up to twice ``most``, and finer where that decides.
    """
    top = max(2 * most, LEAST)
    while (top * problem.dim) ** 2 > _WORK and top > LEAST:
        top //= 2
    laws: dict[int, AffineLaw] = {}

    def decide(steps: tuple[int, ...]) -> list[Verdict | NotChecked]:
        return _said(_climb(known, steps, laws), problem, order, dict(subject))

    return settled(
        decide, top, subject, rungs=rungs, within=lambda n: (n * problem.dim) ** 2 <= _WORK
    )


def settled(
    decide: Callable[[tuple[int, ...]], list[Verdict | NotChecked]],
    top: int,
    subject: dict[str, Any],
    *,
    rungs: tuple[int, ...] | None,
    within: Callable[[int], bool] = lambda n: True,
) -> list[Verdict | NotChecked]:
    """Verdicts on consistency and order at five step counts; at finer ones where those leave something open.

    Args:
        decide: the two verdicts from step counts; raises Refused.
        top: about the largest count to begin with.
        subject: of what is not checked.
        rungs: as for :func:`ladder_verdicts`.
        within: whether so many steps can be afforded.
    """
    first = doubled(top) if rungs is None else rungs[:_RUNGS]
    more = doubled(4 * top) if rungs is None else rungs[-_RUNGS:]
    try:
        said = decide(first)
    except Refused as error:
        reason = f"needs the output at other step counts too: {error}"
        return [
            NotChecked(claim=c, subject=subject, reason=reason) for c in ("consistent", "order")
        ]
    if more[-1] > first[-1] and within(more[-1]) and any(map(_open, said)):
        # Signs that still change, and limits that are still far off, settle with finer steps.
        with suppress(Refused):  # what was said stays
            again = decide(more)
            said = [new if _open(old) else old for old, new in zip(said, again, strict=True)]
    return said


def _open(one: Verdict | NotChecked) -> bool:
    return isinstance(one, Verdict) and one.outcome is Outcome.UNDECIDED


def _said(
    rungs: Ladder, problem: Problem, order: float | None, subject: dict[str, Any]
) -> list[Verdict | NotChecked]:
    found, about = rungs.convergence(), {**subject, "steps": list(rungs.steps)}
    weak = order_verdict(rungs, found, order, about)
    strong = strong_order(rungs.laws, rungs.counts) if rungs.laws else None
    if isinstance(weak, Verdict) and strong is not None:
        piece = _path(rungs, strong)
        said = f"{weak.finding}; {piece.message}"
        weak = replace(weak, evidence=(*weak.evidence, piece), finding=said)
    return [_consistent(rungs, found, problem, about), weak]


def doubled(top: int) -> tuple[int, ...]:
    """Five step counts, each twice the one before, up to about ``top``."""
    base = max(1, top // 2 ** (_RUNGS - 1))
    return tuple(base * 2**k for k in range(_RUNGS))


def _climb(known: Known, steps: tuple[int, ...], laws: dict[int, AffineLaw]) -> Ladder:
    """The laws at these step counts; those in ``laws`` are not asked for again, the others are put there."""
    for n in steps:
        if n not in laws:
            laws[n] = known(n).law
    found = tuple(laws[n] for n in steps)
    values = np.stack([np.concatenate([law.offset, law.covariance.ravel()]) for law in found])
    # The radius is one of roots; the covariance moves by twice the deviation as much.
    noise = max(law.radius * (1 + 2 * math.sqrt(np.trace(law.covariance))) for law in found)
    return Ladder(steps, values, noise, sum(law.rows for law in found), found)


def _moves(rungs: Ladder) -> bool:
    return bool(np.linalg.norm(np.diff(rungs.values, axis=0), axis=1).max() > LOUD * rungs.noise)


def order_verdict(
    rungs: Ladder, found: Convergence, order: float | None, subject: dict[str, Any]
) -> Verdict | NotChecked:
    """The verdict on the order of what falls along a ladder.

    Args:
        rungs: signed values at the step counts.
        found: their convergence.
        order: declared, or None.
        subject: of the verdict.
    """
    if not _moves(rungs):
        reason = "the law moves with the number of steps by less than rounding can: there is no error that could fall"
        return NotChecked(claim="order", subject=subject, reason=reason)
    p = 1.0 if order is None else order
    piece = _slope(rungs, found, p)
    # A slower error beside the measured one, large enough to be what is seen at the finest steps.
    n = np.array(rungs.steps, dtype=float)
    slow = (n / n[0]) ** (-max(p / 2 - _SLACK, 0.25 * p))
    size = 1e3 * np.abs(np.diff(rungs.values, axis=0)).max()
    wrong = rungs.values + size * slow[:, None] * np.eye(rungs.values.shape[1])[0]
    mutated = Ladder(rungs.steps, wrong, rungs.noise, rungs.rows)
    mutant = _slope(mutated, mutated.convergence(), p)
    refuted = piece.outcome is Outcome.REFUTED
    return Verdict(
        claim="order",
        role="required" if order is not None else "informative",
        statement=f"the error of the law falls at least like n^-{p:g}",
        assumptions=(
            "declared"
            if order is not None
            else "no order is declared: one is what a sampler needs",
            "on the grid of problem.times if the sampler uses it, both ends fixed",
        ),
        subject=subject,
        evidence=(piece,),
        mutants=(
            Mutant(
                name="a-slower-error",
                outcome=mutant.outcome,
                check=mutant.check,
                message=mutant.message,
            ),
        ),
        diagnosis=Diagnosis(text=piece.message, cause="order", distance=found.order)
        if refuted
        else None,
        samples_used=rungs.rows,
        finding=piece.message,
    )


def _slope(rungs: Ladder, found: Convergence, p: float) -> Evidence:
    local = ", ".join(f"{v:.2f}" for v in found.local)
    text = f"local orders {local} between {rungs.steps[0]} and {rungs.steps[-1]} steps"
    last = found.local[-1] if found.local else math.nan
    value = found.order if found.known else (last if math.isfinite(last) else 0.0)
    low, high = min(found.low, value), max(found.high, value)
    if not found.known:
        text += (
            ": signs still change, or the differences do not fall; larger step counts would decide"
        )
    return Evidence(
        check="order",
        kind="quadrature",
        measured=Measured(value, low, high),
        allowed=Allowed(p - _SLACK, math.inf),
        n=rungs.rows,
        message=text,
    )


def _path(rungs: Ladder, strong: Strong) -> Evidence:
    """The order of the path for given noise; none is asked of a sampler, so that it decides nothing."""
    found = strong.convergence
    local = ", ".join(f"{v:.2f}" for v in found.local)
    return Evidence(
        check="strong-order",
        kind="quadrature",
        deciding=False,
        measured=Measured(found.order, found.low, found.high),
        allowed=Allowed(0.0, math.inf),
        n=rungs.rows,
        message=f"for the same noise the path has local orders {local}, and at {rungs.steps[-1]} steps is "
        f"{strong.gaps[-1]:.2g} away from that of half as many",
    )


def _consistent(
    rungs: Ladder, found: Convergence, problem: Problem, subject: dict[str, Any]
) -> Verdict:
    ends = _ends(problem)
    d = problem.dim
    size = math.sqrt(float(np.trace(problem.law.covariance)))
    limit, before = (_moments(v, d) for v in (found.limit, found.before))
    error = _between(limit, before) + 2 * rungs.noise

    def piece(mean: Vector) -> tuple[Evidence, str]:
        gaps = {name: GaussianGap.between(mean, limit[1], end).w2() for name, end in ends.items()}
        name = min(gaps, key=lambda k: gaps[k])
        near, data = gaps[name], gaps["the data"]
        text = f"the limit of many steps is {near:.2g} in W2 from {name}, {data:.2g} from the data"
        measured = Measured(near, max(0.0, near - error), near + error)
        made = Evidence(
            check="floor",
            kind="quadrature",
            measured=measured,
            allowed=Allowed(0.0, FLOOR * size),
            n=rungs.rows,
            message=text,
        )
        return made, name

    said, name = piece(limit[0])
    far = max(float(np.linalg.norm(limit[0] - end.mean)) for end in ends.values())
    moved = limit[0] + (2 * far + 2 * (FLOOR * size + 2 * error)) * np.eye(d)[0]
    wrong, _ = piece(moved)
    refuted = said.outcome is Outcome.REFUTED
    explained = "" if name == "the data" else "; that is explained"
    return Verdict(
        claim="consistent",
        statement="with ever more steps the output goes to the data, or where start and end of the grid lead it",
        assumptions=(
            "Richardson extrapolation of mean and covariance; its last change is the error",
        ),
        subject=subject,
        evidence=(said,),
        mutants=(
            Mutant(
                name="limit-shifted",
                outcome=wrong.outcome,
                check=wrong.check,
                message=wrong.message,
            ),
        ),
        diagnosis=Diagnosis(text=said.message, cause="floor", distance=said.value)
        if refuted
        else None,
        samples_used=rungs.rows,
        finding=said.message + ("" if refuted else explained) + ".",
    )


def _moments(values: Vector, d: int) -> tuple[Vector, Vector]:
    """Mean and the nearest positive semidefinite covariance."""
    c = values[d:].reshape(d, d)
    w, v = np.linalg.eigh((c + c.T) / 2)
    return values[:d], (v * np.maximum(w, 0.0)) @ v.T


def _between(a: tuple[Vector, Vector], b: tuple[Vector, Vector]) -> float:
    floor = 1e-14 * max(float(np.trace(b[1])), 1e-300)  # the reference must have an inverse
    return GaussianGap.between(
        *a, Gaussian(b[0], b[1] + floor * len(b[0]) * np.eye(len(b[0])))
    ).w2()


def _ends(problem: Problem) -> dict[str, Gaussian]:
    """Laws that a right sampler may end at, by name."""
    reverse = GaussianReverse(EigenLaw.of(problem.law), problem.sde)
    end, start = problem.t_min, problem.t_max
    denoise = reverse.ddim(end, 0.0)
    laws = {"the data": reverse.target, "the exact law at the end time": reverse.marginal(end)}
    if problem.start == "prior":
        kernel = problem.sde.kernel(start)
        zero, one = np.zeros(problem.dim), np.ones(problem.dim)
        usual = EigenLaw(zero, float(kernel.variance) * one, reverse.target.vectors)
        laws["what the probability flow makes of the start"] = usual.push(reverse.flow(start, end))
        laws["what the reverse SDE makes of the start"] = usual.push(
            _posterior(reverse, start, end)
        )
    laws |= {
        f"{name}, denoised once,": law.push(denoise)
        for name, law in laws.items()
        if name != "the data"
    }
    return {name: _gaussian(law) for name, law in laws.items()}


def _posterior(reverse: GaussianReverse, t: float, s: float) -> Affine:
    """``x_s`` given ``x_t`` under the diffusion, which the exact reverse SDE draws from."""
    kernel = reverse.sde.kernel(t, s)
    now, then = reverse.marginal(t), reverse.marginal(s)
    gain = float(kernel.scale) * then.variance / now.variance
    noise = then.variance * float(kernel.variance) / now.variance
    return Affine(gain, then.mean - gain * now.mean, noise)


def _gaussian(law: EigenLaw) -> Gaussian:
    mean, covariance = law.gaussian()
    return Gaussian(mean, (covariance + covariance.T) / 2)
