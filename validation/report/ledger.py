"""The ledger as a page of its own: an index by text, then every printed sentence with its verdict."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any

from markupsafe import Markup

from ..claims.sources import TITLES, texts_of
from ..evidence import Outcome
from ..verdict import Report, Verdict
from . import printing
from .html import SYMBOLS, Pictures, anchored, facts, view

_SECTIONS = "SOLDGN"


def printed(report: Report) -> tuple[Verdict, ...]:
    """The verdicts on sentences of a text."""
    return tuple(v for v in report.verdicts if v.role == "printed")


def render_ledger(
    report: Report, *, derivations: Mapping[str, Sequence[str]] | None = None
) -> str:
    """The printed sentences of a report as one HTML page, without script or request to anywhere.

    Args:
        report: a run that holds verdicts with the role ``printed``.
        derivations: names of derivations by claim id, pages of which lie in ``derivations/`` beside this one.

    Returns:
        HTML text.
    """
    from jinja2 import DictLoader, Environment, StrictUndefined

    here = resources.files(__package__ or __name__)
    names = ("page.html.j2", "ledger.html.j2")
    environment = Environment(
        loader=DictLoader({name: (here / name).read_text("utf-8") for name in names}),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    card = getattr(environment.get_template("page.html.j2").module, "card")  # noqa: B009 - a macro
    drawn = Pictures()
    entries = []
    for verdict, anchor in anchored(report):
        if verdict.role == "printed":
            entry = view(verdict, anchor, drawn)
            entry["card"] = Markup(card(entry))
            entry["derivations"] = list((derivations or {}).get(verdict.claim, ()))
            entry["texts"] = texts_of(verdict.source)
            entries.append(entry)
    entries.sort(key=lambda entry: _place(entry["id"]))
    return environment.get_template("ledger.html.j2").render(
        style=Markup((here / "style.css").read_text("utf-8")),
        lead=_lead(printed(report)),
        meta=_meta(report),
        outcomes=[str(o) for o in Outcome],
        texts=[_text(digits, title, entries) for digits, title in TITLES.items()],
        entries=entries,
        provenance=facts(report),
    )


def _place(id: str) -> tuple[int, int, str]:
    """The order of the ledger: scores, objectives, Langevin, differential equations, guidance, networks."""
    letter, number, part = re.match(r"(\D*)(\d*)(.*)", id).groups()  # type: ignore[union-attr]
    section = _SECTIONS.find(letter) if letter else -1
    return (len(_SECTIONS) if section < 0 else section), int(number or 0), part


def _lead(verdicts: Sequence[Verdict]) -> str:
    count = {o: sum(v.outcome is o for v in verdicts) for o in Outcome}
    corrections = [v.correction for v in verdicts if v.correction is not None]
    fixed = sum(c.outcome is Outcome.SUPPORTED for c in corrections)
    parts = [f"{count[o]} {str(o).lower()}" for o in Outcome if count[o]]
    said = f"{len(verdicts)} sentences of {len(TITLES)} texts: {', '.join(parts)}."
    if corrections:
        said += f" {fixed} of {len(corrections)} corrections are supported."
    return said


def _meta(report: Report) -> dict[str, str]:
    mutants = [m for v in printing.every(report) for m in v.mutants]
    refuted = sum(m.outcome is Outcome.REFUTED for m in mutants)
    meta = {
        "profile": printing.clean(report.profile),
        "false-alarm rate": printing.number(report.false_alarm),
        "mutants refuted": f"{refuted:,} of {len(mutants):,}",
    }
    for key in ("seed", "version"):
        if key in report.provenance:
            meta[key] = printing.clean(printing.word(report.provenance[key]))
    return meta


def _text(digits: str, title: str, entries: Sequence[dict[str, Any]]) -> dict[str, Any]:
    mine = [e for e in entries if digits in e["texts"]]
    return {
        "digits": digits,
        "title": title,
        "entries": mine,
        "counts": {str(o): sum(e["outcome"] is o for e in mine) for o in SYMBOLS},
    }
