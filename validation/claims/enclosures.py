"""Ledger, checks by ball arithmetic on objectives; each is for the entry that its docstring names.

* O1, O2: :func:`free_of_the_model`; O1, O3: :func:`constant`;
* O6: :func:`minimiser`; O7: :func:`noise_form`; O8: :func:`noise_weight`;
* O9, O10: :func:`denoising_gap`; O10: :func:`denoising_gap_free_of_the_model`;
* O25: :func:`by_parts`, :func:`boundary`.

Each is a function of the factors that a text might have got wrong, so that mutants are calls with others; those of
the docstrings come out SUPPORTED. Printed numbers, chains and kernels are in :mod:`enclosed_numbers`. The balls are
kept, so that a mutant costs next to nothing. To join a claim, pass checks and mutants through
:func:`ball_evidence.attached`, which leaves them out where python-flint is missing.
"""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from math import factorial
from typing import Any

from ...numerics.enclosure import Enclosed, rational
from ...numerics.enclosure_laws import ExactMixture
from ...numerics.enclosure_models import ExactScore, MixtureScore, PolynomialScore, RationalScore
from ...numerics.enclosure_networks import TanhScore
from ...numerics.enclosure_noise import enclose_dsm, enclose_dsm_constant, enclose_variation
from ...numerics.enclosure_objectives import enclose_information, enclose_mean
from ..claim import Check, Context
from ..evidence import Evidence
from .ball_evidence import SPARE, digits_of, equals, exactly, worst_of

_STD = Fraction(3, 5)  #: of the noise
_VARIANCE = _STD**2


@cache
def law() -> ExactMixture:
    """Three unequal components on the line, as in the rest of the ledger, with decimals taken exactly."""
    return ExactMixture.make(
        ["0.5", "0.3", "0.2"], ["-1.2", "0.4", "2.1"], ["0.09", "0.25", "0.5"]
    )


@cache
def models() -> dict[str, ExactScore]:
    """A linear model, a rational one, and a network with a hidden layer."""
    return {
        "linear": PolynomialScore(["0.3", "-0.8"]),
        "rational": RationalScore(["0.2", "-1.1"], [1, 0, "0.4"]),
        "network": TanhScore(
            [[["0.9"], ["-0.7"], ["1.3"]], [["-0.8", "0.5", "-0.6"]]],
            [["0.1", "-0.4", "0.2"], ["0.15"]],
        ),
    }


@cache
def _mean(model: str, what: str, digits: int) -> Enclosed:
    return enclose_mean(law(), models()[model], what, digits=digits)


@cache
def _information(digits: int) -> Enclosed:
    return enclose_information(law(), digits=digits)


def gap(model: str, explicit: Any, square: Any, slope: Any, digits: int) -> Enclosed:
    """``explicit E(s - p'/p)^2 - square E s^2 - slope E s'``."""
    return (
        _mean(model, "explicit", digits) * rational(explicit, "explicit")
        - _mean(model, "square", digits) * rational(square, "square")
        - _mean(model, "slope", digits) * rational(slope, "slope")
    )


def free_of_the_model(explicit: Any, square: Any, slope: Any) -> Check:
    """O1 (1/2, 1/2, 1), O2 as printed (1, 1, 1) and corrected (1, 1, 2): the gap is one number for all models."""

    def check(ctx: Context) -> Evidence:
        d = digits_of(ctx)
        gaps = {m: gap(m, explicit, square, slope, d + SPARE) for m in models()}
        first, *others = gaps
        return worst_of(
            [
                equals(gaps[m] - gaps[first], digits=d, message=f"gap of {m} less that of {first}")
                for m in others
            ]
        )

    return check


def constant(explicit: Any, square: Any, slope: Any, times: Any) -> Check:
    """O1 (1/2, 1/2, 1, 1/2) and O3 (1, 1, 2, 1): the gap is ``times`` the Fisher information."""

    def check(ctx: Context) -> Evidence:
        d = digits_of(ctx)
        information = _information(d + SPARE)
        claimed = information * rational(times, "times")
        text = f"gap less {times} x {information.text(12)}"
        return worst_of(
            [
                equals(
                    gap(m, explicit, square, slope, d + SPARE) - claimed, digits=d, message=text
                )
                for m in models()
            ]
        )

    return check


def by_parts(factor: Any) -> Check:
    """O25 (1): ``E s p'/p + factor E s' = 0`` for every model."""

    def check(ctx: Context) -> Evidence:
        d = digits_of(ctx)
        return worst_of(
            [
                equals(
                    _mean(m, "product", d + SPARE)
                    + _mean(m, "slope", d + SPARE) * rational(factor, "factor"),
                    digits=d,
                    message=f"E s p'/p + {factor} E s' of {m}",
                )
                for m in models()
            ]
        )

    return check


def boundary(term: Any) -> Check:
    """O25, where p s does not vanish: on Exp(1) ``E s p'/p + E s' + term s(0) = 0`` (1), in exact fractions."""

    def check(ctx: Context) -> Evidence:
        s = [Fraction(13, 10), Fraction(1, 2), Fraction(-1, 5)]  # E x^k = k!
        mean = sum((c * factorial(k) for k, c in enumerate(s)), Fraction(0))
        slope = sum((k * c * factorial(k - 1) for k, c in enumerate(s) if k), Fraction(0))
        rest = slope - mean + rational(term, "term") * s[0]
        message = f"on the exponential law, plus {term} x s(0)"
        return equals(exactly(rest, digits_of(ctx)), message=message)

    return check


@cache
def _dsm(model: str, route: str, target: Fraction, digits: int) -> Enclosed:
    """``E (s(x~) - target (x - x~)/sigma^2)^2``."""
    return enclose_dsm(
        law(),
        models()[model],
        variance=_VARIANCE,
        factor=1,
        target=target,
        route=route,
        digits=digits,
    )


@cache
def _noised_explicit(model: str, digits: int) -> Enclosed:
    q = law().diffuse(1, _VARIANCE)
    return enclose_mean(q, models()[model], "explicit", digits=digits)


@cache
def _spread(digits: int) -> Enclosed:
    return enclose_dsm_constant(law(), variance=_VARIANCE, factor=1, digits=digits)


def denoising_gap(times: Any, target: Any = 1) -> Check:
    """O9 as printed (0) and O10 (1): ``DSM - ESM(q_sigma) = times E Var(target | x~)`` for every model."""

    def check(ctx: Context) -> Evidence:
        d = digits_of(ctx)
        claimed = _spread(d + SPARE) * rational(times, "times")
        goal = rational(target, "target")
        return worst_of(
            [
                equals(
                    _dsm(m, "posterior", goal, d + SPARE)
                    - _noised_explicit(m, d + SPARE)
                    - claimed,
                    digits=d,
                    message=f"denoising less explicit loss of {m}, less {times} x the mean variance of the target",
                )
                for m in models()
            ]
        )

    return check


def denoising_gap_free_of_the_model(target: Any = 1) -> Check:
    """O10 (1): ``DSM - ESM(q_sigma)`` is one number for all models."""

    def check(ctx: Context) -> Evidence:
        d, goal = digits_of(ctx), rational(target, "target")
        gaps = {
            m: _dsm(m, "posterior", goal, d + SPARE) - _noised_explicit(m, d + SPARE)
            for m in models()
        }
        first, *others = gaps
        return worst_of(
            [
                equals(gaps[m] - gaps[first], digits=d, message=f"gap of {m} less that of {first}")
                for m in others
            ]
        )

    return check


def noise_form(power: int) -> Check:
    """O7 as printed (-2) and corrected (0): ``J_DSM = sigma^power / 2 E (s(x + sigma eps) + eps / sigma)^2``.

    The left side goes through the law of x given x~, the right one through that of eps.
    """

    def check(ctx: Context) -> Evidence:
        d = digits_of(ctx)
        weight = _STD**power / 2
        return worst_of(
            [
                equals(
                    _dsm(m, "posterior", Fraction(1), d + SPARE) / 2
                    - _dsm(m, "noise", Fraction(1), d + SPARE) * weight,
                    digits=d,
                    message=f"J_DSM of {m} less {weight} E (s + eps/sigma)^2, sigma = 3/5",
                )
                for m in models()
            ]
        )

    return check


def noise_weight(factor: Any, power: int) -> Check:
    """O8 (1/2, -2): ``J_DSM = factor sigma^power E (eps_theta - eps)^2`` with ``eps_theta = -sigma s``.

    ``E (eps_theta - eps)^2 = sigma^2 E (s + eps/sigma)^2``.
    """

    def check(ctx: Context) -> Evidence:
        d = digits_of(ctx)
        weight = rational(factor, "factor") * _STD**power
        return worst_of(
            [
                equals(
                    _dsm(m, "posterior", Fraction(1), d + SPARE) / 2
                    - _dsm(m, "noise", Fraction(1), d + SPARE) * _VARIANCE * weight,
                    digits=d,
                    message=f"J_DSM of {m} less w E (eps_theta - eps)^2 with w = {weight}, sigma = 3/5",
                )
                for m in models()
            ]
        )

    return check


def minimiser(variance: Any = _VARIANCE, factor: Any = 1) -> Check:
    """O6 (sigma^2, 1): the first variation of J_DSM at ``factor`` times the score of ``q_s``, s^2 = ``variance``."""

    def check(ctx: Context) -> Evidence:
        d = digits_of(ctx)
        at = MixtureScore(law().diffuse(1, variance), factor)
        directions = {"1 + x": PolynomialScore([1, 1]), "the network": models()["network"]}
        return worst_of(
            [
                equals(
                    enclose_variation(law(), at, h, variance=_VARIANCE, digits=d + SPARE),
                    digits=d,
                    message=f"derivative of J_DSM along {name}",
                )
                for name, h in directions.items()
            ]
        )

    return check
