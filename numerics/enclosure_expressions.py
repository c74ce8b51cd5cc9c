"""Score models given as sympy expressions in x, evaluated on complex balls.

The printer hands the flag ``analytic`` to every function with a branch cut or a kink, makes every number a ball of
the precision at hand, and refuses rounded numbers: a formula cannot forget what a hand-written integrand can.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np

from ..theory._checks import bad
from ..theory.protocols import Vector
from .enclosure import exact, library
from .enclosure_growth import majorant, polynomial_of, symbols
from .enclosure_models import ExactScore, Growth
from .score_models import ScoreModel

Ball = Callable[[Any, bool], Any]  #: (z, analytic) -> acb


def compile_ball(expr: Any, x: Any = None) -> Ball:
    """A function on complex balls from a sympy expression.

    Args:
        expr: built of rational numbers, pi, E, sums, products, powers, exp, log, sin, cos, tanh, sinh, cosh, sech,
            erf, erfc, atan, asinh, Abs, sign, Heaviside, Max and Min.
        x: the symbol.

    Raises:
        ValueError: a rounded number, a symbol that is not declared, or another function.
    """
    sp = symbols()

    acb = library().acb
    if x is not None and expr == x:
        return lambda z, a: z
    if expr.is_Symbol:
        raise bad("score", f"the symbol {expr}", f"no symbol but {x}", "put a number in its place")
    if expr.is_Float:
        raise bad("score", f"the rounded number {expr}", "exact numbers", "write Rational(1, 10)")
    if expr.is_Rational:
        number = exact(Fraction(int(expr.p), int(expr.q)))
        return lambda z, a: acb(number)
    if expr is sp.pi:
        return lambda z, a: acb.pi()
    if expr is sp.E:
        return lambda z, a: acb(1).exp()
    arithmetic = expr.is_Add or expr.is_Mul or expr.is_Pow
    if not arithmetic and type(expr) not in _rules():
        names = ", ".join(sorted(f.__name__ for f in _rules()))
        raise bad("score", f"the function {expr.func.__name__}", names, "rewrite it with these")
    parts = [compile_ball(e, x) for e in expr.args]
    if expr.is_Add:
        return _folded(parts, lambda u, v: u + v)
    if expr.is_Mul:
        return _folded(parts, lambda u, v: u * v)
    if expr.is_Pow and expr.base != sp.E:
        return _power(expr, parts)
    rule = _rules()[sp.exp if expr.is_Pow else type(expr)]
    if isinstance(expr, sp.Max | sp.Min):
        return _folded_with_flag(parts, rule)
    inner = parts[-1] if expr.is_Pow else parts[0]
    return lambda z, a: rule(inner(z, a), a)


def _rules() -> dict[Any, Callable[..., Any]]:
    """Functions of a ball and the flag; those without a cut or a kink do not need it."""
    sp = symbols()

    acb = library().acb
    i = acb(0, 1)

    def atan(u: Any, a: bool) -> Any:
        above, below = (1 + i * u).log(analytic=a), (1 - i * u).log(analytic=a)
        return (above - below) / (2 * i)

    return {
        sp.exp: lambda u, a: u.exp(),
        sp.log: lambda u, a: u.log(analytic=a),
        sp.sin: lambda u, a: u.sin(),
        sp.cos: lambda u, a: u.cos(),
        sp.tanh: lambda u, a: u.tanh(),
        sp.sinh: lambda u, a: u.sinh(),
        sp.cosh: lambda u, a: u.cosh(),
        sp.sech: lambda u, a: u.sech(),
        sp.erf: lambda u, a: u.erf(),
        sp.erfc: lambda u, a: u.erfc(),
        sp.atan: atan,
        sp.asinh: lambda u, a: (u + (u * u + 1).sqrt(analytic=a)).log(analytic=a),
        sp.Abs: lambda u, a: u.real_abs(analytic=a),
        sp.sign: lambda u, a: u.real_sgn(analytic=a),
        sp.Heaviside: lambda u, a: u.real_heaviside(analytic=a),
        sp.Max: lambda u, v, a: u.real_max(v, analytic=a),
        sp.Min: lambda u, v, a: u.real_min(v, analytic=a),
    }


def _folded(parts: list[Ball], operation: Callable[[Any, Any], Any]) -> Ball:
    def value(z: Any, analytic: bool) -> Any:
        out = parts[0](z, analytic)
        for p in parts[1:]:
            out = operation(out, p(z, analytic))
        return out

    return value


def _folded_with_flag(parts: list[Ball], rule: Callable[..., Any]) -> Ball:
    def value(z: Any, analytic: bool) -> Any:
        out = parts[0](z, analytic)
        for p in parts[1:]:
            out = rule(out, p(z, analytic), analytic)
        return out

    return value


def _power(expr: Any, parts: list[Ball]) -> Ball:
    acb, base = library().acb, parts[0]
    if expr.exp.is_Integer:
        n = int(expr.exp)
        if n < 0:
            return lambda z, a: 1 / _whole(base(z, a), -n)
        return lambda z, a: _whole(base(z, a), n)
    if expr.exp.is_Rational:
        exponent = exact(Fraction(int(expr.exp.p), int(expr.exp.q)))
        if abs(expr.exp.q) == 2 and expr.exp.p == 1:
            return lambda z, a: base(z, a).sqrt(analytic=a)
        return lambda z, a: base(z, a).pow(acb(exponent), analytic=a)
    if expr.base.is_positive and expr.base.is_number:
        return lambda z, a: (base(z, a).log() * parts[1](z, a)).exp()
    raise bad("score", f"the power {expr}", "a rational exponent", "rewrite it with exp and log")


def _whole(u: Any, n: int) -> Any:
    """``u^n`` by products: no logarithm, so no cut."""
    out = None
    while n:
        if n & 1:
            out = u if out is None else out * u
        u, n = u * u, n >> 1
    return library().acb(1) if out is None else out


class ExpressionScore(ExactScore):
    """A score model from a sympy expression in one symbol.

    Where kinks and jumps (Abs, sign, Heaviside, Max, Min) sit at rational points, integrals are split there; the
    slope is that almost everywhere.

    Args:
        expr: see :func:`compile_ball`.
        symbol: the variable; None: the only one in ``expr``.

    Raises:
        ValueError: rounded numbers, other symbols, functions that are not known, roots or logarithms of what is
            not known to be positive, or a pole on the line.
    """

    def __init__(self, expr: Any, symbol: Any = None) -> None:
        sp = symbols()

        expr = sp.sympify(expr)
        free = sorted(expr.free_symbols, key=str)
        if symbol is None and len(free) > 1:
            names = ", ".join(map(str, free))
            raise bad("score", f"the symbols {names}", "one variable", "pass symbol=, and numbers")
        old = symbol if symbol is not None else (free[0] if free else sp.Symbol("x"))
        self.x = sp.Symbol(str(old), real=True)
        self.expr = expr.subs(old, self.x)
        if self.expr.has(sp.I, sp.zoo, sp.oo, sp.nan):
            raise bad("score", f"{self.expr}", "real finite values", "correct it")
        self._value = compile_ball(self.expr, self.x)
        for part in sp.preorder_traversal(self.expr):
            self._check(part)
        self.breaks = self._kinks()

    def _check(self, part: Any) -> None:
        sp = symbols()

        power = part.is_Pow and part.exp.is_Rational and not part.exp.is_Integer
        if power or isinstance(part, sp.log):
            inner = part.args[0]
            fine = inner.is_positive or (power and part.exp > 0 and inner.is_nonnegative)
            coefficients = polynomial_of(inner, self.x)
            if not fine and coefficients is not None and coefficients[0] > 0:
                fine = sp.Poly(inner, self.x).count_roots() == 0
            if not fine:
                wanted = f"{inner} known to be positive on the line"
                raise bad("score", f"{part}", wanted, "rewrite it, e.g. with 1 + x^2")
        if part.is_Pow and part.exp.is_negative and part.base.has(self.x):
            base = part.base.args[0] if isinstance(part.base, sp.Abs) else part.base
            if polynomial_of(base, self.x) and sp.Poly(base, self.x).count_roots() > 0:
                raise bad("score", f"{part}", "no pole on the line", "move the zero off it")

    def _kinks(self) -> tuple[Fraction, ...]:
        """Rational points where a kink or a jump may sit; settling the inner ones brings the outer ones to light."""
        sp = symbols()

        breaks: list[Fraction] = []
        for _ in range(8):
            found = set(breaks)
            for low, high in pairwise([None, *breaks, None]):
                for part in self._written_out(low, high).atoms(*_kinds()):
                    for switch in _switches(part):
                        polynomial = polynomial_of(switch, self.x)
                        if polynomial is not None and any(polynomial[1:]):
                            roots = sp.real_roots(sp.Poly(switch, self.x))
                            found |= {Fraction(int(r.p), int(r.q)) for r in roots if r.is_Rational}
            if found == set(breaks):
                break
            breaks = sorted(found)
        return tuple(breaks)

    def between(self, low: Fraction | None, high: Fraction | None) -> ExactScore:
        """See :class:`ExactScore`; a kink that is settled between the breaks is written out."""
        if not self.breaks:
            return self
        key = low, high
        if key not in self._pieces:
            piece = ExpressionScore.__new__(ExpressionScore)
            piece.x, piece.expr, piece.breaks = self.x, self._written_out(low, high), ()
            piece._value = compile_ball(piece.expr, self.x)
            self._pieces[key] = piece
        return self._pieces[key]

    @cached_property
    def _pieces(self) -> dict[tuple[Fraction | None, Fraction | None], ExpressionScore]:
        return {}

    def _written_out(self, low: Fraction | None, high: Fraction | None) -> Any:
        """The expression without the kinks and jumps whose switches have one sign between ``low`` and ``high``."""
        sp = symbols()

        if low is not None and high is not None:
            middle = (low + high) / 2
        else:
            middle = (
                low + 1 if low is not None else (high - 1 if high is not None else Fraction(0))
            )
        at = sp.Rational(middle.numerator, middle.denominator)

        def crossed(switch: Any) -> bool:
            polynomial = polynomial_of(switch, self.x)
            if polynomial is None:
                return True
            if not any(polynomial[1:]):
                return False
            roots = sp.real_roots(sp.Poly(switch, self.x))
            above = [
                r for r in roots if low is None or r > sp.Rational(low.numerator, low.denominator)
            ]
            return any(
                high is None or r < sp.Rational(high.numerator, high.denominator) for r in above
            )

        def settled(part: Any) -> Any:
            if any(crossed(switch) for switch in _switches(part)):
                return part
            return _settled(part, self.x, at)

        return self.expr.replace(lambda e: isinstance(e, _kinds()), settled)

    @cached_property
    def _derivative(self) -> Any:
        sp = symbols()

        found = sp.diff(self.expr, self.x)
        return found.replace(lambda e: isinstance(e, sp.DiracDelta), lambda e: sp.Integer(0))

    @cached_property
    def _slope(self) -> Ball:
        return compile_ball(self._derivative, self.x)

    def value(self, z: Any, analytic: bool) -> Any:
        """See :class:`ExactScore`."""
        return self._value(z, analytic)

    def slope(self, z: Any, analytic: bool) -> Any:
        """See :class:`ExactScore`."""
        return self._slope(z, analytic)

    def growth(self, reach: int) -> Growth:
        """See :func:`majorant`."""
        bounds = (majorant(e, self.x, reach) for e in (self.expr, self._derivative))
        return Growth(*bounds)

    def floating(self) -> ScoreModel:
        """See :class:`ExactScore`; printed for numpy, so without care for rounding."""
        sp = symbols()

        f, df = (sp.lambdify(self.x, e, "scipy") for e in (self.expr, self._derivative))

        def value(x: Vector) -> Vector:
            return np.broadcast_to(np.asarray(f(x), dtype=np.float64), x.shape)

        def divergence(x: Vector) -> Vector:
            return np.broadcast_to(np.asarray(df(x[:, 0]), dtype=np.float64), (len(x),))

        return ScoreModel(value, divergence, lambda x, v: divergence(x)[:, None] * v)


def _kinds() -> tuple[Any, ...]:
    sp = symbols()

    return sp.Abs, sp.sign, sp.Heaviside, sp.Max, sp.Min


def _switches(part: Any) -> list[Any]:
    """Functions whose signs settle a kink or a jump."""
    sp = symbols()

    if isinstance(part, sp.Max | sp.Min):
        return [a - b for k, a in enumerate(part.args) for b in part.args[k + 1 :]]
    return [part.args[0]]


def _settled(part: Any, x: Any, at: Any) -> Any:
    """The analytic function that a kink or a jump is around the point ``at``."""
    sp = symbols()

    if isinstance(part, sp.Max | sp.Min):
        pick = max if isinstance(part, sp.Max) else min
        return pick(part.args, key=lambda e: e.subs(x, at))
    inner = part.args[0]
    sign = sp.sign(inner.subs(x, at))
    if isinstance(part, sp.Abs):
        return sign * inner
    return sign if isinstance(part, sp.sign) else (sign + 1) / 2
