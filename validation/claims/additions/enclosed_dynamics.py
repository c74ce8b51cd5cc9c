"""Chains, reversals and kernels in ball arithmetic: L4 to L6, L12, D1 to D6."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from functools import cache
from typing import Any

from ....numerics.enclosure import Enclosed, Work, enclosed, exact, library, rational
from ...claim import Check, Context
from ...evidence import Evidence
from .. import enclosed_numbers as n
from ..ball_evidence import SPARE, digits_of, equals, exactly, within, worst_of
from . import Addition
from .tools import ball

_VARIANCES = (Fraction(1, 4), Fraction(9, 4))  #: of the data, in D2 to D5
_END = 3  #: B(T), the integral of beta up to the end


@cache
def returned(start: Fraction, score: Fraction, noise: int, digits: int) -> Enclosed:
    """Variance at time zero of ``dx = [f - score g^2 grad log p_t] dt + sqrt(noise) g dw``, run from T back to 0.

    VP with the integral u of beta for a clock, data N(0, start), so that ``V(u) = 1 + (start - 1) e^-u`` and the
    score is ``-x / V``. With ``Phi(u)`` the factor from u to 0, ``Phi^2 = exp(u - 2 score int_0^u dv / V(v))``, the
    variance is ``Phi(U)^2 V(U) + noise int_0^U Phi(u)^2 du``; ``int_0^u dv / V = log((e^u + start - 1) / start)``.
    """

    def factor(u: Any) -> Any:
        grown = u.exp()
        return grown * (exact(start) / (grown + exact(start - 1))) ** int(2 * score)

    def compute(work: Work) -> Any:
        end = library().acb(_END)
        total = factor(end) * (1 + (-end).exp() * exact(start - 1))
        if noise:
            total += work.integral(lambda u, _: factor(u), [0, _END]) * noise
        return total.real

    return enclosed(compute, digits=digits)


def reversal(score: Any, noise: int, over: Any = 1) -> Check:
    """The variance that a reversal returns over that of the data, from the exact law at T.

    D2 (1, 1); D3 as printed (1/2, 1), corrected (1, 1); D4 (1/2, 0); D5 as printed (1, 0), corrected (1/2, 0).

    Args:
        score: share of the score.
        noise: share of the variance of the noise.
        over: in units of the variance of the data.
    """
    c = rational(score, "score")

    def check(ctx: Context) -> Evidence:
        d, pieces = digits_of(ctx), []
        for v in _VARIANCES:
            ratio = returned(v, c, noise, d + SPARE) / v
            text = f"returned variance over that of the data ({v}): {ratio.text(12)}, less {over}"
            pieces.append(equals(ratio - rational(over, "over"), digits=d, message=text))
        return worst_of(pieces)

    return check


def _stationary_of(step: Fraction, v: Fraction) -> Fraction:
    """``V = (1 - h/(2v))^2 V + h``."""
    return step / (1 - (1 - step / (2 * v)) ** 2)


def bias_and_threshold(quarter: Any = "1/4", threshold: Any = 4, small: Any = "2e-4") -> Check:
    """L6 (1/4, 4, 2e-4): the chain on N(m, v) ends with variance ``v / (1 - quarter h / v)``.

    For a small h that is within 0.1 % of v. The chain contracts while ``h < threshold v``, where ``|1 - h/(2v)|`` is
    one.
    """

    def check(ctx: Context) -> Evidence:
        d, pieces = digits_of(ctx), []
        q, t = rational(quarter, "quarter"), rational(threshold, "threshold")
        for v in (Fraction(1, 4), Fraction(9, 10)):
            for h in (rational(small, "small"), Fraction(1, 5)):
                share = _stationary_of(h, v) / (v / (1 - q * h / v))
                text = f"variance at h = {h}, v = {v} over the formula, less 1"
                pieces.append(equals(exactly(share - 1, d), message=text))
            excess = exactly(_stationary_of(rational(small, "small"), v) / v - 1, d)
            pieces.append(within(excess, "-1/1000", "1/1000", message=f"excess at h = {small}"))
            edge = exactly(abs(1 - t * v / (2 * v)) - 1, d)
            pieces.append(equals(edge, message=f"|1 - h/(2v)| at h = {t} v, less 1"))
        return worst_of(pieces)

    return check


def joint_limit(turns: Any, *, power: int = 2, contraction: Any = 1) -> Check:
    """L12, as printed (1) and corrected (40): squared W2 from N(m, v) after ``turns / d`` steps, d = 1e-6.

    It starts from N(m + 1, v / 9), v = 4/5, and must be within ``(v / 100)^2 / v``. Per step the offset shrinks by
    ``r = 1 - contraction d / v`` and the variance goes to ``r^2 V + 2 d``; powers of r are balls.

    Args:
        turns: K d.
        power: 2; of r in the variance.
        contraction: 1.
    """

    def check(ctx: Context) -> Evidence:
        d, v = digits_of(ctx), Fraction(4, 5)
        step = Fraction(1, 10**6)
        k, c = int(rational(turns, "turns") / step), rational(contraction, "contraction")

        def compute(_: Any) -> Any:
            arb = library().arb
            r = arb(exact(1 - c * step / v))
            limit = arb(exact(2 * step / (1 - (1 - c * step / v) ** power)))
            spread = limit + r ** (power * k) * (arb(exact(v / 9)) - limit)
            return (r**k) ** 2 + (spread.sqrt() - arb(exact(v)).sqrt()) ** 2

        most = Fraction(1, 10**4) * v
        text = f"squared W2 after {k} steps of 1e-6"
        return within(enclosed(compute, digits=d), 0, most, message=text)

    return check


_Claimed = Callable[[Fraction, Fraction], Fraction]


def _no_step(v: Fraction, d: Fraction) -> Fraction:
    return v / (1 - d / v)


def _first_order(v: Fraction, d: Fraction) -> Fraction:
    return v + d / 2


def _stationary(step: str) -> Addition:
    wrong: list[tuple[str, _Claimed]] = [
        ("twice-the-bias", _no_step),
        ("first-order", _first_order),
    ]
    return ball(
        n.stationary(step, n.target_variance),
        wrong=[(k, n.stationary(step, f)) for k, f in wrong],
    ).and_corrected(
        ball(
            n.stationary(step, n.exact_variance),
            wrong=[
                ("as-printed", n.stationary(step, n.target_variance)),
                *((k, n.stationary(step, f)) for k, f in wrong),
            ],
        )
    )


_REVERSE_SDE = ball(
    reversal(1, 1),
    wrong=[
        ("half-the-score", reversal("1/2", 1)),
        ("twice-the-noise", reversal(1, 2)),
        ("no-noise", reversal(1, 0)),
    ],
)
_FLOW = ball(
    reversal("1/2", 0),
    wrong=[
        ("whole-score", reversal(1, 0)),
        ("noise", reversal("1/2", 1)),
        ("no-score", reversal(0, 0)),
    ],
)

ADDED: dict[str, Addition] = {
    "L4": _stationary("0.1"),
    "L5": _stationary("0.05"),  # d = h/2
    "L6": ball(
        bias_and_threshold(),
        wrong=[
            ("half-the-bias", bias_and_threshold("1/8")),
            ("threshold-2v", bias_and_threshold("1/4", 2)),
            ("no-bias", bias_and_threshold(0)),
        ],
    ),
    "L12": ball(
        joint_limit(1),
        wrong=[
            ("half-as-long", joint_limit("1/2")),
            ("slower", joint_limit(1, contraction="1/2")),
        ],
    ).and_corrected(
        ball(
            joint_limit(40),
            wrong=[
                ("fixed-length", joint_limit(1)),
                ("power-one", joint_limit(40, power=1)),
                ("half-the-pull", joint_limit(40, contraction="1/2")),
            ],
        )
    ),
    "D1": ball(
        n.exponential_noise(),
        wrong=[
            ("not-halved", n.exponential_noise(1)),
            ("no-start", n.exponential_noise("1/2", 0)),
            ("sign", n.exponential_noise("-1/2")),
        ],
    ),
    "D2": _REVERSE_SDE,
    "D3": ball(
        reversal("1/2", 1),
        wrong=[("no-score", reversal(0, 1)), ("twice-the-noise", reversal("1/2", 2))],
    ).and_corrected(_REVERSE_SDE),
    "D4": _FLOW,
    "D5": ball(
        reversal(1, 0),
        wrong=[("twice-the-score", reversal(2, 0)), ("no-score", reversal(0, 0))],
    ).and_corrected(_FLOW),
    "D6": ball(
        n.vp_variance(),
        wrong=[("half-the-rate", n.vp_variance("1/2")), ("twice-the-rate", n.vp_variance(2))],
        name="enclosure-ddpm",
    )
    + ball(
        n.ve_variance(),
        wrong=[("no-start", n.ve_variance(0)), ("sign", n.ve_variance(-1))],
        name="enclosure-smld",
    ),
}
