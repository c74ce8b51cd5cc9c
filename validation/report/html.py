"""The page: one self-contained HTML file that needs neither network nor script."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from importlib import resources
from typing import Any

from markupsafe import Markup

from ..evidence import Evidence, Outcome
from ..verdict import Report, Verdict
from . import printing
from .mathml import typeset
from .strips import strip

PAGE_BYTES = 4_800_000  # the page stays below 5 MB
PICTURE_BYTES = 2_600_000  # of which pictures take at most this
_ROWS_BYTES = 1_200_000
_MESSAGE = 1_200  # characters of a message; report.json holds all of it
SYMBOLS: Mapping[Outcome, str] = {
    Outcome.SUPPORTED: "\u2713",
    Outcome.REFUTED: "\u2717",
    Outcome.UNDECIDED: "?",
    Outcome.ERROR: "!",
}


class Pictures:
    """Draws figures until their share of the page is used up."""

    def __init__(self) -> None:
        self.left = PICTURE_BYTES

    def draw(self, figure: Mapping[str, Any] | None) -> Markup | None:
        """The picture in a ``<figure>``, or one line that says why there is none."""
        if not figure:
            return None
        from .pictures import draw

        note = Markup('<p class="note">{}</p>')
        if self.left <= 0:
            return note.format("Picture left out to keep the page small; see report.json.")
        try:
            picture = draw(figure)
        # A picture comes from whoever wrote the claim; it must not cost the reader the page.
        except Exception as error:
            why = " ".join(printing.clean(error).split())[:200]
            return note.format(f"Picture not drawn: {why}")
        if len(picture.encode()) > self.left:
            return note.format("Picture left out to keep the page small; see report.json.")
        self.left -= len(picture.encode())
        caption = typeset(str(figure["caption"])) if figure.get("caption") else ""
        body = Markup("<figure>{}{}</figure>")
        words = Markup("<figcaption>{}</figcaption>").format(caption) if caption else ""
        return body.format(Markup(picture), words)


def render(report: Report) -> str:
    """The whole report as one HTML page.

    Args:
        report: the run.

    Returns:
        HTML text below 5 MB with inline style and SVG; no script, no request to anywhere.
    """
    from jinja2 import Environment, StrictUndefined

    here = resources.files(__package__ or __name__)
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["typeset"] = typeset
    page = environment.from_string((here / "page.html.j2").read_text("utf-8"))
    card = getattr(page.module, "card")  # noqa: B009 - a macro of the template
    row = getattr(page.module, "row")  # noqa: B009
    pictures = Pictures()
    views = [view(v, a, pictures) for v, a in anchored(report)]
    tops = [v for v in views if not v["inner"]]
    rows = _within([Markup(row(v)) for v in views], views, _ROWS_BYTES)
    spent = sum(len(r.encode()) for r in rows if r)
    drawn = [Markup(card(v)) for v in tops]
    cards = _within(drawn, tops, PAGE_BYTES - spent - 200_000)
    return page.render(
        style=Markup((here / "style.css").read_text("utf-8")),
        summary=_summary(report),
        rows=[r for r in rows if r],
        cards=[c for c in cards if c],
        left_out={"rows": rows.count(None), "cards": cards.count(None)},
        not_checked=_not_checked(report),
        provenance=facts(report),
    )


def anchored(report: Report) -> Iterator[tuple[Verdict, str]]:
    """Every top-level verdict with an anchor that is unique in the page."""
    seen: dict[str, int] = {}
    for verdict in report.verdicts:
        stem = re.sub(r"[^A-Za-z0-9_.-]+", "-", verdict.claim)[:48] or "claim"
        seen[stem] = seen.get(stem, 0) + 1
        # A tilde cannot occur in a stem, so that "O2~2" is never the anchor of another claim.
        yield verdict, f"claim-{stem}" + (f"~{seen[stem]}" if seen[stem] > 1 else "")


def _within(pieces: list[Markup], views: list[dict[str, Any]], limit: int) -> list[Markup | None]:
    """The pieces that fit into ``limit`` bytes, the most severe outcomes first; else None."""
    order = sorted(range(len(pieces)), key=lambda k: (-views[k]["severity"], k))
    kept: list[Markup | None] = [None] * len(pieces)
    for k in order:
        size = len(pieces[k].encode("utf-8", "replace"))
        if size <= limit:
            kept[k] = pieces[k]
            limit -= size
    return kept


def _cut(text: str) -> str:
    text = printing.clean(text)
    return text if len(text) <= _MESSAGE else text[:_MESSAGE] + " \u2026 (more in report.json)"


def view(verdict: Verdict, anchor: str, pictures: Pictures, depth: int = 0) -> dict[str, Any]:
    """What the template needs of a verdict: text and finished drawings, no arithmetic."""
    survivors = {id(m) for m in verdict.survivors}
    inner = verdict.correction
    return {
        "id": printing.clean(verdict.claim),
        "anchor": anchor,
        "inner": depth > 0,
        "level": min(3 + depth, 6),
        "role": verdict.role,
        "outcome": verdict.outcome,
        "symbol": SYMBOLS[verdict.outcome],
        "severity": verdict.outcome.severity,
        "exact_refuted": verdict.exact_refuted,
        "kinds": verdict.kinds,
        "statement": typeset(_cut(verdict.statement)),
        "subject": _cut(printing.subject(verdict.subject)),
        "source": [printing.clean(s) for s in verdict.source],
        "assumptions": [typeset(_cut(a)) for a in verdict.assumptions],
        "worst": _worst(verdict),
        "finding": typeset(_cut(verdict.finding)),
        "consequence": typeset(_cut(_consequence(verdict))),
        "evidence": [_piece(e) for e in verdict.evidence],
        "mutants": [
            {
                "name": printing.clean(m.name),
                "check": printing.clean(m.check),
                "outcome": m.outcome,
                "symbol": SYMBOLS[m.outcome],
                "message": _cut(m.message),
                "survived": id(m) in survivors,
                "underpowered": m.underpowered,
            }
            for m in verdict.mutants
        ],
        "killed": len(verdict.mutants) - len(verdict.survivors),
        "broken": verdict.broken,
        "diagnosis": _diagnosis(verdict) if verdict.diagnosis else None,
        "figure": pictures.draw(verdict.figure),
        "samples": f"{verdict.samples_used:,}" if verdict.samples_used else "",
        "correction": view(inner, f"{anchor}~c", pictures, depth + 1)
        if inner is not None
        else None,
    }


def _consequence(verdict: Verdict) -> str:
    """What a sentence does to those who use it as printed, where that was predicted and seen."""
    seen = [e for e in verdict.evidence if e.check == "consequence" and not e.deciding]
    return next((e.message for e in seen if e.outcome is Outcome.SUPPORTED), "")


def _worst(verdict: Verdict) -> str:
    """The number that a reader would ask for first."""
    if verdict.broken:
        names = ", ".join(m.name for m in verdict.survivors)
        return printing.clean(f"mutant survived: {names}")[:160]
    piece = printing.worst_piece(verdict)
    if piece is None:
        return "no evidence"
    said = printing.finding(piece)
    if piece.outcome is not Outcome.ERROR:
        for plain, sign in (
            ("+-", "\u00b1"),
            ("<=", "\u2264"),
            (">=", "\u2265"),
            (" ? ", " against "),
        ):
            said = said.replace(plain, sign)
    return f"{printing.clean(piece.check)}: {said}"[:160]


def _diagnosis(verdict: Verdict) -> dict[str, str]:
    said = verdict.diagnosis
    assert said is not None  # the caller looked
    parts = {"cause": said.cause, "runner-up": said.runner_up}
    if said.distance is not None:
        parts["distance"] = printing.number(said.distance)
    extra = "; ".join(f"{k}: {printing.clean(v)}" for k, v in parts.items() if v)
    return {"text": _cut(said.text), "extra": extra}


def _piece(evidence: Evidence) -> dict[str, Any]:
    value, interval, limits = "", "", ""
    if evidence.measured is not None:
        m = evidence.measured
        value, interval = printing.measured(m.value, m.low, m.high)
    if evidence.kind == "test":
        value = f"log10 e = {printing.number(evidence.log10_e, 3) or 'nan'}"
        if 0 < evidence.level <= 1:
            limits = f"refuted from {printing.number(-math.log10(evidence.level), 3)}"
    elif evidence.allowed is not None and evidence.outcome is not Outcome.ERROR:
        limits = printing.allowed(evidence.allowed)
    details = {
        "level": printing.number(evidence.level, 3) if evidence.level else "",
        "n": f"{evidence.n:,}" if evidence.n else "",
        "detectable": printing.number(evidence.detectable, 3),
        "seed": "" if evidence.seed is None else str(evidence.seed),
        "time": printing.seconds(evidence.seconds) if evidence.seconds else "",
    }
    return {
        "check": printing.clean(evidence.check),
        "kind": evidence.kind,
        "outcome": evidence.outcome,
        "symbol": SYMBOLS[evidence.outcome],
        "deciding": evidence.deciding,
        "value": value,
        "interval": interval,
        "allowed": limits,
        "strip": strip(evidence),
        "details": {k: v for k, v in details.items() if v},
        "message": _cut(evidence.message),
    }


def _summary(report: Report) -> dict[str, Any]:
    counts = printing.counts(report)
    total = {o: sum(row[o] for row in counts.values()) for o in map(str, Outcome)}
    every = list(printing.every(report))
    mutants = [m for v in every for m in v.mutants]
    meta = {
        "profile": printing.clean(report.profile),
        "false-alarm rate": printing.number(report.false_alarm),
        "time": printing.seconds(printing.wall_time(report)),
    }
    for key in ("seed", "started", "version"):
        if key in report.provenance:
            meta[key] = printing.clean(printing.word(report.provenance[key]))
    refuted = sum(m.outcome is Outcome.REFUTED for m in mutants)
    if mutants:
        meta["mutants refuted"] = f"{refuted:,} of {len(mutants):,}"
    return {
        "outcome": report.outcome,
        "symbol": SYMBOLS[report.outcome],
        "symbols": {str(o): s for o, s in SYMBOLS.items()},
        "counts": counts,
        "total": total,
        "verdicts": len(every),
        "meta": meta,
        "said": _said(report),
    }


def _said(report: Report) -> str:
    """The run in one sentence."""
    needed = printing.counts(report).get("required")
    if not report.verdicts:
        return "Nothing was checked."
    if needed is None:
        return "No verdict of this run is required."
    total, fine = sum(needed.values()), needed[str(Outcome.SUPPORTED)]
    if fine == total:
        return f"All {total:,} required verdicts are supported."
    rest = [
        f"{needed[str(o)]:,} {word}"
        for o, word in (
            (Outcome.REFUTED, "refuted"),
            (Outcome.UNDECIDED, "undecided"),
            (Outcome.ERROR, "in error"),
        )
        if needed[str(o)]
    ]
    return f"{fine:,} of {total:,} required verdicts are supported; {', '.join(rest)}."


def _not_checked(report: Report) -> list[dict[str, Any]]:
    """Grouped by claim and reason, the subjects side by side."""
    groups: dict[tuple[str, str], list[str]] = {}
    for item in report.not_checked:
        key = printing.clean(item.claim), _cut(item.reason)
        groups.setdefault(key, []).append(printing.subject(item.subject))
    found = [
        {"claim": claim, "reason": reason, "subjects": [s for s in subjects if s][:60]}
        for (claim, reason), subjects in groups.items()
    ]
    return found[:1000]


def facts(report: Report) -> list[tuple[str, list[tuple[str, str]] | str]]:
    """Where the numbers come from: names with a text, or with named texts."""
    found: list[tuple[str, list[tuple[str, str]] | str]] = []
    for key, value in report.provenance.items():
        if isinstance(value, Mapping):
            entries = [
                (printing.clean(k), _cut(printing.word(v))) for k, v in list(value.items())[:400]
            ]
            found.append((printing.clean(key), entries))
        else:
            found.append((printing.clean(key), _cut(printing.word(value))))
    return found
