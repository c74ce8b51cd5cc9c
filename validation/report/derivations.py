"""Derivations as pages: one HTML file each, and an index; neither script nor request to anywhere.

The pages hold no times, so that the same derivations give the same bytes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import Markup, escape

from .mathml import formula
from .printing import clean

if TYPE_CHECKING:
    from ...theory.symbolic.derivation import Checked, Derivation, Step
    from ...theory.symbolic.zero import Status

_ROOM = 84  #: signs of a formula on one line
_WITNESS = 10  #: values of a counterexample that are shown
_BADGES = {"PROVED": "SUPPORTED", "REFUTED": "REFUTED", "UNKNOWN": "UNDECIDED"}
_SIGNS = {"PROVED": "\u2713", "REFUTED": "\u2717", "UNKNOWN": "?"}
_INDEXED = re.compile(
    r"(?P<down>(?<=[\w\u0303)])_(?:\{(?P<below>[^{}]+)\}|(?P<low>\w)(?!\w)|(?P<pair>[a-z]{2})\b))"
    r"|(?P<up>\^(?:\{(?P<above>[^{}]+)\}|\((?P<power>[^()]+)\)|(?P<high>\w)))"
)
_COMMAND = re.compile(r"\\(left|right|text|frac|sqrt|partial|operatorname)\b|[\\{}&^_ ]")


@dataclass(frozen=True)
class Wrong:
    """A wrong version of a derivation and what was said of it.

    Attributes:
        name: of the mutant.
        status: REFUTED if a step is.
        failing: the step that shows it.
    """

    name: str
    status: Status
    failing: Checked


def tried(derivation: Derivation, mutant: Derivation) -> Wrong:
    """Checks a mutant up to its first refuted step; steps of the derivation that stand unchanged are not run again."""
    from ...theory.symbolic.derivation import Checked

    here, there = derivation.domain, mutant.domain
    alike = (here.symbols, here.functions) == (there.symbols, there.functions)
    known = {_key(c.step): c for c in derivation.checked} if alike else {}
    found = []
    for step in mutant.steps:
        same = known.get(_key(step))
        tests = same.tests if same else tuple(step.run(mutant.domain))
        found.append(Checked(step, tests, 0.0))
        if found[-1].status == "REFUTED":
            break
    said = {c.status for c in found}
    worst: Status = (
        "REFUTED" if "REFUTED" in said else "UNKNOWN" if "UNKNOWN" in said else "PROVED"
    )
    failing = next(c for c in found if c.status == worst)
    return Wrong(mutant.wrong or mutant.name, worst, failing)


def _key(step: Step) -> tuple[Any, ...]:
    return step.checks, step.above, tuple(step.using.items())


def render_derivation(derivation: Derivation, mutants: Sequence[Wrong] = ()) -> str:
    """The page of one derivation.

    Args:
        derivation: checked here if it was not.
        mutants: its wrong versions, see :func:`tried`.

    Returns:
        HTML text.
    """
    return _page(
        "derivation.html.j2",
        d=_summary(derivation, mutants),
        statement=prose(derivation.statement),
        source=derivation.source,
        steps=[_step(checked) for checked in derivation.checked],
        where=_where(derivation),
        hypotheses=[prose(h) for h in derivation.hypotheses],
        mutants=[_mutant(m) for m in mutants],
    )


def render_index(every: Iterable[tuple[Derivation, Sequence[Wrong]]]) -> str:
    """The page that lists derivations, each with its mutants, and links to their pages."""
    rows = [_summary(d, mutants) for d, mutants in every]
    counts = {s: sum(row["status"] == s for row in rows) for s in _SIGNS}
    return _page(
        "derivations.html.j2",
        rows=rows,
        lead=f"{len(rows)} derivations: "
        + ", ".join(f"{n} {s.lower()}" for s, n in counts.items() if n)
        + f". {sum(r['wrong'] for r in rows)} wrong versions, {sum(r['survived'] for r in rows)} of them proved.",
    )


def save_page(folder: str | Path, name: str) -> tuple[Derivation, list[Wrong]]:
    """Writes the page of a derivation of the catalogue, ``NAME.html``.

    Args:
        folder: created if it is not there.
        name: of the derivation.

    Returns:
        The derivation and its wrong versions.

    Raises:
        ValueError: an unknown name.
    """
    from ...theory.symbolic.catalogue import derive

    made = derive(name)
    mutants = [tried(made, derive(name, wrong=wrong)) for wrong in made.mutants]
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.html").write_text(render_derivation(made, mutants), "utf-8")
    return made, mutants


def save_index(folder: str | Path, every: Iterable[tuple[Derivation, Sequence[Wrong]]]) -> Path:
    """Writes ``index.html`` for derivations, each with its wrong versions; gives its path."""
    path = Path(folder) / "index.html"
    path.write_text(render_index(every), "utf-8")
    return path


def prose(text: str) -> Markup:
    """Plain text with Unicode signs: ``x_t`` and ``e^{-B}`` with subscripts and superscripts, all else escaped."""
    text = clean(text).replace("x~", "x\u0303")

    def marked(found: re.Match[str]) -> str:
        kind = "sub" if found["down"] else "sup"
        inner = found["below"] or found["low"] or found["pair"] or found["above"]
        return f"<{kind}>{inner or found['power'] or found['high']}</{kind}>"

    return Markup(_INDEXED.sub(marked, str(escape(text))))


def equation(left: Any, right: Any, relation: str = "=") -> list[Markup]:
    """An equation as lines of MathML, long sums broken between their terms."""
    left, right = (_worded(side) for side in (left, right))
    if isinstance(left, str) or isinstance(right, str):
        sides = [prose(s) if isinstance(s, str) else _inline(_latex(s)) for s in (left, right)]
        return [Markup("{} {} {}").format(sides[0], relation, sides[1])]
    first, second = _lines(left), _lines(right)
    second[0] = f"{relation} {second[0]}"
    if len(first) == len(second) == 1 and _width(first[0] + second[0]) <= _ROOM:
        first, second = [f"{first[0]} {second[0]}"], []
    return [formula(line, display=True) for line in (*first, *(rf"\quad {s}" for s in second))]


def _worded(side: Any) -> Any:
    """A symbol that stands for words or a product as text."""
    return side.name if getattr(side, "is_Symbol", False) and " " in side.name else side


def _lines(expr: Any) -> list[str]:
    """LaTeX of an expression, a sum as several lines where one is too long."""
    whole = _latex(expr)
    terms = list(_terms(expr))
    if _width(whole) <= _ROOM or len(terms) < 2:
        return [whole]
    lines: list[str] = []
    for term in map(_latex, terms):
        signed = term if not lines or term.startswith("-") else f"+ {term}"
        if lines and _width(lines[-1] + signed) <= _ROOM:
            lines[-1] += f" {signed}"
        else:
            lines.append(signed)
    return lines


def _terms(expr: Any) -> Iterable[Any]:
    if getattr(expr, "is_Add", False):
        for part in expr.args:
            yield from _terms(part)
    else:
        yield expr


def _width(latex: str) -> int:
    return len(_COMMAND.sub("", latex))


def _latex(expr: Any) -> str:
    import sympy as sp

    from ...theory.symbolic.printing import short

    return sp.latex(short(expr))


def _inline(latex: str) -> Markup:
    return formula(latex)


def _where(derivation: Derivation) -> list[Markup]:
    """The symbols and functions of the steps, with what is known of them."""
    import sympy as sp
    from sympy.core.function import AppliedUndef

    told = [e for step in derivation.steps for e in (*step.checks, *step.above)]
    told += [
        e
        for step in derivation.steps
        for pair in step.shown
        for e in pair
        if isinstance(e, sp.Basic)
    ]
    symbols = set().union(*(e.free_symbols for e in told))
    functions = {a.func for e in told for a in e.atoms(AppliedUndef)}
    found = []
    for symbol, ends in sorted(derivation.domain.symbols.items(), key=lambda item: item[0].name):
        low, high = (str(e).replace("oo", "\u221e").replace("-", "\u2212") for e in ends)
        known = "real" if ends == (-sp.oo, sp.oo) else f"in ({low}, {high})"
        if symbol in symbols:
            found.append(Markup("{} {}").format(_inline(_latex(symbol)), known))
    for function, sign in derivation.domain.functions.items():
        if function in functions:
            name = _latex(sp.Symbol(function.__name__))
            found.append(Markup("{} {}").format(_inline(name), sign))
    return found


def _summary(d: Derivation, mutants: Sequence[Wrong]) -> dict[str, Any]:
    tested = sum(c.status is not None for c in d.checked)
    return {
        "name": d.name,
        "title": d.title,
        "formula": formula(d.formula, display=True),
        "status": d.status,
        "badge": _BADGES[d.status],
        "sign": _SIGNS[d.status],
        "tested": tested,
        "steps": len(d.steps),
        "wrong": len(mutants),
        "refuted": sum(m.status == "REFUTED" for m in mutants),
        "survived": sum(m.status == "PROVED" for m in mutants),
        "assumed": len(d.hypotheses),
    }


def _step(checked: Checked) -> dict[str, Any]:
    step = checked.step
    return {
        "name": prose(step.name),
        "status": checked.status,
        "badge": _BADGES.get(checked.status or "", ""),
        "sign": _SIGNS.get(checked.status or "", ""),
        "lines": _shown(step),
        "because": prose(step.because),
        "by": prose(step.by),
        "using": [_inline(f"{_latex(a)} = {_latex(b)}") for a, b in step.using.items()],
        "how": sorted({t.method for t in checked.tests}),
        "witness": _witness(checked),
    }


def _shown(step: Step) -> list[list[Markup]]:
    return [equation(left, right, step.relation) for left, right in step.shown]


def _witness(checked: Checked) -> str:
    found = dict(checked.witness or {})
    said = [f"{k} = {v}" for k, v in list(found.items())[:_WITNESS]]
    return ", ".join([*said, "\u2026"] if len(found) > _WITNESS else said)


def _mutant(m: Wrong) -> dict[str, Any]:
    return {
        "name": m.name,
        "status": m.status,
        "badge": _BADGES[m.status],
        "sign": _SIGNS[m.status],
        "step": _step(m.failing),
        "survived": m.status == "PROVED",
    }


def _page(template: str, **values: Any) -> str:
    from jinja2 import Environment, StrictUndefined

    here = resources.files(__package__ or __name__)
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    style = Markup((here / "style.css").read_text("utf-8"))
    return environment.from_string((here / template).read_text("utf-8")).render(
        style=style, **values
    )
