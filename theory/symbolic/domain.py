"""Where an identity is claimed: intervals of the symbols, signs of the undefined functions.

sympy simplifies as the assumptions of a symbol permit when an expression is built, so that these are part of
the identity. A symbol that assumes more than its interval gives is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from random import Random
from typing import Any

import sympy as sp
from sympy.core.function import AppliedUndef

from .._checks import bad

REAL = (-sp.oo, sp.oo)  #: the real line
POSITIVE = (sp.Integer(0), sp.oo)  #: the positive numbers
UNIT = (sp.Integer(0), sp.Integer(1))  #: the open unit interval

Interval = tuple[Any, Any]
#: A sympy expression. The annotations of sympy itself often say Basic, which has no arithmetic.
Expr = Any


class Domain:
    """Open intervals of symbols and signs of undefined functions.

    Args:
        symbols: symbol -> (low, high), rational numbers or infinite; :data:`REAL`, :data:`POSITIVE`,
            :data:`UNIT` are common ones. All values are real.
        functions: undefined function -> ``"real"`` or ``"positive"``. All are smooth and otherwise arbitrary.

    Raises:
        ValueError: an end that is not rational, an empty interval, an unknown sign, or a symbol or
            function that sympy assumes more of than is declared here.
    """

    def __init__(
        self, symbols: Mapping[sp.Symbol, Interval], functions: Mapping[Any, str] | None = None
    ) -> None:
        self.symbols = {s: _interval(s, ends) for s, ends in symbols.items()}
        self.functions = dict(functions or {})
        for symbol in self.symbols:
            _no_more(symbol, self.stand_in(symbol).assumptions0, "its interval")
        for function, sign in self.functions.items():
            if sign not in ("real", "positive"):
                raise bad(str(function), repr(sign), "'real' or 'positive'", "correct the sign")
            dummy = sp.Dummy(real=True) if sign == "real" else sp.Dummy(positive=True)
            _no_more(function, dummy.assumptions0, f"the sign {sign!r}")

    def _key(self) -> tuple[frozenset[Any], frozenset[Any]]:
        return frozenset(self.symbols.items()), frozenset(self.functions.items())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Domain) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def with_symbols(self, symbols: Mapping[sp.Symbol, Interval]) -> Domain:
        """The same domain with further symbols."""
        return Domain({**self.symbols, **symbols}, self.functions)

    def admit(self, expr: Any) -> Expr:
        """The expression, if it is made of exact numbers and declared names.

        Raises:
            ValueError: floats, infinities, NaN, or an undeclared symbol or function.
        """
        try:
            checked = sp.sympify(expr)
        except (sp.SympifyError, TypeError, AttributeError) as error:
            raise bad(
                "expr", repr(expr)[:60], "a sympy expression", "build it from sympy objects"
            ) from error
        if not isinstance(checked, sp.Expr) or checked.is_Matrix:
            raise bad("expr", type(expr).__name__, "a scalar sympy expression", "pass its entries")
        floats = checked.atoms(sp.Float)
        if floats:
            shown = min(str(v) for v in floats)
            raise bad("expr", f"the float {shown}", "exact numbers", "write it as sympy.Rational")
        if checked.has(sp.nan, sp.zoo, sp.oo, -sp.oo):
            # Infinite limits of an integral are part of its name.
            inside = checked.replace(
                lambda e: isinstance(e, (sp.Integral, sp.Sum)), lambda e: sp.Dummy()
            )
            if inside.has(sp.nan, sp.zoo, sp.oo, -sp.oo):
                raise bad(
                    "expr",
                    "an infinite or undefined term",
                    "a finite expression",
                    "check divisions by zero",
                )
        loose = sorted(map(str, checked.free_symbols - set(self.symbols)))
        if loose:
            known = ", ".join(sorted(map(str, self.symbols))) or "none"
            raise bad(
                "expr",
                f"the symbol {loose[0]}",
                f"declared symbols ({known})",
                "add it to the domain",
            )
        unknown = sorted(
            {str(a.func) for a in checked.atoms(AppliedUndef)} - {str(f) for f in self.functions}
        )
        if unknown or {a.func for a in checked.atoms(AppliedUndef)} - set(self.functions):
            known = ", ".join(sorted(map(str, self.functions))) or "none"
            name = unknown[0] if unknown else "with other assumptions"
            raise bad(
                "expr",
                f"the function {name}",
                f"declared functions ({known})",
                "add it to the domain",
            )
        return checked

    def stand_in(self, symbol: sp.Symbol) -> sp.Dummy:
        """A dummy with all that the interval says of the sign."""
        low, high = self.symbols[symbol]
        if low >= 0:
            return sp.Dummy(symbol.name, positive=True)
        return (
            sp.Dummy(symbol.name, negative=True) if high <= 0 else sp.Dummy(symbol.name, real=True)
        )

    def parameter(self, symbol: sp.Symbol) -> Expr:
        """The symbol as a rational function of a positive dummy (a real one for the line)."""
        low, high = self.symbols[symbol]
        u = sp.Dummy("u", positive=True)
        if low == -sp.oo:
            return sp.Dummy("u", real=True) if high == sp.oo else high - u
        return low + u if high == sp.oo else (low + high * u) / (1 + u)

    def point(self, symbol: sp.Symbol, rng: Random) -> Fraction:
        """A random rational inside the interval."""
        low, high = self.symbols[symbol]
        size = Fraction(rng.randint(1, 96), 16)
        if low == -sp.oo:
            return size * rng.choice((-1, 1)) if high == sp.oo else _fraction(high) - size
        if high == sp.oo:
            return _fraction(low) + size
        return _fraction(low) + (_fraction(high) - _fraction(low)) * Fraction(
            rng.randint(1, 63), 64
        )

    def __repr__(self) -> str:
        names = [f"{s} in ({low}, {high})" for s, (low, high) in self.symbols.items()]
        return (
            f"Domain({', '.join(names + [f'{f} {sign}' for f, sign in self.functions.items()])})"
        )


def _fraction(number: Any) -> Fraction:
    return Fraction(int(number.p), int(number.q))


def _interval(symbol: Any, ends: Interval) -> Interval:
    if not isinstance(symbol, sp.Symbol):
        raise bad("domain", repr(symbol)[:40], "sympy symbols as keys", "use sympy.Symbol")
    low: Any
    high: Any
    try:
        low, high = (sp.sympify(e) for e in ends)
    except (TypeError, ValueError, sp.SympifyError) as error:
        raise bad(str(symbol), repr(ends)[:40], "a pair (low, high)", "e.g. (0, 1)") from error
    for end in (low, high):
        if not (end.is_Rational or end in (sp.oo, -sp.oo)):
            raise bad(
                str(symbol), f"the end {end}", "rational or infinite ends", "use sympy.Rational"
            )
    if not low < high:
        raise bad(str(symbol), f"({low}, {high})", "low < high", "swap the ends")
    return low, high


def _no_more(thing: Any, allowed: Mapping[str, bool | None], by: str) -> None:
    known = getattr(thing, "assumptions0", None)
    if not isinstance(known, Mapping):  # an undefined function class keeps them elsewhere
        known = getattr(thing, "_kwargs", {})
    more = sorted(
        k
        for k, v in known.items()
        if v is not None and v != allowed.get(k, v if k == "commutative" else None)
    )
    if more:
        raise bad(
            str(thing), f"sympy assumption {more[0]}={known[more[0]]}", f"no more than {by} gives",
            "declare a plain symbol, or a narrower domain",
        )  # fmt: skip
