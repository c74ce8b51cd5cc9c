"""The claim ``clock``: the schedule told to the model is the schedule that the sampler uses."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from .._user_code import UserCodeError, call_user
from ..adapters.adapter import Adapter, Gaps
from ..evidence import Allowed, Evidence, Measured, Outcome
from ..problems import Problem
from ..verdict import Diagnosis, Mutant, NotChecked, Verdict

#: A step count that divides 1000 hides rounding; this one divides no usual schedule.
STEPS = 13


def clock(
    adapter: Adapter,
    problem: Problem,
    subject: dict[str, Any],
    *,
    timeout: float | None,
    seed: int,
) -> Verdict | NotChecked:
    """Compares the readings of an adapter, call by call.

    Args:
        adapter: the sampler.
        problem: under the sampler's own diffusion.
        subject: of the verdict.
        timeout: seconds, or None.
        seed: entropy of the call.
    """
    subject = {**subject, "steps": STEPS}
    try:
        found = call_user(adapter.readings, problem, STEPS, name="the schedule", timeout=timeout)
    except UserCodeError as error:
        reason = f"the schedule at {STEPS} steps could not be read: {error}"
        return NotChecked(claim="clock", subject=subject, reason=reason)
    if not found:
        return NotChecked(claim="clock", subject=subject, reason=adapter.no_clock)
    pieces = [_piece(gaps, seed) for gaps in found]
    wrong = [p for p in pieces if p.outcome is Outcome.REFUTED]
    return Verdict(
        claim="clock",
        statement="the schedule told to the model is the schedule that the sampler uses",
        assumptions=tuple(f"{g.check}: {g.sentence}" for g in found),
        subject=subject,
        evidence=tuple(pieces),
        mutants=tuple(_late(gaps, seed) for gaps in found),
        diagnosis=Diagnosis(text="; ".join(p.message for p in wrong), cause="clock")
        if wrong
        else None,
        finding="; ".join(p.message for p in pieces) + ".",
    )


def _piece(gaps: Gaps, seed: int) -> Evidence:
    worst = int(np.argmax(np.abs(gaps.gaps)))
    value = float(np.abs(gaps.gaps[worst]))
    return Evidence(
        check=gaps.check,
        kind="exact",
        measured=Measured(value, max(0.0, value - gaps.rounding), value + gaps.rounding),
        allowed=Allowed(0.0, gaps.resolution + gaps.rounding),
        n=len(gaps.gaps),
        detectable=gaps.rounding,
        seed=seed,
        message=(
            f"{gaps.check}: off by at most {value:.3g} {gaps.unit}, where the model is told {gaps.where[worst]:.4g} "
            f"(allowed {gaps.resolution:g})"
        ),
    )


def _late(gaps: Gaps, seed: int) -> Mutant:
    """One call is told another level, by what may be and four roundings more."""
    moved = gaps.gaps.copy()
    sign = -1.0 if moved[-1] < 0 else 1.0
    moved[-1] += sign * (gaps.resolution + 4 * gaps.rounding)
    piece = _piece(replace(gaps, gaps=moved), seed)
    return Mutant(
        name="one-call-told-another-level",
        outcome=piece.outcome,
        check=piece.check,
        message=piece.message,
    )
