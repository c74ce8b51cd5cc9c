"""Enclosures: what they hold, what they refuse, and the traps of ball arithmetic that give tight wrong balls."""

from __future__ import annotations

import math
import sys
from fractions import Fraction

import mpmath
import numpy as np
import pytest
from scipy import integrate
from scoreproof.numerics.enclosure import Enclosed, Work, enclosed, precision, rational, rounded_up
from scoreproof.numerics.enclosure_laws import ExactMixture, exact_law, majorant_product
from scoreproof.numerics.enclosure_models import MixtureScore, PolynomialScore, RationalScore
from scoreproof.numerics.enclosure_networks import TanhScore
from scoreproof.numerics.enclosure_objectives import enclose, enclose_information, enclose_mean
from scoreproof.numerics.objectives import ESM, ISM
from scoreproof.theory import Gaussian, GaussianMixture
from scoreproof.theory.densities_1d import Laplace

flint = pytest.importorskip("flint")

LAW = ExactMixture.make(["0.3", "0.7"], ["-3/2", 1], ["1/4", "9/16"])
FLOATS = GaussianMixture([0.3, 0.7], [[-1.5], [1.0]], [0.25, 0.5625])
MODELS = {
    "linear": PolynomialScore(["1/4", "-5/4"]),
    "polynomial": PolynomialScore(["1/4", -1, 0, "-1/8"]),
    "rational": RationalScore([1, -1], [1, 0, 1]),
    "network": TanhScore([[["0.9"], ["-0.7"]], [["-0.8", "0.5"]]], [["0.1", "-0.4"], ["0.15"]]),
    "mixture": MixtureScore(LAW.diffuse(1, "1/3"), "9/10"),
}
each_model = pytest.mark.parametrize("name", MODELS)
mp = mpmath.mp.clone()
mp.dps = 50


def density(x):
    """p and p' in the arithmetic of mpmath."""
    p = slope = mp.mpf(0)
    for w, m, v in zip(LAW.weights, LAW.means, LAW.variances, strict=True):
        w, m, v = (mp.mpf(f.numerator) / f.denominator for f in (w, m, v))
        e = w * mp.exp(-((x - m) ** 2) / (2 * v)) / mp.sqrt(2 * mp.pi * v)
        p, slope = p + e, slope - (x - m) / v * e
    return p, slope


def quad(f):
    # Past 16 standard deviations the density is below 1e-55.
    return mp.quad(f, [-16, -6, -3, -2, -1, 0, 1, 2, 3, 6, 16])


def near(ball, value, digits):
    return abs(mp.mpf(ball.ball.mid().str(60, radius=False)) - value) < mp.mpf(10) ** -digits


def test_fisher_information_to_thirty_digits():
    ball = enclose_information(LAW)
    assert ball.narrow and ball.text(25).startswith("[1.766993080312332724605731")
    reference = quad(lambda x: density(x)[1] ** 2 / density(x)[0])
    assert near(ball, reference, 30)


@each_model
def test_explicit_less_implicit_is_the_fisher_information(name):
    model = MODELS[name]
    explicit, implicit = enclose(ESM(LAW), model), enclose(ISM(LAW), model)
    rest = explicit - implicit - enclose_information(LAW) * "1/2"
    assert rest.contains(0) and rest.digits >= 29
    printed = enclose(ISM(LAW, trace=1.0), model)
    assert (explicit - printed - enclose_information(LAW) * "1/2").excludes(0)


@each_model
def test_quadrature_in_float64_agrees(name):
    model = MODELS[name]
    for objective in (ESM, ISM):
        ball = enclose(objective(LAW), model, digits=20)
        route = objective(FLOATS).quadrature(model.floating())
        # The quadrature is asked for 1e-10 of E|f|, and the terms are of order ten.
        assert abs(ball.value - route.value) < 1e-8
        assert route.low <= ball.high and ball.low <= route.high


def test_polynomials_are_exact_rationals():
    c = MODELS["polynomial"].coefficients
    square = sum(a * b * LAW.moment(i + j) for i, a in enumerate(c) for j, b in enumerate(c))
    slope = sum(k * a * LAW.moment(k - 1) for k, a in enumerate(c) if k)
    for digits in (15, 30, 100):
        ball = enclose(ISM(LAW, factor=1.0), MODELS["polynomial"], digits=digits)
        assert ball.contains(square + 2 * slope) and ball.narrow
        assert ball.excludes(square + 2 * slope + Fraction(1, 10**digits) * 2)


@each_model
def test_derivatives_and_bounds_far_out(name):
    model, rng = MODELS[name], np.random.default_rng(1)
    with precision(200):
        growth = model.growth(8)
        for x in [*rng.uniform(8, 40, 5), *-rng.uniform(8, 40, 5)]:
            z = flint.acb(float(x))
            value, slope = model.values(z, False)
            for ball, bound in ((value, growth.value), (slope, growth.slope)):
                most = sum(c * abs(flint.arb(float(x))) ** k for k, c in enumerate(bound))
                assert abs(ball.real) <= most
            step = flint.arb(10) ** -20
            ahead, behind = (model.value(z + s * step, False) for s in (1, -1))
            # Central differences err by the third derivative times 1e-40.
            assert abs((ahead - behind).real / (2 * step) - slope.real) < flint.arb(10) ** -30


def beyond(m, v, reach, k):
    f = lambda x: abs(x) ** k * math.exp(-((x - m) ** 2) / (2 * v)) / math.sqrt(2 * math.pi * v)  # noqa: E731
    ends = ((reach, reach + 1), (reach + 1, 30), (-reach - 1, -reach), (-30, -reach - 1))
    return sum(integrate.quad(f, a, b, epsabs=0, epsrel=1e-11, limit=200)[0] for a, b in ends)


@pytest.mark.parametrize("k", range(6))
def test_the_bound_beyond_a_box_is_one(k):
    law = ExactMixture.make(["0.2", "0.8"], ["0", "-1.5"], ["2", "0.5"])
    with precision(200):
        for reach in (2, 3, 6):
            bound = law.tail(reach, [flint.arb(0)] * k + [flint.arb(1)])
            true = sum(
                float(w) * (beyond(float(m), float(v), reach, k))
                for w, m, v in zip(law.weights, law.means, law.variances, strict=True)
            )
            # Gauss-Kronrod to some units of the last place; the bound is at least as large.
            assert true * (1 - 1e-9) <= float(bound)
            # At most c_k = 2^(k-1), and the box seen from the wider side.
            assert float(bound) < 400 * true


# Traps.


def test_trap_missing_tail():
    model = MODELS["polynomial"]
    c = model.coefficients
    true = sum(a * b * LAW.moment(i + j) for i, a in enumerate(c) for j, b in enumerate(c))

    def box(work):
        return work.integral(
            lambda z, a: LAW.density_and_slope(z)[0] * model.value(z, a) ** 2, [-6, 6]
        )

    alone = enclosed(box, digits=20)
    assert alone.narrow and alone.excludes(true)  # tight and wrong

    def with_tail(work):
        bound = model.growth(6).value
        return box(work) + flint.arb(0, LAW.tail(6, majorant_product(bound, bound)))

    honest = enclosed(with_tail, digits=20, rounds=1)
    assert honest.contains(true) and not honest.narrow
    assert enclose_mean(LAW, model, "square", digits=20).contains(true)


def test_trap_missing_flag_of_a_root():
    with precision(100):
        wrong = flint.acb.integral(lambda z, _: z.sqrt(), 1, 4).real
    assert Enclosed(wrong, 20).excludes(Fraction(14, 3)) and Enclosed(wrong, 20).digits > 20
    right = enclosed(lambda work: work.integral(lambda z, a: z.sqrt(analytic=a), [1, 4]))
    assert right.contains(Fraction(14, 3)) and right.narrow


def test_trap_truth_of_a_ball():
    ball = enclose_information(LAW, digits=15)
    assert bool(flint.arb(0)) is True  # so that `assert residual` would always pass
    for use in (bool, lambda b: b == 1, lambda b: b != 1):
        with pytest.raises(TypeError, match="contains"):
            use(ball - ball)


def test_trap_few_evaluations_give_a_wide_ball_and_no_wrong_one():
    few = enclose(ESM(LAW), MODELS["linear"], rounds=1, limit=40)
    assert not few.narrow and few.contains(enclose(ESM(LAW), MODELS["linear"]))
    assert not few.excludes(1000) or few.finite
    again = enclose(ESM(LAW), MODELS["linear"], limit=40, rounds=6)
    assert again.narrow


def test_trap_law_without_decay():
    for law in (Laplace(0.0, 1.0), object()):
        with pytest.raises(ValueError, match="decay"):
            enclose(ESM(law), MODELS["linear"])
    with pytest.raises(ValueError, match="decay"):
        ExactMixture.make([1], [0], [0])
    with pytest.raises(ValueError, match="dimension 2"):
        enclose(ESM(Gaussian([0.0, 0.0], np.eye(2))), MODELS["linear"])


# Numbers.


def test_floats_are_binary_and_texts_are_decimal():
    assert rational("0.1", "x") == Fraction(1, 10) != rational(0.1, "x")
    for wrong in (math.nan, math.inf, "one", None, 1j):
        with pytest.raises(ValueError, match="x: got"):
            rational(wrong, "x")
    law = exact_law(FLOATS)
    assert law.variances == LAW.variances and law.means == LAW.means
    assert sum(law.weights) == 1 and law.weights != LAW.weights


def test_laws_of_other_numbers_name_what_makes_them():
    with pytest.raises(ValueError, match=r"weights: got \['0.3', '0.7'\].*ExactMixture.make"):
        ExactMixture(["0.3", "0.7"], ["-1.5", "1"], ["0.25", "0.5"])  # pyright: ignore[reportArgumentType]


def test_ends_are_rounded_outward():
    third = enclosed(lambda work: flint.arb(flint.fmpq(1, 3)), digits=30)
    assert Fraction(third.low) <= third.ends[0] < Fraction(1, 3) < third.ends[1] <= third.high
    assert third.high == math.nextafter(third.low, 1)
    assert rounded_up(Fraction(10) ** 400) == math.inf
    assert rounded_up(-(Fraction(10) ** 400)) == -sys.float_info.max


def test_precision_is_restored():
    before = flint.ctx.prec
    enclose_information(LAW, digits=40)
    with pytest.raises(RuntimeError), precision(999):
        raise RuntimeError
    assert flint.ctx.prec == before


def test_nothing_known_excludes_nothing():
    nothing = Enclosed(flint.arb("nan"), 10)
    assert nothing.contains(7) and not nothing.excludes(7) and not nothing.narrow
    assert (nothing.low, nothing.high) == (-math.inf, math.inf) and math.isnan(nothing.value)


def test_poles_on_the_line_are_refused():
    with pytest.raises(ValueError, match="zero near"):
        RationalScore([1], [-1, 0, 1])
    with pytest.raises(ValueError, match="ExactScore"):
        enclose(ESM(LAW), lambda x: x)


def test_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "flint", None)
    with pytest.raises(ImportError, match="pip install python-flint"):
        enclose_information(LAW)


def test_work_counts():
    work = Work(20, 1000)
    with precision(work.bits):
        work.integral(lambda z, a: z, [0, 1, 2])
    assert work.evaluations > 0
