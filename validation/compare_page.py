"""The table and the page of a comparison: work-precision diagrams, every number below them."""

from __future__ import annotations

from html import escape
from importlib import resources
from typing import TYPE_CHECKING, Any

import numpy as np

from .report import printing
from .report.pictures import draw, listed
from .report.text import fit

if TYPE_CHECKING:
    from .compare import Comparison, Point

SHARES = (0.1, 0.01, 0.001)
_NAME = 34  #: columns of a name
_WORDS = {"exact": "exact law", "pushed": "quantiles", "paths": "paths"}


def figure(found: Comparison) -> dict[str, Any]:
    """Error against evaluations and against seconds, one curve a sampler."""
    return {"kind": "panels", "panels": [_panel(found, "evaluations"), _panel(found, "seconds")]}


def _panel(found: Comparison, work: str) -> dict[str, Any]:
    series = []
    for target in found.targets:
        seen = found.of(target)
        if seen:
            series.append(
                {
                    "label": printing.clean(target)[:40],
                    "x": [float(getattr(p, work)) for p in seen],
                    "y": listed(np.array([p.error for p in seen])),
                    "low": listed(np.array([p.low for p in seen])),
                    "high": listed(np.array([p.high for p in seen])),
                    "style": "line+points",
                }
            )
    words = (
        "evaluations of the score"
        if work == "evaluations"
        else f"seconds for {found.rows:,} draws"
    )
    kinds = sorted({_WORDS[p.how] for p in found.points if p.known})
    return {
        "kind": "lines" if series else "bars",
        "title": f"Error against {work}, {found.problem}",
        "xlabel": words,
        "ylabel": "RMS path error" if kinds == ["paths"] else "W2 to the data",
        "xscale": "log",
        "yscale": "log",
        "series": series,
        "labels": [],
        "caption": f"Error by {' and '.join(kinds)}." if kinds else "No error is known.",
        "alt": f"Error of {len(series)} samplers on {found.problem} against {work}, on two log axes",
    }


def table(found: Comparison) -> str:
    """Plain text of at most 80 columns: every point, then the work that an error takes."""
    lines = [
        f"{found.problem}: sqrt(tr Cov) {found.size:.4g}; seconds are those of {found.rows:,} draws",
        f"{'sampler':<{_NAME}}{'steps':>6}{'evals':>7}{'seconds':>9}{'error':>10}{'of size':>9}  how",
    ]
    for p in found.points:
        name = fit(p.target, _NAME - 1) + " "
        work = f"{p.steps:>6}{p.evaluations or '':>7}"
        if not np.isfinite(p.seconds):
            lines.append(_cut(f"{name}{work}  failed: {p.how}"))
            continue
        head = f"{name}{work}{p.seconds:>9.3g}"
        if not p.known:
            lines.append(_cut(f"{head}  no number: {p.how}"))
            continue
        share = f"{100 * p.error / found.size:.3g} %"
        lines.append(f"{head}{p.error:>10.3g}{share:>9}  {_SHORT[p.how]}")
    lines += [
        "",
        f"{'evaluations for an error of':<{_NAME}}"
        + "".join(f"{100 * s:>9.3g} %" for s in SHARES),
    ]
    for target in found.targets:
        needs = "".join(f"{_needed(found, target, s):>11}" for s in SHARES)
        lines.append(f"{fit(target, _NAME - 1)} {needs}")
    hows = sorted({p.how for p in found.points if p.known})
    if hows:
        lines.append("; ".join(f"{_SHORT[h]}: {_LONG[h]}" for h in hows))
    return "\n".join(lines)


def _cut(line: str) -> str:
    line = " ".join(line.split("\n"))
    return line if len(line) <= 80 else f"{line[:77]}..."


_SHORT = {"exact": "law", "pushed": "cdf", "paths": "path"}
_LONG = {
    "exact": "W2, law of an affine map",
    "pushed": "W2, quantiles",
    "paths": "RMS to the exact flow",
}


def _needed(found: Comparison, target: str, share: float) -> str:
    value = found.needed(target, share)
    return f"{value:.0f}" if np.isfinite(value) else "-"


def page(found: Comparison) -> str:
    """One HTML page with inline style and SVG; no script, no request to anywhere."""
    style = (resources.files("scoreproof.validation.report") / "style.css").read_text("utf-8")
    seen = any(found.of(t) for t in found.targets)
    drawn = [
        f"<figure>{draw(panel)}<figcaption>{escape(panel['caption'])}</figcaption></figure>"
        for panel in (figure(found)["panels"] if seen else ())
    ]
    head = "".join(
        f"<th>{h}</th>"
        for h in ("sampler", "steps", "evaluations", "seconds", "error", "of the size", "how")
    )
    rows = "".join(
        f"<tr>{''.join(f'<td>{escape(c)}</td>' for c in _row(found, p))}</tr>"
        for p in found.points
    )
    needs = "".join(
        f"<tr><td>{escape(printing.clean(t))}</td>"
        + "".join(f"<td>{_needed(found, t, s)}</td>" for s in SHARES)
        + "</tr>"
        for t in found.targets
    )
    shares = "".join(f"<th>{100 * s:g} %</th>" for s in SHARES)
    title = f"Samplers on {escape(found.problem)}"
    facts = found.provenance
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>{style}</style>\n</head>\n<body>\n"
        f'<header class="top"><p class="brand">scoreproof</p><h1>{title}</h1>\n'
        f'<p class="lead">{len(found.targets)} samplers with the exact score; sqrt(tr Cov) of the data is '
        f"{found.size:.4g}. Seconds are those of {found.rows:,} draws on one thread.</p></header>\n<main>\n"
        f"{''.join(drawn)}\n"
        "<h2>Evaluations for an error of a share of the size</h2>\n"
        f'<table class="plain"><thead><tr><th>sampler</th>{shares}</tr></thead><tbody>{needs}</tbody></table>\n'
        f'<h2>Every run</h2>\n<table class="plain"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>\n'
        f'<p class="note">Version {escape(str(facts.get("version")))}, seed {escape(str(facts.get("seed")))}; '
        "seconds are of this machine alone.</p>\n</main>\n</body>\n</html>\n"
    )


def _row(found: Comparison, p: Point) -> tuple[str, ...]:
    name = printing.clean(p.target)
    seconds = f"{p.seconds:.3g}" if np.isfinite(p.seconds) else ""
    evaluations = f"{p.evaluations}" if p.evaluations else ""
    if not p.known:
        return name, f"{p.steps}", evaluations, seconds, "", "", printing.clean(p.how)
    share = f"{100 * p.error / found.size:.3g} %"
    return name, f"{p.steps}", evaluations, seconds, f"{p.error:.4g}", share, _LONG[p.how]
