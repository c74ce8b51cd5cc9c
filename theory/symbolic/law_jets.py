"""Integrands at a law and a model: undefined p and s become symbols for x, ``log p`` and its derivatives.

An integrand in ``p(x)``, ``p'(x)``, ... over p is one in ``x``, ``log p``, the score and the Hessian of ``log p``,
which a law knows. This is where a universal identity becomes one about a law and a model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sympy as sp

from .domain import Expr


class NotInJets(Exception):
    """An integrand that needs more of the law than it knows; the message says what."""


@dataclass(frozen=True)
class Jets:
    """Symbols for a point and for what a law knows there.

    Attributes:
        at: coordinates.
        log: ``log p``.
        first: the score, one symbol a coordinate.
        second: ``(i, j) -> d_i d_j log p`` for i <= j.
        density: p itself.
    """

    at: tuple[sp.Symbol, ...]
    log: sp.Symbol
    first: tuple[sp.Symbol, ...]
    second: Mapping[tuple[int, int], sp.Symbol]
    density: sp.Symbol

    @classmethod
    def of(cls, at: tuple[sp.Symbol, ...]) -> Jets:
        """For the coordinates of a density ``p(*at)``."""
        names = [str(v) for v in at]
        pairs = [(i, j) for j in range(len(at)) for i in range(j + 1)]
        return cls(
            tuple(sp.Symbol(n, real=True) for n in names),
            sp.Dummy("log_p", real=True),  # not the same as a coordinate of that name
            tuple(sp.Dummy(f"score_{n}", real=True) for n in names),
            {(i, j): sp.Dummy(f"hessian_{names[i]}{names[j]}", real=True) for i, j in pairs},
            sp.Dummy("p", positive=True),
        )

    @property
    def known(self) -> tuple[sp.Symbol, ...]:
        """Density, ``log p``, score and Hessian, in this order."""
        return (self.density, self.log, *self.first, *self.second.values())


def in_jets(
    expr: Expr,
    jets: Jets,
    *,
    density: Any,
    fields: Mapping[Any, Expr],
    values: Mapping[Any, Any],
    higher: bool = False,
) -> Expr:
    """An integrand with the fields and parameters in place, in the symbols of ``jets``.

    Args:
        expr: in the density, the fields, the coordinates and the parameters.
        jets: for the coordinates of ``density``.
        density: ``p(x, ...)``.
        fields: ``s(x, ...)`` -> expression that stands for it, which may hold the density too.
        values: parameter -> number.
        higher: whether derivatives of ``log p`` beyond the second become nameless real symbols, by which form and
            growth can be judged though no value is known.

    Raises:
        NotInJets: derivatives of the density beyond the second, unless ``higher``, or of something else.
    """
    name = sp.Function("log_p", real=True)
    e = expr.subs(fields, simultaneous=True).doit() if fields else expr.doit()
    # At the symbols of the user first: a derivative in x of what does not hold x is zero.
    e = e.subs(density, sp.exp(name(*density.args))).doit()
    e = e.xreplace({**dict(zip(density.args, jets.at, strict=True)), **values}).doit()
    log = name(*jets.at)
    found: dict[Any, sp.Symbol] = {}
    for d in e.atoms(sp.Derivative):
        order = [
            jets.at.index(v) for v, n in d.variable_count for _ in range(int(n)) if v in jets.at
        ]
        if d.expr != log or len(order) != d.derivative_count:
            raise NotInJets(f"{d} is no derivative of the density")
        if len(order) > 2 and higher:
            found[d] = sp.Dummy(f"log_p_{''.join(str(jets.at[i]) for i in order)}", real=True)
            continue
        if len(order) > 2:
            raise NotInJets(f"derivatives of the density of order {len(order)}, beyond the second")
        i, j = min(order), max(order)
        found[d] = jets.first[i] if len(order) == 1 else jets.second[i, j]
    e = e.xreplace(found).xreplace({log: jets.log})

    def split(power: Any) -> Expr:
        inner = sp.expand(power.args[0])
        k = inner.coeff(jets.log)
        rest = inner - k * jets.log
        return power if k == 0 or rest.has(jets.log) else jets.density**k * sp.exp(rest)

    def over_density(m: Any) -> bool:
        """Whether a product holds 1/p: of a sum over p the terms are taken, in which p cancels."""
        return m.is_Mul and any(a.is_Pow and a.base == jets.density and a.exp < 0 for a in m.args)

    e = e.replace(lambda a: isinstance(a, sp.exp) and a.has(jets.log), split)
    return e.replace(over_density, sp.expand_mul)


def as_polynomial(expr: Expr, jets: Jets) -> dict[tuple[int, ...], Expr]:
    """Exponents of :attr:`Jets.known` -> coefficient, a function of the coordinates.

    Raises:
        NotInJets: not a polynomial in them.
    """
    kept: dict[Expr, sp.Dummy] = {}

    def masked(e: Any) -> Expr:
        if not e.has(*jets.known):
            return e if e.is_Rational else kept.setdefault(e, sp.Dummy(real=True))
        if e.is_Atom:
            return e
        if e.is_Add or e.is_Mul:
            free, rest = e.as_independent(*jets.known)
            return e.func(masked(free), *map(masked, e.func.make_args(rest)))
        return e.func(*map(masked, e.args))

    plain = masked(expr)
    try:
        found = sp.Poly(sp.expand(plain), *jets.known)
    except sp.PolynomialError as error:
        raise NotInJets(
            "an integrand that is not a polynomial in p, log p, score and Hessian"
        ) from error
    if any(d in jets.known for c in found.coeffs() for d in c.free_symbols):
        raise NotInJets("an integrand that is not a polynomial in p, log p, score and Hessian")
    back = {dummy: e for e, dummy in kept.items()}
    return {powers: c.as_expr().xreplace(back) for powers, c in found.terms() if c != 0}
