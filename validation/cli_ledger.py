"""The ledger as text or JSON, with the outcomes of the last report."""

from __future__ import annotations

import json
import re
import unicodedata
from pathlib import Path

from .claim import Claim
from .evidence import Outcome, worst
from .report.files import NAME, load
from .report.text import WIDTH, fit
from .verdict import Report

_COMMAND = re.compile(r"\\([A-Za-z]+)(\s?)")
_FRACTION = re.compile(r"\\[dt]?frac\s*(?:\{([^{}]*)\}|(\d))\s*(?:\{([^{}]*)\}|(\w))")
_ROOT = re.compile(r"\\sqrt\s*(?:\{((?:[^{}]|\{[^{}]*\})*)\}|(\w))")
_ACCENT = re.compile(r"\\(tilde|hat|bar)\s*(?:\{([^{}]*)\}|(\\[A-Za-z]+|\w))")
_MARKS = {"tilde": "\u0303", "hat": "\u0302", "bar": "\u0304"}
_ONE = re.compile(
    r"\\?\w+(?:[_^](?:\w|\{\w+\}))*"
)  # what needs no brackets under a root or a stroke
_SIGNS = {
    "lambda": "λ",
    "mid": " | ",
    "nabla": "∇",
    "partial": "∂",
    "int": "∫",
    "sum": "Σ",
    "le": " ≤ ",
    "leq": " ≤ ",
    "ge": " ≥ ",
    "geq": " ≥ ",
    "to": " → ",
    "infty": "∞",
    "cdot": "·",
    "sim": " ~ ",
    "neq": " ≠ ",
    "approx": " ≈ ",
    "sqrt": "√",
    "in": " ∈ ",
    "varepsilon": "ε",
    "log": "log ",
    "exp": "exp ",
    "quad": " ",
}
_PREFIXES = {"nabla", "partial", "int", "sqrt"}
_FORM = {"left", "right", "mathbb", "mathrm", "mathcal", "mathbf", "boldsymbol", "text", "frac"}


def _sign(match: re.Match[str]) -> str:
    name, space = match.groups()
    if name in _FORM:
        return ""
    if name in _SIGNS:
        return _SIGNS[name] + ("" if name in _PREFIXES else space)
    size = "CAPITAL" if name[0].isupper() else "SMALL"
    try:
        return unicodedata.lookup(f"GREEK {size} LETTER {name.upper()}") + space
    except KeyError:
        return name + space


def short(statement: str) -> str:
    """A statement without the marks of LaTeX, for one line of a terminal."""
    text = _ACCENT.sub(lambda m: (m[2] or m[3]) + _MARKS[m[1]], statement)
    text = _FRACTION.sub(lambda m: f"{_bracketed(m[1] or m[2])}/{_bracketed(m[3] or m[4])} ", text)
    text = _ROOT.sub(lambda m: "√" + _bracketed(m[1] or m[2]), text)
    for space in (r"\,", r"\;", r"\ "):
        text = text.replace(space, " ")
    text = _COMMAND.sub(_sign, text.replace("}{", "/"))
    for mark in ("$", "{", "}", r"\!", "\\"):
        text = text.replace(mark, "")
    text = re.sub(r" +([,.;:])", r"\1", " ".join(text.split()))
    # A combining mark joins the letter before it.
    return unicodedata.normalize("NFC", text)


def _bracketed(part: str) -> str:
    return part if _ONE.fullmatch(part.strip()) else f"({part})"


def _last(out: Path) -> Report | None:
    return load(out) if (out / NAME).exists() else None


def _outcome(claim: Claim, report: Report | None) -> Outcome | None:
    """The worst outcome among the verdicts on a claim; None where there is none."""
    found = [v.outcome for v in report.find(claim.id)] if report is not None else []
    return worst(found) if found else None


def table(out: Path) -> str:
    """Id, outcome and statement of every claim, a line each of at most 80 columns.

    Raises:
        ValueError: there is a report in ``out`` that cannot be read.
    """
    from .claims import CLAIMS

    report = _last(out)
    width = max([len(id) for id in CLAIMS] + [5])
    rest = WIDTH - width - 11
    lines = [f"{'claim':<{width}} outcome   statement", "-" * WIDTH]
    for id, claim in CLAIMS.items():
        said = _outcome(claim, report) or "-"
        lines.append(f"{id:<{width}} {said:<9} {fit(short(claim.statement), rest)}".rstrip())
    lines.append("-" * WIDTH)
    if report is None:
        lines.append(f"no report in {out}; `scoreproof validate` makes one")
    else:
        seed, when = report.provenance.get("seed"), report.provenance.get("started")
        lines.append(f"outcomes of {out}: profile {report.profile}, seed {seed}, {when}")
    return "\n".join(lines)


def as_json(out: Path) -> str:
    """The same as JSON: a list of claims with their full statements.

    Raises:
        ValueError: there is a report in ``out`` that cannot be read.
    """
    from .claims import CLAIMS

    report = _last(out)
    rows = [
        {
            "claim": id,
            "group": claim.group,
            "role": claim.role,
            "outcome": _outcome(claim, report),
            "statement": claim.statement,
        }
        for id, claim in CLAIMS.items()
    ]
    return json.dumps({"claims": rows}, indent=1, ensure_ascii=False)
