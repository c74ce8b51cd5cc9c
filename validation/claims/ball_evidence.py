"""Evidence from balls: a claimed value, an interval, or a printed decimal against what ball arithmetic encloses.

A ball that excludes the claimed value refutes it; one that contains it supports it as far as it is narrow; anything
else is undecided.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Any

from ...numerics.enclosure import (
    Enclosed,
    enclosed,
    exact,
    library,
    rational,
    rounded_down,
    rounded_up,
)
from ..claim import Check, Claim, Context
from ..evidence import Allowed, Evidence, Measured, Outcome
from ..verdict import NotChecked

#: digits after the point that a profile asks for; balls are made narrower by two more
DIGITS: Mapping[str, int] = {"quick": 15, "standard": 30, "deep": 100}
SPARE = 2
MISSING = "python-flint is missing (pip install python-flint)"


def available() -> bool:
    """Whether python-flint is installed; without it these checks are left out and the others still run."""
    return importlib.util.find_spec("flint") is not None


def attached(
    checks: Mapping[str, Check], mutants: Mapping[str, Sequence[Check]]
) -> tuple[dict[str, Check], dict[str, Sequence[Check]], tuple[str, ...]]:
    """Checks and mutants for a claim, and an assumption to print: nothing but that where python-flint is missing."""
    if available():
        return dict(checks), dict(mutants), ()
    missing = ", ".join(checks)
    return (
        {},
        {},
        (f"{missing} not run: {MISSING}",),
    )


def left_out(claims: Iterable[Claim]) -> tuple[NotChecked, ...]:
    """The claims of which :func:`attached` has left out checks, for the report."""
    found = []
    for claim in claims:
        notes = [*claim.assumptions, *(claim.correction.assumptions if claim.correction else ())]
        if any(note.endswith(MISSING) for note in notes):
            found.append(NotChecked(claim=claim.id, reason=f"enclosures: {MISSING}"))
    return tuple(found)


def digits_of(ctx: Context) -> int:
    """Digits that the profile asks for."""
    return DIGITS.get(ctx.profile, DIGITS["standard"])


def equals(
    ball: Enclosed, claimed: Any = 0, *, digits: int | None = None, message: str = ""
) -> Evidence:
    """Evidence that the true value is ``claimed``: the difference, against ``10^-digits``.

    A difference that excludes zero refutes the claim however small it is. One that is too wide, or about which
    nothing is known, leaves it undecided.

    Args:
        ball: what was enclosed.
        claimed: a rational number, or an enclosure of the other side.
        digits: None: as asked for when the ball was made.
        message: what was compared.
    """
    wanted = ball.asked if digits is None else digits
    gap = ball - claimed
    if gap.excludes(0):
        allowed = Allowed(0.0, 0.0)
        found = f"excluded by {gap.value:+.6g}"
    else:
        size = rounded_down(Fraction(1, 10) ** wanted)
        allowed = Allowed(-size, size)
        found = f"contained, {_known(gap)}"
    return _evidence(gap, allowed, f"{message}: {found}" if message else found)


def _known(ball: Enclosed) -> str:
    if not ball.finite:
        return "but nothing is known"
    return "exactly" if ball.width == 0 else f"to {ball.digits} digits"


def exactly(value: Any, digits: int) -> Enclosed:
    """A rational number as an enclosure."""
    one = rational(value, "value")
    return enclosed(lambda work: library().arb(exact(one)), digits=digits)


def within(ball: Enclosed, low: Any, high: Any, *, message: str = "") -> Evidence:
    """Evidence that the true value lies in ``[low, high]``, exact rational ends.

    The ends are rounded inward and those of the ball outward, so that no outcome is due to rounding. Where float64
    cannot tell the two apart, the distance from the nearer end is measured instead.
    """
    a, b = rational(low, "low"), rational(high, "high")
    text = f"{message}: {ball.text(18)}" if message else ball.text(18)
    if not ball.finite:
        return _evidence(ball, Allowed(rounded_down(a), rounded_up(b)), text)
    near = a if abs(ball.ends[0] - a) < abs(ball.ends[1] - b) else b
    if rounded_up(a) <= rounded_down(b):
        found = _evidence(ball, Allowed(rounded_up(a), rounded_down(b)), text)
        if found.outcome is not Outcome.UNDECIDED:
            return found
    allowed = Allowed(rounded_up(a - near), rounded_down(b - near))
    return _evidence(ball - near, allowed, f"{text}, measured from {float(near):g}")


def printed_as(ball: Enclosed, text: str, *, message: str = "") -> Evidence:
    """Evidence that the true value rounds to a printed decimal: half a unit of its last digit is allowed."""
    places = len(text.split(".")[1]) if "." in text else 0
    half = Fraction(1, 2 * 10**places)
    shown = rational(text, "text")
    return within(ball, shown - half, shown + half, message=message or f"printed {text}")


def _evidence(ball: Enclosed, allowed: Allowed, message: str) -> Evidence:
    value = min(max(ball.value, ball.low), ball.high) if ball.finite else 0.0
    return Evidence(
        check="",
        kind="enclosure",
        measured=Measured(value, ball.low, ball.high),
        allowed=allowed,
        n=max(1, ball.evaluations),  # a closed form is one
        message=message,
    )


def worst_of(pieces: Sequence[Evidence]) -> Evidence:
    """The piece with the most severe outcome, else the first."""
    return max(pieces, key=lambda e: e.outcome.severity)
