"""Evidence from enclosures: outcomes follow from the balls, every check refutes its mutants at every profile."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from scoreproof.numerics.enclosure import Enclosed
from scoreproof.validation.claim import Claim, Context, decide
from scoreproof.validation.claims import CLAIMS, ball_evidence, enclosed_numbers, enclosures
from scoreproof.validation.claims.decimals import Example
from scoreproof.validation.evidence import Outcome

flint = pytest.importorskip("flint")
b, e, n = ball_evidence, enclosures, enclosed_numbers

#: name: (right, wrong ones)
CHECKS = {
    "O1": (e.free_of_the_model("1/2", "1/2", 1), [e.free_of_the_model("1/2", "1/2", "1/2")]),
    "O1-constant": (
        e.constant("1/2", "1/2", 1, "1/2"),
        [e.constant("1/2", "1/2", 1, 1), e.constant("1/2", "1/2", 1, "-1/2")],
    ),
    "O2": (e.free_of_the_model(1, 1, 2), [e.free_of_the_model(1, 1, k) for k in (1, 0, -2)]),
    "O3": (e.constant(1, 1, 2, 1), [e.constant(1, 1, 2, -1), e.constant(1, 1, 1, 1)]),
    "O25": (e.by_parts(1), [e.by_parts(-1), e.by_parts("1/2")]),
    "O25-boundary": (e.boundary(1), [e.boundary(0), e.boundary(-1)]),
    "O10": (
        e.denoising_gap(1),
        [e.denoising_gap(0), e.denoising_gap("1/2"), e.denoising_gap(1, -1)],
    ),
    "O10-free": (
        e.denoising_gap_free_of_the_model(),
        [e.denoising_gap_free_of_the_model(-1), e.denoising_gap_free_of_the_model("3/5")],
    ),
    "O7": (e.noise_form(0), [e.noise_form(-2), e.noise_form(-1), e.noise_form(2)]),
    "O8": (e.noise_weight("1/2", -2), [e.noise_weight("1/2", 0), e.noise_weight(1, -2)]),
    "O6": (e.minimiser(), [e.minimiser(0), e.minimiser(factor="9/10")]),
    "S4.density": (
        n.decimal("density", "0.0735"),
        [n.decimal("density", "0.1471"), n.decimal("density", "0.0735", Example(mode="1.5"))],
    ),
    "S4.step": (
        n.decimal("step", "0.4563"),
        [n.decimal("step", "0.4563", Example(z="0.3")), n.decimal("step", "0.4562")],
    ),
    "S8.e": (
        n.quotient("0.1504", "0.1471", "1.0224"),
        [n.quotient("0.1504", "0.1471", "1.0227"), n.quotient("0.1471", "0.1504", "1.0224")],
    ),
    "S8.g": (n.cancelled("4/5", "9/10"), [n.cancelled(0, "1/5")]),
    "L4": (
        n.stationary("0.1", n.exact_variance),
        [n.stationary("0.1", n.target_variance), n.stationary("0.1", lambda v, d: v + d / 2)],
    ),
    "D1": (
        n.exponential_noise(),
        [n.exponential_noise(1), n.exponential_noise("1/2", 0), n.exponential_noise("-1/2")],
    ),
    "D6-VP": (n.vp_variance(), [n.vp_variance("1/2"), n.vp_variance(2)]),
    "D6-subVP": (n.sub_vp_variance(), [n.sub_vp_variance(1), n.sub_vp_variance(3)]),
    "D6-VE": (n.ve_variance(), [n.ve_variance(0), n.ve_variance(-1)]),
    "float64": (n.in_float64(), [n.in_float64(1 + 1e-13), n.in_float64(1 - 1e-13)]),
}


def context(profile):
    return Context(np.random.default_rng(0), 1e-9, 1000, profile=profile)


@pytest.mark.parametrize("profile", ["quick", "standard"])
@pytest.mark.parametrize("name", CHECKS)
def test_right_formulas_are_supported_and_wrong_ones_refuted(name, profile):
    right, wrong = CHECKS[name]
    piece = right(context(profile))
    assert piece.kind == "enclosure" and piece.outcome is Outcome.SUPPORTED, piece.message
    for mutant in wrong:
        assert mutant(context(profile)).outcome is Outcome.REFUTED


def test_deep_means_a_hundred_digits():
    piece = e.by_parts(1)(context("deep"))
    assert piece.outcome is Outcome.SUPPORTED and piece.measured is not None
    assert -1e-100 < piece.measured.low <= 0 <= piece.measured.high < 1e-100


def test_outcomes_follow_the_ball():
    def ball(middle, radius):
        return Enclosed(flint.arb(middle, radius), 10)

    assert b.equals(ball(0, 1e-12)).outcome is Outcome.SUPPORTED
    assert b.equals(ball(0, 1e-3)).outcome is Outcome.UNDECIDED  # contains, but too wide
    assert b.equals(ball(1e-20, 1e-21)).outcome is Outcome.REFUTED  # excludes, though within 1e-10
    assert b.equals(Enclosed(flint.arb("nan"), 10)).outcome is Outcome.UNDECIDED
    assert b.within(ball(0.5, 0.1), 0, 1).outcome is Outcome.SUPPORTED
    assert b.within(ball(0.5, 0.6), 0, 1).outcome is Outcome.UNDECIDED
    assert b.within(ball(2, 0.1), 0, 1).outcome is Outcome.REFUTED
    assert b.within(Enclosed(flint.arb("nan"), 10), 0, 1).outcome is Outcome.UNDECIDED
    third, tiny = Fraction(1, 3), Fraction(1, 10**30)
    assert b.within(b.exactly(third, 40), third - tiny, third + tiny).outcome is Outcome.SUPPORTED
    assert (
        b.within(b.exactly(third, 40), third + tiny, third + 2 * tiny).outcome is Outcome.REFUTED
    )


def test_decimals_are_held_to_half_a_unit_of_the_last_digit():
    def outcome(value, text):
        return b.printed_as(b.exactly(value, 30), text).outcome

    assert outcome("0.12349999999999999999", "0.1234") is Outcome.REFUTED
    assert outcome("0.12344999999999999999", "0.1234") is Outcome.SUPPORTED
    assert outcome("0.12345000000000000001", "0.1234") is Outcome.REFUTED


def test_a_claim_holds_exact_and_enclosed_evidence_that_agree():
    claim = Claim(
        "L4",
        "x",
        checks={
            "variance": CLAIMS["L4"].checks["variance"],
            "enclosed": n.stationary("0.1", n.target_variance),
        },
        mutants={
            "variance": CLAIMS["L4"].mutants["variance"],
            "enclosed": [n.stationary("0.1", lambda v, d: v / (1 - d / v))],
        },
    )
    verdict = decide(claim, level=1e-6, profile="quick")
    assert [p.outcome for p in verdict.evidence] == [Outcome.REFUTED] * 2
    assert verdict.survivors == () and verdict.kinds["strongest"] == "enclosure"


def test_without_the_package_the_other_kinds_still_run(monkeypatch):
    checks, mutants = {"enclosed": e.by_parts(1)}, {"enclosed": [e.by_parts(-1)]}
    assert b.attached(checks, mutants) == (checks, mutants, ())
    monkeypatch.setattr(b, "available", lambda: False)
    left, none, notes = b.attached(checks, mutants)
    assert left == {} and none == {} and "pip install python-flint" in notes[0]


def test_values_of_the_evidence_hold_the_ball():
    piece = e.denoising_gap(0)(context("quick"))
    assert piece.measured is not None and not math.isnan(piece.value)
    assert piece.measured.low <= piece.value <= piece.measured.high


#: entry: (check of the ledger, its reading by enclosure)
PRINTED = {
    "O1": ("quadrature", e.free_of_the_model("1/2", "1/2", 1)),
    "O2": ("quadrature", e.free_of_the_model(1, 1, 1)),
    "O25": ("quadrature", e.by_parts(1)),
    "S4.density": ("value", n.decimal("density", "0.1471")),
    "S4.derivative": ("value", n.decimal("derivative", "0.1504")),
    "S4.score": ("value", n.decimal("score", "1.0227")),
    "S4.step": ("value", n.decimal("step", "0.4563")),
    "S8.a": ("value", n.decimal("left", "0.0440")),
    "S8.b": ("value", n.decimal("sum", "0.3687")),
    "S8.c": ("value", n.decimal("pull-left", "0.1100")),
    "S8.d": ("value", n.decimal("pull-right", "0.4871")),
    "S8.e": ("value", n.quotient("0.1504", "0.1471", "1.0227")),
    "S8.f": ("value", n.decimal("drift", "0.0511")),
    "S8.g": ("rest", n.cancelled(0, "1/5")),
    "L4": ("variance", n.stationary("0.1", n.target_variance)),
    "L5": ("variance", n.stationary("0.05", n.target_variance)),
}


@pytest.mark.parametrize("id", PRINTED)
def test_enclosures_and_the_other_kinds_agree_on_what_is_printed(id):
    name, enclosed = PRINTED[id]
    other = CLAIMS[id].checks[name](context("quick"))
    assert other.kind != "enclosure" and other.outcome is enclosed(context("quick")).outcome
