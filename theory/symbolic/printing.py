"""Derivations as plain text, LaTeX and HTML with MathML.

Values of undefined functions at their own arguments are printed by name, their derivatives with subscripts:
``p`` and ``p_xx`` for p(x, t) and its second derivative in x.
"""

from __future__ import annotations

import re
import textwrap
import unicodedata
from html import escape
from typing import TYPE_CHECKING, Any

import sympy as sp
from sympy.core.function import AppliedUndef

from .zero import PROVED, at_several_points, compact

if TYPE_CHECKING:
    from .derivation import Checked, Derivation

WIDTH = 80
_INDENT = "    "
_TALL = 7  #: taller formulas are written on one line
_GREEK = {
    "α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta", "η": "eta", "θ": "theta", "κ": "kappa", "λ": "lambda",
    "μ": "mu", "ν": "nu", "ξ": "xi", "π": "pi", "ρ": "rho", "σ": "sigma", "τ": "tau", "φ": "phi", "χ": "chi",
    "ψ": "psi", "ω": "omega", "ζ": "zeta", "Γ": "Gamma", "Δ": "Delta", "Θ": "Theta", "Λ": "Lambda", "Φ": "Phi",
    "Ω": "Omega",
}  # fmt: skip
_SIGNS = {
    "′": "'", "″": "''", "←": r"\gets ",
    "∇": r"\nabla ", "∂": r"\partial ", "∫": r"\int ", "≥": r"\ge ", "≤": r"\le ", "→": r"\to ", "∞": r"\infty ",
    "√": r"\surd ", "·": r"\cdot ", "−": "-", "≠": r"\ne ", "Σ": r"\Sigma ", "‖": r"\|", "½": r"\tfrac12 ",
    "ᵀ": r"^{\top}", "×": r"\times ", "∈": r"\in ", "~": r"\sim ", "≈": r"\approx ", "ε": r"\varepsilon ",
    "|": "|", "<": "<", ">": ">",
}  # fmt: skip
_MARKS = {"\u0302": r"\hat", "\u0303": r"\tilde", "\u0304": r"\bar"}
_ESCAPED = {
    "\\": r"\textbackslash ", "_": r"\_", "^": r"\^{}", "&": r"\&", "%": r"\%", "#": r"\#", "{": r"\{", "}": r"\}",
}  # fmt: skip


def short(expr: Any) -> Any:
    """The expression with functions and derivatives as plain symbols, for printing only."""
    if not isinstance(expr, sp.Basic | sp.MatrixBase):
        return sp.sympify(expr)
    nodes: list[Any] = sorted(expr.atoms(sp.Derivative), key=lambda n: -int(n.count_ops()))
    names = {n: _symbol(compact(n)) for n in nodes if isinstance(n.expr, AppliedUndef)}
    places = at_several_points(expr)
    for node in expr.atoms(AppliedUndef):
        if all(a.is_Symbol for a in node.args) and node.func not in places:
            names[node] = _symbol(compact(node))
    return expr.xreplace(names)


def _symbol(name: str) -> sp.Symbol:
    return sp.Symbol(name)


def formula_text(expr: Any, indent: str = _INDENT * 2, lead: str = "") -> list[str]:
    """Lines of a formula, two-dimensional where that fits."""
    if isinstance(expr, str):
        return textwrap.wrap(
            lead + expr, WIDTH, initial_indent=indent, subsequent_indent=indent + " " * len(lead)
        )
    drawn = _drawn(expr, WIDTH - len(indent) - len(lead))
    if drawn is not None:
        return _led(drawn, indent, lead)
    lines = _terms(expr, indent, lead)
    if lines:
        return lines
    flat = str(short(expr)).replace("**", "^")
    wrapped = textwrap.wrap(flat, WIDTH - len(indent) - len(lead), break_on_hyphens=False)
    return _led(wrapped, indent, lead, first=True)


def _drawn(expr: Any, room: int) -> list[str] | None:
    """Two-dimensional form, or None where it is too large."""
    drawn = sp.pretty(short(expr), use_unicode=True, wrap_line=False).splitlines()
    return drawn if max(map(len, drawn)) <= room and len(drawn) <= _TALL else None


def _led(drawn: list[str], indent: str, lead: str, *, first: bool = False) -> list[str]:
    middle = 0 if first else len(drawn) // 2
    blank = " " * len(lead)
    return [
        (indent + (lead if k == middle else blank) + line).rstrip() for k, line in enumerate(drawn)
    ]


def _terms(expr: Any, indent: str, lead: str) -> list[str]:
    """A long sum, as many terms a row as fit; nothing where a single term does not fit."""
    if not (isinstance(expr, sp.Expr) and expr.is_Add):
        return []
    room = WIDTH - len(indent) - len(lead) - 2
    rows: list[tuple[str, list[str]]] = []
    group: list[Any] = []
    for term in [*_flat(expr), None]:
        wider = [] if term is None else [*group, term]
        if wider and _drawn(sp.Add(*wider, evaluate=False), room) is not None:
            group = wider
            continue
        if not group:
            return []
        minus = group[0].could_extract_minus_sign()
        kept = [-group[0], *group[1:]] if minus else group
        drawn = _drawn(sp.Add(*kept, evaluate=False), room)
        if drawn is None:
            return []
        rows.append(("- " if minus else "+ ", drawn))
        group = [] if term is None else [term]
    lines = []
    for k, (sign, drawn) in enumerate(rows):
        mark = (sign if sign == "- " else "  ") if k == 0 else sign
        lines += _led(drawn, indent, (lead if k == 0 else " " * len(lead)) + mark)
    return lines


def _flat(expr: Any) -> list[Any]:
    """The terms of a sum, with sums in it and their negatives opened."""
    terms = []
    for term in expr.args:
        opposite = -term
        if term.is_Add:
            terms += _flat(term)
        elif opposite.is_Add:
            terms += [-part for part in _flat(opposite)]
        elif term.is_Mul and term.args[0] == -1 and len(term.args) == 2 and term.args[1].is_Add:
            terms += [-part for part in _flat(term.args[1])]
        else:
            terms.append(term)
    return terms


def _paragraph(text: str, first: str, indent: str) -> list[str]:
    return textwrap.wrap(
        text, WIDTH, initial_indent=first, subsequent_indent=indent, break_on_hyphens=False
    )


def said(checked: Checked) -> str:
    """What the check of a step found."""
    if checked.status is None:
        return "not checked"
    word = "checked" if checked.status == PROVED else checked.status
    return f"{word}, {checked.seconds * 1e3:.0f} ms"


def as_text(d: Derivation) -> str:
    """Plain text of at most 80 columns."""
    lines = _paragraph(f"{d.name}: {d.title}", "", "  ")
    lines += ["=" * min(WIDTH, max(map(len, lines))), ""]
    lines += _paragraph(d.statement, "", "")
    if d.source:
        lines += _paragraph(f"Source: {d.source}", "", "  ")
    if d.wrong:
        lines += ["", f"Mutant {d.wrong!r}: one formula is wrong on purpose."]
    for k, checked in enumerate(d.checked, 1):
        step = checked.step
        lines += ["", *_paragraph(f"{step.name}  [{said(checked)}]", f"{k}. ", "   ")]
        for left, right in step.shown:
            lines += formula_text(left)
            lines += formula_text(right, lead=f"{step.relation} ")
        if step.because:
            lines += _paragraph(step.because, "   ", "   ")
        if step.using:
            for a, b in step.using.items():
                lines += _paragraph(
                    f"using {short(a)} = {short(b)}".replace("**", "^"), "   ", "     "
                )
        if step.by:
            lines += _paragraph(f"by {step.by}", "   ", "   ")
    lines += ["", "Assumed, not checked:" if d.hypotheses else "Nothing is assumed."]
    for hypothesis in d.hypotheses:
        lines += _paragraph(hypothesis, "  - ", "    ")
    return "\n".join([*lines, "", *_paragraph(conclusion(d), "", "")])


def conclusion(d: Derivation) -> str:
    """The last sentence: status, number of steps, time, and what failed."""
    tested = sum(c.status is not None for c in d.checked)
    text = f"{d.status}: {tested} of {len(d.steps)} steps checked by machine in {d.seconds:.2f} s."
    return " ".join([text, *(f"{line}." for line in d.failures())])


def as_latex(d: Derivation) -> str:
    """LaTeX source for a document that loads amsmath."""
    lines = [
        f"\\paragraph{{{prose(d.title)}.}} {prose(d.statement)}",
        r"\[",
        f"  {d.formula}",
        r"\]",
    ]
    lines += [r"\begin{enumerate}"]
    for checked in d.checked:
        step = checked.step
        lines.append(f"  \\item {prose(step.name)} ({prose(said(checked))}).")
        for left, right in step.shown:
            lines += [
                r"  \begin{multline*}",
                f"    {_tex(left)} \\\\ {step.relation} {_tex(right)}",
                r"  \end{multline*}",
            ]
        tail = " ".join(prose(s) for s in (step.because, f"By {step.by}." if step.by else "") if s)
        if tail:
            lines.append(f"  {tail}")
    lines.append(r"\end{enumerate}")
    if d.hypotheses:
        lines += ["Assumed, not checked:", r"\begin{itemize}"]
        lines += [f"  \\item {prose(h)}" for h in d.hypotheses] + [r"\end{itemize}"]
    return "\n".join([*lines, prose(conclusion(d))])


def prose(text: str) -> str:
    """Plain text as LaTeX; powers ``^{..}`` and raised or lowered characters become formulas."""
    powers = [f"$^{{{_inner(p)}}}$" for p in re.findall(r"\^\{([^{}]*)\}", text)]
    pieces = re.split(r"\^\{[^{}]*\}", text)
    mixed = [_plain(piece) + power for piece, power in zip(pieces, [*powers, ""], strict=True)]
    return "".join(mixed).replace("$$", "")


def _plain(text: str) -> str:
    # A letter that carries a mark comes apart into the two, unless it is one of the signs.
    apart = "".join(
        unicodedata.normalize("NFD", c) if ord(c) > 0x2FF and c not in _SIGNS else c for c in text
    )
    out, k = "", 0
    while k < len(apart):
        c, mark = apart[k], _MARKS.get(apart[k + 1 : k + 2])
        if mark:
            out += f"${mark}{{{_inner(c)}}}$"
        else:
            out += _ESCAPED.get(c) or _mathematical(c, outside=True)
        k += 2 if mark else 1
    return out


def _inner(text: str) -> str:
    return "".join(_mathematical(c, outside=False) for c in text)


def _mathematical(c: str, *, outside: bool) -> str:
    kind, _, code = unicodedata.decomposition(c).partition(" ")
    if c in _GREEK:
        tex = f"\\{_GREEK[c]} "
    elif c in _SIGNS:
        tex = _SIGNS[c]
    elif kind in ("<super>", "<sub>"):
        mark = "^" if kind == "<super>" else "_"
        tex = f"{mark}{{{_inner(chr(int(code, 16)))}}}"
    else:
        return c
    return f"${tex}$" if outside else tex


def _tex(expr: Any) -> str:
    return f"\\text{{{prose(expr)}}}" if isinstance(expr, str) else sp.latex(short(expr))


def as_mathml(d: Derivation) -> str:
    """HTML fragment: headings, formulas in MathML, hypotheses."""
    parts = [
        f"<h2>{escape(d.title)}</h2>",
        f"<p>{escape(d.statement)}</p>",
        _mathml(d.formula),
        "<ol>",
    ]
    for checked in d.checked:
        step = checked.step
        parts.append(f"<li><p>{escape(step.name)} <em>({escape(said(checked))})</em></p>")
        for left, right in step.shown:
            if isinstance(left, str) or isinstance(right, str):
                parts.append(f"<p>{_side(left)} {escape(step.relation)} {_side(right)}</p>")
            else:
                parts.append(_mathml(f"{_tex(left)} {step.relation} {_tex(right)}"))
        tail = " ".join(s for s in (step.because, f"By {step.by}." if step.by else "") if s)
        parts.append(f"<p>{escape(tail)}</p></li>" if tail else "</li>")
    parts.append("</ol>")
    if d.hypotheses:
        rows = "".join(f"<li>{escape(h)}</li>" for h in d.hypotheses)
        parts.append(f"<p>Assumed, not checked:</p><ul>{rows}</ul>")
    return "\n".join([*parts, f"<p>{escape(conclusion(d))}</p>"])


def _side(side: Any) -> str:
    return escape(side) if isinstance(side, str) else _mathml(_tex(side), display="inline")


def _mathml(latex: str, display: str = "block") -> str:
    from latex2mathml.converter import convert

    return convert(latex, display="block" if display == "block" else "inline")


def as_dict(d: Derivation) -> dict[str, Any]:
    """Plain data for JSON."""

    def plain(side: Any) -> str:
        return side if isinstance(side, str) else str(side)

    return {
        "name": d.name, "title": d.title, "statement": d.statement, "formula": d.formula, "source": d.source,
        "status": d.status, "seconds": d.seconds, "hypotheses": list(d.hypotheses), "mutants": dict(d.mutants),
        "steps": [
            {
                "name": c.step.name, "relation": c.step.relation,
                "equations": [[plain(a), plain(b)] for a, b in c.step.shown],
                "because": c.step.because, "by": c.step.by, "hypotheses": list(c.step.hypotheses),
                "status": c.status, "seconds": c.seconds, "witness": dict(c.witness) if c.witness else None,
                "methods": [t.method for t in c.tests],
            }
            for c in d.checked
        ],
    }  # fmt: skip
