"""Expressions that are smooth on the whole space and grow like a polynomial at most, by their structure.

Under a law whose tails fall faster than any power all their means are finite, and a flux made of them vanishes far
out. What is not recognised is named, so that it can be refused.
"""

from __future__ import annotations

from typing import Any

import sympy as sp

from .domain import Expr

_UNIT = (sp.sin, sp.cos, sp.tanh, sp.erf, sp.sech)  #: smooth, between -1 and 1
_SLOW = (*_UNIT, sp.erfc, sp.atan, sp.asinh)  #: smooth, and no larger than 2 or their argument
_SMOOTH = (*_SLOW, sp.exp, sp.sinh, sp.cosh)


def untamed(expr: Expr) -> Expr | None:
    """The first part that is not known to be smooth and of polynomial growth; None where there is none.

    Args:
        expr: in the symbols of coordinates and other quantities of polynomial growth, all of them taken as real.
    """
    real = {s: sp.Dummy(s.name, real=True) for s in expr.free_symbols if not s.is_positive}
    found = _wild(expr.xreplace(real))
    return None if found is None else found.xreplace({v: k for k, v in real.items()})


def _wild(e: Expr) -> Expr | None:
    if e.is_Symbol:
        return None
    if e.is_number:
        return None if e.is_real and e.is_finite is not False else e
    if e.is_Mul:
        return _first(_shared(list(e.args)))
    if e.is_Add or isinstance(e, _SLOW):
        return _first(e.args)
    if isinstance(e, sp.exp):
        falls = e.args[0].is_nonpositive or _top(e.args[0]) is not None or _sinks(e.args[0])
        return _first(e.args) if falls else e
    if isinstance(e, sp.log):
        return _first(_exponents(e.args[0])) if _away(e.args[0]) else e
    if e.is_Pow and e.exp.is_Rational:
        if e.exp.is_Integer and e.exp > 0:
            return _wild(e.base)
        if not _away(e.base) or not _smooth(e.base):
            return e
        return _wild(e.base) if e.exp > 0 else None
    return e


def _first(parts: Any) -> Expr | None:
    return next((w for part in parts if (w := _wild(part)) is not None), None)


def _exponents(e: Expr) -> list[Expr]:
    """Terms of a positive sum; of an exponential its exponent, since ``log (1 + e^u) <= log 2 + |u|``."""
    terms = list(e.args) if e.is_Add and all(a.is_nonnegative for a in e.args) else [e]
    parts = [t.as_independent(sp.exp, as_Add=False) for t in terms]
    return [
        u.args[0] if isinstance(u, sp.exp) and c.is_number else t
        for t, (c, u) in zip(terms, parts, strict=True)
    ]


def _shared(factors: list[Expr]) -> list[Expr]:
    """Factors without pairs ``u^k (... + c u + ...)^-n``, k <= n, of an exponential u and nonnegative smooth terms.

    With a number c > 0 such a pair is smooth and at most ``c^-k`` times a power of the bracket; a c that varies may
    vanish, or fall so fast that the pair grows.
    """
    for u in [f for f in factors if isinstance(f, sp.exp)]:
        for over in factors:
            if not (over.is_Pow and over.exp.is_Integer and over.exp < 0 and over.base.is_Add):
                continue
            if not all(term.is_nonnegative and _smooth(term) for term in over.base.args):
                continue
            for term in over.base.args:
                c, inner = term.as_independent(sp.exp, as_Add=False)
                if not (c.is_number and c.is_positive and isinstance(inner, sp.exp)):
                    continue
                below: Any = inner.args[0]
                k: Any = sp.simplify(u.args[0] / below)
                if k.is_Integer and 0 < k <= -over.exp:
                    rest = [f for f in factors if f is not u and f is not over]
                    return _shared([*rest, over * over.base**k])
    return factors


def _top(e: Expr) -> Expr | None:
    """A number that ``|e|`` does not exceed, None where none is known."""
    if e.is_number:
        return abs(e)
    if isinstance(e, _UNIT):
        return sp.Integer(1)
    if isinstance(e, sp.atan | sp.erfc):
        return sp.Integer(2)
    if isinstance(e, sp.exp):
        if e.args[0].is_nonpositive:
            return sp.Integer(1)
        inner = _top(e.args[0])
        return None if inner is None else sp.exp(inner)
    if e.is_Add or e.is_Mul:
        tops = [_top(a) for a in e.args]
        return None if None in tops else e.func(*tops)
    if e.is_Pow and e.exp.is_Integer:
        if e.exp > 0:
            inner = _top(e.base)
            return None if inner is None else inner**e.exp
        low = _low(e.base)
        return low**e.exp if low > 0 else None
    return None


def _low(e: Expr) -> Expr:
    """A number that e does not fall below; zero where none is known that is positive."""
    if e.is_number:
        return sp.Max(0, e)
    if isinstance(e, sp.cosh):
        return sp.Integer(1)
    if isinstance(e, sp.exp):
        inner = _top(e.args[0])
        return sp.Integer(0) if inner is None else sp.exp(-inner)
    if e.is_Add:
        low = sp.Integer(0)
        for term in e.args:
            top = None if term.is_number or term.is_nonnegative else _top(term)
            if term.is_number:
                low += term
            elif top is not None:
                low -= top
            elif term.is_nonnegative:
                low += _low(term)
            else:
                return sp.Integer(0)
        return sp.Max(0, low)
    if e.is_Mul:
        return sp.Mul(*(_low(a) for a in e.args))
    if e.is_Pow and e.exp.is_Rational and e.exp > 0:
        return _low(e.base) ** e.exp
    return sp.Integer(0)


def _away(e: Expr) -> bool:
    """Whether e is certainly above a positive number."""
    return bool(_low(e) > 0) or _polynomial(e, sinks=False)


def _sinks(e: Expr) -> bool:
    """Whether e is certainly a polynomial in one variable that falls to minus infinity on both sides."""
    return _polynomial(e, sinks=True)


def _polynomial(e: Expr, *, sinks: bool) -> bool:
    symbols = list(e.free_symbols)
    if len(symbols) != 1 or not e.is_polynomial(*symbols):
        return False
    found = sp.Poly(e, *symbols)
    if found.degree() % 2 or not found.get_domain().is_QQ | found.get_domain().is_ZZ:
        return False
    return found.LC() < 0 if sinks else found.LC() > 0 and found.count_roots() == 0


def _smooth(e: Expr) -> bool:
    """Whether e is built of functions that are smooth on the line, without division."""
    if e.is_Symbol or e.is_number:
        return True
    if e.is_Add or e.is_Mul or isinstance(e, _SMOOTH):
        return all(map(_smooth, e.args))
    if e.is_Pow and e.exp.is_Rational:
        return _smooth(e.base) and ((e.exp.is_Integer and e.exp > 0) or _away(e.base))
    return False
