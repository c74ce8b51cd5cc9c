"""``step-order``: every step started from the exact marginal, its local error along the path, the first wrong step.

The steps are those of a real run, read off the states that are handed to the model (:mod:`.trajectory`). With local
errors ``e_i = O(h^(p + 1))`` their sum over a fixed interval of time falls like ``n^-p``: the order of the formula,
free of what start-up, last step and the ends of the grid do. A step is wrong where the errors of the two steps that
replace it at twice the count are together not as much smaller as they must be.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from ...numerics.exact_law import Refused
from ...theory.protocols import Vector
from ..evidence import Allowed, Evidence, Measured, Outcome
from ..verdict import Diagnosis, Mutant, NotChecked, Verdict
from .exact import Prober
from .trajectory import Trajectory, follow

COUNTS = (16, 32, 64, 128)
_UNDONE = 0.25  #: of the pairs of neighbours: on a smooth path all point the same way, but where a sign changes
_LOUD = 100  #: times the rounding of a state: smaller errors are not looked at
_FEW = 16  #: dimensions up to which all counts are taken
_EDGE = (
    2  #: steps of the coarsest run that are left out at either end: start-up and last-step rules
)
_SLACK = 0.2  #: of the order, as for whole runs
_FINE = 0.01  #: an order is not known better than this
#: Two half steps of order p make 2^-p of the error of the whole one; with 2^-0.4 for p = 1, and 0.6 more in the
#: exponent for each further order, the whole one is wrong: about half of an order is granted to coarse steps.
_STILL, _STUCK = 0.4, 0.6
_SEEN = 0.05  #: of the largest local error: smaller ones are not called wrong


@dataclass(frozen=True)
class Path:
    """Trajectories at doubled counts, coarse to fine."""

    runs: tuple[Trajectory, ...]

    @classmethod
    def of(cls, prober: Prober, counts: Sequence[int] = COUNTS) -> Path:
        """Follows the sampler.

        Raises:
            Refused: see :func:`.trajectory.follow`.
        """
        return cls(tuple(follow(prober, n) for n in counts))

    def finer(self, prober: Prober) -> Path:
        """With one more doubling.

        Raises:
            Refused: as above.
        """
        return Path((*self.runs, follow(prober, 2 * self.runs[-1].steps)))

    @property
    def sums(self) -> Vector:
        """Sum of the local errors over the inner interval of time, one a count."""
        inner = self.runs[0].times[_EDGE : -1 - _EDGE]
        low, high = inner[-1] * (1 - 1e-9), inner[0] * (1 + 1e-9)
        return np.array(
            [run.local[_between(run.times[:-1], low, high)].sum() for run in self.runs]
        )

    @property
    def staged(self) -> bool:
        """Whether errors of neighbours undo each other, as they do where some calls are stages within a step."""
        errors = self.runs[-1].signed[_EDGE:-_EDGE]
        sizes = np.maximum(np.linalg.norm(errors, axis=1), self.runs[-1].rounding)
        cosines = (errors[1:] * errors[:-1]).sum(axis=1) / (sizes[1:] * sizes[:-1])
        return bool((cosines < -0.5).mean() > _UNDONE)

    def wrong(self, order: float | None) -> tuple[int, str] | None:
        """The first step of the last run but one that does not shrink as it must, and what is to be said of it.

        Args:
            order: declared, one if None.
        """
        if self.staged:
            return None
        p = 1.0 if order is None else order
        run, finer = self.runs[-2:]
        edges = np.searchsorted(-finer.times, -run.times * (1 + 1e-9))
        off = run.drift[0]
        if run.problem.start == "marginal" and off > 1e-6:
            return -1, f"the start is off the exact marginal by {off:.2g} standard deviations"
        least = max(_SEEN * run.local.max(), _LOUD * run.rounding)
        for i, (a, b) in enumerate(pairwise(edges)):
            halves = float(finer.local[a:b].sum())
            if b - a < 2:  # the same step at both counts, as last steps to zero are
                continue
            if run.local[i] > least and halves > 2 ** (_STUCK * (1 - p) - _STILL) * run.local[i]:
                last = ", the last one" if i + 1 == run.steps else ""
                return i, (
                    f"the first wrong step is step {i + 1} of {run.steps}, from t = {run.times[i]:.4g} to "
                    f"{run.times[i + 1]:.4g}{last}: started from the exact marginal it is off by {run.local[i]:.2g} "
                    f"standard deviations, and the steps in its place at {finer.steps} steps together by {halves:.2g}"
                )
        return None


def _between(times: Vector, low: float, high: float) -> np.ndarray:
    return (times >= low) & (times <= high)


def step_order(
    path: Path, order: float | None, subject: Mapping[str, Any]
) -> Verdict | NotChecked:
    """The verdict on the order of single steps.

    Args:
        path: the trajectories.
        order: declared order of the formula, or None.
        subject: of the verdict.
    """
    about = {**subject, "steps": [run.steps for run in path.runs]}
    if path.runs[0].history:
        reason = (
            f"a step depends on noise of earlier steps past the state, by {path.runs[0].past:.2g} of it (the history "
            "of a stochastic multistep rule, or noise used twice): it needs an adapter that gives it its history"
        )
        return NotChecked(claim="step-order", subject=about, reason=reason)
    if path.staged:
        reason = (
            "local errors of neighbours undo each other: some calls of the model are stages within a step, and their "
            "states are no ends of steps"
        )
        return NotChecked(claim="step-order", subject=about, reason=reason)
    sums, p = path.sums, 1.0 if order is None else order
    if sums[-1] <= _LOUD * path.runs[-1].rounding:
        reason = (
            f"single steps are exact up to rounding: their errors add up to {sums[-1]:.2g} standard deviations, with "
            f"{path.runs[-1].rounding:.2g} of rounding in each state"
        )
        return NotChecked(claim="step-order", subject=about, reason=reason)
    counts = np.array([run.steps for run in path.runs], dtype=float)
    piece = _piece(counts, sums, p, path.runs[0])
    slow = 10 * sums[0] * (counts / counts[0]) ** -(p - _SLACK - max(0.3, p / 2))
    mutant = _piece(counts, sums + slow, p, path.runs[0])
    refuted = piece.outcome is Outcome.REFUTED
    wrong = path.wrong(order) if refuted else None
    text = piece.message + (f"; {wrong[1]}" if wrong else "")
    return Verdict(
        claim="step-order",
        role="required" if order is not None else "informative",
        statement=f"one step from exact state and history is off by O(h^{p + 1:g})",
        assumptions=(
            "declared"
            if order is not None
            else "no order is declared: one is what a sampler needs",
            "the sampler hands each state to the model; the order is that of the sum of local errors over the inner "
            f"interval of time, {_EDGE} of {int(counts[0])} steps left out at either end",
            *(
                ("history: that of the run itself, carried to the exact state",)
                if path.runs[0].deterministic
                else ()
            ),
        ),
        subject=about,
        evidence=(piece, *_table(path)),
        mutants=(
            Mutant(
                name="a-slower-local-error",
                outcome=mutant.outcome,
                check=mutant.check,
                message=mutant.message,
            ),
        ),
        diagnosis=Diagnosis(text=text, cause="step-order", distance=piece.value)
        if refuted
        else None,
        samples_used=sum(run.base.shape[0] for run in path.runs),
        finding=text + ".",
        figure=_figure(path),
    )


def _piece(counts: Vector, sums: Vector, p: float, coarse: Trajectory) -> Evidence:
    local = [math.log2(a / b) for a, b in pairwise(sums)]
    best = 2 * local[-1] - local[-2]
    before = 2 * local[-2] - local[-3] if len(local) > 2 else local[-1]
    change = abs(best - before) + _FINE
    low, high = min(best - change, local[-1]), max(best + change, local[-1])
    said = ", ".join(f"{v:.2f}" for v in local)
    kind = "flow map" if coarse.deterministic else "marginal"
    return Evidence(
        check="step-order",
        kind="quadrature",
        measured=Measured(best, low, high),
        allowed=Allowed(p - _SLACK, math.inf),
        message=(
            f"orders {said} of single steps between {counts[0]:.0f} and {counts[-1]:.0f} steps, against the exact "
            f"{kind}; local errors add up to {sums[-1]:.2g} standard deviations at {counts[-1]:.0f} steps"
        ),
    )


def _table(path: Path) -> tuple[Evidence, ...]:
    """The path of the coarsest run, step by step; it decides nothing."""
    run, finer = path.runs[0], path.runs[1]
    edges = np.searchsorted(-finer.times, -run.times * (1 + 1e-9))
    rows = []
    for i, (a, b) in enumerate(pairwise(edges)):
        e, halves = float(run.local[i]), float(finer.local[a:b].sum())
        order = math.log2(e / halves) if e > 0 and halves > 0 else math.nan
        rows.append(
            Evidence(
                check=f"step {i + 1} of {run.steps}",
                kind="quadrature",
                deciding=False,
                measured=Measured(e, e, e),
                allowed=Allowed(0.0, math.inf),
                message=(
                    f"t = {run.times[i]:.4g} to {run.times[i + 1]:.4g}: local error {e:.2g}, order {order:.2f}; the "
                    f"law is then off by {run.drift[i + 1]:.2g}"
                ),
            )
        )
    return tuple(rows)


def _figure(path: Path) -> Mapping[str, Any]:
    series = [
        {
            "label": f"{run.steps} steps",
            "x": [float(f"{t:.5g}") for t in run.times[:-1]],
            "y": [float(f"{max(e, run.rounding):.4g}") for e in run.local],
            "style": "line+points" if k == 0 else "line",
        }
        for k, run in enumerate(path.runs)
    ]
    return {
        "kind": "lines",
        "title": "Local error of every step, started from the exact marginal",
        "alt": "Local errors of single steps along the path, one curve for each number of steps.",
        "caption": "In standard deviations of the exact marginal at the end of the step.",
        "xlabel": "time at the start of the step",
        "ylabel": "local error",
        "xscale": "log",
        "yscale": "log",
        "series": series,
    }


def path_or_reason(prober: Prober, rungs: Sequence[int] | None) -> Path | str:
    """The path, or why there is none.

    Args:
        prober: runs the sampler.
        rungs: an adapter's own step counts, coarse to fine; None for doubled ones, fewer in many dimensions.
    """
    counts = COUNTS if prober.problem.dim <= _FEW else tuple(n // 4 for n in COUNTS)
    if rungs is not None:
        # the least number that gives an order with an error, and more where they are cheap
        counts = tuple(n for k, n in enumerate(rungs) if k < 3 or n <= counts[-1] + 1)
    try:
        return Path.of(prober, counts)
    except Refused as error:
        return f"the states on the way cannot be read off the calls of the model: {error}"


def decided_step_order(
    prober: Prober, path: Path, order: float | None, subject: Mapping[str, Any], *, finer: bool
) -> Verdict | NotChecked:
    """:func:`step_order`, with one more doubling where that may decide it and ``finer`` allows it."""
    said = step_order(path, order, subject)
    if finer and isinstance(said, Verdict) and said.outcome is Outcome.UNDECIDED:
        try:
            return step_order(path.finer(prober), order, subject)
        except Refused:  # too many numbers: it stays open
            pass
    return said
