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
    kept = {claim: _telling(report, claim, found) for claim, found in values.items()}
    names = []
    for v in report.verdicts:
        differ = [
            (k, printing.word(v.subject[k])) for k in kept.get(v.claim, ()) if k in v.subject
        ]
        long = ", ".join(f"{k} {w}" if _is_number(v.subject[k]) else w for k, w in differ)
        name = f"{v.claim} ({long})"
        if columns(name) >= _NAME.stop:
            name = f"{v.claim} ({', '.join(w for _, w in differ)})"
        names.append(name if differ else v.claim)
    return names


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _telling(report: Report, claim: str, values: dict[str, set[str]]) -> list[str]:
    """Entries of the subject that differ between verdicts, without those that follow from earlier ones."""
    kept: list[str] = []
    for key in (k for k, found in values.items() if len(found) > 1):
        mine = [v.subject for v in report.verdicts if v.claim == claim]
        apart = [
            len({tuple(printing.word(s.get(k)) for k in ks) for s in mine})
            for ks in (kept, [*kept, key])
        ]
        if apart[1] > apart[0]:
            kept.append(key)
    return kept


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
    kind = verdict.kinds["strongest"] if piece is None or verdict.broken else piece.kind
    indent = "  " * min(depth, 4)
    cells = (
        indent + fit(name, width - len(indent)),
        fit(_ROLES.get(verdict.role, verdict.role), 8),
        fit(str(verdict.outcome), 9),
        fit(kind or "-", 10),
        fit(said, room),
    )
    return " ".join(cells).rstrip()


def _wrapped(text: str, indent: str, most: int = 3) -> list[str]:
    text = " ".join(printing.clean(text).split())
    lines = textwrap.wrap(
        text,
        WIDTH,
        initial_indent=indent,
        subsequent_indent=indent,
        max_lines=most,
        placeholder=" ...",
    )
    return [line if columns(line) <= WIDTH else fit(line.strip(), WIDTH) for line in lines]


def _why(verdict: Verdict, row: str) -> list[str]:
    """What a reader must know at once where something that counts is not SUPPORTED, beyond ``row``."""
    counted = verdict.role == "required" or verdict.outcome is Outcome.ERROR
    if not counted or verdict.outcome is Outcome.SUPPORTED:
        return []
    if verdict.broken:
        said = [f"mutant {m.name} came out {m.outcome}: {m.message}" for m in verdict.survivors]
    elif verdict.diagnosis is not None:
        said = [verdict.diagnosis.text]
    elif verdict.outcome is Outcome.ERROR:
        failed = [e for e in verdict.evidence if e.deciding and e.outcome is Outcome.ERROR]
        # One sentence often stands for all of them, e.g. at every number of steps.
        said = list(dict.fromkeys(e.message for e in failed))
    else:
        # The number of a proof does not say what it lacks.
        proofs = [e for e in verdict.evidence if e.deciding and e.kind == "proof"]
        said = [e.message for e in proofs if e.outcome is not Outcome.SUPPORTED]
        said = said if verdict.evidence else [verdict.finding]
    return [line for text in said[:3] if text not in row for line in _wrapped(text, "    ")]


def _grouped(items: tuple[NotChecked, ...]) -> list[str]:
    """``not_checked`` by claim and reason, the subjects counted."""
    groups: dict[tuple[str, str], list[str]] = {}
    for item in items:
        groups.setdefault((item.reason, item.claim), []).append(printing.subject(item.subject))
    by_reason: dict[str, list[tuple[str, str]]] = {}
    for (reason, claim), subjects in groups.items():
        named = [s for s in subjects if s]
        extra = f" ({named[0]})" if len(named) == 1 else f" (x{len(subjects)})"
        by_reason.setdefault(reason, []).append((claim, extra if named else ""))
    lines = []
    for reason, claims in by_reason.items():
        extras = {extra for _, extra in claims}
        # What several claims have in common is said once, after the last of them.
        shared = extras.pop() if len(extras) == 1 and "(x" not in next(iter(extras)) else None
        if shared is None:
            said = ", ".join(claim + extra for claim, extra in claims)
        else:
            said = ", ".join(claim for claim, _ in claims) + shared
        lines += _wrapped(f"{said}: {reason or 'no reason given'}", "  ", most=6)
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
        for depth, inner in enumerate(verdict.nested()):
            row = _row("corrected" if depth else name, inner, width, depth)
            lines += [row, *_why(inner, row)]
    if report.not_checked:
        lines += ["", f"not checked ({len(report.not_checked)}):", *_grouped(report.not_checked)]
    return "\n".join([*lines, "-" * WIDTH, *closing(report)])
