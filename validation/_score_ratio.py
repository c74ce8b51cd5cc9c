"""The relative squared error of a score at one noise level: a ratio of means with its interval."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from ..numerics.estimate import mean_estimate
from ..theory.protocols import Vector
from .evidence import Allowed, Evidence, Measured, Outcome
from .verdict import Mutant


@dataclass(frozen=True)
class Seen:
    """What was seen at one time: squared errors, squared true scores, their product."""

    t: float
    errors: Vector  #: |s - s*|^2, (n,)
    norms: Vector  #: |s*|^2, (n,)
    along: Vector  #: (s - s*) . s*, (n,)

    @property
    def n(self) -> int:
        """Number of draws."""
        return len(self.errors)

    @classmethod
    def nothing(cls, t: float) -> Seen:
        """No draw yet."""
        return cls(t, *(np.zeros(0) for _ in range(3)))

    def __add__(self, more: Seen) -> Seen:
        """Draws of both, in order."""
        pairs = zip(
            (self.errors, self.norms, self.along),
            (more.errors, more.norms, more.along),
            strict=True,
        )
        return Seen(self.t, *(np.concatenate(pair) for pair in pairs))


def ratio(check: str, seen: Seen, tolerance: float, level: float, seed: int) -> Evidence:
    """Evidence for ``E a / E b <= tolerance`` with ``a = |s - s*|^2``, ``b = |s*|^2``.

    The interval holds every r for which ``E[a - r b] = 0`` is not excluded at ``level`` (Fieller 1954).

    Args:
        check: name of the piece.
        seen: what was seen at one time.
        tolerance: largest ratio allowed.
        level: false-alarm rate.
        seed: for the record.
    """
    a, b = seen.errors, seen.norms
    if not b.any():
        return _no_score(check, seen, tolerance, level, seed)
    value = float(a.mean() / b.mean())

    def end(sign: int) -> float:
        """Largest (sign +1) or smallest r for which mean(a - r b) = 0 is not excluded."""
        unit = max(value, 1e-12)
        inside, outside = value, value + sign * unit
        for _ in range(60):
            if outside <= 0 or not _holds(a - outside * b, level):
                break
            inside, outside = outside, value + 2 * (outside - value)
        else:
            return math.inf
        for _ in range(40):
            middle = 0.5 * (inside + outside)
            if _holds(a - middle * b, level):
                inside = middle
            else:
                outside = middle
        return outside

    low, high = max(0.0, end(-1)), end(+1)
    spread = float((a - value * b).std()) / math.sqrt(len(a)) / float(b.mean())
    # Refuted with probability 1 - 1e-4: the interval and 3.72 standard errors. An exact score leaves no
    # spread at all; then rounding decides, far below a millionth of the tolerance.
    detectable = max(high - value, value - low) + 3.72 * spread
    detectable = max(detectable, 1e-6 * tolerance)
    piece = Evidence(
        check=check,
        kind="confidence",
        measured=Measured(value, min(low, value), max(high, value)),
        allowed=Allowed(0.0, tolerance),
        level=level,
        n=len(a),
        detectable=detectable,
        seed=seed,
        message=f"relative error {math.sqrt(max(value, 0.0)):.4g} (squared {value:.4g}) at t = {seen.t:.6g}",
    )
    if piece.outcome is not Outcome.UNDECIDED:
        return piece
    return replace(piece, message=f"{piece.message}; {_would_decide(piece, tolerance)}")


def _no_score(check: str, seen: Seen, tolerance: float, level: float, seed: int) -> Evidence:
    return Evidence(
        check=check,
        kind="confidence",
        measured=Measured(0.0, 0.0, math.inf),
        allowed=Allowed(0.0, tolerance),
        level=level,
        n=seen.n,
        detectable=math.inf,
        seed=seed,
        message=f"the true score is zero at all {seen.n:,} draws at t = {seen.t:.6g}; choose a later time",
    )


def _would_decide(piece: Evidence, tolerance: float) -> str:
    """How many draws would have decided: the interval shrinks like their root."""
    m = piece.measured
    assert m is not None  # kind confidence always measures
    gap = abs(m.value - tolerance)
    width = (m.high if m.value < tolerance else m.low) - m.value
    if not math.isfinite(width):
        return f"{piece.n:,} draws are too few for any interval at this false-alarm rate; raise budget"
    if gap < 1e-3 * tolerance:
        return "it lies on the tolerance, which no number of draws decides"
    return f"about {math.ceil(1.2 * piece.n * (width / gap) ** 2):,} draws would decide"


def _holds(values: Vector, level: float) -> bool:
    return mean_estimate(values, level=level).contains(0.0)


def mutant(seen: Seen, piece: Evidence, tolerance: float, level: float, seed: int) -> Mutant:
    """The same answers moved along the true score, so that the squared error grows past the limit."""
    if piece.detectable is None or not math.isfinite(piece.detectable):
        return Mutant(
            name="score moved along itself",
            outcome=Outcome.UNDECIDED,
            check=piece.check,
            underpowered=True,
            message=piece.message,
        )
    size = math.sqrt(tolerance + 2 * piece.detectable)
    delta = size if seen.along.mean() >= 0 else -size
    moved = replace(seen, errors=seen.errors + 2 * delta * seen.along + delta**2 * seen.norms)
    worse = ratio(piece.check, moved, tolerance, level, seed)
    return Mutant(
        name=f"score {'+' if delta > 0 else '-'} {abs(delta):.3g} of itself",
        outcome=worse.outcome,
        check=piece.check,
        message=worse.message,
    )
