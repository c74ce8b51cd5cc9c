"""Where an expression is defined and positive: by its structure, or by balls over a bisected box."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import sympy as sp
from sympy.concrete.expr_with_limits import ExprWithLimits
from sympy.core.function import AppliedUndef

from .balls import ball, certain_sign, flint
from .domain import Domain, Expr
from .normal_form import Generators, root_order
from .positivity import is_positive
from .zero import PROVED, Jets

_CELLS = 4000
_ENTIRE = (sp.sin, sp.cos, sp.sinh, sp.cosh, sp.tanh, sp.erf, sp.erfi, sp.exp, sp.atan, sp.asinh)


def is_regular(expr: Expr, *, domain: Domain) -> bool:
    """Whether an expression is certainly defined and smooth on the whole domain.

    True where all denominators, roots and logarithms have arguments of known sign, or where balls over a
    bisection of the domain (without a margin of 1e-3 of its ends) are finite.
    """
    return _by_structure(expr, domain) or _by_balls(expr, domain, positive=False)


def positive_throughout(expr: Expr, *, domain: Domain) -> bool:
    """Whether an expression is certainly defined and positive on the whole domain, as :func:`is_regular`."""
    if isinstance(expr, sp.exp) and not expr.has(sp.I):
        return is_regular(expr.args[0], domain=domain)
    by_sign = is_positive(expr, domain=domain).status == PROVED and _by_structure(expr, domain)
    return by_sign or _by_balls(expr, domain, positive=True)


def _by_structure(expr: Expr, domain: Domain) -> bool:
    if expr.has(sp.Derivative, sp.Subs) or not all(
        isinstance(i, sp.Integral) and _integral(i, domain) for i in _outermost(expr)
    ):
        return False
    jets = Jets(expr, domain, {})
    free = {d: sp.Dummy(d.name) for d in jets.real}
    wide = domain.with_symbols({s: (-sp.oo, sp.oo) for s in free.values()})
    plain = expr.xreplace(jets.stand_in).xreplace(free)
    generators = Generators(wide, frozenset(jets.positive), root_order(plain))
    try:
        return all(_smooth(node, generators) for node in sp.preorder_traversal(plain))
    except (sp.PolynomialError, NotImplementedError, ArithmeticError):
        return False


def _outermost(e: Any) -> list[Any]:
    if isinstance(e, ExprWithLimits):
        return [e]
    return [i for a in e.args for i in _outermost(a)]


def _integral(e: Any, domain: Domain) -> bool:
    """Whether an integral from zero to a symbol has an integrand that is regular, and finite at zero."""
    if len(e.limits) != 1 or len(e.limits[0]) != 3:
        return False
    inner, low, high = e.limits[0]
    if low != 0 or high not in domain.symbols or domain.symbols[high][0] != 0:
        return False
    first = e.function.subs(inner, 0)
    if first.has(sp.nan, sp.zoo, sp.oo, sp.AccumBounds):
        return False
    return is_regular(e.function.xreplace({inner: high}), domain=domain)


def _smooth(node: Any, generators: Generators) -> bool:
    if node.is_Atom or node.is_Add or node.is_Mul or isinstance(node, (*_ENTIRE, AppliedUndef)):
        return node.is_finite is not False
    if node.is_Pow:
        if node.exp.is_Integer and node.exp >= 0:
            return True
        sign = generators.sign(generators.rewrite(node.base))
        return sign > 0 or (sign < 0 and bool(node.exp.is_Integer))
    if isinstance(node, sp.log):
        return generators.sign(generators.rewrite(node.args[0])) > 0
    return False


def _by_balls(expr: Expr, domain: Domain, *, positive: bool) -> bool:
    """Bisection of a bounded box until every cell is settled."""
    library = flint()
    ends = {s: domain.symbols[s] for s in expr.free_symbols}
    bounded = all(low != -sp.oo and high != sp.oo for low, high in ends.values())
    if library is None or not bounded or expr.atoms(AppliedUndef):
        return False
    box = {}
    for symbol, (low, high) in ends.items():
        first, last = Fraction(int(low.p), int(low.q)), Fraction(int(high.p), int(high.q))
        margin = (last - first) / 1000
        box[symbol] = (first + margin, last - margin)
    stack = [box]
    for _ in range(_CELLS):
        if not stack:
            return True
        cell = stack.pop()
        at = {s: _over(library, low, high) for s, (low, high) in cell.items()}
        settled = certain_sign(expr, at, 30) > 0 if positive else ball(expr, at, 30) is not None
        if settled:
            continue
        if positive and certain_sign(expr, at, 30) < 0:
            return False
        if not cell:
            return False
        widest = max(cell, key=lambda s: (cell[s][1] - cell[s][0]) / (box[s][1] - box[s][0]))
        low, high = cell[widest]
        if high - low < (box[widest][1] - box[widest][0]) / 2**30:
            return False
        middle = (low + high) / 2
        stack += [{**cell, widest: (low, middle)}, {**cell, widest: (middle, high)}]
    return False


def _over(library: Any, low: Fraction, high: Fraction) -> Any:
    """A real ball that holds an interval."""
    ends = [library.arb(library.fmpq(v.numerator, v.denominator)) for v in (low, high)]
    return ends[0].union(ends[1])
