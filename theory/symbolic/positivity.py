"""Positivity of an expression on a domain, from the signs of the terms of its normal form."""

from __future__ import annotations

import time
from typing import Any

import sympy as sp

from .balls import certain_sign
from .domain import Domain
from .normal_form import Generators, Undefined, root_order
from .zero import PROVED, REFUTED, UNKNOWN, Jets, ZeroTest, search


def is_positive(expr: Any, *, domain: Domain) -> ZeroTest:
    """Tests whether an expression is positive at every point of the domain at which it is defined.

    Every symbol is written as a rational function of positive parameters; where numerator and denominator then
    have terms of one sign, the answer is PROVED. REFUTED gives a point at which it is negative.

    Raises:
        ValueError: floats, undeclared symbols or functions.
    """
    start = time.perf_counter()
    e = domain.admit(expr)
    jets = Jets(e, domain, {})
    plain = e.xreplace(jets.stand_in)
    try:
        free = {d: sp.Dummy(d.name) for d in jets.real}
        wide = domain.with_symbols({s: (-sp.oo, sp.oo) for s in free.values()})
        generators = Generators(wide, frozenset(jets.positive), root_order(plain))
        sign = generators.sign(generators.rewrite(plain.xreplace(free)))
    except (Undefined, sp.PolynomialError, NotImplementedError, ArithmeticError):
        sign = 0
    seconds = time.perf_counter() - start
    if sign > 0:
        return ZeroTest(PROVED, "all terms have one sign", seconds)
    witness = search(plain, domain, jets, 0, lambda at: certain_sign(plain, at, 40) < 0)
    if witness is not None:
        return ZeroTest(REFUTED, "a ball of 40 digits is negative", seconds, witness)
    return ZeroTest(UNKNOWN, "terms of both signs", seconds)
