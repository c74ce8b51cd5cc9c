"""Evidence from two numbers, two arrays of numbers, or a printed decimal.

These make the intervals of a check, so that every claim of the ledger states its error and its tolerance in the
same way; the outcome follows from the intervals.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ...numerics.confidence import bernoulli_interval
from ..claim import Check, Context
from ..evidence import KINDS, Allowed, Evidence, Kind, Measured, interval

EPS = float(np.finfo(np.float64).eps)


def agreement(
    first: Any,
    second: Any,
    *,
    bound: float,
    tolerance: float,
    kind: Kind = "exact",
    n: int | None = None,
    message: str = "",
) -> Evidence:
    """Largest gap between two arrays that should be equal.

    Args:
        first: one route, any shape.
        second: the other route, the same shape.
        bound: bound of the error of the gap itself (rounding or quadrature of both routes).
        tolerance: largest gap that still counts as equal; more than ``bound``.
        kind: kind of evidence.
        n: number of points compared; the size of the arrays by default.
        message: what was compared.

    Returns:
        Evidence with measured ``max |first - second|`` and allowed ``[0, tolerance]``.
    """
    a, b = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    gap = float(np.max(np.abs(a - b))) if a.shape == b.shape else math.nan
    if math.isnan(gap):
        return Evidence.error(
            "", f"shapes {a.shape} and {b.shape}, or a value that is not a number"
        )
    return Evidence(
        check="",
        kind=kind,
        measured=Measured(gap, max(0.0, gap - bound), gap + bound),
        allowed=Allowed(0.0, tolerance),
        n=a.size if n is None else n,
        message=message or f"largest gap {gap:.3g} over {a.size} values",
    )


def printed(
    value: float, text: str, *, error: float, kind: Kind = "exact", message: str = ""
) -> Evidence:
    """A computed number against a printed decimal, to the digits printed.

    Args:
        value: the computed number.
        text: the decimal as printed, e.g. ``"0.1471"``; half a unit of its last digit is allowed.
        error: bound of the error of ``value``.
        kind: kind of evidence.
        message: what the number is.
    """
    digits = len(text.split(".")[1]) if "." in text else 0
    half = 0.5 * 10.0**-digits
    shown = float(text)
    return interval(
        "",
        kind,
        value,
        error,
        (shown - half, shown + half),
        n=1,
        message=message or f"computed {value:.8f}, printed {text}",
    )


def number(
    value: float,
    *,
    error: float,
    allowed: tuple[float, float],
    kind: Kind = "exact",
    n: int = 1,
    message: str = "",
) -> Evidence:
    """A number with an error bound against the interval that the claim allows."""
    return interval("", kind, value, error, allowed, n=n, message=message)


def certified(
    value: float, radius: float, limit: float, ctx: Context, *, n: int, message: str
) -> Evidence:
    """A size known to ``radius`` at the level of the check, of which the claim allows ``limit``."""
    return Evidence(
        check="",
        kind="confidence",
        measured=Measured(value, max(0.0, value - radius), value + radius),
        allowed=Allowed(0.0, limit),
        level=ctx.level,
        n=n,
        # The quantile of 1e-4 is below that of the level.
        detectable=2 * radius,
        seed=ctx.seed,
        message=message,
    )


def at_least(hits: int, share: float, ctx: Context, *, n: int, message: str) -> Evidence:
    """A share of successes among ``n`` independent draws (Clopper and Pearson) that should exceed ``share``."""
    low, high = (float(v) for v in bernoulli_interval(hits, n, ctx.level))
    # Hoeffding: half width of the interval, and the fluctuation of the count.
    seen = math.sqrt(math.log(2 / ctx.level) / (2 * n)) + math.sqrt(math.log(1e4) / (2 * n))
    return Evidence(
        check="",
        kind="confidence",
        measured=Measured(hits / n, low, high),
        allowed=Allowed(share, 1.0),
        level=ctx.level,
        n=n,
        detectable=seen,
        seed=ctx.seed,
        message=message,
    )


def worst(pieces: Sequence[Evidence], ctx: Context, *, n: int, message: str) -> Evidence:
    """The piece that decides for all: worst outcome, then largest share of its allowed interval.

    Args:
        pieces: evidence of a check within the check, all at the level of ``ctx`` together.
        ctx: level and seed.
        n: draws.
        message: what the pieces are.
    """

    def badness(piece: Evidence) -> tuple[int, float]:
        m, a = piece.measured, piece.allowed
        share = m.high / a.high if m and a and math.isfinite(a.high) and a.high > 0 else 0.0
        return piece.outcome.severity, share

    chosen = max(pieces, key=badness)
    return replace(
        chosen,
        kind=max((p.kind for p in pieces), key=KINDS.index),
        level=ctx.level,
        n=n,
        seed=ctx.seed,
        message=f"worst of {len(pieces)} {message}: {chosen.check}. {chosen.message}",
    )


def named(check: Check, name: str) -> Check:
    """Gives a mutant the name under which the report lists it."""
    check.__name__ = name
    return check
