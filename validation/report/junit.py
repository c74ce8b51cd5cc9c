"""JUnit XML, the format in which build servers read test results."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

from ..evidence import Outcome
from ..verdict import Report, Verdict
from . import printing


def _group(verdict: Verdict) -> str:
    """``O`` of ``O2``; the claim's own id where it is a word."""
    stem = re.match(r"([A-Z]+)\d", verdict.claim)
    return stem.group(1) if stem else verdict.claim


def _first_line(text: str) -> str:
    return (printing.clean(text).splitlines() or [""])[0][:300]


def _held(verdict: Verdict) -> bool:
    """Whether a refuted sentence comes with a statement that holds, or is not counted at all."""
    inner = list(verdict.nested())[1:]
    return verdict.role == "informative" or any(v.outcome is Outcome.SUPPORTED for v in inner)


def _case(verdict: Verdict, name: str) -> ET.Element:
    spent = sum(e.seconds for e in verdict.evidence)
    case = ET.Element(
        "testcase",
        classname=printing.clean(f"{_group(verdict)}/{verdict.claim}"),
        name=printing.clean(name),
        time=f"{spent:.3f}",
    )
    explained = printing.clean(verdict.explain())
    because = verdict.diagnosis.text if verdict.diagnosis else _reason(verdict)
    message = f"{verdict.outcome}: {_first_line(because)}"
    if verdict.outcome is Outcome.ERROR:
        ET.SubElement(case, "error", message=message, type="ERROR").text = explained
    elif verdict.outcome is Outcome.REFUTED and verdict.role == "required":
        ET.SubElement(case, "failure", message=message, type="REFUTED").text = explained
    elif verdict.outcome is Outcome.UNDECIDED:
        ET.SubElement(case, "skipped", message=message)
    elif verdict.outcome is Outcome.REFUTED and not _held(verdict):
        ET.SubElement(
            case, "skipped", message=f"{message} (as printed; no correction is supported)"
        )
    said = f"role {verdict.role}\n{printing.clean(verdict.statement)}\n{explained}"
    if verdict.finding:
        said += f"\n{printing.clean(verdict.finding)}"
    ET.SubElement(case, "system-out").text = said
    return case


def _reason(verdict: Verdict) -> str:
    if verdict.broken:
        return "mutant survived: " + ", ".join(m.name for m in verdict.survivors)
    piece = printing.worst_piece(verdict)
    return f"{piece.check}: {printing.finding(piece)}" if piece else "no evidence"


def junit(report: Report) -> str:
    """The report as JUnit XML: a test case a verdict, corrections included.

    REFUTED and required is a failure, ERROR an error, UNDECIDED is skipped with the reason. A
    printed sentence that is refuted passes if its correction is supported; the case says so.
    """
    cases = []
    for top in report.verdicts:
        about = printing.subject(top.subject)
        name = f"{top.claim} [{about}]" if about else top.claim
        for depth, verdict in enumerate(top.nested()):
            cases.append(_case(verdict, name + " corrected" * depth))
    for item in report.not_checked:
        about = printing.subject(item.subject)
        case = ET.Element(
            "testcase",
            classname="not-checked",
            name=printing.clean(f"{item.claim} [{about}]" if about else item.claim),
            time="0.000",
        )
        ET.SubElement(case, "skipped", message=_first_line(f"not checked: {item.reason}"))
        cases.append(case)
    totals = {
        "tests": str(len(cases)),
        "failures": str(sum(c.find("failure") is not None for c in cases)),
        "errors": str(sum(c.find("error") is not None for c in cases)),
        "skipped": str(sum(c.find("skipped") is not None for c in cases)),
        "time": f"{printing.wall_time(report):.3f}",
    }
    root = ET.Element("testsuites", {"name": "scoreproof", **totals})
    suite = ET.SubElement(root, "testsuite", {"name": printing.clean(report.profile), **totals})
    properties = ET.SubElement(suite, "properties")
    entries = {"outcome": str(report.outcome), "false_alarm": f"{report.false_alarm:g}"}
    for key in ("version", "seed", "started"):
        if key in report.provenance:
            entries[key] = printing.clean(printing.word(report.provenance[key]))
    for key, value in entries.items():
        ET.SubElement(properties, "property", name=key, value=value)
    suite.extend(cases)
    ET.indent(root)
    return ET.tostring(root, encoding="unicode", xml_declaration=False)
