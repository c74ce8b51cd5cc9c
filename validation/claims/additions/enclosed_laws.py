"""Priors, limits, likelihoods, averages, features and guidance in ball arithmetic: D8, D10, D14, N1, N2, G3."""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from typing import Any

from ....numerics.enclosure import Enclosed, Work, enclosed, exact, library, rational
from ....numerics.enclosure_laws import ExactMixture
from ....numerics.enclosure_models import PolynomialScore
from ....numerics.enclosure_objectives import (
    enclose_information,
    enclose_mean,
    expectation_ball,
)
from ....numerics.enclosure_points import enclose_log_density
from ...claim import Check, Context
from ...evidence import Evidence
from ..ball_evidence import SPARE, digits_of, equals, exactly, within, worst_of
from ..enclosures import law
from . import Addition
from .tools import ball

_DATA = (Fraction(1, 2), Fraction(3, 4))  #: mean and variance, E x^2 = 1


def prior(vp_end: Any = "10.05", ve_end: Any = 50) -> Check:
    """D8 (10.05, 50): from the usual prior the exact flow returns N(1/2, 3/4) within 0.02 of its deviations in W2.

    The flow is the map between the quantiles of ``x_T`` and the data, so that ``W2^2 / v = (s / sqrt V - 1)^2 +
    a^2 m^2 / V`` with ``V = a^2 v + u`` the variance of ``x_T``, u of the noise, s^2 of the prior.

    Args:
        vp_end: integral of beta up to the end.
        ve_end: sigma at the end, from 0.01 on; the prior has its square for variance.
    """

    def check(ctx: Context) -> Evidence:
        d, (m, v), pieces = digits_of(ctx), _DATA, []
        b, top = rational(vp_end, "vp_end"), rational(ve_end, "ve_end")

        def gap(square: Any, noise: Any, s: Any) -> Any:
            total = square * exact(v) + noise
            return (s / total.sqrt() - 1) ** 2 + square * exact(m**2) / total

        def vp(_: Work) -> Any:
            square = (-library().arb(exact(b))).exp()
            return gap(square, 1 - square, 1)

        def ve(_: Work) -> Any:
            arb = library().arb
            return gap(arb(1), arb(exact(top**2 - Fraction(1, 10**4))), arb(exact(top)))

        for name, f in (("VP", vp), ("VE", ve)):
            ball_ = enclosed(f, digits=d)
            text = f"squared W2 of what {name} returns, in variances"
            pieces.append(within(ball_, 0, Fraction(4, 10**4), message=text))
        return worst_of(pieces)

    return check


def truncation(score_power: int = 2, bias_power: int = 2) -> Check:
    """D10 (2, 2): across a line in the plane the score of data stopped at noise sigma has mean square ``sigma^-2``.

    Its law is off by ``W2^2 = sigma^2``, the mean square of what the noise adds across; both by integration.
    """

    def check(ctx: Context) -> Evidence:
        d, pieces = digits_of(ctx), []
        for sigma in (Fraction(1, 2), Fraction(1, 20), Fraction(1, 200)):
            q = ExactMixture.make([1], [0], [sigma**2])
            score = enclose_information(q, digits=d + SPARE) * sigma**score_power
            bias = enclose_mean(q, PolynomialScore([0, 1]), "square", digits=d + SPARE + 6)
            for name, one in (("score", score), ("bias", bias / sigma**bias_power)):
                text = f"mean square of the {name} at sigma = {sigma}, by its rate, less 1"
                pieces.append(equals(one - 1, digits=d, message=text))
        return worst_of(pieces)

    return check


@cache
def _rise(at: Fraction, square: Fraction, digits: int) -> Enclosed:
    """``1/2 int_0^4 (s_u' + square s_u^2)(x) du``, s_u the score of the law noised to variance u."""
    p = law()

    def compute(work: Work) -> Any:
        flint = library()
        x = flint.arb(exact(at))

        def integrand(u: Any, analytic: bool) -> Any:
            total, slope, curvature = flint.acb(0), flint.acb(0), flint.acb(0)
            for w, m, v in zip(p.weights, p.means, p.variances, strict=True):
                spread, off = u + exact(v), exact(m) - x
                e = (-(off * off) / (2 * spread)).exp() * exact(w)
                e = e / spread.sqrt(analytic=analytic)
                pull = off / spread
                total, slope = total + e, slope + pull * e
                curvature = curvature + (pull * pull - 1 / spread) * e
            s = slope / total
            return (curvature / total - s * s + s * s * exact(square)) / 2

        return work.integral(integrand, [0, 4])

    return enclosed(compute, digits=digits)


def likelihood(times: Any = 1, square: Any = 1) -> Check:
    """D14 (1, 1): ``log p(x) = log p_4(x) - times/2 int_0^4 (s_u' + square s_u^2)(x) du`` for the heat flow.

    The right side has the scores at all noise levels in it, and the last law, which they tell as well.
    """

    def check(ctx: Context) -> Evidence:
        d, pieces = digits_of(ctx), []
        c, share = rational(times, "times"), rational(square, "square")
        for x in (Fraction(-17, 10), Fraction(3, 5), Fraction(5, 2)):
            last = enclose_log_density(law().diffuse(1, 4), x, digits=d + SPARE)
            first = enclose_log_density(law(), x, digits=d + SPARE)
            rest = last - _rise(x, share, d + SPARE) * c - first
            text = f"log p = {first.text(12)} at x = {x}, less that from the scores"
            pieces.append(equals(rest, digits=d, message=text))
        return worst_of(pieces)

    return check


def average(closed_power: int = 1, correlated: bool = True) -> Check:
    """N1 (1, True): the average has ``(1-m)/(1+m) ((1+m r)/(1-m r))^closed_power`` of the variance.

    ``theta <- r theta + noise`` with ``r = 1 - step curvature``, ``e <- m e + (1-m) theta``; exact fractions of the
    stationary equations.

    Args:
        closed_power: of the factor that correlation brings.
        correlated: whether the stationary equations know the covariance of the average and the parameter.
    """

    def check(ctx: Context) -> Evidence:
        d, pieces = digits_of(ctx), []
        for r, m in (("19/20", "9/10"), ("1/5", "99/100"), ("-1/2", "1/2")):
            a, k = rational(r, "r"), rational(m, "m")
            covariance = (1 - k) / (1 - k * a) if correlated else Fraction(0)
            found = (2 * k * (1 - k) * a * covariance + (1 - k) ** 2) / (1 - k**2)
            claimed = (1 - k) / (1 + k) * ((1 + k * a) / (1 - k * a)) ** closed_power
            text = f"variance of the average over that of the parameter, r = {r}, decay {m}"
            pieces.append(equals(exactly(found - claimed, d), message=f"{text}, less the formula"))
            pieces.append(within(exactly(found, d), 0, "999/1000", message=text))
        return worst_of(pieces)

    return check


def features(rate: Any = 2, sign: int = 1) -> Check:
    """N2 (2, 1): ``E[sin sin + sign cos cos] = exp(-rate pi^2 s^2 (t - t')^2)`` for three pairs of times, s = 3/2."""
    s = Fraction(3, 2)
    w = ExactMixture.make([1], [0], [s**2])

    def mean(t: Fraction, other: Fraction, digits: int) -> Enclosed:
        def density(_: Any, z: Any, analytic: bool) -> Any:
            p = w.density_and_slope(z)[0]
            pi = library().arb.pi()
            a, b = z * exact(2 * t) * pi, z * exact(2 * other) * pi
            return p * (a.sin() * b.sin() + a.cos() * b.cos() * sign)

        return expectation_ball(
            w, PolynomialScore([0]), density, lambda g: [library().arb(2)], digits=digits
        )

    def check(ctx: Context) -> Evidence:
        d, c, pieces = digits_of(ctx), rational(rate, "rate"), []
        for t, other in (("0.3", "0.2"), ("0.9", "0.8"), ("0.35", "0.75")):
            a, b = rational(t, "t"), rational(other, "t'")
            kernel = enclosed(
                lambda _, a=a, b=b: (
                    -(library().arb.pi() ** 2) * exact(c * s**2 * (a - b) ** 2)
                ).exp(),
                digits=d + SPARE,
            )
            text = f"mean product at t = {t}, t' = {other}: {kernel.text(12)}"
            pieces.append(equals(mean(a, b, d + SPARE) - kernel, digits=d, message=text))
        return worst_of(pieces)

    return check


def guided(weight: int = 3, *, field: str = "guided", start: Any = 1) -> Check:
    """G3, as printed ("guided") and corrected ("tilted"): what the flow returns has the variance of the tilted law.

    ``p(x) = N(0, 2)``, ``p(y|x)`` Gaussian in x of variance 3/4; VP with the integral u of beta for a clock up to 5.
    The field at u is ``-k(u) x``, with ``k = (1-w)/V_p + w/V_c`` of the noised laws as printed, ``1/V_tilted`` as
    corrected; a flow multiplies the variance by ``exp(int_0^5 (1 - k))``, by integration.

    Args:
        weight: w.
        field: ``guided``, ``tilted``, or ``single``, the tilted one of weight 1.
        start: factor of the variance at the start.
    """
    free, seen = Fraction(2), Fraction(3, 4)

    def of(w: int) -> Fraction:
        return 1 / (1 / free + w / seen)

    def check(ctx: Context) -> Evidence:
        d, goal = digits_of(ctx), of(weight)
        laws = {
            "guided": ((1 - weight, free), (weight, of(1))),
            "tilted": ((1, goal),),
            "single": ((1, of(1)),),
        }[field]

        def compute(work: Work) -> Any:
            flint = library()

            def rate(u: Any, _: bool) -> Any:
                fall = (-u).exp()
                parts = (share / (1 + fall * exact(v - 1)) for share, v in laws)
                return 1 - sum(parts, flint.acb(0))

            last = 1 + (-flint.arb(5)).exp() * exact(goal - 1)
            return work.integral(rate, [0, 5]).exp() * last * exact(rational(start, "start"))

        ratio = enclosed(compute, digits=d + SPARE) / goal
        text = f"returned variance over that of the tilted law: {ratio.text(12)}, less 1"
        return equals(ratio - 1, digits=d, message=text)

    return check


ADDED: dict[str, Addition] = {
    "D8": ball(
        prior(),
        wrong=[("vp-ends-early", prior(2)), ("ve-ends-early", prior("10.05", 3))],
        name="enclosure-returned",
    ),
    "D10": ball(
        truncation(), wrong=[("rate-one", truncation(1, 2)), ("bias-sigma", truncation(2, 1))]
    ),
    "D14": ball(
        likelihood(),
        wrong=[
            ("not-halved", likelihood(2)),
            ("no-square", likelihood(1, 0)),
            ("sign", likelihood(-1)),
        ],
    ),
    "N1": ball(
        average(),
        wrong=[("independent-terms", average(0)), ("no-covariance", average(1, False))],
    ),
    "N2": ball(
        features(),
        wrong=[("rate-one", features(1)), ("rate-four", features(4)), ("sign", features(2, -1))],
    ),
    "G3": ball(
        guided(),
        wrong=[("weight-two", guided(2)), ("twice-the-start", guided(start=2))],
    ).and_corrected(
        ball(
            guided(field="tilted"),
            wrong=[("as-printed", guided()), ("weight-one", guided(field="single"))],
        )
    ),
}
