"""Scores in ball arithmetic: the worked examples S4, S5, S8, and S6, S9, S10, S11 at points."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from ....numerics.enclosure import rational
from ....numerics.enclosure_laws import ExactMixture
from ....numerics.enclosure_objectives import enclose_information
from ....numerics.enclosure_points import enclose_log_density, enclose_score
from ...claim import Check, Context
from ...evidence import Evidence
from ..ball_evidence import SPARE, digits_of, equals, exactly, printed_as, within, worst_of
from ..decimals import Example
from ..enclosed_numbers import cancelled, decimal, quotient
from . import Addition
from .tools import ball

_SHIFTED = ("modes-at-1.5", Example(mode="1.5"))
_WIDE = ("variance-one-half", Example(half_width="1"))
_WHOLE = ("full-step", Example(drift_share="1"))
_NEAR = ("wrong-point", Example(x="0.4"))


def _printed(key: str, text: str, *wrong: tuple[str, Example]) -> Addition:
    return ball(decimal(key, text), wrong=[(name, decimal(key, text, e)) for name, e in wrong])


def _decimal(key: str, shown: str, right: str, *wrong: tuple[str, Example]) -> Addition:
    return _printed(key, shown, *wrong).and_corrected(_printed(key, right, *wrong))


def training_example(power: int = 1, sign: int = -1, half: Any = 1) -> Check:
    """S5 (1, -1, 1): ``x + sigma^power eps``, ``half (predicted - eps)^2``, ``sign predicted / sigma^power``."""

    def check(ctx: Context) -> Evidence:
        x, eps, predicted = Fraction(2), Fraction(4, 5), Fraction(3, 5)
        sigma = Fraction(1, 2) ** power
        shown = {
            "2.4": x + sigma * eps,
            "0.04": rational(half, "half") * (predicted - eps) ** 2,
            "-1.2": sign * predicted / sigma,
            "-1.6": sign * eps / sigma,
        }
        return worst_of(
            [printed_as(exactly(v, digits_of(ctx)), text) for text, v in shown.items()]
        )

    return check


def across(point_power: int = 2, square_power: int = 2) -> Check:
    """S6 (2, 2): across a subspace ``sigma^2 s(y) / -y = 1`` and ``sigma^2 E s^2 = 1``, down to sigma = 1/1000."""

    def check(ctx: Context) -> Evidence:
        d, y, pieces = digits_of(ctx), Fraction(1, 5), []
        for sigma in (Fraction(1, 10), Fraction(1, 100), Fraction(1, 1000)):
            q = ExactMixture.make([1], [0], [sigma**2])
            at = enclose_score(q, y, digits=d + SPARE) * (sigma**point_power / -y)
            square = enclose_information(q, digits=d + SPARE) * sigma**square_power
            text = f"at sigma = {sigma}"
            pieces.append(equals(at - 1, digits=d, message=f"rate of the score at 1/5 {text}"))
            pieces.append(equals(square - 1, digits=d, message=f"rate of its mean square {text}"))
        return worst_of(pieces)

    return check


#: a wide mode and a narrow one, so far apart that the density between them is below 1e-6 of its highest value
_FAR = ExactMixture.make(["0.6", "0.4"], [-8, 8], ["1.2", "0.8"])


def valley(times: Any = 1, at: Any = "0.81") -> Check:
    """S9 as printed (1): ``times s(x)^2`` is above ``E s^2`` between modes, where the density fell by 1e-6."""

    def check(ctx: Context) -> Evidence:
        d, x = digits_of(ctx), rational(at, "at")
        fall = enclose_log_density(_FAR, x, digits=d) - enclose_log_density(_FAR, 8, digits=d)
        low = within(fall, -(10**6), Fraction(-1382, 100), message="log of the density ratio")
        s = enclose_score(_FAR, x, digits=d + SPARE)
        share = s * s * rational(times, "times") / enclose_information(_FAR, digits=d + SPARE)
        above = within(share, 1, 10**9, message=f"s(x)^2 / E s^2 at x = {x}")
        return worst_of([above, low])

    return check


def far_out(variance: Any = "1.2", mean: Any = -8) -> Check:
    """S9 corrected (1.2, -8: of the wide mode): ``s(x) = -(x - m) / v`` far out on both sides."""

    def check(ctx: Context) -> Evidence:
        d, v, m = digits_of(ctx), rational(variance, "variance"), rational(mean, "mean")
        size, pieces = Fraction(1, 10**d), []
        for x in (-400, 400, 4000):
            rest = enclose_score(_FAR, x, digits=d + SPARE) + (x - m) / v
            text = f"s(x) + (x - m) / v at x = {x}"
            pieces.append(within(rest, -size, size, message=text))
        return worst_of(pieces)

    return check


def toward_the_nearest(narrow: Any = "0.04", light: Any = "0.2", sign: int = 1) -> Check:
    """S10 as printed: 1.6 from a narrow mode, 6.4 from a wide one, ``sign s`` points to the narrow one."""

    def check(ctx: Context) -> Evidence:
        w = rational(light, "light")
        p = ExactMixture.make([1 - w, w], [0, 8], ["6.25", narrow])
        s = enclose_score(p, "6.4", digits=digits_of(ctx)) * sign
        return within(s, 0, 10**6, message="s(6.4) along the way to the nearest mode, at 8")

    return check


def concave(times: Any = 1) -> Check:
    """S10 corrected (1): for log-concave p, ``times s(x) (m - x) >= log p(m) - log p(x)``, m near the mode."""

    def check(ctx: Context) -> Evidence:
        d, m, pieces = digits_of(ctx), Fraction(23, 100), []
        # Two equal Gaussians less than two deviations apart have a concave logarithm whatever their weights.
        p = ExactMixture.make(["0.7", "0.3"], [0, "1.1"], ["0.64", "0.64"])
        for x in ("-2.5", "-0.4", "0.9", 3):
            rise = enclose_log_density(p, m, digits=d) - enclose_log_density(p, x, digits=d)
            s = enclose_score(p, x, digits=d) * rational(times, "times")
            rest = s * (m - rational(x, "x")) - rise
            pieces.append(within(rest, 0, 10**6, message=f"s (m - x) less the rise, x = {x}"))
        return worst_of(pieces)

    return check


#: data points about their centre, all of them within one of it
_POINTS = ("-0.9", "-0.4", "0.7")
_LEVELS = ("0.05", "0.2")


def _noised(std: Fraction) -> ExactMixture:
    return ExactMixture.make(["0.2", "0.5", "0.3"], _POINTS, [std**2] * 3)


def far_is_weak(times: Any = 1, factor: Any = 1) -> Check:
    """S11 as printed (1, 1): ten radii out ``times s(x)^2 <= factor E s^2``."""

    def check(ctx: Context) -> Evidence:
        d, pieces = digits_of(ctx), []
        for text in _LEVELS:
            q = _noised(rational(text, "sigma"))
            s = enclose_score(q, 10, digits=d)
            share = s * s * rational(times, "times") / enclose_information(q, digits=d)
            most = rational(factor, "factor")
            pieces.append(within(share, 0, most, message=f"s(10)^2 / E s^2 at sigma = {text}"))
        return worst_of(pieces)

    return check


def far_size(power: int = 2, share: Any = 1) -> Check:
    """S11 corrected (2, 1): ``|sigma^power |s(x)| - |x|| <= share R`` for data within R = 1 of zero."""

    def check(ctx: Context) -> Evidence:
        d, r, pieces = digits_of(ctx), rational(share, "share"), []
        for text in ("0.01", *_LEVELS):
            std = rational(text, "sigma")
            for x in (-10, 10, 100):
                s = enclose_score(_noised(std), x, digits=d) * (-1 if x > 0 else 1)
                rest = s * std**power - abs(x)
                label = f"sigma^{power} |s| - |x| at x = {x}, sigma = {text}"
                pieces.append(within(rest, -r, r, message=label))
        return worst_of(pieces)

    return check


ADDED: dict[str, Addition] = {
    "S4.density": _decimal("density", "0.1471", "0.0735", _SHIFTED, _WIDE),
    "S4.derivative": _decimal("derivative", "0.1504", "0.0752", _SHIFTED, _WIDE),
    "S4.score": _decimal("score", "1.0227", "1.0232", _SHIFTED, _WIDE),
    "S4.step": _printed("step", "0.4563", _WHOLE, ("sign-of-noise", Example(z="0.3"))),
    "S5": ball(
        training_example(),
        wrong=[
            ("variance-for-sigma", training_example(power=2)),
            ("sign", training_example(sign=1)),
            ("halved-loss", training_example(half="1/2")),
        ],
    ),
    "S8.a": _decimal("left", "0.0440", "0.0439", _NEAR, _SHIFTED),
    "S8.b": _decimal("sum", "0.3687", "0.3686", _NEAR, _SHIFTED),
    "S8.c": _decimal("pull-left", "0.1100", "0.1098", _NEAR, _SHIFTED),
    "S8.d": _decimal("pull-right", "0.4871", "0.4870", _NEAR, _SHIFTED),
    "S8.e": ball(
        quotient("0.1504", "0.1471", "1.0227"),
        wrong=[
            ("inverted", quotient("0.1471", "0.1504", "1.0227")),
            ("other-numbers", quotient("0.3771", "0.2507", "1.0227")),
        ],
    ).and_corrected(
        ball(
            quotient("0.1504", "0.1471", "1.0224"),
            wrong=[
                ("inverted", quotient("0.1471", "0.1504", "1.0224")),
                ("as-printed", quotient("0.1504", "0.1471", "1.0227")),
            ],
        )
    ),
    "S8.f": _decimal("drift", "0.0511", "0.0512", _WHOLE, _SHIFTED),
    "S8.g": ball(
        cancelled(0, "1/5"),
        wrong=[
            ("sign-of-noise", cancelled(0, "1/5", Example(z="0.3"))),
            ("no-noise", cancelled(0, "1/5", Example(z="0"))),
        ],
    ).and_corrected(
        ball(
            cancelled("4/5", "9/10"),
            wrong=[
                ("smaller-noise", cancelled("4/5", "9/10", Example(z="-0.17"))),
                ("sign-of-noise", cancelled("4/5", "9/10", Example(z="0.3"))),
            ],
        )
    ),
    "S6": ball(
        across(),
        wrong=[("rate-one-at-a-point", across(1, 2)), ("rate-one-in-the-mean", across(2, 1))],
    ),
    "S9": ball(
        valley(), wrong=[("half-the-score", valley("1/4")), ("at-0.8", valley(1, "0.8"))]
    ).and_corrected(
        ball(
            far_out(),
            wrong=[
                ("narrow-mode", far_out("0.8", 8)),
                ("mean-of-the-other", far_out("1.2", 8)),
            ],
        )
    ),
    "S10": ball(
        toward_the_nearest(),
        wrong=[
            ("narrower", toward_the_nearest("0.01")),
            ("lighter", toward_the_nearest("0.04", "0.1")),
        ],
    ).and_corrected(
        ball(concave(), wrong=[("half-the-score", concave("1/2")), ("sign", concave(-1))])
    ),
    "S11": ball(
        far_is_weak(),
        wrong=[("half-the-score", far_is_weak("1/4")), ("twice-the-size", far_is_weak(1, 4))],
    ).and_corrected(
        ball(
            far_size(),
            wrong=[("sigma-once", far_size(1)), ("a-fifth-of-the-radius", far_size(2, "1/5"))],
        )
    ),
}
