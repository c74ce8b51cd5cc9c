"""The value of an expression at a rational point, exactly or as a ball (Arb through python-flint).

A ball holds the true value; where it excludes zero, the expression is not zero. Without python-flint the
intervals of mpmath do the same for fewer functions, see ``intervals.py``.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

import sympy as sp

from .domain import Expr
from .intervals import interval_sign

_NAMES = frozenset(
    {
        "exp",
        "log",
        "sin",
        "cos",
        "tan",
        "cot",
        "sinh",
        "cosh",
        "tanh",
        "coth",
        "asin",
        "acos",
        "atan",
    }
    | {"asinh", "acosh", "atanh", "erf", "erfc", "erfi", "gamma"}
)


class CannotEvaluate(Exception):
    """The expression holds something that has no ball."""


def flint() -> Any | None:
    """The python-flint module, or None where it is not installed."""
    try:
        return importlib.import_module("flint")
    except ImportError:
        return None


def excludes_zero(expr: Expr, at: Mapping[sp.Symbol, Any], digits: int) -> bool | None:
    """Whether the value of ``expr`` at a point is certainly not zero.

    Returns:
        True: certainly not zero. False: the ball holds zero, or the value is zero. None: undefined at the
        point, or no ball.
    """
    if flint() is None:
        exact = _exact(expr, at)
        return interval_sign(expr, at, digits) != 0 or None if exact is None else exact != 0
    value = ball(expr, at, digits)
    return None if value is None else not (value.real.contains(0) and value.imag.contains(0))


def certain_sign(expr: Expr, at: Mapping[sp.Symbol, Any], digits: int) -> int:
    """+1 or -1 where the value at a point (or on a box of balls) is certainly positive or negative, else 0."""
    if flint() is None:
        exact = _exact(expr, at)
        if exact is None:
            return interval_sign(expr, at, digits)
        return int(exact > 0) - int(exact < 0)
    value = ball(expr, at, digits)
    if value is None or not value.imag.contains(0):
        return 0
    return int(bool(value.real > 0)) - int(bool(value.real < 0))


def ball(expr: Expr, at: Mapping[sp.Symbol, Any], digits: int) -> Any | None:
    """A finite complex ball that holds the value, or None.

    Args:
        expr: what to evaluate.
        at: symbol -> Fraction, or a real ball (``flint.arb``) for all values inside it.
        digits: working precision.
    """
    library = flint()
    assert library is not None
    before = library.ctx.dps
    library.ctx.dps = digits
    try:
        value = _Evaluation(library, at).of(expr)
        return value if value.real.is_finite() and value.imag.is_finite() else None
    except (CannotEvaluate, ZeroDivisionError, ValueError, OverflowError):
        return None
    finally:
        library.ctx.dps = before


def _exact(expr: Expr, at: Mapping[sp.Symbol, Any]) -> Fraction | None:
    if not all(isinstance(v, Fraction) for v in at.values()):
        return None
    value: Any = expr.xreplace({s: sp.Rational(v.numerator, v.denominator) for s, v in at.items()})
    return Fraction(int(value.p), int(value.q)) if value.is_Rational else None


class _Evaluation:
    """Recursion over an expression with every number exact or a ball."""

    def __init__(self, library: Any, at: Mapping[sp.Symbol, Any]) -> None:
        self.acb, self.arb, self.fmpq = library.acb, library.arb, library.fmpq
        self.at = at
        self.seen: dict[sp.Basic, Any] = {}

    def of(self, e: Any) -> Any:
        if e not in self.seen:
            self.seen[e] = self._of(e)
        return self.seen[e]

    def _of(self, e: Any) -> Any:
        if e.is_Rational:
            return self._rational(int(e.p), int(e.q))
        if e in self.at:
            value = self.at[e]
            exact = isinstance(value, Fraction)
            return self._rational(value.numerator, value.denominator) if exact else self.acb(value)
        constant = self._constant(e)
        if constant is not None:
            return constant
        if e.is_Add:
            return sum((self.of(a) for a in e.args), self.acb(0))
        if e.is_Mul:
            product = self.acb(1)
            for a in e.args:
                product = product * self.of(a)
            return product
        if e.is_Pow:
            return self._power(e.base, e.exp)
        if isinstance(e, sp.Abs):
            return self.acb(abs(self.of(e.args[0])))
        if isinstance(e, sp.sign):
            return self._sign(e.args[0])
        if isinstance(e, sp.Piecewise):
            return self._piecewise(e)
        name = type(e).__name__
        if name in _NAMES and len(e.args) == 1:
            function: Callable[[], Any] | None = getattr(self.of(e.args[0]), name, None)
            if function is not None:
                return function()
        raise CannotEvaluate(name)

    def _rational(self, p: int, q: int) -> Any:
        return self.acb(self.arb(self.fmpq(p, q)))

    def _constant(self, e: Any) -> Any:
        if e is sp.pi:
            return self.acb(self.arb.pi())
        if e is sp.E:
            return self.acb(1).exp()
        if e is sp.I:
            return self.acb(0, 1)
        return None

    def _power(self, base: Any, exponent: Any) -> Any:
        if base is sp.E:
            return self.of(exponent).exp()
        b = self.of(base)
        if exponent.is_Integer:
            n = int(exponent)
            if n < 0 and b.real.contains(0) and b.imag.contains(0):
                raise CannotEvaluate("division by a ball that holds zero")
            return b**n
        if exponent == sp.Rational(1, 2):
            return b.sqrt()
        return b ** self.of(exponent)

    def _sign(self, argument: Any) -> Any:
        value = self.of(argument).real
        if value > 0 or value < 0:
            return self.acb(1 if value > 0 else -1)
        raise CannotEvaluate("sign")

    def _piecewise(self, e: sp.Piecewise) -> Any:
        if not all(isinstance(v, Fraction) for v in self.at.values()):
            raise CannotEvaluate("condition on a box")
        values = {s: sp.Rational(v.numerator, v.denominator) for s, v in self.at.items()}
        branches: Any = e.args
        for value, condition in branches:
            holds = condition.xreplace(values)
            holds = sp.simplify(holds) if holds not in (sp.true, sp.false) else holds
            if holds == sp.true:
                return self.of(value)
            if holds != sp.false:
                raise CannotEvaluate("condition")
        raise CannotEvaluate("no branch applies")
