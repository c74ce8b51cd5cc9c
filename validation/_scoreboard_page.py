"""``scoreboard.html``: the summary, then every defect with its evidence and a script, then all rows."""

from __future__ import annotations

import base64
import hashlib
import math
from importlib import resources
from pathlib import Path
from typing import Any

from markupsafe import Markup

from ._scoreboard_causes import CONTRADICTS, FAILS, LIMIT, OURS
from ._scoreboard_row import EVALUATIONS, ODD
from .report.printing import clean, number

CLASSES = (CONTRADICTS, FAILS, LIMIT, OURS)
_BADGES = {
    CONTRADICTS: ("REFUTED", "\u2717"),
    FAILS: ("ERROR", "!"),
    LIMIT: ("UNDECIDED", "\u25cb"),
    OURS: ("UNDECIDED", "?"),
    "sound": ("SUPPORTED", "\u2713"),
    "refused": ("UNDECIDED", "\u2013"),
    "not measured": ("UNDECIDED", "?"),
}
_SCRIPT = """
for (const head of document.querySelectorAll('#rows thead th')) {
  const button = head.querySelector('button');
  if (!button) continue;
  button.addEventListener('click', () => {
    const body = document.querySelector('#rows tbody');
    const column = [...head.parentNode.children].indexOf(head);
    const down = head.getAttribute('aria-sort') === 'ascending';
    for (const other of head.parentNode.children) other.removeAttribute('aria-sort');
    head.setAttribute('aria-sort', down ? 'descending' : 'ascending');
    const key = row => {
      const v = row.children[column].dataset.key, x = parseFloat(v);
      return isNaN(x) ? v : x;
    };
    const rows = [...body.children].sort((a, b) => {
      const x = key(a), y = key(b);
      if (x === '' || y === '') return (x === '') - (y === '');
      const order = typeof x === typeof y ? (x < y ? -1 : x > y ? 1 : 0) : typeof x === 'number' ? -1 : 1;
      return down ? -order : order;
    });
    body.append(...rows);
  });
}
const search = document.querySelector('#search');
search.addEventListener('input', () => {
  const words = search.value.toLowerCase().split(/\\s+/).filter(Boolean);
  for (const row of document.querySelectorAll('#rows tbody tr')) {
    const text = row.textContent.toLowerCase();
    row.hidden = !words.every(w => text.includes(w));
  }
});
"""


def render(board: dict[str, Any], folder: Path | None = None) -> str:
    """The board as one HTML page, without request to anywhere; the table is readable without its script.

    Args:
        board: what ``scoreboard.json`` holds.
        folder: where the page will lie; scripts of reproductions are read from ``reproductions/`` in it.
    """
    from jinja2 import Environment, StrictUndefined

    here = resources.files("scoreproof.validation.report")
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.from_string((here / "scoreboard.html.j2").read_text("utf-8"))
    digest = base64.b64encode(hashlib.sha256(_SCRIPT.encode()).digest()).decode()
    defects = [_defect(one, folder) for one in board["defects"]]
    defects.sort(key=lambda one: CLASSES.index(one["class"]))
    unexplained = [
        {"target": clean(row["target"]), "texts": [clean(a["text"]) for a in mine]}
        for row in board["rows"]
        if (mine := [a for a in row["accusations"] if a["class"] == OURS])
    ]
    return template.render(
        style=Markup((here / "style.css").read_text("utf-8")),
        script=Markup(_SCRIPT),
        digest=digest,
        summary=board["summary"],
        lead=_lead(board),
        by_class=[
            {"name": c, "badge": _BADGES[c], "defects": sum(d["class"] == c for d in defects)}
            | {"rows": board["summary"]["accused_by_class"].get(c, 0)}
            for c in CLASSES
        ],
        libraries=_libraries(board),
        defects=defects,
        unexplained=unexplained,
        evaluations=EVALUATIONS,
        odd=ODD,
        rows=[_row(row) for row in board["rows"]],
        provenance=_provenance(board["provenance"]),
    )


def _lead(board: dict[str, Any]) -> str:
    said = board["summary"]
    status = said["statuses"]
    found = sum(d["class"] in (CONTRADICTS, FAILS) for d in board["defects"])
    return (
        f"{said['configurations']} configurations: {status.get('sound', 0)} sound, {status.get('accused', 0)} with "
        f"a defect or limit, {status.get('refused', 0)} refused by their library. {found} causes of defects, each "
        "with its place in the source and a script that shows it."
    )


def _libraries(board: dict[str, Any]) -> list[dict[str, Any]]:
    releases = board["provenance"]["releases"]
    made = []
    for name in board["summary"]["by_library"]:
        rows = [row for row in board["rows"] if row["library"] == name]
        count = {
            c: sum(any(a["class"] == c for a in r["accusations"]) for r in rows) for c in CLASSES
        }
        status = {
            s: sum(r["status"] == s for r in rows) for s in ("sound", "refused", "not measured")
        }
        made.append(
            {"name": name, "release": releases.get(name), "rows": len(rows), **count, **status}
        )
    return made


def _defect(one: dict[str, Any], folder: Path | None) -> dict[str, Any]:
    text = ""
    if folder is not None and one["script"]:
        path = folder / one["script"]
        text = path.read_text("utf-8") if path.is_file() else ""
    evidence = [
        {"rule": rule, "target": clean(e["target"]), "text": clean(e["text"])}
        for rule, e in sorted(one["evidence"].items())
    ]
    return {
        **one,
        "badge": _BADGES[one["class"]],
        "evidence": evidence,
        "source": clean(text),
        "targets": [clean(t) for t in one["rows"]],
    }


def _row(row: dict[str, Any]) -> dict[str, Any]:
    classes = [c for c in CLASSES if any(a["class"] == c for a in row["accusations"])]
    name = classes[0] if classes else row["status"]
    clocks = row.get("clocks", {})
    first = clocks.get("t") or clocks.get("sigma") or {}
    other = clocks.get("sigma") if "t" in clocks else None
    formula = row.get("formula") or {}
    notes = [a["text"] for a in row["accusations"]]
    if not clocks:
        notes += [f"{f['type']}: {f['message']}" for f in row["failures"][:1]]
    spent = first.get("by_evaluations", {})
    return {
        "target": clean(row["target"]),
        "badge": _BADGES[name],
        "status": name,
        "causes": sorted({a["cause"] for a in row["accusations"] if a["cause"]}),
        "notes": [clean(n) for n in notes],
        "declared": _cell(row.get("declared")),
        "quote": clean(row.get("quote", "")),
        "formula": _cell(formula.get("order"), 3),
        "order": _cell(_finite(first.get("order", [None])[0]), 3),
        "order_sigma": _cell(_finite((other or {}).get("order", [None])[0]), 3),
        "local": ", ".join(_order(float(v)) for v in first.get("local", ())),
        "w2": [_cell(spent.get(str(n), {}).get("w2")) for n in EVALUATIONS],
        "w2_sigma": [
            _cell((other or {}).get("by_evaluations", {}).get(str(n), {}).get("w2"))
            for n in EVALUATIONS
        ],
        "odd": [_cell(first.get("w2", {}).get(str(n))) for n in ODD],
        "floor": _cell(first.get("floor", {}).get("w2")),
        "near": first.get("floor", {}).get("near", "").rstrip(","),
        "end": _cell(row.get("end", {}).get("level")),
        "exact": "" if not clocks else "exact" if row.get("exact") else "sampled",
        "why": clean(row.get("why", "")),
        "precision": "" if not clocks else "float32" if row.get("single") else "float64",
    }


def _order(value: float) -> str:
    return "\u2013" if math.isnan(value) else f"{value:.2f}"


def _finite(value: Any) -> float | None:
    return value if isinstance(value, int | float) else None


def _cell(value: Any, digits: int = 2) -> dict[str, str]:
    """What is shown, and what is sorted by."""
    if not isinstance(value, int | float):
        return {"text": "", "key": ""}
    return {"text": number(value, digits), "key": repr(float(value))}


def _provenance(facts: dict[str, Any]) -> list[tuple[str, str]]:
    releases = ", ".join(f"{k} {v}" for k, v in facts["releases"].items() if v)
    packages = ", ".join(f"{k} {v}" for k, v in facts["packages"].items())
    machine = ", ".join(f"{k} {v}" for k, v in facts["machine"].items())
    return [
        ("releases", releases),
        ("scoreproof", str(facts["version"])),
        ("Python", str(facts["python"])),
        ("packages", packages),
        ("machine", machine),
        ("started", str(facts["started"])),
        ("seconds", number(facts["seconds"], 4)),
    ]
