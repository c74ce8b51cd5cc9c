"""Expressions as rational functions of generators: the proving half of the zero test.

Every rule holds on the whole domain, so that a numerator which expands to the zero polynomial proves the
identity wherever the expression is defined. No independence of the generators is needed for that; it only
decides how many true identities are found.

Generators: symbols; ``exp(m/L)`` for the monomials m of all exponents over their common denominator L; roots
r with ``r^q = base``; logarithms of positive irreducible factors; i with ``i^2 = -1`` (trigonometric functions
are written as exponentials); everything else as it stands.
"""

from __future__ import annotations

import math
from typing import Any

import sympy as sp
from sympy.core.function import AppliedUndef

from .domain import Domain, Expr

_AS_EXP = (
    sp.sin, sp.cos, sp.tan, sp.cot, sp.sec, sp.csc,
    sp.sinh, sp.cosh, sp.tanh, sp.coth, sp.sech, sp.csch,
)  # fmt: skip


_ODD = (sp.erf, sp.atan, sp.asin, sp.asinh, sp.atanh)


class Undefined(Exception):
    """A denominator is zero identically, so that the expression is defined nowhere."""


class Generators:
    """Rewrites expressions over one set of generators.

    Args:
        domain: intervals of the symbols.
        positive: further symbols (stand-ins of undefined functions) that are positive.
        root: common order of all roots.
    """

    def __init__(self, domain: Domain, positive: frozenset[sp.Symbol], root: int) -> None:
        self.domain, self.root = domain, root
        self.exponents: dict[sp.Symbol, Expr] = {}  # generator -> its exponent, over generators
        self.roots: dict[sp.Symbol, tuple[int, Expr]] = {}  # generator -> (q, base): gen^q = base
        self.logs: dict[sp.Symbol, Expr] = {}
        self.unit = sp.Dummy("i")
        self._named: dict[Any, sp.Symbol] = {}
        self._size: dict[sp.Symbol, Expr] = {s: domain.parameter(s) for s in domain.symbols}
        self._size |= {s: sp.Dummy("u", positive=True) for s in positive}
        self._seen: dict[Any, Expr] = {}

    def rewrite(self, e: Any) -> Expr:
        """The expression as a rational expression of generators."""
        if e not in self._seen:
            self._seen[e] = self._rewrite(e)
        return self._seen[e]

    def sign(self, e: Expr) -> int:
        """+1 or -1 where an expression of generators is positive or negative on the whole domain, else 0."""
        known = e.xreplace({s: self._size.get(s, sp.Dummy()) for s in e.free_symbols})
        numerator, denominator = sp.fraction(sp.together(known))
        return _sign(numerator) * _sign(denominator)

    def _rewrite(self, e: Any) -> Expr:
        if e.is_Rational or e.is_Symbol:
            return e
        if e is sp.I:
            self.roots[self.unit] = (2, sp.Integer(-1))
            return self.unit
        if e is sp.E:
            return self._exponential(sp.Integer(1))
        if e.is_Add:
            return sp.Add(*map(self.rewrite, e.args))
        if e.is_Mul:
            return sp.Mul(*map(self.rewrite, e.args))
        if e.is_Pow or isinstance(e, sp.exp):
            return self._power(*e.as_base_exp())
        if isinstance(e, sp.log) and len(e.args) == 1:
            return self._logarithm(self.rewrite(e.args[0]))
        if isinstance(e, _AS_EXP):
            return self.rewrite(e.rewrite(sp.exp, deep=False))
        if isinstance(e, sp.Abs):
            return self._absolute(self.rewrite(e.args[0]))
        return self._opaque(e)

    def _power(self, base: Any, exponent: Any) -> Expr:
        if base is sp.E:
            return self._exponential(self.rewrite(exponent))
        b = self.rewrite(base)
        if exponent.is_Integer:
            if b == 0 and exponent < 0:
                raise Undefined
            return b**exponent
        if exponent.is_Rational and (exponent * self.root).is_Integer:
            return self._root(b, int(exponent * self.root))
        if self.sign(b) > 0:
            return self._exponential(self.rewrite(exponent) * self._logarithm(b))
        return self._name(("power", sp.cancel(b), sp.cancel(self.rewrite(exponent))))

    def _exponential(self, exponent: Expr) -> Expr:
        arg = sp.expand(sp.cancel(exponent))
        if arg == 0:
            return sp.Integer(1)
        factor: Expr = sp.Integer(1)
        for term in sp.Add.make_args(arg):
            c: Any
            log: Any
            c, log = term.as_coeff_Mul()  # exp(c log a) is a power of a
            if log in self.logs and (c * self.root).is_Integer:
                factor *= self._root(self.logs[log], int(c * self.root))
                arg -= term
        if arg == 0:
            return factor
        gen = self._name(("exp", sp.cancel(arg)))
        if gen not in self.exponents:
            self.exponents[gen] = sp.cancel(arg)
            if self._real(arg):
                u, sign = sp.Dummy("u", positive=True), self.sign(arg)
                self._size[gen] = {1: 1 + u, 0: u, -1: 1 / (1 + u)}[sign]
        return factor * gen

    def _root(self, b: Expr, times: int) -> Expr:
        """``b ** (times / root)``."""
        if times % self.root == 0:
            if b == 0 and times < 0:
                raise Undefined
            return b ** (times // self.root)
        if b == 0:
            if times < 0:
                raise Undefined
            return sp.Integer(0)
        factors = self._factors(b)
        if factors is None:
            return self._one_root(sp.cancel(b), positive=False) ** times
        value: Expr = sp.Integer(1)
        for factor, power in factors:
            whole, rest = divmod(power * times, self.root)
            value *= factor**whole
            if rest:
                value *= self._one_root(factor, positive=True) ** rest
        return value

    def _one_root(self, base: Expr, *, positive: bool) -> sp.Symbol:
        gen = self._name(("root", base))
        self.roots[gen] = (self.root, base)
        if positive:
            self._size.setdefault(gen, sp.Dummy("u", positive=True))
        return gen

    def _logarithm(self, b: Expr) -> Expr:
        if b == 0:
            raise Undefined
        factors = self._factors(b)
        if factors is None:
            return self._name(("log", sp.cancel(b)))
        return sp.Add(*(power * self._one_log(factor) for factor, power in factors))

    def _one_log(self, factor: Expr) -> Expr:
        """The logarithm of a positive factor."""
        if factor in self.exponents:
            return self.exponents[factor]
        if factor in self.roots:
            q, base = self.roots[factor]
            return self._logarithm(base) / q
        gen = self._name(("log", factor))
        self.logs[gen] = factor
        if gen not in self._size:
            u, above = sp.Dummy("u", positive=True), self.sign(factor - 1)
            self._size[gen] = above * u if above else sp.Dummy("u", real=True)
        return gen

    def _absolute(self, b: Expr) -> Expr:
        sign = self.sign(b)
        if sign:
            return sign * b
        b = sp.cancel(b)
        gen = self._name(("abs", b))
        if self._real(b):
            self.roots[gen] = (2, b**2)
        return gen

    def _factors(self, b: Expr) -> list[tuple[Expr, int]] | None:
        """Positive factors with powers, the numbers split into primes; None where a sign is not known."""
        numerator, denominator = sp.fraction(sp.cancel(sp.together(b)))
        found: list[tuple[Expr, int]] = []
        total = 1
        for part, side in ((numerator, 1), (denominator, -1)):
            listed: Any = sp.factor_list(part)
            content, factors = listed
            if not content.is_Rational:
                return None
            total *= 1 if content > 0 else -1
            for whole, power in ((abs(content.p), side), (content.q, -side)):
                if whole > 10**15:
                    return None
                found += [(sp.Integer(p), k * power) for p, k in sp.factorint(whole).items()]
            for factor, power in factors:
                sign = self.sign(factor)
                if sign == 0:
                    return None
                total *= sign**power
                found.append((sp.expand(sign * factor), side * power))
        return found if total > 0 else None

    def _real(self, e: Expr) -> bool:
        """Whether all generators of an expression are known to be real."""
        return all(s in self._size for s in e.free_symbols)

    def _opaque(self, e: Any) -> Expr:
        if isinstance(e, sp.Function) and not isinstance(e, AppliedUndef):
            args = tuple(sp.cancel(self.rewrite(a)) for a in e.args)
            opposite = (type(e).__name__, *(sp.cancel(-a) for a in args))
            if isinstance(e, _ODD) and opposite in self._named:
                return -self._named[opposite]
            return self._name((type(e).__name__, *args))
        gen = self._name(("as it stands", e))
        if e is sp.pi:
            self._size.setdefault(gen, 3 + sp.Dummy("u", positive=True))
        return gen

    def _name(self, key: Any) -> sp.Symbol:
        return self._named.setdefault(key, sp.Dummy(f"g{len(self._named)}"))


def _sign(e: Expr) -> int:
    """Sign of a polynomial from the signs of its terms."""
    signs = set()
    for term in sp.Add.make_args(sp.expand(e)):
        sign = 1 if term.is_positive else -1 if term.is_negative else 0
        if sign == 0 and not term.is_nonnegative and not term.is_nonpositive:
            return 0
        signs.add(sign or (2 if term.is_nonnegative else -2))
    if signs <= {1, 2} and 1 in signs:
        return 1
    return -1 if signs <= {-1, -2} and -1 in signs else 0


def root_order(e: Expr) -> int:
    """Least common multiple of the denominators of all rational exponents."""
    powers = [p.exp for p in e.atoms(sp.Pow) if p.exp.is_Rational]
    # exp(log(a)/2) is a root as well.
    coefficients = (
        [c for p in e.atoms(sp.exp) for c in p.exp.atoms(sp.Rational)] if e.has(sp.log) else []
    )
    order = math.lcm(1, *(int(p.q) for p in powers))
    wider = math.lcm(order, *(int(c.q) for c in coefficients))
    return wider if wider <= 12 else order
