"""The page of the published table: every cell with both numbers, and what does not follow by name."""

from __future__ import annotations

from collections.abc import Iterable

from .evidence import Evidence, Outcome
from .published import STARTS
from .published_numbers import COLUMNS, SOURCE
from .verdict import Report, Verdict

_HEAD = """# The table of Pierret and Galerne, recomputed

{source}.

W2 to the data of samplers with the exact score, on the Gaussian with the covariance of CIFAR-10 (3,072
eigenvalues, which belong to the paper's authors and are not part of this project), stopped at `t = eps`.

This page is made by

    python -m scoreproof.validation.published EIGENVALUES.npy docs/pierret_galerne.md

The samplers are run, and their affine maps are read off step by step from unit impulses; no recursion of the paper is
used. A cell agrees if the computed number lies within half a unit of the last printed digit. Convention of the paper:
`dx = -beta x dt + sqrt(2 beta) dw`, `beta = 0.05 + 9.95 t`; N grid points uniform in t, hence N - 1 steps.

**{agree} of {cells} cells agree with the protocol as it is stated.** {rest}

In the tables: computed / printed, **bold** where they differ.
"""


def page(report: Report) -> str:
    """The page as Markdown, from the report of :func:`.published.pierret_galerne`."""
    cells = [e for v in report.verdicts for e in v.evidence]
    agree = sum(_fine(e) for e in cells)
    wrong = [v for v in report.verdicts if not all(map(_fine, v.evidence))]
    parts = [
        _HEAD.format(source=SOURCE, agree=agree, cells=len(cells), rest=_rest(wrong)),
        "## Without discretisation\n",
        _table(("continuous",), [v for v in report.verdicts if _continuous(v)]),
        "## Discretised, protocol as stated\n",
        "NFE evaluations in all: grids of NFE points, NFE/2 for Heun, NFE/4 for RK4.\n",
        _table(_names(), [v for v in report.verdicts if not _continuous(v)]),
    ]
    if wrong:
        parts.append("## Cells that do not follow from it\n")
        corrected = [v.correction for v in wrong if v.correction is not None]
        parts += [f"* {_said(v)}" for v in wrong]
        if corrected:
            parts.append("\nThe same rows under the protocol that is named:\n")
            parts.append(_table(_names(), corrected))
    return "\n".join(parts).rstrip() + "\n"


def _fine(cell: Evidence) -> bool:
    return cell.outcome is Outcome.SUPPORTED


def _continuous(verdict: Verdict) -> bool:
    return verdict.evidence[0].check.startswith("continuous")


def _names() -> tuple[str, ...]:
    return tuple(f"NFE {nfe}" for nfe in COLUMNS)


def _rest(wrong: Iterable[Verdict]) -> str:
    rows = [f"{v.subject['scheme']} at eps = {v.subject['eps']}" for v in wrong]
    if not rows:
        return "There is no other."
    names = " and ".join(rows)
    return f"The others stand in the rows\n{names}; they are named below, with the protocol that they follow."


def _said(verdict: Verdict) -> str:
    inner = verdict.correction
    name = f"**{verdict.subject['scheme']}, eps = {verdict.subject['eps']}**"
    text = f"{name}: {verdict.finding}"
    if inner is None:
        return f"{text} No other protocol that was tried gives them."
    return f"{text} *{inner.statement}*: {inner.finding}"


def _table(columns: tuple[str, ...], verdicts: Iterable[Verdict]) -> str:
    heads = [f"{c}, {start}" for c in columns for start in STARTS]
    lines = [f"| scheme | eps | {' | '.join(heads)} |", f"|---|---|{'---|' * len(heads)}"]
    for v in verdicts:
        by_name = {e.check: e for e in v.evidence}
        shown = [_cell(by_name[h]) for h in heads]
        lines.append(f"| {v.subject['scheme']} | {v.subject['eps']} | {' | '.join(shown)} |")
    return "\n".join(lines) + "\n"


def _cell(cell: Evidence) -> str:
    printed = cell.message.rpartition("printed ")[2]
    # Rounding is not shown as if it were a result.
    value = f"{cell.value:.4g}" if cell.value > 1e-9 else "0"
    text = f"{value} / {printed}"
    return text if _fine(cell) else f"**{text}**"
