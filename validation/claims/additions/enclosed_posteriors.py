"""Scores as means given the noised point, in ball arithmetic: O11, O12, O13, O23, O26.

The means are quotients of integrals by Bayes' rule, see :func:`enclose_posterior_mean`; the scores are those of the
noised mixture.
"""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from typing import Any

from ....numerics.enclosure import Enclosed, rational
from ....numerics.enclosure_laws import ExactMixture
from ....numerics.enclosure_points import enclose_posterior_mean, enclose_score
from ...claim import Check, Context
from ...evidence import Evidence
from ..ball_evidence import SPARE, digits_of, equals, worst_of
from ..enclosures import law
from . import Addition
from .tools import ball

_POINTS = (Fraction(-8, 5), Fraction(1, 4), Fraction(13, 5))
_STD = Fraction(3, 5)  #: of the noise
_VP = Fraction(4, 5)  #: the factor of x_0 whose square is 1 - sd^2
#: (x_0, eps): draws that are not those of a symmetric law
_DRAWS = ((Fraction(-7, 5), Fraction(1, 2)), (Fraction(3, 5), Fraction(-6, 5)))


@cache
def _score(scale: Fraction, at: Fraction, digits: int) -> Enclosed:
    return enclose_score(law().diffuse(scale, _STD**2), at, digits=digits)


@cache
def _mean(scale: Fraction, at: Fraction, digits: int) -> Enclosed:
    return enclose_posterior_mean(law(), at, scale=scale, variance=_STD**2, digits=digits)


def tweedie(power: int = 2, sign: int = 1) -> Check:
    """O11 (2, 1): ``E[x | x~] = x~ + sign sigma^power grad log q(x~)``."""

    def check(ctx: Context) -> Evidence:
        d, one, pieces = digits_of(ctx), Fraction(1), []
        for x in _POINTS:
            s = _score(one, x, d + SPARE) * (sign * _STD**power)
            mean = _mean(one, x, d + SPARE)
            text = f"E[x | x~] = {mean.text(12)} at x~ = {x}, less the denoiser"
            pieces.append(equals(mean - s - x, digits=d, message=text))
        return worst_of(pieces)

    return check


def noise_mean(power: int = 1, sign: int = -1, scale: Any = _VP) -> Check:
    """O13 (1, -1): ``E[eps | x_t] = sign sd^power grad log q(x_t)``, ``eps = (x_t - a x_0) / sd``."""
    a = rational(scale, "scale")

    def check(ctx: Context) -> Evidence:
        d, pieces = digits_of(ctx), []
        for x in _POINTS:
            noise = (x - _mean(a, x, d + SPARE) * a) / _STD
            rest = noise - _score(a, x, d + SPARE) * (sign * _STD**power)
            text = f"E[eps | x_t] = {noise.text(12)} at x_t = {x}, less the scaled score"
            pieces.append(equals(rest, digits=d, message=text))
        return worst_of(pieces)

    return check


def draw(scale: Any, power: int = 1, sign: int = -1) -> Check:
    """O12 (4/5) and O23 (1) as printed: ``grad log q(x_t) = sign eps / sd^power`` at a draw."""
    a = rational(scale, "scale")

    def check(ctx: Context) -> Evidence:
        d, pieces = digits_of(ctx), []
        for x0, eps in _DRAWS:
            x = a * x0 + _STD * eps
            s = _score(a, x, d + SPARE)
            text = (
                f"score {s.text(12)} for the draw x_0 = {x0}, eps = {eps}, less that of the draw"
            )
            pieces.append(equals(s - sign * eps / _STD**power, digits=d, message=text))
        return worst_of(pieces)

    return check


def mean_of_draws(scale: Any, power: int = 1, sign: int = -1) -> Check:
    """O12 and O23 corrected (1, -1): ``grad log q(x_t) = E[sign eps / sd^power | x_t]``."""
    a = rational(scale, "scale")

    def check(ctx: Context) -> Evidence:
        d, pieces = digits_of(ctx), []
        for x0, eps in _DRAWS:
            x = a * x0 + _STD * eps
            noise = (x - _mean(a, x, d + SPARE) * a) / _STD
            rest = _score(a, x, d + SPARE) - noise * (sign / _STD**power)
            text = f"score at x_t = {x}, less the mean of the draws that lead there"
            pieces.append(equals(rest, digits=d, message=text))
        return worst_of(pieces)

    return check


def conditional(power: int = 2, sign: int = 1) -> Check:
    """O26 (2, 1), and a part of O12 and O23: the score of ``N(a x, sigma^2)`` is ``sign (a x - x~) / sigma^power``."""

    def check(ctx: Context) -> Evidence:
        d, pieces = digits_of(ctx), []
        for sigma in (Fraction(1, 10), _STD, Fraction(2)):
            for x0, eps in _DRAWS:
                x = x0 + sigma * eps
                s = enclose_score(ExactMixture.make([1], [x0], [sigma**2]), x, digits=d + SPARE)
                text = f"at eps = {eps}, sigma = {sigma}"
                for claimed in ((x0 - x) / sigma**power, -eps / sigma ** (power - 1)):
                    rest = s - sign * claimed
                    pieces.append(equals(rest, digits=d, message=f"{text}, less {claimed}"))
        return worst_of(pieces)

    return check


def _for_one_draw(scale: Any) -> Addition:
    return ball(
        draw(scale),
        wrong=[("sign", draw(scale, sign=1)), ("variance-for-deviation", draw(scale, 2))],
    ).and_corrected(
        ball(
            mean_of_draws(scale),
            wrong=[
                ("sign", mean_of_draws(scale, sign=1)),
                ("variance-for-deviation", mean_of_draws(scale, 2)),
                ("one-draw", draw(scale)),
            ],
        )
    )


ADDED: dict[str, Addition] = {
    "O11": ball(
        tweedie(), wrong=[("sigma-once", tweedie(1)), ("sign-of-the-score", tweedie(2, -1))]
    ),
    "O13": ball(
        noise_mean(),
        wrong=[("sign", noise_mean(1, 1)), ("variance-for-deviation", noise_mean(2))],
    ),
    "O12": _for_one_draw(_VP),
    "O23": _for_one_draw(1),
    "O26": ball(
        conditional(), wrong=[("sign", conditional(2, -1)), ("sigma-once", conditional(1))]
    ),
}
