"""Rational functions of generators as polynomials over products of factors, and their zero test.

Denominators stay factored and nothing is divided out, so that no greatest common divisor is ever needed: a
fraction is zero if and only if its numerator, reduced by the relations of the generators, expands to zero.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import sympy as sp
from sympy.polys.domains import QQ
from sympy.polys.rings import PolyElement, ring

from .domain import Expr
from .normal_form import Generators, Undefined

_TERMS = 2_000_000  #: products of more terms than this are not attempted
_POWER = 2_000  #: nor are higher powers of sums


class TooLarge(Exception):
    """An intermediate polynomial is larger than is reasonable."""


@dataclass
class _Fraction:
    top: Any
    bottom: dict[Any, int]


class Field:
    """Fractions in all generators that an expression (already over generators) holds.

    Args:
        expr: rational expression of generators.
        generators: where they come from.
    """

    def __init__(self, expr: Expr, generators: Generators) -> None:
        self.expr, self.generators = expr, generators
        self.powers = self._exponentials()
        symbols = set(expr.free_symbols) | {g for p in self.powers.values() for g in p}
        pending = list(symbols)
        while pending:  # bases of roots may hold further generators
            gen = pending.pop()
            more = set(self.powers.get(gen, ()))
            if gen in generators.roots:
                more |= generators.roots[gen][1].free_symbols
            pending += more - symbols
            symbols |= more
        ordered = sorted(symbols - set(self.powers), key=lambda s: (s.name, s.sort_key()))
        self.ring, *gens = ring([s.name + str(k) for k, s in enumerate(ordered)] or ["one"], QQ)
        self.gen = dict(zip(ordered, gens, strict=False))
        self._seen: dict[Any, _Fraction] = {}

    def is_zero(self) -> bool:
        """Whether the numerator vanishes as a polynomial.

        Raises:
            Undefined: a denominator vanishes identically.
            TooLarge: too many terms.
        """
        value = self._of(self.expr)
        for factor in value.bottom:
            if not self._reduced(factor):
                raise Undefined
        return not self._reduced(value.top)

    def _exponentials(self) -> dict[sp.Symbol, dict[sp.Symbol, int]]:
        """Each exponential generator as a product of integer powers of exponentials of single monomials."""
        exponents = self.generators.exponents
        if not exponents:
            return {}
        parts = {g: sp.fraction(sp.cancel(a)) for g, a in exponents.items()}
        common: Any = sp.lcm_list([bottom for _, bottom in parts.values()])
        rows: dict[sp.Symbol, dict[Any, Any]] = {}
        for gen, (top, bottom) in parts.items():
            whole: Any = sp.expand(top * sp.cancel(common / bottom))
            rows[gen] = {}
            for term in sp.Add.make_args(whole):
                number, monomial = term.as_coeff_Mul()
                rows[gen][monomial] = rows[gen].get(monomial, sp.Integer(0)) + number
        monomials = {m for row in rows.values() for m in row}
        order = {
            m: math.lcm(*(int(row[m].q) for row in rows.values() if m in row)) for m in monomials
        }
        atom = {m: sp.Dummy("e") for m in sorted(monomials, key=sp.default_sort_key)}
        return {g: {atom[m]: int(c * order[m]) for m, c in row.items()} for g, row in rows.items()}

    def _of(self, e: Any) -> _Fraction:
        if e not in self._seen:
            self._seen[e] = self._convert(e)
        return self._seen[e]

    def _convert(self, e: Any) -> _Fraction:
        if e.is_Rational:
            return _Fraction(self.ring(QQ(int(e.p), int(e.q))), {})
        if e.is_Symbol:
            return (
                self._product(self.powers[e]) if e in self.powers else _Fraction(self.gen[e], {})
            )
        if e.is_Add:
            return self._sum([self._of(a) for a in e.args])
        if e.is_Mul:
            product = _Fraction(self.ring.one, {})
            for a in e.args:
                product = self._times(product, self._of(a))
            return product
        if e.is_Pow and e.exp.is_Integer:
            return self._power(self._of(e.base), int(e.exp))
        raise TypeError(f"not rational in the generators: {type(e).__name__}")

    def _product(self, powers: dict[sp.Symbol, int]) -> _Fraction:
        value = _Fraction(self.ring.one, {})
        for atom, power in powers.items():
            value = self._times(value, self._power(_Fraction(self.gen[atom], {}), power))
        return value

    def _power(self, a: _Fraction, n: int) -> _Fraction:
        if n >= 0:
            value = _Fraction(self.ring.one, {f: k * n for f, k in a.bottom.items()})
            value.top = _times(value.top, self._raised(a.top, n))
            return value
        if not a.top:
            raise Undefined
        turned = _Fraction(self._expanded(a.bottom), {})
        content, factor = _primitive(a.top)
        turned.top = turned.top.mul_ground(1 / content)
        turned.bottom = {} if factor == self.ring.one else {factor: 1}
        return self._power(turned, -n)

    def _times(self, a: _Fraction, b: _Fraction) -> _Fraction:
        bottom = dict(a.bottom)
        for factor, k in b.bottom.items():
            bottom[factor] = bottom.get(factor, 0) + k
        return _Fraction(_times(a.top, b.top), bottom)

    def _sum(self, parts: list[_Fraction]) -> _Fraction:
        bottom: dict[Any, int] = {}
        for part in parts:
            for factor, k in part.bottom.items():
                bottom[factor] = max(bottom.get(factor, 0), k)
        top = self.ring.zero
        for part in parts:
            missing = {f: k - part.bottom.get(f, 0) for f, k in bottom.items()}
            top += _times(part.top, self._expanded(missing))
        return _Fraction(top, bottom)

    def _expanded(self, factors: dict[Any, int]) -> Any:
        value = self.ring.one
        for factor, k in factors.items():
            value = _times(value, self._raised(factor, k))
        return value

    def _raised(self, p: Any, n: int) -> Any:
        if len(p) == 1 and p.LC in (1, -1):
            return p**n
        if n > _POWER:
            raise TooLarge
        value = self.ring.one
        for _ in range(n):
            value = _times(value, p)
        return value

    def _reduced(self, p: Any) -> Any:
        """A polynomial modulo ``gen^q = base`` for every root generator, up to nonzero factors."""
        relations = [
            (s, *self.generators.roots[s]) for s in self.gen if s in self.generators.roots
        ]
        for _ in range(64):
            before = p
            for symbol, q, base in relations:
                p = self._lowered(p, self.ring.index(self.gen[symbol]), q, base)
            if p == before:
                return p
        raise TooLarge

    def _lowered(self, p: Any, index: int, q: int, base: Expr) -> Any:
        groups: dict[int, Any] = {}
        for monomial, c in p.items():
            times, rest = divmod(monomial[index], q)
            low = (*monomial[:index], rest, *monomial[index + 1 :])
            group = groups.setdefault(times, self.ring.zero.copy())
            group[low] = group.get(low, QQ(0)) + c
        if set(groups) <= {0}:
            return p
        value = self._of(base)
        bottom, highest = self._expanded(value.bottom), max(groups)
        total = self.ring.zero
        for times, group in groups.items():
            group.strip_zero()
            part = _times(
                group, self._expanded({value.top: times}) if value.top else self.ring.zero
            )
            total += _times(part, self._expanded({bottom: highest - times}))
        return total


def _times(a: PolyElement, b: PolyElement) -> Any:
    if len(a) * len(b) > _TERMS:
        raise TooLarge
    return a * b


def _primitive(p: Any) -> tuple[Any, Any]:
    """Rational content, with the sign of the leading term, and the primitive part."""
    content, part = p.primitive()
    return (-content, -part) if part.LC < 0 else (content, part)
