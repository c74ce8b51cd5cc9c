"""The terminal summary: one line a verdict, plain text, at most 80 columns."""

from __future__ import annotations

import textwrap
import unicodedata

from ..evidence import Outcome
from ..verdict import NotChecked, Report, Verdict
from . import printing

WIDTH = 80
_ROLES = {"required": "required", "printed": "printed", "informative": "inform."}
_FIXED = 8 + 1 + 9 + 1 + 10 + 1  # role, outcome and kind with their gaps
_NAME = range(12, 27)  # columns that the names may take


def columns(text: str) -> int:
    """Terminal columns of a text: wide East Asian characters take two, combining marks none."""
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1
        for c in text
    )


def fit(text: str, width: int) -> str:
    """One line of exactly ``width`` columns: padded, or shortened with an ellipsis."""
    text = " ".join(printing.clean(text).split())
    if columns(text) > width:
        while text and columns(text) > width - 3:
            text = text[:-1]
        text = text.rstrip() + "..."
    return text + " " * max(0, width - columns(text))


def _names(report: Report) -> list[str]:
    """Claim ids, with those entries of the subject in which verdicts of one claim differ."""
    values: dict[str, dict[str, set[str]]] = {}
    for v in report.verdicts:
        for key, value in v.subject.items():
            values.setdefault(v.claim, {}).setdefault(key, set()).add(printing.word(value))
    names = []
    for v in report.verdicts:
        differ = [
            printing.word(w) for k, w in v.subject.items() if len(values[v.claim].get(k, ())) > 1
        ]
        names.append(f"{v.claim} ({', '.join(differ)})" if differ else v.claim)
    return names


def _row(name: str, verdict: Verdict, width: int, depth: int = 0) -> str:
    piece = printing.worst_piece(verdict)
    room = WIDTH - width - _FIXED - 1
    if verdict.broken:
        said = "mutant survived: " + ", ".join(m.name for m in verdict.survivors)
    elif piece is None:
        said = "no evidence"
    else:
        said = printing.finding(piece)
        named = f"{said} ({printing.clean(piece.check)})"
        said = named if columns(named) <= room else said
    indent = "  " * min(depth, 4)
    cells = (
        indent + fit(name, width - len(indent)),
        fit(_ROLES.get(verdict.role, verdict.role), 8),
        fit(str(verdict.outcome), 9),
        fit(verdict.kinds["strongest"] or "-", 10),
        fit(said, room),
    )
    return " ".join(cells).rstrip()


def _wrapped(text: str, indent: str) -> list[str]:
    text = " ".join(printing.clean(text).split())
    lines = textwrap.wrap(
        text,
        WIDTH,
        initial_indent=indent,
        subsequent_indent=indent,
        max_lines=3,
        placeholder=" ...",
    )
    return [line if columns(line) <= WIDTH else fit(line.strip(), WIDTH) for line in lines]


def _why(verdict: Verdict) -> list[str]:
    """What a reader must know at once where something that counts is not SUPPORTED."""
    counted = verdict.role == "required" or verdict.outcome is Outcome.ERROR
    if verdict.diagnosis is None or not counted or verdict.outcome is Outcome.SUPPORTED:
        return []
    return _wrapped(verdict.diagnosis.text, "    ")


def _grouped(items: tuple[NotChecked, ...]) -> list[str]:
    """``not_checked`` by claim and reason, the subjects counted."""
    groups: dict[tuple[str, str], list[str]] = {}
    for item in items:
        groups.setdefault((item.reason, item.claim), []).append(printing.subject(item.subject))
    by_reason: dict[str, list[str]] = {}
    for (reason, claim), subjects in groups.items():
        named = [s for s in subjects if s]
        extra = f" ({named[0]})" if len(named) == 1 else f" (x{len(subjects)})"
        by_reason.setdefault(reason, []).append(claim + (extra if named else ""))
    lines = []
    for reason, claims in by_reason.items():
        lines += _wrapped(f"{', '.join(claims)}: {reason or 'no reason given'}", "  ")
    return lines


def closing(report: Report) -> list[str]:
    """Counts by outcome, false-alarm rate, seconds and the outcome of the run."""
    total = dict.fromkeys(Outcome, 0)
    for verdict in printing.every(report):
        total[verdict.outcome] += 1
    said = ", ".join(f"{n} {o.value.lower()}" for o, n in total.items() if n) or "none"
    aside = sum(
        v.role != "required" and v.outcome is Outcome.REFUTED for v in printing.every(report)
    )
    if aside:
        said += f" ({aside} of the refuted not required)"
    rate = printing.number(report.false_alarm)
    return [
        *_wrapped(f"{sum(total.values())} verdicts: {said}", ""),
        f"outcome {report.outcome}, false-alarm rate {rate}, "
        f"{printing.seconds(printing.wall_time(report))}, profile {fit(report.profile, 12).strip()}",
    ]


def summary(report: Report) -> str:
    """The summary table of a report as plain text.

    Args:
        report: the run.

    Returns:
        Lines of at most 80 columns: id, role, outcome, strongest kind and worst number of every
        verdict; its corrections indented below; what was not checked; counts.
    """
    names = _names(report)
    longest = max((columns(n) for n in names), default=0)
    width = min(max(longest, _NAME.start), _NAME.stop - 1)
    heads = (
        fit("claim", width),
        fit("role", 8),
        fit("outcome", 9),
        fit("kind", 10),
        "worst number",
    )
    lines = [" ".join(heads), "-" * WIDTH]
    for name, verdict in zip(names, report.verdicts, strict=True):
        lines.append(_row(name, verdict, width))
        lines += _why(verdict)
        for depth, inner in enumerate(list(verdict.nested())[1:], start=1):
            lines.append(_row("corrected", inner, width, depth))
            lines += _why(inner)
    if report.not_checked:
        lines += ["", f"not checked ({len(report.not_checked)}):", *_grouped(report.not_checked)]
    return "\n".join([*lines, "-" * WIDTH, *closing(report)])
