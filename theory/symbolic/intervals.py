"""The value of an expression at a rational point as an interval of mpmath, where python-flint is not installed.

Real arithmetic with outward rounding of sums, products, quotients, powers, roots, exponentials, logarithms and
circular functions; whatever else an expression holds leaves its value unknown.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

import sympy as sp

from .domain import Expr


class Unknown(Exception):
    """The expression holds something that has no interval."""


def interval_sign(expr: Expr, at: Mapping[sp.Symbol, Any], digits: int) -> int:
    """+1 or -1 where the value at a rational point is certainly positive or negative, else 0.

    Args:
        expr: what to evaluate.
        at: symbol -> Fraction.
        digits: working precision.
    """
    if not all(isinstance(v, Fraction) for v in at.values()):
        return 0
    context = importlib.import_module("mpmath.ctx_iv").MPIntervalContext()
    context.dps = digits
    mpmath = importlib.import_module("mpmath")
    try:
        value = _Evaluation(context, at).of(expr)
    except (Unknown, ZeroDivisionError, ValueError, OverflowError, mpmath.libmp.ComplexResult):
        return 0
    # Comparisons of intervals are True, False, or None where they overlap.
    return int((value > 0) is True) - int((value < 0) is True)


class _Evaluation:
    """Recursion over an expression."""

    def __init__(self, context: Any, at: Mapping[sp.Symbol, Fraction]) -> None:
        self.iv, self.at = context, at
        self.seen: dict[Any, Any] = {}
        exp = context.exp
        self.functions: dict[str, Callable[[Any], Any]] = {
            "exp": exp,
            "log": context.log,
            "sin": context.sin,
            "cos": context.cos,
            "tan": lambda v: self._over(context.sin(v), context.cos(v)),
            "cot": lambda v: self._over(context.cos(v), context.sin(v)),
            "sinh": lambda v: (exp(v) - exp(-v)) / 2,
            "cosh": lambda v: (exp(v) + exp(-v)) / 2,
            # Falling in exp(-2v) and bounded, so that a wide argument does no harm.
            "tanh": lambda v: 2 / (1 + exp(-2 * v)) - 1,
            "coth": lambda v: self._over(1, 2 / (1 + exp(-2 * v)) - 1),
        }

    def of(self, e: Any) -> Any:
        if e not in self.seen:
            self.seen[e] = self._of(e)
        return self.seen[e]

    def _of(self, e: Any) -> Any:
        if e.is_Rational:
            return self.iv.mpf(int(e.p)) / int(e.q)
        if e in self.at:
            return self.iv.mpf(self.at[e].numerator) / self.at[e].denominator
        if e is sp.pi:
            return +self.iv.pi
        if e is sp.E:
            return self.iv.exp(self.iv.mpf(1))
        if e.is_Add:
            return sum((self.of(a) for a in e.args), self.iv.mpf(0))
        if e.is_Mul:
            product = self.iv.mpf(1)
            for a in e.args:
                product = product * self.of(a)
            return product
        if e.is_Pow:
            return self._power(e.base, e.exp)
        if isinstance(e, sp.Abs):
            return abs(self.of(e.args[0]))
        if isinstance(e, sp.sign):
            return self._sign(self.of(e.args[0]))
        name = type(e).__name__
        if name in self.functions and len(e.args) == 1:
            return self.functions[name](self.of(e.args[0]))
        raise Unknown(name)

    def _sign(self, v: Any) -> Any:
        if (v > 0) is True or (v < 0) is True:
            return self.iv.mpf(1 if v > 0 else -1)
        raise Unknown("sign of an interval that holds zero")

    def _over(self, top: Any, bottom: Any) -> Any:
        if 0 in bottom:
            raise Unknown("division by an interval that holds zero")
        return top / bottom

    def _power(self, base: Any, exponent: Any) -> Any:
        if base is sp.E:
            return self.iv.exp(self.of(exponent))
        b = self.of(base)
        if exponent.is_Integer:
            n = int(exponent)
            return b**n if n >= 0 else self._over(1, b**-n)
        if (b > 0) is not True:
            raise Unknown("power of what may not be positive")
        if exponent == sp.Rational(1, 2):
            return self.iv.sqrt(b)
        return self.iv.exp(self.of(exponent) * self.iv.log(b))
