"""Numbers and names as a reader wants them: digits that carry information, and no others."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Context, Decimal
from typing import Any

from ..evidence import Allowed, Evidence, Outcome
from ..verdict import Report, Verdict

_SPECIAL = {math.inf: "inf", -math.inf: "-inf"}
_WIDE = Context(prec=400)  # quantize refuses more digits than the precision
_FORBIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]"
)
_PLAIN = range(-4, 6)  # decimal exponents that are printed without an exponent


def clean(text: object) -> str:
    """Text without characters that XML forbids or a terminal obeys.

    Control characters (newline and tab stay), lone surrogates, non-characters and the marks that
    reverse the direction of writing become U+FFFD.
    """
    lines = str(text).replace("\r\n", "\n").replace("\r", "\n")
    return _FORBIDDEN.sub("\ufffd", lines)


def number(value: float | None, digits: int = 5) -> str:
    """``1.2345e-07``, ``0.0213``, ``100,000``: at most ``digits`` significant digits, none of them idle."""
    if value is None:
        return ""
    value = float(value)
    if math.isnan(value):
        return "nan"
    if math.isinf(value):
        return _SPECIAL[value]
    if value == 0:
        return "0"
    if value == int(value) and abs(value) < 1e9:
        return f"{int(value):,}"
    text = f"{value:.{digits - 1}e}"
    mantissa, exponent = text.split("e")
    if int(exponent) in _PLAIN:
        text = f"{value:.{max(0, digits - 1 - int(exponent))}f}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    mantissa = mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa
    return f"{mantissa}e{exponent}"


def _rounded(value: float, quantum: int, rounding: str) -> str:
    """``value`` to the decimal place ``10**quantum``, with an exponent where that is shorter."""
    if not math.isfinite(value):
        return _SPECIAL.get(value, "nan")
    exact = Decimal(repr(float(value)))  # numpy's floats have a repr of their own
    kept = exact.quantize(Decimal(1).scaleb(quantum), rounding=rounding, context=_WIDE)
    if kept == 0:
        return "0"
    if kept.adjusted() in _PLAIN:
        return f"{kept:f}"
    mantissa, exponent = f"{kept:.{max(0, kept.adjusted() - quantum)}e}".split("e")
    return f"{mantissa}e{int(exponent):+03d}"


def measured(value: float, low: float, high: float) -> tuple[str, str]:
    """A measured value and its interval ``[low, high]``, to two digits of the interval's width.

    The ends are rounded outward, so that the printed interval holds the true one.
    """
    if math.isnan(value) or math.isnan(low) or math.isnan(high):
        return "nan", ""
    width = high - low
    if not math.isfinite(width):
        return number(value), f"[{number(low)}, {number(high)}]"
    if width == 0:
        return number(value, 12), ""
    largest = max(abs(low), abs(high))
    # An interval narrower than float64 resolves is printed to the last digit there is.
    place = max(math.floor(math.log10(width) + 1e-9) - 1, math.floor(math.log10(largest)) - 16)
    ends = _rounded(low, place, ROUND_FLOOR), _rounded(high, place, ROUND_CEILING)
    return _rounded(value, place, ROUND_HALF_EVEN), f"[{ends[0]}, {ends[1]}]"


def allowed(interval: Allowed) -> str:
    """The interval that a claim allows: ``[-0.05, 0.05]``, ``at most 0.1``, ``exactly 0``."""
    low, high = interval.low, interval.high
    if low == high:
        return f"exactly {number(low, 12)}"
    if math.isinf(low) and math.isinf(high):
        return "any number"
    if math.isinf(low):
        return f"at most {number(high, 7)}"
    if math.isinf(high):
        return f"at least {number(low, 7)}"
    return f"[{number(low, 7)}, {number(high, 7)}]"


def seconds(value: float) -> str:
    """Wall time: ``3 ms``, ``1.2 s``, ``4 min 10 s``."""
    if not math.isfinite(value):
        return number(value)
    if value < 0.9995:
        return f"{max(value, 0) * 1000:.0f} ms"
    if value < 60:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest} s"


def subject(entries: Mapping[str, Any]) -> str:
    """What a verdict is about: ``problem digits-10, steps 50``."""
    return clean(", ".join(f"{k} {word(v)}" for k, v in entries.items() if v not in (None, "")))


def word(value: Any) -> str:
    """A value of a subject or of the provenance on one line."""
    if isinstance(value, bool | str):
        return str(value)
    if isinstance(value, float):
        return number(value)
    if isinstance(value, Mapping):
        return ", ".join(f"{k} {word(v)}" for k, v in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(word(v) for v in value)
    return str(value) if not isinstance(value, int) else json.dumps(value)


def strain(evidence: Evidence) -> float:
    """How far a measured interval reaches, in units of what is allowed; 1 is the edge.

    For ``[a, b]`` this is max |end - centre| / half-width, for a half-line the ratio to its end,
    for an e-process log10 e / log10(1/level). Used to order pieces, never to decide.
    """
    if evidence.outcome is Outcome.ERROR:
        return math.inf
    if evidence.measured is None or evidence.allowed is None:
        if evidence.log10_e is None or evidence.level <= 0:
            return 0.0
        return evidence.log10_e / max(-math.log10(evidence.level), 1e-300)
    low, high = evidence.measured.low, evidence.measured.high
    if math.isinf(evidence.allowed.low) and math.isinf(evidence.allowed.high):
        return 0.0
    # A size cannot fall below zero: only the upper end of an allowed [0, tolerance] can be missed.
    if math.isinf(evidence.allowed.low) or evidence.allowed.low == 0 <= low < high:
        return _ratio(high, evidence.allowed.high)
    if math.isinf(evidence.allowed.high):
        return _ratio(-low, -evidence.allowed.low)
    centre = (evidence.allowed.low + evidence.allowed.high) / 2
    half = (evidence.allowed.high - evidence.allowed.low) / 2
    reach = max(abs(low - centre), abs(high - centre))
    return reach / half if half > 0 else (math.inf if reach > 0 else 0.0)


def _ratio(reached: float, end: float) -> float:
    return reached / end if end > 0 else 1.0 + (reached - end) / (abs(end) or 1.0)


def worst_piece(verdict: Verdict) -> Evidence | None:
    """The deciding piece with the most severe outcome; among equals the one nearest the edge.

    A proof counts steps, and says less to who reads one number only: it comes after the others.
    """
    pieces = [e for e in verdict.evidence if e.deciding] or list(verdict.evidence)
    return max(
        pieces, key=lambda e: (e.outcome.severity, e.kind != "proof", strain(e)), default=None
    )


def finding(evidence: Evidence) -> str:
    """The number of a piece beside the end of the allowed interval that it meets first.

    ``1.24 > 0.05`` (refuted), ``0.021 <= 0.05`` (supported), ``0.047 +- 0.009 ? 0.05`` (undecided).
    """
    if evidence.outcome is Outcome.ERROR:
        return (clean(evidence.message).splitlines() or ["not a number"])[0]
    if evidence.measured is None or evidence.allowed is None:
        return f"log10 e = {number(evidence.log10_e, 3)}"
    m, a = evidence.measured, evidence.allowed
    shown = number(m.value)
    if math.isinf(a.low) and math.isinf(a.high):
        return shown
    # A size cannot fall below zero: an allowed [0, tolerance] has one end that can be missed.
    size = a.low == 0 <= m.low
    above = size or a.high - m.high < m.low - a.low
    if evidence.outcome is Outcome.REFUTED:
        return f"{shown} {'>' if above else '<'} {number(a.high if above else a.low)}"
    if evidence.outcome is Outcome.UNDECIDED:
        radius = number((m.high - m.low) / 2, 2)
        return f"{shown} +- {radius} ? {number(a.high if above else a.low)}"
    if a.low == a.high:
        return f"{shown} = {number(a.low)}"
    return f"{shown} {'<=' if above else '>='} {number(a.high if above else a.low)}"


def counts(report: Report) -> dict[str, dict[str, int]]:
    """Role -> outcome -> number of verdicts, corrections included."""
    table: dict[str, dict[str, int]] = {}
    for verdict in every(report):
        row = table.setdefault(verdict.role, {str(o): 0 for o in Outcome})
        row[str(verdict.outcome)] += 1
    order = ("required", "printed", "informative")
    return {role: table[role] for role in order if role in table}


def every(report: Report) -> Iterator[Verdict]:
    """All verdicts of a report, each followed by its corrections."""
    for top in report.verdicts:
        yield from top.nested()


def wall_time(report: Report) -> float:
    """Seconds of the run, from the provenance or else the sum over the evidence."""
    stated = report.provenance.get("seconds")
    if isinstance(stated, int | float):
        return float(stated)
    return sum(e.seconds for v in every(report) for e in v.evidence)
