"""Several noise levels in ball arithmetic: O14 to O18, O21, O22 and O24."""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from typing import Any

from ....numerics.enclosure import Enclosed, rational
from ....numerics.enclosure_laws import ExactMixture
from ....numerics.enclosure_models import MixtureScore, PolynomialScore
from ....numerics.enclosure_noise import enclose_dsm, enclose_dsm_constant, enclose_variation
from ....numerics.enclosure_objectives import enclose_information, enclose_mean
from ...claim import Check, Context
from ...evidence import Evidence
from ..ball_evidence import SPARE, digits_of, equals, within, worst_of
from . import Addition
from .tools import ball


@cache
def law() -> ExactMixture:
    """Two unequal components, wide enough that their density has no zeros near the line: every ball is quick."""
    return ExactMixture.make(["0.7", "0.3"], ["-0.5", "1.3"], ["0.6", "0.9"])


_LEVELS = (Fraction(2, 5), Fraction(4, 5), Fraction(3, 2))
_ENDS = (Fraction(1, 10), Fraction(1), Fraction(20))  #: of the noise, from small to large
_ZERO = PolynomialScore([0])


@cache
def _information(sigma: Fraction, digits: int) -> Enclosed:
    return enclose_information(law().diffuse(1, sigma**2), digits=digits)


@cache
def _spread(sigma: Fraction, digits: int) -> Enclosed:
    """``E Var[target | x~]``."""
    return enclose_dsm_constant(law(), variance=sigma**2, factor=1, digits=digits)


@cache
def _loss(sigma: Fraction, factor: Fraction | None, digits: int) -> Enclosed:
    """``E |s(x~) - target|^2`` of ``factor`` times the score of q, or of the zero model."""
    zero = factor is None
    model = _ZERO if zero else MixtureScore(law().diffuse(1, sigma**2), factor)
    return enclose_dsm(law(), model, variance=sigma**2, factor=1, digits=digits)


@cache
def _at_clean(sigma: Fraction, digits: int) -> Enclosed:
    """``E |s(x)|^2`` of the score of q at clean points."""
    return enclose_mean(law(), MixtureScore(law().diffuse(1, sigma**2)), "square", digits=digits)


def gain_at_clean(factor: Any = 1, power: int = 2) -> Check:
    """O14 as printed: with s at the clean x the loss of ``factor`` times the score is below that of zero.

    The target is independent of x and has mean zero, so that the difference of the losses is ``-E |s(x)|^2``.
    """

    def check(ctx: Context) -> Evidence:
        d, f = digits_of(ctx), rational(factor, "factor")
        gains = [_at_clean(sigma, d) * (-(f**2) * sigma**power) for sigma in _LEVELS]
        text = "loss of zero less that of the scores, s at the clean x"
        return within(gains[0] + gains[1] + gains[2], 0, 100, message=text)

    return check


def gain_at_noisy(factor: Any = 1, power: int = 2) -> Check:
    """O14 corrected: the same with s at the noisy point."""

    def check(ctx: Context) -> Evidence:
        d, f = digits_of(ctx), rational(factor, "factor")
        gains = [(_loss(sigma, None, d) - _loss(sigma, f, d)) * sigma**power for sigma in _LEVELS]
        text = "loss of zero less that of the scores, s at the noisy point"
        return within(gains[0] + gains[1] + gains[2], 0, 100, message=text)

    return check


@cache
def _variation(sigma: Fraction, of: Fraction, factor: Fraction, digits: int) -> Enclosed:
    at = MixtureScore(law().diffuse(1, of**2), factor)
    return enclose_variation(
        law(), at, PolynomialScore([1, 1, "-1/3"]), variance=sigma**2, digits=digits
    )


def all_levels(factor: Any = 1, swapped: bool = False) -> Check:
    """O15 (1, False): the derivative of the sum vanishes for every weighting, along a polynomial at each level."""

    def check(ctx: Context) -> Evidence:
        d, f = digits_of(ctx), rational(factor, "factor")
        models = _LEVELS[::-1] if swapped else _LEVELS
        parts = [_variation(s, m, f, d + SPARE) for s, m in zip(_LEVELS, models, strict=True)]
        pieces = []
        for name, weights in (
            ("sigma^2", [s**2 for s in _LEVELS]),
            ("1", [Fraction(1)] * 3),
            ("1/sigma", [1 / s for s in _LEVELS]),
            ("uneven", [Fraction(5), Fraction(1, 100), Fraction(2)]),
        ):
            total = parts[0] * weights[0] + parts[1] * weights[1] + parts[2] * weights[2]
            pieces.append(equals(total, digits=d, message=f"derivative, weights {name}"))
        return worst_of(pieces)

    return check


def proportional(power: int = 2, most: Any = 2) -> Check:
    """O16 as printed (2, 2): ``sigma^power E |score of q|^2`` is between ``1/most`` and ``most`` at all levels.

    On the line ``E |x~ - x|^2 = sigma^2``.
    """

    def check(ctx: Context) -> Evidence:
        d, factor, pieces = digits_of(ctx), rational(most, "most"), []
        for sigma in _ENDS:
            share = _information(sigma, d) * sigma**power
            text = f"sigma^{power} E |score|^2 at sigma = {sigma}"
            pieces.append(within(share, 1 / factor, factor, message=text))
        return worst_of(pieces)

    return check


def even_norm(power: int = 2, most: Any = 4) -> Check:
    """O24 as printed (2, 4): the ratio of ``sigma^power E |score of q|^2`` at both ends; 4 is 2 in the norm."""

    def check(ctx: Context) -> Evidence:
        d, factor, (first, *_, last) = digits_of(ctx), rational(most, "most"), _ENDS
        ratio = (_information(last, d) * last**power) / (_information(first, d) * first**power)
        text = f"sigma^{power} E |score|^2 at {last} over that at {first}"
        return within(ratio, 1 / factor, factor, message=text)

    return check


def information(times: Any = 1, power: int = -2) -> Check:
    """O16 and O24 corrected (1, -2): ``E |score of q|^2 = sigma^power - times sigma^-4 E Var[x | x~]``."""

    def check(ctx: Context) -> Evidence:
        d, pieces = digits_of(ctx), []
        for sigma in _ENDS:
            claimed = sigma**power - _spread(sigma, d + SPARE) * rational(times, "times")
            found = _information(sigma, d + SPARE)
            text = f"E |score|^2 = {found.text(12)} at sigma = {sigma}, less the formula"
            pieces.append(equals(found - claimed, digits=d, message=text))
        return worst_of(pieces)

    return check


def even_at_the_optimum(power: int = 2, most: Any = 10) -> Check:
    """O17 as printed (2, 10): the weighted loss at the optimum at the largest level over that at the smallest."""

    def check(ctx: Context) -> Evidence:
        d, factor = digits_of(ctx), rational(most, "most")
        first, last = _ENDS[0], _ENDS[-1]
        ratio = (_spread(first, d + SPARE) * first**power) / (
            _spread(last, d + SPARE) * last**power
        )
        return within(
            ratio, 1 / factor, factor, message=f"weighted loss at {first} over that at {last}"
        )

    return check


def weighted(power: int = 2, times: Any = 1) -> Check:
    """O17 corrected (2, 1): ``lambda L`` is one for the zero model, ``1 - times sigma^2 E |s|^2`` at the optimum."""

    def check(ctx: Context) -> Evidence:
        d, one, pieces = digits_of(ctx), Fraction(1), []
        for sigma in _ENDS:
            weight = sigma**power
            zero = _loss(sigma, None, d + SPARE + 3) * weight - 1
            claimed = 1 - _information(sigma, d + SPARE + 3) * sigma**2 * rational(times, "times")
            least = _loss(sigma, one, d + SPARE + 3) * weight - claimed
            pieces.append(equals(zero, digits=d, message=f"zero model at sigma = {sigma}, less 1"))
            pieces.append(equals(least, digits=d, message=f"optimum at sigma = {sigma}"))
        return worst_of(pieces)

    return check


#: (scale, variance): of VP, VE, sub-VP and the straight path
_KERNELS = (
    (Fraction(4, 5), Fraction(9, 25)),
    (Fraction(1), Fraction(9)),
    (Fraction(4, 5), Fraction(81, 625)),
    (Fraction(3, 4), Fraction(1, 16)),
)


def balancing(power: int = 1, times: Any = 1) -> Check:
    """O18 (1, 1): ``times v^power E |grad log p(x_t | x_0)|^2 = 1`` for kernels of several diffusions."""

    def check(ctx: Context) -> Evidence:
        d, factor, pieces = digits_of(ctx), rational(times, "times"), []
        for a, v in _KERNELS:
            square = enclose_dsm(
                law(), _ZERO, scale=a, variance=v, factor=1, route="noise", digits=d + SPARE
            )
            text = f"second moment of the target, a = {a}, v = {v}, weighted, less 1"
            pieces.append(equals(square * v**power * factor - 1, digits=d, message=text))
        return worst_of(pieces)

    return check


def blind(distance: Any = 10, shift: Any = 0) -> Check:
    """O21 (10, 0): weights 1/5 for 7/10 of modes that far apart cost less than 1e-6 of the loss of s = 0."""

    def check(ctx: Context) -> Evidence:
        d, gap, off = digits_of(ctx), rational(distance, "distance"), rational(shift, "shift")
        ends, v = (-gap / 2, gap / 2), Fraction(3, 5)
        p = ExactMixture.make(["0.3", "0.7"], ends, [v, v])
        other = ExactMixture.make(["0.8", "0.2"], [e + off for e in ends], [v, v])
        lost = enclose_mean(p, MixtureScore(other), "explicit", digits=d + SPARE)
        share = lost / enclose_information(p, digits=d + SPARE)
        return within(share, 0, "1e-6", message="loss of the wrong weights over that of s = 0")

    return check


@cache
def _left(sigma: Fraction, factor: Fraction, digits: int) -> Enclosed:
    q = MixtureScore(law().diffuse(1, sigma**2), factor)
    return enclose_mean(law(), q, "explicit", digits=digits)


def same_minimiser(sigma: Any = "0.3", factor: Any = 1) -> Check:
    """O22 as printed: the score of the noised law leaves no explicit loss on the data law."""

    def check(ctx: Context) -> Evidence:
        d = digits_of(ctx)
        rest = _left(rational(sigma, "sigma"), rational(factor, "factor"), d + SPARE)
        return equals(rest, digits=d, message=f"explicit loss on p, sigma = {sigma}")

    return check


def fourth_order(power: int = 4, factor: Any = 1) -> Check:
    """O22 corrected (4, 1): halving a small sigma divides that loss by ``2^power``, within a tenth."""

    def check(ctx: Context) -> Evidence:
        d, f = digits_of(ctx), rational(factor, "factor")
        ratio = _left(Fraction(1, 25), f, d + SPARE + 6) / _left(Fraction(1, 50), f, d + SPARE + 6)
        share = ratio / Fraction(2) ** power
        return within(share, "9/10", "11/10", message=f"loss at 1/25 over 1/50, by 2^{power}")

    return check


_INFORMATION = ball(
    information(),
    wrong=[
        ("no-variance", information(0)),
        ("half-the-variance", information("1/2")),
        ("sigma-once", information(1, -1)),
    ],
)

ADDED: dict[str, Addition] = {
    "O14": ball(
        gain_at_clean(),
        wrong=[("half-the-score", gain_at_clean("1/2")), ("sigma-once", gain_at_clean(1, 1))],
    ).and_corrected(
        ball(
            gain_at_noisy(),
            wrong=[
                ("three-times-the-score", gain_at_noisy(3)),
                ("sign-of-the-score", gain_at_noisy(-1)),
                ("at-the-clean-x", gain_at_clean()),
            ],
        )
    ),
    "O15": ball(
        all_levels(),
        wrong=[("nine-tenths", all_levels("9/10")), ("levels-swapped", all_levels(1, True))],
    ),
    "O16": ball(
        proportional(), wrong=[("sigma-once", proportional(1)), ("no-sigma", proportional(0))]
    ).and_corrected(_INFORMATION),
    "O24": ball(
        even_norm(), wrong=[("sigma-cubed", even_norm(3)), ("no-sigma", even_norm(0))]
    ).and_corrected(_INFORMATION),
    "O17": ball(
        even_at_the_optimum(),
        wrong=[("unweighted", even_at_the_optimum(0)), ("sigma-once", even_at_the_optimum(1))],
    ).and_corrected(
        ball(
            weighted(),
            wrong=[("sigma-once", weighted(1)), ("half-the-information", weighted(2, "1/2"))],
        )
    ),
    "O18": ball(
        balancing(),
        wrong=[("variance-squared", balancing(2)), ("half", balancing(1, "1/2"))],
    ),
    "O21": ball(blind(), wrong=[("near-modes", blind(3)), ("modes-moved", blind(10, "0.1"))]),
    "O22": ball(
        same_minimiser(),
        wrong=[
            ("larger-noise", same_minimiser("0.6")),
            ("nine-tenths", same_minimiser("0.3", "0.9")),
        ],
    ).and_corrected(
        ball(
            fourth_order(),
            wrong=[("second-order", fourth_order(2)), ("nine-tenths", fourth_order(4, "0.9"))],
        )
    ),
}
