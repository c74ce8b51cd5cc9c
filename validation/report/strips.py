"""The interval strip: the measured interval over the allowed one, as a small inline SVG."""

from __future__ import annotations

import math

from markupsafe import Markup

from ..evidence import Evidence, Outcome
from . import printing

_W, _H = 168.0, 24.0
_MID = _H / 2
_PAD = 0.12  # of the span, on either side
_SVG = Markup('<svg class="strip" viewBox="0 0 168 24" role="img" aria-label="{}">{}</svg>')
_BASE = Markup('<line class="axis" x1="0" x2="168" y1="12" y2="12"/>')
_BAND = Markup('<rect class="band" x="{}" y="3" width="{}" height="18" rx="2"/>')
_EDGE = Markup('<line class="edge" x1="{0}" x2="{0}" y1="3" y2="21"/>')
_SPAN = Markup('<line class="span {}" x1="{}" x2="{}" y1="12" y2="12"/>')
_TICK = Markup('<line class="span {0}" x1="{1}" x2="{1}" y1="8" y2="16"/>')
_DOT = Markup('<circle class="dot {}" cx="{}" cy="12" r="3.2"/>')


def strip(evidence: Evidence) -> Markup:
    """Draws one piece of evidence.

    Interval kinds: a band for what is allowed (running off the edge where it has no end), a line
    with a dot for what was measured. Kind ``test``: a bar of log10 e and a mark at the threshold
    log10(1/level). ERROR: nothing.
    """
    if evidence.outcome is Outcome.ERROR:
        return Markup("")
    if evidence.measured is None or evidence.allowed is None:
        return _e_value(evidence)
    return _intervals(evidence)


def _intervals(evidence: Evidence) -> Markup:
    assert evidence.measured is not None and evidence.allowed is not None
    m, a = evidence.measured, evidence.allowed
    # Numbers near the end of float64 would overflow in the differences below.
    finite = [v for v in (m.value, m.low, m.high, a.low, a.high) if abs(v) < 1e300]
    low, high = (min(finite), max(finite)) if finite else (-1.0, 1.0)
    span = (high - low) or abs(high) or 1.0

    def place(value: float) -> float:
        if abs(value) >= 1e300:
            return 0.0 if value < 0 else _W
        return round(_W * (_PAD + (value - low) / span) / (1 + 2 * _PAD), 1)

    if high == low:
        low -= span / 2
        high += span / 2
    left, right = place(a.low), place(a.high)
    parts = [_BASE, _BAND.format(max(0.0, left - 1), max(2.0, round(right - left + 2, 1)))]
    parts += [_EDGE.format(place(end)) for end in (a.low, a.high) if math.isfinite(end)]
    name = str(evidence.outcome)
    ends = place(m.low), place(m.high)
    parts.append(_SPAN.format(name, *ends))
    parts += [_TICK.format(name, end) for end in dict.fromkeys(ends) if 0 < end < _W]
    parts.append(_DOT.format(name, place(m.value)))
    value, interval = printing.measured(m.value, m.low, m.high)
    label = f"measured {value} {interval}, allowed {printing.allowed(a)}: {evidence.outcome}"
    return _SVG.format(label, Markup("").join(parts))


def _e_value(evidence: Evidence) -> Markup:
    if evidence.log10_e is None or not 0 < evidence.level <= 1:
        return Markup("")
    threshold = -math.log10(evidence.level)
    reached = min(max(evidence.log10_e, 0.0), 1e300)
    scale = _W / (1.15 * max(threshold, reached, 1e-9))
    width, edge = round(reached * scale, 1), round(threshold * scale, 1)
    name = str(evidence.outcome)
    parts = [
        _BASE,
        Markup('<rect class="bar {}" x="0" y="8" width="{}" height="8"/>').format(name, width),
        _EDGE.format(edge),
    ]
    label = (
        f"log10 e = {printing.number(evidence.log10_e, 3)}, refuted from "
        f"{printing.number(threshold, 3)}: {evidence.outcome}"
    )
    return _SVG.format(label, Markup("").join(parts))
