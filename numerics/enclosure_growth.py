"""How a formula in x grows: polynomial bounds of its size for ``|x| >= R``, found by going through its tree.

What cannot be bounded by a polynomial is refused, since nothing could be said then of what lies beyond a box.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from ..theory._checks import bad
from .enclosure import Enclosed, exact, library
from .enclosure_laws import Majorant, majorant_product, majorant_sum


def symbols() -> Any:
    """The module ``sympy``, imported on first use."""
    import sympy

    return sympy


def polynomial_of(expr: Any, x: Any) -> list[Fraction] | None:
    """Rational coefficients, lowest first; None where ``expr`` is no such polynomial."""
    sympy = symbols()

    if not expr.is_polynomial(x):
        return None
    try:
        found = sympy.Poly(expr, x, domain="QQ").all_coeffs()
    except (sympy.CoercionFailed, sympy.PolynomialError):
        return None
    return [Fraction(int(c.p), int(c.q)) for c in reversed(found)]


def majorant(expr: Any, x: Any, reach: int) -> Majorant:
    """Coefficients of 1, |x|, |x|^2, ... that bound ``|expr|`` for real ``|x| >= reach``.

    Args:
        expr: a sympy expression.
        x: its real symbol.
        reach: R, one at least.

    Raises:
        ValueError: no bound is known.
    """
    sp = symbols()

    arb = library().arb
    coefficients = polynomial_of(expr, x)
    if coefficients is not None:
        return [arb(exact(abs(c))) for c in coefficients]
    if not expr.has(x):
        return [abs(_constant(expr))]
    if expr.is_Add:
        return majorant_sum(*(majorant(e, x, reach) for e in expr.args))
    if expr.is_Mul:
        return _product(expr, x, reach)
    if expr.is_Pow and expr.base != sp.E:
        return _power(expr, x, reach)
    inner = expr.args[0]
    if isinstance(expr, sp.exp) or expr.is_Pow:
        return [_exponential(inner if isinstance(expr, sp.exp) else expr.exp, x, reach)]
    if isinstance(expr, sp.sin | sp.cos | sp.tanh | sp.erf | sp.sign | sp.Heaviside | sp.sech):
        return [arb(1)]
    if isinstance(expr, sp.erfc | sp.atan):
        return [arb(2)]
    if isinstance(expr, sp.Abs | sp.asinh):
        return majorant(inner, x, reach)
    if isinstance(expr, sp.Max | sp.Min):
        return majorant_sum(*(majorant(e, x, reach) for e in expr.args))
    if isinstance(expr, sp.log):
        return _logarithm(inner, x, reach)
    raise _refused(expr)


def least(expr: Any, x: Any, reach: int) -> Fraction:
    """A lower bound of ``|expr|`` for ``|x| >= reach``; zero where none is known."""
    sp = symbols()

    coefficients = polynomial_of(expr, x)
    if coefficients is not None:
        return max(_leading(coefficients, reach), Fraction(0))
    if isinstance(expr, sp.cosh):
        return Fraction(1)
    if isinstance(expr, sp.Abs):
        return least(expr.args[0], x, reach)
    if expr.is_Add and all(e.is_nonnegative for e in expr.args):
        return sum((least(e, x, reach) for e in expr.args), Fraction(0))
    if expr.is_Add and expr.args[0].is_Rational:  # a number that outweighs bounded terms
        bounds = [majorant(e, x, reach) for e in expr.args[1:]]
        if all(len(b) == 1 for b in bounds):
            rest = Enclosed(sum((b[0] for b in bounds), library().arb(0)), 1).ends[1]
            return max(abs(Fraction(int(expr.args[0].p), int(expr.args[0].q))) - rest, Fraction(0))
    if expr.is_Pow and expr.exp.is_Rational and expr.exp > 0:
        # A root of what is above one is above one; a root of what is below is larger than that.
        below = min(least(expr.base, x, reach), Fraction(1))
        return below if expr.exp <= 1 else below ** int(sp.ceiling(expr.exp))
    return Fraction(0)


def _leading(coefficients: list[Fraction], reach: int) -> Fraction:
    """``|p(x)| >= |x|^n (|a_n| - sum_k<n |a_k| R^(k-n))``."""
    n = len(coefficients) - 1
    rest = sum(
        (abs(c) * Fraction(reach) ** (k - n) for k, c in enumerate(coefficients[:-1])), Fraction(0)
    )
    bracket = abs(coefficients[-1]) - rest
    return bracket * Fraction(reach) ** n if bracket > 0 else Fraction(0)


def _constant(expr: Any) -> Any:
    from .enclosure_expressions import compile_ball

    return compile_ball(expr)(library().acb(0), False).real


def _product(expr: Any, x: Any, reach: int) -> Majorant:
    """Factor by factor, after ``u / (... + c u + ...) <= 1/c`` for exponentials u over sums of nonnegative terms."""
    sp = symbols()

    factors, scale = list(expr.args), library().arb(1)
    for u in [f for f in factors if isinstance(f, sp.exp)]:
        for over in factors:
            share = _share(u, over)
            if share is not None:
                factors.remove(u)
                factors.remove(over)
                factors.append(over * over.base)
                scale = scale / abs(_constant(share))
                break
    out = [scale]
    for f in factors:
        out = majorant_product(out, majorant(f, x, reach))
    return out


def _share(u: Any, over: Any) -> Any | None:
    """The positive constant c of ``over = (... + c u + ...)^-n``, n >= 1."""
    if not (over.is_Pow and over.exp.is_Integer and over.exp < 0 and over.base.is_Add):
        return None
    if not all(e.is_nonnegative for e in over.base.args):
        return None
    for term in over.base.args:
        c = term / u
        if c.is_number and c.is_positive:
            return c
    return None


def _power(expr: Any, x: Any, reach: int) -> Majorant:
    sp = symbols()

    arb, base, exponent = library().arb, expr.base, expr.exp
    if not exponent.is_Rational:
        raise _refused(expr)
    if exponent < 0:
        low = least(base, x, reach)
        if low <= 0:
            raise _refused(expr)
        return [arb(exact(low)) ** -arb(exact(Fraction(int(-exponent.p), int(exponent.q))))]
    out, one = [arb(1)], majorant(base, x, reach)
    if not exponent.is_Integer:
        one = majorant_sum([arb(1)], one)  # |b|^r <= (1 + |b|)^ceil(r)
    for _ in range(int(sp.ceiling(exponent))):
        out = majorant_product(out, one)
    return out


def _exponential(inner: Any, x: Any, reach: int) -> Any:
    """A constant bound of ``exp(inner)``."""
    arb = library().arb
    coefficients = polynomial_of(inner, x)
    if inner.is_nonpositive:
        return arb(1)
    if coefficients is not None:
        even, falls = len(coefficients) % 2 == 1, coefficients[-1] < 0
        if even and falls and _leading(coefficients, reach) > 0:
            return arb(1)
        raise _refused(f"exp({inner})")
    bound = majorant(inner, x, reach)
    if len(bound) > 1:
        raise _refused(f"exp({inner})")
    return bound[0].exp()


def _logarithm(inner: Any, x: Any, reach: int) -> Majorant:
    """``|log b| <= |log least| + log n + sum of |log| or size of the n positive terms of b``."""
    sp = symbols()

    arb, low = library().arb, least(inner, x, reach)
    if low <= 0:
        raise _refused(f"log({inner})")
    terms = inner.args if inner.is_Add else (inner,)
    out: Majorant = [abs(arb(exact(low)).log()) + arb(len(terms)).log()]
    for term in terms:
        factor, rest = term.as_independent(x, as_Add=False)
        if isinstance(rest, sp.exp) and factor.is_positive:
            size = majorant(rest.args[0], x, reach)
            out = majorant_sum(out, [abs(_constant(sp.log(factor)))], size)
        else:
            out = majorant_sum(out, majorant(term, x, reach))
    return out


def _refused(expr: Any) -> ValueError:
    return bad(
        "score",
        f"{expr}, of which no polynomial bound is known far out",
        "polynomials, quotients, bounded and decaying functions",
        "rewrite it, e.g. with tanh, or decide by quadrature",
    )
