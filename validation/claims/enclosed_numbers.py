"""Ledger, checks by ball arithmetic on printed numbers, chains and kernels.

* S4, S8.a to S8.d and S8.f: :func:`decimal`; S8.e: :func:`quotient`; S8.g: :func:`cancelled`;
* L4, L5 and the bias of L6: :func:`stationary`;
* D1: :func:`exponential_noise`; D6: :func:`vp_variance`, :func:`sub_vp_variance`, :func:`ve_variance`;
* the kernels of the library in float64: :func:`in_float64`.

As in :mod:`enclosures`, whatever a text might have got wrong is an argument.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

from ...numerics.enclosure import Enclosed, Work, enclosed, exact, library, rational
from ...theory.diffusions import VE, VP, ExponentialNoise, SubVP
from ..claim import Check, Context
from ..evidence import Evidence
from .ball_evidence import SPARE, digits_of, equals, exactly, printed_as, within, worst_of
from .decimals import Example
from .tools import EPS

Formula = Callable[[Any], Any]  #: from a ball to a ball, entire
_TIMES = (Fraction(1, 1000), Fraction(3, 10), Fraction(1))


def example_ball(key: str, example: Example, digits: int) -> Enclosed:
    """A quantity of the worked example, see :meth:`Example.numbers`; its decimals are taken exactly.

    Args:
        key: name of the quantity.
        example: the parameters.
        digits: wanted after the point.

    Raises:
        ValueError: an unknown name.
    """

    def compute(work: Work) -> Any:
        arb = library().arb

        def f(text: str) -> Any:
            return arb(exact(rational(text, "example")))

        x, m, h = f(example.x), f(example.mode), f(example.step)
        norm = f(example.prior) / (2 * arb.pi()) ** f(example.norm_power)
        left = (-((x + m) ** 2) / f(example.half_width)).exp()
        right = (-((x - m) ** 2) / f(example.half_width)).exp()
        density = norm * (left + right)
        slope = norm * (-(x + m) * left - (x - m) * right)
        drift = f(example.drift_share) * h * slope / density
        noise = h ** f(example.noise_power) * f(example.z)
        values = {
            "density": density,
            "derivative": slope,
            "score": slope / density,
            "step": x + drift + noise,
            "left": left,
            "sum": left + right,
            "pull-left": (x + m) * left,
            "pull-right": -(x - m) * right,
            "drift": drift,
            "cancelled": abs(drift + noise) / abs(drift),
        }
        if key not in values:
            raise ValueError(f"key: got {key!r}, wanted one of {', '.join(values)}; correct it")
        return values[key]

    return enclosed(compute, digits=digits)


def decimal(key: str, text: str, example: Example | None = None) -> Check:
    """S4 and S8: a quantity of the example against the decimal that is printed for it.

    The right ones: density 0.0735, derivative 0.0752, score 1.0232, step 0.4563, left 0.0439, sum 0.3686, pull-left
    0.1098, pull-right 0.4870, drift 0.0512.
    """

    def check(ctx: Context) -> Evidence:
        ball = example_ball(key, example or Example(), digits_of(ctx))
        return printed_as(ball, text, message=f"{key}, printed {text}")

    return check


def quotient(top: str, bottom: str, text: str) -> Check:
    """S8.e: the quotient of two printed decimals (0.1504 / 0.1471 is 1.0224), in exact fractions."""

    def check(ctx: Context) -> Evidence:
        value = rational(top, "top") / rational(bottom, "bottom")
        return printed_as(exactly(value, digits_of(ctx)), text, message=f"{top} / {bottom}")

    return check


def cancelled(low: Any, high: Any, example: Example | None = None) -> Check:
    """S8.g (printed: 0, 1/5; right: 4/5, 9/10): what is left of the drift after the noise, in units of the drift."""

    def check(ctx: Context) -> Evidence:
        ball = example_ball("cancelled", example or Example(), digits_of(ctx))
        return within(ball, low, high, message="drift plus noise over the drift")

    return check


def stationary(step: Any, claimed: Callable[[Fraction, Fraction], Fraction]) -> Check:
    """L4 and L5: the stationary variance of ``x - (d/v) x + sqrt(2d) z`` on N(m, v) over a formula, less one.

    Exact fractions: ``V = (1 - d/v)^2 V + 2d``. Right is :func:`exact_variance`; L4 and L5 print ``v`` itself.

    Args:
        step: d; half of h in the convention of L5.
        claimed: ``(v, d) -> V``.
    """
    d = rational(step, "step")

    def check(ctx: Context) -> Evidence:
        pieces = []
        for v in (Fraction(1, 4), Fraction(9, 10)):
            found = 2 * d / (1 - (1 - d / v) ** 2)
            pieces.append(
                equals(
                    exactly(found / claimed(v, d) - 1, digits_of(ctx)),
                    message=f"variance {found} of the chain on variance {v}, relative excess",
                )
            )
        return worst_of(pieces)

    return check


def target_variance(v: Fraction, d: Fraction) -> Fraction:
    """What "exactly p" means: v."""
    return v


def exact_variance(v: Fraction, d: Fraction) -> Fraction:
    """``v / (1 - d / (2v))``."""
    return v / (1 - d / (2 * v))


def kernel_variance(log_scale: Formula, noise: Formula, time: Fraction, digits: int) -> Enclosed:
    """``v(t) = int_0^t g^2(s) exp(2 L(t) - 2 L(s)) ds``: solves ``v' = 2 f v + g^2`` with ``L' = f``, ``v(0) = 0``.

    Args:
        log_scale: L, entire.
        noise: ``g^2``, entire.
        time: t.
        digits: wanted after the point.
    """

    def compute(work: Work) -> Any:
        end = log_scale(library().acb(exact(time)))
        return work.integral(
            lambda s, _: noise(s) * (2 * (end - log_scale(s))).exp(), [0, exact(time)]
        )

    return enclosed(compute, digits=digits)


def _kernel(log_scale: Formula, noise: Formula, claimed: Formula, what: str) -> Check:
    def check(ctx: Context) -> Evidence:
        d = digits_of(ctx)
        pieces = []
        for t in _TIMES:
            solved = kernel_variance(log_scale, noise, t, d + SPARE)
            formula = enclosed(
                lambda work, t=t: claimed(library().acb(exact(t))).real, digits=d + SPARE
            )
            text = f"{what} at t = {t}: {solved.text(12)}, less the formula"
            pieces.append(equals(solved - formula, digits=d, message=text))
        return worst_of(pieces)

    return check


def exponential_noise(times: Any = "1/2", shift: Any = 1) -> Check:
    """D1 (1/2, 1): the variance of ``dx = e^t dw`` is ``times (e^{2t} - shift)``."""

    def claimed(t: Any) -> Any:
        return ((2 * t).exp() - exact(rational(shift, "shift"))) * exact(rational(times, "times"))

    return _kernel(lambda s: 0 * s, lambda s: (2 * s).exp(), claimed, "variance of e^t dw")


def _linear_beta(t: Any) -> tuple[Any, Any]:
    """The rate beta and its integral for the usual schedule from 1/10 to 20, decimals taken exactly."""
    low, rise = exact(Fraction(1, 10)), exact(Fraction(199, 10))
    return low + t * rise, t * low + t * t * rise / 2


def vp_variance(share: Any = 1) -> Check:
    """D6 (1): the variance of VP is ``1 - exp(-share B(t))``, ``B = int beta``."""

    def claimed(t: Any) -> Any:
        return 1 - (-_linear_beta(t)[1] * exact(rational(share, "share"))).exp()

    return _kernel(lambda s: -_linear_beta(s)[1] / 2, lambda s: _linear_beta(s)[0], claimed, "VP")


def sub_vp_variance(power: int = 2) -> Check:
    """D6, its sub-VP companion (2): the variance is ``(1 - exp(-B))^power``."""

    def noise(s: Any) -> Any:
        beta, total = _linear_beta(s)
        return beta * (1 - (-2 * total).exp())

    def claimed(t: Any) -> Any:
        return (1 - (-_linear_beta(t)[1]).exp()) ** power

    return _kernel(lambda s: -_linear_beta(s)[1] / 2, noise, claimed, "sub-VP")


def ve_variance(shift: Any = 1) -> Check:
    """D6 (1): with ``sigma(t) = sigma_0 r^t`` the variance of VE is ``sigma_0^2 (r^{2t} - shift)``; 1/100 and 5000."""

    def rate() -> Any:
        return library().arb(5000).log() * 2

    def noise(s: Any) -> Any:
        return rate() * (rate() * s).exp() / 10_000

    def claimed(t: Any) -> Any:
        return ((rate() * t).exp() - exact(rational(shift, "shift"))) / 10_000

    return _kernel(lambda s: 0 * s, noise, claimed, "VE")


def in_float64(scale: float = 1.0) -> Check:
    """The kernels of the library (1) in float64 against balls of their formulas, down to t = 1e-9.

    Parameters and times are the binary numbers that the code sees; relative errors of 32 units are allowed.
    """

    def check(ctx: Context) -> Evidence:
        low, high = exact(rational(0.1, "beta")), exact(rational(20.0, "beta"))
        least, most = exact(rational(0.01, "sigma")), exact(rational(50.0, "sigma"))

        def total(t: Any) -> Any:
            return t * low + t * t * (high - low) / 2

        def growth(t: Any) -> Any:
            return ((library().arb(most) / least).log() * 2 * t).expm1() * least * least

        formulas: list[tuple[Any, Formula]] = [
            (VP(), lambda t: -(-total(t)).expm1()),
            (SubVP(), lambda t: (-total(t)).expm1() ** 2),
            (VE(), growth),
            (ExponentialNoise(), lambda t: (2 * t).expm1() / 2),
        ]
        pieces = []
        for sde, formula in formulas:
            for time in (1e-9, 1e-3, 0.3, 1.0):
                shown = rational(float(sde.kernel(time).variance) * scale, "variance")
                t = rational(time, "time")
                ball = enclosed(
                    lambda work, t=t, f=formula: f(library().arb(exact(t))),
                    digits=40 + digits_of(ctx),
                )
                size = rational(32 * EPS, "bound")
                text = f"{sde} at t = {time:g}, relative error of the variance"
                pieces.append(within((shown - ball) / ball, -size, size, message=text))
        return worst_of(pieces)

    return check
