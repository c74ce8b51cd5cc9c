"""Intervals of mpmath against balls of Arb, on the same expressions and points."""

from __future__ import annotations

from fractions import Fraction

import pytest

sp = pytest.importorskip("sympy")
flint = pytest.importorskip("flint")
from scoreproof.theory.symbolic.balls import certain_sign, excludes_zero  # noqa: E402
from scoreproof.theory.symbolic.intervals import interval_sign  # noqa: E402

x, y = sp.symbols("x y", real=True)
EXPRESSIONS = [
    sp.exp(x) - 2,
    sp.log(2 + x**2) - y,
    sp.sqrt(1 + x**2) - sp.Rational(3, 2),
    (1 + x**2) ** sp.Rational(1, 3) + y,
    sp.sin(x) * sp.cos(y) - sp.Rational(1, 5),
    sp.tanh(x) - y,
    sp.sinh(x) - sp.cosh(y),
    sp.coth(1 + x**2) - 1,
    sp.tan(x / 4) + sp.cot(1 + y**2 / 9),
    sp.pi * x - sp.E,
    1 / (1 + x**2) ** 3 - y,
    sp.Abs(x - y) - sp.sign(y),
]
POINTS = [
    {x: Fraction(1, 3), y: Fraction(-7, 5)},
    {x: Fraction(-9, 4), y: Fraction(2, 7)},
    {x: Fraction(3), y: Fraction(1, 2)},
]


@pytest.mark.parametrize("expr", EXPRESSIONS, ids=str)
def test_signs_agree_with_balls(expr):
    for at in POINTS:
        found = interval_sign(expr, at, 40)
        assert found == certain_sign(expr, at, 40) != 0


@pytest.mark.parametrize(
    "expr",
    [
        sp.sin(x) ** 2 + sp.cos(x) ** 2 - 1,
        sp.cosh(x) ** 2 - sp.sinh(x) ** 2 - 1,
        sp.tanh(x) - (1 - 2 / (sp.exp(2 * x) + 1)),
        sp.exp(sp.log(2 + x**2)) - 2 - x**2,
        sp.sqrt(1 + x**2) ** 3 / (1 + x**2) ** sp.Rational(3, 2) - 1,
    ],
    ids=str,
)
def test_what_is_zero_has_no_sign(expr):
    for at in POINTS:
        for digits in (20, 40, 200):
            # Not simplified: otherwise there would be nothing to enclose.
            assert interval_sign(expr, at, digits) == 0


def test_what_is_tiny_has_a_sign_with_enough_digits():
    tiny = sp.exp(-(x**2) * 1000) - sp.exp(-(x**2) * 1001)
    at = {x: Fraction(3, 10)}
    assert interval_sign(sp.exp(x) - sp.exp(x) * (1 + tiny), at, 20) == 0
    assert interval_sign(sp.exp(x) - sp.exp(x) * (1 + tiny), at, 200) == -1


@pytest.mark.parametrize("expr", [sp.erf(x), sp.gamma(1 + x**2), 1 / (x - x**2 * 3), sp.log(-x)])
def test_what_cannot_be_enclosed_is_unknown(expr):
    assert interval_sign(expr, {x: Fraction(1, 3)}, 40) == 0


def test_points_that_are_no_fractions_are_unknown():
    assert interval_sign(x, {x: flint.arb(1)}, 40) == 0


def test_zero_tests_use_them_where_there_are_no_balls(monkeypatch):
    from scoreproof.theory.symbolic import balls

    monkeypatch.setattr(balls, "flint", lambda: None)
    assert excludes_zero(sp.exp(x) - 2, POINTS[0], 40) is True
    assert excludes_zero(sp.erf(x) - 2, POINTS[0], 40) is None
    assert excludes_zero(x - sp.Rational(1, 3), POINTS[0], 40) is False
    assert certain_sign(sp.exp(x) - 2, POINTS[0], 40) == -1
